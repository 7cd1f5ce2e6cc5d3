"""Files that clinics send piece by piece: how far each is, and what became of it.

receiving -> received (every byte is stored and is what was declared) -> taken-in or set-aside; an unfinished one
expires. The same file for the same request is the same upload, however often it is begun.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core import db, errors, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.core.store import StoredFile
from hub.people import access, audit

CHANNEL: Final = "hub_upload"
TAKE_IN_JOB: Final = "intake.take-in"
MAX_BYTES: Final = 4 << 30
EXPIRES_AFTER: Final = timedelta(days=7)  # without a byte
OPEN_MAX: Final = 5_000  # unfinished ones of an account: a folder of images at a time
LISTED: Final = 500  # of a page
MEDIA_TYPE: Final = "application/octet-stream"  # until somebody has looked

Words = Mapping[str, str]


@dataclass(frozen=True)
class NewUpload:
    """What the sender says of a file before its first byte."""

    request_id: UUID
    file_name: str
    size_bytes: int
    sha256: str


async def create_upload(conn: Connection, actor: Actor, at: datetime, new: NewUpload) -> Row:
    """Begin an upload, or find the one there is for the same file of the same request."""
    request = await db.one(
        conn,
        "SELECT patient_id, organisation_id, status FROM service_request WHERE id = %s",
        (new.request_id,),
    )
    await access.require(conn, actor, at, "upload.create", patient_id=request["patient_id"])
    if request["status"] == "revoked":
        raise errors.error("request_closed")
    await _require_few(conn, actor)
    begun = await db.maybe(
        conn,
        "INSERT INTO upload (id, service_request_id, patient_id, organisation_id, account_id, file_name, size_bytes,"
        "  declared_sha256, state, created_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'receiving', %s, %s)"
        " ON CONFLICT (service_request_id, declared_sha256) WHERE state <> 'expired' DO NOTHING RETURNING id",
        (
            ids.new(at), new.request_id, request["patient_id"], request["organisation_id"], actor.account_id,
            new.file_name, new.size_bytes, new.sha256, at, at + EXPIRES_AFTER,
        ),
    )  # fmt: skip
    found = await db.one(
        conn,
        "SELECT * FROM upload WHERE service_request_id = %s AND declared_sha256 = %s AND state <> 'expired'",
        (new.request_id, new.sha256),
    )
    if found["size_bytes"] != new.size_bytes:
        raise errors.error("bad_field", field="Upload-Length", expected="the size of the file with this hash")
    if begun is not None:
        await _told(conn, actor, at, found, "upload.create")
    return found


async def _require_few(conn: Connection, actor: Actor) -> None:
    row = await db.one(
        conn,
        "SELECT count(*) AS open FROM upload WHERE account_id = %s AND state = 'receiving'",
        (actor.account_id,),
    )
    if row["open"] >= OPEN_MAX:
        raise errors.error("too_many_uploads", limit=OPEN_MAX)


async def read_upload(conn: Connection, actor: Actor, at: datetime, upload_id: UUID) -> Row:
    """How far it is; `upload_expired` if it was given up."""
    row = await _sendable(conn, actor, at, upload_id)
    if row["state"] == "expired":
        raise errors.error("upload_expired")
    return row


async def _sendable(conn: Connection, actor: Actor, at: datetime, upload_id: UUID) -> Row:
    row = await db.one(conn, "SELECT * FROM upload WHERE id = %s", (upload_id,))
    await access.require(conn, actor, at, "upload.create", patient_id=row["patient_id"])
    return row


async def advance(
    conn: Connection, actor: Actor, at: datetime, upload_id: UUID, offset: int, end: int
) -> None:
    """Bytes [offset, end) are on disk for good; `upload_offset` if somebody else was faster."""
    await access.require(conn, actor, at, "upload.create")
    moved = await db.run(
        conn,
        "UPDATE upload SET offset_bytes = %s, expires_at = %s"
        " WHERE id = %s AND offset_bytes = %s AND state = 'receiving'",
        (end, at + EXPIRES_AFTER, upload_id, offset),
    )
    if not moved:
        raise errors.error("upload_offset")


async def rewind(conn: Connection, actor: Actor, at: datetime, upload_id: UUID, end: int, to: int) -> None:
    """Bytes [to, end) came damaged and are asked for again."""
    await access.require(conn, actor, at, "upload.create")
    await db.run(
        conn,
        "UPDATE upload SET offset_bytes = %s WHERE id = %s AND offset_bytes = %s AND state = 'receiving'",
        (to, upload_id, end),
    )


async def receive(conn: Connection, actor: Actor, at: datetime, upload_id: UUID, file: StoredFile) -> None:
    """The whole file is stored and is what was declared: from now on it is the hub's to look at."""
    row = await _sendable(conn, actor, at, upload_id)
    await keep_file(conn, at, file)
    received = await db.run(
        conn,
        "UPDATE upload SET state = 'received', sha256 = %s, received_at = %s WHERE id = %s AND state = 'receiving'",
        (file.sha256, at, upload_id),
    )
    if received:
        await jobs.enqueue(conn, at, TAKE_IN_JOB, str(upload_id), {"upload_id": str(upload_id)})
        await _told(conn, actor, at, row, "upload.receive")


async def request_of(conn: Connection, actor: Actor, at: datetime, accession: str) -> UUID:
    """The request a machine or a person sends an ECG for, by its accession number."""
    await access.require(conn, actor, at, "upload.push")
    if actor.kind == "node":
        row = await db.one(
            conn, "SELECT hub_request_of_accession(%s, hub_node_organisation()) AS id", (accession,)
        )
    else:
        row = await db.maybe(
            conn,
            "SELECT id FROM service_request WHERE accession = %s AND status IN ('active', 'on-hold')",
            (accession,),
        ) or {"id": None}
    if row["id"] is None:
        raise errors.error("accession_unknown")
    return UUID(str(row["id"]))


async def take_pushed(
    conn: Connection,
    actor: Actor,
    at: datetime,
    sender: Actor,
    request_id: UUID,
    file_name: str,
    file: StoredFile,
) -> UUID:
    """A whole file that `sender` sent for a request it may send for; the same file again is the same upload."""
    request = await db.one(
        conn, "SELECT patient_id, organisation_id FROM service_request WHERE id = %s", (request_id,)
    )
    await access.require(conn, actor, at, "upload.create", patient_id=request["patient_id"])
    await keep_file(conn, at, file)
    who = {"node": "node_id", "person": "account_id"}[sender.kind]
    await db.run(
        conn,
        f"INSERT INTO upload (id, service_request_id, patient_id, organisation_id, {who}, file_name, size_bytes,"
        "  declared_sha256, offset_bytes, state, sha256, created_at, expires_at, received_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'received', %s, %s, %s, %s)"
        " ON CONFLICT (service_request_id, declared_sha256) WHERE state <> 'expired' DO UPDATE"
        " SET state = 'received', sha256 = excluded.sha256, offset_bytes = excluded.size_bytes,"
        "  received_at = excluded.received_at WHERE upload.state = 'receiving'",
        (
            ids.new(at), request_id, request["patient_id"], request["organisation_id"], UUID(sender.id), file_name,
            file.size_bytes, file.sha256, file.size_bytes, file.sha256, at, at, at,
        ),
    )  # fmt: skip
    row = await db.one(
        conn,
        "SELECT * FROM upload WHERE service_request_id = %s AND declared_sha256 = %s AND state <> 'expired'",
        (request_id, file.sha256),
    )
    if row["state"] == "received":
        await jobs.enqueue(conn, at, TAKE_IN_JOB, str(row["id"]), {"upload_id": str(row["id"])})
        await _told(conn, sender, at, row, "upload.push")
    return UUID(str(row["id"]))


async def keep_file(conn: Connection, at: datetime, file: StoredFile) -> None:
    """The row that says that a file is stored."""
    await db.run(
        conn,
        "INSERT INTO stored_file (sha256, size_bytes, media_type, stored_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (sha256) DO NOTHING",
        (file.sha256, file.size_bytes, file.media_type, at),
    )


async def give_up(conn: Connection, actor: Actor, at: datetime, upload_id: UUID) -> None:
    """An unfinished one is not wanted any more."""
    row = await _sendable(conn, actor, at, upload_id)
    given_up = await db.run(
        conn,
        "UPDATE upload SET state = 'expired', settled_at = %s WHERE id = %s AND state = 'receiving'",
        (at, upload_id),
    )
    if not given_up and row["state"] != "expired":
        raise errors.error("conflict")
    await _told(conn, actor, at, row, "upload.give-up")


async def expire(conn: Connection, at: datetime) -> list[UUID]:
    """Give up those that nobody has sent a byte of for long (timer); their ids."""
    gone = await db.rows(
        conn,
        "UPDATE upload SET state = 'expired', settled_at = %s WHERE id IN"
        " (SELECT id FROM upload WHERE state = 'receiving' AND expires_at < %s LIMIT 500) RETURNING id",
        (at, at),
    )
    if gone:
        await db.notify(conn, CHANNEL)
    return [row["id"] for row in gone]


async def waiting(conn: Connection, upload_id: UUID) -> Row | None:
    """A received upload that nobody has looked at yet, with its sender's time zone."""
    return await db.maybe(
        conn,
        "SELECT u.*, a.time_zone FROM upload u JOIN service_request q ON q.id = u.service_request_id"
        " JOIN account a ON a.id = coalesce(u.account_id, q.requester_id) WHERE u.id = %s AND u.state = 'received'",
        (upload_id,),
    )


async def settle(
    conn: Connection,
    actor: Actor,
    at: datetime,
    upload: Row,
    contents: Sequence[Mapping[str, Any]],
    reason: Words | None,
) -> None:
    """What became of it; with a `reason` nothing in it could be used, it is kept all the same."""
    state = "set-aside" if reason else "taken-in"
    await db.run(
        conn,
        "UPDATE upload SET state = %s, reason = %s, contents = %s, settled_at = %s WHERE id = %s",
        (state, Jsonb(reason) if reason else None, Jsonb(list(contents)), at, upload["id"]),
    )
    await _told(conn, actor, at, upload, "upload.settle", outcome=state)


async def list_uploads(
    conn: Connection, actor: Actor, at: datetime, request_id: UUID, after: UUID | None = None
) -> tuple[list[dict[str, Any]], UUID | None]:
    """What was sent for a request, oldest first, a page after that upload, and after which the next page begins.

    What was given up is not told.
    """
    request = await db.one(conn, "SELECT patient_id FROM service_request WHERE id = %s", (request_id,))
    await access.require(conn, actor, at, "upload.read", patient_id=request["patient_id"])
    found = await db.rows(
        conn,
        "SELECT u.id, u.service_request_id AS request_id, u.file_name, u.size_bytes, u.offset_bytes, u.state,"
        "  u.received_at, u.expires_at, u.reason, u.contents, u.declared_sha256 AS sha256,"
        "  (SELECT s.id FROM recording r JOIN study s ON s.recording_id = r.id"
        "    WHERE r.service_request_id = u.service_request_id AND r.file_sha256 = u.sha256) AS study_id"
        " FROM upload u WHERE u.service_request_id = %(request)s AND u.state <> 'expired' AND (%(after)s::uuid IS NULL"
        "  OR (u.created_at, u.id) > (SELECT o.created_at, o.id FROM upload o WHERE o.id = %(after)s))"
        " ORDER BY u.created_at, u.id LIMIT %(limit)s",
        {"request": request_id, "after": after, "limit": LISTED},
    )
    await audit.record(
        conn,
        actor,
        at,
        "upload.read",
        "request",
        request_id,
        patient_id=request["patient_id"],
        listed=len(found),
    )
    return found, found[-1]["id"] if len(found) == LISTED else None


async def _told(
    conn: Connection, actor: Actor, at: datetime, row: Row, action: str, outcome: str | None = None
) -> None:
    await db.notify(conn, CHANNEL, request_id=str(row["service_request_id"]))
    await audit.record(
        conn, actor, at, action, "upload", row["id"], patient_id=row["patient_id"], outcome=outcome
    )
