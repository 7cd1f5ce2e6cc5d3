"""Storage commitment (PS3.4 annex J): whether instances a node has sent are safe with us, and the node that is told.

Safe is what is in the index and has its file in the store, whole; not what the node sent under a UID that another
content had: that was set aside. What is asked is kept, so that the answer reaches a node that has gone meanwhile.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from dicom import commands
from dicom.identifiers import Document
from hub.core import actor as actors
from hub.core import db, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.core.store import Store
from hub.imaging.dimse.query_nodes import Destination
from hub.people import access, audit

JOB: Final = "dicom.commitment"
ACTOR: Final = actors.job(JOB)
TOLD_WITHIN: Final = timedelta(seconds=15)  # over the association on which it was asked; then by the job
INSTANCES_MAX: Final = 50_000
SUCCESS, WITH_FAILURES = 1, 2  # event types (PS3.4 J.3.3)

Reference = tuple[str, str]  # SOP class and SOP instance UID


@dataclass(frozen=True)
class Report:
    """What a node is told."""

    transaction_uid: str
    safe: Sequence[Reference]
    failed: Sequence[tuple[Reference, int]]  # with the reason (PS3.3 C.14.1.1)

    @property
    def event_type(self) -> int:
        return WITH_FAILURES if self.failed else SUCCESS


async def ask(
    conn: Connection, actor: Actor, at: datetime, transaction_uid: str, references: Sequence[Reference]
) -> UUID:
    """Keep what the acting node asks; the same transaction once more is answered once more."""
    await access.require(conn, actor, at, "dicom.store")
    row = await db.one(
        conn,
        """INSERT INTO dicom_commitment (id, dicom_node_id, organisation_id, transaction_uid, asked, asked_at)
           SELECT %(id)s, n.id, n.organisation_id, %(transaction)s, %(asked)s, %(at)s
           FROM dicom_node n WHERE n.id = %(node)s AND n.may_send AND n.disabled_at IS NULL
           ON CONFLICT (dicom_node_id, transaction_uid)
           DO UPDATE SET asked = excluded.asked, asked_at = excluded.asked_at, told_at = NULL
           RETURNING id, organisation_id""",
        {
            "id": ids.new(at), "transaction": transaction_uid, "asked": Jsonb([list(one) for one in references]),
            "node": UUID(actor.id), "at": at,
        },
    )  # fmt: skip
    commitment_id: UUID = row["id"]
    payload = {"commitment_id": str(commitment_id)}
    await jobs.enqueue(conn, at, JOB, f"{commitment_id}:{at.isoformat()}", payload, at + TOLD_WITHIN)
    await audit.record(
        conn, actor, at, "dicom.commitment", "dicom-commitment", commitment_id,
        organisation_id=row["organisation_id"], instances=len(references),
    )  # fmt: skip
    return commitment_id


async def report(conn: Connection, commitment_id: UUID, store: Store) -> Report | None:
    """How it stands now; None if the node has been told."""
    row = await db.one(conn, "SELECT * FROM dicom_commitment WHERE id = %s FOR UPDATE", (commitment_id,))
    if row["told_at"] is not None:
        return None
    asked: list[Reference] = [(one[0], one[1]) for one in row["asked"]]
    sop_uids = [sop_uid for _, sop_uid in asked]
    found = await db.rows(
        conn,
        _FOUND,
        {"organisation": row["organisation_id"], "node": f"node {row['dicom_node_id']}", "uids": sop_uids},
    )
    whole = await asyncio.to_thread(_whole, store, [one for one in found if not one["is_other"]])
    by_uid = {one["sop_uid"]: one for one in found}
    judged = [(one, _reason(one, by_uid.get(one[1]), whole)) for one in asked]
    return Report(
        row["transaction_uid"],
        [one for one, reason in judged if reason is None],
        [(one, reason) for one, reason in judged if reason is not None],
    )


# A content that came several times is written down with who sent it first: then it may be this node's, unless what is
# in the index is.
_FOUND: Final = """SELECT i.sop_uid, i.sop_class_uid, i.file_sha256, i.size_bytes, EXISTS (
      SELECT FROM dicom_set_aside s WHERE s.organisation_id = i.organisation_id AND s.sop_uid = i.sop_uid
        AND s.reason = 'other-content' AND (s.sent_by = %(node)s OR (s.times > 1 AND i.sent_by <> %(node)s))
    ) AS is_other
    FROM dicom_instance i WHERE i.organisation_id = %(organisation)s AND i.sop_uid = ANY(%(uids)s)"""


def _whole(store: Store, rows: Sequence[db.Row]) -> set[str]:
    """The instances whose files are there, as long as they were when they were made durable under their hash."""
    kept = set()
    for row in rows:
        try:
            if store.path(row["file_sha256"]).stat().st_size == row["size_bytes"]:
                kept.add(row["sop_uid"])
        except OSError:
            continue
    return kept


def _reason(asked: Reference, row: db.Row | None, whole: set[str]) -> int | None:
    if row is None:
        return commands.NO_SUCH_OBJECT
    if row["sop_class_uid"] != asked[0]:
        return commands.CLASS_INSTANCE_CONFLICT
    return None if row["sop_uid"] in whole else commands.PROCESSING_FAILURE


async def told(conn: Connection, at: datetime, commitment_id: UUID, said: Report) -> None:
    """The node has confirmed that it heard."""
    await db.run(
        conn,
        "UPDATE dicom_commitment SET told_at = %s, safe = %s, failed = %s WHERE id = %s",
        (at, len(said.safe), len(said.failed), commitment_id),
    )


async def way_back(conn: Connection, commitment_id: UUID) -> Destination | None:
    """Where the node that asked listens; None if nobody knows, or it is in use no more."""
    row = await db.maybe(
        conn,
        "SELECT n.id, n.ae_title, host(n.address) AS address, n.port FROM dicom_commitment c"
        " JOIN dicom_node n ON n.id = c.dicom_node_id WHERE c.id = %s AND n.disabled_at IS NULL"
        " AND n.address IS NOT NULL AND n.port IS NOT NULL",
        (commitment_id,),
    )
    return None if row is None else Destination(**row)


def document(said: Report, retrieve_ae: str) -> Document:
    """The event information (PS3.4 table J.3-2)."""
    found: Document = {
        "00081195": {"vr": "UI", "Value": [said.transaction_uid]},
        "00080054": {"vr": "AE", "Value": [retrieve_ae]},
        "00081199": {"vr": "SQ", "Value": [_referenced(one) for one in said.safe]},
    }
    if said.failed:
        items = [_referenced(one) | {"00081197": {"vr": "US", "Value": [why]}} for one, why in said.failed]
        found["00081198"] = {"vr": "SQ", "Value": items}
    return found


def _referenced(one: Reference) -> Document:
    return {"00081150": {"vr": "UI", "Value": [one[0]]}, "00081155": {"vr": "UI", "Value": [one[1]]}}


def references(asked: Mapping[str, Mapping[str, object]]) -> list[Document]:
    """The items of an N-ACTION's ReferencedSOPSequence."""
    items = asked.get("00081199", {}).get("Value", [])
    return list(items) if isinstance(items, list) else []
