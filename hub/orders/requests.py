"""Requests: what a clinic asks for about a patient (FHIR ServiceRequest), and what became of it.

active -> completed (the report is signed) or revoked (taken back, with a reason).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hub.core import db, errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.people import access, audit, consents, patients

CHANNEL = "hub_request"
KINDS = ("holter", "ecg-12-lead", "imaging", "consultation")
STATUSES = ("active", "on-hold", "completed", "revoked")
PRIORITIES = ("routine", "urgent", "asap", "stat")
# What the patient must have agreed to before it may be asked for.
CONSENT_FOR = {"holter": "monitoring"}
# DICOM (0008,0060), what a district's clinics make.
MODALITIES = ("CR", "DX", "CT", "MR", "US", "XA", "MG", "OT")
LIST_MAX = 200


@dataclass(frozen=True)
class NewRequest:
    """What the clinic fills in."""

    patient_id: UUID
    kind: str
    question: str
    symptoms: str = ""
    drugs: str = ""
    pacemaker: bool = False
    priority: str = "routine"
    planned_hours: int = 24
    modality: str | None = None
    body_part: str | None = None
    expected_instances: int | None = None


async def create_request(conn: Connection, actor: Actor, at: datetime, new: NewRequest) -> UUID:
    """Ask for a study; it belongs to the patient's organisation."""
    await access.require(conn, actor, at, "request.create", patient_id=new.patient_id)
    consent = CONSENT_FOR.get(new.kind)
    if consent is not None and not await consents.has_consent(conn, new.patient_id, consent):
        raise errors.error("consent_needed", kind=consent)
    request_id = ids.new(at)
    await db.run(
        conn,
        """INSERT INTO service_request (id, patient_id, organisation_id, requester_id, kind, status, priority,
             question, symptoms, drugs, pacemaker, planned_hours, modality, body_part, expected_instances, created_at)
           SELECT %(id)s, p.id, p.organisation_id, %(requester)s, %(kind)s, 'active', %(priority)s,
             %(question)s, %(symptoms)s, %(drugs)s, %(pacemaker)s, %(planned_hours)s,
             %(modality)s, %(body_part)s, %(expected_instances)s, %(at)s
           FROM patient p WHERE p.id = %(patient_id)s""",
        vars(new) | {"id": request_id, "requester": actor.account_id, "at": at},
    )
    await db.notify(conn, CHANNEL)
    await audit.record(
        conn, actor, at, "request.create", "request", request_id, patient_id=new.patient_id, kind=new.kind
    )
    return request_id


async def requests(
    conn: Connection,
    actor: Actor,
    at: datetime,
    *,
    status: str | None = None,
    patient_id: UUID | None = None,
    organisation_id: UUID | None = None,
    limit: int = LIST_MAX,
) -> list[dict[str, Any]]:
    """Requests of the patients the actor reaches, newest first."""
    await access.require(
        conn, actor, at, "request.read", patient_id=patient_id, organisation_id=organisation_id
    )
    found = await db.rows(
        conn,
        f"""{_REQUEST_SQL}
            WHERE (%(status)s::text IS NULL OR q.status = %(status)s)
              AND (%(patient)s::uuid IS NULL OR q.patient_id = %(patient)s)
              AND (%(organisation)s::uuid IS NULL OR q.organisation_id IN (
                SELECT descendant FROM organisation_closure WHERE ancestor = %(organisation)s))
            ORDER BY q.created_at DESC, q.id DESC LIMIT %(limit)s""",
        {"status": status, "patient": patient_id, "organisation": organisation_id, "limit": limit},
    )
    return [_shown(row, at) for row in found]


async def request(conn: Connection, actor: Actor, at: datetime, request_id: UUID) -> dict[str, Any]:
    """One request."""
    row = await db.one(conn, f"{_REQUEST_SQL} WHERE q.id = %s", (request_id,))
    await access.require(conn, actor, at, "request.read", patient_id=row["patient_id"])
    await audit.record(conn, actor, at, "request.read", "request", request_id, patient_id=row["patient_id"])
    return _shown(row, at)


async def cancel_request(conn: Connection, actor: Actor, at: datetime, request_id: UUID, reason: str) -> None:
    """Take a request back, with a reason; a completed one stays as it is."""
    patient_id = await _patient_of(conn, request_id)
    await access.require(conn, actor, at, "request.cancel", patient_id=patient_id)
    if not await _close(conn, request_id, "revoked", reason):
        raise errors.error("conflict")
    await audit.record(conn, actor, at, "request.cancel", "request", request_id, patient_id=patient_id)


async def complete_request(conn: Connection, actor: Actor, at: datetime, request_id: UUID) -> None:
    """Answered: called by reading in the transaction that signs the report, whose own check comes first.

    A request taken back meanwhile stays so: the report is signed all the same.
    """
    patient_id = await _patient_of(conn, request_id)
    await access.require(conn, actor, at, "request.read", patient_id=patient_id)
    if await _close(conn, request_id, "completed", None):
        await audit.record(conn, actor, at, "request.complete", "request", request_id, patient_id=patient_id)


_REQUEST_SQL = """
    SELECT q.id, q.patient_id, q.organisation_id, q.requester_id, a.name AS requester_name, q.kind, q.status,
           q.priority, q.question, q.symptoms, q.drugs, q.pacemaker, q.planned_hours, q.revoked_reason,
           q.accession, q.modality, q.body_part, q.expected_instances, q.created_at,
           p.name AS patient_name, p.sex, p.birth_date,
           json_build_object('id', o.id, 'name', o.name, 'name_en', o.name_en) AS organisation
    FROM service_request q JOIN patient p ON p.id = q.patient_id
    JOIN organisation o ON o.id = q.organisation_id JOIN account a ON a.id = q.requester_id"""


def _shown(row: db.Row, at: datetime) -> dict[str, Any]:
    patient = {
        "id": row["patient_id"],
        "name": row.pop("patient_name"),
        "sex": row.pop("sex"),
        "birth_date": row["birth_date"],
        "age_years": patients.age_years(row.pop("birth_date"), at),
    }
    requester = {"id": row.pop("requester_id"), "name": row.pop("requester_name")}
    return row | {"patient": patient, "requester": requester}


async def _patient_of(conn: Connection, request_id: UUID) -> UUID:
    row = await db.one(conn, "SELECT patient_id FROM service_request WHERE id = %s", (request_id,))
    patient_id: UUID = row["patient_id"]
    return patient_id


async def _close(conn: Connection, request_id: UUID, status: str, reason: str | None) -> bool:
    """To its last state, if it is open."""
    closed = await db.run(
        conn,
        """UPDATE service_request SET status = %s, revoked_reason = %s
           WHERE id = %s AND status IN ('active', 'on-hold')""",
        (status, reason, request_id),
    )
    if closed:
        await db.notify(conn, CHANNEL)
    return bool(closed)
