"""The reserve is real blocks, given up when the disk is all but full and made again when there is room."""

from dataclasses import replace
from pathlib import Path

import pytest

from hub.core import disk
from hub.core.disk import MEGABYTE
from hub.core.settings import Settings


def test_the_reserve_is_given_up_on_a_full_disk_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, reserve = Settings(data_dir=tmp_path, disk_reserve_mb=3, disk_floor_mb=1), tmp_path / "reserve"
    assert disk.keep(settings) == "ok" and not disk.is_below_floor(settings)
    assert reserve.stat().st_blocks * 512 >= 3 * MEGABYTE  # not a hole
    short = replace(settings, disk_floor_mb=disk.free_bytes(tmp_path) // MEGABYTE + 1_000)
    assert disk.keep(short) == "low" and disk.is_below_floor(short) and not disk.reserve_used(short)
    monkeypatch.setattr(disk, "LAST_MB", 1 << 40)  # any disk is nearly full
    assert disk.keep(short) == "reserve-used" and disk.reserve_used(short)
    assert not reserve.exists()
    monkeypatch.undo()
    assert disk.keep(short) == "reserve-used"  # low: no room for it yet
    assert disk.keep(settings) == "ok" and reserve.exists()


def test_a_given_database_has_its_own_disk(tmp_path: Path) -> None:
    own = Settings(data_dir=tmp_path)
    assert disk.holds_database(own)
    assert disk.holds_database(replace(own, dsn=f"host={tmp_path}/run dbname=telehub user=hub"))
    assert not disk.holds_database(replace(own, dsn="host=db.example dbname=telehub"))
    assert not disk.holds_database(replace(own, dsn="postgresql:///telehub"))
