"""What a restored backup shows of the samples: the ledger is that of the backup, and everything it says is there."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

from devices.sequencing import total
from hub.core import db, errors
from hub.core.db import Connection, Row
from hub.core.proofs import Fact, Proof, Restored, Verdict
from hub.telemetry.blocks import Span, stored_pieces
from hub.telemetry.ledger import Boot
from hub.telemetry.recordings import read_boots

WINDOW_S: Final = 600  # read at a time


async def ledger_totals(conn: Connection) -> Mapping[str, Any]:
    """Samples per lead: stored, and known to have been made."""
    return await db.one(
        conn,
        "SELECT count(DISTINCT b.recording_id) AS recordings,"
        " coalesce(sum(b.produced_samples), 0)::bigint AS produced,"
        " coalesce(sum((SELECT sum(upper(h) - lower(h)) FROM unnest(b.have) h)), 0)::bigint AS stored"
        " FROM recording_boot b",
    )


async def samples(restored: Restored) -> Verdict:
    """Read what is stored of the newest recordings, or of all, and hold it against the ledger."""
    recordings = await db.rows(
        restored.conn,
        "SELECT id, fs_hz FROM recording WHERE started_at IS NOT NULL ORDER BY started_at DESC LIMIT %s",
        (restored.limit,),
    )
    faults, read = [], 0
    for recording in recordings:
        for boot in await read_boots(restored.conn, recording["id"], recording["fs_hz"]):
            try:
                found = [run async for run in _runs(restored.conn, recording, boot)]
            except errors.HubError as damage:
                faults.append(f"recording {recording['id']} boot {boot.boot}: {damage.en} {damage.detail}")
                continue
            read += total(tuple(found))
            if _joined(found) != list(boot.ledger.stored):
                missing = total(boot.ledger.stored) - total(tuple(found))
                faults.append(f"recording {recording['id']} boot {boot.boot}: {missing} samples are missing")
    return Verdict(
        f"{read} samples per lead of {len(recordings)} recordings are there, as the ledger says", (*faults,)
    )


async def _runs(conn: Connection, recording: Row, boot: Boot) -> AsyncIterator[tuple[int, int]]:
    """Stored ranges, a window at a time."""
    step = WINDOW_S * recording["fs_hz"]
    for first in range(0, boot.end, step):
        for piece in await stored_pieces(conn, [Span(recording["id"], boot.boot, first, first + step)]):
            yield piece.first_sample, piece.end_sample


def _joined(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs in order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for first, end in runs:
        if joined and joined[-1][1] == first:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((first, end))
    return joined


FACTS: Final[Mapping[str, Fact]] = {"ledger": ledger_totals}
PROOFS: Final[Mapping[str, Proof]] = {"samples": samples}
