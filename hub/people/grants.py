"""Grants: one object opened to one account for a while, by whatever caused it.

Written and taken back in the transaction of the cause (claim, consent, circle, room, break-glass); the NOTIFY
closes the streams that stood on it. A grant is never deleted, it ends: so one can tell why somebody looked.
"""

from datetime import datetime
from uuid import UUID

from hub.core import db, ids
from hub.core.db import Connection

CHANNEL = "hub_grant"


async def grant(
    conn: Connection,
    at: datetime,
    account_id: UUID,
    action: str,
    object_kind: str,
    object_id: UUID,
    *,
    reason: str,
    source_kind: str,
    source_id: UUID | None,
    until: datetime | None = None,
) -> UUID:
    """Open the object to the account from now on; the id of the grant."""
    grant_id = ids.new(at)
    await db.run(
        conn,
        """INSERT INTO access_grant (id, account_id, action, object_kind, object_id, reason,
             source_kind, source_id, valid_from, valid_until)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (grant_id, account_id, action, object_kind, object_id, reason, source_kind, source_id, at, until),
    )
    await tell(conn, account_id)
    return grant_id


async def revoke(conn: Connection, at: datetime, source_kind: str, source_id: UUID) -> int:
    """End every grant of a cause now; how many there were."""
    ended = await db.rows(
        conn,
        """UPDATE access_grant SET valid_until = %(at)s
           WHERE source_kind = %(kind)s AND source_id = %(id)s
             AND (valid_until IS NULL OR valid_until > %(at)s)
           RETURNING account_id""",
        {"at": at, "kind": source_kind, "id": source_id},
    )
    for account_id in {row["account_id"] for row in ended}:
        await tell(conn, account_id)
    return len(ended)


async def extend(conn: Connection, at: datetime, source_kind: str, source_id: UUID, until: datetime) -> int:
    """Let the running grants of a cause last longer (a lease's heartbeat); no stream is asked again."""
    return await db.run(
        conn,
        """UPDATE access_grant SET valid_until = %(until)s
           WHERE source_kind = %(kind)s AND source_id = %(id)s AND valid_until > %(at)s""",
        {"until": until, "at": at, "kind": source_kind, "id": source_id},
    )


async def tell(conn: Connection, account_id: UUID | None) -> None:
    """Rights of an account (None: of anybody) changed: open streams are asked again when this commits."""
    await db.notify(conn, CHANNEL, account_id=str(account_id) if account_id else None)
