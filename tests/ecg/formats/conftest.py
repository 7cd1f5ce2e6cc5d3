"""Sample files of foreign makers; a test that needs them is skipped, and counted, where they are not."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def foreign() -> Path:
    folder = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data") / "formats"
    if not folder.is_dir():
        pytest.skip("no sample files: set TELEHUB_DATA")
    return folder
