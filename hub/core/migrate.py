"""Brings a database to this program's schema: hub/migrations/*.sql in order, each once, as `hub_owner`.

Behind them, where TimescaleDB is used, hub/migrations/timescale/*.sql.

A file that was applied never changes: its hash is kept, and another hash stops the start.
"""

import contextlib
import hashlib
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from hub.core import timescale

MIGRATIONS = Path(__file__).parent.parent / "migrations"
ROLES = ("hub_owner", "hub_app", "hub_ingest")
TIMESCALE = "timescale"  # folder of the files for databases with TimescaleDB
LOCK = 0x7E1E_4B01  # advisory lock: one migration at a time per database


class MigrationError(RuntimeError):
    """The database and this program don't belong together."""


async def migrate(
    admin_dsn: str, at: datetime, folder: Path = MIGRATIONS, timescaledb: str = timescale.AUTO
) -> list[str]:
    """Create the roles, apply what is missing; the names of the files applied now."""
    with_timescaledb = await timescale.prepare(admin_dsn, timescaledb, LOCK)
    conn = await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True, application_name="hub_migrate")
    async with conn:
        await conn.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        for role in ROLES:
            await _ensure_role(conn, role)
        await conn.execute("GRANT USAGE, CREATE ON SCHEMA public TO hub_owner")
        await conn.execute("GRANT SET ON PARAMETER hub.actor_kind TO hub_owner")  # for functions that set it
        await conn.execute("SET ROLE hub_owner")
        await conn.execute(
            "CREATE TABLE IF NOT EXISTS migration"
            " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL)"
        )
        return await _apply_missing(conn, at, _files(folder), _files(folder / TIMESCALE), with_timescaledb)


async def pending(admin_dsn: str, folder: Path = MIGRATIONS) -> list[str]:
    """The files not applied yet, for `hub doctor`."""
    conn = await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True)
    async with conn:
        exists = await conn.execute("SELECT FROM pg_tables WHERE tablename = 'migration'")
        if exists.rowcount == 0:
            return list(_files(folder))
        await conn.execute("SET ROLE hub_owner")
        applied = await _applied(conn)
        behind = _files(folder / TIMESCALE)
        wanted = _files(folder) | (behind if behind.keys() & applied.keys() else {})
        return [name for name in wanted if name not in applied]


def _files(folder: Path) -> dict[str, bytes]:
    """By their names; those of a folder of its own carry its name."""
    prefix = f"{TIMESCALE}/" if folder.name == TIMESCALE else ""
    return {f"{prefix}{path.name}": path.read_bytes() for path in sorted(folder.glob("*.sql"))}


async def _ensure_role(conn: psycopg.AsyncConnection, role: str) -> None:
    # Roles belong to the whole server: another database's migration may be creating the same one.
    name = sql.Identifier(role)
    present = await conn.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
    if present.rowcount == 0:
        with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            await conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
    try:
        await conn.execute(sql.SQL("SET ROLE {}").format(name))
        await conn.execute("RESET ROLE")
    except psycopg.errors.InsufficientPrivilege:  # from PostgreSQL 16 on, who makes a role is not in it yet
        await conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))


async def _applied(conn: psycopg.AsyncConnection) -> dict[str, str]:
    cursor = await conn.execute("SELECT name, sha256 FROM migration")
    return dict(await cursor.fetchall())


async def _apply_missing(
    conn: psycopg.AsyncConnection,
    at: datetime,
    plain: dict[str, bytes],
    behind: dict[str, bytes],
    with_timescaledb: bool,
) -> list[str]:
    applied = await _applied(conn)
    unknown = sorted(set(applied) - set(plain) - set(behind))
    if unknown:
        raise MigrationError(f"the database was made by a newer program: it has {', '.join(unknown)}")
    files = plain | (behind if with_timescaledb else {})
    done = []
    for name, body in files.items():
        digest = hashlib.sha256(body).hexdigest()
        if applied.get(name, digest) != digest:
            raise MigrationError(f"{name} was changed after it was applied; add a new file instead")
        if name not in applied:
            async with conn.transaction():
                await conn.execute(body)
                await conn.execute("INSERT INTO migration VALUES (%s, %s, %s)", (name, digest, at))
            done.append(name)
    return done
