"""Compaction changes where samples are, and nothing that can be asked about them."""

import asyncio
import contextlib
import json
import os
import random
import struct
import sys
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.packet import WaveformPacket
from ecg import integrity
from hub.core import actor, db, errors, jobs
from hub.core.db import Connection
from hub.reading.timeline import read_record, read_timeline
from hub.telemetry import blocks, compaction, metrics, overview, windows, worker
from hub.telemetry.blocks import Span, stored_pieces
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.monitoring import FS_HZ, Worn, cut, noise, send, waveform
from tests.telemetry.compacting import compact

DESK = actor.job("desk")
BLOCK = 10 * FS_HZ
LENGTH = 3 * BLOCK + 700
SIGNAL = noise(LENGTH)
OTHER = noise(LENGTH, 2)
MASK_S = 500  # samples under one set of electrodes
HOUR = timedelta(hours=1)
KILLS = int(os.environ.get("TELEHUB_KILLS", "3"))
_names = count()

Step = tuple[str, int]


def pieces(bounds: list[int]) -> list[tuple[int, int]]:
    return list(zip([0, *bounds], bounds, strict=False))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[Step], int]:
    """Two ways of cutting the same samples; what is sent, contradicted and compacted when; packets in a page."""
    ranges = []
    for _ in range(2):
        inner = draw(st.sets(st.integers(1, LENGTH - 1), max_size=5)) | set(range(MASK_S, LENGTH, MASK_S))
        ranges += pieces([*sorted(inner), LENGTH])
    number = st.integers(0, len(ranges) - 1)
    kinds = st.sampled_from(["send"] * 6 + ["contradict", "compact", "compact"])
    steps = draw(st.lists(st.tuples(kinds, number), min_size=5, max_size=40))
    return ranges, steps, draw(st.integers(1, 30))


def of_range(worn: Worn, at: datetime, low: int, high: int, signal: NDArray[np.int16]) -> WaveformPacket:
    mask = low // MASK_S % 4  # of the electrodes in this stretch
    return waveform(worn, at, signal[:, low:high], low, electrodes_off=mask)


async def another(town: Town, at: datetime) -> Worn:
    async with await world.connect(town.databases.admin_dsn) as admin:
        return await monitoring.wear(admin, town.world.own, at, f"holter-b{next(_names)}", "02")


async def told(town: Town, at: datetime, worn: Worn) -> dict[str, Any]:
    """All that can be asked about the samples of a recording."""
    async with town.databases.app.transaction(DESK, at) as conn:
        recording = await db.one(conn, "SELECT * FROM recording WHERE id = %s", (worn.recording_id,))
        window = await windows.read_window(conn, DESK, at, worn.recording_id, 1, 17, LENGTH)
        line = await read_timeline(conn, worn.recording_id)
        return {
            "samples": await cells(conn, worn),
            "window": window.to_bytes(),
            "overviews": [
                (await overview.read_overview(conn, DESK, at, worn.recording_id, low, high, columns)).to_bytes()
                for low, high, columns in (
                    (None, None, 10), (None, None, 15), (at, at + HOUR, 10), (at, at + timedelta(seconds=20), 900),
                    (at + timedelta(seconds=3.3), at + timedelta(seconds=17.7), 13),
                )
            ],
            "root": integrity.record_root(await read_record(conn, recording, line)).hex(),
        }  # fmt: skip


async def cells(conn: Connection, worn: Worn) -> list[bytes]:
    """Of each sample its index, electrodes and values, whatever pieces they come in."""
    found = []
    for piece in await stored_pieces(conn, [Span(worn.recording_id, 1, 0, 10 * LENGTH)]):
        rows = np.empty((piece.samples.shape[1], piece.samples.shape[0] + 2), np.int64)
        rows[:, 0] = np.arange(piece.first_sample, piece.end_sample)
        rows[:, 1], rows[:, 2:] = piece.electrodes_off, piece.samples.T
        found += [row.tobytes() for row in rows]
    return found


async def conflicts(town: Town, worn: Worn) -> int:
    async with await world.connect(town.databases.admin_dsn) as admin:
        found = await admin.execute(
            "SELECT coalesce(sum(times), 0)::int AS times FROM set_aside WHERE device_id = %s AND reason = 'conflict'",
            (worn.device_id,),
        )
        row = await found.fetchone()
    assert row is not None
    return int(row["times"])


async def places(town: Town, worn: Worn) -> tuple[int, int]:
    """How many packets and blocks there are."""
    async with await world.connect(town.databases.admin_dsn) as admin:
        row = await db.one(
            admin,
            "SELECT (SELECT count(*) FROM ecg_packet WHERE recording_id = %(id)s) AS packets,"
            " (SELECT count(*) FROM ecg_block WHERE recording_id = %(id)s) AS blocks",
            {"id": worn.recording_id},
        )
    return row["packets"], row["blocks"]


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(histories())
async def test_nothing_that_is_asked_depends_on_compaction(
    town: Town,
    at: datetime,
    monkeypatch: pytest.MonkeyPatch,
    history: tuple[list[tuple[int, int]], list[Step], int],
) -> None:
    """Any order, repeats, cuts and contradictions; one recording compacted in between, one never."""
    ranges, steps, page = history
    monkeypatch.setattr(compaction, "PACKETS", page)
    pair = await another(town, at), await another(town, at)
    for kind, number in [("send", 0), *steps]:
        if kind == "compact":
            await compact(town.databases.app, at + HOUR, pair[0].recording_id)
        else:
            for worn in pair:
                signal = SIGNAL if kind == "send" else OTHER
                if kind == "contradict" and not any(s == ("send", number) for s in [("send", 0), *steps]):
                    continue  # it would be the first to come
                await send(town.engine, worn, [of_range(worn, at, *ranges[number], signal)], at)
    never = await told(town, at, pair[1])
    assert await told(town, at, pair[0]) == never
    await compact(town.databases.app, at + HOUR, pair[0].recording_id)
    assert await told(town, at, pair[0]) == never
    assert ((await places(town, pair[0]))[0], (await places(town, pair[1]))[1]) == (0, 0)
    assert await conflicts(town, pair[0]) == await conflicts(town, pair[1])


async def full(town: Town, at: datetime, seconds: int) -> Worn:
    """A recording of so many seconds, in packets."""
    worn = await another(town, at)
    signal = noise(seconds * FS_HZ, 5)
    for low in range(0, seconds, 120):
        high = min(seconds, low + 120)
        packets = [
            waveform(worn, at, signal[:, k * FS_HZ : (k + 1) * FS_HZ], k * FS_HZ) for k in range(low, high)
        ]
        await send(town.engine, worn, packets, at)
    return worn


async def test_a_compactor_killed_at_any_moment_loses_and_doubles_nothing(town: Town, at: datetime) -> None:
    worn = await full(town, at, 600)
    before = await monitoring.stored_signal(town.databases.admin_dsn, worn.recording_id)
    moments = random.Random(3)
    for _ in range(KILLS):
        command = (town.databases.admin_dsn, (at + HOUR).isoformat(), str(worn.recording_id))
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.telemetry.compacting", *command, stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), moments.uniform(0.0, 0.3))
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        after = await monitoring.stored_signal(town.databases.admin_dsn, worn.recording_id)
        assert np.array_equal(after, before)
    await compact(town.databases.app, at + HOUR, worn.recording_id)
    assert await places(town, worn) == (0, 60)
    assert np.array_equal(await monitoring.stored_signal(town.databases.admin_dsn, worn.recording_id), before)


async def test_readers_and_the_tick_go_on_beside_compactors(town: Town, at: datetime) -> None:
    """Packets come in pieces that straddle blocks, out of order, while two compactors take them at once."""
    worn = await another(town, at)
    bounds = [*range(333, LENGTH, 333), LENGTH]
    packets = cut(worn, at, SIGNAL, bounds)
    random.Random(5).shuffle(packets)
    committed: list[WaveformPacket] = []
    over = asyncio.Event()

    async def compactor() -> None:
        while not over.is_set():
            await compact(town.databases.app, at + HOUR, worn.recording_id)

    async def reader() -> None:
        while not over.is_set():
            known = [*committed]
            found = await monitoring.stored_samples(town.databases.admin_dsn, worn.recording_id)
            line = np.full(SIGNAL.shape, blocks.MISSING, np.int16)
            for first, samples in found.items():
                line[:, first : first + samples.shape[1]] = samples
            for packet in known:
                assert np.array_equal(line[:, packet.first_sample : packet.end_sample], packet.samples)

    async def tick() -> None:
        try:
            for packet in packets:
                await send(town.engine, worn, [packet], at)
                committed.append(packet)
        finally:
            over.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for each in (compactor, compactor, reader, tick):
            tasks.create_task(each())
    await compact(town.databases.app, at + HOUR, worn.recording_id)
    assert await places(town, worn) == (0, 4)
    assert np.array_equal(await monitoring.stored_signal(town.databases.admin_dsn, worn.recording_id), SIGNAL)


async def test_the_newest_samples_of_a_running_recording_stay_hot(town: Town, at: datetime) -> None:
    worn = await full(town, at, 120)
    await compact(town.databases.app, at + timedelta(seconds=130), worn.recording_id)
    assert await places(town, worn) == (compaction.MARGIN_S, 9)
    async with town.databases.app.transaction(DESK, at) as conn:
        assert await compaction.enqueue_due(conn, at + timedelta(seconds=130)) == 0
        assert await compaction.enqueue_due(conn, at + HOUR) == 1
        assert await compaction.enqueue_due(conn, at + HOUR) == 1
        assert len(await db.rows(conn, "SELECT FROM job WHERE kind = %s", (compaction.JOB,))) == 1


async def test_an_old_day_loses_its_partition_when_it_is_empty_and_not_before(
    town: Town, at: datetime
) -> None:
    async def days() -> list[Any]:
        async with await world.connect(town.databases.admin_dsn) as admin:
            found = await db.rows(admin, "SELECT day FROM ecg_day ORDER BY day")
            parts = await db.rows(admin, "SELECT FROM pg_inherits WHERE inhparent = 'ecg_packet'::regclass")
        assert len(parts) == len(found)
        return [row["day"] for row in found]

    worn, later = town.worn, at + timedelta(days=80)
    await send(town.engine, worn, [waveform(worn, at, SIGNAL[:, :BLOCK])], at)
    await send(town.engine, town.other, [waveform(town.other, later, SIGNAL[:, :BLOCK])], later)
    for compacted in (False, True):
        if compacted:
            await compact(town.databases.app, later, worn.recording_id)
        async with town.databases.app.transaction(DESK, later) as conn:
            assert await compaction.forget_days(conn, later) == compacted
        assert await days() == ([later.date()] if compacted else [at.date(), later.date()])
    whole = await monitoring.stored_signal(town.databases.admin_dsn, worn.recording_id)
    assert np.array_equal(whole, SIGNAL[:, :BLOCK])


async def test_storage_is_counted_and_a_reopened_block_is_not_counted_twice(town: Town, at: datetime) -> None:
    worn = await another(town, at)
    parts = cut(worn, at, SIGNAL[:, :BLOCK], (1000, BLOCK))
    for part in reversed(parts):
        await send(town.engine, worn, [part], at)
        await compact(town.databases.app, at + HOUR, worn.recording_id)
    async with town.databases.app.transaction(DESK, at) as conn:
        await metrics.count_stored(conn)
    async with await world.connect(town.databases.admin_dsn) as admin:
        row = await db.one(
            admin,
            "SELECT sum(octet_length(whole) + octet_length(seconds) + octet_length(payload))::int AS bytes"
            " FROM ecg_block",
        )
    assert metrics.BLOCKS._value.get() == 1
    assert metrics.BLOCK_BYTES._value.get() == row["bytes"]
    assert metrics.RAW_BYTES._value.get() == 3 * BLOCK * 2
    assert metrics.DAY_BYTES._value.get() == pytest.approx(row["bytes"] * 8640)


async def test_a_damaged_block_is_an_error_for_who_reads_it_and_no_obstacle_for_the_tick(
    town: Town, at: datetime
) -> None:
    worn = town.worn
    sent = cut(worn, at, SIGNAL, (BLOCK, 2 * BLOCK))
    await send(town.engine, worn, sent, at)
    await compact(town.databases.app, at + HOUR, worn.recording_id)
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute(
            "UPDATE ecg_block SET payload = set_byte(payload, 99, get_byte(payload, 99) # 1) WHERE first_sample = 0"
        )
    async with town.databases.app.transaction(DESK, at) as conn:
        with pytest.raises(errors.Unavailable) as refused:
            await windows.read_window(conn, DESK, at, worn.recording_id, 1, 0, 10)
        assert refused.value.code == "samples_damaged"
        whole = await windows.read_window(conn, DESK, at, worn.recording_id, 1, BLOCK, BLOCK)
    assert np.array_equal(whole.samples, SIGNAL[:, BLOCK : 2 * BLOCK])
    stored = await send(town.engine, worn, [*sent, waveform(worn, at, SIGNAL[:, -700:], 3 * BLOCK)], at)
    assert stored.samples == 700


async def test_a_job_of_a_recording_runs_from_the_sweep_to_the_blocks(town: Town, at: datetime) -> None:
    worn = await full(town, at, 30)
    later = at + HOUR
    context = jobs.Context(town.databases.app, None, None, later)  # type: ignore[arg-type]
    await worker.enqueue_compaction(context)
    kinds = {compaction.JOB: worker.JOBS[compaction.JOB]}
    running = jobs.Worker(town.databases.app, None, None, kinds, lambda: later + HOUR, "test")  # type: ignore[arg-type]
    assert await jobs.run_due(running) == 1
    assert await places(town, worn) == (0, 3)


def parsed(data: bytes) -> tuple[dict[str, Any], NDArray[np.int16], NDArray[np.uint8]]:
    magic, length = struct.unpack_from("<4sI", data)
    assert magic == b"TLO1"
    header = json.loads(data[8 : 8 + length])
    values = len(header["leads"]) * header["columns"] * 2
    extremes = np.frombuffer(data, "<i2", values, 8 + length).reshape(len(header["leads"]), -1, 2)
    return header, extremes, np.frombuffer(data, np.uint8, offset=8 + length + 2 * values)


@pytest.mark.parametrize(("columns", "bin_samples"), [(80, 1), (40, FS_HZ), (4, BLOCK)])
async def test_an_overview_shows_the_extremes_and_the_gaps_of_every_column(
    town: Town, at: datetime, columns: int, bin_samples: int
) -> None:
    """40 s of which 5 s are missing, a part compacted; drawn from samples, from seconds, from blocks."""
    worn, signal, lost = town.worn, noise(40 * FS_HZ, 9), (12 * FS_HZ, 17 * FS_HZ)
    await send(town.engine, worn, [waveform(worn, at, signal[:, : lost[0]])], at)
    await compact(town.databases.app, at + HOUR, worn.recording_id)
    await send(town.engine, worn, [waveform(worn, at, signal[:, lost[1] :], lost[1])], at)
    async with town.databases.app.transaction(DESK, at) as conn:
        found = await overview.read_overview(conn, DESK, at, worn.recording_id, None, None, columns)
    header, extremes, missing = parsed(found.to_bytes())
    assert (header["bin_samples"], header["newest_at"]) == (bin_samples, header["to"])
    width = 40 * FS_HZ // columns
    for column in range(columns):
        held = [k for k in range(column * width, (column + 1) * width) if not lost[0] <= k < lost[1]]
        gone = 1 - len(held) / width
        assert (missing[column] == 0) == (gone == 0)
        assert (missing[column] == overview.ALL) == (gone == 1)
        assert abs(missing[column] / overview.ALL - gone) < 0.01
        if held:
            part = signal[:, held]
            assert np.array_equal(extremes[:, column], np.stack([part.min(axis=1), part.max(axis=1)], axis=1))
        else:
            assert (extremes[:, column] == overview.NOTHING).all()


async def test_an_overview_of_two_boots_with_a_slow_clock_stands_at_the_hubs_time(
    town: Town, at: datetime
) -> None:
    worn, slow, minute = town.worn, timedelta(minutes=5), timedelta(minutes=1)
    signals = noise(10 * FS_HZ, 4), noise(10 * FS_HZ, 5)
    for boot, start in ((1, at), (2, at + minute)):
        packet = waveform(worn, start - slow, signals[boot - 1], boot=boot)
        await send(town.engine, worn, [packet], start + timedelta(seconds=10))
    async with town.databases.app.transaction(DESK, at) as conn:
        found = await overview.read_overview(conn, DESK, at, worn.recording_id, at, at + 2 * minute, 12)
    assert found.missing.tolist() == [0, *[255] * 5, 0, *[255] * 5]
    for column, signal in ((0, signals[0]), (6, signals[1])):
        assert found.extremes[:, column].T.tolist() == [
            signal.min(axis=1).tolist(),
            signal.max(axis=1).tolist(),
        ]
