"""The whole path: from an ended recording to the paper at the clinic's desk, through the real queue and sandbox."""

import io
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pypdf
import pypdfium2
import pytest

from ecg.synthetic import Segment
from hub.core import db, jobs
from hub.core.settings import Settings
from hub.core.store import Store
from hub.reading import cases, drafts, paper, reports, studies, tasks, worker
from hub.reading.paper_data import pack_report
from hub.reading.signing import local_signer
from tests.reading.world import SEEDER, World, ended_recording

CONTENT = {
    "findings_text": "窦性心律，可见长 RR 间期",
    "conclusion": "窦性停搏，最长 3.4 秒，请结合临床",
    "advice": "建议上级医院就诊",
    "included_findings": [0],
    "critical": True,
}
PIXELS_PER_MM = 10


async def run_jobs(world: World) -> None:
    """Run everything that is due, as the jobs process does."""
    hand = jobs.Worker(
        world.databases.app,
        Store(world.data_dir / "store"),
        Settings(data_dir=world.data_dir),
        worker.JOBS,
        lambda: world.at,
        "test",
    )
    await jobs.run_due(hand)
    async with world.transaction(SEEDER) as conn:
        assert await db.rows(conn, "SELECT kind, error FROM job") == []


async def end(world: World, **how: Any) -> None:
    """A recording ends; the job is what telemetry leaves behind."""
    recording = await ended_recording(world, **how)
    async with world.transaction(SEEDER) as conn:
        await jobs.enqueue(
            conn, world.at, "recording.ended", str(recording), {"recording_id": str(recording)}
        )
    await run_jobs(world)


async def state(world: World) -> Mapping[str, Any]:
    async with world.transaction(world.doctor) as conn:
        (line,) = await studies.list_studies(conn, world.doctor, world.at)
    return line


async def read_and_sign(world: World, content: Mapping[str, Any] = CONTENT) -> db.Row:
    """What the reader does on the page."""
    reader, at = world.reader, world.at
    async with world.transaction(reader) as conn:
        (task,) = await tasks.list_tasks(conn, reader, at, "open")
        await tasks.claim_task(conn, reader, at, task["id"])
        case = await cases.read_case(conn, reader, at, task["id"])
        saved = await drafts.save_draft(conn, reader, at, task["id"], content, 0)
    async with world.transaction(reader) as conn:
        return await reports.sign_report(
            conn, reader, at, local_signer(world.data_dir), task["id"],
            revision=saved["revision"], analysis_id=case["analysis"]["id"], edit_sequence=len(case["edits"]),
        )  # fmt: skip


async def paper_of(world: World, report: db.Row) -> bytes:
    async with world.transaction(world.doctor) as conn:
        sha256 = await reports.open_pdf(conn, world.doctor, world.at, report["id"])
    return Store(world.data_dir / "store").path(sha256).read_bytes()


async def test_desk_states_follow_the_study(agreed: World) -> None:
    await end(agreed)
    assert (await state(agreed))["state"]["word"] == "in-queue"
    report = await read_and_sign(agreed)
    assert (await state(agreed))["state"]["word"] == "being-read"  # signed, but the clinic has nothing yet
    await run_jobs(agreed)
    assert (await state(agreed))["state"]["word"] == "report-back"
    await paper_of(agreed, report)
    line = await state(agreed)
    assert line["state"]["word"] == "opened" and line["report"]["opened_at"] == agreed.at


async def test_paper_says_what_was_signed(agreed: World) -> None:
    await end(agreed, lost=(5000, 5500))
    report = await read_and_sign(agreed)
    await run_jobs(agreed)
    pdf = pypdf.PdfReader(io.BytesIO(await paper_of(agreed, report)))
    text = "".join("".join(page.extract_text().split()) for page in pdf.pages)
    for words in (
        "示例区人民医院", "青山镇卫生院", "张秀英", "头晕待查", CONTENT["conclusion"], "危急值",
        "每导联产生 15,000 点，已存 14,500（96.666 %），声明丢失 500（3.334 %）",
        "未作为医疗器械注册", "不属于《电子签名法》所称可靠电子签名", "第 1 页", "王reader",
        (agreed.at + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M"), "25 mm/s", "10 mm/mV", "按键",
    ):  # fmt: skip
        assert "".join(str(words).split()) in text
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in pdf.pages
        for font in page["/Resources"]["/Font"].values()
    }
    assert any("MicroHei" in name for name in fonts)


async def test_the_reader_chooses_the_language_and_full_disclosure(agreed: World) -> None:
    """Every part of the guideline's list, in English, and all minutes behind it."""
    await end(agreed, seconds=400, script=(Segment("pvc", 380.0), Segment("sinus", 20.0, pause_s=3.4)))
    report = await read_and_sign(agreed, CONTENT | {"language": "en", "full_disclosure": True})
    await run_jobs(agreed)
    pages = pypdf.PdfReader(io.BytesIO(await paper_of(agreed, report))).pages
    texts = [" ".join(page.extract_text().split()) for page in pages]
    for words in (
        "Analysable", "Lowest rate", "Longest RR", "Couplets", "Heart-rate variability", "24-h figures withheld",
        "ST segment", "filter is not told", "Beat templates", "Button", "rate then", "Conclusion", "Told at",
    ):  # fmt: skip
        assert any(words in text for text in texts), words
    assert "Full disclosure" in texts[-1] and "Full disclosure" not in "".join(texts[:-1])


async def test_strips_are_at_true_scale(agreed: World) -> None:
    """The pitch of the bold grid, measured on the rendered page, is 5 mm within 0.5 %."""
    await end(agreed)
    report = await read_and_sign(agreed)
    await run_jobs(agreed)
    document = pypdfium2.PdfDocument(await paper_of(agreed, report))
    try:
        measured = [pitch for page in document for pitch in _bold_pitch_mm(page)]
    finally:
        document.close()
    assert len(measured) >= 4 and max(abs(pitch - 5.0) for pitch in measured) < 0.025


def _bold_pitch_mm(page: pypdfium2.PdfPage) -> list[float]:
    """Mean distance of the bold lines, along both axes of the page; none without a grid."""
    image = page.render(scale=PIXELS_PER_MM * 25.4 / 72).to_numpy().astype(int)
    bold = (abs(image - np.array([0x9A, 0x9A, 0xE7])).max(axis=2) < 40).astype(float)
    pitches = []
    for axis in (0, 1):
        profile = bold.sum(axis=axis)
        lines = np.flatnonzero(profile > 0.5 * profile.max()) if profile.max() > 300 else np.array([])
        groups = np.split(lines, np.flatnonzero(np.diff(lines) > 5) + 1)
        centres = np.array([np.average(g, weights=profile[g]) for g in groups if len(g)])
        gaps = np.diff(centres) / PIXELS_PER_MM
        near = gaps[(gaps > 4) & (gaps < 6)]
        if len(near) >= 5:
            pitches.append(float(near.mean()))
    return pitches


async def test_the_same_document_gives_the_same_paper(agreed: World) -> None:
    await end(agreed)
    report = await read_and_sign(agreed)
    async with agreed.transaction(SEEDER) as conn:
        packed = await pack_report(conn, report["id"])
    assert paper.draw(packed) == paper.draw(packed)


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
async def test_a_withdrawn_report_says_so_on_every_page(agreed: World, locale: str) -> None:
    await end(agreed)
    report = await read_and_sign(agreed)
    async with agreed.transaction(agreed.reader) as conn:
        signer = local_signer(agreed.data_dir)
        gone = await reports.withdraw_report(conn, agreed.reader, agreed.at, signer, report["id"], "病人弄错")
    await run_jobs(agreed)
    async with agreed.transaction(SEEDER) as conn:
        drawn = paper.draw(await pack_report(conn, gone["id"], locale))
    banner = {"zh-CN": "本报告已撤回", "en": "HAS BEEN WITHDRAWN"}[locale]
    assert all(banner in page.extract_text() for page in pypdf.PdfReader(io.BytesIO(drawn)).pages)
    assert await paper_of(agreed, report) == await paper_of(agreed, gone)  # the old link shows the banner too
