"""The ingest process: two loops side by side over the engine, the shards' sessions and their locks.

Reading, every 20 ms: all shards' sockets -> decode -> analyse -> publish live results. Storing: whatever has been
read, one transaction at a time -> PUBACK and `ack`. Storage that fails or does not answer within two seconds is
*away*: what was read is forgotten without acknowledgement, reading and analysing go on, and when storage is back each
session reconnects, so that the broker sends again what nobody acknowledged.
"""

import asyncio
import contextlib
import json
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import clock, errors
from hub.core.db import Database
from hub.core.fields import to_json
from hub.core.settings import Settings
from hub.ingest import metrics
from hub.ingest.engine import ACTOR, Engine
from hub.ingest.links import Links, Receipt
from hub.ingest.locks import ShardLocks, session_secret
from hub.ingest.tick import Sorted, Stored

TICK_S: Final = 0.02
STORE_TIMEOUT_S: Final = 2.0  # design section 3: after this the database counts as away
PROBE_S: Final = 0.5
IDLE_S: Final = 1.0  # a commit without messages: presence, findings of recordings that are over
LOCKS_EVERY_S: Final = 1.0
BATCH_MESSAGES: Final = 4_000  # of one transaction
PENDING_MESSAGES: Final = 8_000  # read and not stored; beyond, the rest stays with the broker
LEAVE_TIMEOUT_S: Final = 8.0
CHANGES: Final = ("hub_devices", "hub_recording")

Now = Callable[[], datetime]


class Worker:
    """One ingest process."""

    def __init__(self, database: Database, links: Links, locks: ShardLocks, now: Now) -> None:
        self._database, self._links, self._locks, self._now = database, links, locks, now
        self.engine = Engine(database)
        self._pending: deque[tuple[Sorted, list[Receipt]]] = deque()
        self._has_pending = asyncio.Event()
        self._away = False

    @property
    def is_away(self) -> bool:
        """Whether storage does not answer."""
        return self._away

    async def run(self, stop: asyncio.Event, beat: Callable[[], None]) -> None:
        """Until told to stop; then store and acknowledge what was read, and leave."""
        background = [
            asyncio.create_task(self._database.listen(CHANGES, self._on_change)),
            asyncio.create_task(self._keep_locks()),
            asyncio.create_task(self._keep_storing()),
        ]
        reading = asyncio.create_task(self._keep_reading(beat))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({reading, stopping, *background}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, stopping, *background[:2]):
            task.cancel()
        await asyncio.wait({reading, stopping, *background[:2]})
        await self._leave(background[2])
        for task in (reading, *background):
            if not task.cancelled() and (failure := task.exception()) is not None:
                raise failure

    async def _on_change(self, _channel: str, payload: str) -> None:
        changed = json.loads(payload) if payload else {}
        recording_id = changed.get("recording_id")
        self.engine.forget_changed(changed.get("device_id"), UUID(recording_id) if recording_id else None)

    async def _keep_locks(self) -> None:
        while True:
            await self._locks.refresh()
            metrics.SHARDS.set(len(self._locks.held))
            await asyncio.sleep(LOCKS_EVERY_S)

    async def _keep_reading(self, beat: Callable[[], None]) -> None:
        while True:
            begun_s = clock.monotonic_s()
            self._links.own(self._locks.held, self._locks.others_may_own)
            await self._read()
            self._links.publish(self.engine.acks.due(begun_s))
            beat()
            spent_s = clock.monotonic_s() - begun_s
            metrics.TICK_S.observe(spent_s)
            await asyncio.sleep(max(0.0, TICK_S - spent_s))

    async def _read(self) -> None:
        """One pass over all sockets; nothing is read while too much waits to be stored."""
        waiting = sum(len(batch.items) for batch, _ in self._pending)
        metrics.PENDING.set(waiting)
        if waiting >= PENDING_MESSAGES:
            return
        at = self._now()
        received, receipts = self._links.poll(at.timestamp())
        if not received:
            return
        batch, complete = await self.engine.take(received, at, may_load=not self._away)
        self._links.publish_live(
            [(recording.shard, str(recording.id), text) for recording, text in self.engine.seconds()]
        )
        if not complete:
            self._go_away()
        if self._away:
            metrics.FORGOTTEN.inc(len(received))
        else:
            self._pending.append((batch, receipts))
        self._has_pending.set()

    async def _keep_storing(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._has_pending.wait()
            self._has_pending.clear()
            if self._away:
                await self._until_back()
            while self._pending or self.engine.has_unwritten:
                if not await self._store_some():
                    break

    async def _store_some(self) -> bool:
        """One transaction; False if storage is away."""
        batch, receipts = self._next_batch()
        storing = asyncio.create_task(self._commit(batch))
        await asyncio.wait({storing}, timeout=STORE_TIMEOUT_S)
        if not storing.done():
            self._go_away()  # it may still commit; then what comes again is a duplicate
        try:
            done = await storing
        except errors.Unavailable:
            self._go_away()
            return False
        if not self._away:
            for receipt in receipts:
                receipt.acknowledge()
        self._links.publish_live([one for stored in done for one in live_vitals(stored)])
        _count(batch, done)
        return not self._away

    def _next_batch(self) -> tuple[Sorted, list[Receipt]]:
        whole, receipts = Sorted([]), list[Receipt]()
        while self._pending and len(whole.items) < BATCH_MESSAGES:
            batch, own = self._pending.popleft()
            whole.add(batch)
            receipts += own
        return whole, receipts

    async def _commit(self, batch: Sorted) -> list[Stored]:
        with metrics.COMMIT_S.time():
            try:
                return [await self.engine.commit(batch, self._now())]
            except errors.HubError:
                raise
            except Exception:
                if not batch.items:
                    raise
                return await self.engine.commit_singly(batch, self._now())

    def _go_away(self) -> None:
        """Storage does not answer: forget what was read, so that nothing grows while it is away."""
        if not self._away:
            self._away = True
            metrics.AWAY.set(1)
        metrics.FORGOTTEN.inc(sum(len(batch.items) for batch, _ in self._pending))
        self._pending.clear()
        self._has_pending.set()

    async def _until_back(self) -> None:
        """Wait for storage, then have everything that was forgotten sent again."""
        while True:
            with contextlib.suppress(errors.Unavailable):
                async with self._database.transaction(ACTOR, self._now()):
                    break
            await asyncio.sleep(PROBE_S)
        self._away = False
        metrics.AWAY.set(0)
        self._links.reconnect()

    async def _leave(self, storing: "asyncio.Task[None]") -> None:
        """Flush and acknowledge, save the analysers, close. What is not stored by then is not acknowledged."""
        with contextlib.suppress(TimeoutError, errors.Unavailable):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                while self._pending and not self._away and not storing.done():
                    self._has_pending.set()
                    await asyncio.sleep(TICK_S)
                self._links.publish(self.engine.acks.due(float("inf")))
                if not self._away:
                    await self.engine.save_states(self._now())
        storing.cancel()
        await asyncio.wait({storing})
        self._links.close()
        await self._locks.release()


def _count(batch: Sorted, done: list[Stored]) -> None:
    metrics.PACKETS.inc(len(batch.items))
    for stored in done:
        metrics.SAMPLES.inc(stored.samples)
        for one in stored.refused:
            metrics.SET_ASIDE.labels(one.refusal.reason).inc()


def live_vitals(stored: Stored) -> list[tuple[str, str, str]]:
    """(shard, topic behind `live/`, JSON): new values of each patient, for pages."""
    by_patient: dict[tuple[str, UUID], list[dict[str, Any]]] = defaultdict(list)
    for vital in stored.vitals:
        shown = ("code", "at", "value", "text_value", "unit", "device_id")
        by_patient[vital.shard, vital.patient_id].append({name: getattr(vital, name) for name in shown})
    return [
        (shard, f"{patient_id}/vitals", to_json(values)) for (shard, patient_id), values in by_patient.items()
    ]


async def run(
    settings: Settings, database: Database, now: Now, stop: asyncio.Event, beat: Callable[[], None]
) -> None:
    """The ingest role of `hub serve`; `database` acts as hub_ingest."""
    async with database.transaction(ACTOR, now()) as conn:
        secret = await session_secret(conn)
    links = Links(settings, secret)
    locks = ShardLocks(database, settings.shards, settings.ingest_processes)
    await Worker(database, links, locks, now).run(stop, beat)
