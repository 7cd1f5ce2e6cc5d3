"""The live feed of a web process: one broker session that brings results and the signals somebody looks at.

Results (`live/...`) come from ingest, once a second for each recording. Samples are taken from the device's own
topic, only while a page watches, and only packets of the very recording it watches are handed on. While somebody
looks, the device is asked every few seconds to send short packets (`watch`); it goes back by itself.
"""

import asyncio
import contextlib
import json
import math
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from devices import control, packet
from devices.control import Command
from devices.errors import DecodeError
from hub.core import broker, clock, mqtt
from hub.core.mqtt import Message, Session
from hub.core.settings import Settings
from hub.telemetry.pace import Pace

RECONNECT_S: Final = 1.0
WATCH_FOR_S: Final = 30.0
WATCH_EVERY_S: Final = 20.0
WATCH_PACKET_MS: Final = 200
UNTOLD_MAX: Final = 100  # results a page has not taken yet; older ones give way
HUB_WORDS: Final = "live/hub/ingest/"
RESULTS: Final = ("live/+", "live/+/vitals", "live/+/alarms", f"{HUB_WORDS}+")
UNSTORED_FOR_S: Final = 3_600.0  # alarms from memory, when the process that told them said no more
SILENT_AFTER_S: Final = 5.0  # a process of ingest that tells nothing
UNREAD_AFTER_S: Final = 10.0  # a shard that nobody reads; handing one over takes less

Now = Callable[[], datetime]


_TROUBLE: Final = ("ok", "slow", "unseen", "away", "blocked")  # least first


def _trouble(word: Mapping[str, Any]) -> tuple[int, float]:
    """To find the worst; of equals, the one that lasts longest."""
    since_at = word["since_at"]
    since_s = datetime.fromisoformat(since_at).timestamp() if since_at else math.inf
    return _TROUBLE.index(word["state"]), -since_s


_WELL: Final = {"state": "ok", "why": None, "since_at": None}


@dataclass(frozen=True, slots=True)
class Watched:
    """What a page looks at."""

    recording_id: UUID
    patient_id: UUID
    shard: str
    device_id: str
    by_telehub: bool  # the device speaks our packets and takes commands

    @property
    def device(self) -> str:
        return f"{self.shard}/{self.device_id}"


@dataclass(eq=False)
class Viewer:
    """One page's end of the feed."""

    watched: Watched
    pace: Pace = field(default_factory=Pace)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    seconds: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=UNTOLD_MAX))
    vitals: deque[list[dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=UNTOLD_MAX))
    unstored: list[dict[str, Any]] | None = None  # alarms from memory, when they have changed
    alarms: set[UUID] = field(default_factory=set)
    has_missed: bool = False  # alarms may have changed without a word


class Feed:
    """All viewers of this process, and the newest result of every recording for boards."""

    def __init__(self, settings: Settings, now: Now) -> None:
        self._settings, self._now = settings, now
        self._session: Session | None = None
        self._viewers: dict[UUID, set[Viewer]] = {}
        self._watched_until_s: dict[str, float] = {}
        self.newest: dict[UUID, dict[str, Any]] = {}
        self.vitals: dict[UUID, dict[str, dict[str, Any]]] = {}
        self._unstored: dict[UUID, tuple[float, list[dict[str, Any]]]] = {}
        self._shards_heard_s: dict[int, float] = {}
        self.hub_health: dict[int, dict[str, Any]] = {}  # newest word of each ingest process, by process id
        self.connected_since_s: float | None = None  # to the broker; None: it does not answer

    @contextlib.contextmanager
    def viewing(self, viewer: Viewer) -> Any:
        """Take part while the block lasts."""
        watched = viewer.watched
        others = self._of_device(watched.device)
        self._viewers.setdefault(watched.recording_id, set()).add(viewer)
        viewer.unstored = self.unstored(watched.recording_id)
        if not others and self._session is not None:
            self._session.subscribe([f"ingest/{watched.device}/ecg"], qos=0)
        self._ask_short_packets(watched)
        try:
            yield
        finally:
            own = self._viewers[watched.recording_id]
            own.discard(viewer)
            if not own:
                del self._viewers[watched.recording_id]
            if not self._of_device(watched.device):
                self._watched_until_s.pop(watched.device, None)
                if self._session is not None:
                    self._session.unsubscribe([f"ingest/{watched.device}/ecg"])

    def unstored(self, recording_id: UUID) -> list[dict[str, Any]]:
        """Alarms of a recording that the database does not have yet."""
        told_s, alarms = self._unstored.get(recording_id, (0.0, []))
        return alarms if clock.monotonic_s() - told_s < UNSTORED_FOR_S else []

    def storing(self) -> dict[str, Any]:
        """How the hub stores, in one word for every open page: that of the process which has most trouble."""
        now_s, worst = clock.monotonic_s(), dict[str, Any](_WELL)
        since_s = self.connected_since_s
        if since_s is None:
            return worst | {"state": "unseen", "why": "broker"}
        heard_s = min(self._shards_heard_s.get(shard, 0.0) for shard in range(self._settings.shards))
        if now_s - max(heard_s, since_s) > UNREAD_AFTER_S:
            worst |= {"state": "unseen", "why": "process"}
        for word in self.hub_health.values():
            if now_s - word["heard_s"] <= SILENT_AFTER_S:
                told = {"state": word["state"], "why": word["why"], "since_at": word["away_since_at"]}
                worst = max(worst, told, key=_trouble)
        return worst

    def on_alarm(self, alarm_id: UUID, recording_id: UUID | None) -> None:
        """An alarm changed; its pages have to be told."""
        for viewer in self._viewers.get(recording_id, ()) if recording_id else ():
            viewer.alarms.add(alarm_id)
            viewer.wake.set()

    def on_interruption(self) -> None:
        """Nobody told of alarms for a while: all pages have to be told anew."""
        for own in self._viewers.values():
            for viewer in own:
                viewer.has_missed = True

    async def run(self) -> None:
        """Stay connected for ever."""
        while True:
            try:
                await self._connected()
            except ConnectionError:
                await asyncio.sleep(RECONNECT_S)

    async def _connected(self) -> None:
        before = self._topics()
        name = f"hub-live-{secrets.token_hex(8)}"
        session = await broker.open_session(self._settings, name, [*RESULTS, *before], qos=0)
        try:
            if came := sorted(set(self._topics()) - set(before)):
                session.subscribe(came, qos=0)
            self._session = session
            self.connected_since_s = clock.monotonic_s()
            while session.closed is None:
                for message in session.poll():
                    self._on_message(message)
                self._renew()
                await mqtt.wait(session, 1.0)
            raise ConnectionError(session.closed)
        finally:
            self._session = self.connected_since_s = None
            session.disconnect()

    def _topics(self) -> list[str]:
        """The devices somebody looks at."""
        return sorted({f"ingest/{v.watched.device}/ecg" for own in self._viewers.values() for v in own})

    def _on_message(self, message: Message) -> None:
        """One message; what can't be read is ingest's business, which sets it aside."""
        root, _, rest = message.topic.partition("/")
        with contextlib.suppress(DecodeError, ValueError, KeyError):
            if root == "ingest":
                self._on_packet(message.payload)
            elif message.topic.startswith(HUB_WORDS):
                word = json.loads(message.payload)
                self._on_hub_word(word)
            elif rest.endswith("/alarms"):
                self._on_unstored(UUID(rest.removesuffix("/alarms")), json.loads(message.payload))
            elif rest.endswith("/vitals"):
                self._on_vitals(UUID(rest.removesuffix("/vitals")), json.loads(message.payload))
            else:
                self._on_second(UUID(rest), json.loads(message.payload))

    def _on_packet(self, payload: bytes) -> None:
        one = packet.decode(payload)
        for viewer in self._viewers.get(UUID(bytes=one.recording), ()):
            viewer.pace.offer(one)
            viewer.wake.set()

    def _on_second(self, recording_id: UUID, second: dict[str, Any]) -> None:
        self.newest[recording_id] = second
        for viewer in self._viewers.get(recording_id, ()):
            viewer.seconds.append(second)
            viewer.wake.set()

    def _on_hub_word(self, word: dict[str, Any]) -> None:
        now_s = clock.monotonic_s()
        self.hub_health[int(word["pid"])] = word | {"heard_s": now_s}
        self._shards_heard_s |= dict.fromkeys(word["shards"], now_s)

    def _on_unstored(self, recording_id: UUID, alarms: list[dict[str, Any]]) -> None:
        before = self.unstored(recording_id)
        if alarms:
            self._unstored[recording_id] = clock.monotonic_s(), alarms
        else:
            self._unstored.pop(recording_id, None)
        for viewer in self._viewers.get(recording_id, ()) if alarms != before else ():
            viewer.unstored = alarms
            viewer.wake.set()

    def _on_vitals(self, patient_id: UUID, values: list[dict[str, Any]]) -> None:
        known = self.vitals.setdefault(patient_id, {})
        known |= {value["code"]: value for value in values}
        for own in self._viewers.values():
            for viewer in own:
                if viewer.watched.patient_id == patient_id:
                    viewer.vitals.append(values)
                    viewer.wake.set()

    def _of_device(self, device: str) -> bool:
        return any(v.watched.device == device for own in self._viewers.values() for v in own)

    def _renew(self) -> None:
        for own in list(self._viewers.values()):
            for viewer in own:
                self._ask_short_packets(viewer.watched)

    def _ask_short_packets(self, watched: Watched) -> None:
        now_s = clock.monotonic_s()
        if (
            self._session is None
            or not watched.by_telehub
            or now_s < self._watched_until_s.get(watched.device, 0.0)
        ):
            return
        self._watched_until_s[watched.device] = now_s + WATCH_EVERY_S
        at_s = self._now().timestamp()
        command = Command(
            f"watch.{secrets.token_hex(8)}", "watch", at_s + WATCH_FOR_S, packet_ms=WATCH_PACKET_MS,
            seconds=WATCH_FOR_S, sent_at_s=at_s,
        )  # fmt: skip
        self._session.publish(f"cmd/{watched.device}", control.encode_command(command), qos=1)
        self._session.flush()


FEED: Final = web.AppKey("feed", Feed)


@contextlib.asynccontextmanager
async def running(settings: Settings, now: Now) -> AsyncIterator[Feed]:
    """A feed for as long as the block lasts; a bug in it ends the process through the loop's handler."""
    feed = Feed(settings, now)
    task = asyncio.create_task(feed.run())
    task.add_done_callback(_report_end)
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.wait({task})


def _report_end(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.get_loop().call_exception_handler(
            {"message": "the live feed ended", "exception": task.exception()}
        )
