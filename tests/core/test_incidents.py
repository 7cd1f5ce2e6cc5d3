"""Incidents: one row while it lasts, one for what comes back soon, a new one after that."""

from datetime import datetime, timedelta

import pytest

from hub.core import actor, db
from hub.core.incidents import clear_incident, raise_incident
from tests.parts import Databases

JOB = actor.job("test")
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


async def _rows(databases: Databases, at: datetime) -> list[db.Row]:
    async with databases.app.transaction(JOB, at) as conn:
        return await db.rows(conn, "SELECT * FROM incident ORDER BY since_at")


async def _raise(databases: Databases, at: datetime, detail: dict[str, int]) -> None:
    async with databases.app.transaction(JOB, at) as conn:
        await raise_incident(conn, at, "disk-low", "", detail)


async def _clear(databases: Databases, at: datetime) -> bool:
    async with databases.app.transaction(JOB, at) as conn:
        return await clear_incident(conn, at, "disk-low", "")


async def test_one_row_while_it_lasts_and_for_what_comes_back_soon(database: Databases, at: datetime) -> None:
    for second in (0, 1, 10):
        await _raise(database, at + second * SECOND, {"free_bytes": 100 - second})
    (row,) = await _rows(database, at)
    assert (row["since_at"], row["last_at"]) == (at, at + 10 * SECOND)
    assert (row["detail"], row["times"], row["gone_at"]) == ({"free_bytes": 90}, 1, None)
    assert await _clear(database, at + 20 * SECOND) and not await _clear(database, at + 21 * SECOND)
    await _raise(database, at + 30 * SECOND, {})
    (row,) = await _rows(database, at)
    assert (row["times"], row["gone_at"]) == (2, None)
    await _clear(database, at + 40 * SECOND)
    await _raise(database, at + HOUR, {})
    before, now = await _rows(database, at)
    assert (before["gone_at"], now["since_at"], now["gone_at"]) == (at + 40 * SECOND, at + HOUR, None)


async def test_what_was_resolved_does_not_come_back_as_the_same(database: Databases, at: datetime) -> None:
    await _raise(database, at, {})
    await _clear(database, at + SECOND)
    async with database.app.transaction(JOB, at) as conn:
        await db.run(conn, "UPDATE incident SET resolved_at = %s", (at,))
    await _raise(database, at + 2 * SECOND, {})
    assert [row["times"] for row in await _rows(database, at)] == [1, 1]


async def test_ingest_may_raise_and_a_fact_outside_the_table_is_refused(
    database: Databases, at: datetime
) -> None:
    async with database.ingest.transaction(JOB, at) as conn:
        await raise_incident(conn, at, "ingest-slow", "ingest-1", {"pending": 3})
        await clear_incident(conn, at, "ingest-slow", "ingest-1")
        with pytest.raises(ValueError):
            await raise_incident(conn, at, "disk-low", "", {"patient": "x"})
        with pytest.raises(ValueError):
            await raise_incident(conn, at, "no-such-kind", "", {})
