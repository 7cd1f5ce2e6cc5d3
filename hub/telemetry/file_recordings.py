"""Recordings made of a file that a clinic sent: complete from the start, one boot, no device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core import db, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit
from hub.telemetry import closing
from hub.telemetry.packing import Block

BLOCKS_AT_ONCE: Final = 360  # an hour: of twelve leads at 500 Hz some 15 MB
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)  # an older start is a recorder whose clock was never set
LATEST: Final = timedelta(days=1)


@dataclass(frozen=True)
class FileRecording:
    """What a file holds, besides its samples; `gaps` are [first, end) samples that hold none."""

    sha256: str
    part: str  # of a zip that holds several recordings, else empty
    source_name: str
    fs_hz: int
    leads: Sequence[str]
    uv_per_lsb: float
    samples: int
    gaps: Sequence[tuple[int, int]]
    start_at: datetime | None
    filters: Mapping[str, float] | None


async def store_recording(
    conn: Connection,
    actor: Actor,
    at: datetime,
    request_id: UUID,
    new: FileRecording,
    blocks: Sequence[Block],
) -> UUID:
    """A recording for a request, and the job that has it read; the same file for the same request is the same one."""
    request = await db.one(
        conn,
        "SELECT id, patient_id, organisation_id, pacemaker FROM service_request WHERE id = %s",
        (request_id,),
    )
    await access.require(conn, actor, at, "upload.create", patient_id=request["patient_id"])
    made = await _insert(conn, at, request, new)
    if made is None:
        row = await db.one(
            conn,
            "SELECT id, status FROM recording WHERE service_request_id = %s AND file_sha256 = %s AND file_part = %s",
            (request_id, new.sha256, new.part),
        )
        if row["status"] == "discarded":  # it was taken for another patient's, and is this one's after all
            await db.run(
                conn,
                "UPDATE recording SET status = 'ended', end_reason = 'complete' WHERE id = %s",
                (row["id"],),
            )
            await jobs.enqueue(conn, at, closing.ENDED_JOB, str(row["id"]), {"recording_id": str(row["id"])})
        return UUID(str(row["id"]))
    await _store_samples(conn, made, new, blocks)
    await jobs.enqueue(conn, at, closing.ENDED_JOB, str(made["id"]), {"recording_id": str(made["id"])})
    await db.notify(conn, closing.CHANNEL, recording_id=str(made["id"]), device_id=None)
    await audit.record(
        conn, actor, at, "recording.of-file", "recording", made["id"], patient_id=request["patient_id"]
    )
    return UUID(str(made["id"]))


async def _insert(conn: Connection, at: datetime, request: Row, new: FileRecording) -> Row | None:
    length = timedelta(seconds=new.samples / new.fs_hz)
    known = new.start_at is not None and EARLIEST <= new.start_at <= at + LATEST
    begun = new.start_at if known and new.start_at is not None else at - length
    return await db.maybe(
        conn,
        "INSERT INTO recording (id, patient_id, organisation_id, service_request_id, status, fs_hz, leads, uv_per_lsb,"
        "  paced, requested_at, started_at, stop_requested_at, ended_at, end_reason, file_sha256, file_part,"
        "  source_name, filters, start_known)"
        " VALUES (%s, %s, %s, %s, 'ended', %s, %s, %s, %s, %s, %s, %s, %s, 'complete', %s, %s, %s, %s, %s)"
        " ON CONFLICT (service_request_id, file_sha256, file_part) WHERE file_sha256 IS NOT NULL DO NOTHING"
        " RETURNING id, started_at",
        (
            ids.new(at), request["patient_id"], request["organisation_id"], request["id"], new.fs_hz, list(new.leads),
            new.uv_per_lsb, request["pacemaker"], at, begun, at, at, new.sha256, new.part, new.source_name,
            None if new.filters is None else Jsonb(dict(new.filters)), known,
        ),
    )  # fmt: skip


async def _store_samples(conn: Connection, made: Row, new: FileRecording, blocks: Sequence[Block]) -> None:
    """The ledger and the blocks: what the file does not hold is declared missing."""
    stored, at = [], 0
    for first, end in [*new.gaps, (new.samples, new.samples)]:
        if first > at:
            stored.append(f"[{at},{first})")
        at = max(at, end)
    await db.run(
        conn,
        "SELECT recording_of_file(%s, %s, %s, %s::int8multirange)",
        (made["id"], made["started_at"], new.samples, "{" + ",".join(stored) + "}"),
    )
    for k in range(0, len(blocks), BLOCKS_AT_ONCE):
        part = blocks[k : k + BLOCKS_AT_ONCE]
        await db.run(
            conn,
            "SELECT ecg_compact(%s, 0, '{}', %s::bigint[], %s::int[], %s::bytea[], %s::bytea[], %s::bytea[])",
            (
                made["id"], [b.first for b in part], [b.count for b in part], [b.whole for b in part],
                [b.seconds for b in part], [b.payload for b in part],
            ),
        )  # fmt: skip
