"""A file that a township sends becomes a study in the specialist's queue, or says why not; any format, any damage."""

import asyncio
import hashlib
import io
import os
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pypdf import PdfReader

from ecg import formats
from ecg.record import Lead, Record
from hub.core.actor import job
from hub.imaging.index import nodes
from hub.imaging.intake import taking_in
from hub.imaging.intake.lines import line_of
from hub.telemetry.blocks import runs_of
from tests import world
from tests.ecg import twelve_leads as twelve
from tests.imaging.conftest import Clinic
from tests.imaging.tus import Sending

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def slow_heart(tmp_path: Path, suffix: str) -> bytes:
    """Ten seconds of twelve leads, 40 beats a minute, ST of V2 to V4 raised, as a file."""
    raised = twelve.added_after_qrs(
        twelve.heart(fs_hz=500, length_s=10, rate_bpm=40.0), dict.fromkeys(("V2", "V3", "V4"), 400.0)
    )
    path = tmp_path / f"made{suffix}"
    formats.write(
        replace(raised, start_at=START), path, ZoneInfo("Asia/Shanghai")
    )  # as its sender's account says
    if suffix:
        return path.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part in sorted(tmp_path.glob("made.*")):
            archive.write(part, f"folder/{part.name}")
    return packed.getvalue()


async def send(clinic: Clinic, data: bytes, name: str = "ecg.bin") -> dict[str, Any]:
    await Sending(clinic.doctor, data, name).whole(clinic.request_id)
    await clinic.run_jobs()
    answer = await clinic.doctor.json("GET", f"/api/uploads?request_id={clinic.request_id}")
    found: dict[str, Any] = answer["uploads"][-1]
    return found


@pytest.mark.parametrize("suffix", [".edf", ""])
async def test_an_ecg_file_stands_in_the_queue_with_its_statements(
    clinic: Clinic, tmp_path: Path, suffix: str
) -> None:
    data = slow_heart(tmp_path, suffix)
    upload = await send(clinic, data)
    assert upload["state"] == "taken-in" and upload["reason"] is None and upload["study_id"]
    (content,) = upload["contents"]
    assert (content["kind"], content["leads"], content["seconds"]) == ("ecg", 12, 10)
    (task,) = (await clinic.reader.json("GET", "/api/tasks?view=open"))["tasks"]
    assert task["kind"] == "ecg-12-lead" and task["priority"] == "stat"
    assert any("ST" in words["zh-CN"] for words in task["reasons"])
    (line,) = (await clinic.doctor.json("GET", "/api/studies"))["studies"]
    assert line["kind"] == "ecg-12-lead" and line["state"]["word"] == "in-queue"
    (recording,) = await clinic.rows("SELECT * FROM recording")
    assert recording["started_at"] == START and recording["fs_hz"] == 500 and recording["start_known"]


async def test_sent_twice_and_taken_in_twice_it_is_one_recording_with_the_same_samples(
    clinic: Clinic, tmp_path: Path
) -> None:
    data = slow_heart(tmp_path, ".edf")
    upload = await send(clinic, data)
    await send(clinic, data, "the-same.edf")
    await clinic.rows("UPDATE upload SET state = 'received' RETURNING id")
    for _ in range(2):
        await taking_in.take_in(clinic.context(), upload["id"])
    assert len(await clinic.rows("SELECT FROM recording")) == 1
    (block,) = await clinic.rows(
        "SELECT * FROM ecg_pieces((SELECT array_agg(id) FROM recording), '{0}', '{0}', '{9999}')"
    )
    record = formats.decode(data)
    scale = (await clinic.rows("SELECT uv_per_lsb FROM recording"))[0]["uv_per_lsb"]
    (run,) = runs_of(block)
    for lead, row in zip(record.leads, run.samples, strict=True):
        want = (lead.samples.astype(float) - lead.offset) * lead.uv_per_lsb
        assert np.abs(row * scale - want).max() <= scale


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "格式"),
        (b"PK\x03\x04" + bytes(100), "损坏"),
        (b"x", "格式"),
    ],
)
async def test_what_is_no_ecg_is_kept_and_says_what_to_do(clinic: Clinic, data: bytes, words: str) -> None:
    upload = await send(clinic, data)
    assert upload["state"] == "set-aside" and words in upload["reason"]["zh-CN"] and upload["reason"]["en"]
    assert clinic.store.path(hashlib.sha256(data).hexdigest()).read_bytes() == data
    assert not await clinic.rows("SELECT FROM recording")


async def test_of_a_zip_every_member_is_told_apart(clinic: Clinic, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/good.edf", slow_heart(tmp_path, ".edf"))
        archive.writestr("b/cut.edf", slow_heart(tmp_path, ".edf")[:300])
        archive.writestr("__MACOSX/x", b"x")
        archive.writestr("inner.zip", slow_heart(tmp_path, ""))
    upload = await send(clinic, packed.getvalue())
    found = {content["name"]: content for content in upload["contents"]}
    assert upload["state"] == "taken-in" and set(found) == {"a/good.edf", "b/cut.edf", "inner.zip"}
    assert (
        found["a/good.edf"]["kind"] == "ecg"
        and "reason" in found["b/cut.edf"]
        and "reason" in found["inner.zip"]
    )


def test_leads_of_another_scale_and_missing_samples_stay_what_they_were() -> None:
    fs_hz, count = 250, 2500
    fine = np.arange(count, dtype=np.int32) * 7 - 8000
    coarse = (np.sin(np.arange(count) / 9) * 900).astype(np.int16)
    coarse[1000:1100] = -32768
    leads = (
        Lead("MDC_ECG_LEAD_II", fs_hz, 0.25, 12, fine),
        Lead("MDC_ECG_LEAD_V1", fs_hz, 4.0, 0, coarse, missing=-32768),
    )
    line = line_of(Record(leads, None, ((500, 600),)))
    for lead, row in zip(leads, line.samples, strict=True):
        known = np.ones(count, bool) if lead.missing is None else lead.samples != lead.missing
        want = (lead.samples.astype(float) - lead.offset) * lead.uv_per_lsb
        assert np.abs(row * line.uv_per_lsb - want)[known].max() <= line.uv_per_lsb / 2 + 1e-9
    assert line.gaps == ((500, 600),) and (line.off[1000:1100] == 2).all() and line.off.sum() == 200
    blocks = list(line.blocks())
    assert sum(block.count for block in blocks) == count - 100


@pytest.mark.skipif(
    not (Path(os.environ.get("TELEHUB_DATA", ROOT.parent / "shared/data")) / "formats").is_dir(),
    reason="the reference files are absent",
)
async def test_real_files_become_recordings_or_say_why(clinic: Clinic) -> None:
    """The reviewed list: what of the reference files may be set aside, and why. The suite takes the smallest of each
    folder, `make prove ONLY=intake` all.
    """
    folder = Path(os.environ.get("TELEHUB_DATA", ROOT.parent / "shared/data")) / "formats"
    aside = {}
    for path in await asyncio.to_thread(_chosen, folder):
        file = await clinic.store.put(await asyncio.to_thread(path.read_bytes), "application/octet-stream")
        village = clinic.two.own.organisations["village"]
        sent = taking_in.Sent(file, path.name, clinic.request_id, village, "person x", "Asia/Shanghai")
        for content in await taking_in.take_file(clinic.context(), sent):
            if "reason" in content:
                aside[str(path.relative_to(folder))] = content["reason"]["en"]
    # A file without a lead, and words about the others.
    assert set(aside) <= {"aecg/empty.xml", "muse_xml/ATTRIBUTION.md"}


def _chosen(folder: Path) -> list[Path]:
    files = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    if os.environ.get("TELEHUB_PROFILE") == "prove":
        return files
    return list({path.parent: path for path in reversed(files) if path.suffix != ".md"}.values())


async def test_a_cart_sends_with_its_token_for_the_number_it_was_given(
    clinic: Clinic, tmp_path: Path
) -> None:
    own = await cart(clinic, clinic.two.own.organisations["town"])
    foreign = await cart(clinic, clinic.two.foreign.organisations["town"])
    (request,) = await clinic.rows("SELECT accession FROM service_request")
    data, path = slow_heart(tmp_path, ".scp"), f"/api/ecg?accession={request['accession']}&filename=cart.scp"
    told = [await pushed(clinic, own, path, data) for _ in range(2)]
    assert told[0] == told[1] and told[0][0] == 200
    await clinic.run_jobs()
    (task,) = (await clinic.reader.json("GET", "/api/tasks?view=open"))["tasks"]
    assert task["kind"] == "ecg-12-lead" and task["priority"] == "stat"
    assert (await pushed(clinic, foreign, path, data))[0] == 404
    assert (await pushed(clinic, own, "/api/ecg?accession=T999999999", data))[0] == 404
    assert (await pushed(clinic, "no token of ours", path, data))[0] == 401


async def cart(clinic: Clinic, organisation_id: UUID) -> str:
    async with clinic.databases.app.transaction(job("test"), world.AT) as conn:
        new = nodes.NewNode(organisation_id, "cart", f"CART{organisation_id.hex[:8]}", with_token=True)
        made = await nodes.create_node(conn, job("test"), world.AT, new)
    assert made.token is not None
    return made.token


async def pushed(clinic: Clinic, token: str, path: str, data: bytes) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with clinic.served.http.post(clinic.served.base + path, data=data, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_what_was_sent_is_read_and_its_paper_is_that_of_twelve_leads(
    clinic: Clinic, tmp_path: Path
) -> None:
    await send(clinic, slow_heart(tmp_path, ".scp"))
    (task,) = (await clinic.reader.json("GET", "/api/tasks?view=open"))["tasks"]
    await clinic.reader.json("POST", f"/api/tasks/{task['id']}/claim")
    case = await clinic.reader.json("GET", f"/api/tasks/{task['id']}/case")
    content = {
        "findings_text": "x",
        "conclusion": "ST 段抬高",
        "advice": "",
        "included_findings": [],
        "critical": True,
    }
    draft = {"content": content, "revision": case["draft"]["revision"] if case["draft"] else 0}
    saved = await clinic.reader.json("PUT", f"/api/tasks/{task['id']}/draft", draft)
    seen = {"revision": saved["revision"], "analysis_id": case["analysis"]["id"], "edit_sequence": 0}
    signed = await clinic.reader.json("POST", f"/api/tasks/{task['id']}/sign", seen)
    await clinic.run_jobs()
    async with await clinic.doctor.call("GET", f"/api/reports/{signed['report']['id']}/pdf") as answer:
        paper = await answer.read()
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(paper)).pages)
    assert "十二导联心电图报告" in text and "ST 段抬高" in text and "aVR" in text and "SCP-ECG" in text
    assert "动态" not in text and "HRV" not in text
    (line,) = (await clinic.doctor.json("GET", "/api/studies"))["studies"]
    assert line["state"]["word"] == "opened"
