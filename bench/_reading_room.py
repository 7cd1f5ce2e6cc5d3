"""A long recording in the reading room: stored, compacted, analysed, claimed, and open in a real browser."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from playwright.async_api import Browser, Page

from bench._installation import Installation, now
from ecg.synthetic import Segment
from hub.core import db, http
from hub.core.db import Database
from hub.reading import analyses, studies
from tests import world as people
from tests.parts import Databases
from tests.reading import world as districts
from tests.reading.world import SEEDER, World
from tests.telemetry.compacting import compact

TOKEN, CSRF = "token-of-the-bench", "csrf-of-the-bench"
OPENS_MS = 60_000


@dataclass(frozen=True)
class Case:
    recording_id: UUID
    task_id: UUID


async def prepare(installation: Installation, folder: Path, recorded_s: int) -> Case:
    """A district with a reader who is signed in, and a task of so long a recording."""
    async with (
        Database(installation.dsn, "hub_app", 2) as app,
        Database(installation.dsn, "hub_ingest", 2) as ingest,
    ):
        district = await districts.build(Databases(app, ingest, installation.dsn), folder, now())
        await districts.agree(district)
        script = (
            Segment("sinus", 600.0),
            Segment("pvc", 120.0, 88.0),
            Segment("sinus", 20.0, pause_s=3.0),
        )
        recording = await districts.ended_recording(district, script, recorded_s, lost=_lost(recorded_s))
        await compact(app, now() + timedelta(days=1), recording)
        async with app.transaction(SEEDER, now()) as conn:
            study = await studies.make_study(conn, SEEDER, now(), recording)
        assert study is not None
        await analyses.analyse_study(app, SEEDER, now(), study)
        async with app.transaction(SEEDER, now()) as conn:
            task = await db.one(conn, "SELECT id FROM task WHERE study_id = %s", (study,))
    await _sign_in(installation, district)
    return Case(recording, task["id"])


def _lost(recorded_s: int) -> tuple[int, int]:
    """A stretch that never came, in samples: a fortieth of the recording, from its third on."""
    first = recorded_s // 3 * districts.FS_HZ
    return first, first + recorded_s // 40 * districts.FS_HZ


async def _sign_in(installation: Installation, district: World) -> None:
    async with await people.connect(installation.dsn) as admin:
        account_id = UUID(district.reader.id)
        await people.signed_in(admin, account_id, TOKEN, CSRF)
        await admin.execute(
            "UPDATE session SET created_at = %(at)s, last_seen_at = %(at)s, expires_at = %(until)s",
            {"at": now(), "until": now() + timedelta(hours=1)},
        )


@contextlib.asynccontextmanager
async def opened(browser: Browser, base: str, case: Case, width: int = 1440) -> AsyncIterator[Page]:
    """The case on the reader's page, its strip drawn."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    await context.add_cookies([{"name": http.SESSION_COOKIE, "value": TOKEN, "url": base}])
    page = await context.new_page()
    await page.goto(f"{base}/reading?task={case.task_id}")
    await page.wait_for_selector('canvas[data-testid="strip"][data-first-sample]', timeout=OPENS_MS)
    yield page
    await context.close()
