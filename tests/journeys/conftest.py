"""A whole hub with the demo district, as `make run` starts it, and a real browser."""

import asyncio
import contextlib
import os
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray
from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright

from ecg.formats import wfdb as wfdb_format
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser
from hub.demo_district import RESIDENTS
from tests import parts

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 240  # a guard only: a loaded machine may take its time
PATIENT = "测试患者甲"  # whom the journey registers
PATIENCE_MS = 60_000
BROWSER = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
AF_RECORD = "201"  # of MIT-BIH DS1: atrial fibrillation from the start, tall R waves in lead II
LEADS = ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1")


@dataclass(frozen=True)
class Heart:
    """What every Holter of the district sees: a record, and where its beats truly are."""

    folder: Path
    fs_hz: int
    beats: NDArray[np.int64]


@dataclass(frozen=True)
class Hub:
    base: str
    password: str
    data_dir: Path


def real_record(folder: Path) -> Path | None:
    """The record of MIT-BIH linked into a folder of its own, where the data are."""
    data = Path(os.environ.get("TELEHUB_DATA", ROOT.parent / "shared" / "data")) / "mitdb"
    if not (data / f"{AF_RECORD}.dat").exists():
        return None
    for suffix in ("hea", "dat", "atr"):
        shutil.copy(data / f"{AF_RECORD}.{suffix}", folder)
    return folder / AF_RECORD


@pytest.fixture(scope="session")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Heart:
    """MIT-BIH where present, else our own fibrillating heart."""
    folder = tmp_path_factory.mktemp("records")
    record = real_record(folder)
    if record is not None:
        marks = wfdb.rdann(str(record), "atr")
        beats = [s for s, symbol in zip(marks.sample, marks.symbol, strict=True) if symbol not in '+~|"[]!x']
        return Heart(folder, 360, np.array(beats))
    made, seconds = Synthesiser(5, 250, LEADS, (Segment("af", 600.0, 90.0),)), 300
    samples = made.samples(0, 250 * seconds)
    leads = tuple(Lead(code, 250.0, 5.0, 0, own) for code, own in zip(LEADS, samples, strict=True))
    wfdb_format.write(Record(leads), folder / "made")
    return Heart(folder, 250, made.beats(0, 250 * seconds)[0])


@contextlib.asynccontextmanager
async def demo(data_dir: Path, records: Path) -> AsyncIterator[Hub]:
    ports = ("HUB_HTTP_PORT", "HUB_MQTT_PORT", "HUB_MQTT_DEVICES_PORT")
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env |= {name: str(parts.free_port()) for name in ports}
    env |= {"HUB_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-m", "hub.cli", "serve", "--demo", "--records", str(records))
    errors = (data_dir.parent / "hub.log").open("wb")
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=PIPE, stderr=errors)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            base = (await process.stdout.readline()).decode().removeprefix("ready ").strip()
            accounts = (await process.stdout.readline()).decode()
        assert base, (data_dir.parent / "hub.log").read_text()
        yield Hub(base, accounts.split("password of all: ")[1].split(")")[0], data_dir)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 40)
        errors.close()


@pytest.fixture(scope="session")
async def hub(heart: Heart, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    async with demo(tmp_path_factory.mktemp("hub") / "var", heart.folder) as running:
        yield running
    assert named_in_logs(running) == []  # all logs of the journeys, down to the hub's last line


def named_in_logs(hub: Hub) -> list[str]:
    """Patients whose names stand in anything the hub's processes, its database or its broker wrote to a log."""
    logs = [hub.data_dir.parent / "hub.log", *(hub.data_dir / "log").glob("*.log*")]
    written = b"".join(log.read_bytes() for log in logs)
    names = [person.name for person in RESIDENTS] + [PATIENT]
    return [
        name for name in names if any(form in written for form in (name.encode(), ascii(name)[1:-1].encode()))
    ]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "chromium is missing: make setup installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=BROWSER)
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def signed_in(browser: Browser, hub: Hub, login: str, width: int = 1440) -> AsyncIterator[Page]:
    """A page of a person who has just signed in, in Chinese; an error in its console fails the test."""
    context: BrowserContext = await browser.new_context(
        viewport={"width": width, "height": 900},
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        accept_downloads=True,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    await page.goto(hub.base)
    await page.get_by_label("账号").fill(login)
    await page.get_by_label("密码").fill(hub.password)
    await page.get_by_role("button", name="登录").click()
    await page.get_by_role("button", name="退出").wait_for()
    try:
        yield page
    except BaseException:
        for last in context.pages[-1:]:  # a journey may have closed the first
            with contextlib.suppress(Error):  # a page that hangs must not hide why the journey failed
                await last.screenshot(
                    path=hub.data_dir.parent / f"{login}.png", full_page=True, timeout=10_000
                )
        raise
    finally:
        await context.close()
    assert faults == []
