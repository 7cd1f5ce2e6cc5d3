"""The viewer shows each stored value in its place, loads what is looked at first, and holds when answers fail."""

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
@pytest.mark.parametrize("check", ["viewer", "opening"])
def test_images_keep_their_values_from_copy_to_screen(check: str) -> None:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--test", f"check/{check}.mjs"],
        cwd=WEB,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
