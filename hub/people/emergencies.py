"""Breaking the glass: in an emergency a doctor opens a patient outside their care, for an hour and a reason.

It is a time-limited grant like any other; patient and auditor see it, with its reason, in the access log.
"""

from datetime import datetime, timedelta
from uuid import UUID

from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.people import access, audit, grants

OPEN_FOR = timedelta(hours=1)
SOURCE = "break-glass"


async def break_glass(
    conn: Connection, actor: Actor, at: datetime, patient_id: UUID, reason: str
) -> datetime:
    """Open the patient to the actor; until when."""
    await access.require(conn, actor, at, "patient.break-glass", patient_id=patient_id)
    until = at + OPEN_FOR
    home = await db.one(conn, "SELECT hub_patient_organisation(%s) AS organisation_id", (patient_id,))
    await grants.grant(
        conn,
        at,
        actor.account_id,
        "patient.read",
        "patient",
        patient_id,
        reason=reason,
        source_kind=SOURCE,
        source_id=None,
        until=until,
    )
    await audit.record(
        conn,
        actor,
        at,
        "patient.break-glass",
        "patient",
        patient_id,
        organisation_id=home["organisation_id"],
        patient_id=patient_id,
        reason=reason,
    )
    return until
