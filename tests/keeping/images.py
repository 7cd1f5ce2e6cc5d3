"""A DICOM study with everything that can hang on one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from hub.core.store import StoredFile
from tests import world as districts
from tests.reading.world import World


@dataclass(frozen=True)
class Images:
    """The ids of its parts."""

    id: UUID
    series_id: UUID
    instance_id: UUID
    study_id: UUID
    request_id: UUID
    task_id: UUID
    report_id: UUID


async def make(conn: districts.Admin, world: World, files: Sequence[StoredFile]) -> Images:
    """`files`: of the object, of its copy for screens, as it was uploaded, and of the report's paper."""
    made = Images(*(uuid4() for _ in range(7)))
    at, person = world.at, world.doctor.account_id
    clinic = world.clinic
    whose = {"patient_id": uuid4(), "organisation_id": clinic}

    async def insert(table: str, **values: Any) -> None:
        await districts.insert(conn, table, **values)

    await insert("patient", id=whose["patient_id"], organisation_id=clinic, name="x", sex="male", id_type="none",
                 birth_date="1960-01-01", created_by=person, created_at=at)  # fmt: skip
    for file in files:
        await insert(
            "stored_file", sha256=file.sha256, size_bytes=file.size_bytes, media_type="x", stored_at=at
        )
    await insert("service_request", id=made.request_id, kind="imaging", status="active", question="", created_at=at,
                 priority="routine", requester_id=person, **whose)  # fmt: skip
    sent = {"file_name": "x", "size_bytes": 1, "offset_bytes": 1, "declared_sha256": files[2].sha256}
    await insert("upload", id=uuid4(), service_request_id=made.request_id, account_id=person, sha256=files[2].sha256,
                 state="taken-in", created_at=at, expires_at=at, received_at=at, settled_at=at,
                 **sent, **whose)  # fmt: skip
    said = ("sent_patient_id", "sent_issuer", "sent_name", "sent_birth_date", "sent_sex", "accession", "description",
            "study_date", "study_time")  # fmt: skip
    await insert("dicom_study", id=made.id, study_uid="1.2", service_request_id=made.request_id,
                 resolved_by="accession", first_at=at, is_open=False, **dict.fromkeys(said, ""), **whose)  # fmt: skip
    await insert("dicom_series", id=made.series_id, dicom_study_id=made.id, series_uid="1.2.3", modality="CT",
                 description="", body_part="")  # fmt: skip
    await insert("dicom_series_metadata", dicom_series_id=made.series_id, instances=1, body=b"x")
    await _instance(conn, world, made, made.instance_id, files)
    of_one = {"dicom_instance_id": made.instance_id}
    by = {"account_id": person, "at": at, "frame": 1, "dicom_study_id": made.id} | of_one
    await insert("image_annotation", id=uuid4(), kind="length", points=json.dumps([[0, 0], [1, 1]]), text="",
                 changed_at=at, **by)  # fmt: skip
    await insert("key_image", note="", **by)
    node, forward = uuid4(), uuid4()
    await insert("dicom_node", id=node, organisation_id=clinic, name="x", ae_title="X", created_at=at)
    await insert(
        "dicom_forward", id=forward, dicom_study_id=made.id, dicom_node_id=node, state="sent", queued_at=at
    )
    await insert("dicom_forwarded", dicom_forward_id=forward, status=0, at=at, **of_one)
    await insert("study", id=made.study_id, kind="imaging", service_request_id=made.request_id,
                 dicom_study_id=made.id, created_at=at, **whose)  # fmt: skip
    told = {"reasons": "[]", "sex": "male", "age_years": 66, "question": "", "priority": "routine"}
    await insert("task", id=made.task_id, study_id=made.study_id, from_organisation_id=clinic, kind="imaging",
                 tier="district", status="completed", due_at=at, created_at=at, completed_at=at,
                 **told, **whose)  # fmt: skip
    await insert(
        "report_draft", task_id=made.task_id, account_id=person, content="{}", revision=1, saved_at=at
    )
    signed = {
        "signed_content": b"x",
        "signature": b"x",
        "signer_key_id": "x",
        "signed_by": person,
        "signed_at": at,
    }
    await insert("report", id=made.report_id, study_id=made.study_id, task_id=made.task_id, version=1, status="final",
                 content="{}", pdf_sha256=files[3].sha256, **signed, **whose)  # fmt: skip
    await insert("report_delivery", report_id=made.report_id, recipient_kind="organisation", recipient_id=clinic,
                 delivered_at=at)  # fmt: skip
    return made


async def another_instance(
    conn: districts.Admin, world: World, made: Images, files: Sequence[StoredFile]
) -> UUID:
    """With the same files as the first."""
    instance_id = uuid4()
    await _instance(conn, world, made, instance_id, files)
    return instance_id


async def _instance(
    conn: districts.Admin, world: World, made: Images, instance_id: UUID, files: Sequence[StoredFile]
) -> None:
    await districts.insert(
        conn, "dicom_instance", id=instance_id, organisation_id=world.clinic, dicom_study_id=made.id,
        dicom_series_id=made.series_id, sop_uid=str(instance_id.int), sop_class_uid="1", transfer_syntax="1",
        size_bytes=1, file_sha256=files[0].sha256, sent_by="x", received_at=world.at,
    )  # fmt: skip
    await districts.insert(conn, "dicom_metadata", dicom_instance_id=instance_id, document="{}")
    await districts.insert(
        conn, "dicom_pixels", dicom_instance_id=instance_id, state="ready", file_sha256=files[1].sha256,
        media_type="image/jphc", layout="{}", made_at=world.at,
    )  # fmt: skip
