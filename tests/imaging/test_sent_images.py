"""DICOM that a township sends from the browser: an ECG object is read as an ECG, images stand in a reader's queue."""

import io
import zipfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from dicom import waveform
from dicom.deidentify import Options
from ecg.record import Record
from hub.core import errors, ids
from hub.core.actor import job
from hub.imaging.index import exporting, indexing, reindexing
from hub.imaging.intake import taking_in, uploads
from tests import world
from tests.ecg import twelve_leads as twelve
from tests.imaging.conftest import Clinic
from tests.imaging.tus import Sending

LATER = world.AT + timedelta(minutes=5)
CT = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()


def as_dicom(record: Record) -> bytes:
    """An ECG object of its own study."""
    channels = tuple(
        waveform.Channel(lead.code, lead.fs_hz, lead.uv_per_lsb, lead.offset, lead.samples)
        for lead in record.leads
    )
    identity = waveform.Identity(*(str(generate_uid()) for _ in range(3)))
    return waveform.encode(waveform.Waveform(channels, world.AT - timedelta(hours=1)), identity)


async def test_a_zip_of_dicom_becomes_an_ecg_and_images_in_the_queue(clinic: Clinic) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("DICOM/ECG1", as_dicom(twelve.heart()))
        archive.writestr("DICOM/CT1", CT)
        archive.writestr("DICOM/CUT", CT[:400])
        archive.writestr("DICOMDIR", b"x")
    await Sending(clinic.doctor, packed.getvalue(), "all.zip").whole(clinic.request_id)
    await clinic.run_jobs()
    (upload,) = (await clinic.doctor.json("GET", f"/api/uploads?request_id={clinic.request_id}"))["uploads"]
    kinds = {content["name"]: content.get("kind") for content in upload["contents"]}
    assert kinds == {"DICOM/ECG1": "ecg", "DICOM/CT1": "image", "DICOM/CUT": None}
    later = world.AT + timedelta(minutes=5)
    await indexing.queue_waiting(clinic.context(later))
    await clinic.run_jobs(later)
    await indexing.complete(clinic.context(later))
    await clinic.run_jobs(later)
    tasks = (await clinic.reader.json("GET", "/api/tasks?view=open"))["tasks"]
    assert sorted(task["kind"] for task in tasks) == ["ecg-12-lead", "imaging"]
    assert await clinic.rows("SELECT DISTINCT patient_id FROM task") == [{"patient_id": clinic.patient_id}]
    assert len(await clinic.rows("SELECT FROM recording")) == 1


async def test_an_exported_study_names_nobody_and_the_audit_says_why(clinic: Clinic, tmp_path: Path) -> None:
    burned = pydicom.dcmread(io.BytesIO(CT))
    burned.SOPInstanceUID = burned.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    burned.BurnedInAnnotation = "YES"
    packed, out = io.BytesIO(), tmp_path / "out.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("CT1", CT)
        second = io.BytesIO()
        burned.save_as(second)
        archive.writestr("CT2", second.getvalue())
    await Sending(clinic.doctor, packed.getvalue(), "all.zip").whole(clinic.request_id)
    await clinic.run_jobs()
    (study,) = await clinic.rows("SELECT id FROM dicom_study")
    asked = exporting.Asked(study["id"], "teaching", Options())
    operator = job("operator")
    done = await exporting.export_study(
        clinic.databases.app, clinic.store, clinic.data_dir, operator, world.AT, asked, out
    )
    assert (done.instances, done.left_out) == (1, {"burned-in: yes": 1})
    with zipfile.ZipFile(out) as archive:
        (name,) = archive.namelist()
        made = pydicom.dcmread(io.BytesIO(archive.read(name)))
    assert made.PatientName == "" and f"{made.SOPInstanceUID}.dcm" == name
    assert made.PixelData == pydicom.dcmread(io.BytesIO(CT)).PixelData
    (row,) = await clinic.rows("SELECT detail FROM audit WHERE action = 'dicom.export'")
    assert row["detail"]["reason"] == "teaching"
    with pytest.raises(errors.NotAllowed):
        await exporting.export_study(
            clinic.databases.app, clinic.store, clinic.data_dir, clinic.two.own.actor("technician"), world.AT,
            asked, tmp_path / "no.zip",
        )  # fmt: skip


async def test_the_index_is_made_anew_from_the_files(clinic: Clinic) -> None:
    await Sending(clinic.doctor, CT, "ct.dcm").whole(clinic.request_id)
    await clinic.run_jobs()
    operator, village = job("operator"), clinic.two.own.organisations["village"]

    async def indexed() -> list[dict[str, object]]:
        await indexing.queue_waiting(clinic.context())
        await clinic.run_jobs()
        return await clinic.rows(
            "SELECT i.sop_uid, i.data_set_sha256, m.document FROM dicom_instance i JOIN dicom_metadata m"
            " ON m.dicom_instance_id = i.id"
        )

    before = await indexed()
    async with await world.connect(clinic.databases.admin_dsn) as admin:
        await admin.execute(
            "DELETE FROM dicom_metadata; DELETE FROM dicom_pixels; DELETE FROM dicom_instance"
        )
    found = await reindexing.reindex(clinic.databases.app, clinic.store, operator, world.AT, village)
    assert found == reindexing.Found(1, 0, 0) and await indexed() == before
    again = await reindexing.reindex(clinic.databases.app, clinic.store, operator, world.AT, village)
    assert again == reindexing.Found(0, 0, 1) and await indexed() == before


async def test_what_was_not_this_patient_s_is_read_as_nobody_s_until_it_is_decided_anew(
    clinic: Clinic,
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ECG1", as_dicom(twelve.heart()))
        archive.writestr("CT1", CT)
    await Sending(clinic.doctor, packed.getvalue(), "all.zip").whole(clinic.request_id)
    await read(clinic)
    assert await open_tasks(clinic) == {("ecg-12-lead", clinic.patient_id), ("imaging", clinic.patient_id)}
    (first, *_) = (await clinic.reader.json("GET", "/api/tasks?view=open"))["tasks"]
    await clinic.reader.json("POST", f"/api/tasks/{first['id']}/claim")
    async with await world.connect(clinic.databases.admin_dsn) as admin:
        other = await world.patient(admin, clinic.two.own, "李四")
        await world.insert(
            admin, "consent", id=ids.new(world.AT), patient_id=other, kind="remote-reading", given_how="paper",
            given_by="x", recorded_by=clinic.two.own.accounts["township_doctor"], given_at=world.AT,
        )  # fmt: skip
    studies = await clinic.rows("SELECT id FROM dicom_study")
    for study in studies:
        await clinic.doctor.json("POST", f"/api/dicom/studies/{study['id']}/unassign", {"reason": "x"})
    await clinic.run_jobs(LATER)
    assert await open_tasks(clinic) == set()
    assert not await clinic.rows(
        "SELECT FROM access_grant WHERE source_kind = 'task' AND valid_until > '2026-03-02 08:05'"
    )
    for study in studies:
        body = {"patient_id": str(other)}
        await clinic.doctor.json("POST", f"/api/dicom/studies/{study['id']}/assign", body)
    await read(clinic)
    assert await open_tasks(clinic) == {("imaging", other)}


async def read(clinic: Clinic) -> None:
    """Everything that follows until nothing is due."""
    await clinic.run_jobs()
    await indexing.queue_waiting(clinic.context(LATER))
    await clinic.run_jobs(LATER)
    await indexing.complete(clinic.context(LATER))
    await clinic.run_jobs(LATER)


async def open_tasks(clinic: Clinic) -> set[tuple[str, UUID]]:
    found = await clinic.rows(
        "SELECT kind, patient_id FROM task WHERE status NOT IN ('cancelled', 'completed')"
    )
    return {(task["kind"], task["patient_id"]) for task in found}


async def test_an_ecg_object_that_can_t_be_read_is_set_aside_with_its_reason(clinic: Clinic) -> None:
    file = await clinic.store.put(as_dicom(twelve.heart())[:2000], "application/dicom")
    async with clinic.databases.app.transaction(job("test"), world.AT) as conn:
        await uploads.keep_file(conn, world.AT, file)
    for _ in range(2):
        await taking_in.take_ecg(clinic.context(), clinic.request_id, file.sha256, "x.dcm")
    (aside,) = await clinic.rows("SELECT reason, detail, times FROM dicom_set_aside")
    assert (aside["reason"], aside["times"]) == ("unreadable", 2) and "damaged" in aside["detail"]
