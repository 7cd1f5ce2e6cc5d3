"""When a recording is over: everything produced is stored or declared lost, or somebody gives up the rest.

Whoever notices (the tick, a timer, a person) closes it here, in its own transaction, once: the pairing ends and the
job `recording.ended` tells the reading side.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hub.core import db, jobs
from hub.core.db import Connection, Row

ENDED_JOB = "recording.ended"
CHANNEL = "hub_recording"
DRAIN_TIMEOUT = timedelta(hours=2)
SETTLES_WITHIN = timedelta(seconds=2)  # the tick itself is as quick

# Every boot's final count is the device's own word, and nothing below it is missing.
_SETTLED = """
    EXISTS (SELECT FROM recording_event e WHERE e.recording_id = r.id AND e.kind = 'end')
    AND EXISTS (SELECT FROM recording_boots(r.id))
    AND NOT EXISTS (
        SELECT FROM recording_boots(r.id) b WHERE NOT b.final_known OR NOT isempty(
            int8multirange(int8range(least(b.oldest_sample, b.produced_samples), b.produced_samples)) - b.have))
"""


async def close_settled(conn: Connection, at: datetime, recording_ids: Sequence[UUID]) -> list[UUID]:
    """Close those of the recordings of which nothing more can come; the ones closed."""
    return await _close(
        conn, at, f"r.id = ANY(%(ids)s) AND {_SETTLED}", "complete", {"ids": list(recording_ids)}
    )


async def close_stopping(conn: Connection, at: datetime) -> list[UUID]:
    """Close stopped recordings that became complete while nobody was looking."""
    stopping = "r.status = 'stopping' AND r.stop_requested_at < %(before)s"
    return await _close(conn, at, f"{stopping} AND {_SETTLED}", "complete", {"before": at - SETTLES_WITHIN})


async def close_overdue(conn: Connection, at: datetime) -> list[UUID]:
    """Close what was stopped so long ago that the rest is not waited for any more."""
    overdue = "r.status = 'stopping' AND r.stop_requested_at < %(before)s"
    return await _close(conn, at, overdue, "drain-timeout", {"before": at - DRAIN_TIMEOUT})


async def close_with_gaps(conn: Connection, at: datetime, recording_id: UUID) -> list[UUID]:
    """Close one by a person's decision."""
    return await _close(conn, at, "r.id = ANY(%(ids)s)", "discard-rest", {"ids": [recording_id]})


async def end_seen(conn: Connection, at: datetime, recording_ids: Sequence[UUID]) -> None:
    """The device says it is over, whoever asked for it."""
    await db.run(
        conn,
        "UPDATE recording SET status = 'stopping', stop_requested_at = coalesce(stop_requested_at, %s)"
        " WHERE id = ANY(%s) AND status IN ('requested', 'recording')",
        (at, list(recording_ids)),
    )


async def _close(conn: Connection, at: datetime, which: str, reason: str, parameters: Row) -> list[UUID]:
    closed = await db.rows(
        conn,
        "UPDATE recording r SET status = 'ended', ended_at = %(at)s, end_reason = %(reason)s"
        f" WHERE r.status IN ('requested', 'recording', 'stopping') AND {which}"
        " RETURNING r.id, r.device_id, r.patient_id",
        {"at": at, "reason": reason, **parameters},
    )
    for row in closed:
        await unpair(conn, at, row["device_id"], row["patient_id"])
        await jobs.enqueue(conn, at, ENDED_JOB, str(row["id"]), {"recording_id": str(row["id"])})
        await db.notify(conn, CHANNEL, recording_id=str(row["id"]), device_id=row["device_id"])
    return [row["id"] for row in closed]


async def unpair(conn: Connection, at: datetime, device_id: str, patient_id: UUID) -> None:
    """The device does not measure this patient any more."""
    await db.run(
        conn,
        "UPDATE device_pairing p SET during = tstzrange(lower(p.during), greatest(lower(p.during), %s))"
        " FROM device d WHERE d.id = %s AND p.device_number = d.number AND p.patient_id = %s"
        " AND upper_inf(p.during)",
        (at, device_id, patient_id),
    )
