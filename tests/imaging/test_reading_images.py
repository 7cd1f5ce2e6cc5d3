"""Images are read like anything else: claimed, marked, reported, signed, and the report goes back into DICOM."""

import asyncio
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pydicom
import pypdf
import pytest

from dicom.objects.writing import PDF_CLASS, TEXT_SR_CLASS
from hub.core import db
from hub.core.actor import job
from hub.imaging.dimse import forwarding
from hub.imaging.index import indexing
from hub.imaging.index.instances import HUB
from hub.reading import routing
from tests import world
from tests.imaging import senders
from tests.imaging.conftest import Clinic
from tests.imaging.tus import Sending

LATER = world.AT + timedelta(minutes=2)
STUDY = "2.25.77"
DRAFT = {
    "findings_text": "右肺上叶结节。",
    "conclusion": "右肺结节",
    "advice": "三月后复查",
    "included_findings": [],
}


async def send(clinic: Clinic, number: int) -> None:
    """A slice of the study, indexed, and the study complete."""
    content = senders.as_file(senders.slice_of(STUDY, f"{STUDY}.1", number, side=8, PixelSpacing=[0.5, 0.5]))
    await Sending(clinic.doctor, content, f"{number}.dcm").whole(clinic.request_id)
    await clinic.run_jobs()
    await indexing.queue_waiting(clinic.context(LATER))
    await clinic.run_jobs(LATER)
    await indexing.complete(clinic.context(LATER))
    await clinic.run_jobs(LATER)


async def opened(clinic: Clinic) -> dict[str, Any]:
    """The one open task, claimed, and its case."""
    (task,) = (await clinic.reader.json("GET", "/api/tasks?view=open"))["tasks"]
    await clinic.reader.json("POST", f"/api/tasks/{task['id']}/claim")
    case: dict[str, Any] = await clinic.reader.json("GET", f"/api/tasks/{task['id']}/case")
    return case


async def sign(clinic: Clinic, case: dict[str, Any], status: int = 200) -> dict[str, Any]:
    task = case["task"]["id"]
    revision = case["draft"]["revision"] if case["draft"] else 0
    saved = await clinic.reader.json(
        "PUT", f"/api/tasks/{task}/draft", {"content": DRAFT, "revision": revision}
    )
    seen = {"revision": saved["revision"], "images_sha256": case["images"]["sha256"]}
    answer: dict[str, Any] = await clinic.reader.json("POST", f"/api/tasks/{task}/sign", seen, status=status)
    await clinic.run_jobs(LATER, later=(forwarding.JOB,))
    return answer.get("report", answer)


async def objects(clinic: Clinic) -> dict[str, list[pydicom.Dataset]]:
    """What the hub has added, by modality."""
    found: dict[str, list[pydicom.Dataset]] = {}
    for row in await clinic.rows(
        f"SELECT file_sha256 FROM dicom_instance WHERE sent_by = '{HUB}' ORDER BY id"
    ):
        read = pydicom.dcmread(clinic.store.path(row["file_sha256"]))
        found.setdefault(read.Modality, []).append(read)
    return found


async def test_a_report_on_images_goes_back_beside_them(clinic: Clinic) -> None:
    for number in (1, 2):
        await send(clinic, number)
    case = await opened(clinic)
    assert (case["images"]["instances"], case["images"]["modalities"]) == (2, ["CT"])
    (chosen,) = await clinic.rows("SELECT id, sop_uid FROM dicom_instance WHERE number = 2")
    study = case["images"]["id"]
    key = f"/api/images/{study}/key-images/{chosen['id']}/1"
    await clinic.reader.json("PUT", key, {"note": "结节", "window": {"center": -600, "width": 1500}})
    mark = {
        "instance_id": str(chosen["id"]),
        "frame": 1,
        "kind": "length",
        "points": [[1, 2], [4, 6]],
        "text": "结节",
    }
    await clinic.reader.json("PUT", f"/api/images/{study}/annotations/{uuid4()}", mark)
    report = await sign(clinic, case)
    (key_image,) = report["document"]["key_images"]
    assert key_image["sop_uid"] == chosen["sop_uid"]
    assert key_image["marks"] == [
        {"kind": "length", "points": [[1 / 8, 2 / 8], [4 / 8, 6 / 8]], "text": "结节", "value": "2.5 mm"}
    ]

    stored = clinic.store.path((await clinic.rows("SELECT pdf_sha256 FROM report"))[0]["pdf_sha256"])
    (drawn,) = [found for page in pypdf.PdfReader(stored).pages for found in page.images]
    text = "".join(page.extract_text() for page in pypdf.PdfReader(stored).pages)
    assert (
        "结节  2.5 mm" in text and drawn.image is not None and drawn.image.size[0] == drawn.image.size[1]
    )  # the one key image, square

    made = await objects(clinic)
    assert {kind: len(found) for kind, found in made.items()} == {"DOC": 1, "SR": 1, "KO": 1}
    assert {str(one.StudyInstanceUID) for found in made.values() for one in found} == {STUDY}
    (paper,) = made["DOC"]
    assert paper.EncapsulatedDocument[: paper.EncapsulatedDocumentLength].startswith(b"%PDF")
    texts = [
        part.ContentSequence[0].get("TextValue")
        for part in made["SR"][0].ContentSequence
        if "ContentSequence" in part
    ]
    assert texts[:3] == ["右肺上叶结节。", "右肺结节", "三月后复查"]
    assert (
        made["KO"][0].ContentSequence[-1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        == chosen["sop_uid"]
    )

    await indexing.complete(clinic.context(LATER + timedelta(minutes=2)))
    await clinic.run_jobs(LATER + timedelta(minutes=2))
    assert (await clinic.reader.json("GET", "/api/tasks?view=open"))["tasks"] == []  # nothing has come late
    told = await clinic.doctor.json("GET", f"/api/reports/{report['id']}/verify")
    assert told["valid"] and [check["name"] for check in told["checks"]] == [
        "signature",
        "content",
        "images",
        "paper",
    ]

    await clinic.reader.json("POST", f"/api/reports/{report['id']}/withdraw", {"reason": "写错"})
    await clinic.run_jobs(LATER)
    first, second = sorted((await objects(clinic))["SR"], key=lambda one: int(one.InstanceNumber))
    (before,) = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert (
        before.ReferencedSOPInstanceUID == first.SOPInstanceUID
        and first.SeriesInstanceUID == second.SeriesInstanceUID
    )


async def test_the_report_is_forwarded_like_the_images(clinic: Clinic) -> None:
    await send(clinic, 1)
    case = await opened(clinic)
    async with await world.connect(clinic.databases.admin_dsn) as admin:
        node, closed = (
            uuid4(),
            {"send_from_hour": (LATER.hour + 5) % 24, "send_until_hour": (LATER.hour + 6) % 24},
        )
        await world.insert(
            admin, "dicom_node", id=node, organisation_id=clinic.two.own.organisations["hospital"], name="PACS",
            ae_title="PACS", address="192.0.2.1", port=104, may_receive=True, created_at=world.AT, **closed,
        )  # fmt: skip
        await admin.execute(
            "INSERT INTO forward_rule (id, position, name, conditions, to_node_id) VALUES (%s, 0, 'all', '[]', %s)",
            (uuid4(), node),
        )
    await sign(clinic, case)
    (queued,) = await clinic.rows("SELECT id, dicom_node_id FROM dicom_forward WHERE state = 'waiting'")
    async with clinic.databases.app.transaction(job("test"), LATER) as conn:
        due = await forwarding.waiting(conn, LATER, queued["id"])
    assert queued["dicom_node_id"] == node and due is not None
    assert {one.sop_class_uid for one in due.instances} == {senders.CT, PDF_CLASS, TEXT_SR_CLASS}


async def test_a_report_goes_with_its_patient_when_the_images_are_another_s(clinic: Clinic) -> None:
    """Nothing of the first patient's report stays in a study that turns out to be a second one's, withdrawn or not."""
    await send(clinic, 1)
    case = await opened(clinic)
    study, (image,) = (
        case["images"]["id"],
        await clinic.rows("SELECT id FROM dicom_instance WHERE sent_by <> 'hub'"),
    )
    await clinic.reader.json("PUT", f"/api/images/{study}/key-images/{image['id']}/1", {"note": "张三的结节"})
    report = await sign(clinic, case)
    assert len(await objects(clinic)) == 3
    async with await world.connect(clinic.databases.admin_dsn) as admin:
        other = await world.patient(admin, clinic.two.own, "李四")
    await clinic.doctor.json("POST", f"/api/dicom/studies/{study}/unassign", {"reason": "x"})
    files = await clinic.rows("SELECT payload ->> 'sha256' AS sha256 FROM job WHERE kind = 'retention.file'")
    assert len(files) == 3 and not await clinic.rows(
        "SELECT FROM stored_file WHERE media_type = 'application/dicom' OFFSET 1"
    )
    later = ("retention.file",)
    await clinic.run_jobs(LATER, later)
    await clinic.doctor.json("POST", f"/api/dicom/studies/{study}/assign", {"patient_id": str(other)})
    await clinic.reader.json("POST", f"/api/reports/{report['id']}/withdraw", {"reason": "患者错误"})
    await clinic.run_jobs(LATER, later)
    assert await objects(clinic) == {} and await clinic.rows("SELECT FROM key_image") == []
    (told,) = await clinic.rows("SELECT detail FROM audit WHERE action = 'dicom.unassign'")
    assert told["detail"]["objects_removed"] == 3


async def test_nobody_signs_what_somebody_else_has_chosen(clinic: Clinic) -> None:
    await send(clinic, 1)
    case = await opened(clinic)
    (image,) = await clinic.rows("SELECT id FROM dicom_instance")
    key = f"/api/images/{case['images']['id']}/key-images/{image['id']}/1"
    await clinic.reader.json("PUT", key, {"note": "结节"})
    await clinic.doctor.json("PUT", key, {"note": "骨折"})
    await clinic.doctor.json("DELETE", key)
    await clinic.doctor.json("PUT", key, {"note": "骨折"})
    report = await sign(clinic, case)
    assert [chosen["note"] for chosen in report["document"]["key_images"]] == ["结节"]


async def test_a_report_stays_sound_when_images_come_late(clinic: Clinic) -> None:
    await send(clinic, 1)
    report = await sign(clinic, await opened(clinic))
    await send(clinic, 2)
    assert (await clinic.doctor.json("GET", f"/api/reports/{report['id']}/verify"))["valid"]


async def test_rules_ask_about_the_images_not_about_the_report(clinic: Clinic) -> None:
    async def facts() -> dict[str, Any]:
        async with clinic.databases.app.transaction(job("test"), LATER) as conn:
            study = await db.one(conn, "SELECT * FROM study WHERE kind = 'imaging'")
            found = await routing.study_facts(conn, LATER, study)
        return {name: found[name] for name in ("modalities", "body_part")}

    await send(clinic, 1)
    before = await facts()
    await sign(clinic, await opened(clinic))
    assert await facts() == before == {"modalities": ["CT"], "body_part": "CHEST"}


async def test_images_that_came_meanwhile_are_not_signed_unseen(clinic: Clinic) -> None:
    await send(clinic, 1)
    case = await opened(clinic)
    await send(clinic, 2)
    refused = await sign(clinic, case, status=409)
    assert refused["error"]["code"] == "images_stale"
    again = await clinic.reader.json("GET", f"/api/tasks/{case['task']['id']}/case")
    assert again["images"]["instances"] == 2
    assert (await sign(clinic, again))["document"]["images"]["instances"] == 2


async def test_an_image_changed_on_disk_is_named(clinic: Clinic) -> None:
    await send(clinic, 1)
    report = await sign(clinic, await opened(clinic))
    (row,) = await clinic.rows("SELECT file_sha256 FROM dicom_instance WHERE sent_by <> 'hub'")
    path = clinic.store.path(row["file_sha256"])
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    told = await clinic.doctor.json("GET", f"/api/reports/{report['id']}/verify")
    assert [check["name"] for check in told["checks"] if not check["ok"]] == ["images"]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy of dicom3tools is not installed")
async def test_a_validator_finds_the_stored_objects_sound(clinic: Clinic) -> None:
    await send(clinic, 1)
    await sign(clinic, await opened(clinic))
    for row in await clinic.rows(f"SELECT file_sha256 FROM dicom_instance WHERE sent_by = '{HUB}'"):
        assert await asyncio.to_thread(errors_of, clinic.store.path(row["file_sha256"])) == []


def errors_of(file: Path) -> list[str]:
    said = subprocess.run(["dciodvfy", "-new", str(file)], capture_output=True, text=True, check=False)
    return [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
