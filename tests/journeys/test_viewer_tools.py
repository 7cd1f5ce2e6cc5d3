"""Two readers measure, mark and compare on a CT and its prior; what the page says is what geometry and numpy say."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import numpy as np
from aiohttp import ClientSession
from numpy.typing import NDArray
from playwright.async_api import Browser, FloatRect, Page, Route, expect

from hub.demo_district import ORGANISATIONS, RESIDENTS
from tests.imaging import senders
from tests.journeys.conftest import Hub, signed_in
from tests.journeys.test_pages import AXE, GRAVE, KEY, LOCALES, OVERFLOW_PX, VIOLATIONS, WORDS

WHO: Final = RESIDENTS[5]
SIDE: Final = 128  # pixels
SLICES: Final = 12
SPACING_MM: Final = (0.8, 0.6)  # between rows, between columns
GAP_MM: Final = {"20260302": 2.0, "20250114": 4.0}
DATES: Final = tuple(GAP_MM)
MACHINE: Final = "CT 二号机"
NUMBER: Final = re.compile(r"-?\d+\.?\d*")
WITHIN_PX: Final = 0.02  # of the image: floats of the screen


@dataclass(frozen=True)
class Sent:
    """The studies by their date, and the values (HU) of the newer one, [slice, row, column]."""

    ids: dict[str, str]
    values_hu: NDArray[np.float64]


def phantom(seed: int) -> NDArray[np.int16]:
    """Stored values of a body in air with noise, [slice, row, column]; each slice is a little brighter."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    body = ((rows - 64) / 45) ** 2 + ((columns - 64) / 55) ** 2 < 1
    noise = np.random.default_rng(seed).normal(0, 12, (SLICES, SIDE, SIDE))
    stored = np.where(body, 1064 + 5 * np.arange(SLICES)[:, None, None], 24) + noise
    return stored.astype(np.int16)


def study_of(date: str, pixels: NDArray[np.int16]) -> Sequence[bytes]:
    """Axial slices as files; each date has a frame of reference of its own."""
    study, frame = f"2.25.{uuid4().int}", f"2.25.{uuid4().int}"
    return [
        senders.as_file(
            senders.slice_of(
                study, f"{study}.1", number + 1, side=SIDE, StudyDate=date, SeriesDescription="胸部 平扫",
                PatientName="SUN^GUIYING", PatientID="T1", PixelData=own.tobytes(), RescaleSlope="1",
                RescaleIntercept="-1024", RescaleType="HU", WindowCenter="40", WindowWidth="400",
                PixelSpacing=list(SPACING_MM), ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                ImagePositionPatient=[-38.0, -51.0, number * GAP_MM[date]], FrameOfReferenceUID=frame,
            )
        )
        for number, own in enumerate(pixels)
    ]  # fmt: skip


async def call(page: Page, hub: Hub, method: str, path: str, **body: Any) -> Any:
    token = (await (await page.request.get(f"{hub.base}/api/me")).json())["csrf"]
    answer = await page.request.fetch(
        f"{hub.base}{path}", method=method, data=body or None, headers={"X-CSRF-Token": token}
    )
    assert answer.ok, await answer.text()
    return await answer.json() if answer.status != 204 else None


async def send(admin: Page, doctor: Page, hub: Hub) -> Sent:
    """Two studies of one resident, sent by the machine of the township and decided by its doctor."""
    name = ORGANISATIONS["qingshan"][3]
    organisations = (await call(admin, hub, "GET", "/api/organisations"))["organisations"]
    own = next(each["id"] for each in organisations if each["name"] == name)
    machine = await call(
        admin,
        hub,
        "POST",
        "/api/dicom/nodes",
        organisation_id=own,
        name=MACHINE,
        ae_title="CT2",
        with_token=True,
    )
    pixels = {date: phantom(seed) for seed, date in enumerate(DATES)}
    headers = {"Authorization": f"Bearer {machine['token']}", "Content-Type": "application/dicom"}
    async with ClientSession(headers=headers) as line:
        for date in DATES:
            for file in study_of(date, pixels[date]):
                async with line.post(f"{hub.base}/dicom-web/studies", data=file) as answer:
                    assert answer.status == 200, await answer.text()
    found = (await call(doctor, hub, "GET", f"/api/patients?q={WHO.name}"))["patients"]
    ids = {}
    for study in (await call(doctor, hub, "GET", "/api/dicom/studies?unresolved=true"))["studies"]:
        if study["study_date"].replace("-", "") in DATES and study["sent_patient_id"] == "T1":
            await call(
                doctor, hub, "POST", f"/api/dicom/studies/{study['id']}/assign", patient_id=found[0]["id"]
            )
            ids[study["study_date"].replace("-", "")] = study["id"]
    assert ids.keys() == set(DATES)
    return Sent(ids, pixels[DATES[0]].astype(np.float64) - 1024)


async def test_two_readers_measure_mark_and_compare(browser: Browser, hub: Hub) -> None:
    async with signed_in(browser, hub, "admin") as admin, signed_in(browser, hub, "doctor") as doctor:
        sent = await send(admin, doctor, hub)
        await open_study(doctor, hub, sent)
        await measure(doctor, hub, sent)
        await lose_the_line(doctor, hub, sent)
        await choose_a_key_image(doctor)
        await doctor.reload()
        await expect(marks_on(doctor)).to_have_count(3)
        await compare(doctor)
        assert await faults_on(doctor) == []
        async with signed_in(browser, hub, "family-doctor", width=360) as other:
            await open_study(other, hub, sent)
            await look_on_a_phone(other, hub, sent)


async def open_study(page: Page, hub: Hub, sent: Sent) -> None:
    await page.goto(f"{hub.base}/viewer#{sent.ids[DATES[0]]}")
    await page.locator('[data-test="pane-0"] canvas[data-complete="true"]').wait_for()
    await page.get_by_role("button", name="长度", exact=True).wait_for()


def marks_on(page: Page) -> Any:
    return page.locator("[data-mark]")


async def drag(page: Page, *places: tuple[float, float]) -> None:
    """From the first to the last, in shares of the first pane."""
    box = await pane_box(page)
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    await page.mouse.move(*points[0])
    await page.mouse.down()
    for point in points[1:]:
        await page.mouse.move(*point, steps=3)
    await page.mouse.up()


async def pane_box(page: Page) -> FloatRect:
    box = await page.locator('[data-test="pane-0"]').bounding_box()
    assert box is not None
    return box


def in_image(box: FloatRect, share: tuple[float, float]) -> tuple[float, float]:
    """The image point (column, row) at a share of a pane that holds all of the image: of millimetres, not pixels."""
    tall = SPACING_MM[0] / SPACING_MM[1]
    scale = min(box["width"] / SIDE, box["height"] / SIDE / tall)
    x, y = (
        (at - 0.5) * length / scale for at, length in zip(share, (box["width"], box["height"]), strict=True)
    )
    return SIDE / 2 + x, SIDE / 2 + y / tall


async def label_of(page: Page, number: int) -> list[float]:
    """The figures beside a mark, in the order they are told."""
    name = await marks_on(page).nth(number).get_attribute("aria-label")
    return [float(figure) for figure in NUMBER.findall(name or "")]


async def kept(page: Page, hub: Hub, sent: Sent) -> list[dict[str, Any]]:
    """What the hub has of the marks."""
    marks = await call(page, hub, "GET", f"/api/images/{sent.ids[DATES[0]]}/marks")
    found: list[dict[str, Any]] = marks["annotations"]
    return found


async def measure(page: Page, hub: Hub, sent: Sent) -> None:
    """A length is that of the geometry, values under an ellipse are numpy's; turning and mirroring change neither."""
    ends, corners = ((0.45, 0.35), (0.58, 0.62)), ((0.42, 0.40), (0.55, 0.66))
    await page.keyboard.press("m")
    await drag(page, *ends)
    await page.keyboard.press("e")
    await drag(page, *corners)
    await page.keyboard.press("Escape")
    await expect(page.locator('[data-test="marks-saved"]')).to_contain_text("标注已保存")
    length, ellipse = await kept(page, hub, sent)
    box = await pane_box(page)
    for mark, shares in ((length, ends), (ellipse, corners)):
        assert np.abs(np.array(mark["points"]) - [in_image(box, share) for share in shares]).max() < WITHIN_PX
    steps = np.subtract(*length["points"]) * SPACING_MM[::-1]
    assert await label_of(page, 0) == [round(float(np.hypot(*steps)), 1)]
    inside = sent.values_hu[0][in_ellipse(np.array(ellipse["points"]))]
    size_mm = np.abs(np.subtract(*ellipse["points"])) * SPACING_MM[::-1]
    figures = (inside.mean(), inside.std(), inside.min(), inside.max(), np.pi / 4 * size_mm.prod())
    for key in ("r", "h", "i"):
        told = await label_of(page, 1)
        assert np.abs(np.subtract(told, figures)).max() <= 0.05 + 1e-9, (told, figures)
        await page.keyboard.press(key)
    await page.keyboard.press("0")


def in_ellipse(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    (x, y), (a, b) = corners.mean(axis=0), np.abs(corners[1] - corners[0]) / 2
    inside: NDArray[np.bool_] = ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 <= 1
    return inside


async def lose_the_line(page: Page, hub: Hub, sent: Sent) -> None:
    """What is marked while the line is cut is never called stored, and reaches the hub by itself."""
    saved = page.locator('[data-test="marks-saved"]')

    async def cut(route: Route) -> None:
        await route.abort()

    await page.route("**/annotations/*", cut)
    await page.keyboard.press("w")
    await drag(page, (0.5, 0.5), (0.6, 0.3))
    await page.keyboard.type("可疑结节")
    await page.keyboard.press("Enter")
    await expect(saved).to_contain_text("1 项标注尚未保存")
    await expect(page.locator('[data-test="mark-label"]').last).to_contain_text("尚未保存")
    assert len(await kept(page, hub, sent)) == 2
    await page.unroute("**/annotations/*")
    await expect(saved).to_contain_text("标注已保存")
    assert [mark["text"] for mark in await kept(page, hub, sent)] == ["", "", "可疑结节"]
    await page.keyboard.press("Escape")


async def choose_a_key_image(page: Page) -> None:
    """Chosen on the third slice, gone to from the first."""
    slice_shown = page.locator('[data-test="pane-0"] canvas')
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("k")
    await expect(page.locator('[data-test="stars"]')).to_contain_text("1 幅关键图像")
    await page.keyboard.press("Home")
    await expect(slice_shown).to_have_attribute("data-slice", "0")
    await page.keyboard.press("y")
    await page.locator('[data-test="key-list"]').get_by_role("button").click()
    await expect(slice_shown).to_have_attribute("data-slice", "2")
    await expect(page.locator('[data-test="marks-saved"]')).to_contain_text("标注已保存")


async def compare(page: Page) -> None:
    """The prior stands beside with its date; linked, both go the same millimetres."""
    await expect(page.locator('[data-test="stars"]')).to_contain_text("1 幅关键图像")
    for _ in range(SLICES // 2):
        await page.keyboard.press("ArrowDown")
    await page.keyboard.press("p")
    await page.get_by_role("dialog").get_by_role("button", name="2025-01-14").click()
    banners = page.locator('[data-test="study-banner"]')
    await expect(banners).to_have_text([re.compile("本次.*2026-03-02"), re.compile("2025-01-14.*早 13 个月")])
    other = page.locator('[data-test="pane-1"] canvas')
    await expect(other).to_have_attribute("data-slice", str(SLICES // 2))
    await page.keyboard.press("l")
    for _ in range(4):
        await page.keyboard.press("ArrowDown")
    moved = 4 * GAP_MM[DATES[0]] / GAP_MM[DATES[1]]
    await expect(other).to_have_attribute("data-slice", str(SLICES // 2 + round(moved)))
    await expect(page.locator('[data-test="linked"]')).to_have_attribute("data-way", "distance")
    await page.keyboard.press("3")
    await expect(page.locator('[data-test="pane-1"] [data-test="window"]')).to_contain_text("-600")


async def look_on_a_phone(page: Page, hub: Hub, sent: Sent) -> None:
    """The marks of the other reader are there, named, and can't be moved; one's own can be made and taken away."""
    await expect(marks_on(page)).to_have_count(3)
    await expect(marks_on(page).first).to_have_attribute("aria-label", re.compile("周立平"))
    assert [each["text"] for each in await kept(page, hub, sent)] == ["", "", "可疑结节"]
    await marks_on(page).first.press("Delete")
    await expect(marks_on(page)).to_have_count(3)
    await page.get_by_role("button", name="矩形", exact=True).click()
    await drag(page, (0.3, 0.6), (0.7, 0.8))
    await expect(marks_on(page)).to_have_count(4)
    assert await faults_on(page) == []
    await nudge(page, hub, sent)
    await marks_on(page).last.press("Delete")
    await expect(marks_on(page)).to_have_count(3)
    await expect(page.locator('[data-test="marks-saved"]')).to_contain_text("标注已保存")
    assert len(await kept(page, hub, sent)) == 3


async def nudge(page: Page, hub: Hub, sent: Sent) -> None:
    """A handle goes by whole pixels as the arrow looks on the screen, also when the image is mirrored."""
    before = (await kept(page, hub, sent))[-1]["points"]
    await page.locator('[data-test="pane-0"]').focus()
    await page.keyboard.press("Escape")
    await page.keyboard.press("h")
    await marks_on(page).last.press("Enter")
    handle = page.locator('[data-test="handle"]').last
    await handle.press("ArrowRight")
    await handle.press("Shift+ArrowUp")
    moved = [before[0], [before[1][0] - 1, before[1][1] - 10]]
    await expect(page.locator('[data-test="marks-saved"]')).to_contain_text("标注已保存")
    assert np.abs(np.subtract((await kept(page, hub, sent))[-1]["points"], moved)).max() < WITHIN_PX
    await page.keyboard.press("h")


async def faults_on(page: Page) -> list[str]:
    """In each language, as the page stands."""
    await page.evaluate(AXE.read_text())
    faults = []
    for locale in LOCALES:
        other = page.locator(f"button[lang={locale}]")
        if await other.count():
            await other.click()
            await other.wait_for(state="detached")
        faults += [f"{locale}: {key} is not translated" for key in KEY.findall(await page.evaluate(WORDS))]
        faults += [f"{locale}: too wide"] * (await page.evaluate(OVERFLOW_PX) > 0)
        found = await page.evaluate(VIOLATIONS)
        faults += [f"{locale}: {rule} at {where}" for impact, rule, where in found if impact in GRAVE]
    return faults
