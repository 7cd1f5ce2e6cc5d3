"""Fifty Holters, half of them with small buffers, on flapping lines, while the hub is killed over and over.

Six faults here, 200 of all kinds in `make prove ONLY=nemesis`; NEMESIS_SEED chooses their order.
"""

import os
from pathlib import Path
from typing import Final

from tests.nemesis import run
from tests.nemesis.run import Plan

# Small buffers of few seconds, so that something is lost in a short while, too.
PLAN: Final = Plan(
    int(os.environ.get("NEMESIS_SEED", "1")), 6, devices=50, small_s=4.0, pause_s=(0.5, 2.5), flap_s=(10.0, 2.0),
    blackout_every_s=10.0,
)  # fmt: skip


async def test_killed_over_and_over_the_hub_keeps_every_promise(tmp_path: Path) -> None:
    outcome = await run.run(PLAN, tmp_path)
    assert not outcome.broken, f"{run.table(outcome)}\n  replay: NEMESIS_SEED={PLAN.seed}"
    assert sum(one.lost for one in outcome.of_devices(PLAN.lossy)) > 0  # else nothing was shown
