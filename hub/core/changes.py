"""`WS /api/changes`: one socket per page that says which lists to fetch again: words, no ids.

A NOTIFY channel has a word; what comes within a blink is told once. After the hub's own listening was
interrupted every word is told, since something may have been missed.
"""

import asyncio

from aiohttp import web

from hub.core.http import Listener, Request, Route

GATHER_S = 0.25
CHANNELS = {
    "hub_task": "tasks",
    "hub_alarm": "alarms",
    "hub_recording": "recordings",
    "hub_request": "requests",
    "hub_report": "reports",
    "hub_upload": "uploads",
    "hub_dicom_study": "uploads",  # how many images of a request have come
    "hub_incident": "incidents",
    "hub_dicom_pixels": "images",  # serving copies were made
}


class Pages:
    """What each open page has not been told yet."""

    def __init__(self) -> None:
        self._untold: dict[asyncio.Event, set[str]] = {}

    def tell(self, words: set[str]) -> None:
        for wake, untold in self._untold.items():
            untold |= words
            wake.set()

    async def watch(self, request: Request) -> None:
        """Send `{"changed": [words]}` until the page leaves."""
        async with request.socket() as socket:
            wake, untold = asyncio.Event(), set[str]()
            self._untold[wake] = untold
            try:
                while True:
                    await wake.wait()
                    await asyncio.sleep(GATHER_S)
                    wake.clear()
                    words = sorted(untold)
                    untold.clear()
                    await socket.send_json({"changed": words})
            finally:
                del self._untold[wake]


def parts() -> tuple[Route, dict[str, Listener]]:
    """The route, and the listeners that feed it."""
    pages = Pages()

    async def on_notify(_app: web.Application, channel: str, _payload: str) -> None:
        pages.tell({CHANNELS[channel]} if channel else set(CHANNELS.values()))

    route = Route("GET", "/api/changes", pages.watch, "changes.watch", kind="socket")
    return route, dict.fromkeys(CHANNELS, on_notify)
