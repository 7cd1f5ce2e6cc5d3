"""The second look: ten minutes of a recording, once nothing of them is waited for any more (`ingest.record_pass`).

The live pass saw the newest samples only; what came late, or around a hole, is judged here. The job is enqueued by the
transaction that made the stretch complete, reads it with its surroundings, and puts its findings of record in the place
of those it may have found before: done twice or late it comes to the same. The analysis of the whole recording has the
last word; after it only alarms come from here.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from devices import sequencing
from devices.sequencing import Ranges
from ecg.findings import Finding
from hub.alarms.findings import Found, replace_findings_of_record
from hub.alarms.raising import raise_late_finding
from hub.core import actor, db, jobs
from hub.core.db import Connection
from hub.core.jobs import Context, JobKind
from hub.ingest import stretches
from hub.ingest.accounting import Boot, Key
from hub.ingest.bindings import Bindings, Recording, load_recordings
from hub.ingest.stretches import STRETCH_S, Signal, Stretch
from hub.telemetry import closing
from hub.telemetry import ledger as accounts
from hub.telemetry.blocks import Span, StoredPiece, stored_pieces
from hub.telemetry.recordings import read_boots

JOB: Final = "ingest.record_pass"
ACTOR: Final = actor.job(JOB)
SPREAD_S: Final = 60  # many recordings begun together are looked at one after the other, if nothing was late
AT_ONCE: Final = asyncio.Semaphore(1)  # of a process: 60 stretches an hour each take a tenth of a second


@dataclass(frozen=True, slots=True)
class Work:
    """What a look at a stretch needs."""

    recording: Recording
    boot: accounts.Boot
    stretch: Stretch
    pieces: list[StoredPiece]

    @property
    def seen(self) -> Ranges:
        """What of the stretch and its surroundings was stored when it was read."""
        return stored_within(self.boot, self.stretch)

    @property
    def signal(self) -> Signal:
        r = self.recording
        return Signal(r.fs_hz, r.leads, r.uv_per_lsb or 1.0, r.paced)


def stored_within(boot: accounts.Boot, of: Stretch) -> Ranges:
    """The stored ranges of the samples a stretch is judged by."""
    missing = sequencing.trim(boot.ledger.stored, of.low, of.high)
    return sequencing.subtract(((of.low, of.high),), missing)


async def enqueue_due(
    conn: Connection,
    at: datetime,
    recordings: Mapping[UUID, Recording],
    before: Mapping[Key, Boot],
    after: Mapping[Key, Boot],
) -> None:
    """Have the stretches looked at that this transaction has made complete."""
    for key, boot in after.items():
        recording = recordings[key[0]]
        was = before[key].ledger
        for stretch in stretches.due(was, boot.ledger, recording.fs_hz):
            held = sequencing.total(sequencing.trim(boot.ledger.stored, stretch.low, stretch.high))
            payload = {"recording_id": str(key[0]), "boot": key[1], "number": stretch.number}
            # A stretch that changes while it is looked at is looked at again: its name tells how much is missing.
            name = f"{key[0]}:{key[1]}:{stretch.number}:{stretch.high}-{held}"
            is_late = (
                boot.ledger.final is not None or boot.ledger.seen > stretch.high + SPREAD_S * recording.fs_hz
            )
            wait_s = 0 if is_late else key[0].int % SPREAD_S
            await jobs.enqueue(conn, at, JOB, name, payload, at + timedelta(seconds=wait_s))


async def look_again(context: Context, payload: dict[str, Any]) -> None:
    """The job."""
    recording_id = UUID(payload["recording_id"])
    async with AT_ONCE:
        async with context.db.transaction(ACTOR, context.at) as conn:
            work = await read_work(conn, recording_id, payload["boot"], payload["number"])
        found = await asyncio.to_thread(stretches.findings_of, work.stretch, work.signal, work.pieces)
    async with context.db.transaction(ACTOR, context.at) as conn:
        await store_look(conn, context.at, work, found)


async def read_work(conn: Connection, recording_id: UUID, boot_number: int, number: int) -> Work:
    """The stretch as it is stored now."""
    known = Bindings()
    await load_recordings(conn, known, {recording_id.bytes})
    recording = known.recordings[recording_id.bytes]
    if recording is None:
        raise LookupError("no such recording")
    boot = await _boot(conn, recording, boot_number)
    stretch = stretches.stretch_of(number, recording.fs_hz, boot.ledger.final)
    pieces = await stored_pieces(conn, [Span(recording_id, boot_number, stretch.low, stretch.high)])
    return Work(recording, boot, stretch, pieces)


async def _boot(conn: Connection, recording: Recording, number: int) -> accounts.Boot:
    boots = await read_boots(conn, recording.id, recording.fs_hz)
    return next(boot for boot in boots if boot.boot == number)


async def store_look(conn: Connection, at: datetime, work: Work, found: Iterable[Finding]) -> None:
    """Findings of record in place of earlier ones, and the alarms nobody had; unless more has come since it was read,
    which is looked at by a job of its own.
    """
    recording = work.recording
    # Not FOR UPDATE: the tick's rows refer to the recording, and live data never wait for a second look.
    row = await db.one(
        conn, "SELECT whole_findings_at FROM recording WHERE id = %s FOR NO KEY UPDATE", (recording.id,)
    )
    if stored_within(await _boot(conn, recording, work.boot.boot), work.stretch) != work.seen:
        return
    placed = [_placed(work, finding) for finding in found]
    if row["whole_findings_at"] is None:
        number, fs_hz = work.stretch.number, recording.fs_hz
        own = (number * STRETCH_S * fs_hz, (number + 1) * STRETCH_S * fs_hz)
        if await replace_findings_of_record(conn, at, recording.id, work.boot.boot, own, placed):
            await db.notify(conn, closing.CHANNEL, recording_id=str(recording.id))
    for one in placed:
        await raise_late_finding(conn, ACTOR, at, recording, one)


def _placed(work: Work, finding: Finding) -> Found:
    recording, boot = work.recording, work.boot
    end = finding.offset_sample
    return Found(
        recording.id, recording.patient_id, recording.organisation_id, "record", boot.boot,
        boot.at(finding.onset_sample, recording.fs_hz), None if end is None else boot.at(end, recording.fs_hz), finding,
    )  # fmt: skip


JOBS: Mapping[str, JobKind] = {JOB: JobKind(look_again, max_attempts=5)}
