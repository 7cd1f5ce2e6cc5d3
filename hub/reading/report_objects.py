"""A signed report goes back into DICOM: its paper, its text and its key images beside the images it is about.

The objects carry patient and study as the images do, so that every archive files them together. Made once for each
version, under UIDs that follow from it; stored like anything that was sent, and forwarded by the same rules.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import cbor2

from hub.core import actor, sandbox
from hub.core.db import Connection, Row, maybe, one, rows
from hub.core.jobs import Context
from hub.imaging.index import instances
from hub.imaging.index.dicom_studies import remove_own_objects
from hub.imaging.index.instances import HUB, Sender
from hub.people import audit
from hub.reading.forwarding import forward_study
from hub.reading.paper import TITLES, study_kind
from hub.reading.words import word

JOB: Final = "reading.dicom"
ACTOR: Final = actor.job(JOB)
TIMEOUT_S, MEMORY_MB = 60, 1024
KINDS: Final = ("pdf", "text", "keys")
# Which study of images a reading study is about: its own, or the one whose ECG object became its recording.
_STUDY: Final = """
    SELECT d.* FROM study s LEFT JOIN recording r ON r.id = s.recording_id
    JOIN dicom_study d ON d.id = s.dicom_study_id OR d.id = (SELECT i.dicom_study_id FROM dicom_instance i
        WHERE i.file_sha256 = r.file_sha256 AND i.organisation_id = r.organisation_id LIMIT 1)
    WHERE s.id = %s
"""


async def put_back(context: Context, payload: Mapping[str, Any]) -> None:
    """`reading.dicom`: the objects of a report, if it is about something that came as DICOM."""
    async with context.db.transaction(ACTOR, context.at) as conn:
        report = await one(conn, "SELECT * FROM report WHERE id = %s", (UUID(payload["report_id"]),))
        study = await maybe(conn, _STUDY, (report["study_id"],))
        if study is None or study["patient_id"] != report["patient_id"]:
            return  # nothing of DICOM, or taken back meanwhile
        wanted = await _wanted(conn, report, study)
    pdf = context.store.path(report["pdf_sha256"]).read_bytes()
    made = await sandbox.run(
        "hub.reading.writing_objects:write", cbor2.dumps({**wanted, "pdf": pdf}), TIMEOUT_S, MEMORY_MB
    )
    sender = Sender(study["organisation_id"], HUB)
    for content in cbor2.loads(made):
        file = await context.store.put(content, instances.MEDIA_TYPE)
        outcome = await instances.store_file(context.db, context.store, ACTOR, context.at, sender, file)
        if outcome.kind not in ("stored", "known"):
            raise RuntimeError(f"an object of our own was not stored: {outcome.reason}")
    async with context.db.transaction(ACTOR, context.at) as conn:
        await _after(conn, context.at, report, study["id"])


async def _after(conn: Connection, at: datetime, report: Row, dicom_study_id: UUID) -> None:
    """The images may have been taken back while the objects were made: then these go again."""
    study = await one(
        conn, "SELECT id, patient_id FROM dicom_study WHERE id = %s FOR UPDATE", (dicom_study_id,)
    )
    if study["patient_id"] != report["patient_id"]:
        await remove_own_objects(conn, dicom_study_id)
        return
    await forward_study(conn, at, report["study_id"], study["id"])
    await audit.record(
        conn, ACTOR, at, "report.dicom", "report", report["id"],
        organisation_id=report["organisation_id"], patient_id=report["patient_id"], dicom_study_id=str(study["id"]),
    )  # fmt: skip


async def _wanted(conn: Connection, report: Row, study: Row) -> dict[str, Any]:
    """What `writing_objects.write` takes: plain values."""
    document = json.loads(bytes(report["signed_content"]))
    images = await rows(
        conn,
        "SELECT e.series_uid, i.sop_class_uid, i.sop_uid, coalesce(i.frames, 1) AS frames FROM dicom_instance i"
        " JOIN dicom_series e ON e.id = i.dicom_series_id WHERE i.dicom_study_id = %s AND i.sent_by <> %s"
        " ORDER BY e.number, e.series_uid, i.number, i.sop_uid",
        (study["id"], HUB),
    )
    return {
        "study": {
            "study_uid": study["study_uid"], "patient_id": study["sent_patient_id"], "issuer": study["sent_issuer"],
            "patient_name": study["sent_name"], "birth_date": study["sent_birth_date"], "sex": study["sent_sex"],
            "accession": study["accession"], "study_date": study["study_date"], "study_time": study["study_time"],
            "description": study["description"],
        },
        "report": _report(document, report),
        "uids": {kind: [_uid(report["study_id"], kind), _uid(report["id"], kind)] for kind in KINDS},
        "before": await _before(conn, report, study),
        "images": [[image["series_uid"], image["sop_class_uid"], image["sop_uid"]] for image in images],
        "frames": {image["sop_uid"]: image["frames"] for image in images},
        "key_images": [[key["sop_uid"], key["frame"], key["note"]] for key in document.get("key_images", ())],
    }  # fmt: skip


def _report(document: Mapping[str, Any], report: Row) -> dict[str, Any]:
    content, centre = document["content"], document["reading_organisation"]
    language, kind = content["language"], study_kind(document)
    withdrawn = document["withdrawn"]
    return {
        "version": report["version"],
        "kind": kind,
        "title": word(TITLES[kind], language),
        "language": language,
        "sections": [
            [name, content[key]]
            for name, key in (
                ("findings", "findings_text"),
                ("impression", "conclusion"),
                ("recommendation", "advice"),
            )
            if content[key]
        ],
        "signed_at": report["signed_at"].astimezone(ZoneInfo(document["request"]["time_zone"])).isoformat(),
        "signer_name": document["signer"]["name"],
        "organisation_name": centre["name" if language == "zh-CN" else "name_en"],
        "withdrawn": f"{word('withdrawn_banner', language)}: {withdrawn['reason']}" if withdrawn else "",
    }


def _uid(made_of: UUID, kind: str) -> str:
    """A UID from a UUID (PS3.5 B.2) that names one object or series for ever."""
    return f"2.25.{uuid5(made_of, kind).int}"


async def _before(conn: Connection, report: Row, study: Row) -> str | None:
    """The UID of the text of the version before, if that was stored."""
    previous = await maybe(
        conn,
        "SELECT id FROM report WHERE study_id = %s AND version = %s",
        (report["study_id"], report["version"] - 1),
    )
    if previous is None:
        return None
    sop_uid = _uid(previous["id"], "text")
    stored = await maybe(
        conn,
        "SELECT FROM dicom_instance WHERE organisation_id = %s AND sop_uid = %s",
        (study["organisation_id"], sop_uid),
    )
    return None if stored is None else sop_uid
