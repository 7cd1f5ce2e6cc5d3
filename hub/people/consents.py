"""Consents: what a patient agreed to and how, and taking it back, which ends what stood on it."""

from datetime import datetime
from uuid import UUID

from hub.core import db, errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.people import access, audit, grants

KINDS = ("monitoring", "remote-reading", "family")
GIVEN_HOW = ("paper", "code", "app")
SOURCE = "consent"


async def record_consent(
    conn: Connection,
    actor: Actor,
    at: datetime,
    patient_id: UUID,
    *,
    kind: str,
    given_how: str,
    given_by: str,
    to_account_id: UUID | None = None,
) -> UUID:
    """Write down a consent; one to a family member opens the patient to that account."""
    await access.require(conn, actor, at, "consent.record", patient_id=patient_id)
    if (kind == "family") != (to_account_id is not None):
        raise errors.error(
            "bad_field", field="to_account_id", expected="an account if kind is family, else none"
        )
    consent_id = ids.new(at)
    await db.run(
        conn,
        """INSERT INTO consent
             (id, patient_id, kind, given_how, given_by, to_account_id, recorded_by, given_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (consent_id, patient_id, kind, given_how, given_by, to_account_id, actor.account_id, at),
    )
    if to_account_id is not None:
        await _open_to_family(conn, at, consent_id, patient_id, to_account_id)
    await audit.record(
        conn, actor, at, "consent.record", "consent", consent_id, patient_id=patient_id, kind=kind
    )
    return consent_id


async def withdraw_consent(conn: Connection, actor: Actor, at: datetime, consent_id: UUID) -> None:
    """Take a consent back: every grant that stood on it ends now, and open streams with it."""
    row = await db.one(conn, "SELECT patient_id, withdrawn_at FROM consent WHERE id = %s", (consent_id,))
    await access.require(conn, actor, at, "consent.withdraw", patient_id=row["patient_id"])
    if row["withdrawn_at"] is not None:
        return
    await db.run(conn, "UPDATE consent SET withdrawn_at = %s WHERE id = %s", (at, consent_id))
    ended = await grants.revoke(conn, at, SOURCE, consent_id)
    await audit.record(
        conn, actor, at, "consent.withdraw", "consent", consent_id, patient_id=row["patient_id"], grants=ended
    )


async def has_consent(conn: Connection, patient_id: UUID, kind: str) -> bool:
    """Whether a consent of this kind stands."""
    row = await db.one(
        conn,
        """SELECT EXISTS (SELECT FROM consent WHERE patient_id = %s AND kind = %s AND withdrawn_at IS NULL)
             AS stands""",
        (patient_id, kind),
    )
    return bool(row["stands"])


async def _open_to_family(
    conn: Connection, at: datetime, consent_id: UUID, patient_id: UUID, account_id: UUID
) -> None:
    await db.one(conn, "SELECT FROM account WHERE id = %s AND disabled_at IS NULL", (account_id,))
    await grants.grant(
        conn,
        at,
        account_id,
        "patient.read",
        "patient",
        patient_id,
        reason="family",
        source_kind=SOURCE,
        source_id=consent_id,
    )
