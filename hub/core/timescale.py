"""Whether a database is kept on TimescaleDB. All that is special to it stands here and in hub/migrations/timescale.

Everything works without: the same tables are then partitioned by day, and the same functions answer.
"""

from typing import Final

import psycopg

AUTO, ON, OFF = MODES = ("auto", "on", "off")
EXTENSION: Final = "timescaledb"


class TimescaleMissing(RuntimeError):
    """It was asked for and can't be had; the words say why."""


async def prepare(admin_dsn: str, mode: str, lock: int) -> bool:
    """Whether the tables of this database are, or are to become, hypertables; makes the extension if it must be.

    `auto` uses it where somebody created it already and in a database that is still empty. A database with plain tables
    is moved over by `on` only, since that rewrites all of its samples.
    """
    if mode not in MODES:
        raise ValueError(f"timescaledb: {mode} is none of {', '.join(MODES)}")
    conn = await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True, application_name="hub_migrate")
    async with conn:
        await conn.execute("SELECT pg_advisory_lock(%s)", (lock,))
        if await _exists(conn, "SELECT FROM pg_extension WHERE extname = %s"):
            return mode != OFF or await _is_moved(conn)
        if mode == OFF or (mode == AUTO and not (await _is_empty(conn) and await _is_loaded(conn))):
            return False
        return await _created(conn, mode)


async def _exists(conn: psycopg.AsyncConnection, query: str) -> bool:
    return (await conn.execute(query, (EXTENSION,))).rowcount > 0


async def _is_empty(conn: psycopg.AsyncConnection) -> bool:
    """No hub has been here."""
    return (await conn.execute("SELECT FROM pg_tables WHERE tablename = 'migration'")).rowcount == 0


async def _is_moved(conn: psycopg.AsyncConnection) -> bool:
    """Its tables are hypertables, whatever the setting says now."""
    if await _is_empty(conn):
        return False
    return (await conn.execute("SELECT FROM migration WHERE name LIKE 'timescale/%'")).rowcount > 0


async def _is_loaded(conn: psycopg.AsyncConnection) -> bool:
    """The server has it on its disk and loaded it at its start."""
    query = "SELECT FROM pg_available_extensions WHERE name = %s"
    if not await _exists(conn, query):
        return False
    found = await conn.execute(
        "SELECT current_setting('timescaledb.max_background_workers', true) IS NOT NULL"
    )
    row = await found.fetchone()
    return row is not None and bool(row[0])


async def _created(conn: psycopg.AsyncConnection, mode: str) -> bool:
    try:
        await conn.execute("CREATE EXTENSION timescaledb")
    except psycopg.Error as failure:
        if mode == AUTO:  # this login may not create it: plain tables do
            return False
        raise TimescaleMissing(f"timescaledb = on, but it can't be created: {failure}") from failure
    return True
