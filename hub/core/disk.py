"""Room on the disk of the hub's own database: a floor below which no samples are stored, and a reserve.

The floor leaves room for what must go on (alarms, findings, audit, the pages) while ECG waits with the devices. The
reserve is a file of real blocks that is given up when the disk is all but full, whoever filled it: PostgreSQL stops
dead when it can't make its next 16-MB log segment. It is made again when there is room. A given database keeps its
files elsewhere, and says itself when it is full.
"""

import os
from pathlib import Path
from typing import Final, Literal

import psycopg
from prometheus_client import Gauge

from hub.core.settings import Settings

MEGABYTE: Final = 1 << 20
LAST_MB: Final = 64  # less than this left: the reserve is needed now

State = Literal["ok", "low", "reserve-used"]

FREE = Gauge("hub_disk_free_bytes", "free on the disk of the data folder, the reserve not counted")
RESERVE = Gauge("hub_disk_reserve_bytes", "kept free for alarms and audit; 0 while it is in use")


def holds_database(settings: Settings) -> bool:
    """Whether the database is the hub's own, on the disk of the data folder."""
    if settings.dsn is None:
        return True
    host = str(psycopg.conninfo.conninfo_to_dict(settings.dsn).get("host") or "")
    return Path(host) == settings.data_dir / "run" or Path(host).name.startswith("telehub-")


def free_bytes(folder: Path) -> int:
    """What an ordinary process may still write."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def is_below_floor(settings: Settings) -> bool:
    """Whether samples must wait."""
    return free_bytes(settings.data_dir) < settings.disk_floor_mb * MEGABYTE


def reserve_used(settings: Settings) -> bool:
    """Whether the reserve is not there, having been given up or never having had room."""
    return bool(settings.disk_reserve_mb) and not (settings.data_dir / "reserve").exists()


def keep(settings: Settings) -> State:
    """Give the reserve up or make it again, as the disk is now."""
    path, size = settings.data_dir / "reserve", settings.disk_reserve_mb * MEGABYTE
    floor, free = settings.disk_floor_mb * MEGABYTE, free_bytes(settings.data_dir)
    if free < min(LAST_MB * MEGABYTE, floor):
        path.unlink(missing_ok=True)
    elif free - size > floor and not _is_whole(path, size):
        _make(path, size)
    kept = path.exists()
    FREE.set(free_bytes(settings.data_dir))
    RESERVE.set(size if kept else 0)
    if size and not kept:
        return "reserve-used"
    return "low" if free < floor else "ok"


def _is_whole(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def _make(path: Path, size: int) -> None:
    if not size:
        return path.unlink(missing_ok=True)
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:  # somebody was faster: no half of a reserve
        path.unlink(missing_ok=True)
