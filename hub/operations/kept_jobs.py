"""Jobs that failed for good: seen by who runs the hub, and tried again once the cause is mended.

They are everybody's, so it takes a role at a root of the tree; elsewhere an incident says how many there are.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from hub.core import db, errors, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit

LISTED: Final = 200


async def failed_jobs(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """The newest, without what they are about: ids of patients' things are for those who care for them."""
    await _require(conn, actor, at, "job.read")
    return await db.rows(
        conn,
        "SELECT id, kind, attempts, error, created_at, failed_at FROM job WHERE failed_at IS NOT NULL"
        " ORDER BY failed_at DESC LIMIT %s",
        (LISTED,),
    )


async def retry_job(conn: Connection, actor: Actor, at: datetime, job_id: int) -> None:
    """Have a failed job done again; if the same work waits again already, the failed row goes."""
    root_id = await _require(conn, actor, at, "job.retry")
    row = await db.one(
        conn, "SELECT kind, unique_key, failed_at FROM job WHERE id = %s FOR UPDATE", (job_id,)
    )
    if row["failed_at"] is None:
        raise errors.error("conflict")
    waiting = await db.maybe(
        conn,
        "SELECT FROM job WHERE kind = %s AND unique_key = %s AND failed_at IS NULL",
        (row["kind"], row["unique_key"]),
    )
    if waiting is not None:
        await db.run(conn, "DELETE FROM job WHERE id = %s", (job_id,))
    else:
        await db.run(
            conn,
            "UPDATE job SET failed_at = NULL, error = NULL, attempts = 0, run_at = %s WHERE id = %s",
            (at, job_id),
        )
        await db.notify(conn, jobs.CHANNEL, kind=row["kind"])
    await audit.record(
        conn, actor, at, "job.retry", "job", str(job_id), organisation_id=root_id, kind=row["kind"]
    )


async def _require(conn: Connection, actor: Actor, at: datetime, action: str) -> UUID:
    """Raise unless the actor may at the root, whose id this is."""
    root = await db.one(
        conn, "SELECT id FROM organisation WHERE parent_id IS NULL ORDER BY created_at LIMIT 1"
    )
    await access.require(conn, actor, at, action, organisation_id=root["id"])
    root_id: UUID = root["id"]
    return root_id
