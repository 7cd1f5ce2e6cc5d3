"""How to make the object that a path parameter names, in either tenant. A new parameter needs a row in `MAKERS`.

Each maker leaves one row in every guarded table it passes through, so that the test of the policies uses them too.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

from dicom.pixels import copying
from dicom.pixels.frames import open_pixels
from ecg import holter
from ecg.analysis import Edit
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser
from hub.core.store import Store
from hub.imaging.pictures.images import PDF_CLASS
from tests import world
from tests.imaging import senders
from tests.world import AT, Admin, Tenant

FS_HZ = 250
SECONDS = 20
TOTAL = SECONDS * FS_HZ
LEADS = ("MDC_ECG_LEAD_II",)
DRAFT = {"findings_text": "", "conclusion": "x", "advice": "", "included_findings": [], "critical": False}
NOTE = holter.edit_to_dict(Edit("note", text="x"))
PAPER = b"%PDF-1.4 test"
STARTED = AT - timedelta(seconds=SECONDS)


@dataclass
class Case:
    """Everything around one patient: ids by the name of the path parameter."""

    tenant: Tenant
    files: Store | None = None  # where the paper of a report goes
    ids: dict[str, UUID | str] = field(default_factory=dict)
    accession: str = field(default_factory=lambda: f"X{uuid4().hex[:12]}")


Maker = Callable[[Admin, Case], Awaitable[UUID | str]]


async def make(admin: Admin, case: Case, parameter: str) -> UUID | str:
    """The object of a path parameter, with what it stands on; made once per case."""
    if parameter not in MAKERS:
        raise LookupError(f"say in MAKERS how to make the object of {{{parameter}}}")
    if parameter not in case.ids:
        case.ids[parameter] = await MAKERS[parameter](admin, case)
    return case.ids[parameter]


async def _patient(admin: Admin, case: Case) -> UUID:
    """A patient who lets a family member see."""
    made = await world.patient(admin, case.tenant)
    await _grant(admin, case.tenant.accounts["family_member"], made)
    return made


async def _grant(admin: Admin, account_id: UUID, patient_id: UUID | str) -> None:
    grant = {"object_kind": "patient", "reason": "test", "source_kind": "test", "action": "patient.read"}
    await world.insert(
        admin, "access_grant", id=uuid4(), account_id=account_id, object_id=patient_id, valid_from=AT, **grant
    )


async def _consent(admin: Admin, case: Case) -> UUID:
    made = uuid4()
    await world.insert(
        admin, "consent", id=made, patient_id=await make(admin, case, "patient_id"), kind="monitoring",
        given_how="paper", given_by="x", recorded_by=case.tenant.accounts["village_doctor"], given_at=AT,
    )  # fmt: skip
    return made


async def _request(admin: Admin, case: Case) -> UUID:
    made = uuid4()
    await make(admin, case, "consent_id")
    await world.insert(
        admin, "service_request", id=made, patient_id=case.ids["patient_id"], created_at=AT,
        organisation_id=case.tenant.organisations["village"], kind="holter", status="active", question="x",
        requester_id=case.tenant.accounts["village_doctor"], priority="routine", accession=case.accession,
    )  # fmt: skip
    return made


async def _upload(admin: Admin, case: Case) -> UUID:
    """Begun, for two bytes: the body of a call that says nothing."""
    made = uuid4()
    await make(admin, case, "request_id")
    await world.insert(
        admin, "upload", id=made, service_request_id=case.ids["request_id"], patient_id=case.ids["patient_id"],
        organisation_id=case.tenant.organisations["village"], account_id=case.tenant.accounts["village_doctor"],
        file_name="x", size_bytes=2, declared_sha256=hashlib.sha256(b"{}").hexdigest(), state="receiving",
        created_at=AT, expires_at=AT + timedelta(days=7),
    )  # fmt: skip
    return made


STUDY_UID = "1.2.3"
FRAMES = 70_001  # of the one instance; its last is named by paths
SERIES_UID = "1.2.3.4"


@cache
def an_instance() -> bytes:
    """A DICOM file of the study that paths name."""
    return senders.as_file(senders.slice_of(STUDY_UID, SERIES_UID, 1, side=2))


@cache
def a_copy() -> tuple[dict[str, Any], bytes]:
    """A serving copy of it."""
    made = bytearray()
    copy = copying.make(open_pixels(BytesIO(an_instance())), made.extend)
    return copy.layout, bytes(made)


@cache
def a_document() -> bytes:
    """A DICOM file that encapsulates a PDF."""
    made = senders.slice_of(
        STUDY_UID, SERIES_UID, 2, side=2, SOPClassUID=PDF_CLASS, EncapsulatedDocument=PAPER
    )
    del made.PixelData
    return senders.as_file(made)


async def _known_study(admin: Admin, case: Case) -> str:
    """The UID of the study that is there."""
    return f"2.25.{UUID(str(await make(admin, case, 'dicom_study_id'))).int}"


async def _known_series(admin: Admin, case: Case) -> str:
    return f"{await make(admin, case, 'study')}.2"


async def _known_instance(admin: Admin, case: Case) -> str:
    return f"{await make(admin, case, 'study')}.1"


async def _number(_admin: Admin, _case: Case) -> str:
    """Of the first frame; written so that it stands in no other text by chance."""
    return "0000000001"


async def _bulkdata(_admin: Admin, _case: Case) -> str:
    """Where the pixels stand."""
    return "7FE00010"


async def _study_uid(_admin: Admin, _case: Case) -> str:
    """A UID in an address names nobody's object: whose study it becomes is said elsewhere."""
    return STUDY_UID


async def _dicom_node(admin: Admin, case: Case) -> UUID:
    made = uuid4()
    await world.insert(
        admin, "dicom_node", id=made, organisation_id=case.tenant.organisations["village"], name="x",
        ae_title=f"X{made.hex[:12]}", address="192.0.2.1", created_at=AT,
    )  # fmt: skip
    await world.insert(
        admin, "dicom_commitment", id=uuid4(), dicom_node_id=made, transaction_uid=f"2.25.{made.int}", asked="[]",
        organisation_id=case.tenant.organisations["village"], asked_at=AT,
    )  # fmt: skip
    return made


async def _dicom_study(admin: Admin, case: Case) -> UUID:
    """Nobody's yet, with an instance and its metadata; another file of the clinic is set aside."""
    made, series, instance = uuid4(), uuid4(), uuid4()
    place, patient_id = case.tenant.organisations["village"], await make(admin, case, "patient_id")
    doctor = case.tenant.accounts["village_doctor"]
    await admin.execute("INSERT INTO stored_file VALUES (%s, 1, 'application/dicom', %s)", (made.hex * 2, AT))
    file = hashlib.sha256(an_instance()).hexdigest()
    if case.files:
        await case.files.put(an_instance(), "application/dicom")
    await admin.execute("INSERT INTO stored_file VALUES (%s, 1, 'x', %s) ON CONFLICT DO NOTHING", (file, AT))
    told = (
        "sent_patient_id",
        "sent_issuer",
        "sent_name",
        "sent_birth_date",
        "sent_sex",
        "accession",
        "study_time",
    )
    await world.insert(
        admin, "dicom_study", id=made, organisation_id=place, study_uid=f"2.25.{made.int}", description="x",
        study_date="", first_at=AT, **dict.fromkeys(told, ""),
    )  # fmt: skip
    await world.insert(
        admin, "dicom_series", id=series, dicom_study_id=made, series_uid=f"2.25.{made.int}.2", modality="CT",
        description="", body_part="",
    )  # fmt: skip
    await world.insert(
        admin, "dicom_instance", id=instance, organisation_id=place, dicom_study_id=made, dicom_series_id=series,
        sop_uid=f"2.25.{made.int}.1", sop_class_uid=senders.CT, transfer_syntax="1.2.840.10008.1.2.1",
        file_sha256=file, size_bytes=len(an_instance()), sent_by="x", received_at=AT, rows=2, columns=2, frames=FRAMES,
    )  # fmt: skip
    document = {"00280010": {"Value": [2]}, "00280011": {"Value": [2]}, "00280100": {"Value": [16]}}
    await world.insert(admin, "dicom_metadata", dicom_instance_id=instance, document=document)
    await world.insert(admin, "dicom_series_metadata", dicom_series_id=series, instances=2, body=b"")
    layout, frame = a_copy()
    copy = hashlib.sha256(frame).hexdigest()
    if case.files:
        await case.files.put(frame, "application/octet-stream")
        await case.files.put(a_document(), "application/dicom")
    for file in (copy, hashlib.sha256(a_document()).hexdigest()):
        await admin.execute(
            "INSERT INTO stored_file VALUES (%s, 1, 'x', %s) ON CONFLICT DO NOTHING", (file, AT)
        )
    await world.insert(
        admin, "dicom_pixels", dicom_instance_id=instance, state="ready", media_type="image/jphc", layout=layout,
        file_sha256=copy, made_at=AT,
    )  # fmt: skip
    await world.insert(
        admin, "dicom_set_aside", id=uuid4(), organisation_id=place, reason="no-file", detail="x", size_bytes=1,
        sha256=made.hex * 2, sop_uid="", sent_by="x", first_at=AT, last_at=AT,
    )  # fmt: skip
    await world.insert(
        admin, "patient_identifier", organisation_id=place, issuer="", value=made.hex, patient_id=patient_id,
        assigned_by=doctor, assigned_at=AT,
    )  # fmt: skip
    return made


async def _dicom_instance(admin: Admin, case: Case) -> UUID:
    """The one instance of the study."""
    study = await make(admin, case, "dicom_study_id")
    row = await admin.execute("SELECT id FROM dicom_instance WHERE dicom_study_id = %s", (study,))
    found = await row.fetchone()
    assert found is not None
    return UUID(str(found["id"]))


async def _annotation(admin: Admin, case: Case) -> UUID:
    """A mark on it, and the image chosen, by a doctor of the clinic."""
    made, study = uuid4(), await make(admin, case, "dicom_study_id")
    on = {
        "dicom_study_id": study,
        "dicom_instance_id": await make(admin, case, "dicom_instance_id"),
        "frame": 1,
    }
    by = {"account_id": case.tenant.accounts["village_doctor"], "at": AT}
    await world.insert(
        admin,
        "image_annotation",
        id=made,
        kind="length",
        points="[[0, 0], [1, 1]]",
        text="",
        changed_at=AT,
        **on,
        **by,
    )
    await world.insert(admin, "key_image", note="", **on, **by)
    return made


async def _frame(_admin: Admin, _case: Case) -> str:
    return str(FRAMES)


async def _dicom_forward(admin: Admin, case: Case) -> UUID:
    """A study on its way, one instance of it refused."""
    made = uuid4()
    study, node = await make(admin, case, "dicom_study_id"), await make(admin, case, "dicom_node_id")
    await world.insert(
        admin,
        "dicom_forward",
        id=made,
        dicom_study_id=study,
        dicom_node_id=node,
        state="refused",
        queued_at=AT,
    )
    await admin.execute(
        "INSERT INTO dicom_forwarded SELECT %s, id, 49152, %s FROM dicom_instance WHERE dicom_study_id = %s",
        (made, AT, study),
    )
    return made


async def _device(admin: Admin, case: Case) -> str:
    made = f"holter-{uuid4().hex[:12]}"
    await world.insert(
        admin, "device", id=made, shard="00", kind="holter", name="x", password_hash="x", created_at=AT,
        organisation_id=case.tenant.organisations["village"],
    )  # fmt: skip
    await world.insert(admin, "device_state", device_id=made, last_seen_at=AT, connected=True)
    return made


async def _recording(admin: Admin, case: Case) -> UUID:
    """A running recording with a second of ECG, an event and a finding."""
    made, device = uuid4(), await make(admin, case, "device_id")
    await make(admin, case, "request_id")
    patient_id = case.ids["patient_id"]
    await world.insert(
        admin, "recording", id=made, patient_id=patient_id, device_id=device, status="recording", fs_hz=FS_HZ,
        organisation_id=case.tenant.organisations["village"], service_request_id=case.ids["request_id"],
        leads=list(LEADS), uv_per_lsb=5.0, requested_at=STARTED, started_at=STARTED,
    )  # fmt: skip
    await admin.execute(
        """INSERT INTO device_pairing (id, device_number, patient_id, during)
           SELECT %s, number, %s, tstzrange(%s, NULL) FROM device WHERE id = %s""",
        (uuid4(), patient_id, STARTED, device),
    )
    await admin.execute("SELECT hub_ensure_day(%s)", (STARTED.date(),))
    await admin.execute(
        "INSERT INTO ecg_packet VALUES (%s, 1, 0, %s, %s, 0, %s)", (made, STARTED, TOTAL, b"\0\0" * TOTAL)
    )
    await admin.execute(
        "INSERT INTO recording_boot VALUES (%s, 1, %s, %s, 0, NULL, false, %s::int8multirange)",
        (made, STARTED, TOTAL, f"{{[0,{TOTAL})}}"),
    )
    await admin.execute(
        "INSERT INTO vital VALUES (%s, %s, NULL, '149530', %s, 61, NULL, '/min', %s)",
        (device, patient_id, STARTED, AT),
    )
    await world.insert(
        admin, "recording_event", id=f"{device}/1", recording_id=made, device_id=device, kind="button",
        at=AT, received_at=AT,
    )  # fmt: skip
    await world.insert(
        admin, "finding", recording_id=made, version=1, boot=1, onset_sample=0, onset_at=AT, leads=list(LEADS),
        numbers={}, quality="good", found_at=AT, **{"pass": "live", "rule": "pause"},
    )  # fmt: skip
    return made


async def _alarm(admin: Admin, case: Case) -> UUID:
    made = uuid4()
    await make(admin, case, "recording_id")
    await world.insert(
        admin, "alarm", id=made, patient_id=case.ids["patient_id"], recording_id=case.ids["recording_id"],
        organisation_id=case.tenant.organisations["village"], source_key=f"test:{made}", rule="pause",
        category="physiological", priority="high", condition="active", handling="raised", onset_at=AT,
        raised_at=AT,
    )  # fmt: skip
    await world.insert(admin, "alarm_log", alarm_id=made, sequence=1, at=AT, step="raised")
    return made


async def _set_aside(admin: Admin, case: Case) -> UUID:
    made = uuid4()
    await world.insert(
        admin, "set_aside", id=made, sha256=made.hex, topic="ingest/00/x/ecg", reason="wrong-version",
        device_id=await make(admin, case, "device_id"), payload=b"x", first_at=AT, last_at=AT,
        organisation_id=case.tenant.organisations["village"],
    )  # fmt: skip
    return made


async def _incident(admin: Admin, case: Case) -> UUID:
    """A device's: a broken hop of the hub belongs to no tenant."""
    made, device = uuid4(), await make(admin, case, "device_id")
    await world.insert(
        admin, "incident", id=made, kind="device-clock", subject=device, device_id=device, since_at=AT, last_at=AT,
    )  # fmt: skip
    return made


async def _job(admin: Admin, _case: Case) -> str:
    """One that failed for good."""
    made = uuid4().int >> 66
    await admin.execute(
        "INSERT INTO job (id, kind, unique_key, payload, run_at, created_at, failed_at)"
        " OVERRIDING SYSTEM VALUE VALUES (%(id)s, 'reading.pdf', %(id)s::text, '{}', %(at)s, %(at)s, %(at)s)",
        {"id": made, "at": AT},
    )
    return str(made)


@cache
def _analysed() -> holter.Analysis:
    """A real analysis of a short signal."""
    samples = Synthesiser(7, FS_HZ, LEADS, (Segment("sinus", float(SECONDS)),), 5.0).samples(0, TOTAL)
    record = Record(leads=(Lead(LEADS[0], FS_HZ, 5.0, 0, samples[0]),), start_at=STARTED)
    return holter.analyse(record, paced=False)


async def _study(admin: Admin, case: Case) -> UUID:
    """The recording has ended, and a real analysis of it is there."""
    made, tenant = uuid4(), case.tenant
    recording = await make(admin, case, "recording_id")
    await admin.execute("UPDATE recording SET status = 'ended', ended_at = %s WHERE id = %s", (AT, recording))
    await world.insert(
        admin, "study", id=made, kind="holter", patient_id=case.ids["patient_id"], recording_id=recording,
        organisation_id=tenant.organisations["village"], service_request_id=case.ids["request_id"],
        reading_organisation_id=tenant.organisations["hospital"], created_at=AT,
    )  # fmt: skip
    return made


async def _analysis(admin: Admin, case: Case) -> UUID:
    made = uuid4()
    await make(admin, case, "task_id")
    analysed = _analysed()
    ledger = {"produced": TOTAL, "stored": TOTAL, "lost": 0, "boots": 1, "end_not_known": 0}
    await world.insert(
        admin, "analysis", id=made, recording_id=case.ids["recording_id"], version=1, algorithm="test",
        input_sha256=made.hex, packed=analysed.to_bytes(), summary=holter.summary(analysed, STARTED),
        completeness=ledger | {"fs_hz": FS_HZ, "leads": list(LEADS)}, analysed_at=AT,
    )  # fmt: skip
    await world.insert(
        admin, "analysis_edit", analysis_id=made, sequence=1, at=AT, operation=NOTE,
        account_id=case.tenant.accounts["reader"],
    )  # fmt: skip
    return made


async def _task(admin: Admin, case: Case) -> UUID:
    """Claimed by the tenant's reader, with a draft."""
    made, tenant = uuid4(), case.tenant
    reader = tenant.accounts["reader"]
    await make(admin, case, "study_id")
    await world.insert(
        admin, "task", id=made, study_id=case.ids["study_id"], patient_id=case.ids["patient_id"],
        organisation_id=tenant.organisations["hospital"], from_organisation_id=tenant.organisations["village"],
        kind="holter", tier="district", status="in-progress", priority="routine", sex="male", age_years=75,
        question="x", due_at=AT, claimed_by=reader, lease_until=AT + timedelta(minutes=5), created_at=AT,
    )  # fmt: skip
    await _grant(admin, reader, case.ids["patient_id"])
    await world.insert(
        admin, "report_draft", task_id=made, account_id=reader, content=DRAFT, revision=1, saved_at=AT
    )
    return made


async def _report(admin: Admin, case: Case) -> UUID:
    """Signed by the tenant's reader, its paper stored."""
    made, tenant = uuid4(), case.tenant
    await make(admin, case, "task_id")
    paper = await case.files.put(PAPER, "application/pdf") if case.files else None
    if paper is not None:
        await admin.execute(
            "INSERT INTO stored_file VALUES (%s, %s, 'application/pdf', %s) ON CONFLICT DO NOTHING",
            (paper.sha256, paper.size_bytes, AT),
        )
    centre = tenant.organisations["hospital"]
    content = {
        "report": {"id": str(made), "study_id": str(case.ids["study_id"]), "version": 1, "status": "final"},
        "reading_organisation": {"id": str(centre)},
        "patient": {"id": str(case.ids["patient_id"])},
    }
    await world.insert(
        admin, "report", id=made, study_id=case.ids["study_id"], task_id=case.ids["task_id"],
        patient_id=case.ids["patient_id"], organisation_id=centre, version=1, status="final", content=content,
        signed_content=b"{}", signature=b"x",
        signer_key_id="x", signed_by=tenant.accounts["reader"], signed_at=AT,
        pdf_sha256=paper.sha256 if paper else None,
    )  # fmt: skip
    await world.insert(
        admin, "report_delivery", report_id=made, recipient_kind="organisation", delivered_at=AT,
        recipient_id=tenant.organisations["village"],
    )  # fmt: skip
    return made


async def _account(admin: Admin, case: Case) -> UUID:
    made = await world.account(admin, f"somebody-{uuid4().hex[:8]}")
    case.ids["role_id"] = await world.give(admin, made, case.tenant.organisations["village"], "technician")
    return made


async def _role(admin: Admin, case: Case) -> UUID | str:
    await make(admin, case, "account_id")
    return case.ids["role_id"]


async def _agreement(admin: Admin, case: Case) -> UUID:
    made, organisations = uuid4(), case.tenant.organisations
    await world.insert(
        admin, "agreement", id=made, from_organisation_id=organisations["town"], study_kind="holter",
        to_organisation_id=organisations["hospital"], valid_from=AT,
    )  # fmt: skip
    return made


MAKERS: dict[str, Maker] = {
    "patient_id": _patient,
    "consent_id": _consent,
    "request_id": _request,
    "upload_id": _upload,
    "study_uid": _study_uid,
    "dicom_node_id": _dicom_node,
    "dicom_study_id": _dicom_study,
    "study": _known_study,
    "series": _known_series,
    "instance": _known_instance,
    "number": _number,
    "frames": _number,
    "bulkdata": _bulkdata,
    "dicom_forward_id": _dicom_forward,
    "dicom_instance_id": _dicom_instance,
    "annotation_id": _annotation,
    "frame": _frame,
    "device_id": _device,
    "recording_id": _recording,
    "alarm_id": _alarm,
    "set_aside_id": _set_aside,
    "incident_id": _incident,
    "job_id": _job,
    "study_id": _study,
    "analysis_id": _analysis,
    "task_id": _task,
    "report_id": _report,
    "account_id": _account,
    "role_id": _role,
    "agreement_id": _agreement,
}
