"""What the pages compute by themselves, resident numbers and times: the properties in `web/check/words.mjs`."""

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
def test_numbers_and_times_are_read_right() -> None:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--test", "check/words.mjs"], cwd=WEB, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
