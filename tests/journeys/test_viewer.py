"""A township doctor opens a CT from the desk: slices, windows, keys, what has come and what has not."""

import re

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, expect

from tests.journeys.conftest import PATIENCE_MS, Hub, signed_in
from tests.journeys.test_pages import faults_of

WHOLE = 'canvas[data-testid="image"][data-complete="true"]'
GREY = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const canvas = document.querySelector('canvas[data-testid="image"]');
  const row = canvas.getContext('2d').getImageData(canvas.width / 2 - 100, canvas.height / 2, 200, 1).data;
  return [...row].filter((_, n) => n % 4 === 0);
}"""


async def test_a_township_doctor_reads_a_ct(browser: Browser, hub: Hub) -> None:
    async with signed_in(browser, hub, "doctor") as desk:
        viewer = await open_from_the_desk(desk)
        await pages_and_windows(viewer)
        await line_cut(viewer)
        assert await faults_of(viewer) == []


async def open_from_the_desk(desk: Page) -> Page:
    """The request of the CT, then its images on a page of their own."""
    await desk.get_by_role("row", name=re.compile("影像")).first.get_by_role("link").first.click()
    async with desk.context.expect_page() as opening:
        await desk.get_by_role("link", name="打开影像").first.click(timeout=2 * PATIENCE_MS)
    viewer = await opening.value
    await viewer.wait_for_selector(WHOLE, timeout=PATIENCE_MS)
    await expect(viewer.locator("[data-test=not-diagnostic]")).to_have_count(0)
    await expect(viewer.locator("[data-test=pane-0]")).to_be_focused()
    return viewer


async def pages_and_windows(viewer: Page) -> None:
    """Each slice says which it is and is another picture; a narrower window of lower values is brighter."""
    slice_number = viewer.locator("[data-test=slice]")
    await viewer.keyboard.press("Home")
    await expect(slice_number).to_contain_text("第 1 / 40 幅")
    for key, place in (("PageDown", 11), ("ArrowDown", 12), ("ArrowUp", 11), ("End", 40), ("Home", 1)):
        await viewer.keyboard.press(key)
        await expect(slice_number).to_contain_text(f"第 {place} / 40 幅")
    await viewer.mouse.move(800, 500)
    await viewer.mouse.wheel(0, 120)
    await expect(slice_number).to_contain_text("第 2 / 40 幅")
    await viewer.wait_for_selector(WHOLE + '[data-slice="1"]')
    before = await grey_of(viewer)
    await viewer.keyboard.press("3")
    await expect(viewer.locator("[data-test=window]")).to_contain_text("窗宽 1500 窗位 -600")
    lung = await grey_of(viewer)
    await viewer.keyboard.press("i")
    inverted = await grey_of(viewer)
    assert lung.mean() > before.mean()
    assert np.abs(lung + inverted - 255).max() <= 1
    await viewer.keyboard.press("0")
    assert (await grey_of(viewer) == before).all()


async def grey_of(viewer: Page) -> NDArray[np.float64]:
    """Grey of a row of pixels in the middle of the image, after the next picture of the screen."""
    return np.asarray(await viewer.evaluate(GREY), dtype=float)


async def line_cut(viewer: Page) -> None:
    """What has come is read on; what has not says so, and comes by itself when the line is back."""
    await viewer.wait_for_selector('[data-test=progress][data-full="40"]', timeout=PATIENCE_MS)
    await viewer.reload()
    await viewer.wait_for_selector(WHOLE)
    await viewer.route("**/pixels", lambda route: route.abort())
    await viewer.keyboard.press("End")
    await expect(viewer.get_by_text("线路中断")).to_be_visible()
    await viewer.unroute("**/pixels")
    await viewer.get_by_role("button", name="重试").click()
    await viewer.wait_for_selector(WHOLE + '[data-slice="39"]')
    await expect(viewer.get_by_text("线路中断")).to_have_count(0)
