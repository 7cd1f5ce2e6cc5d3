"""The live trace and the reading strips show each sample in its place: the properties in `web/check/ecg.mjs`."""

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
NODE = shutil.which("node")


@pytest.mark.skipif(
    NODE is None or not WEB.joinpath("node_modules", "rolldown").exists(),
    reason="no Node or no front-end packages",
)
def test_signal_keeps_its_place_from_wire_to_paper() -> None:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--test", "check/ecg.mjs"], cwd=WEB, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
