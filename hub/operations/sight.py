"""What the watchers look at: one picture of the installation, put together once a second in the web process.

The part from the database is read every few seconds by one transaction that is also the probe whether the database
answers; everything else is in memory or in files, so that the picture goes on while the database is away.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hub.core import backup_job, db
from hub.core.actor import job
from hub.core.db import Connection
from hub.telemetry.set_asides import OPEN

ACTOR: Final = job("operations.watch")
RECENT: Final = timedelta(minutes=5)
HEARD_WITHIN: Final = timedelta(minutes=30)  # a device that was there lately
SILENT_AFTER: Final = timedelta(seconds=30)  # presence is written every 2 s
CLOCK_WRONG_S: Final = 3600
CLOCKS_LISTED: Final = 50
UNSEALED_AFTER: Final = timedelta(seconds=60)
UNSEALED_IDS: Final = 1_000  # the newest rows of the audit that are looked at


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database tells."""

    at: datetime
    jobs_waiting: int
    jobs_oldest_s: float  # how long the first that is due has been waiting
    jobs_failed: Mapping[str, int]  # by kind
    set_aside_open: int
    set_aside_recent: Mapping[str, int]  # by reason, first seen in the last 5 minutes
    devices: int
    devices_heard: int  # in the last half hour
    devices_silent: int  # of those, for half a minute though worn: a free one may be quiet or off
    clocks_wrong: Mapping[str, float]  # device -> hub minus device, seconds
    audit_unsealed_s: float
    backup_age_s: float | None  # None: there is none


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything the watchers may look at; None: not known now."""

    at: datetime
    up_s: float  # how long this process has been looking
    ingest_processes: int
    shards: int
    words: tuple[Mapping[str, Any], ...] = ()  # the newest of each ingest process, with `silent_s`
    broker_s: float | None = None  # how long the broker has been connected; None: it is not
    broker_away_s: float = 0.0
    stored: Stored | None = None  # None: the database does not answer
    answer_s: float = 0.0  # of its last answer
    database_away_s: float = 0.0
    answered_for_s: float = 0.0  # since it last was away
    processes: Mapping[str, Mapping[str, float] | None] = field(default_factory=dict)  # figures; None: silent
    free_bytes: int = 0
    disk_bytes: int = 0
    days_left: float | None = None
    memory_available: float = 1.0  # part of the machine's
    certificate_days: int | None = None
    reserve_used: bool = False
    floor_bytes: int = 0


async def read_stored(conn: Connection, at: datetime) -> Stored:
    """One picture of the tables; every query is bounded by an index or by the number of devices."""
    row = await db.one(conn, _COUNTS_SQL, _parameters(at))
    failed = await db.rows(
        conn, "SELECT kind, count(*) AS number FROM job WHERE failed_at IS NOT NULL GROUP BY kind"
    )
    aside = await db.rows(
        conn,
        "SELECT reason, count(*) AS number FROM set_aside WHERE last_at > %(recent)s AND first_at > %(recent)s"
        " AND discarded_at IS NULL GROUP BY reason",
        _parameters(at),
    )
    clocks = await db.rows(
        conn,
        "SELECT s.device_id, s.clock_offset_s FROM device_state s JOIN device d ON d.id = s.device_id"
        " WHERE abs(s.clock_offset_s) > %(wrong_s)s AND s.last_seen_at > %(heard)s AND d.retired_at IS NULL"
        " ORDER BY s.device_id LIMIT %(limit)s",
        _parameters(at) | {"wrong_s": CLOCK_WRONG_S, "limit": CLOCKS_LISTED},
    )
    backup_s, has_backup = await backup_job.age_s(conn, at)
    return Stored(
        at, row["jobs_waiting"], _seconds(at, row["jobs_oldest"]), {r["kind"]: r["number"] for r in failed},
        row["set_aside_open"], {r["reason"]: r["number"] for r in aside}, row["devices"], row["heard"],
        row["silent"], {r["device_id"]: r["clock_offset_s"] for r in clocks}, _seconds(at, row["unsealed"]),
        backup_s if has_backup else None,
    )  # fmt: skip


async def read_ledger(conn: Connection, at: datetime) -> dict[str, int]:
    """The account of all recordings that run or ended today: recordings, and samples of one lead
    produced = stored + lost + waiting.
    """
    row = await db.one(conn, "SELECT * FROM hub_ledger_since(%s)", (_midnight(at),))
    return {name: int(value) for name, value in row.items()}


_COUNTS_SQL: Final = f"""
    SELECT
      (SELECT count(*) FROM job WHERE failed_at IS NULL AND run_at <= %(at)s) AS jobs_waiting,
      (SELECT min(run_at) FROM job WHERE failed_at IS NULL AND run_at <= %(at)s
         AND (lease_until IS NULL OR lease_until < %(at)s)) AS jobs_oldest,
      (SELECT count(*) FROM set_aside WHERE {OPEN}) AS set_aside_open,
      (SELECT min(a.at) FROM (SELECT id, at FROM audit ORDER BY id DESC LIMIT %(ids)s) a
         WHERE NOT EXISTS (SELECT FROM audit_sealed s WHERE s.audit_id = a.id)) AS unsealed,
      d.devices, d.heard, d.silent
    FROM (
      SELECT count(*) AS devices, count(*) FILTER (WHERE s.last_seen_at > %(heard)s) AS heard,
        count(*) FILTER (WHERE s.last_seen_at > %(heard)s
          AND (NOT s.connected OR s.last_seen_at < %(silent)s) AND q.id IS NOT NULL) AS silent
      FROM device v LEFT JOIN device_state s ON s.device_id = v.id
        LEFT JOIN device_pairing q ON q.device_number = v.number AND upper_inf(q.during)
      WHERE v.retired_at IS NULL) d"""


def _parameters(at: datetime) -> dict[str, Any]:
    return {
        "at": at, "recent": at - RECENT, "heard": at - HEARD_WITHIN, "silent": at - SILENT_AFTER, "ids": UNSEALED_IDS,
    }  # fmt: skip


def _seconds(at: datetime, since: datetime | None) -> float:
    return max(0.0, (at - since).total_seconds()) if since is not None else 0.0


def _midnight(at: datetime) -> datetime:
    """Of the day by the hub's own clock, which is where its people live."""
    return at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)


def disk(folder: Path) -> tuple[int, int]:
    """Bytes free for us, and in all, on the disk of a folder."""
    usage = shutil.disk_usage(folder)
    return usage.free, usage.total


def memory_available() -> float:
    """Part of the machine's memory that programs can still have."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        known = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return known.get("MemAvailable", known["MemFree"]) / known["MemTotal"]
