"""A specialist reads a CT beside last year's, chooses a key image, signs; the township has the report with it."""

import io
import re

import pypdf
from playwright.async_api import Browser, Page, expect

from hub import demo_images
from hub.demo_district import RESIDENTS
from tests.journeys.conftest import PATIENCE_MS, Hub, signed_in
from tests.journeys.test_pages import faults_of

PATIENT = RESIDENTS[-2].name
CONCLUSION = "右肺上叶结节，较去年增大"


async def test_a_ct_is_read_beside_last_year_s(browser: Browser, hub: Hub) -> None:
    async with signed_in(browser, hub, "reader") as reader:
        await open_the_case(reader, hub)
        await compare_and_choose(reader)
        await sign(reader, hub.password)
    async with signed_in(browser, hub, "doctor") as doctor:
        await read_the_report(doctor, hub)


async def open_the_case(page: Page, hub: Hub) -> None:
    await page.goto(f"{hub.base}/reading")
    await page.get_by_role("button", name=re.compile(demo_images.QUESTION[-5:])).click()
    await expect(page.get_by_test_id("case")).to_contain_text(PATIENT, timeout=PATIENCE_MS)
    await expect(page.locator('[data-test="slice"]').first).to_contain_text(
        str(demo_images.SLICES), timeout=PATIENCE_MS
    )
    await expect(page.locator('[data-test="not-diagnostic"]')).to_have_count(0, timeout=PATIENCE_MS)
    assert await faults_of(page) == []


async def compare_and_choose(page: Page) -> None:
    """Last year's lies beside it; a slice in the middle, in the lung window, is chosen as key image."""
    await page.locator(".case-prior").get_by_role("button", name="并排对比").click()
    await expect(page.locator('[data-test^="pane-"]')).to_have_count(2)
    await expect(page.locator('[data-test="study-banner"]')).to_have_count(2, timeout=PATIENCE_MS)
    first = page.locator('[data-test^="pane-"]').first
    await first.focus()
    for _ in range(demo_images.SLICES // 3):
        await page.keyboard.press("ArrowDown")
    await page.keyboard.press("k")
    await expect(page.locator('[data-test="stars"]').first).to_contain_text("1", timeout=PATIENCE_MS)


async def sign(page: Page, password: str) -> None:
    await page.locator('[data-field="findings_text"]').fill("右肺上叶见类圆形结节。")
    await page.locator('[data-field="conclusion"]').fill(CONCLUSION)
    await page.get_by_test_id("sign").click()
    await expect(page.get_by_role("dialog")).to_contain_text(f"签名所依据的影像：{demo_images.SLICES} 幅")
    await expect(page.locator('[data-test="to-print"]')).to_have_attribute("data-count", "1")
    await page.get_by_test_id("sign-confirm").click()
    again = page.get_by_role("textbox", name="密码")
    await again.fill(password)
    await again.press("Enter")
    await expect(page.get_by_test_id("signed")).to_contain_text("已回传基层", timeout=PATIENCE_MS)


async def read_the_report(page: Page, hub: Hub) -> None:
    """The desk says that it is back; the paper names the finding and shows the image."""
    await page.goto(f"{hub.base}/desk")
    await expect(page.locator("tr", has_text=PATIENT).filter(has_text="报告已返回").first).to_be_visible()
    studies = (await (await page.request.get(f"{hub.base}/api/studies?status=report-back")).json())["studies"]
    (study,) = [one for one in studies if one["kind"] == "imaging"]
    answer = await page.request.get(f"{hub.base}/api/reports/{study['report']['id']}/pdf")
    paper = pypdf.PdfReader(io.BytesIO(await answer.body()))
    assert CONCLUSION in "".join(sheet.extract_text() for sheet in paper.pages)
    assert [found for sheet in paper.pages for found in sheet.images]
