"""Studies on their way to other nodes: one job per study and node, until every instance has the node's answer.

An instance never goes back to the node it came from, and one that was accepted does not go twice: so two hubs that
forward to each other come to rest. What a node refuses keeps the status it gave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hub.core import db, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.people import access, audit

JOB: Final = "dicom.forward"
LISTED: Final = 200
SUCCESS: Final = 0x0000
DUPLICATE: Final = 0x0111  # PS3.7 C.4.2: the node has it already
WARNINGS: Final = range(0xB000, 0xC000)  # PS3.4 B.2.3: stored, with a remark
_ACCEPTED: Final = (
    f"(d.status IN ({SUCCESS}, {DUPLICATE}) OR d.status BETWEEN {WARNINGS[0]} AND {WARNINGS[-1]})"
)
TRY_AGAIN: Final = range(0xA700, 0xA800)  # out of resources


@dataclass(frozen=True)
class Waiting:
    """An instance a node has not answered for."""

    id: UUID
    sop_class_uid: str
    transfer_syntax: str
    file_sha256: str


@dataclass(frozen=True)
class Forward:
    """A study and where it goes; `not_before` if the node's hours have not come."""

    id: UUID
    ae_title: str
    address: str
    port: int
    instances: Sequence[Waiting]
    not_before: datetime | None


def is_accepted(status: int) -> bool:
    """Whether the node has the instance now."""
    return status in (SUCCESS, DUPLICATE) or status in WARNINGS


async def queue(conn: Connection, at: datetime, dicom_study_id: UUID, node_id: UUID) -> None:
    """A study is to go to a node; what of it the node has already does not go again."""
    row = await db.one(
        conn,
        "INSERT INTO dicom_forward (id, dicom_study_id, dicom_node_id, state, queued_at)"
        " VALUES (%s, %s, %s, 'waiting', %s) ON CONFLICT (dicom_study_id, dicom_node_id)"
        " DO UPDATE SET state = 'waiting', queued_at = excluded.queued_at RETURNING id",
        (ids.new(at), dicom_study_id, node_id, at),
    )
    await jobs.enqueue(conn, at, JOB, str(row["id"]), {"forward_id": str(row["id"])})


async def waiting(conn: Connection, at: datetime, forward_id: UUID) -> Forward | None:
    """What is still to be sent; None if there is nothing, or the node is not used any more."""
    row = await db.maybe(
        conn,
        "SELECT f.id, f.dicom_study_id, n.id AS node_id, n.ae_title, host(n.address) AS address, n.port,"
        "  n.send_from_hour, n.send_until_hour"
        " FROM dicom_forward f JOIN dicom_node n ON n.id = f.dicom_node_id"
        " WHERE f.id = %s AND n.may_receive AND n.disabled_at IS NULL AND n.address IS NOT NULL AND n.port IS NOT NULL",
        (forward_id,),
    )
    if row is None:
        return None
    found = await db.rows(
        conn,
        "SELECT i.id, i.sop_class_uid, i.transfer_syntax, i.file_sha256 FROM dicom_instance i"
        " LEFT JOIN dicom_forwarded d ON d.dicom_instance_id = i.id AND d.dicom_forward_id = %s"
        " WHERE i.dicom_study_id = %s AND i.sent_by <> %s AND d.status IS NULL ORDER BY i.dicom_series_id, i.number",
        (forward_id, row["dicom_study_id"], f"node {row['node_id']}"),
    )
    if not found:
        await _settle(conn, at, forward_id)
        return None
    not_before = next_opening(at, row["send_from_hour"], row["send_until_hour"])
    instances = [Waiting(**one) for one in found]
    return Forward(row["id"], row["ae_title"], row["address"], row["port"], instances, not_before)


async def postpone(conn: Connection, at: datetime, due: Forward) -> None:
    """Not at this hour: a job for the hour the node takes it."""
    key = f"{due.id}@{due.not_before}"
    await jobs.enqueue(conn, at, JOB, key, {"forward_id": str(due.id)}, due.not_before)


def next_opening(at: datetime, from_hour: int | None, until_hour: int | None) -> datetime | None:
    """When the node's hours begin next; None if they are now, or always. They may go over midnight."""
    if from_hour is None or until_hour is None or from_hour == until_hour:
        return None
    if (at.hour - from_hour) % 24 < (until_hour - from_hour) % 24:
        return None
    begins = at.replace(hour=from_hour, minute=0, second=0, microsecond=0)
    return begins if begins > at else begins + timedelta(days=1)


async def answered(
    conn: Connection, at: datetime, forward_id: UUID, statuses: Sequence[tuple[UUID, int]], fault: str | None
) -> None:
    """What the node said to each instance, and how the attempt ended; what it will take later stays waiting."""
    final = [(one, status) for one, status in statuses if status not in TRY_AGAIN]
    await db.run(
        conn,
        "INSERT INTO dicom_forwarded (dicom_forward_id, dicom_instance_id, status, at)"
        " SELECT %s, a.id, a.status, %s FROM unnest(%s::uuid[], %s::int[]) AS a (id, status)"
        " ON CONFLICT (dicom_forward_id, dicom_instance_id) DO UPDATE SET status = excluded.status, at = excluded.at",
        (forward_id, at, [one for one, _ in final], [status for _, status in final]),
    )
    wrong = [status for _, status in statuses if not is_accepted(status)]
    await db.run(
        conn,
        "UPDATE dicom_forward SET last_at = %s, fault = %s, status = %s WHERE id = %s",
        (at, fault, wrong[-1] if wrong else None, forward_id),
    )
    if fault is None and len(final) == len(statuses):
        await _settle(conn, at, forward_id)


async def _settle(conn: Connection, at: datetime, forward_id: UUID) -> None:
    """Every instance has its answer: sent, or refused with the status that stays to be read."""
    await db.run(
        conn,
        "UPDATE dicom_forward f SET last_at = %s, state = CASE WHEN EXISTS (SELECT FROM dicom_forwarded d"
        f" WHERE d.dicom_forward_id = f.id AND NOT {_ACCEPTED}) THEN 'refused' ELSE 'sent' END WHERE f.id = %s",
        (at, forward_id),
    )


async def forwards(conn: Connection, actor: Actor, at: datetime) -> list[dict[str, Any]]:
    """The newest, with how many instances went and how many were refused."""
    await access.require(conn, actor, at, "dicom-forward.read")
    return await db.rows(
        conn,
        "SELECT f.id, f.dicom_study_id, f.dicom_node_id, n.name AS node_name, f.state, f.status, f.fault, f.queued_at,"
        "  f.last_at, (SELECT count(*) FROM dicom_instance i WHERE i.dicom_study_id = f.dicom_study_id) AS instances,"
        "  (SELECT count(*) FROM dicom_forwarded d WHERE d.dicom_forward_id = f.id) AS answered,"
        "  (SELECT max(j.failed_at) FROM job j WHERE j.kind = %s AND j.unique_key = f.id::text) AS given_up_at"
        " FROM dicom_forward f JOIN dicom_node n ON n.id = f.dicom_node_id ORDER BY f.queued_at DESC LIMIT %s",
        (JOB, LISTED),
    )


async def send_again(conn: Connection, actor: Actor, at: datetime, forward_id: UUID) -> None:
    """What was refused or given up goes once more."""
    row = await db.one(
        conn,
        "SELECT f.*, s.organisation_id, s.patient_id FROM dicom_forward f JOIN dicom_study s ON s.id = f.dicom_study_id"
        " WHERE f.id = %s",
        (forward_id,),
    )
    await access.require(conn, actor, at, "dicom-forward.send", organisation_id=row["organisation_id"])
    await db.run(
        conn,
        f"DELETE FROM dicom_forwarded d WHERE d.dicom_forward_id = %s AND NOT {_ACCEPTED}",
        (forward_id,),
    )
    await queue(conn, at, row["dicom_study_id"], row["dicom_node_id"])
    await audit.record(
        conn, actor, at, "dicom-forward.send", "dicom-forward", forward_id,
        organisation_id=row["organisation_id"], patient_id=row["patient_id"],
    )  # fmt: skip
