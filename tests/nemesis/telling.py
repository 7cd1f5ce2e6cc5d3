"""What the hub tells of its ledger, everywhere people look: the API, the live page in a browser, the signed paper, the
metric. And the findings of a recording beside those of its whole signal.
"""

import asyncio
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import numpy as np
import pypdf
from aiohttp import ClientSession, CookieJar
from playwright.async_api import Page, async_playwright

from ecg import holter
from ecg.analysis import Analysis
from ecg.record import Lead, Record
from hub.core import clock, db
from hub.core.actor import Actor
from hub.core.db import Database
from hub.people import sessions
from hub.reading import cases, drafts, reports, tasks
from hub.reading.signing import local_signer
from tests.nemesis.checkers import Broken, Figures
from tests.nemesis.installation import Hub
from tests.nemesis.tape import FS_HZ, LEADS, UV_PER_LSB, Tape
from tests.nemesis.town import DESK, PASSWORD, Worn

Told = dict[str, dict[str, int]]  # device -> produced, stored, declared_lost, waiting

COUNTS: Final = ("produced", "stored", "declared_lost", "waiting")
PATIENCE_S: Final = 180.0  # a guard only
BROWSER: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def session(hub: Hub) -> ClientSession:
    return ClientSession(base_url=hub.base, cookie_jar=CookieJar(unsafe=True))


async def sign_in(http: ClientSession, login: str) -> None:
    await _ask(http, "POST", "/api/session", json={"login": login, "password": PASSWORD})


async def _ask(http: ClientSession, method: str, path: str, **other: Any) -> bytes:
    """Ask until it answers: a pool may still hold connections of the database that was killed."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with http.request(method, path, **other) as answer:
                if answer.status != 503:
                    answer.raise_for_status()
                    return await answer.read()
            await asyncio.sleep(0.2)


async def by_api(http: ClientSession, worn: Sequence[Worn]) -> Told:
    """The ledger of each recording as the API tells the doctor."""
    told: Told = {}
    for one in worn:
        answer = await _ask(http, "GET", f"/api/recordings/{one.recording_id}")
        ledger = json.loads(answer)["recording"]["ledger"]
        told[one.device_id] = {name: ledger[name] for name in COUNTS}
    return told


async def windows(http: ClientSession, recording_id: UUID, boot: int, count: int) -> np.ndarray[Any, Any]:
    """Samples [0, count) of a boot as pages read them: int16[lead, count]."""
    parts = []
    for first in range(0, count, 60 * FS_HZ):
        wanted = {"boot": boot, "first": first, "count": min(60 * FS_HZ, count - first)}
        data = await _ask(http, "GET", f"/api/recordings/{recording_id}/samples", params=wanted)
        size = int.from_bytes(data[4:8], "little")
        header = json.loads(data[8 : 8 + size])
        parts.append(np.frombuffer(data[8 + size :], "<i2").reshape(len(LEADS), header["count"]))
    return np.concatenate(parts, axis=1)


async def by_page(hub: Hub, worn: Sequence[Worn]) -> Told:
    """The same as a doctor sees it in a real browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "chromium is missing: make setup installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=BROWSER)
        page = await browser.new_page(locale="zh-CN")
        page.set_default_timeout(PATIENCE_S * 1000)
        await page.goto(hub.base)
        await page.get_by_label("账号").fill("doctor")
        await page.get_by_label("密码").fill(PASSWORD)
        await page.get_by_role("button", name="登录").click()
        await page.get_by_role("button", name="退出").wait_for()
        told = {one.device_id: await _seen(page, hub, one) for one in worn}
        await browser.close()
    return told


async def _seen(page: Page, hub: Hub, worn: Worn) -> dict[str, int]:
    await page.goto(f"{hub.base}/live?recording={worn.recording_id}")
    account = await page.get_by_test_id("ledger").evaluate("e => ({...e.dataset})")
    names = dict(zip(COUNTS, ("produced", "stored", "declaredLost", "waiting"), strict=True))
    return {name: int(account[field]) for name, field in names.items()}


async def by_paper(hub: Hub, database: Database, http: ClientSession, worn: Sequence[Worn]) -> Told:
    """The same as the signed report has it, once the studies have been analysed, read and signed."""
    told: Told = {}
    for one in worn:
        report_id = await _signed(hub, database, one)
        text = "".join((await _paper(http, report_id)).split())
        found = re.search(r"每导联产生([\d,]+)点，已存([\d,]+)（[^）]*），声明丢失([\d,]+)（", text)
        assert found, "the paper tells no ledger"
        waiting = re.search(r"尚未收到([\d,]+)", text)
        counts = [*found.groups(), waiting[1] if waiting else "0"]
        told[one.device_id] = {
            name: int(count.replace(",", "")) for name, count in zip(COUNTS, counts, strict=True)
        }
    return told


async def _signed(hub: Hub, database: Database, worn: Worn) -> UUID:
    """Claim, write and sign, as the reader does."""
    task_id = await _task(database, worn)
    at = clock.now()
    async with database.transaction(DESK, at) as conn:
        opened = await sessions.sign_in(conn, at, "reader", PASSWORD)
        assert isinstance(opened, sessions.SignedIn)
    reader: Actor = opened.actor
    async with database.transaction(reader, at) as conn:
        await sessions.step_up(conn, reader, at, PASSWORD)
        await tasks.claim_task(conn, reader, at, task_id)
        case = await cases.read_case(conn, reader, at, task_id)
        content = {
            "findings_text": "见下。", "conclusion": "见下。", "advice": "随访。", "included_findings": [],
            "critical": False,
        }  # fmt: skip
        saved = await drafts.save_draft(conn, reader, at, task_id, content, 0)
        report = await reports.sign_report(
            conn, reader, at, local_signer(hub.data_dir), task_id,
            revision=saved["revision"], analysis_id=case["analysis"]["id"], edit_sequence=0,
        )  # fmt: skip
    return UUID(str(report["id"]))


async def _task(database: Database, worn: Worn) -> UUID:
    """The reading task of a recording, once its analysis has made it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with database.transaction(DESK, clock.now()) as conn:
                row = await db.maybe(
                    conn,
                    "SELECT t.id FROM task t JOIN study s ON s.id = t.study_id WHERE s.recording_id = %s",
                    (worn.recording_id,),
                )
            if row is not None:
                return UUID(str(row["id"]))
            await asyncio.sleep(0.2)


async def _paper(http: ClientSession, report_id: UUID) -> str:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with http.get(f"/api/reports/{report_id}/pdf") as answer:
                if answer.status == 200:
                    sheets = pypdf.PdfReader(io.BytesIO(await answer.read())).pages
                    return "".join(sheet.extract_text() for sheet in sheets)
            await asyncio.sleep(0.2)


async def by_metric(http: ClientSession, expected: Mapping[str, int]) -> dict[str, int]:
    """`hub_ledger_samples` by state; it is counted now and then, so it is given time to be as expected."""
    told: dict[str, int] = {}
    for _ in range(300):
        text = (await _ask(http, "GET", "/metrics")).decode()
        lines = re.findall(r'^hub_ledger_samples\{.*?state="(\w+)".*?\} ([\d.e+]+)$', text, re.MULTILINE)
        told = {state: int(float(value)) for state, value in lines}
        if told == expected:
            break
        await asyncio.sleep(0.2)
    return told


def totals(figures: Sequence[Figures]) -> dict[str, int]:
    """Of all boots together, by the names of the metric's states."""
    return {
        "produced": sum(one.produced for one in figures),
        "stored": sum(one.stored for one in figures),
        "declared_lost": sum(one.lost for one in figures),
        "waiting": 0,
    }


def undisturbed(
    tape: Tape,
    number: int,
    produced: int,
    at: datetime,
    analyse: Callable[[Record], Analysis] = holter.analyse,
) -> set[tuple[str, int, int | None]]:
    """(rule, onset, offset) of the findings of a whole signal, analysed without any hub."""
    samples = tape.signal(number)(0, produced)
    leads = tuple(
        Lead(code, float(FS_HZ), UV_PER_LSB, 0, row) for code, row in zip(LEADS, samples, strict=True)
    )
    found = analyse(Record(leads, at)).findings
    return {(one.rule, one.onset_sample, one.offset_sample) for one in found}


def check_findings(
    subject: str, found: set[tuple[str, int, int | None]], expected: set[tuple[str, int, int | None]]
) -> list[Broken]:
    """The findings of record are those of an undisturbed run."""
    if not expected:
        return [Broken("the tape has findings", subject, "none to compare")]
    if found == expected:
        return []
    words = f"lacks {sorted(expected - found)[:5]}, has besides {sorted(found - expected)[:5]}"
    return [Broken("findings of record are those of an undisturbed run", subject, words)]
