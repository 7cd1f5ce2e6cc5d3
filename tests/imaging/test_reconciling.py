"""Whose images: certain ones by themselves, doubtful ones by a person, each decision taken back whole."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from hub.core import errors, jobs
from hub.core.actor import job
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.index import dicom_studies, indexing, instances, reconciling
from hub.imaging.index.instances import Sender
from tests import world
from tests.imaging import senders
from tests.parts import Databases
from tests.world import AT, Tenant, World

CLERK = job("test")
LATER = AT + timedelta(minutes=2)
WAITING = "FROM dicom_instance WHERE indexed_at IS NULL"


@dataclass
class Desk:
    """A clinic whose machine sends, and what became of it."""

    two: World
    databases: Databases
    context: jobs.Context
    patient_id: UUID

    async def send(
        self, count: int = 1, organisation: str = "town", tenant: Tenant | None = None, resolved: bool = True,
        **values: Any,
    ) -> UUID:  # fmt: skip
        """A new study of so many slices, indexed."""
        study = values.pop("StudyInstanceUID", None) or f"2.25.{uuid4().int}"
        made = None
        for number in range(count):
            one = senders.slice_of(study, f"{study}.1", number, side=4, **values)
            if "SOPInstanceUID" not in values:
                one.SOPInstanceUID = f"2.25.{uuid4().int}"
            file = await self.context.store.put(senders.as_file(one), instances.MEDIA_TYPE)
            sender = Sender((tenant or self.two.own).organisations[organisation], "node test")
            made = await instances.store_file(
                self.databases.app, self.context.store, CLERK, self.context.at, sender, file
            )
        if resolved:
            await self.resolve()
        assert made is not None and made.dicom_study_id is not None
        return made.dicom_study_id

    async def index(self) -> None:
        """As the job does, in the sandbox."""
        for row in await self.rows(f"SELECT DISTINCT dicom_series_id AS id {WAITING}"):
            await indexing.index(self.context, {"series_id": str(row["id"])})

    async def resolve(self) -> None:
        """As the job does after that, without a sandbox for each study."""
        studies = await self.rows(f"SELECT DISTINCT dicom_study_id AS id {WAITING}")
        async with self.databases.app.transaction(CLERK, AT) as conn:
            for row in studies:
                await reconciling.resolve(conn, CLERK, AT, row["id"])
            await conn.execute("UPDATE dicom_instance SET indexed_at = %s WHERE indexed_at IS NULL", (AT,))

    async def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        async with await world.connect(self.two.admin_dsn) as admin:
            return await (await admin.execute(query, parameters)).fetchall()  # type: ignore[call-overload]

    async def study(self, study_id: UUID) -> dict[str, Any]:
        (row,) = await self.rows("SELECT * FROM dicom_study WHERE id = %s", study_id)
        return row

    async def request(self, kind: str = "imaging", **values: Any) -> str:
        """A request about the patient; its accession number."""
        made = uuid4()
        async with await world.connect(self.two.admin_dsn) as admin:
            await world.insert(
                admin, "service_request", id=made, patient_id=self.patient_id, created_at=AT, kind=kind,
                organisation_id=self.two.own.organisations["village"], status="active", question="x",
                requester_id=self.two.own.accounts["village_doctor"], priority="routine", **values,
            )  # fmt: skip
        (row,) = await self.rows("SELECT accession FROM service_request WHERE id = %s", made)
        return str(row["accession"])

    async def do(
        self, what: Callable[..., Awaitable[Any]], role: str, *arguments: Any, tenant: Tenant | None = None
    ) -> Any:
        actor = (tenant or self.two.own).actor(role)
        async with self.databases.app.transaction(actor, AT) as conn:
            return await what(conn, actor, AT, *arguments)

    async def complete(self, at: Any) -> list[str]:
        """Completes what is quiet by then; the studies told to reading since the last time."""
        async with self.databases.app.transaction(CLERK, at) as conn:
            await dicom_studies.complete_quiet(conn, CLERK, at)
        told = await self.rows(
            "DELETE FROM job WHERE kind = 'dicom.study-complete' RETURNING payload, unique_key"
        )
        return [row["unique_key"] for row in told]


@pytest.fixture
async def desk(database: Databases, tmp_path: Path) -> AsyncIterator[Desk]:
    two = await world.build(database.admin_dsn)
    async with await world.connect(two.admin_dsn) as admin:
        patient_id = await world.patient(admin, two.own)
    settings = Settings(data_dir=tmp_path)
    context = jobs.Context(database.app, Store(tmp_path / "files"), settings, AT)
    yield Desk(two, database, context, patient_id)


async def test_our_own_accession_number_is_certain(desk: Desk) -> None:
    accession = await desk.request()
    for organisation in ("town", "hospital"):  # above the clinic, and by agreement
        study = await desk.study(await desk.send(AccessionNumber=accession, organisation=organisation))
        assert (study["patient_id"], study["resolved_by"]) == (desk.patient_id, "accession")
    for wrong in (
        {"AccessionNumber": accession, "PatientBirthDate": "19500502"},
        {"AccessionNumber": accession, "PatientSex": "F"},
        {"AccessionNumber": accession, "tenant": desk.two.foreign},  # another clinic can't name our requests
        {"AccessionNumber": "T999999999"},
        {},
    ):
        assert (await desk.study(await desk.send(**wrong)))["patient_id"] is None, wrong


async def test_a_person_decides_it_is_remembered_and_taken_back(desk: Desk) -> None:
    study_id = await desk.send(PatientID="77", IssuerOfPatientID="HIS")
    found = await desk.do(reconciling.candidates, "technician", study_id)
    assert [one["id"] for one in found["candidates"]] == [desk.patient_id]
    with pytest.raises(errors.NotFound):
        await desk.do(reconciling.candidates, "technician", study_id, tenant=desk.two.foreign)
    with pytest.raises(errors.NotFound):
        await desk.do(reconciling.assign_study, "reader", study_id, desk.patient_id, None)
    await desk.do(reconciling.assign_study, "township_doctor", study_id, desk.patient_id, None, True)
    with pytest.raises(errors.Conflict):
        await desk.do(reconciling.assign_study, "township_doctor", study_id, desk.patient_id, None)
    follows = await desk.send(PatientID="77", IssuerOfPatientID="HIS")
    other = await desk.send(PatientID="77", IssuerOfPatientID="LIS")
    assert (await desk.study(follows))["resolved_by"] == "identifier"
    assert (await desk.study(other))["patient_id"] is None
    await desk.do(reconciling.unassign_study, "township_doctor", study_id, "wrong")
    assert (await desk.study(study_id))["patient_id"] is None
    later = await desk.send(PatientID="77", IssuerOfPatientID="HIS")
    assert (await desk.study(later))["patient_id"] is None
    told = await desk.rows(
        "SELECT action, actor_kind FROM audit WHERE object_id = %s ORDER BY id", str(study_id)
    )
    assert [row["action"] for row in told if row["actor_kind"] == "person"] == [
        "dicom.candidates", "dicom.assign", "dicom.unassign",
    ]  # fmt: skip


async def test_one_study_that_names_two_patients_waits_for_a_person(desk: Desk) -> None:
    accession, uid = await desk.request(), f"2.25.{uuid4().int}"
    await desk.send(StudyInstanceUID=uid, PatientID="1")
    study_id = await desk.send(StudyInstanceUID=uid, PatientID="2", AccessionNumber=accession)
    study = await desk.study(study_id)
    assert study["identity_differs"] and study["patient_id"] is None


async def test_a_resident_is_found_by_any_group_of_the_name_and_all_named_are_told(desk: Desk) -> None:
    uid, born = f"2.25.{uuid4().int}", "19000101"
    for name in ("WANG^JIANGUO=王^建国", "WANG^JIANGUO=王^建国", "LI^SI=李^四"):
        study_id = await desk.send(
            StudyInstanceUID=uid, PatientName=name, PatientBirthDate=born, resolved=False
        )
    await desk.index()
    found = await desk.do(reconciling.candidates, "technician", study_id)
    told = [(one["id"], one["same_name"], one["same_birth_date"]) for one in found["candidates"]]
    assert told == [(desk.patient_id, True, False)]
    named = [(one["name"], one["birth_date"], one["instances"]) for one in found["identities"]]
    assert named == [("王^建国", born, 2), ("李^四", born, 1)]


async def test_complete_when_quiet_late_ones_are_told_again(desk: Desk) -> None:
    accession, uid = await desk.request(expected_instances=3), f"2.25.{uuid4().int}"
    study_id = await desk.send(2, AccessionNumber=accession, StudyInstanceUID=uid)
    assert await desk.complete(LATER) == []  # one is still expected
    await desk.send(1, AccessionNumber=accession, StudyInstanceUID=uid)
    assert await desk.complete(AT + timedelta(seconds=1)) == []
    assert await desk.complete(LATER) == [f"{study_id}:3"]
    assert await desk.complete(LATER) == []
    await desk.send(1, AccessionNumber=accession, StudyInstanceUID=uid)
    assert (await desk.study(study_id))["is_open"]
    assert await desk.complete(AT + timedelta(minutes=5)) == [f"{study_id}:4"]
    fewer = await desk.send(1, AccessionNumber=accession)
    assert await desk.complete(AT + timedelta(minutes=31)) == [f"{fewer}:1"]


async def test_nobodys_images_are_told_once_they_are_somebodys(desk: Desk) -> None:
    study_id = await desk.send()
    assert await desk.complete(LATER) == []
    await desk.do(reconciling.assign_study, "technician", study_id, desk.patient_id, None)
    assert await desk.complete(LATER) == [f"{study_id}:1"]
    await desk.do(reconciling.unassign_study, "technician", study_id, "wrong")
    (told,) = await desk.rows("SELECT payload FROM job WHERE kind = 'dicom.taken-back'")
    assert told["payload"] == {"dicom_study_id": str(study_id), "patient_id": str(desk.patient_id)}


async def test_metadata_are_dicom_json_and_a_file_that_kills_its_parser_stays(desk: Desk) -> None:
    study_id = await desk.send(3, PatientName="王^建国", resolved=False)
    await desk.index()
    documents = await desk.rows("SELECT document FROM dicom_metadata")
    assert len(documents) == 3
    for row in documents:
        assert row["document"]["00100010"]["Value"][0]["Alphabetic"] == "王^建国"
        assert row["document"]["7FE00010"] == {"vr": "OW", "BulkDataURI": "bulkdata/7FE00010"}
    deep = senders.as_file(senders.slice_of("1.2.3", "1.2.3.4", 1, side=2))
    bomb = deep + (b"\xe1\x7f\x10\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 10_000
    file = await desk.context.store.put(bomb, instances.MEDIA_TYPE)
    sender = Sender(desk.two.own.organisations["town"], "node test")
    stored = await instances.store_file(desk.databases.app, desk.context.store, CLERK, AT, sender, file)
    assert stored.kind == "stored"
    await desk.index()
    (row,) = await desk.rows(
        "SELECT index_fault, indexed_at FROM dicom_instance WHERE dicom_study_id <> %s", study_id
    )
    assert row["indexed_at"] is not None
