"""Backups by the clock: increments while the hub runs, a metric of their age, an incident when they stop coming."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
from prometheus_client import Gauge

from hub.core import actor, backup, backup_folder, backup_log, clock, db, incidents, jobs, postgres
from hub.core.backup_folder import BackupError, Point
from hub.core.backup_log import Source
from hub.core.db import Connection
from hub.core.jobs import Context, Every, JobKind
from hub.core.logging import log
from hub.core.postgres import Cluster
from hub.core.proofs import Fact
from hub.core.settings import Settings

JOB: Final = "backup.run"
ACTOR: Final = actor.job(JOB)
WATCH_EVERY_S: Final = 60.0
TIMEOUT_S: Final = 24 * 3600.0
AGAIN_AFTER: Final = timedelta(minutes=10)  # an attempt that failed
HELD_BYTES: Final = 1 << 30  # of log on the server; a backup is due before the server would give it up
INCIDENT: Final = "backup-old"
AGE: Final = Gauge("hub_backup_age_seconds", "how old the state is that could be restored")


def own_cluster(settings: Settings) -> Cluster | None:
    """The hub's own server, if that is the one it works with."""
    folder = settings.data_dir / "postgres"
    if not (folder / "PG_VERSION").exists():
        return None
    cluster = postgres.existing(folder, settings.postgres_bin)
    return cluster if settings.dsn in (None, cluster.admin_dsn) else None


async def source(settings: Settings, facts: Mapping[str, Fact]) -> Source:
    """What is to be saved: our own server as its superuser, a given one with the login meant for that."""
    cluster = own_cluster(settings)
    if cluster is not None:
        dsn = psycopg.conninfo.make_conninfo(cluster.superuser_dsn, dbname=postgres.DATABASE)
        return Source(dsn, cluster.binaries, settings.data_dir, facts)
    dsn = settings.backup_dsn or settings.dsn or ""
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        major = conn.info.server_version // 10_000
    binaries = postgres.binaries_of(major, "pg_basebackup", settings.postgres_bin)
    return Source(dsn, binaries, settings.data_dir, facts)


async def take(settings: Settings, facts: Mapping[str, Fact], target: Path, new_base: bool = False) -> Point:
    """A backup to `target`, then the oldest chains beyond those to be kept are removed."""
    try:
        saved = await source(settings, facts)
        point = await backup.take(saved, target, timedelta(days=settings.backup_base_days), new_base)
    except psycopg.Error as failure:
        words = str(failure).strip().partition("\n")[0]
        raise BackupError(f"PostgreSQL: {words}; a given server needs a login with REPLICATION") from None
    except OSError as failure:
        raise BackupError(f"{failure.filename or target}: {failure.strerror}") from None
    await asyncio.to_thread(backup_folder.remove_old, target, settings.backup_keep)
    return point


async def note(conn: Connection, at: datetime, point: Point) -> None:
    """Tell the database that there is a backup."""
    await db.run(
        conn,
        "INSERT INTO backup (id, kind, at, finished_at, file_count, added_bytes, damaged_files, counted)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            point.id, point.kind, point.at, at, point.file_count, point.added_bytes, len(point.damaged_files),
            point.facts is not None,
        ),
    )  # fmt: skip


async def run(facts: Mapping[str, Fact], context: Context, _payload: dict[str, Any]) -> None:
    """`backup.run`: what goes wrong is written down for operators; the next attempt comes by the timer."""
    settings, begun_at = context.settings, clock.now()
    assert settings.backup_dir is not None
    try:
        point = await take(settings, facts, settings.backup_dir)
    except (BackupError, postgres.PostgresMissing) as failure:
        log("backup.failed", error=type(failure).__name__)
        async with context.db.transaction(ACTOR, begun_at) as conn:
            await db.run(
                conn,
                "INSERT INTO backup (id, at, finished_at, failure) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (backup_folder.stamp(begun_at), begun_at, clock.now(), str(failure)),
            )
        return
    async with context.db.transaction(ACTOR, begun_at) as conn:
        await note(conn, clock.now(), point)


async def age_s(conn: Connection, at: datetime) -> tuple[float, bool]:
    """How old the newest backup is, and whether there is any; without one, how old the installation is."""
    row = await db.one(
        conn,
        "SELECT (SELECT max(at) FROM backup WHERE failure IS NULL) AS made,"
        " (SELECT min(applied_at) FROM migration) AS installed",
    )
    return (at - (row["made"] or row["installed"])).total_seconds(), row["made"] is not None


async def newest(dsn: str, at: datetime) -> tuple[float, bool]:
    """The same for `hub doctor`, which has no pool."""
    async with db.Database(dsn, "hub_app", size=1) as database, database.transaction(ACTOR, at) as conn:
        return await age_s(conn, at)


async def watch(context: Context) -> None:
    """A timer: the age as a metric, an incident when it is too great, and the next backup when it is due."""
    at, settings = context.at, context.settings
    async with context.db.transaction(ACTOR, at) as conn:
        age, _ = await age_s(conn, at)
        AGE.set(age)
        if age > settings.backup_max_age_h * 3600:
            await incidents.raise_incident(conn, at, INCIDENT, "", {"age_s": round(age)})
        else:
            await incidents.clear_incident(conn, at, INCIDENT, "")
        target = settings.backup_dir
        if target is not None and await _due(conn, at, settings, target):
            await jobs.enqueue(conn, at, JOB, "", {})


async def _due(conn: Connection, at: datetime, settings: Settings, target: Path) -> bool:
    """By the clock, or because the server holds much log for us already; not again right after a failure."""
    row = await db.one(
        conn,
        "SELECT max(finished_at) FILTER (WHERE failure IS NOT NULL) AS failed,"
        " max(at) FILTER (WHERE failure IS NULL) AS made,"
        " (SELECT max(pg_current_wal_lsn() - restart_lsn) FROM pg_replication_slots"
        "  WHERE starts_with(slot_name, %s) AND wal_status <> 'lost') AS held FROM backup",
        (await asyncio.to_thread(_slots, target),),
    )
    every = timedelta(hours=settings.backup_every_h)
    if row["failed"] is not None and at - row["failed"] < min(AGAIN_AFTER, every):
        return False
    return row["made"] is None or at - row["made"] >= every or (row["held"] or 0) > HELD_BYTES


def _slots(target: Path) -> str:
    """How the names of the slots that hold log for this place begin."""
    try:
        return backup_log.slots(backup_folder.repository_id(target))
    except BackupError:  # nothing is there yet
        return "-"


def kinds(facts: Mapping[str, Fact]) -> dict[str, JobKind]:
    """The job, with what the domains want to be asked."""
    return {JOB: JobKind(partial(run, facts), timeout_s=TIMEOUT_S)}


EVERY: Every = {"backup.watch": (WATCH_EVERY_S, watch)}
