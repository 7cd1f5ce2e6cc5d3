"""The ingest process: loops side by side over the engine, the shards' sessions and their locks.

Reading, every 20 ms or, with much to do, more rarely: all shards' sockets -> decode -> analyse -> publish live results.
Storing: whatever has been read, one transaction at a time -> PUBACK and `ack`. Storage that fails or does not answer
within two seconds is *away*: what was read is forgotten without acknowledgement, reading and analysing go on. When
storage is back one session after the other connects anew, so that the broker sends again what nobody acknowledged
while the rest is still seen live. Sharing: shards that others should have are drained, their analysers saved, and
given up.
"""

import asyncio
import contextlib
import gc
import json
from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import psycopg

from hub.core import clock, disk, errors
from hub.core.db import Database
from hub.core.logging import log
from hub.core.settings import Settings
from hub.ingest import metrics, telling
from hub.ingest.engine import ACTOR, Engine
from hub.ingest.links import Links, Receipt
from hub.ingest.locks import ShardLocks, known_secret
from hub.ingest.pressure import Pressure, memory_bytes
from hub.ingest.slowing import Slowing
from hub.ingest.tick import Sorted, Stored

TICK_S: Final = 0.02
MOST_TICK_S: Final = 0.2
OTHERS_SHARE: Final = (
    0.5  # of the time that reading takes: a transaction has a dozen turns of the loop to wait for
)
PER_MESSAGE_S: Final = (
    0.001  # so much longer: a tick has a price of its own, and what is done for many is cheapest
)
YOUNG_OBJECTS: Final = 50_000  # before the collector looks: packets on their way are no garbage
STORE_TIMEOUT_S: Final = 2.0  # design section 3: after this the database counts as away
PROBE_S, PROBE_MOST_S = 0.5, 4.0
GATHER_S: Final = 0.5  # between the beginnings of two transactions, unless much waits
IDLE_S: Final = 1.0  # a commit without messages: presence, findings of recordings that are over
LOCKS_EVERY_S: Final = 1.0
WORD_EVERY_S: Final = 1.0
RENEW_EVERY_S: Final = 0.3  # one session after the other: what it brings must have begun to come
TRY_S: Final = 2.0  # a shard that brings nothing for so long does not tell whether storing works
PENDING_MESSAGES: Final = 8_000  # read and not stored; beyond, what is read is forgotten
LEAVE_TIMEOUT_S: Final = 3.0  # less than the lease of the locks
MEMORY_GIVEN_UP_S: Final = 30.0
CHANGES: Final = ("hub_devices", "hub_recording")

Now = Callable[[], datetime]


class Worker:
    """One ingest process."""

    def __init__(
        self, database: Database, links: Links, locks: ShardLocks, now: Now, settings: Settings
    ) -> None:
        self._database, self._links, self._locks, self._now = database, links, locks, now
        self._settings, self._disk_is_ours = settings, disk.holds_database(settings)
        self.engine = Engine(database)
        self.pressure, self._slowing = Pressure(), Slowing()
        self._pending: deque[tuple[Sorted, list[Receipt]]] = deque()
        self._has_pending = asyncio.Event()
        self._passing, self._committing = asyncio.Lock(), asyncio.Lock()
        self._owned: frozenset[int] = frozenset()  # shards of which what we remember is true
        self._renewed_s = self._too_much_since_s = self._stored_s = 0.0
        self._is_over = asyncio.Event()

    @property
    def is_away(self) -> bool:
        """Whether storage does not answer."""
        return not self.pressure.may_store

    @property
    def shards(self) -> frozenset[int]:
        """What this process reads now."""
        return self._locks.held

    async def run(self, stop: asyncio.Event, beat: Callable[[], None]) -> None:
        """Until told to stop; then store and acknowledge what was read, and leave."""
        background = [
            asyncio.create_task(self._database.listen(CHANGES, self._on_change)),
            asyncio.create_task(self._keep_sharing()),
            asyncio.create_task(self._keep_telling()),
        ]
        reading = asyncio.create_task(self._keep_reading(beat))
        storing = asyncio.create_task(self._keep_storing())
        ending = [asyncio.create_task(event.wait()) for event in (stop, self._is_over)]
        await asyncio.wait({reading, storing, *ending, *background}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, *ending, *background):
            task.cancel()
        await asyncio.wait({reading, *ending, *background})
        await self._leave(storing)
        for task in (reading, storing, *background):
            if not task.cancelled() and (failure := task.exception()) is not None:
                raise failure

    async def _on_change(self, _channel: str, payload: str) -> None:
        changed = json.loads(payload) if payload else {}
        recording_id = changed.get("recording_id")
        self.engine.forget_changed(changed.get("device_id"), UUID(recording_id) if recording_id else None)

    # Sharing

    async def _keep_sharing(self) -> None:
        failed = 0
        while True:
            await self._locks.refresh()
            metrics.SHARDS.set(len(self._locks.held))
            failed = 0 if self._locks.others_may_own else failed + 1
            if failed > 1 and self.pressure.away_why is None:
                self._go_away("no-answer")  # nothing may be on its way that would find it out
            if leaving := self._locks.leaving:
                await self._hand_over(leaving)
                await self._locks.give_up(leaving)
            else:
                await asyncio.sleep(LOCKS_EVERY_S)

    async def _hand_over(self, shards: frozenset[int]) -> None:
        """Store and acknowledge what was read of these, save their analysers, disconnect. In time or not: what is
        not acknowledged by then comes to the next owner."""
        names = _names(shards)
        async with self._passing:  # nothing of these is on its way into `_pending` any more
            self._links.stop(shards)
        with contextlib.suppress(TimeoutError, errors.Unavailable):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                while self.pressure.may_store and self._waits_for(names):
                    self._has_pending.set()
                    await asyncio.sleep(TICK_S)
                if self.pressure.may_store:
                    async with self._committing:
                        await self.engine.commit(Sorted([]), self._now(), leaving=names)
                    self._links.publish(self.engine.acknowledgements(float("inf")))
        self._links.leave(shards)
        self._forget(shards)

    def _waits_for(self, names: frozenset[str]) -> bool:
        return self._committing.locked() or any(
            receipt.shard in names for _, receipts in self._pending for receipt in receipts
        )

    def _forget(self, shards: frozenset[int]) -> None:
        """These are somebody else's: what we remember of them grows old."""
        self._owned -= shards
        self.engine.leave(_names(shards))
        self._slowing.forget(_names(shards))

    # Reading

    async def _keep_reading(self, beat: Callable[[], None]) -> None:
        while True:
            begun_s = clock.monotonic_s()
            async with self._passing:
                ours = self._locks.held | self._locks.leaving
                lost = self._links.own(ours, self._locks.others_may_own, self._owned)
                self._slowing.gained(_names(self._locks.held - self._owned), begun_s)
                self._owned |= self._locks.held
                if lost:
                    self._forget(lost)
                self._renew(begun_s)
                messages = await self._read()
            self._links.publish(self.engine.acknowledgements(begun_s))
            self._tell_devices(begun_s)
            beat()
            spent_s = clock.monotonic_s() - begun_s
            metrics.TICK_S.observe(spent_s)
            tick_s = min(MOST_TICK_S, max(TICK_S, messages * PER_MESSAGE_S))
            await asyncio.sleep(max(tick_s - spent_s, spent_s * OTHERS_SHARE))

    @property
    def _waiting(self) -> int:
        return sum(batch.messages for batch, _ in self._pending)

    async def _read(self) -> int:
        """One pass over all sockets; the number of messages. What can't be stored soon is seen and forgotten; what
        waited at the broker is not fetched faster than it is stored.
        """
        at, waiting = self._now(), self._waiting
        self.engine.watch_clock(at, clock.monotonic_s())
        metrics.PENDING.set(waiting)
        has_room = waiting < self.pressure.batch_messages
        received, receipts = self._links.poll(at.timestamp(), has_room or not self.pressure.may_store)
        if not received:
            return 0
        batch, complete = await self.engine.take(received, at, may_load=self.pressure.away_why is None)
        self._links.publish_live(
            [(recording.shard, str(recording.id), text) for recording, text in self.engine.seconds()]
        )
        if not complete and self.pressure.away_why is None:
            self._go_away("no-answer")
        if not complete or not self.pressure.may_store or waiting >= PENDING_MESSAGES:
            self._forget_read(batch, receipts)
            return len(received)
        unstored = self._links.forgotten()
        if unstored and any(receipt.shard in unstored for receipt in receipts):
            self._count_forgotten(batch.messages)
            batch = batch.without(unstored)
            self._count_forgotten(-batch.messages)
            receipts = [receipt for receipt in receipts if receipt.shard not in unstored]
        if batch.messages:
            self._pending.append((batch, receipts))
            self._has_pending.set()
        return len(received)

    def _forget_read(self, batch: Sorted, receipts: list[Receipt]) -> None:
        self._count_forgotten(batch.messages)
        self._links.forget(receipts)
        self._has_pending.set()

    def _count_forgotten(self, messages: int) -> None:
        self.pressure.forgotten += messages
        metrics.FORGOTTEN.inc(max(0, messages))

    def _renew(self, now_s: float) -> None:
        """Have forgotten messages sent again, a shard at a time, as fast as they are stored."""
        if not self.pressure.may_store or self._waiting >= self.pressure.batch_messages // 2:
            return
        pause_s = TRY_S if self.pressure.is_trying else RENEW_EVERY_S
        if now_s - self._renewed_s < pause_s:
            return
        if self._links.renew_one(self._locks.held) is not None:
            self._renewed_s = now_s
        elif not self._links.forgotten():
            self.pressure.is_trying = False

    # Storing

    async def _keep_storing(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._has_pending.wait()
            self._has_pending.clear()
            if self.pressure.away_why is not None:
                await self._until_back()
            while self._pending or self.engine.has_unwritten:
                await self._gather()
                if not await self._store_some():
                    break

    async def _gather(self) -> None:
        """Let a batch grow, since most of a transaction costs the same whatever is in it; not while much waits."""
        since_s = clock.monotonic_s() - self._stored_s
        if since_s < GATHER_S and self._waiting < self.pressure.batch_messages:
            await asyncio.sleep(GATHER_S - since_s)
        self._stored_s = clock.monotonic_s()

    async def _store_some(self) -> bool:
        """One transaction; False if storage is away. Whatever is committed is acknowledged, however late."""
        batch, receipts = self._next_batch()
        begun_s = clock.monotonic_s()
        storing = asyncio.create_task(self._commit(batch))
        await asyncio.wait({storing}, timeout=STORE_TIMEOUT_S)
        if not storing.done():
            self._go_away("slow")
        try:
            done = await storing
        except errors.Unavailable as failure:
            self._links.forget(receipts)
            self._count_forgotten(batch.messages)
            self._go_away(str(failure.detail.get("why", "no-answer")))
            return False
        for receipt in receipts:
            receipt.acknowledge()
        now_s = clock.monotonic_s()
        self.pressure.committed(now_s, now_s - begun_s, batch.messages)
        if batch.messages and self.pressure.away_why is None:
            self.pressure.is_trying = False
        self._links.publish_live([one for stored in done for one in telling.live_vitals(stored)])
        telling.count(batch, done)
        return self.pressure.away_why is None

    def _next_batch(self) -> tuple[Sorted, list[Receipt]]:
        whole, receipts = Sorted([]), list[Receipt]()
        while self._pending and whole.messages < self.pressure.batch_messages:
            batch, own = self._pending.popleft()
            whole.add(batch)
            receipts += own
        return whole, receipts

    async def _commit(self, batch: Sorted) -> list[Stored]:
        with metrics.COMMIT_S.time():
            async with self._committing:
                try:
                    return [await self.engine.commit(batch, self._now())]
                except errors.HubError:
                    raise
                except Exception:
                    if not batch.messages:
                        raise
                    return await self.engine.commit_singly(batch, self._now())

    def _go_away(self, why: str) -> None:
        """Storage does not answer: forget what was read, so that nothing grows while it is away."""
        if self.pressure.away_why is None:
            log("ingest.storing", state=why)
        self.pressure.away_why = why
        self._hold_back()
        metrics.AWAY.set(1)

    def _hold_back(self) -> None:
        self.pressure.since_at = self.pressure.since_at or self._now()
        for batch, receipts in self._pending:
            self._count_forgotten(batch.messages)
            self._links.forget(receipts)
        self._pending.clear()
        self._has_pending.set()

    async def _until_back(self) -> None:
        """Wait for storage; then one shard tries whether it really stores."""
        pause_s = PROBE_MOST_S if self.pressure.is_trying else PROBE_S
        while True:
            await asyncio.sleep(pause_s)
            with contextlib.suppress(errors.Unavailable, psycopg.Error):
                async with self._database.transaction(ACTOR, self._now()) as conn:
                    await conn.execute("SELECT pg_current_xact_id()")  # a standby, or read-only, says so here
                break
        self.pressure.away_why, self.pressure.is_trying = None, True
        self._renewed_s = 0.0
        if self.pressure.may_store:
            self.pressure.since_at = None
        metrics.AWAY.set(0)
        log("ingest.storing", state="tried")

    # Telling

    async def _keep_telling(self) -> None:
        """Each second: the limits of disk and memory, the health word, alarms that are not stored yet."""
        while True:
            self._keep_limits()
            at = self._now()
            topic, word = telling.health_word(
                self.pressure, clock.monotonic_s(), at, self._links.unacknowledged_max, bool(self._links.forgotten()),
                shards=sorted(self._owned), pending=self._waiting, slowed_devices=self._slowing.slowed,
            )  # fmt: skip
            self._links.publish_word(topic, word)
            is_away = self.pressure.away_why is not None
            self._links.publish_live(telling.unstored_alarms(self.engine.unstored, at, is_away))
            await asyncio.sleep(WORD_EVERY_S)

    def _keep_limits(self) -> None:
        now_s, why = clock.monotonic_s(), None
        if memory_bytes() > self._settings.ingest_memory_mb * disk.MEGABYTE:
            why = "memory"
            gc.collect()
        elif self._disk_is_ours and disk.is_below_floor(self._settings):
            why = "disk-floor"
        if why != "memory":
            self._too_much_since_s = now_s
        elif now_s - self._too_much_since_s > MEMORY_GIVEN_UP_S:
            log("ingest.memory", bytes=memory_bytes())
            self._is_over.set()  # nothing is lost: whoever starts this process again goes on
        was, self.pressure.held_why = self.pressure.held_why, why
        if why is not None:
            self._hold_back()
        elif was is not None and self.pressure.away_why is None:
            self.pressure.since_at, self.pressure.is_trying = None, True

    def _tell_devices(self, now_s: float) -> None:
        state, _ = self.pressure.state(now_s, self._links.unacknowledged_max, bool(self._links.forgotten()))
        at_s = self._now().timestamp()
        here = partial(self.engine.devices_here, at_s)
        for (shard, device_id), command in telling.slowing_commands(
            self._slowing, now_s, at_s, state == "ok", here
        ):
            self._links.command(shard, device_id, command)

    async def _leave(self, storing: "asyncio.Task[None]") -> None:
        """Flush and acknowledge, save the analysers, close. What is not stored by then is not acknowledged."""
        shards = self._locks.held | self._locks.leaving | self._owned
        if not storing.done():
            await self._hand_over(shards)
        storing.cancel()
        await asyncio.wait({storing})
        self._links.close()
        await self._locks.release()


def _names(shards: frozenset[int]) -> frozenset[str]:
    return frozenset(f"{shard:02x}" for shard in shards)


async def run(
    settings: Settings, database: Database, now: Now, stop: asyncio.Event, beat: Callable[[], None]
) -> None:
    """The ingest role of `hub serve`; `database` acts as hub_ingest."""
    gc.set_threshold(YOUNG_OBJECTS)
    links = Links(settings, await known_secret(database, ACTOR, now, beat))
    locks = ShardLocks(database, settings.shards)
    await Worker(database, links, locks, now, settings).run(stop, beat)
