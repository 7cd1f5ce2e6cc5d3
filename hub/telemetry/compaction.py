"""Hot packets become blocks: a boot's samples of ten seconds, packed, with the extremes of each second.

The tick only ever adds packets. Here they are taken, a few minutes of one boot in a transaction: a block in, its
packets out. Packets that come later for a stretch with a block reopen it: they are merged into a new one. No row that
the tick locks is locked.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from devices import block
from devices.block import Run
from hub.core import db, errors
from hub.core.db import Connection
from hub.core.jobs import enqueue
from hub.core.logging import log
from hub.telemetry.blocks import runs_of
from hub.telemetry.packing import Block, packed

JOB: Final = "telemetry.compact"
HOT_FOR: Final = timedelta(minutes=10)  # a recording is compacted about as often
MARGIN_S: Final = 30  # behind the newest sample there may be packets still on their way
PACKETS: Final = 600  # taken in one transaction, at most
SWEPT: Final = 150  # recordings enqueued at a time, and how far apart, so that other jobs find their turn
APART: Final = timedelta(milliseconds=100)
FORGOTTEN_AFTER: Final = timedelta(
    days=75
)  # no packet is stored that is so old when it comes (hub/ingest/accounting.py)


@dataclass(frozen=True, slots=True)
class _Boot:
    """What is known of the boot at work. Samples from `limit` on stay hot."""

    recording_id: UUID
    boot: int
    fs_hz: int
    limit: int

    @property
    def block_samples(self) -> int:
        return block.block_samples(self.fs_hz)


async def enqueue_due(conn: Connection, at: datetime) -> int:
    """Enqueue the recordings that have packets older than `HOT_FOR`; how many."""
    due = await db.rows(
        conn,
        "SELECT DISTINCT recording_id FROM ecg_hot_boots(%s, %s) ORDER BY recording_id LIMIT %s",
        (at - HOT_FOR, round(HOT_FOR.total_seconds()), SWEPT),
    )
    for number, row in enumerate(due):
        recording_id = str(row["recording_id"])
        await enqueue(conn, at, JOB, recording_id, {"recording_id": recording_id}, at + number * APART)
    return len(due)


async def forget_days(conn: Connection, at: datetime) -> int:
    """Drop the partitions of old days from which every packet is gone into blocks; how many."""
    row = await db.one(conn, "SELECT hub_forget_days(%s) AS gone", ((at - FORGOTTEN_AFTER).date(),))
    return int(row["gone"])


async def boots_of(conn: Connection, recording_id: UUID) -> list[int]:
    """The boots of a recording."""
    found = await db.rows(conn, "SELECT boot FROM recording_boots(%s)", (recording_id,))
    return [row["boot"] for row in found]


async def compact_next(
    conn: Connection, at: datetime, recording_id: UUID, boot: int, position: int
) -> int | None:
    """Make blocks of the next hot packets of a boot that begin at `position` or later.

    Returns where to go on, in a transaction of its own; None if there is nothing more to do now, or if somebody
    else is compacting this recording.
    """
    if not await _locked(conn, recording_id):
        return None
    one = await _boot(conn, at, recording_id, boot)
    hot = await db.rows(
        conn, "SELECT * FROM ecg_hot(%s, %s, %s, %s)", (recording_id, boot, position, PACKETS)
    )
    taken = _due(one, hot)
    if not taken:
        return None
    end: int = taken[-1]["first_sample"] + 1
    await _replace(conn, one, taken)
    return end


async def _locked(conn: Connection, recording_id: UUID) -> bool:
    row = await db.one(
        conn,
        "SELECT pg_try_advisory_xact_lock(hashtext(%s), hashtext(%s)) AS taken",
        (JOB, str(recording_id)),
    )
    return bool(row["taken"])


async def _boot(conn: Connection, at: datetime, recording_id: UUID, boot: int) -> _Boot:
    row = await db.one(
        conn,
        "SELECT r.fs_hz, coalesce(upper(b.have), 0) AS newest,"
        "  ecg_instant(b.anchor_at, coalesce(upper(b.have), 0), r.fs_hz) AS newest_at"
        " FROM recording r, recording_boots(r.id) b WHERE r.id = %s AND b.boot = %s",
        (recording_id, boot),
    )
    is_quiet = row["newest_at"] < at - HOT_FOR
    limit = row["newest"] if is_quiet else row["newest"] - MARGIN_S * row["fs_hz"]
    return _Boot(recording_id, boot, row["fs_hz"], limit)


def _due(one: _Boot, hot: Sequence[db.Row]) -> list[db.Row]:
    """Those packets that lie below the limit; the last block is left alone if more of it is to be read."""
    due = [row for row in hot if row["first_sample"] + row["sample_count"] <= one.limit]
    if len(hot) < PACKETS:
        return due
    last = hot[-1]["first_sample"] // one.block_samples
    complete = [
        row for row in due if (row["first_sample"] + row["sample_count"] - 1) // one.block_samples < last
    ]
    return complete or due


async def _replace(conn: Connection, one: _Boot, packets: Sequence[db.Row]) -> None:
    touched = sorted({first for row in packets for first in _blocks_of(one, row)})
    earlier, damaged = await _earlier(conn, one, touched)
    taken = [row for row in packets if damaged.isdisjoint(_blocks_of(one, row))]
    if not taken:
        return
    runs: dict[int, list[Run]] = defaultdict(list)
    for row in taken:
        for first in _blocks_of(one, row):
            runs[first] += [run.within(first, first + one.block_samples) for run in runs_of(row)]
    made = [packed(one.fs_hz, first, [*earlier.get(first, ()), *runs[first]]) for first in sorted(runs)]
    await _write(conn, one, taken, made)


def _blocks_of(one: _Boot, row: db.Row) -> range:
    """Where the blocks begin that a packet lies in."""
    first, size = row["first_sample"], one.block_samples
    return range(first // size * size, first + row["sample_count"], size)


async def _earlier(
    conn: Connection, one: _Boot, firsts: Sequence[int]
) -> tuple[dict[int, list[Run]], set[int]]:
    """The blocks that are there already, and those of them that can't be read: their late packets stay hot."""
    rows = await db.rows(
        conn, "SELECT * FROM ecg_blocks(%s, %s, %s)", (one.recording_id, one.boot, list(firsts))
    )
    found: dict[int, list[Run]] = {}
    damaged: set[int] = set()
    for row in rows:
        try:
            found[row["first_sample"]] = runs_of(row)
        except errors.Unavailable as damage:
            log("block.damaged", recording=str(one.recording_id), boot=one.boot, **damage.detail)
            damaged.add(row["first_sample"])
    return found, damaged


async def _write(conn: Connection, one: _Boot, packets: Sequence[db.Row], made: Sequence[Block]) -> None:
    """One statement; if the packets are no longer those that were read, nothing of it happens."""
    parameters: tuple[Any, ...] = (
        one.recording_id,
        one.boot,
        [row["first_sample"] for row in packets],
        [new.first for new in made],
        [new.count for new in made],
        [new.whole for new in made],
        [new.seconds for new in made],
        [new.payload for new in made],
    )
    row = await db.one(
        conn,
        "SELECT ecg_compact(%s, %s, %s::bigint[], %s::bigint[], %s::int[], %s::bytea[], %s::bytea[], %s::bytea[])"
        " AS gone",
        parameters,
    )
    if row["gone"] != len(packets):
        raise errors.error("conflict")
