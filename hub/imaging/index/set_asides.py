"""DICOM that could not become an instance: kept with its bytes and a reason, counted when it comes again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from hub.core import db, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.core.store import StoredFile
from hub.imaging.index import senders
from hub.people import access

Reason = Literal[
    "other-content", "no-identity", "class-differs", "unknown-syntax", "no-file", "no-meta", "unreadable"
]
DETAIL_CHARS: Final = 200
LISTED: Final = 200


@dataclass(frozen=True)
class SetAside:
    """What is kept, for whom, and why; the detail names places in the file, nothing of a patient."""

    organisation_id: UUID
    reason: Reason
    detail: str
    file: StoredFile
    sop_uid: str
    sent_by: str


async def put_aside(conn: Connection, at: datetime, new: SetAside) -> None:
    """Keep one; the caller has stored its file in the same transaction, and asked for access."""
    await db.run(
        conn,
        """INSERT INTO dicom_set_aside (id, organisation_id, reason, detail, sha256, size_bytes, sop_uid, sent_by,
             first_at, last_at)
           VALUES (%(id)s, %(organisation)s, %(reason)s, %(detail)s, %(sha256)s, %(size)s, %(sop_uid)s, %(sent_by)s,
             %(at)s, %(at)s)
           ON CONFLICT (organisation_id, sha256, reason)
           DO UPDATE SET times = dicom_set_aside.times + 1, last_at = excluded.last_at""",
        {
            "id": ids.new(at),
            "organisation": new.organisation_id,
            "reason": new.reason,
            "detail": new.detail[:DETAIL_CHARS],
            "sha256": new.file.sha256,
            "size": new.file.size_bytes,
            "sop_uid": new.sop_uid,
            "sent_by": new.sent_by,
            "at": at,
        },
    )


async def set_asides(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """The newest that the actor may see."""
    await access.require(conn, actor, at, "dicom.read")
    return await db.rows(
        conn,
        f"""SELECT id, organisation_id, reason, detail, sha256, size_bytes, sop_uid, sent_by,
             {senders.name_of("sent_by")} AS sender_name, times, first_at, last_at
           FROM dicom_set_aside ORDER BY last_at DESC LIMIT %s""",
        (LISTED,),
    )
