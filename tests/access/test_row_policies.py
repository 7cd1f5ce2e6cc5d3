"""The second fence: what PostgreSQL itself shows, whatever a service forgot to ask."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from hub.core.actor import ANONYMOUS, Actor
from hub.core.db import Connection
from tests import world
from tests.access import objects
from tests.parts import Databases
from tests.world import AT, World

SAMPLES = ("ecg_packet", "ecg_block", "ecg_storage", "vital", "recording_boot", "recording_clock")


@pytest.fixture
async def full(database: Databases) -> AsyncIterator[tuple[World, objects.Case]]:
    """One row of everything, of the own tenant."""
    two = await world.build(database.admin_dsn)
    case = objects.Case(two.own)
    async with await world.connect(two.admin_dsn) as admin:
        for parameter in objects.MAKERS:
            await objects.make(admin, case, parameter)
    yield two, case


async def _guarded(admin_dsn: str) -> list[str]:
    async with await world.connect(admin_dsn) as admin:
        found = await admin.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity ORDER BY relname"
        )
        return [row["relname"] for row in await found.fetchall()]


async def _count(conn: Connection, table: str) -> int:
    row = await (await conn.execute(f"SELECT count(*) AS rows FROM {table}")).fetchone()  # type: ignore[call-overload]
    return int(row["rows"])


async def test_every_table_of_patients_is_guarded(database: Databases) -> None:
    guarded = set(await _guarded(database.admin_dsn))
    async with await world.connect(database.admin_dsn) as admin:
        found = await admin.execute(
            """SELECT DISTINCT c.table_name, has_table_privilege('hub_app', quote_ident(c.table_name), 'SELECT')
                 AS readable FROM information_schema.columns c
               WHERE c.table_schema = 'public' AND c.column_name IN ('patient_id', 'recording_id')"""
        )
        readable = {row["table_name"] for row in await found.fetchall() if row["readable"]}
    # Pairings, merges and the audit hold ids only; the services that read them ask for access first.
    assert readable - guarded == {"device_pairing", "patient_merge", "audit"}


async def test_nothing_is_visible_without_an_actor(
    database: Databases, full: tuple[World, objects.Case]
) -> None:
    async with database.app.transaction(ANONYMOUS, AT) as conn:
        assert {table: await _count(conn, table) for table in await _guarded(full[0].admin_dsn)} == (
            dict.fromkeys(await _guarded(full[0].admin_dsn), 0)
        )


async def test_a_foreign_tenant_sees_no_row_of_any_guarded_table(
    database: Databases, full: tuple[World, objects.Case]
) -> None:
    two, _ = full
    for role in world.PLACES:
        actor = two.foreign.actor(role)
        async with database.app.transaction(actor, AT) as conn:
            for table in await _guarded(two.admin_dsn):
                assert await _count(conn, table) == 0, f"{role} sees {table}"


async def test_the_own_tenant_sees_them(database: Databases, full: tuple[World, objects.Case]) -> None:
    """Otherwise the test above would pass on an empty database."""
    two, case = full
    seen = set()
    people = [two.own.actor(role) for role in ("village_doctor", "township_doctor", "device_manager")]
    for actor in (*people, Actor("node", str(case.ids["dicom_node_id"]))):
        async with database.app.transaction(actor, AT) as conn:
            seen |= {table for table in await _guarded(two.admin_dsn) if await _count(conn, table)}
    assert seen == set(await _guarded(two.admin_dsn))


async def test_those_without_care_see_no_patient(
    database: Databases, full: tuple[World, objects.Case]
) -> None:
    two, _ = full
    async with await world.connect(two.admin_dsn) as admin:
        await admin.execute("DELETE FROM access_grant")
    for role in ("auditor", "organisation_admin", "resident", "reader"):
        async with database.app.transaction(two.own.actor(role), AT) as conn:
            assert await _count(conn, "patient") == 0, role
            assert await _count(conn, "recording") == 0, role


async def test_samples_are_not_read_directly(database: Databases, full: tuple[World, objects.Case]) -> None:
    async with database.app.transaction(full[0].own.actor("village_doctor"), AT) as conn:
        for table in SAMPLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with conn.transaction():
                    await _count(conn, table)


async def test_sample_functions_show_them_to_who_sees_the_recording(
    database: Databases, full: tuple[World, objects.Case]
) -> None:
    two, case = full
    recording, patient = case.ids["recording_id"], case.ids["patient_id"]
    calls = [
        ("SELECT count(*) FROM ecg_pieces(ARRAY[%s::uuid], '{1}', '{0}', '{250}')", (recording,)),
        ("SELECT count(*) FROM recording_boots(%s)", (recording,)),
        ("SELECT count(*) FROM patient_vitals(%s, '2026-01-01Z', '2027-01-01Z')", (patient,)),
    ]
    for actor, rows in [(two.own.actor("village_doctor"), 1), (two.foreign.actor("village_doctor"), 0)]:
        async with database.app.transaction(actor, AT) as conn:
            for query, parameters in calls:
                found = await (await conn.execute(query, parameters)).fetchone()
                assert found == {"count": rows}, query


async def test_a_row_cannot_be_written_into_a_foreign_tenant(
    database: Databases, full: tuple[World, objects.Case]
) -> None:
    two, case = full
    doctor = two.foreign.actor("village_doctor")
    async with database.app.transaction(doctor, AT) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with conn.transaction():
                await conn.execute(
                    """INSERT INTO consent (id, patient_id, kind, given_how, given_by, recorded_by, given_at)
                       VALUES (gen_random_uuid(), %s, 'family', 'paper', 'x', %s, %s)""",
                    (case.ids["patient_id"], doctor.account_id, AT),
                )
        changed = await conn.execute("UPDATE patient SET name = 'x' WHERE id = %s", (case.ids["patient_id"],))
        assert changed.rowcount == 0
