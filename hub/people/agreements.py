"""Agreements: which organisation may send which kind of study to which reading centre and when."""

from datetime import datetime
from uuid import UUID

from hub.core import db, errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit

STUDY_KINDS = ("ecg-12-lead", "holter", "imaging")


async def create_agreement(
    conn: Connection,
    actor: Actor,
    at: datetime,
    *,
    from_organisation_id: UUID,
    to_organisation_id: UUID,
    study_kind: str,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
) -> UUID:
    """Made by who sends, since it opens the sender's patients."""
    await access.require(conn, actor, at, "agreement.create", organisation_id=from_organisation_id)
    await db.one(conn, "SELECT FROM organisation WHERE id = %s", (to_organisation_id,))
    starts = valid_from or at
    if valid_until is not None and valid_until <= starts:
        raise errors.error("bad_field", field="valid_until", expected="later than valid_from")
    agreement_id = ids.new(at)
    await db.run(
        conn,
        """INSERT INTO agreement
             (id, from_organisation_id, to_organisation_id, study_kind, valid_from, valid_until)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (agreement_id, from_organisation_id, to_organisation_id, study_kind, starts, valid_until),
    )
    await audit.record(
        conn,
        actor,
        at,
        "agreement.create",
        "agreement",
        agreement_id,
        organisation_id=from_organisation_id,
        study_kind=study_kind,
    )
    return agreement_id


async def agreements(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """Agreements with one side at or below the administrator's organisations."""
    await access.require(conn, actor, at, "agreement.read")
    reached = await access.organisations(conn, actor, at, [access.ADMIN])
    return await db.rows(
        conn,
        """SELECT id, from_organisation_id, to_organisation_id, study_kind, valid_from, valid_until
           FROM agreement
           WHERE from_organisation_id = ANY(%(reached)s) OR to_organisation_id = ANY(%(reached)s)
           ORDER BY valid_from DESC, id DESC""",
        {"reached": list(reached)},
    )


async def end_agreement(conn: Connection, actor: Actor, at: datetime, agreement_id: UUID) -> None:
    """Nothing more is sent under it; either side may end it."""
    row = await db.one(
        conn,
        "SELECT from_organisation_id, to_organisation_id FROM agreement WHERE id = %s",
        (agreement_id,),
    )
    sides = (row["from_organisation_id"], row["to_organisation_id"])
    if not any(
        [await access.allows(conn, actor, at, "agreement.end", organisation_id=side) for side in sides]
    ):
        raise errors.error("not_found")
    await db.run(
        conn,
        """UPDATE agreement SET valid_until = %(at)s
           WHERE id = %(id)s AND (valid_until IS NULL OR valid_until > %(at)s)""",
        {"at": at, "id": agreement_id},
    )
    await audit.record(conn, actor, at, "agreement.end", "agreement", agreement_id, organisation_id=sides[0])
