"""The demo: a district one can use at once, seeded once however often it is asked."""

from pathlib import Path

from hub import demo, demo_district, simulate
from hub.core import clock, db, jobs
from hub.core.db import Connection
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.intake import worker as imaging_worker
from hub.people import access
from hub.reading import worker
from tests.parts import Databases

JOBS = {**imaging_worker.JOBS, **worker.JOBS}


def test_somebody_has_every_role() -> None:
    assert {role for _, _, role, _ in demo_district.PEOPLE} == set(access.ROLES)


async def test_a_report_is_back_a_study_waits_and_devices_are_due(
    database: Databases, tmp_path: Path
) -> None:
    """One seed for all of it, since it plays forty minutes of ECG through the ingest engine."""
    settings = Settings(data_dir=tmp_path, dsn=database.admin_dsn)
    lines = await demo.seed(settings, database.app)
    files = Store(tmp_path / "files")
    await jobs.run_due(jobs.Worker(database.app, files, settings, JOBS, clock.now, "test"))
    async with database.app.transaction(demo.ACTOR, clock.now()) as conn:
        before = await counts(conn)
        assert await db.rows(conn, "SELECT kind, error FROM job WHERE error IS NOT NULL") == []
    assert before == {
        "accounts": 14,
        "requested": 5,
        "delivered": 1,
        "waiting": 2,
        "high_alarms": 0,
        "set_aside": 0,
    }
    assert await demo.seed(settings, database.app) == lines
    async with database.app.transaction(demo.ACTOR, clock.now()) as conn:
        assert await counts(conn) == before
    _check_plan(tmp_path / demo.FOLDER)


async def counts(conn: Connection) -> db.Row:
    return await db.one(
        conn,
        "SELECT (SELECT count(*) FROM account) AS accounts,"
        " (SELECT count(*) FROM recording WHERE status = 'requested') AS requested,"
        " (SELECT count(*) FROM report_delivery) AS delivered,"
        " (SELECT count(*) FROM task WHERE status = 'requested') AS waiting,"
        " (SELECT count(*) FROM alarm WHERE handling <> 'resolved' AND priority = 'high') AS high_alarms,"
        " (SELECT count(*) FROM set_aside) AS set_aside",
    )


def _check_plan(folder: Path) -> None:
    plan = simulate.read_plan(folder / demo.PLAN)
    assert [virtual.kind for virtual in plan] == ["holter"] * 6 + ["wearable"] * 4
    assert all(path.stat().st_mode & 0o77 == 0 for path in folder.iterdir())
