"""Files reach the hub whole whatever the line does, and pages say no more than it said: `web/check/sending.mjs`."""

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
def test_any_order_of_faults_ends_in_one_whole_file() -> None:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--test", "check/sending.mjs"],
        cwd=WEB,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
