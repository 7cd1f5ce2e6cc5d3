"""The people of a ward, who see to its alarms: nobody's would be open for ever, and every board shows all open ones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import ClientError, ClientSession

from tests.nemesis import telling
from tests.nemesis.installation import Hub

ROUND_S: Final = 5.0


@contextlib.asynccontextmanager
async def tending(hub: Hub) -> AsyncIterator[list[int]]:
    """While the block lasts somebody takes each open alarm and says what came of it; how many so far."""
    done = [0]
    async with telling.session(hub) as http:
        await telling.sign_in(http, "doctor")
        async with http.get("/api/me") as answer:
            answer.raise_for_status()
            http.headers["X-CSRF-Token"] = (await answer.json())["csrf"]
        task = asyncio.create_task(_keep_tending(http, done))
        try:
            yield done
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()


async def _keep_tending(http: ClientSession, done: list[int]) -> None:
    while True:
        with contextlib.suppress(ClientError, TimeoutError):
            async with http.get("/api/alarms", params={"open": "1"}) as answer:
                answer.raise_for_status()
                found = (await answer.json())["alarms"]
            for alarm in found:
                done[0] += await _tend(http, alarm)
        await asyncio.sleep(ROUND_S)


async def _tend(http: ClientSession, alarm: dict[str, Any]) -> bool:
    """Whether it is resolved now; one that goes on is left for the next round."""
    for step, body in (("own", {}), ("resolve", {"outcome": "looked at"})):
        async with http.post(f"/api/alarms/{alarm['id']}/{step}", json=body) as answer:
            if not answer.ok:
                return False
    return True
