"""The one reader of stored samples, from hot packets and from blocks.

`stored_pieces` asks both tables in one statement, so that a compaction at work beside it hides nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices import block
from devices.block import Run
from devices.errors import DecodeError
from hub.core import errors
from hub.core.db import Connection, Row
from hub.core.logging import log

MISSING: Final = -32_768  # stands in a window where nothing is stored; the ledger says where that is
_SINT16_LE: Final = np.dtype("<i2")


@dataclass(frozen=True, slots=True)
class Span:
    """Samples [first, end) of a boot."""

    recording_id: UUID
    boot: int
    first: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class StoredPiece:
    """Samples of a span that are stored without a hole under one set of electrodes."""

    recording_id: UUID
    boot: int
    first_sample: int
    at: datetime  # of the first sample, on the boot's own time line
    electrodes_off: int
    samples: NDArray[np.int16]  # [lead, sample]

    @property
    def end_sample(self) -> int:
        count: int = self.samples.shape[1]
        return self.first_sample + count


async def stored_pieces(
    conn: Connection, spans: Sequence[Span], *, skip_damaged: bool = False
) -> list[StoredPiece]:
    """What is stored of these spans, cut to them, in order of (recording, boot, sample).

    Where packets end is not kept. Spans of one boot must not overlap. What the actor can't see gives nothing. A block
    that can't be read is an error (`samples_damaged`), but for the tick, which goes on without it.
    """
    if not spans:
        return []
    cursor = await conn.execute(
        "SELECT * FROM ecg_pieces(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[])",
        (
            [span.recording_id for span in spans],
            [span.boot for span in spans],
            [span.first for span in spans],
            [span.end for span in spans],
        ),
        binary=True,
    )
    wanted: dict[tuple[UUID, int], list[Span]] = {}
    for span in spans:
        wanted.setdefault((span.recording_id, span.boot), []).append(span)
    pieces: list[StoredPiece] = []
    seen: set[tuple[UUID, int, int, bool]] = set()  # a packet or block that two spans touch comes twice
    for row in await cursor.fetchall():
        key = row["recording_id"], row["boot"]
        place = *key, row["first_sample"], row["payload"] is None
        if place not in seen:
            seen.add(place)
            runs = _runs_or_none(row) if skip_damaged else runs_of(row)
            pieces += [piece for span in wanted[key] for piece in _within(row, runs, span)]
    return sorted(pieces, key=lambda piece: (piece.recording_id, piece.boot, piece.first_sample))


def _within(row: Row, runs: Iterable[Run], span: Span) -> Iterable[StoredPiece]:
    for run in runs:
        if run.first < span.end and run.end > span.first:
            part = run.within(span.first, span.end)
            at = row["anchor_at"] + timedelta(seconds=part.first / row["fs_hz"])
            yield StoredPiece(span.recording_id, span.boot, part.first, at, part.electrodes_off, part.samples)


def runs_of(row: dict[str, Any]) -> list[Run]:
    """The samples of a stored packet (`samples`) or block (`payload`), by the boot's own numbers."""
    first = row["first_sample"]
    if row.get("payload") is None:
        samples = np.frombuffer(row["samples"], _SINT16_LE).reshape(-1, row["sample_count"])
        return [Run(first, row["electrodes_off"], samples)]
    try:
        runs = block.decode(row["payload"])
    except DecodeError as failure:
        raise errors.error("samples_damaged", first_sample=first, reason=str(failure)) from failure
    if sum(run.end - run.first for run in runs) != row["sample_count"]:
        raise errors.error("samples_damaged", first_sample=first, reason="another number of samples")
    return [Run(first + run.first, run.electrodes_off, run.samples) for run in runs]


def _runs_or_none(row: Row) -> list[Run]:
    try:
        return runs_of(row)
    except errors.Unavailable as damage:
        log("block.damaged", recording=str(row["recording_id"]), boot=row["boot"], **damage.detail)
        return []


def assembled(pieces: Iterable[StoredPiece], leads: int, first: int, count: int) -> NDArray[np.int16]:
    """Pieces of one boot as samples [first, first + count), lead by sample; MISSING where there is none."""
    window = np.full((leads, count), MISSING, np.int16)
    for piece in pieces:
        low, high = max(first, piece.first_sample), min(first + count, piece.end_sample)
        if low < high:
            origin = piece.first_sample
            window[:, low - first : high - first] = piece.samples[:, low - origin : high - origin]
    return window
