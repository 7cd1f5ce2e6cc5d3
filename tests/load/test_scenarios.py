"""The load scenarios in small: order and outcome. `make prove` runs them in full and judges times and memory."""

import asyncio
import ctypes
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.load.disk import CLONE_NEWNS
from tests.load.figures import Figure, all_kept, exactly, percentile
from tests.load.soak import growth
from tests.load.weights import Scales, Weight

ROOT = Path(__file__).parents[2]
GUARD_S = 240


def _may_mount() -> bool:
    """Tried by a child: a process can't go back."""
    child = os.fork()
    if not child:
        os._exit(ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0)
    return os.waitpid(child, 0)[1] == 0


async def test_on_a_full_disk_nothing_is_lost_nor_acknowledged_too_early() -> None:
    if not _may_mount():
        pytest.skip("a small disk of its own needs root and a mount namespace")
    command = (sys.executable, "-m", "tests.load", "disk", "short")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=STDOUT)
    async with asyncio.timeout(GUARD_S):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def test_a_bound_that_is_missed_or_was_not_measured_fails() -> None:
    kept = [Figure("told", 5.0, "s"), Figure("in time", 9.9, "s", at_most=10), exactly("lost", 0)]
    assert all_kept(kept)
    for missed in (
        exactly("lost", 1),
        Figure("seen", 0, at_least=1),
        Figure("never", float("nan"), at_most=1),
    ):
        assert not all_kept([*kept, missed])
    late = Figure("late", float("inf"), "s", at_most=10)
    assert not all_kept([*kept, late]) and all_kept([*kept, late], judges_measures=False)
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3.0


def _weighed(megabytes: Callable[[float], float]) -> Scales:
    """Half an hour of a hub that weighs so much at each instant."""
    instants = [5.0 * number for number in range(360)]
    return Scales([{"hub": Weight(at, 1, 0, int(megabytes(at) * 1e6), 3)} for at in instants])


def test_a_steady_growth_is_found_and_a_moment_of_much_is_none() -> None:
    steps = _weighed(lambda at: 100.0 + (at % 60) / 10 + (30.0 if 800 < at < 830 else 0.0))
    leak = _weighed(lambda at: 100.0 + at / 360 + (at % 60) / 10)
    flat, growing = (growth(scales, 0.0, 1_800.0)[-1] for scales in (steps, leak))
    assert flat.verdict == "kept" and abs(flat.value) < 0.01
    assert growing.verdict == "MISSED" and 8.0 < growing.value < 11.0
