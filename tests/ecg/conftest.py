"""Where reference records lie; tests scored on them are skipped, and counted, on a machine without them."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def mitdb() -> Path:
    folder = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data") / "mitdb"
    if not folder.is_dir():
        pytest.skip("no reference records: set TELEHUB_DATA")
    return folder
