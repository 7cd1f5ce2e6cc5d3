"""Packets read in columns are stored, told and analysed as if each had come the ordinary way."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import control, event, packet
from devices.event import Event
from devices.packet import WaveformPacket
from hub.ingest import steady
from hub.ingest.decoding import Received
from hub.ingest.engine import Engine
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.monitoring import FS_HZ, Worn, message, noise, waveform

What = Literal[
    "next", "short", "skip", "late", "again", "contradict", "electrode", "boot", "no-battery", "packed", "button", "end"
]  # fmt: skip
ODD: tuple[What, ...] = (
    "short", "skip", "late", "again", "contradict", "electrode", "boot", "no-battery", "packed", "button",
)  # fmt: skip
SIGNAL = noise(60 * FS_HZ)
_names = count()


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a tick of so few messages is read one by one."""
    monkeypatch.setattr(steady, "FEW", 1)


@dataclass(frozen=True)
class Tick:
    """What comes within one tick, how much later than the one before; and what becomes of it."""

    sent: tuple[What, ...]
    after_s: float
    then: Literal["commit", "wait", "forget", "change"]


def ticks() -> st.SearchStrategy[list[Tick]]:
    usual = st.just("next")
    sent = st.lists(usual | usual | usual | st.sampled_from(ODD), max_size=4).map(tuple)
    then = st.sampled_from(("commit", "commit", "commit", "wait", "forget", "change"))
    return st.lists(
        st.builds(Tick, sent, st.floats(0.1, 3.0) | st.floats(40, 80), then), min_size=4, max_size=14
    )


@dataclass
class Wearable:
    """A device that sends what it is told to; what the hub forgot it sends again."""

    worn: Worn
    at: datetime
    boot: int = 1
    next_sample: int = 0
    electrodes_off: int = 0
    sent: list[WaveformPacket] = field(default_factory=list)
    skipped: list[WaveformPacket] = field(default_factory=list)

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
            self.worn, self.at, SIGNAL[:, first : first + length], first, boot=self.boot, sequence=first // 10,
            oldest=max(0, first - 5 * FS_HZ), electrodes_off=self.electrodes_off,
            device_time_s=self.at.timestamp() + self.boot - 1 + first / FS_HZ,
        )  # fmt: skip

    def _message(self, one: WaveformPacket, now: datetime, packed: bool) -> Received:
        return message(self.worn, "ecg", packet.encode(one, packed), now)


async def played(town: Town, at: datetime, wearable: Wearable, engine: Engine, script: Sequence[Tick]) -> Any:
    """Everything that came of it: what was told while it ran, and what the tables say then."""
    told: list[Any] = []
    waiting, pending, now = list[Received](), None, at
    for tick in (*script, Tick(("next", "next", "end"), 1.0, "commit")):
        now += timedelta(seconds=tick.after_s)
        new = [one for what in tick.sent for one in wearable.message(what, now)]
        batch, complete = await engine.take(new, now, may_load=True)
        assert complete
        told += [json.loads(text) for _, text in engine.seconds()]
        waiting += new
        if pending is None:
            pending = batch
        else:
            pending.add(batch)
        if tick.then == "forget":  # storage was away: what came is read again
            pending, _ = await engine.take(waiting, now, may_load=True)
        if tick.then == "change":
            engine.forget_changed(wearable.worn.device_id, wearable.worn.recording_id)
        if tick.then in ("commit", "change"):
            told.append((await engine.commit(pending, now)).samples)
            told += [
                control.decode_ack(payload) for _, payload in engine.acknowledgements(now.timestamp() + 10)
            ]
            waiting, pending = [], None
    return [of_no_one(one) for one in told], await written(town, wearable.worn)


def of_no_one(told: Any) -> Any:
    """Without what differs between two recordings."""
    return replace(told, recording=None) if isinstance(told, control.Ack) else told


async def written(town: Town, worn: Worn) -> list[Any]:
    """The rows of one device and its recording, without their ids."""
    found = []
    queries = (
        "SELECT boot, anchor_at, produced_samples, oldest_sample, final_samples, have::text FROM recording_boot",
        "SELECT boot, first_sample, at, sample_count, electrodes_off, samples FROM ecg_packet",
        "SELECT boot, slot, at, offset_s, device_s FROM recording_clock",
        "SELECT status, started_at, end_reason FROM recording WHERE id = %s",
    )
    async with await world.connect(town.databases.admin_dsn) as admin:
        for query in queries:
            where = "" if "WHERE" in query else " WHERE recording_id = %s"
            found += await (
                await admin.execute(f"{query}{where} ORDER BY 1, 2, 3", (worn.recording_id,))
            ).fetchall()
        for query in (
            "SELECT connected, last_seen_at, battery_percent, backlog_s, clock_offset_s, clock_drift_ppm FROM"
            " device_state WHERE device_id = %s",
            "SELECT reason, times FROM set_aside WHERE device_id = %s ORDER BY 1",
        ):
            found += await (await admin.execute(query, (worn.device_id,))).fetchall()
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(script=ticks())
async def test_columns_come_to_the_same_as_the_ordinary_way(
    town: Town, at: datetime, script: list[Tick]
) -> None:
    async with await world.connect(town.databases.admin_dsn) as admin:
        worn = [
            await monitoring.wear(admin, town.world.own, at, f"holter-x{next(_names)}", "02")
            for _ in range(2)
        ]
    ordinary = Engine(town.databases.ingest)
    ordinary._steady.part = lambda received: ([], list(received))  # type: ignore[method-assign]
    outcomes = [
        await played(town, at, Wearable(one, at), engine, script)
        for one, engine in zip(worn, (Engine(town.databases.ingest), ordinary), strict=True)
    ]
    in_columns, one_by_one = outcomes
    assert in_columns == one_by_one


async def test_what_goes_on_from_what_is_stored_is_read_in_columns(town: Town, at: datetime) -> None:
    wearable, taken = Wearable(town.worn, at), []
    for second in range(6):
        now = at + timedelta(seconds=second)
        batch, _ = await town.engine.take(wearable.message("next", now), now, may_load=True)
        taken.append((len(batch.items), sum(len(placed.run) for placed in batch.runs)))
        await town.engine.commit(batch, now)
    assert taken[3:] == [(0, 1)] * 3
