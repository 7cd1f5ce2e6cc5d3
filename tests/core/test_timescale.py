"""The TimescaleDB path as far as it can be walked without it: its file on stand-ins for the functions it calls.

A real one runs all storage tests: `DSN=... make test` (docs/operations.md).
"""

from datetime import datetime, timedelta

import numpy as np
import psycopg
import pytest

from hub.core import migrate, timescale
from hub.core.db import Database
from hub.ingest.engine import Engine
from tests import monitoring, world
from tests.monitoring import FS_HZ, cut, noise, send
from tests.telemetry.compacting import compact

# What the file calls of TimescaleDB. A table that stays plain answers as a hypertable does.
STANDINS = """
CREATE SCHEMA timescaledb_information;
CREATE TABLE timescaledb_information.chunks (hypertable_schema name, hypertable_name name, chunk_schema name,
    chunk_name name, is_compressed boolean, range_end timestamptz);
GRANT USAGE ON SCHEMA timescaledb_information TO hub_owner;
GRANT SELECT ON timescaledb_information.chunks TO hub_owner;
CREATE TABLE made (relation regclass, dimension text);
GRANT INSERT ON made TO hub_owner;
CREATE FUNCTION by_range(name, interval) RETURNS text LANGUAGE sql AS $$ SELECT $1 || ' ' || $2 $$;
CREATE FUNCTION create_hypertable(relation regclass, dimension text, create_default_indexes boolean) RETURNS void
LANGUAGE sql AS $$ INSERT INTO made VALUES (relation, dimension) $$;
"""


async def test_the_file_keeps_rows_rights_and_answers(empty_database: str, at: datetime) -> None:
    """Samples stored and compacted before it are there behind it, and storing and compacting go on."""
    await migrate.migrate(empty_database, at, timescaledb=timescale.OFF)
    town = await world.build(empty_database)
    async with await world.connect(empty_database) as admin:
        worn = await monitoring.wear(admin, town.own, at, "holter-1")
    signal, later = noise(50 * FS_HZ), at + timedelta(hours=1)
    packets = cut(worn, at, signal, range(100, 50 * FS_HZ + 1, 100))
    async with Database(empty_database, "hub_app") as app, Database(empty_database, "hub_ingest") as ingest:
        await send(Engine(ingest), worn, packets[:40], at)
        await compact(app, later, worn.recording_id)
        await send(Engine(ingest), worn, packets[40:60], at)
        before = await monitoring.stored_signal(empty_database, worn.recording_id)
    assert np.array_equal(before, signal[:, :6000])
    async with await world.connect(empty_database) as admin:
        rights = await granted(admin)
        await admin.execute(STANDINS)
        await admin.execute("SET ROLE hub_owner")
        async with admin.transaction():
            await admin.execute(
                (migrate.MIGRATIONS / migrate.TIMESCALE / "0001_hypertables.sql").read_bytes()
            )
        await admin.execute("RESET ROLE")
        assert await granted(admin) == rights
        made = await (await admin.execute("SELECT relation::text, dimension FROM made ORDER BY 1")).fetchall()
    assert [tuple(row.values()) for row in made] == [
        ("ecg_block", "at 30 days"), ("ecg_packet", "at 1 day"), ("vital", "at 7 days"),
    ]  # fmt: skip
    async with Database(empty_database, "hub_app") as app, Database(empty_database, "hub_ingest") as ingest:
        await send(Engine(ingest), worn, packets, at)
        assert np.array_equal(await monitoring.stored_signal(empty_database, worn.recording_id), signal)
        await compact(app, later, worn.recording_id)
        assert np.array_equal(await monitoring.stored_signal(empty_database, worn.recording_id), signal)


async def granted(admin: world.Admin) -> list[dict[str, object]]:
    """Who may do what with samples and vitals, tables and functions."""
    found = await admin.execute(
        "SELECT grantee, table_name AS name, privilege_type FROM information_schema.role_table_grants"
        " WHERE table_name IN ('ecg_packet', 'ecg_block', 'vital') AND grantee LIKE 'hub%'"
        " UNION ALL SELECT r, p.oid::regprocedure::text, 'EXECUTE' FROM pg_proc p,"
        "  unnest(ARRAY['hub_app', 'hub_ingest', 'public']) r"
        " WHERE p.pronamespace = 'public'::regnamespace AND p.proname ~ '^(ecg|recording|patient|hub)_'"
        "  AND has_function_privilege(r, p.oid, 'EXECUTE') ORDER BY 1, 2, 3"
    )
    return await found.fetchall()


async def _has(dsn: str, query: str) -> bool:
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        return (await conn.execute(query)).rowcount > 0  # type: ignore[call-overload]


async def test_tables_are_plain_where_it_is_not_wanted(empty_database: str, at: datetime) -> None:
    await migrate.migrate(empty_database, at, timescaledb=timescale.OFF)
    assert await _has(
        empty_database, "SELECT FROM pg_partitioned_table WHERE partrelid = 'ecg_packet'::regclass"
    )
    assert await migrate.pending(empty_database) == []


async def test_where_it_is_missing_auto_does_without_and_on_says_so(
    empty_database: str, at: datetime
) -> None:
    if await _has(empty_database, "SELECT FROM pg_available_extensions WHERE name = 'timescaledb'"):
        pytest.skip("this server has TimescaleDB")
    with pytest.raises(timescale.TimescaleMissing, match="timescaledb"):
        await migrate.migrate(empty_database, at, timescaledb=timescale.ON)
    assert not [name for name in await migrate.migrate(empty_database, at) if "/" in name]


async def test_where_it_is_loaded_a_new_database_has_hypertables(empty_database: str, at: datetime) -> None:
    if not await _has(empty_database, "SELECT FROM pg_available_extensions WHERE name = 'timescaledb'"):
        pytest.skip("this server has no TimescaleDB")
    assert "timescale/0001_hypertables.sql" in await migrate.migrate(empty_database, at)
    tables = "'{ecg_packet,ecg_block,vital}'"
    query = f"SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = ANY ({tables})"
    async with await psycopg.AsyncConnection.connect(empty_database) as conn:
        assert (await conn.execute(query)).rowcount == 3  # type: ignore[call-overload]
    assert await migrate.pending(empty_database) == []
