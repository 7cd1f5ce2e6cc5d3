"""An open live page as the hub sees it, and the words of the ingest processes: when somebody could have known."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from aiohttp import ClientError, ClientSession, WSMsgType

from hub.core import broker, clock, mqtt
from hub.core.settings import Settings, load
from tests.nemesis import telling
from tests.nemesis.installation import Hub

AGAIN_S: Final = 1.0
ACK_SAMPLES: Final = 1 << 53  # whatever was sent has been shown: this page is never behind


@dataclass
class Heard:
    """Words and the instants at which they came (seconds since 1970)."""

    words: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def first_s(self, since_s: float, holds: Callable[[dict[str, Any]], bool]) -> float:
        """Seconds from an instant to the first word behind it of which something holds; infinite if there is none."""
        return next(
            (at_s - since_s for at_s, word in self.words if at_s >= since_s and holds(word)), float("inf")
        )


def is_trouble(word: dict[str, Any]) -> bool:
    """A word of an ingest process, or of a page, that says that storing is not as it should be."""
    return word.get("state", "ok") != "ok"


@contextlib.asynccontextmanager
async def page(hub: Hub, recording_id: UUID) -> AsyncIterator[Heard]:
    """A live page of one patient, opened again when it is closed."""
    heard = Heard()
    async with telling.session(hub) as http:
        await telling.sign_in(http, "doctor")
        task = asyncio.create_task(_look(hub, http, recording_id, heard))
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.wait({task})


async def _look(hub: Hub, http: ClientSession, recording_id: UUID, heard: Heard) -> None:
    while True:
        with contextlib.suppress(ClientError):
            await _look_once(hub, http, recording_id, heard)
        await asyncio.sleep(AGAIN_S)


async def _look_once(hub: Hub, http: ClientSession, recording_id: UUID, heard: Heard) -> None:
    path, origin = f"/api/recordings/{recording_id}/live", {"Origin": hub.base}
    async with http.ws_connect(path, headers=origin) as socket:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                heard.words.append((clock.now().timestamp(), json.loads(message.data)))
                await socket.send_json({"type": "ack", "sample": ACK_SAMPLES})


@contextlib.asynccontextmanager
async def broker_words(hub: Hub, filters: list[str]) -> AsyncIterator[Heard]:
    """What is published on these topics, with the hub's own account; JSON, its topic as `topic`."""
    heard = Heard()
    task = asyncio.create_task(_listen(load(hub.env), filters, heard))
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _listen(settings: Settings, filters: list[str], heard: Heard) -> None:
    while True:
        with contextlib.suppress(ConnectionError):
            session = await broker.open_session(settings, "load-listener", filters, qos=0)
            try:
                while session.closed is None:
                    await mqtt.wait(session, 1.0)
                    now_s = clock.now().timestamp()
                    for message in session.poll():
                        heard.words.append((now_s, json.loads(message.payload) | {"topic": message.topic}))
            finally:
                session.close()
        await asyncio.sleep(AGAIN_S)
