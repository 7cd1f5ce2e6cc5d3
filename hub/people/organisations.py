"""The tree of organisations: province, district, hospital, town, village; a closure table answers "below"."""

from datetime import datetime
from uuid import UUID

from hub.core import db, errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit

LEVELS = ("province", "district", "hospital", "town", "village")
TIERS = ("township", "district", "province")


async def create_organisation(
    conn: Connection,
    actor: Actor,
    at: datetime,
    *,
    parent_id: UUID | None,
    level: str,
    name: str,
    name_en: str,
    tier: str | None = None,
) -> UUID:
    """A new organisation below another; a root is made only by the installation itself."""
    if parent_id is None and actor.kind != "job":
        raise errors.error("not_allowed")
    await access.require(conn, actor, at, "organisation.create", organisation_id=parent_id)
    organisation_id = ids.new(at)
    await db.run(
        conn,
        """INSERT INTO organisation (id, parent_id, level, name, name_en, tier, created_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (organisation_id, parent_id, level, name, name_en, tier, at),
    )
    await db.run(
        conn,
        """INSERT INTO organisation_closure (ancestor, descendant, depth)
           SELECT ancestor, %(id)s, depth + 1 FROM organisation_closure WHERE descendant = %(parent)s
           UNION ALL SELECT %(id)s, %(id)s, 0""",
        {"id": organisation_id, "parent": parent_id},
    )
    await audit.record(
        conn,
        actor,
        at,
        "organisation.create",
        "organisation",
        organisation_id,
        organisation_id=organisation_id,
    )
    return organisation_id


async def organisations(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """All organisations, parents before children: names and tree are no secret among those signed in."""
    await access.require(conn, actor, at, "organisation.read")
    return await db.rows(
        conn,
        """SELECT o.id, o.parent_id, o.level, o.name, o.name_en, o.tier FROM organisation o
           JOIN organisation_closure c ON c.descendant = o.id
           GROUP BY o.id ORDER BY max(c.depth), o.created_at, o.id""",
    )
