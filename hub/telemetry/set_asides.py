"""Messages that could not be used, for those who manage devices: seen with their bytes, then put away."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit

LISTED: Final = 100
SHOWN_BYTES: Final = 4096
_COLUMNS: Final = (
    "SELECT id, topic, device_id, reason, detail, length(payload) AS size_bytes, times, first_at, last_at,"
    "  discarded_at"
)


async def set_asides(conn: Connection, actor: Actor, at: datetime, before: datetime | None) -> list[Row]:
    """The newest not put away, last seen before an instant; row-level security narrows them to the actor's."""
    await access.require(conn, actor, at, "set-aside.read")
    return await db.rows(
        conn,
        f"{_COLUMNS} FROM set_aside WHERE discarded_at IS NULL AND (%(before)s::timestamptz IS NULL"
        " OR last_at < %(before)s) ORDER BY last_at DESC LIMIT %(limit)s",
        {"before": before, "limit": LISTED},
    )


async def set_aside(conn: Connection, actor: Actor, at: datetime, set_aside_id: UUID) -> dict[str, Any]:
    """One with its first bytes. They may hold a patient's signal, so looking is written down."""
    row = await db.one(
        conn,
        f"{_COLUMNS}, organisation_id, substring(payload FROM 1 FOR %s) AS payload FROM set_aside WHERE id = %s",
        (SHOWN_BYTES, set_aside_id),
    )
    organisation_id, payload = row.pop("organisation_id"), row.pop("payload")
    await access.require(conn, actor, at, "set-aside.read", organisation_id=organisation_id)
    await audit.record(
        conn, actor, at, "set-aside.read", "set-aside", set_aside_id, organisation_id=organisation_id
    )
    return row | {"payload_hex": bytes(payload).hex()}


async def discard_set_aside(conn: Connection, actor: Actor, at: datetime, set_aside_id: UUID) -> None:
    """Put one away; its bytes stay."""
    row = await db.one(
        conn, "SELECT organisation_id, reason FROM set_aside WHERE id = %s FOR UPDATE", (set_aside_id,)
    )
    organisation_id = row["organisation_id"]
    await access.require(conn, actor, at, "set-aside.discard", organisation_id=organisation_id)
    await db.run(
        conn,
        "UPDATE set_aside SET discarded_at = %s, discarded_by = %s WHERE id = %s AND discarded_at IS NULL",
        (at, actor.account_id if actor.kind == "person" else None, set_aside_id),
    )
    await audit.record(
        conn, actor, at, "set-aside.discard", "set-aside", set_aside_id, organisation_id=organisation_id,
        reason=row["reason"],
    )  # fmt: skip
