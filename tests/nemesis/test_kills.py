"""Fifty Holters that lose nothing and fifty with small buffers, on flapping lines, while the hub is killed again and again.

Six faults here, as many as NEMESIS_FAULTS says in `make prove ONLY=nemesis`; NEMESIS_SEED chooses their order.
"""

import os
from pathlib import Path

import pytest

from tests.nemesis import run
from tests.nemesis.run import Plan

FAULTS = int(os.environ.get("NEMESIS_FAULTS", "6"))
SEED = int(os.environ.get("NEMESIS_SEED", "1"))
FEW = FAULTS <= 6


def plan() -> Plan:
    """Few faults: small buffers of few seconds, so that something is lost in a short while, too."""
    if FEW:
        return Plan(SEED, FAULTS, small_s=4.0, pause_s=(0.5, 2.5), flap_s=(10.0, 2.0), blackout_every_s=10.0)
    return Plan(SEED, FAULTS)


async def test_killed_again_and_again_the_hub_keeps_every_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = await run.run(plan(), tmp_path)
    if not FEW or outcome.broken:
        with capsys.disabled():
            print(f"\n{run.table(outcome)}\n  replay: make prove ONLY=nemesis SEED={SEED}")  # noqa: T201
    assert outcome.broken == []
    assert (
        sum(figures.lost for figures in outcome.of_devices(outcome.plan.lossy)) > 0
    )  # else nothing was shown
