"""The viewer shows each stored value in its place and loads what is looked at first (`web/check/viewer.mjs`)."""

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
def test_images_keep_their_values_from_copy_to_screen() -> None:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--test", "check/viewer.mjs"], cwd=WEB, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
