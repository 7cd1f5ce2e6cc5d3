"""Devices that send what a script tells them, and two engines that share their shards: what comes of it."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final, Literal
from uuid import UUID

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices import control, event, packet, sequencing
from devices.event import Event
from devices.packet import WaveformPacket
from devices.sequencing import Ledger
from hub.ingest.decoding import Received
from hub.ingest.engine import Engine
from hub.ingest.tick import Sorted
from tests import world
from tests.monitoring import FS_HZ, Worn, message, noise, waveform

What = Literal[
    "next", "short", "skip", "late", "again", "contradict", "electrode", "boot", "no-battery", "packed", "button", "end"
]  # fmt: skip
Then = Literal["commit", "wait", "forget", "change", "pass", "hang"]
ODD: tuple[What, ...] = (
    "short", "skip", "late", "again", "contradict", "electrode", "boot", "no-battery", "packed", "button",
)  # fmt: skip
SHARDS = ("02", "02", "03")  # of each device
PASSED = "02"  # the shard that changes hands
ALL = range(len(SHARDS))
LONGEST_S = 128  # of a boot


@dataclass(frozen=True)
class Tick:
    """Which devices send what within one tick, how much later than the one before; and what becomes of it."""

    sent: tuple[tuple[int, What], ...]
    after_s: float = 1.0
    then: Then = "commit"


NEXT: Final = tuple((device, "next") for device in ALL)
BEGUN: Final = 3 * (Tick(NEXT),)  # from then on packets look alike
END: Final = (Tick(NEXT), Tick(tuple((device, "end") for device in ALL)))


def scripts() -> st.SearchStrategy[list[Tick]]:
    """All devices go on, until something else comes between: a second, or more at once, and now and then a few odd
    things."""
    usual: st.SearchStrategy[What] = st.just("next")
    few = st.lists(st.tuples(st.sampled_from(ALL), usual | st.sampled_from(ODD)), max_size=3).map(tuple)
    sent = st.builds(
        lambda whole, odd: (*whole * NEXT, *odd), st.sampled_from((1, 1, 2, 3)), st.just(()) | few
    )
    then = st.sampled_from(("commit", "commit", "commit", "wait", "forget", "change", "pass", "hang"))
    after_s = st.floats(0.1, 3.0) | st.floats(0.1, 3.0) | st.floats(40, 80)
    middle = st.lists(st.builds(Tick, sent, after_s, then), min_size=4, max_size=10)
    return middle.map(lambda ticks: [*BEGUN, *ticks, *END])


@dataclass
class Wearable:
    """A device that sends what it is told to; what the hub forgot it sends again. No two have anything in common."""

    worn: Worn
    at: datetime
    number: int
    boot: int = 1
    next_sample: int = 0
    electrodes_off: int = 0
    sent: list[WaveformPacket] = field(default_factory=list)
    skipped: list[WaveformPacket] = field(default_factory=list)
    signal: NDArray[np.int16] = field(init=False)

    def __post_init__(self) -> None:
        self.signal = noise(LONGEST_S * FS_HZ, seed=self.number)

    def message(self, what: What, now: datetime) -> list[Received]:
        if what == "boot":
            self.boot, self.next_sample = self.boot + 1, 0
        if what == "electrode":
            self.electrodes_off ^= 2
        if what == "button":
            pressed = Event(f"e{len(self.sent)}-{now.timestamp()}", "button", now.timestamp())
            return [message(self.worn, "event", event.encode(pressed), now)]
        if what == "end":
            over = Event(
                "end", "end", now.timestamp(), recording=self.worn.recording_id.bytes, boot=self.boot,
                counts=((self.boot, self.next_sample),),
            )  # fmt: skip
            return [message(self.worn, "event", event.encode(over), now)]
        if what == "skip":
            self.skipped.append(self._cut(FS_HZ))
            return []
        return [self._message(one, now, what == "packed") for one in self._packets(what)]

    def _packets(self, what: What) -> Sequence[WaveformPacket]:
        if what == "late":
            return [self.skipped.pop(0)] if self.skipped else []
        if what == "again":
            return self.sent[-2:-1]
        if what == "contradict":
            return [replace(one, samples=one.samples[::-1]) for one in self.sent[-1:]]
        made = self._cut(FS_HZ // 5 if what == "short" else FS_HZ)
        made = replace(made, battery_percent=None) if what == "no-battery" else made
        self.sent.append(made)
        return [made]

    def _cut(self, length: int) -> WaveformPacket:
        first, self.next_sample = self.next_sample, self.next_sample + length
        return waveform(
            self.worn, self.at, self.signal[:, first : first + length], first, boot=self.boot, sequence=first // 10,
            oldest=max(0, first - 5 * FS_HZ), electrodes_off=self.electrodes_off, battery_percent=90 - self.number,
            device_time_s=self.at.timestamp() + self.boot + 0.125 * self.number + first / FS_HZ,
        )  # fmt: skip

    def _message(self, one: WaveformPacket, now: datetime, packed: bool) -> Received:
        return message(self.worn, "ecg", packet.encode(one, packed), now)


@dataclass
class Process:
    """An engine, and what it has read and not stored yet."""

    engine: Engine
    waiting: list[Received] = field(default_factory=list)
    pending: Sorted = field(default_factory=lambda: Sorted([]))

    async def take(self, received: list[Received], now: datetime) -> None:
        batch, complete = await self.engine.take(received, now, may_load=True)
        assert complete
        self.waiting += received
        self.pending.add(batch)

    async def forget(self, now: datetime) -> None:
        """Storage was away: what came is read again."""
        received, self.waiting, self.pending = self.waiting, [], Sorted([])
        await self.take(received, now)


class Installation:
    """Two processes that share the shards; the second begins without any."""

    def __init__(
        self, begin: Callable[[], Engine], wearables: Sequence[Wearable], admin: world.Admin, at: datetime
    ) -> None:
        self.processes = (Process(begin()), Process(begin()))
        self.owner = dict.fromkeys(SHARDS, 0)
        self.told: list[Any] = []
        self.acks: list[tuple[int, control.Ack]] = []  # device, without its recording
        self.now = at
        self._heard: dict[tuple[int, int], int] = {}  # of device and boot: what it was told last
        self._wearables, self._admin = wearables, admin
        self._of_recording = {one.worn.recording_id: one.number for one in wearables}

    async def play(self, script: Iterable[Tick]) -> None:
        for tick in script:
            self.now += timedelta(seconds=tick.after_s)
            sent = [
                one for device, what in tick.sent for one in self._wearables[device].message(what, self.now)
            ]
            for number, process in enumerate(self.processes):
                await process.take([one for one in sent if self.owner[one.shard] == number], self.now)
                self._tell_seconds(process)
            await self._go_on(tick.then)

    async def _go_on(self, then: Then) -> None:
        old, new = self.processes[self.owner[PASSED]], self.processes[1 - self.owner[PASSED]]
        if then == "forget":
            for process in self.processes:
                await process.forget(self.now)
        if then == "change":
            for worn in (one.worn for one in self._wearables):
                for process in self.processes:
                    process.engine.forget_changed(worn.device_id, worn.recording_id)
        if then in ("commit", "change", "pass"):
            for process in self.processes:
                await self._commit(process)
        if then == "pass":
            await old.engine.commit(Sorted([]), self.now, frozenset({PASSED}))
            await self._tell_acks(old, inf)
        if then == "hang":  # it learns only after its commit that the shard is another's
            await new.take([one for one in old.waiting if one.shard == PASSED], self.now)
            await self._commit(new)
            await self._commit(old, frozenset({PASSED}))
        if then in ("pass", "hang"):
            old.engine.leave(frozenset({PASSED}))
            self.owner[PASSED] = 1 - self.owner[PASSED]

    async def _commit(self, process: Process, lost: frozenset[str] = frozenset()) -> None:
        stored = await process.engine.commit(process.pending, self.now)
        process.waiting, process.pending = [], Sorted([])
        process.engine.leave(lost)
        self.told.append(("stored", stored.samples))
        await self._tell_acks(process, self.now.timestamp())

    async def _tell_acks(self, process: Process, now_s: float) -> None:
        """Nothing is told that is not committed, and no device hears less than it has heard before."""
        device_of = {f"ack/{one.worn.username}": one.number for one in self._wearables}
        acks = [
            (device_of[topic], control.decode_ack(payload))
            for topic, payload in process.engine.acknowledgements(now_s)
        ]
        committed = await self._committed() if acks else {}
        for device, ack in sorted(acks, key=lambda one: one[0]):  # the order of devices means nothing
            if ack.recording is not None:
                assert self._of_recording[UUID(bytes=ack.recording)] == device
                key = device, ack.boot
                before, self._heard[key] = self._heard.get(key, 0), ack.next_sample
                assert before <= ack.next_sample <= committed[key]
            self.acks.append((device, replace(ack, recording=None)))

    async def _committed(self) -> dict[tuple[int, int], int]:
        """Of each device's boots the first sample that is neither stored nor given up."""
        rows = await self._admin.execute(
            "SELECT recording_id, boot, oldest_sample, produced_samples, have FROM recording_boot"
            " WHERE recording_id = ANY(%s)",
            (list(self._of_recording),),
        )
        found = {}
        for row in await rows.fetchall():
            stored = tuple((part.lower, part.upper) for part in row["have"])
            ledger = Ledger(stored, row["oldest_sample"], row["produced_samples"], None)
            key = self._of_recording[row["recording_id"]], row["boot"]
            found[key] = sequencing.next_sample(ledger)
        return found

    def _tell_seconds(self, process: Process) -> None:
        seconds = [(self._of_recording[of.id], json.loads(text)) for of, text in process.engine.seconds()]
        self.told += sorted(seconds, key=lambda one: one[0])

    async def written(self) -> list[Any]:
        """What the tables say of each device."""
        return [await written(self._admin, one.worn) for one in self._wearables]


async def written(admin: world.Admin, worn: Worn) -> list[Any]:
    """The rows of one device and its recording, without their ids."""
    rows = []
    for of, query in (
        *((worn.recording_id, one) for one in OF_RECORDING),
        *((worn.device_id, one) for one in OF_DEVICE),
    ):
        rows += await (await admin.execute(query, (of,))).fetchall()  # type: ignore[arg-type]
    return rows


OF_RECORDING: Final = (
    "SELECT boot, anchor_at, produced_samples, oldest_sample, final_samples, have::text FROM recording_boot"
    " WHERE recording_id = %s ORDER BY 1",
    "SELECT boot, first_sample, at, sample_count, electrodes_off, samples FROM ecg_packet"
    " WHERE recording_id = %s ORDER BY 1, 2",
    "SELECT boot, slot, at, offset_s, device_s FROM recording_clock WHERE recording_id = %s ORDER BY 1, 2",
    "SELECT boot, next_sample, state FROM analyser_state WHERE recording_id = %s",
    "SELECT status, started_at, end_reason FROM recording WHERE id = %s",
    "SELECT payload - 'recording_id' AS payload, split_part(unique_key, ':', 4) AS name FROM job"
    " WHERE kind = 'ingest.record_pass' AND payload ->> 'recording_id' = %s::text ORDER BY unique_key",
)
OF_DEVICE: Final = (
    "SELECT connected, last_seen_at, battery_percent, backlog_s, clock_offset_s, clock_drift_ppm FROM device_state"
    " WHERE device_id = %s",
    "SELECT reason, times FROM set_aside WHERE device_id = %s ORDER BY 1",
)
