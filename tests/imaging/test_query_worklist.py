"""The worklist: what waits for a clinic's machines, in their character set, until its images come back resolved."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pydicom
import pytest
from pydicom.dataset import Dataset

from hub.core import errors
from hub.core.actor import job
from hub.imaging.index import nodes, reconciling
from hub.imaging.index.worklist_uids import request_of, study_uid_of
from tests import world
from tests.imaging import asking
from tests.imaging.asking import WORKLIST, Asking, find, identifier, needs_dcmtk, request, tool
from tests.parts import Databases
from tests.world import AT

KEYS = ("AccessionNumber", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID")


@pytest.fixture
async def hub(database: Databases, tmp_path: Path) -> AsyncIterator[Asking]:
    async with asking.asking(database, tmp_path / "hub", lambda: AT) as asked:
        yield asked


def steps(**of_step: str) -> Dataset:
    step = Dataset()
    for keyword in ("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate"):
        setattr(step, keyword, of_step.pop(keyword, ""))
    made = identifier(
        None, **(dict.fromkeys(KEYS, "") | {"RequestedProcedurePriority": "", "MedicalAlerts": ""})
    )
    for keyword, value in of_step.items():
        setattr(made, keyword, value)
    made.ScheduledProcedureStepSequence = [step]
    return made


async def test_requests_of_the_clinic_are_told_with_what_they_say(hub: Asking) -> None:
    made = await request(hub, pacemaker=True, priority="urgent")
    await request(hub, modality="DX", status="on-hold")
    await request(hub, kind="consultation", modality=None)
    await request(hub, kind="holter", modality=None)
    other = hub.world.foreign
    foreign = await _patient_of(hub, other)
    await request(
        hub, patient_id=foreign, organisation_id=other.organisations["village"],
        requester_id=other.accounts["township_doctor"],
    )  # fmt: skip
    status, (one,) = await find(hub, steps(), WORKLIST)
    (row,) = await hub.rows(
        "SELECT q.accession, p.name, p.id::text, p.birth_date, p.sex FROM service_request q"
        f" JOIN patient p ON p.id = q.patient_id WHERE q.id = '{made}'"
    )
    (step,) = one.ScheduledProcedureStepSequence
    assert status == 0 and one.AccessionNumber == row["accession"] and one.PatientID == row["id"]
    assert one.PatientName.ideographic == row["name"] == one.PatientName.alphabetic
    assert one.PatientBirthDate == row["birth_date"].strftime("%Y%m%d") and one.PatientSex in "MF"
    assert one.StudyInstanceUID == study_uid_of(made) and request_of(one.StudyInstanceUID) == made
    assert one.RequestedProcedurePriority == "HIGH" and "pacemaker" in one.MedicalAlerts
    assert (step.Modality, step.ScheduledStationAETitle) == ("CT", asking.AE_TITLE)
    assert step.ScheduledProcedureStepStartDate == "20260302"  # 16 o'clock in Shanghai
    assert "ScheduledProcedureStepID" not in step and "RequestingService" not in one


async def _patient_of(hub: Asking, tenant: world.Tenant) -> object:
    async with await world.connect(hub.world.admin_dsn) as admin:
        return await world.patient(admin, tenant)


async def test_a_machine_asks_for_its_own_day_modality_and_person(hub: Asking) -> None:
    old = await request(hub, modality="CT", created_at=AT - timedelta(days=9))
    ecg = await request(hub, kind="ecg-12-lead", modality=None)
    for asked, expected in (
        (steps(), {old, ecg}),
        (steps(Modality="CT"), {old}),
        (steps(Modality="ECG"), {ecg}),
        (steps(Modality="MR"), set()),
        (steps(ScheduledProcedureStepStartDate="20260302"), {old, ecg}),  # it waits, so it is wanted today
        (steps(ScheduledProcedureStepStartDate="20260101-20260301"), set()),
        (steps(ScheduledStationAETitle=asking.AE_TITLE), {old, ecg}),
        (steps(ScheduledStationAETitle="OTHER"), set()),
        (steps(PatientName="不是*"), set()),
        (steps(StudyInstanceUID=study_uid_of(ecg)), {ecg}),
    ):
        status, found = await find(hub, asked, WORKLIST)
        assert (status, {request_of(one.StudyInstanceUID) for one in found}) == (0, expected), asked
    await hub.rows("UPDATE dicom_node SET worklist_modalities = '{CT}' RETURNING id")
    _, found = await find(hub, steps(), WORKLIST)
    assert [request_of(one.StudyInstanceUID) for one in found] == [old]


async def test_what_a_node_makes_is_said_in_modalities(hub: Asking) -> None:
    new = nodes.NewNode(
        hub.town, "DX", "DXROOM", "192.0.2.7", may_query=True, worklist_modalities=["DX", "CR"]
    )
    async with hub.database.transaction(job("test"), AT) as conn:
        await nodes.create_node(conn, job("test"), AT, new)
        told = {
            one["ae_title"]: one["worklist_modalities"] for one in await nodes.nodes(conn, job("test"), AT)
        }
        assert told == {"DXROOM": ["DX", "CR"], asking.AE_TITLE: None}
        with pytest.raises(errors.BadInput):
            await nodes.create_node(conn, job("test"), AT, replace(new, worklist_modalities=["a lung"]))


@pytest.mark.parametrize("drop", ["StudyInstanceUID", "AccessionNumber"])
async def test_images_made_from_it_come_back_to_their_request(hub: Asking, drop: str) -> None:
    """Some machines make a study UID of their own, some lose the accession number; either is enough."""
    made = await request(hub)
    _, (one,) = await find(hub, steps(), WORKLIST)
    told = {key: str(getattr(one, key)) for key in KEYS if key != drop} | {"StudyDate": "20260302"}
    await hub.series(told.pop("StudyInstanceUID", f"2.25.{uuid4().int}"), 1, **told)
    (study,) = await hub.rows("SELECT id FROM dicom_study")
    async with hub.database.transaction(job("test"), AT) as conn:
        assert await reconciling.resolve(conn, job("test"), AT, study["id"])
    (study,) = await hub.rows("SELECT * FROM dicom_study")
    assert study["service_request_id"] == made
    assert study["resolved_by"] == {"StudyInstanceUID": "accession", "AccessionNumber": "worklist"}[drop]
    assert await find(hub, steps(), WORKLIST) == (0, [])


@needs_dcmtk
@pytest.mark.parametrize("character_set", ["GB18030", "ISO_IR 192", "\\ISO 2022 IR 58", "ISO_IR 100", ""])
async def test_names_come_in_the_callers_character_set_or_in_utf_8(hub: Asking, character_set: str) -> None:
    await request(hub)
    key = "0008,0005" if not character_set else f"0008,0005={character_set}"
    said = await tool(
        "findscu", "-W", "-v", *hub.called, "-k", key, "-k", "0010,0010", "-k", "0040,0100[0].0008,0060=CT", "-od",
        str(hub.settings.data_dir), "-X",
    )  # fmt: skip
    (path,) = hub.settings.data_dir.glob("rsp*.dcm")
    told = pydicom.dcmread(path, force=True)
    (row,) = await hub.rows("SELECT name FROM patient")
    told.decode()
    holds = character_set in ("GB18030", "ISO_IR 192", "\\ISO 2022 IR 58")
    alphabetic = str(told.PatientName).split("=")[0].replace("\x1b$)A", "")  # which pydicom leaves in
    assert alphabetic == row["name"], said
    assert "\\".join(_listed(told.SpecificCharacterSet)) == (character_set if holds else "ISO_IR 192")


def _listed(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value]  # type: ignore[attr-defined]


async def test_who_may_not_query_sees_no_worklist(hub: Asking) -> None:
    await request(hub)
    await hub.rows("UPDATE dicom_node SET may_query = false RETURNING id")
    status, found = await find_refused(hub)
    assert (status, found) == ("no context", [])


async def find_refused(hub: Asking) -> tuple[str, list[Dataset]]:
    try:
        _, found = await find(hub, steps(), WORKLIST)
    except (AssertionError, ValueError):
        return "no context", []
    return "answered", found
