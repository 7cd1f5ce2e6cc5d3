"""Packets read in columns are stored, told and analysed as if each had come the ordinary way."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from hub.ingest import runs, steady, stretches
from hub.ingest.engine import Engine
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.ingest.scripts import ALL, END, NEXT, PASSED, SHARDS, Installation, Then, Tick, Wearable, scripts

_names = count()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages are read in columns, too, and a stretch of the record pass is over in seconds."""
    monkeypatch.setattr(steady, "FEW", 1)
    for module in (stretches, runs):
        monkeypatch.setattr(module, "STRETCH_S", 4)
        monkeypatch.setattr(module, "BEHIND_S", 1)
    monkeypatch.setattr(stretches, "BEFORE_S", 2)


def in_columns(town: Town) -> Engine:
    return Engine(town.databases.ingest)


def one_by_one(town: Town) -> Engine:
    engine = in_columns(town)
    engine._steady.part = lambda received: ([], list(received))  # type: ignore[method-assign]
    return engine


@contextlib.asynccontextmanager
async def installed(
    town: Town, at: datetime, begin: Callable[[Town], Engine]
) -> AsyncIterator[tuple[Installation, list[Wearable]]]:
    """Devices that send to two such engines."""
    async with await world.connect(town.databases.admin_dsn) as admin:
        worn = [
            await monitoring.wear(admin, town.world.own, at, f"holter-x{next(_names)}", shard)
            for shard in SHARDS
        ]
        wearables = [Wearable(one, at, number) for number, one in enumerate(worn)]
        yield Installation(lambda: begin(town), wearables, admin, at), wearables


async def outcome(
    town: Town, at: datetime, begin: Callable[[Town], Engine], script: Sequence[Tick]
) -> tuple[list[Any], list[Any], list[Any]]:
    """Everything that came of it: what the tables say, what was told while it ran, what the devices were told."""
    async with installed(town, at, begin) as (installation, _):
        await installation.play(script)
        return await installation.written(), installation.told, installation.acks


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(script=scripts())
async def test_columns_come_to_the_same_as_the_ordinary_way(
    town: Town, at: datetime, script: list[Tick]
) -> None:
    columns, ordinary = [await outcome(town, at, way, script) for way in (in_columns, one_by_one)]
    assert columns == ordinary


async def test_what_goes_on_from_what_is_stored_is_read_in_columns(town: Town, at: datetime) -> None:
    async with installed(town, at, in_columns) as (installation, _):
        taken = []
        for _ in range(6):
            await installation.play([Tick(NEXT, then="wait")])
            taken.append(in_progress(installation))
            await installation.play([Tick(())])
    assert taken[3:] == [(0, len(ALL))] * 3


def in_progress(installation: Installation, number: int = 0) -> tuple[int, int]:
    """Messages that a process has read and not stored: one by one, in columns."""
    pending = installation.processes[number].pending
    return len(pending.items), sum(len(placed.run) for placed in pending.runs)


async def test_more_boots_than_are_kept_are_met_anew_and_nothing_wrong_comes_of_it(
    town: Town, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a transaction with runs, of one device that holds something back and others that do not."""
    monkeypatch.setattr(steady, "KEPT", len(ALL) + 1)
    ways = []
    for way in (in_columns, one_by_one):
        async with installed(town, at, way) as (installation, _):
            await installation.play(
                [Tick(NEXT), Tick(((1, "skip"), *NEXT)), Tick(((1, "boot"),)), *3 * (Tick(NEXT),)]
            )
            await installation.play([Tick((*NEXT, (0, "boot")), then="wait")])
            runs_then, table = in_progress(installation)[1], installation.processes[0].engine._steady
            before = table.generation
            await installation.play([Tick(())])
            assert table.generation == before + 1
            await installation.play([Tick(NEXT, 2.5)])  # writes what was noted of the devices then
            told_then = await installation.written()
            await installation.play([Tick(NEXT), Tick(NEXT), *END])
            ways.append(
                (
                    told_then,
                    await installation.written(),
                    installation.told,
                    sorted(installation.acks, key=str),
                )
            )
        assert runs_then == (2 if way is in_columns else 0)
    assert ways[0] == ways[1]


@pytest.mark.parametrize("how", ["pass", "hang"])
async def test_a_shard_taken_over_in_the_middle_of_runs_loses_and_doubles_nothing(
    town: Town, at: datetime, how: Then
) -> None:
    """There and back, whether its owner stores what it has read before it leaves or after another has stored it."""
    async with installed(town, at, in_columns) as (installation, wearables):
        for owner in (0, 1):
            await installation.play([*4 * (Tick(NEXT),), Tick(NEXT, then="wait")])
            assert in_progress(installation, owner)[1] == SHARDS.count(PASSED) + (owner == 0)
            await installation.play([Tick((), 0.0, how)])
            assert installation.owner[PASSED] == 1 - owner
        await installation.play([*2 * (Tick(NEXT),), *END])
        last = {(device, ack.boot): ack.next_sample for device, ack in installation.acks}
        assert last == {(one.number, 1): one.next_sample for one in wearables}
        for one in wearables:
            stored = await monitoring.stored_signal(town.databases.admin_dsn, one.worn.recording_id)
            assert np.array_equal(stored, one.signal[:, : one.next_sample])
