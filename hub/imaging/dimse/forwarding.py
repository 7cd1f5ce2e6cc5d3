"""Studies on their way to other nodes: one job per study and node, until every instance has the node's answer.

An instance never goes back to the node it came from, and one that was accepted does not go twice: so two hubs that
forward to each other come to rest. What a node refuses keeps the status it gave.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hub.core import db, errors, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.imaging.index.statuses import Words, status_words
from hub.people import access, audit

JOB: Final = "dicom.forward"
LISTED: Final = 100  # of a page
STATES: Final = ("waiting", "sent", "refused", "given-up")
FAULTS: Final[Mapping[str, Words]] = {
    "not reached": {"zh-CN": "连接不上该节点", "en": "The node can't be reached"},
    "rejected": {"zh-CN": "节点拒绝建立关联", "en": "The node rejected the association"},
    "line lost": {"zh-CN": "传输中断开", "en": "The line broke on the way"},
    "node disabled": {"zh-CN": "该节点已停用", "en": "The node is switched off in the hub"},
    "node does not receive": {"zh-CN": "该节点未设置为可接收", "en": "The node is not set up to receive"},
}
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
        " DO UPDATE SET state = 'waiting', queued_at = excluded.queued_at, fault = NULL, given_up_by = NULL"
        " RETURNING id",
        (ids.new(at), dicom_study_id, node_id, at),
    )
    await jobs.enqueue(conn, at, JOB, str(row["id"]), {"forward_id": str(row["id"])})


async def waiting(conn: Connection, at: datetime, forward_id: UUID) -> Forward | None:
    """What is still to be sent; None if there is nothing, somebody gave it up, or the node is not used any more."""
    row = await db.maybe(
        conn,
        "SELECT f.id, f.dicom_study_id, f.state, n.id AS node_id, n.ae_title, host(n.address) AS address, n.port,"
        "  n.send_from_hour, n.send_until_hour, n.disabled_at IS NOT NULL AS is_disabled,"
        "  n.may_receive AND n.address IS NOT NULL AND n.port IS NOT NULL AS is_reachable"
        " FROM dicom_forward f JOIN dicom_node n ON n.id = f.dicom_node_id WHERE f.id = %s",
        (forward_id,),
    )
    if row is None or row["state"] == "given-up":
        return None
    if row["is_disabled"] or not row["is_reachable"]:
        await _refuse(
            conn, at, forward_id, "node disabled" if row["is_disabled"] else "node does not receive"
        )
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
    """Every instance has its answer: sent, or refused with the status that stays to be read; given up stays so."""
    await db.run(
        conn,
        "UPDATE dicom_forward f SET last_at = %s, state = CASE WHEN EXISTS (SELECT FROM dicom_forwarded d"
        f" WHERE d.dicom_forward_id = f.id AND NOT {_ACCEPTED}) THEN 'refused' ELSE 'sent' END"
        " WHERE f.id = %s AND f.state <> 'given-up'",
        (at, forward_id),
    )


async def _refuse(conn: Connection, at: datetime, forward_id: UUID, fault: str) -> None:
    """It can't go, whatever the node would say: nobody waits for it, and the reason stays to be read."""
    await db.run(
        conn,
        "UPDATE dicom_forward SET state = 'refused', fault = %s, last_at = %s WHERE id = %s",
        (fault, at, forward_id),
    )


async def forwards(
    conn: Connection,
    actor: Actor,
    at: datetime,
    states: Sequence[str] = STATES,
    before: str | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """The newest in these states, a page of them, and where the next page begins.

    Of each how many instances it is about, how many have their answer, and the node's last status in words.
    """
    await access.require(conn, actor, at, "dicom-forward.read")
    queued_at, forward_id = _place(before) if before is not None else (None, None)
    found = await db.rows(
        conn,
        "SELECT f.id, f.dicom_study_id, f.dicom_node_id, n.name AS node_name, n.ae_title, f.state, f.status, f.fault,"
        "  f.queued_at, f.last_at, a.name AS given_up_by_name, hub_forward_size(f.id) AS instances,"
        "  (SELECT count(*) FROM dicom_forwarded d WHERE d.dicom_forward_id = f.id) AS answered,"
        "  (SELECT max(j.failed_at) FROM job j WHERE j.kind = %(job)s AND j.payload ->> 'forward_id' = f.id::text)"
        "    AS given_up_at"
        " FROM dicom_forward f JOIN dicom_node n ON n.id = f.dicom_node_id LEFT JOIN account a ON a.id = f.given_up_by"
        " WHERE f.state = ANY(%(states)s) AND (%(id)s::uuid IS NULL OR (f.queued_at, f.id) < (%(queued_at)s, %(id)s))"
        " ORDER BY f.queued_at DESC, f.id DESC LIMIT %(limit)s",
        {"job": JOB, "states": list(states), "queued_at": queued_at, "id": forward_id, "limit": LISTED},
    )
    told = [
        row | {"status_words": status_words(row["status"]), "fault_words": FAULTS.get(row["fault"])}
        for row in found
    ]
    return told, f"{found[-1]['queued_at'].isoformat()}_{found[-1]['id']}" if len(found) == LISTED else None


def _place(page: str) -> tuple[datetime, UUID]:
    """When a page's last forward was queued, and which it is: many are queued at once."""
    instant, _, forward_id = page.partition("_")
    try:
        return datetime.fromisoformat(instant).astimezone(), UUID(forward_id)
    except (ValueError, OverflowError):
        raise errors.error("bad_field", field="before", expected="the `next` of the page before") from None


async def send_again(conn: Connection, actor: Actor, at: datetime, forward_id: UUID) -> None:
    """What was refused or given up goes once more."""
    row = await _held(conn, actor, at, forward_id, "dicom-forward.send")
    await db.run(
        conn,
        f"DELETE FROM dicom_forwarded d WHERE d.dicom_forward_id = %s AND NOT {_ACCEPTED}",
        (forward_id,),
    )
    await queue(conn, at, row["dicom_study_id"], row["dicom_node_id"])


async def give_up(conn: Connection, actor: Actor, at: datetime, forward_id: UUID) -> None:
    """It does not go, unless somebody sends it again; `conflict` if it has gone already."""
    row = await _held(conn, actor, at, forward_id, "dicom-forward.give-up")
    if row["state"] == "sent":
        raise errors.error("conflict")
    await db.run(
        conn,
        "UPDATE dicom_forward SET state = 'given-up', given_up_by = %s, last_at = %s WHERE id = %s",
        (actor.account_id, at, forward_id),
    )


async def _held(conn: Connection, actor: Actor, at: datetime, forward_id: UUID, action: str) -> Row:
    """The forward, for who cares for its study or runs its node; audited."""
    row = await db.one(
        conn,
        "SELECT f.*, coalesce(s.organisation_id, n.organisation_id) AS organisation_id, s.patient_id"
        " FROM dicom_forward f JOIN dicom_node n ON n.id = f.dicom_node_id"
        " LEFT JOIN dicom_study s ON s.id = f.dicom_study_id WHERE f.id = %s FOR UPDATE OF f",
        (forward_id,),
    )
    await access.require(conn, actor, at, action, organisation_id=row["organisation_id"])
    await audit.record(
        conn, actor, at, action, "dicom-forward", forward_id,
        organisation_id=row["organisation_id"], patient_id=row["patient_id"],
    )  # fmt: skip
    return row
