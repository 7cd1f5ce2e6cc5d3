"""A shard changes hands at any moment, in the middle of a commit too: what is stored and found stays the same.

The broker is played here: it hands out messages in order, and again whatever was not acknowledged.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.packet import WaveformPacket, encode
from ecg.synthetic import Segment, Synthesiser
from hub.core import errors
from hub.ingest.decoding import Received
from hub.ingest.engine import Engine
from hub.ingest.tick import Sorted
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.monitoring import FS_HZ, LEADS, Worn, cut, message

SECONDS = 150
SECOND_BOOT_FROM = 95
LOST = range(62, 66)  # seconds that never come
CLOCK_ERROR = timedelta(seconds=-95)
HEART = (
    Segment("sinus", 25.0, 70.0),
    Segment("vt", 6.0, 170.0),
    Segment("af", 50.0, 110.0),
    Segment("sinus", 20.0, 50.0, pause_s=3.4),
    Segment("af", 40.0, 120.0),
)
_names = count()

REAL = settings(
    max_examples=min(40, settings().max_examples // 12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)


@dataclass
class Shard:
    """What the broker holds for one device, and the engine that owns its shard now."""

    town: Town
    waiting: Sequence[Received]
    engine: Engine
    read: int = 0
    acknowledged: int = 0
    pending: Sorted = field(default_factory=lambda: Sorted([]))

    @property
    def at(self) -> datetime:
        newest = self.waiting[max(0, self.read - 1)].received_s
        return datetime.fromtimestamp(newest, UTC)

    async def take(self, messages: int) -> None:
        received = list(self.waiting[self.read : self.read + messages])
        if not received:
            return
        self.read += len(received)
        batch, complete = await self.engine.take(received, self.at, may_load=True)
        assert complete
        self.engine.seconds()
        self.pending.add(batch)

    async def store(self) -> None:
        await self.engine.commit(self.pending, self.at)
        self.acknowledged, self.pending = self.read, Sorted([])

    async def fail_to_store(self, steps: int) -> None:
        """A commit that is cut off after some steps of the loop; whether it has committed nobody knows."""
        committing = asyncio.create_task(self.engine.commit(self.pending, self.at))
        for _ in range(steps):
            await asyncio.sleep(0)
        committing.cancel()
        with contextlib.suppress(asyncio.CancelledError, errors.Unavailable):
            await committing

    def again(self) -> None:
        """The session is new: everything not acknowledged comes again."""
        self.read, self.pending = self.acknowledged, Sorted([])

    def change_hands(self) -> None:
        self.engine = Engine(self.town.databases.ingest)
        self.again()


@cache
def heart() -> NDArray[np.int16]:
    return Synthesiser(11, FS_HZ, LEADS, HEART).samples(0, SECONDS * FS_HZ)


def packets(worn: Worn, at: datetime) -> list[WaveformPacket]:
    """A second each, of two boots, with a hole in the first."""
    border = SECOND_BOOT_FROM * FS_HZ
    scale = Synthesiser(11, FS_HZ, LEADS, HEART).uv_per_lsb
    boots = []
    for boot, signal, since_s in ((1, heart()[:, :border], 0), (2, heart()[:, border:], SECOND_BOOT_FROM)):
        begun_at = at + CLOCK_ERROR + timedelta(seconds=since_s)
        bounds = range(FS_HZ, signal.shape[1] + 1, FS_HZ)
        boots += cut(worn, begun_at, signal, bounds, boot=boot, uv_per_lsb=scale)
    return [packet for second, packet in enumerate(boots) if second not in LOST]


async def fresh(town: Town, at: datetime) -> tuple[Worn, Shard]:
    async with await world.connect(town.databases.admin_dsn) as admin:
        worn = await monitoring.wear(admin, town.world.own, at, f"holter-t{next(_names)}", "03")
    sent = []
    for packet in packets(worn, at):
        made_at = datetime.fromtimestamp(packet.device_time_s, at.tzinfo) - CLOCK_ERROR
        sent.append(message(worn, "ecg", encode(packet), made_at + timedelta(seconds=1.2)))
    return worn, Shard(town, sent, Engine(town.databases.ingest))


async def outcome(town: Town, worn: Worn) -> list[dict[str, Any]]:
    """Findings of the live pass and their alarms."""
    async with await world.connect(town.databases.admin_dsn) as admin:
        found = await (
            await admin.execute(
                "SELECT rule, version, boot, onset_sample, offset_sample, onset_at, offset_at, priority, leads,"
                " numbers, quality, note FROM finding WHERE recording_id = %s AND pass = 'live'"
                " ORDER BY boot, onset_sample, rule",
                (worn.recording_id,),
            )
        ).fetchall()
        alarms = await (
            await admin.execute(
                "SELECT rule, priority, condition, onset_at, late FROM alarm WHERE recording_id = %s"
                " ORDER BY onset_at, rule",
                (worn.recording_id,),
            )
        ).fetchall()
    return [*found, *alarms]


ACTIONS = st.one_of(
    st.tuples(st.just("take"), st.integers(1, 30)),
    st.tuples(st.just("store"), st.just(0)),
    st.tuples(st.just("fail"), st.integers(0, 60)),
    st.tuples(st.just("again"), st.just(0)),
    st.tuples(st.just("change hands"), st.just(0)),
)


@REAL
@given(st.lists(ACTIONS, min_size=4, max_size=40))
async def test_a_new_owner_finds_and_stores_what_one_alone_would(
    town: Town, at: datetime, actions: list[tuple[str, int]]
) -> None:
    alone, quiet = await fresh(town, at)
    while quiet.read < len(quiet.waiting):
        await quiet.take(1)
        await quiet.store()
    worn, shard = await fresh(town, at)
    for action, number in actions:
        match action:
            case "take":
                await shard.take(number)
            case "store":
                await shard.store()
            case "fail":
                await shard.fail_to_store(number)
                shard.again()
            case "again":
                shard.again()
            case _:
                shard.change_hands()
    while shard.acknowledged < len(shard.waiting):
        await shard.take(10)
        await shard.store()
    for boot in (1, 2):
        assert (await parts(town, worn, boot)) == (await parts(town, alone, boot))
    expected = await outcome(town, alone)
    assert {"vt-run", "pause"} & {row["rule"] for row in expected}
    assert await outcome(town, worn) == expected


async def parts(town: Town, worn: Worn, boot: int) -> dict[int, bytes]:
    stored = await monitoring.stored_samples(town.databases.admin_dsn, worn.recording_id, boot)
    return {first: samples.tobytes() for first, samples in stored.items()}
