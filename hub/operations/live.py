"""The watch: looks at every hop once a second, keeps what is broken in memory, writes it down, and tells open pages.

It stands in the web process (there is one), since that hears ingest's words through the broker and answers the
pages. While the database is away, incidents are told from memory and written once it is back, with the time at
which they began; also those that came and went meanwhile.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web
from prometheus_client import Gauge

from hub.core import clock, db, disk, errors, metrics, tls
from hub.core.db import Connection, Database
from hub.core.http import Request, Route
from hub.core.incidents import KINDS, Detail, clear_incident, here, raise_incident, require_known
from hub.core.settings import Settings
from hub.operations import figures, sight, watchers
from hub.operations.incidents import facts_json, kind_json
from hub.operations.sight import ACTOR, Sight, Stored
from hub.telemetry.feed import Feed

LOOK_EVERY_S: Final = 1.0
PROBE_EVERY_S: Final = 1.0
READ_EVERY_S: Final = 2.0
ANSWER_WITHIN_S: Final = 2.0  # as ingest: after this the database counts as away
READ_WITHIN_S: Final = 10.0
ASK_EVERY_S: Final = 3.0  # with its answer's second below the five after which silence tells
CERTIFICATE_EVERY_S: Final = 600.0
UNWRITTEN_KEPT: Final = 200
FORGET_WORD_S: Final = 60.0
SPACE_EVERY_S: Final = 600.0
SPACE_KEPT: Final = 144  # a day

INCIDENTS = Gauge("hub_incidents", "what is broken now", ["kind", "priority"])

Key = tuple[str, str]  # kind, subject
Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Present:
    """A broken hop as this process knows it."""

    since_at: datetime
    facts: Detail


class Watch:
    """What is broken now, and the newest figures."""

    def __init__(self, settings: Settings, database: Database, feed: Feed, now: Now) -> None:
        self._settings, self._database, self._feed, self._now = settings, database, feed, now
        self._begun_s = self._answered_s = self._broker_s = clock.monotonic_s()
        self._away_since_s: float | None = None
        self._back_s = self._begun_s
        self._answer_s = 0.0
        self._stored: Stored | None = None
        self._processes: dict[str, dict[str, float] | None] = {}
        self._rates = figures.Rates()
        self._certificate_days: int | None = None
        self._space: deque[tuple[datetime, int]] = deque(maxlen=SPACE_KEPT)
        self._written: set[Key] | None = None  # None: what an earlier process left is not known yet
        self._left: set[Key] = set()  # by an earlier process
        self._past: deque[tuple[Key, Present, datetime]] = deque(maxlen=UNWRITTEN_KEPT)
        self._ledger: dict[str, int] | None = None
        self._undecided: set[str] = set()
        self.present: dict[Key, Present] = {}
        self.viewers = 0

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(LOOK_EVERY_S, self._look))
            tasks.create_task(self._keep(PROBE_EVERY_S, self._probe))
            tasks.create_task(self._keep(READ_EVERY_S, self._read))
            tasks.create_task(self._keep(ASK_EVERY_S, self._ask))
            tasks.create_task(self._keep(CERTIFICATE_EVERY_S, self._read_certificate))

    async def _keep(self, seconds: float, work: Callable[[], Any]) -> None:
        while True:
            await work()
            await asyncio.sleep(seconds)

    async def _look(self) -> None:
        at = self._now()
        found = watchers.look(self.sight(at))
        self._undecided = {kind for kind, subjects in found.items() if subjects is None}
        now: dict[Key, Present] = {}
        for kind, subjects in found.items():
            for subject, facts in (subjects or {}).items():
                require_known(kind, facts)
                known = self.present.get((kind, subject))
                now[kind, subject] = Present(known.since_at if known else at, facts)
        for key, one in self.present.items():
            if key[0] in self._undecided:
                now[key] = one
            elif key not in now and key not in (self._written or ()):
                self._past.append((key, one, at))
        self.present = now
        INCIDENTS.clear()
        for kind, count in Counter(kind for kind, _ in now).items():
            INCIDENTS.labels(kind, KINDS[kind].priority).set(count)

    def sight(self, at: datetime) -> Sight:
        """The picture of this instant."""
        now_s = clock.monotonic_s()
        connected_s = self._feed.connected_since_s
        if connected_s is not None:
            self._broker_s = now_s
        free, total = sight.disk(self._settings.data_dir)
        if not self._space or at - self._space[-1][0] >= timedelta(seconds=SPACE_EVERY_S):
            self._space.append((at, free))
        return Sight(
            at=at,
            up_s=now_s - self._begun_s,
            ingest_processes=self._settings.ingest_processes,
            shards=self._settings.shards,
            words=self._words(now_s),
            broker_s=now_s - connected_s if connected_s is not None else None,
            broker_away_s=now_s - self._broker_s,
            stored=self._stored if self._away_since_s is None else None,
            answer_s=self._answer_s,
            database_away_s=max(0.001, now_s - self._away_since_s) if self._away_since_s is not None else 0.0,
            answered_for_s=now_s - self._back_s if self._away_since_s is None else 0.0,
            processes=self._processes,
            free_bytes=free,
            disk_bytes=total,
            days_left=figures.days_left(self._space, at, free),
            memory_available=sight.memory_available(),
            certificate_days=self._certificate_days,
            reserve_used=disk.holds_database(self._settings) and disk.reserve_used(self._settings),
            floor_bytes=self._settings.disk_floor_mb * disk.MEGABYTE,
        )

    def _words(self, now_s: float) -> tuple[Mapping[str, Any], ...]:
        """The newest word of each process that runs; what a process said that has ended is forgotten after a while."""
        words = [
            word | {"silent_s": now_s - word["heard_s"]}
            for word in self._feed.hub_health.values()
            if {"process", "shards"} <= word.keys()  # an ingest process of another version may say less
        ]
        return tuple(word for word in words if word["silent_s"] < FORGET_WORD_S)

    async def _probe(self) -> None:
        """Ask the database whether it answers; one that hangs is away at once, however long the question lasts."""
        begun_s = clock.monotonic_s()
        asking = asyncio.create_task(self._ask_database())
        await asyncio.wait({asking}, timeout=ANSWER_WITHIN_S)
        if not asking.done():
            self._go_away(begun_s)
        if not await asking:
            return self._go_away(begun_s)
        self._answer_s = clock.monotonic_s() - begun_s
        if self._away_since_s is not None:
            self._away_since_s, self._back_s = None, clock.monotonic_s()
            await self._look()

    async def _ask_database(self) -> bool:
        try:
            async with self._database.transaction(ACTOR, self._now()) as conn:
                await db.one(conn, "SELECT 1 AS one")
        except errors.HubError:
            return False
        return True

    def _go_away(self, since_s: float) -> None:
        if self._away_since_s is None:
            self._away_since_s = since_s

    async def _read(self) -> None:
        """The database's own figures, and what is broken written down; a busy one is asked again next time."""
        if self._away_since_s is not None:
            return
        at = self._now()
        with contextlib.suppress(TimeoutError, errors.HubError):
            async with asyncio.timeout(READ_WITHIN_S):
                async with self._database.transaction(ACTOR, at) as conn:
                    self._stored = await sight.read_stored(conn, at)
                    self._ledger = await sight.read_ledger(conn, at) if self.viewers else None
                await self._write(at)

    async def _write(self, at: datetime) -> None:
        """Bring the table to what is known here; only what this watch raised, or one before it, is cleared."""
        past, present = list(self._past), dict(self.present)
        async with self._database.transaction(ACTOR, at) as conn:
            written = (
                self._written if self._written is not None else await here(conn, list(watchers.WATCHERS))
            )
            for (kind, subject), one, gone_at in past:
                await raise_incident(conn, one.since_at, kind, subject, one.facts)
                await clear_incident(conn, gone_at, kind, subject)
            for key, one in present.items():
                await raise_incident(conn, at if key in written else one.since_at, *key, one.facts)
            gone = await self._clear(conn, at, written - present.keys())
        self._written = (written | present.keys()) - gone
        for _ in past:
            self._past.popleft()

    async def _clear(self, conn: Connection, at: datetime, keys: set[Key]) -> set[Key]:
        """What an earlier process found may be found again: it is given the time."""
        settled = clock.monotonic_s() - self._begun_s > watchers.SETTLED_S
        gone = {key for key in keys if key[0] not in self._undecided and (settled or key not in self._left)}
        for key in sorted(gone):
            await clear_incident(conn, at, *key)
        return gone

    async def _ask(self) -> None:
        self._processes = await metrics.figures(self._settings.data_dir, figures.ASKED)
        self._rates.take(self._processes, clock.monotonic_s())

    async def _read_certificate(self) -> None:
        path = self._settings.tls_cert
        if path is not None:
            with contextlib.suppress(OSError, ValueError):  # `hub doctor` says what is wrong with the file
                self._certificate_days = (tls.expires_at(path) - self._now()).days

    def view(self) -> dict[str, Any]:
        """What open pages are told."""
        now = self.sight(self._now())
        return {
            "at": now.at,
            "database": now.stored is not None or not now.database_away_s,
            "hops": figures.hops(now, self._rates, {kind for kind, _ in self.present}, self._undecided),
            "incidents": [
                _told(kind, subject, one, stored=(kind, subject) in (self._written or ()))
                for (kind, subject), one in sorted(self.present.items(), key=lambda item: item[1].since_at)
                if KINDS[kind].about == "hub"  # a device's is for those who manage it: from the table
            ],
            "ledger": self._ledger if now.stored is not None else None,
            "processes": figures.processes(now),
        }


def _told(kind: str, subject: str, one: Present, *, stored: bool) -> dict[str, Any]:
    words = {"kind": kind, "subject": subject, "since_at": one.since_at, "stored": stored}
    return words | kind_json(kind) | {"facts": facts_json(dict(one.facts))}


async def watch_hub(request: Request) -> None:
    """The state of every hop, once a second, until the page leaves; goes on while the database is away."""
    watch = request.resource(WATCH)
    async with request.socket() as socket:
        watch.viewers += 1
        try:
            while True:
                await socket.send_json(watch.view())
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            watch.viewers -= 1


WATCH: Final = web.AppKey("watch", Watch)
ROUTES: tuple[Route, ...] = (Route("GET", "/api/operations/watch", watch_hub, "hub.read", kind="socket"),)


@contextlib.asynccontextmanager
async def running(settings: Settings, database: Database, feed: Feed, now: Now) -> AsyncIterator[Watch]:
    """A watch for as long as the block lasts; a bug in it ends the process through the loop's handler."""
    watch = Watch(settings, database, feed, now)
    task = asyncio.create_task(watch.run())
    task.add_done_callback(_report_end)
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait({task})


def _report_end(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.get_loop().call_exception_handler({"message": "the watch ended", "exception": task.exception()})
