"""Everything of ingest but sockets: messages in, live results and committed transactions out.

`take` decodes, binds and analyses; it needs the database only for devices and recordings it has not met before.
`commit` stores a batch with all that hangs on it. What the live analysis finds is kept until a commit takes it along,
so that it survives a database that is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice
from math import inf
from typing import Any, Final, TypeVar
from uuid import UUID

from devices import sequencing
from devices.control import encode_progress
from hub.alarms import sos
from hub.alarms.findings import Found
from hub.alarms.raising import Cause, cause_of, is_alarm, raise_alarm, source_key
from hub.alarms.unstored import Unstored
from hub.core import actor, errors
from hub.core.db import Connection, Database
from hub.core.logging import failure_place, log
from hub.ingest import record_pass, resuming, tick
from hub.ingest.acks import AckBook
from hub.ingest.analysis import Live, LiveAnalysis, Second, Snapshot
from hub.ingest.bindings import OVER, Bindings, Recording, load_devices, load_recordings
from hub.ingest.clocks import OwnClock
from hub.ingest.days import Days
from hub.ingest.decoding import TELEHUB, Item, Received, decode, device_of, hub_failure
from hub.ingest.found import store_found
from hub.ingest.happenings import Happening
from hub.ingest.resuming import Inheritance
from hub.ingest.runs import Went, store_runs
from hub.ingest.samples import Arrival
from hub.ingest.seconds import second_json
from hub.ingest.senders import Senders
from hub.ingest.set_aside import SetAside
from hub.ingest.signals import Signal
from hub.ingest.steady import Steady
from hub.ingest.tick import Placed, Sorted, Stored
from hub.ingest.timeline import Timeline, heard_of, newest, save_estimates, shift_estimates

ACTOR: Final = actor.job("ingest")
LOAD_TIMEOUT_S: Final = 1.0
FINDINGS_KEPT: Final = 10_000
FOUND_OF_A_COMMIT: Final = 200
HERE_WITHIN_S: Final = 60.0  # heard last

T = TypeVar("T")
R = TypeVar("R")


class Engine:
    """The memory of one ingest process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.bindings, self._acks, self._days = Bindings(), AckBook(), Days()
        self._analysis, self._timeline, self._steady = LiveAnalysis(), Timeline(), Steady()
        self._senders = Senders(self._timeline, self._steady)
        self._own_clock, self._to_shift_s = OwnClock(), 0.0
        self.unstored = Unstored()
        self._found: dict[object, tuple[Recording, Found]] = {}
        self._over: set[UUID] = (
            set()
        )  # recordings closed by others, whose saved states go with the next commit
        self._changed: set[bytes] = set()  # recordings being analysed that somebody may have closed

    async def take(self, received: Sequence[Received], at: datetime, may_load: bool) -> tuple[Sorted, bool]:
        """Decode, bind and analyse; also whether everything could be decided (else: forget and ask again)."""
        now_s = at.timestamp()
        runs, received = self._steady.part(received)
        names = {name for message in received if (name := device_of(message.topic)) is not None}
        complete = await self._load(self.bindings.missing_devices(names, now_s), load_devices, at, may_load)
        if not complete:
            received = [m for m in received if device_of(m.topic) in self.bindings.devices]
        items = [decode(message, self.bindings.devices) for message in received]
        running = {self.bindings.open_recordings.get(item.device.id) for item in items if item.device}
        named = tick.named_recordings(items) | self._changed
        named |= {name for name in running if name is not None}
        complete &= await self._load(self.bindings.missing_recordings(named), load_recordings, at, may_load)
        if not complete:
            items = [one for one in items if all(map(self.bindings.knows, tick.named_recordings([one])))]
        self._finish_closed(at)
        batch = tick.sort_out(items, self.bindings, self._senders.clock_offset_s)
        batch.runs = [Placed(0, 0, run) for run in runs]
        _each_alone(self._senders.note_run, runs)
        await self._analyse(batch, at, may_load)
        self._keep_sos(batch.happenings, at)
        _each_alone(self._senders.note, items)
        _each_alone(self._steady.meet, batch.arrivals)
        return batch, complete

    def watch_clock(self, at: datetime, monotonic_s: float) -> None:
        """Notice that the hub's own clock was set: what is remembered moves with it, so that no time is lost."""
        by_s = self._own_clock.stepped_s(at.timestamp(), monotonic_s)
        if not by_s:
            return
        log("clock.stepped", by_s=round(by_s, 3))
        for one in (self._timeline, self._senders, self._analysis):
            one.shift(by_s)
        self.bindings.shift(by_s)
        self._to_shift_s += by_s

    def forget_changed(self, device_id: str | None, recording_id: UUID | None) -> None:
        """A device or a recording changed; without names, any may have."""
        known = [recording_id] if recording_id or device_id else [of for of, _ in self._analysis.boots]
        self._changed |= {of.bytes for of in known if of is not None and of in self._analysis}
        self.bindings.forget_changed(device_id, recording_id)
        self._steady.forget_changed(device_id, recording_id)

    def acknowledgements(self, now_s: float) -> list[tuple[str, bytes]]:
        """Topics and payloads to publish now, retained, QoS 1; all there are at an infinite `now_s`."""
        told = self._steady.told(now_s)
        if now_s < inf:  # else the devices that stay with us would never be told again
            self._acks.told([source.device.id for source, _ in told], now_s)
        whole = [(source.ack_topic, encode_progress(source.ack_head, end)) for source, end in told]
        return whole + self._acks.due(now_s, self._steady.next_sample)

    def seconds(self) -> list[tuple[Recording, str]]:
        """Live results to publish, as JSON."""
        return _each_alone(lambda one: (one.recording, self._second_json(one)), self._analysis.seconds())

    async def commit(self, batch: Sorted, at: datetime, leaving: Set[str] = frozenset()) -> Stored:
        """Store a batch in one transaction, then note what devices have to be told; of shards that are about to be
        given up all analysers are saved. One at a time.
        """
        # Taken at one instant: a saved state has told all its findings, and they are stored with it.
        found, snapshots = dict(self._found), self._analysis.snapshots(at.timestamp(), leaving)
        if len(found) > FOUND_OF_A_COMMIT and not leaving:  # of a long outage: no transaction may take long
            found, snapshots = dict(islice(found.items(), FOUND_OF_A_COMMIT)), []
        over = frozenset(self._over)
        due, shifting_s = self._senders.due(at.timestamp()), self._to_shift_s
        committed = False
        try:
            async with self._database.transaction(ACTOR, at) as conn:
                apart = self._steady.rows_of(
                    [h.recording.id for h in batch.happenings if h.recording], {a.key for a in batch.arrivals}
                )
                went, masks = await store_runs(
                    conn, self._steady, self._days, [p.run for p in batch.runs], apart
                )
                batch = batch.ordinary(masks)
                known = self._steady.ledgers({a.key for a in batch.arrivals})
                stored = await tick.store(conn, at, batch, self._days, known)
                await self._store_rest(conn, at, batch, stored, went, found, snapshots, shifting_s)
                if len(due):
                    await self._senders.write(conn, due, at.timestamp())
            committed = True
        finally:
            self._days.settle(committed)
        self._steady.went_on(went.rows, went.end, went.oldest, self._acks)
        self._senders.note_went(went)  # before `settle`, which may begin the table of boots anew
        self._steady.settle(stored.boots, self._acks)
        told = [sos.source_key(h.device.id, h.event) for h in batch.happenings if h.event.kind == sos.SOS]
        for key, one in found.items():
            if self._found.get(key) is one:
                del self._found[key]
                told.append(source_key(one[0].id, one[1]))
        self._to_shift_s -= shifting_s
        self.unstored.stored(told, at.timestamp())
        self._over -= over
        self._analysis.saved(snapshots, at.timestamp())
        self._senders.written(due, at.timestamp())
        self._after(batch, stored, at)
        return replace(stored, samples=stored.samples + went.samples)

    async def commit_singly(self, batch: Sorted, at: datetime) -> list[Stored]:
        """After a failure that is not the database's: halve until the message that causes it is alone, and set
        that aside.
        """
        items = batch.plain_items()
        half = len(items) // 2
        if half:
            parts = (items[:half], items[half:])
            return [stored for part in parts for stored in await self._commit_part(part, at)]
        return [stored for item in items for stored in await self._commit_part([item], at)]

    async def _commit_part(self, items: list[Item], at: datetime) -> list[Stored]:
        part = tick.sort_out(items, self.bindings, self._senders.clock_offset_s)
        try:
            return [await self.commit(part, at)]
        except errors.HubError:
            raise
        except Exception as failure:  # whatever a message brought about: it must not stop the others
            if len(items) > 1:
                return await self.commit_singly(part, at)
            refused = [SetAside(items[0], hub_failure(failure))]
            return [await self.commit(Sorted(items, refused=refused), at)]

    def leave(self, shards: Set[str]) -> None:
        """Other processes own these now."""
        self._analysis.leave(shards)
        self._acks.leave(shards)
        self._steady.leave(shards)
        self.unstored.leave(shards)

    def devices_here(self, now_s: float) -> list[tuple[str, str]]:
        """(shard, id) of the devices that are there and understand commands."""
        known = (self.bindings.devices.get(name) for name in self._senders.here(now_s - HERE_WITHIN_S))
        return [(one.shard, one.id) for one in known if one is not None and one.driver == TELEHUB]

    @property
    def has_unwritten(self) -> bool:
        """Whether a commit without messages has something to do."""
        return bool(self._found or self._over)

    async def _load(
        self,
        missing: set[Any],
        load: Callable[[Connection, Bindings, set[Any]], Awaitable[None]],
        at: datetime,
        may_load: bool,
    ) -> bool:
        """Learn of what was not met before; False if that is not possible now."""
        if not missing:
            return True
        return may_load and await self._in_time(at, lambda conn: load(conn, self.bindings, missing))

    async def _in_time(self, at: datetime, work: Callable[[Connection], Awaitable[None]]) -> bool:
        """Run a short query; live signals don't wait long for it."""

        async def run() -> None:
            async with self._database.transaction(ACTOR, at) as conn:
                await work(conn)

        task = asyncio.create_task(run())
        await asyncio.wait({task}, timeout=LOAD_TIMEOUT_S)
        if not task.done():
            task.cancel()
            return False
        failure = task.exception()
        if failure is not None and not isinstance(failure, errors.Unavailable):
            raise failure
        return failure is None

    async def _analyse(self, batch: Sorted, at: datetime, may_load: bool) -> None:
        ordinary = [a for a in batch.arrivals if a.recording.status not in OVER]
        runs = [live for placed in batch.runs if (live := self._steady.live(placed.run)) is not None]
        met = [[one.recording for one in ordinary], *(run.recordings for run in runs)]
        unknown = self._analysis.unknown(chain.from_iterable(met))
        replay = await self._take_up(unknown, at, may_load) if unknown else []
        self._timeline.expect(ordinary)
        self._keep_found(self._analysis.advance(replay), at)
        self._keep_found(self._analysis.advance([_signal(one) for one in ordinary]), at)
        self._keep_found(self._analysis.advance_together(runs), at)

    async def _take_up(self, unknown: dict[UUID, Recording], at: datetime, may_load: bool) -> list[Signal]:
        """Go on where the shard's owner before us stopped; what was stored since it saved its states."""
        left = Inheritance()

        async def read(conn: Connection) -> None:
            nonlocal left
            left = await resuming.read_inheritance(conn, unknown)

        if may_load:
            await self._in_time(at, read)
        self._timeline.inherit(left.anchors_us)
        self._analysis.take_up(unknown, left.snapshots, at.timestamp())
        return resuming.replayed(left.snapshots, left.missed)

    def _finish_closed(self, at: datetime) -> None:
        """Recordings that a person or a timer closed: what is open of them is over."""
        if not self._changed:
            return
        states = {name: self.bindings.recordings.get(name) for name in self._changed}
        self._changed -= {name for name in states if name in self.bindings.recordings}
        over = [one.id for one in states.values() if one is not None and one.status in OVER]
        self._keep_found(self._analysis.finish(over), at)
        self._over |= set(over)

    def _keep_found(self, found: Iterable[Live], at: datetime) -> None:
        """Findings wait here for the next commit; of each episode only the newest word."""
        for live, one in _each_alone(lambda live: (live, self._found_of(live)), found):
            _, known = self._found.get(one.key, (None, None))
            if known is None and len(self._found) >= FINDINGS_KEPT:
                continue
            one = replace(one, seen_at=known.seen_at if known else at)
            self._found[one.key] = (live.recording, one)
            cause = cause_of(live.recording.id, one, at)
            if cause is not None and is_alarm(cause):
                self.unstored.note(live.recording, cause, at, is_gone=one.finding.phase == "offset")

    def _keep_sos(self, happened: Iterable[Happening], at: datetime) -> None:
        for one in happened:
            if one.event.kind == sos.SOS and one.recording is not None:
                self.unstored.note(one.recording, self._sos_cause(one), at)

    def _sos_cause(self, one: Happening) -> Cause:
        """As it was told first: what comes again says nothing of when the key was pressed."""
        known = self.unstored.cause(sos.source_key(one.device.id, one.event))
        return known or sos.cause_of(one.device.id, one.event, one.received_s)

    def _found_of(self, live: Live) -> Found:
        recording, finding = live.recording, live.finding
        key, fs_hz = (recording.id, live.boot), recording.fs_hz
        offset_at = (
            None if finding.offset_sample is None else self._timeline.at(key, finding.offset_sample, fs_hz)
        )
        onset_at = self._timeline.at(key, finding.onset_sample, fs_hz)
        return Found(
            recording.id, recording.patient_id, recording.organisation_id, "live", live.boot, onset_at, offset_at,
            finding,
        )  # fmt: skip

    def _second_json(self, second: Second) -> str:
        recording = second.recording
        key, timeline = (recording.id, second.boot), self._timeline
        found = [self._found_of(Live(recording, second.boot, finding)) for finding in second.findings]
        at_us = timeline.at_us(key, second.sample, recording.fs_hz)
        return second_json(second, at_us, timeline.anchor_us(key), found)

    async def _store_rest(
        self,
        conn: Connection,
        at: datetime,
        batch: Sorted,
        stored: Stored,
        went: Went,
        found: dict[object, tuple[Recording, Found]],
        snapshots: list[Snapshot],
        shifting_s: float,
    ) -> None:
        """Clocks, findings, alarms and analyser states, in the batch's transaction."""
        if self._timeline.forget_all_but(self._analysis.boots):
            self._steady.forget_changed()
        heard = {key: heard_of(arrival) for key, arrival in newest(batch.arrivals).items()}
        estimates = self._timeline.learn(stored.boots, heard | went.newest_with_news(self._steady))
        await record_pass.enqueue_due(conn, at, *went.become_complete(self._steady))
        if shifting_s:
            await shift_estimates(conn, self._timeline.recordings, shifting_s)
        if estimates:
            await save_estimates(conn, estimates)
        if found:
            await store_found(conn, ACTOR, at, list(found.values()))
        for one in batch.happenings:
            if one.event.kind == sos.SOS and one.recording is not None:
                await raise_alarm(conn, ACTOR, at, one.recording, self._sos_cause(one))
        if snapshots:
            await resuming.save(conn, at, snapshots)
        if over := {*stored.ended, *self._over}:
            await resuming.forget(conn, over)

    def _after(self, batch: Sorted, stored: Stored, at: datetime) -> None:
        """What follows from a commit: acknowledgements, backlogs, recordings that began or are over."""
        recordings = {a.recording.id: a.recording for a in batch.arrivals}
        recordings |= {h.recording.id: h.recording for h in batch.happenings if h.recording is not None}
        answered = stored.with_duplicates | stored.with_end
        for key, boot in stored.boots.items():
            recording, ledger = recordings[key[0]], boot.ledger
            self._acks.note(
                recording.shard, recording.device_id, (key[0].bytes, key[1]), sequencing.next_sample(ledger),
                sequencing.wanted(ledger), key in answered,
            )  # fmt: skip
        for device, event_id in stored.event_ids:
            self._acks.note_event(device.shard, device.id, event_id, bool(stored.with_end))
        for key, arrival in newest(batch.arrivals).items():
            if key in stored.boots:
                self._senders.note_stored(arrival, stored.before[key], stored.boots[key])
        self.bindings.mark_started(stored.started)
        self._keep_found(self._analysis.finish(stored.ended), at)
        for recording_id in stored.ended:  # what comes of it again is not live
            self.bindings.forget_changed(None, recording_id)
            self._steady.forget_changed(None, recording_id)


def _signal(one: Arrival) -> Signal:
    packet = one.packet
    return Signal(one.recording, packet.boot, packet.first_sample, packet.electrodes_off, packet.samples)


def _each_alone(work: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """What comes of each; a thing the hub fails on is left out, so that the others go on."""
    done: list[R] = []
    for thing in things:
        try:
            done.append(work(thing))
        except Exception as failure:
            log("ingest.spared", failure=failure_place(failure))
    return done
