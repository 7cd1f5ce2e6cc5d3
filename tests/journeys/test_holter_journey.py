"""From a Holter on the patient to the report in the township doctor's hand, in a real browser."""

import io
import re

import numpy as np
import pypdf
from playwright.async_api import Browser, Page, expect

from tests.journeys import canvas
from tests.journeys.conftest import PATIENT, Heart, Hub, signed_in

TOLERANCE_PX = 3
DEVICE = "holter-06"


async def test_from_the_patient_to_the_signed_report(browser: Browser, hub: Hub, heart: Heart) -> None:
    async with signed_in(browser, hub, "technician") as page:
        await register(page)
        await request_holter(page)
        await pair(page)
        await check_trace(page, heart)
        await follow_until_a_finding(page)
        await end(page)
    async with signed_in(browser, hub, "reader") as page:
        await read_and_sign(page, hub.password)
    async with signed_in(browser, hub, "doctor", width=360) as page:
        await open_report(page)


async def register(page: Page) -> None:
    await page.get_by_role("link", name="登记居民").click()
    await page.get_by_label("证件类型").select_option("none")
    await page.get_by_label("姓名").fill(PATIENT)
    await page.get_by_label("出生日期").fill("1950-02-03")
    await page.get_by_label("性别").select_option("female")
    await page.get_by_role("button", name="登记", exact=True).click()
    await page.get_by_role("heading", name="居民档案").wait_for()


async def request_holter(page: Page) -> None:
    await page.get_by_role("link", name=re.compile("申请检查")).first.click()
    await page.get_by_label("动态心电图").check()
    for kind in ("监护与记录", "远程阅片"):
        await page.get_by_role("button", name=f"记录同意：{kind}").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="记录同意", exact=True).click()
        await dialog.wait_for(state="detached")
    await page.get_by_label("要回答的问题").fill("心悸待查，是否有房颤？")
    await page.get_by_role("button", name="提交申请，去配对设备").click()


async def pair(page: Page) -> None:
    await page.locator("label.choice", has_text=DEVICE).click()
    await page.get_by_role("button", name=f"用 {DEVICE} 开始").click()
    await expect(page.locator('.leads li[data-quality="good"]')).to_have_count(2, timeout=60_000)
    await page.get_by_role("button", name="信号合适，完成").click()
    await page.get_by_role("heading", name="检查进度").wait_for()
    await page.get_by_role("link", name="看实时心电").click()


async def check_trace(page: Page, heart: Heart) -> None:
    """R peaks found in the picture lie where the beats of the record are."""
    trace = page.locator("canvas[data-head-sample]").first
    await page.wait_for_function(
        """() => { const d = document.querySelector('canvas[data-head-sample]')?.dataset;
           return d && (d.headSample - d.passFirstSample) / d.fsHz > 6; }""", timeout=60_000,
    )  # fmt: skip
    sweep = await canvas.picture(trace)
    found = canvas.r_peaks(sweep, lead=0)
    margin = sweep.fs_hz // 4  # beats cut by the edges of the picture don't count
    own = (heart.beats > sweep.first_sample + margin) & (heart.beats < sweep.head_sample - margin)
    expected = sweep.x_of(heart.beats[own])
    assert len(expected) >= 4
    misses = [x for x in expected if np.abs(found - x).min() > TOLERANCE_PX]
    assert misses == [], f"beats at {expected.round(1)} px, peaks seen at {found.round(1)} px"


async def follow_until_a_finding(page: Page) -> None:
    """The irregular rhythm is found while we look, and the account of samples adds up on the page."""
    await page.locator('[data-finding="atrial-fibrillation"]').first.wait_for(timeout=60_000)
    account = await page.get_by_test_id("ledger").evaluate("e => ({...e.dataset})")
    produced, stored, lost, waiting = (
        int(account[name]) for name in ("produced", "stored", "declaredLost", "waiting")
    )
    assert produced == stored + lost + waiting > 0


async def open_progress(page: Page) -> None:
    """From the desk's list to the progress of the patient's one request."""
    await page.locator("table").get_by_role("link", name=PATIENT, exact=True).click()
    await page.get_by_role("heading", name="检查进度").wait_for()


async def end(page: Page) -> None:
    await page.get_by_role("link", name="工作台").click()
    await open_progress(page)
    await page.get_by_role("button", name="结束记录").click()
    await page.get_by_role("dialog").get_by_role("button", name="结束记录").click()
    await expect(page.get_by_text("等待阅片").first).to_be_visible(timeout=60_000)


async def read_and_sign(page: Page, password: str) -> None:
    await page.locator(".task", has_text="是否有房颤").click()
    finding = page.locator('.case-finding[data-finding="atrial-fibrillation"]').first
    await finding.locator(".case-finding-open").click()
    await expect(page.get_by_test_id("evidence")).to_contain_text("疑似心房颤动")
    await page.keyboard.press("i")
    await expect(finding).to_have_attribute("data-included", "yes")
    await page.get_by_role("button", name="心房颤动。").first.click()
    await expect(page.get_by_test_id("draft-state")).to_have_attribute("data-state", "stored")
    await page.get_by_test_id("sign").click()
    await page.get_by_test_id("sign-confirm").click()
    again = page.get_by_role("textbox", name="密码")
    await again.fill(password)
    await again.press("Enter")
    await expect(page.get_by_test_id("signed")).to_contain_text("已回传基层", timeout=60_000)


async def open_report(page: Page) -> None:
    """On a phone: the report is back, opens as the PDF that was signed, and the desk says that it was opened."""
    await open_progress(page)
    link = page.get_by_role("link", name="打开、打印报告")
    answer = await page.request.get(await link.evaluate("e => e.href"))
    assert answer.ok and answer.headers["content-type"] == "application/pdf"
    text = "".join(sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(await answer.body())).pages)
    for words in (PATIENT, "心房颤动", "数据完整性", "疑似心房颤动"):
        assert words in text, f"{words} is missing on the paper"
    await expect(page.get_by_text("本机构已打开")).to_be_visible()
