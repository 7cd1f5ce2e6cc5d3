"""Commands to devices: start and stop, sent until the device answers or its data show that it has obeyed.

A command is a job. Each sending has its own id and expiry and enqueues the next one, unless what was asked for has
happened: a device that was out of reach for a day finds the newest, and obeys once however many it finds.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from devices import control
from devices.control import Command
from hub.core import db, jobs
from hub.core.db import Connection, Row

JOB: Final = "device.command"
EXPIRES_AFTER: Final = timedelta(minutes=10)
FIRST_PAUSES_S: Final = (3, 7, 20, 60)  # a device just switched on has no session yet; then at each expiry
GIVEN_UP_AFTER: Final = timedelta(days=14)

Asked = Literal["start", "stop"]


@dataclass(frozen=True, slots=True)
class Sending:
    """One message for one device."""

    topic: str
    payload: bytes


async def enqueue(
    conn: Connection,
    at: datetime,
    recording_id: UUID,
    asked: Asked,
    attempt: int = 1,
    run_at: datetime | None = None,
) -> None:
    """Have a command sent (again)."""
    payload = {"recording_id": str(recording_id), "command": asked, "attempt": attempt}
    await jobs.enqueue(conn, at, JOB, f"{recording_id}:{asked}:{attempt}", payload, run_at)


async def next_sending(
    conn: Connection, at: datetime, recording_id: UUID, asked: Asked, attempt: int
) -> Sending | None:
    """What to send now, the next attempt enqueued; None if the device has obeyed or it is past."""
    row = await db.one(
        conn,
        "SELECT r.id, r.status, r.fs_hz, r.leads, r.requested_at, d.id AS device_id, d.shard, d.driver,"
        "  EXISTS (SELECT FROM recording_event e WHERE e.recording_id = r.id AND e.kind = 'command'"
        "    AND e.detail->>'command_id' LIKE %(asked)s || '.%%' AND e.detail->>'detail' <> 'expired') AS answered,"
        "  EXISTS (SELECT FROM recording_event e WHERE e.recording_id = r.id AND e.kind = 'end') AS at_end"
        " FROM recording r JOIN device d ON d.id = r.device_id WHERE r.id = %(id)s",
        {"id": recording_id, "asked": asked},
    )
    if _is_past(row, asked) or at - row["requested_at"] > GIVEN_UP_AFTER:
        return None
    pause = (
        timedelta(seconds=FIRST_PAUSES_S[attempt - 1]) if attempt <= len(FIRST_PAUSES_S) else EXPIRES_AFTER
    )
    await enqueue(conn, at, recording_id, asked, attempt + 1, at + pause)
    return Sending(
        f"cmd/{row['shard']}/{row['device_id']}", control.encode_command(_command(at, row, asked, attempt))
    )


def _is_past(row: Row, asked: Asked) -> bool:
    if row["driver"] != "telehub" or row["answered"]:
        return True
    return bool(row["status"] != "requested" if asked == "start" else row["at_end"])


def _command(at: datetime, row: Row, asked: Asked, attempt: int) -> Command:
    wanted = {"fs_hz": row["fs_hz"], "leads": tuple(row["leads"])} if asked == "start" else {}
    return Command(
        f"{asked}.{row['id'].hex}.{attempt}",
        asked,
        (at + EXPIRES_AFTER).timestamp(),
        recording=row["id"].bytes,
        sent_at_s=at.timestamp(),
        **wanted,
    )
