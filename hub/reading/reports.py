"""Signed reports: signing, versions, withdrawal, delivery to the clinic, reading them (DESIGN.md section 8).

A signed version never changes; a correction or withdrawal is a version of its own. "Report back" is said only
once the paper is stored and delivered.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from hub.core import errors, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row, maybe, notify, one, run
from hub.core.store import StoredFile
from hub.orders import requests
from hub.people import access, audit, grants
from hub.reading import image_cases
from hub.reading.completeness import read_completeness
from hub.reading.document import recording_parts, signature_fields, write_document
from hub.reading.drafts import edited, newest_analysis, read_draft, read_edits
from hub.reading.signing import Signer, canonical, verification_code
from hub.reading.tasks import GRANT_SOURCE, claimed_task, read_task

ORGANISATION = "organisation"
PAPER_MADE = "report.paper"  # in the audit
_REPORT = """
    SELECT f.*, a.name AS signed_by_name, o.name AS centre_name, o.name_en AS centre_name_en,
        s.organisation_id AS clinic_id, s.recording_id, d.delivered_at, d.opened_at,
        (SELECT max(n.version) FROM report n WHERE n.study_id = f.study_id) AS newest_version
    FROM report f JOIN account a ON a.id = f.signed_by JOIN organisation o ON o.id = f.organisation_id
    JOIN study s ON s.id = f.study_id
    LEFT JOIN report_delivery d ON d.report_id = f.id AND d.recipient_kind = 'organisation'
        AND d.recipient_id = s.organisation_id
"""


async def sign_report(
    conn: Connection,
    actor: Actor,
    at: datetime,
    signer: Signer,
    task_id: UUID,
    *,
    revision: int,
    analysis_id: UUID | None = None,
    edit_sequence: int = 0,
    images_sha256: str = "",
) -> Row:
    """Sign what the reader saw: the draft, and the analysis with its edits or the images, that the page names must
    still be the newest.
    """
    task = await read_task(conn, task_id)
    await access.require(conn, actor, at, "report.sign", organisation_id=task["organisation_id"])
    await claimed_task(conn, actor, at, task_id)
    draft = await read_draft(conn, task_id)
    if draft is None or draft["revision"] != revision:
        raise errors.error("draft_stale")
    if not draft["content"]["conclusion"]:
        raise errors.error("draft_empty")
    if task["kind"] == "imaging":
        parts = await image_cases.document_parts(conn, actor, task, images_sha256)
    else:
        parts = await _recording_parts(conn, task, draft["content"], analysis_id, edit_sequence)
    before = await _newest(conn, task["study_id"])
    heading = {
        "id": str(ids.new(at)),
        "study_id": str(task["study_id"]),
        "version": before["version"] + 1 if before else 1,
        "status": "amended" if before else "final",
    }
    document = await write_document(conn, actor, at, signer, task, heading, draft["content"], parts)
    report = await _insert(conn, actor, at, signer, task_id, document)
    await _complete(conn, actor, at, task)
    return report


async def _recording_parts(
    conn: Connection, task: Row, content: Mapping[str, Any], analysis_id: UUID | None, edit_sequence: int
) -> dict[str, Any]:
    """The recording as it was read; `analysis_stale` if there is a newer analysis or edit, or one on its way."""
    analysis = await newest_analysis(conn, task["recording_id"])
    edits = await read_edits(conn, analysis["id"])
    if analysis["id"] != analysis_id or len(edits) != edit_sequence:
        raise errors.error("analysis_stale")
    completeness = await read_completeness(conn, task["recording_id"])
    if completeness["stored"] != analysis["completeness"]["stored"]:
        raise errors.error("analysis_stale")  # samples came since: the next analysis is on its way
    seen = await edited(analysis, [edit["operation"] for edit in edits])
    return await recording_parts(
        conn, task, content["included_findings"], analysis, edits, seen, completeness
    )


async def withdraw_report(
    conn: Connection, actor: Actor, at: datetime, signer: Signer, report_id: UUID, reason: str
) -> Row:
    """Take a report back, with a reason: a new version `entered-in-error` whose paper says so on every
    page.
    """
    report = await one(conn, "SELECT * FROM report WHERE id = %s", (report_id,))
    own = report["signed_by"] == actor.account_id
    action = "report.withdraw" if own else "report.withdraw-any"
    await access.require(conn, actor, at, action, organisation_id=report["organisation_id"])
    newest = await _newest(conn, report["study_id"])
    if newest is None or newest["id"] != report_id:
        raise errors.error("conflict")
    if newest["status"] == "entered-in-error":
        raise errors.error("report_withdrawn")
    heading = {
        **report["content"]["report"],
        "id": str(ids.new(at)),
        "version": report["version"] + 1,
        "status": "entered-in-error",
    }
    document = {
        **report["content"],
        "report": heading,
        "withdrawn": {"reason": reason, "version": report["version"], "report_id": str(report_id)},
        **await signature_fields(conn, actor, at, signer),
    }
    return await _insert(conn, actor, at, signer, report["task_id"], document)


async def _newest(conn: Connection, study_id: UUID) -> Row | None:
    return await maybe(
        conn,
        "SELECT id, version, status FROM report WHERE study_id = %s ORDER BY version DESC LIMIT 1",
        (study_id,),
    )


async def _insert(
    conn: Connection, actor: Actor, at: datetime, signer: Signer, task_id: UUID, document: Mapping[str, Any]
) -> Row:
    """Sign a document and keep it; its paper and delivery are jobs of the same transaction."""
    signed = canonical(document)
    heading, centre = document["report"], document["reading_organisation"]["id"]
    await run(
        conn,
        "INSERT INTO report (id, study_id, task_id, patient_id, organisation_id, version, status, content,"
        " signed_content, signature, signer_key_id, signed_by, signed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            heading["id"], heading["study_id"], task_id, document["patient"]["id"], centre,
            heading["version"], heading["status"], signed.decode(), signed, signer.sign(signed),
            signer.key_id, actor.account_id, at,
        ),
    )  # fmt: skip
    await jobs.enqueue(conn, at, "reading.pdf", heading["id"], {"report_id": heading["id"]})
    await notify(conn, "hub_report", report_id=heading["id"])
    await audit.record(
        conn, actor, at, f"report.{heading['status']}", "report", heading["id"],
        organisation_id=UUID(centre), patient_id=UUID(document["patient"]["id"]), version=heading["version"],
    )  # fmt: skip
    return await one(conn, f"{_REPORT} WHERE f.id = %s", (heading["id"],))


async def _complete(conn: Connection, actor: Actor, at: datetime, task: Row) -> None:
    """The task and the request are done; the reader's grant ends with the claim."""
    study = await one(conn, "SELECT service_request_id FROM study WHERE id = %s", (task["study_id"],))
    if study["service_request_id"] is not None:
        await requests.complete_request(conn, actor, at, study["service_request_id"])
    await run(
        conn,
        "UPDATE task SET status = 'completed', completed_at = %s, claimed_by = NULL, lease_until = NULL"
        " WHERE id = %s",
        (at, task["id"]),
    )
    await run(conn, "DELETE FROM report_draft WHERE task_id = %s", (task["id"],))
    await grants.revoke(conn, at, GRANT_SOURCE, task["id"])
    await notify(conn, "hub_task", task_id=str(task["id"]))


async def store_pdf(conn: Connection, actor: Actor, at: datetime, report_id: UUID, file: StoredFile) -> None:
    """The paper of a report is made once; then it goes to the clinic. The audit, which is sealed, keeps its hash."""
    await run(
        conn,
        "INSERT INTO stored_file (sha256, size_bytes, media_type, stored_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (file.sha256, file.size_bytes, file.media_type, at),
    )
    made = await maybe(
        conn,
        "UPDATE report SET pdf_sha256 = %s WHERE id = %s AND pdf_sha256 IS NULL RETURNING organisation_id, patient_id",
        (file.sha256, report_id),
    )
    if made is not None:
        await audit.record(conn, actor, at, PAPER_MADE, "report", report_id, **made, sha256=file.sha256)
    for kind in ("reading.deliver", "reading.dicom"):
        await jobs.enqueue(conn, at, kind, str(report_id), {"report_id": str(report_id)})


async def deliver_report(conn: Connection, actor: Actor, at: datetime, report_id: UUID) -> None:
    """The clinic has the report from this transaction on."""
    report = await one(conn, f"{_REPORT} WHERE f.id = %s", (report_id,))
    if report["pdf_sha256"] is None:
        raise errors.error("report_not_ready")
    delivered = await run(
        conn,
        "INSERT INTO report_delivery (report_id, recipient_kind, recipient_id, delivered_at)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (report_id, ORGANISATION, report["clinic_id"], at),
    )
    if delivered:
        await notify(conn, "hub_report", report_id=str(report_id))
        await audit.record(
            conn, actor, at, "report.deliver", "report", report_id,
            organisation_id=report["clinic_id"], patient_id=report["patient_id"],
        )  # fmt: skip


async def read_report(conn: Connection, actor: Actor, at: datetime, report_id: UUID) -> Row:
    """A report the actor may read: of the clinic's patient, by a grant, or of their own reading centre."""
    report = await one(conn, f"{_REPORT} WHERE f.id = %s", (report_id,))
    await access.require(
        conn, actor, at, "report.read",
        patient_id=report["patient_id"], organisation_id=report["organisation_id"],
    )  # fmt: skip
    return report


async def open_pdf(conn: Connection, actor: Actor, at: datetime, report_id: UUID) -> str:
    """The hash of the paper to hand out; the clinic's first look is noted. A withdrawn one is never shown
    alone.
    """
    report = await read_report(conn, actor, at, report_id)
    newest = await one(
        conn,
        f"{_REPORT} WHERE f.study_id = %s ORDER BY f.version DESC LIMIT 1",
        (report["study_id"],),
    )
    shown = newest if newest["status"] == "entered-in-error" else report
    if shown["pdf_sha256"] is None:
        raise errors.error("report_not_ready")
    if await _of_clinic(conn, shown["clinic_id"]):
        await run(
            conn,
            "UPDATE report_delivery SET opened_at = %s, opened_by = %s"
            " WHERE report_id = %s AND recipient_kind = %s AND opened_at IS NULL",
            (at, actor.account_id, shown["id"], ORGANISATION),
        )
        await notify(conn, "hub_report", report_id=str(shown["id"]))
    await audit.record(
        conn, actor, at, "report.open", "report", shown["id"],
        organisation_id=report["organisation_id"], patient_id=report["patient_id"],
    )  # fmt: skip
    return str(shown["pdf_sha256"])


async def _of_clinic(conn: Connection, clinic_id: UUID) -> bool:
    row = await one(
        conn,
        "SELECT %s IN (SELECT hub_care_organisations()) AS cares",
        (clinic_id,),
    )
    return bool(row["cares"])


_SHOWN = (
    "id", "study_id", "version", "status", "signed_by_name", "signed_at", "signer_key_id", "pdf_sha256",
    "delivered_at", "opened_at", "newest_version", "recording_id",
)  # fmt: skip


def report_view(report: Row) -> dict[str, Any]:
    """A report as pages show it: what was signed, and what has become of it."""
    return {
        **{key: report[key] for key in _SHOWN},
        "reading_organisation": {
            "id": report["organisation_id"],
            "name": report["centre_name"],
            "name_en": report["centre_name_en"],
        },
        "verification_code": verification_code(bytes(report["signed_content"])),
        "document": report["content"],
    }
