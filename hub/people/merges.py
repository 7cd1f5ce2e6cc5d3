"""Two records of one person: a link says so, and can be taken away again; no other row is rewritten."""

from datetime import datetime
from uuid import UUID

from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.people import access, audit, grants


async def merge_patients(conn: Connection, actor: Actor, at: datetime, patient_id: UUID, into: UUID) -> None:
    """Say that a record is of the same person as another, which stays. Links never form a chain."""
    for each in (patient_id, into):
        await access.require(conn, actor, at, "patient.merge", patient_id=each)
    if patient_id == into:
        raise errors.error("bad_field", field="into", expected="another patient")
    await db.run(conn, "SELECT pg_advisory_xact_lock(hashtext('patient_merge'))")
    linked = await db.maybe(
        conn,
        "SELECT FROM patient_merge WHERE patient_id IN (%(a)s, %(b)s) OR merged_into = %(a)s",
        {"a": patient_id, "b": into},
    )
    if linked is not None:
        raise errors.error("conflict")
    await db.run(
        conn,
        "INSERT INTO patient_merge (patient_id, merged_into, merged_by, merged_at) VALUES (%s, %s, %s, %s)",
        (patient_id, into, actor.account_id, at),
    )
    await grants.tell(conn, None)
    await audit.record(
        conn, actor, at, "patient.merge", "patient", patient_id, patient_id=patient_id, into=str(into)
    )


async def unmerge_patient(conn: Connection, actor: Actor, at: datetime, patient_id: UUID) -> None:
    """Take the link away."""
    await access.require(conn, actor, at, "patient.merge", patient_id=patient_id)
    if not await db.run(conn, "DELETE FROM patient_merge WHERE patient_id = %s", (patient_id,)):
        raise errors.error("conflict")
    await grants.tell(conn, None)
    await audit.record(conn, actor, at, "patient.unmerge", "patient", patient_id, patient_id=patient_id)
