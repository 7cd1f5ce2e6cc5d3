"""Retention: nothing goes before a rule is switched on, nothing bound goes as monitoring, nothing is left over."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from hub import app
from hub.core import db, errors, jobs
from hub.core.jobs import Worker
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.pictures import copies
from hub.people import retention
from hub.reading import reports
from tests.keeping import images
from tests.parts import Databases
from tests.reading import world as districts
from tests.reading.test_reports import claimed, sign
from tests.reading.world import SEEDER, World, ended_recording, later
from tests.world import connect, insert

DAY = timedelta(days=1)


@pytest.fixture
async def world(database: Databases, tmp_path: Path, at: datetime) -> World:
    built = await districts.build(database, tmp_path, at)
    await districts.agree(built)
    return built


def worker(world: World) -> Worker:
    store = Store(world.data_dir / "files")
    return Worker(
        world.databases.app, store, Settings(), retention.kinds(app.RETENTION), lambda: world.at, "test"
    )


async def sweep(world: World) -> None:
    """What the timer and the jobs process do."""
    await retention.ask(worker(world).context(world.at))
    await jobs.run_due(worker(world))
    async with world.transaction(SEEDER) as conn:
        assert await db.rows(conn, "SELECT kind, error FROM job WHERE error IS NOT NULL") == []


async def switch_on(world: World, kind: str, keep_days: int) -> None:
    async with world.transaction(world.admin) as conn:
        await retention.change_rule(conn, world.admin, world.at, kind, keep_days=keep_days, enabled=True)


async def loose_recording(world: World) -> UUID:
    """A recording bound to nothing."""
    recording = await ended_recording(world)
    async with world.transaction(SEEDER) as conn:
        await db.run(conn, "UPDATE recording SET service_request_id = NULL WHERE id = %s", (recording,))
    return recording


async def store_value(world: World, recording: UUID, at: datetime) -> None:
    """A value of the recording's patient, or of a fridge."""
    async with world.databases.ingest.transaction(SEEDER, world.at) as conn:
        await db.run(conn, "SELECT hub_ensure_day(%s)", (at.date(),))
        await db.run(
            conn,
            "INSERT INTO vital (device_id, patient_id, code, at, value, unit, received_at)"
            " SELECT r.device_id, r.patient_id, '149530', %s, 61, '/min', %s FROM recording r WHERE r.id = %s"
            " UNION ALL SELECT 'fridge', NULL, '150344', %s, 4, 'Cel', %s",
            (at, at, recording, at, at),
        )


async def left(world: World, column: str, value: UUID) -> dict[str, int]:
    """Rows of every table with this column that speak of it."""
    found = {}
    async with await as_owner(world) as conn:
        tables = await conn.execute(
            "SELECT table_name FROM information_schema.columns JOIN information_schema.tables"
            " USING (table_schema, table_name) WHERE table_schema = 'public' AND column_name = %s"
            " AND table_type = 'BASE TABLE'",
            (column,),
        )
        for (table,) in await tables.fetchall():
            rows = await conn.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s", (value,))
            (number,) = (await rows.fetchone()) or (0,)
            if number:
                found[table] = number
    return found


async def as_owner(world: World) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """Past every grant and policy."""
    conn = await psycopg.AsyncConnection.connect(world.databases.admin_dsn, autocommit=True)
    await conn.execute("SET ROLE hub_owner")
    await conn.execute("SELECT set_config('hub.actor_kind', 'job', false)")
    return conn


async def test_rules_are_off_and_never_shorter_than_the_law(world: World) -> None:
    recording = await loose_recording(world)
    await sweep(later(world, days=40_000))
    assert (await left(world, "recording_id", recording)).keys() >= {"recording_boot", "ecg_packet"}
    async with world.transaction(world.admin) as conn:
        rules = {row["kind"]: row for row in await retention.rules(conn, world.admin, world.at)}
    assert {kind: rule["minimum_days"] for kind, rule in rules.items()} == {
        "study": 5479, "consultation": 1096, "log": 184, "monitoring": 90,
    }  # fmt: skip
    assert not any(rule["enabled"] for rule in rules.values())
    with pytest.raises(errors.BadInput, match="retention_too_short"):
        await switch_on(world, "monitoring", 89)
    with pytest.raises(psycopg.errors.CheckViolation):
        async with world.transaction(SEEDER) as conn:
            await db.run(conn, "UPDATE retention_rule SET keep_days = 89 WHERE kind = 'monitoring'")


async def test_monitoring_goes_by_recording_and_what_is_bound_stays(world: World) -> None:
    loose, bound = await loose_recording(world), await ended_recording(world)
    await store_value(world, loose, world.at - 30 * DAY)
    await store_value(world, bound, world.at)
    await switch_on(world, "monitoring", 90)
    await sweep(later(world, days=90))  # due is what is older than that
    assert await left(world, "recording_id", loose)
    after = later(world, days=91)
    async with after.transaction(SEEDER) as conn:
        due = await retention.preview(conn, retention.ACTOR, after.at, app.RETENTION)
    assert {(row["kind"], row["object_kind"]): row["number"] for row in due if row["number"]} == {
        ("monitoring", "recording"): 1,
    }
    await sweep(after)
    assert await left(world, "recording_id", loose) == {}
    assert (await left(world, "recording_id", bound)).keys() >= {"recording_boot", "ecg_packet"}
    async with world.transaction(SEEDER) as conn:
        told = await db.rows(
            conn, "SELECT object_kind, detail FROM audit WHERE action = 'retention.sweep' ORDER BY id"
        )
    assert told == [
        {"object_kind": "vital-signs", "detail": {"number": 1, "ids": ""}},
        {"object_kind": "recording", "detail": {"number": 1, "ids": str(loose)}},
    ]


async def test_values_of_a_patient_go_by_day_unless_something_kept_was_near(world: World) -> None:
    bound = await ended_recording(world)
    for days in (0, 10, 20):
        await store_value(world, bound, world.at - days * DAY)
    await switch_on(world, "monitoring", 90)
    await sweep(later(world, days=100))
    async with await as_owner(world) as conn:
        patients = await conn.execute("SELECT at FROM vital WHERE patient_id IS NOT NULL")
        assert await patients.fetchall() == [(world.at,)]
        fridges = await conn.execute("SELECT count(*) FROM vital WHERE patient_id IS NULL")
        assert await fridges.fetchone() == (3,)


async def test_clinical_data_go_as_a_whole_after_their_newest_date(world: World) -> None:
    """Fifteen years after the report was signed nothing speaks of the recording any more, but for the audit."""
    recording = await ended_recording(world)
    read = later(world, days=200)
    async with world.transaction(SEEDER) as conn:
        await db.run(conn, "UPDATE session SET stepped_up_at = %s, expires_at = %s", (read.at, read.at + DAY))
    report = await sign(read, await claimed(read, recording))
    file = await worker(world).store.put(b"paper", "application/pdf")
    async with read.transaction(SEEDER) as conn:
        await reports.store_pdf(conn, SEEDER, read.at, report["id"], file)
        study = await db.one(conn, "SELECT id, service_request_id FROM study")
        await db.run(conn, "DELETE FROM job")
    await switch_on(read, "study", 5479)
    await sweep(later(world, days=5479 + 199))
    assert await left(world, "recording_id", recording)
    gone = later(world, days=5479 + 201)
    await sweep(gone)
    assert await left(world, "recording_id", recording) == {}
    assert await left(world, "study_id", study["id"]) == {}
    assert await left(world, "service_request_id", study["service_request_id"]) == {}
    async with world.transaction(SEEDER) as conn:
        for table in ("service_request", "report_delivery", "analysis_edit", "task", "stored_file"):
            assert await db.rows(conn, f"SELECT * FROM {table}") == [], table
    assert worker(world).store.path(file.sha256).exists()  # a backup may be at work
    await sweep(later(gone, days=2))
    assert not worker(world).store.path(file.sha256).exists()


async def test_images_go_as_a_whole_with_their_files(world: World) -> None:
    """A DICOM study that was sent for a request, read and signed: nothing of it is left, and no byte of its files."""
    hand = worker(world)
    files = [await hand.store.put(bytes([n]) * 100, "application/dicom") for n in range(4)]
    async with await connect(world.databases.admin_dsn) as admin:
        study = await images.make(admin, world, files)
    await switch_on(world, "study", 5479)
    await sweep(later(world, days=5479))
    assert await left(world, "dicom_study_id", study.id)
    gone = later(world, days=5480)
    async with gone.transaction(SEEDER) as conn:
        due = await retention.preview(conn, retention.ACTOR, gone.at, app.RETENTION)
    assert ("study", "dicom-study", 1) in {(row["kind"], row["object_kind"], row["number"]) for row in due}
    await sweep(gone)
    named = {"dicom_study_id": study.id, "dicom_instance_id": study.instance_id, "dicom_series_id": study.series_id,
             "study_id": study.study_id, "service_request_id": study.request_id, "task_id": study.task_id,
             "report_id": study.report_id}  # fmt: skip
    assert {column: await left(world, column, value) for column, value in named.items()} == {
        column: {} for column in named
    }
    async with world.transaction(SEEDER) as conn:
        for table in (
            "dicom_study",
            "dicom_pixels",
            "dicom_forwarded",
            "key_image",
            "task",
            "stored_file",
            "upload",
        ):
            assert await db.rows(conn, f"SELECT * FROM {table}") == [], table
    await sweep(later(gone, days=2))
    assert not [file for file in files if hand.store.path(file.sha256).exists()]


async def test_what_was_read_of_anothers_images_goes_by_its_own_dates(world: World) -> None:
    """Taken back, the images go as theirs, and the reading that is bound to nothing goes with paper and upload."""
    hand = worker(world)
    files = [await hand.store.put(bytes([n]) * 100, "application/dicom") for n in range(4)]
    async with await connect(world.databases.admin_dsn) as admin:
        made = await images.make(admin, world, files)
        await admin.execute("UPDATE study SET dicom_study_id = NULL")
        await admin.execute(
            "UPDATE dicom_study SET service_request_id = NULL, patient_id = NULL, resolved_by = NULL, first_at = %s",
            (world.at + 9000 * DAY,),
        )
        await admin.execute("UPDATE report SET signed_at = %s", (world.at + 100 * DAY,))
    await switch_on(world, "study", 5479)
    await sweep(later(world, days=5479 + 99))
    assert (await left(world, "study_id", made.study_id)).keys() == {"task", "report"}
    await sweep(later(world, days=5479 + 101))
    named = {"study_id": made.study_id, "task_id": made.task_id, "report_id": made.report_id,
             "service_request_id": made.request_id}  # fmt: skip
    assert {column: await left(world, column, value) for column, value in named.items()} == {
        column: {} for column in named
    }
    assert await left(world, "dicom_study_id", made.id)
    await sweep(later(world, days=5479 + 103))
    assert [hand.store.path(file.sha256).exists() for file in files] == [True, True, False, False]


async def test_what_nodes_asked_of_commitment_goes_with_the_logs(world: World) -> None:
    async with await connect(world.databases.admin_dsn) as admin:
        node = {"organisation_id": world.clinic, "dicom_node_id": uuid4()}
        await insert(admin, "dicom_node", id=node["dicom_node_id"], organisation_id=world.clinic, name="x",
                     ae_title="X", created_at=world.at)  # fmt: skip
        for day in (0, 10):
            await insert(admin, "dicom_commitment", id=uuid4(), transaction_uid=f"1.{day}", asked="[]",
                         asked_at=world.at + day * DAY, **node)  # fmt: skip
    await switch_on(world, "log", 184)
    await sweep(later(world, days=184 + 5))
    async with world.transaction(SEEDER) as conn:
        assert await db.rows(conn, "SELECT transaction_uid FROM dicom_commitment") == [
            {"transaction_uid": "1.10"}
        ]


async def test_a_copy_that_another_replaces_goes_a_day_later_unless_it_is_used(world: World) -> None:
    hand = worker(world)
    files = [await hand.store.put(bytes([n]) * 100, "application/dicom") for n in range(4)]
    new = await hand.store.put(b"new", copies.FILE_TYPE)
    async with await connect(world.databases.admin_dsn) as admin:
        made = await images.make(admin, world, files)
        other = await images.another_instance(admin, world, made, files)

    async def keep(instance: UUID, at: datetime) -> None:
        told = {"state": "ready", "media_type": "image/jphc", "layout": {}}
        async with later(world, days=(at - world.at).days).transaction(SEEDER) as conn:
            await copies.keep(conn, at, [(instance, told, new)])
        await jobs.run_due(worker(later(world, days=(at - world.at).days + 2)))

    await keep(made.instance_id, world.at)
    assert hand.store.path(files[1].sha256).exists()  # of the other one
    await keep(other, world.at + DAY)
    assert not hand.store.path(files[1].sha256).exists()
    await keep(other, world.at + 2 * DAY)
    assert hand.store.path(new.sha256).exists() and hand.store.path(files[0].sha256).exists()


async def test_whatever_speaks_of_what_may_go_is_found_by_an_index(world: World) -> None:
    """Else each row that is removed reads the whole table: with ten million instances a study never goes."""
    removable = ("stored_file", "recording", "service_request", "study", "task", "report", "upload",
                 "dicom_study", "dicom_series", "dicom_instance", "dicom_forward", "analysis", "alarm")  # fmt: skip
    async with await as_owner(world) as conn:
        found = await conn.execute(
            """SELECT c.confrelid::regclass::text, c.conrelid::regclass::text, a.attname, EXISTS (
                 SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND coalesce(
                   pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname), true))
               FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
               WHERE c.contype = 'f'"""
        )
        keys = [
            (table, by, is_indexed) for to, table, by, is_indexed in await found.fetchall() if to in removable
        ]
    assert len(keys) > 30
    assert [(table, by) for table, by, is_indexed in keys if not is_indexed] == []
