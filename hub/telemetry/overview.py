"""A recording at a glance: least and greatest sample of each lead for each column of a drawing, any length of time.

A day is drawn from the pyramid of its blocks, an hour from their seconds, minutes from the samples; packets that are
not compacted yet are folded in, so that a running recording is complete to its newest sample. Binned alike from packets
and from blocks, the answer does not depend on what has been compacted.

Form (docs/protocol/http.md): `TLO1`, length of the header, header as JSON, int16 least and greatest of each column of
each lead, then one byte per column: how much of it is not stored.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices import block
from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.core.fields import to_json
from hub.people import access
from hub.telemetry.blocks import Span, runs_of, stored_pieces
from hub.telemetry.ledger import Boot, newest_at
from hub.telemetry.recordings import read_boots

MAGIC: Final = b"TLO1"
COLUMNS: Final = (10, 4000)  # fewest and most
DEFAULT_COLUMNS: Final = 1500
LONGEST: Final = timedelta(days=40)
ALL: Final = 255  # of a column is missing
NOTHING: Final = (32_767, -32_768)  # least and greatest of a column without a sample
_HEAD: Final = struct.Struct("<4sI")
_SINT16_LE: Final = np.dtype("<i2")
_PAGE: Final = 600  # packets read at a time
_LONGEST_PACKET: Final = 65_536  # samples


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """Columns of equal time from `from_at` to `to_at`."""

    from_at: datetime
    to_at: datetime
    newest_at: datetime
    fs_hz: int
    leads: tuple[str, ...]
    uv_per_lsb: float
    bin_samples: int  # a sample may stand in the column next to its own by less than this
    extremes: NDArray[np.int16]  # [lead, column, (least, greatest)]
    missing: NDArray[np.uint8]  # [column]: 0 nothing, 255 all

    def to_bytes(self) -> bytes:
        header = {
            "from": self.from_at,
            "to": self.to_at,
            "newest_at": self.newest_at,
            "columns": len(self.missing),
            "fs_hz": self.fs_hz,
            "leads": list(self.leads),
            "uv_per_lsb": self.uv_per_lsb,
            "bin_samples": self.bin_samples,
        }
        text = to_json(header).encode()
        values = np.ascontiguousarray(self.extremes, _SINT16_LE).tobytes()
        return _HEAD.pack(MAGIC, len(text)) + text + values + self.missing.tobytes()


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where a boot's samples stand among the columns."""

    boot: Boot
    began_s: float  # instant of its sample 0
    sample_s: float  # time from one sample to the next
    from_s: float
    width_s: float  # of a column
    columns: int

    def columns_of(self, samples: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """May lie outside [0, columns)."""
        at_s = self.began_s + samples * self.sample_s
        columns: NDArray[np.int64] = np.floor((at_s - self.from_s) / self.width_s).astype(np.int64)
        return columns

    @property
    def span(self) -> tuple[int, int]:
        """The stored samples that may stand in a column: [first, end)."""
        to_s = self.from_s + self.width_s * self.columns
        low, high = ((at_s - self.began_s) / self.sample_s for at_s in (self.from_s, to_s))
        return max(0, int(np.floor(low)) - 1), min(self.boot.end, int(np.ceil(high)) + 1)


async def read_overview(
    conn: Connection, actor: Actor, at: datetime, recording_id: UUID,
    from_at: datetime | None, to_at: datetime | None, columns: int,
) -> Overview:  # fmt: skip
    """The recording between two instants of the hub's clock; from its first to its newest sample if none are given."""
    recording = await db.one(
        conn, "SELECT id, patient_id, fs_hz, leads, uv_per_lsb FROM recording WHERE id = %s", (recording_id,)
    )
    await access.require(conn, actor, at, "recording.read", patient_id=recording["patient_id"])
    fs_hz = recording["fs_hz"]
    boots = [boot for boot in await read_boots(conn, recording_id, fs_hz) if boot.end]
    newest = newest_at(boots, fs_hz)
    if newest is None:
        raise errors.error("not_found")
    begin, end = from_at or min(boot.at(0, fs_hz) for boot in boots), to_at or newest
    if not timedelta(0) < end - begin <= LONGEST:
        raise errors.error("bad_field", field="to", expected=f"after from, within {LONGEST.days} days")
    width_s = (end - begin).total_seconds() / columns
    scales = [_scale(boot, fs_hz, begin.timestamp(), width_s, columns) for boot in boots]
    extremes = await _extremes(conn, recording, scales, _bin_samples(width_s, fs_hz))
    return Overview(
        begin, end, newest, fs_hz, tuple(recording["leads"]), recording["uv_per_lsb"] or 1.0,
        _bin_samples(width_s, fs_hz), extremes, _missing(scales, fs_hz),
    )  # fmt: skip


def _bin_samples(width_s: float, fs_hz: int) -> int:
    """The coarsest level of the pyramid that is not coarser than a column."""
    if width_s >= block.BLOCK_S:
        return block.block_samples(fs_hz)
    return fs_hz if width_s >= 1 else 1


def _scale(boot: Boot, fs_hz: int, from_s: float, width_s: float, columns: int) -> _Scale:
    began_s, far = boot.at(0, fs_hz).timestamp(), max(boot.end, 3600 * fs_hz)
    return _Scale(boot, began_s, (boot.at(far, fs_hz).timestamp() - began_s) / far, from_s, width_s, columns)


async def _extremes(
    conn: Connection, recording: Row, scales: Sequence[_Scale], bin_samples: int
) -> NDArray[np.int16]:
    leads, columns = len(recording["leads"]), scales[0].columns
    found = np.empty((leads, columns, 2), np.int16)
    found[:] = NOTHING
    for scale in scales:
        first, end = scale.span
        if first >= end:
            continue
        low, high = (edge * bin_samples for edge in (first // bin_samples, -(-end // bin_samples)))
        span = Span(recording["id"], scale.boot.boot, low, high)  # whole bins
        if bin_samples == 1:
            for piece in await stored_pieces(conn, [span]):
                _fold(found, scale, piece.first_sample, 1, piece.samples, piece.samples)
        else:
            await _fold_hot(
                conn, found, scale, span, bin_samples
            )  # first: a packet may become a block meanwhile
            await _fold_blocks(conn, found, scale, span, recording["fs_hz"], bin_samples)
    return found


async def _fold_hot(
    conn: Connection, found: NDArray[np.int16], scale: _Scale, span: Span, bin_samples: int
) -> None:
    """What is not compacted yet, a page at a time."""
    position = max(0, span.first - _LONGEST_PACKET)
    while True:
        rows = await db.rows(
            conn, "SELECT * FROM ecg_hot(%s, %s, %s, %s)", (span.recording_id, span.boot, position, _PAGE)
        )
        for run in block.joined(
            run for row in rows if row["first_sample"] < span.end for run in runs_of(row)
        ):
            starts = _starts(run.first, run.end, bin_samples)
            low, high = (reduce.reduceat(run.samples, starts - run.first, axis=1) for reduce in _REDUCERS)
            _fold(found, scale, run.first // bin_samples, bin_samples, low, high)
        if len(rows) < _PAGE or rows[-1]["first_sample"] >= span.end:
            return
        position = rows[-1]["first_sample"] + 1


_REDUCERS: Final = (np.minimum, np.maximum)


def _starts(first: int, end: int, bin_samples: int) -> NDArray[np.int64]:
    """Where the bins of samples [first, end) begin, the first of them perhaps within its bin."""
    starts = np.arange(first // bin_samples, (end - 1) // bin_samples + 1, dtype=np.int64) * bin_samples
    starts[0] = first
    return starts


async def _fold_blocks(
    conn: Connection, found: NDArray[np.int16], scale: _Scale, span: Span, fs_hz: int, bin_samples: int
) -> None:
    by_second = bin_samples == fs_hz
    row = await db.one(
        conn,
        "SELECT * FROM ecg_extremes(%s, %s, %s, %s, %s)",
        (span.recording_id, span.boot, span.first, span.end, by_second),
    )
    if row["firsts"] is None:
        return
    bins = block.BLOCK_S if by_second else 1
    values = np.frombuffer(row["extremes"], _SINT16_LE).reshape(-1, found.shape[0], bins, 2)
    numbers = np.array(row["firsts"], np.int64)[:, None] // bin_samples + np.arange(bins)
    by_lead = values.transpose(1, 0, 2, 3).reshape(found.shape[0], -1, 2)
    _put(found, scale, numbers.ravel(), bin_samples, by_lead[..., 0], by_lead[..., 1])


def _fold(
    found: NDArray[np.int16], scale: _Scale, number: int, bin_samples: int,
    low: NDArray[np.int16], high: NDArray[np.int16],
) -> None:  # fmt: skip
    """Bins one after another, from a number on."""
    _put(found, scale, number + np.arange(low.shape[1]), bin_samples, low, high)


def _put(
    found: NDArray[np.int16], scale: _Scale, numbers: NDArray[np.int64], bin_samples: int,
    low: NDArray[np.int16], high: NDArray[np.int16],
) -> None:  # fmt: skip
    """Bins by their numbers in rising order, each into the column of its middle, or the outermost that it touches."""
    begin, middle, end = (scale.columns_of((numbers + part) * bin_samples) for part in (0.0, 0.5, 1.0))
    inside = (end >= 0) & (begin < scale.columns)
    columns = np.clip(middle[inside], 0, scale.columns - 1)
    low, high = low[:, inside], high[:, inside]
    if not len(columns):
        return
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    at = columns[starts]
    found[:, at, 0] = np.minimum(found[:, at, 0], np.minimum.reduceat(low, starts, axis=1))
    found[:, at, 1] = np.maximum(found[:, at, 1], np.maximum.reduceat(high, starts, axis=1))


def _missing(scales: Iterable[_Scale], fs_hz: int) -> NDArray[np.uint8]:
    """How much of each column the ledger does not have."""
    scales = list(scales)
    columns, width_s = scales[0].columns, scales[0].width_s
    edges = np.arange(columns + 1) * width_s
    covered = np.zeros(columns)
    for scale in scales:
        bounds = np.array(scale.boot.ledger.stored, np.float64)
        lengths = (bounds[:, 1] - bounds[:, 0]) * scale.sample_s
        sums = np.cumsum(lengths)
        at = scale.began_s - scale.from_s + bounds.ravel() * scale.sample_s
        covered += np.diff(np.interp(edges, at, np.stack([sums - lengths, sums], axis=1).ravel()))
    half_sample_s = 0.5 / fs_hz
    share = np.clip(np.ceil((1 - covered / width_s) * (ALL - 1)), 1, ALL - 1)
    share[covered > width_s - half_sample_s] = 0
    share[covered < min(half_sample_s, width_s / 2)] = ALL
    return share.astype(np.uint8)
