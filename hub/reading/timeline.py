"""One recording as one line of samples: where each boot of the device lies on it, and how it is read.

A device counts its samples from each boot on; an analysis needs one index for the whole recording. Boots are
laid out by the instant of their sample 0, never touching and never further apart than a day: a clock that
was set wrong puts no two samples in one place, and makes no line of years.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ecg.record import Lead, Record
from hub.core.db import Connection, Row, one
from hub.telemetry.blocks import MISSING, Span, StoredPiece, assembled, stored_pieces
from hub.telemetry.ledger import Boot
from hub.telemetry.recordings import read_boots

Range = tuple[int, int]
WINDOW_S = 600  # read at a time
BREAK_MIN_S = 1  # between two boots: no interval is measured across a restart, however the clock was set
BREAK_MAX_S = 86_400  # what a break between two boots takes on the line, at most
WHOLE_RECORD = asyncio.Semaphore(1)  # of a process: one whole recording in memory at a time


@dataclass(frozen=True)
class Stretch:
    """A boot: its sample 0 lies at `offset` of the line; `have` are the stored ranges in its own samples.

    `began_at` is the instant of sample 0 by the hub's clock, as well as it is known; it may get better, so nothing
    that is hashed depends on it.
    """

    boot: int
    offset: int
    count: int
    began_at: datetime
    have: tuple[Range, ...]


@dataclass(frozen=True)
class Timeline:
    """The boots in order of time. Index 0 is sample 0 of the first."""

    fs_hz: int
    stretches: tuple[Stretch, ...]

    @property
    def length(self) -> int:
        last = self.stretches[-1] if self.stretches else None
        return last.offset + last.count if last else 0

    @property
    def gaps(self) -> tuple[Range, ...]:
        """Everything on the line that is not stored: between boots, and lost within one."""
        at, gaps = 0, []
        for stretch in self.stretches:
            for first, end in stretch.have:
                if stretch.offset + first > at:
                    gaps.append((at, stretch.offset + first))
                at = stretch.offset + end
        if self.length > at:
            gaps.append((at, self.length))
        return tuple(gaps)

    def stretch_of(self, index: int) -> Stretch:
        """The boot that holds an index; between boots the one before."""
        found = self.stretches[0]
        for stretch in self.stretches:
            if stretch.offset <= index:
                found = stretch
        return found

    def locate(self, index: int) -> tuple[int, int]:
        """(boot, sample of that boot) of an index of the line."""
        stretch = self.stretch_of(index)
        return stretch.boot, index - stretch.offset

    def index(self, boot: int, sample: int) -> int:
        """The index of a boot's sample."""
        return next(s.offset for s in self.stretches if s.boot == boot) + sample

    def instant(self, index: int) -> datetime:
        """When a sample was taken, by the hub's clock."""
        stretch = self.stretch_of(index)
        return stretch.began_at + timedelta(seconds=(index - stretch.offset) / self.fs_hz)

    def index_at(self, at: datetime) -> int | None:
        """The index of an instant; None if no boot was running then."""
        for stretch in self.stretches:
            sample = round((at - stretch.began_at).total_seconds() * self.fs_hz)
            if 0 <= sample < stretch.count:
                return stretch.offset + sample
        return None

    def event_index(self, event: Mapping[str, Any]) -> int | None:
        """Where an event lies: by its sample if the device told one, else by its time; None outside the recording."""
        if event["boot"] is not None and event["sample"] is not None:
            known = any(s.boot == event["boot"] for s in self.stretches)
            return self.index(event["boot"], event["sample"]) if known else None
        at = event["at"]
        return self.index_at(at if isinstance(at, datetime) else datetime.fromisoformat(at))

    def window(self, onset: int, lead_in_s: float, length_s: float) -> dict[str, int]:
        """The strip of an onset: within its boot, a little before it and the rest after."""
        stretch = self.stretch_of(onset)
        count = min(round(length_s * self.fs_hz), stretch.count)
        first = max(0, onset - stretch.offset - round(lead_in_s * self.fs_hz))
        return {"boot": stretch.boot, "first_sample": min(first, stretch.count - count), "count": count}

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {"boot": s.boot, "offset": s.offset, "count": s.count, "anchor_at": s.began_at}
            for s in self.stretches
        ]


def lay_out(fs_hz: int, boots: Iterable[Boot]) -> Timeline:
    """Boots on one line in their order and by their anchors, which are never revised; one without a stored sample
    takes no place.
    """
    placed: list[Stretch] = []
    stored = sorted((b for b in boots if b.end), key=lambda b: b.boot)
    end = 0
    for boot in stored:
        wanted = round((boot.anchor_at - stored[0].anchor_at).total_seconds() * fs_hz)
        least = end + BREAK_MIN_S * fs_hz if placed else 0
        offset = min(max(wanted, least), end + BREAK_MAX_S * fs_hz)
        placed.append(Stretch(boot.boot, offset, boot.end, boot.at(0, fs_hz), boot.ledger.stored))
        end = offset + boot.end
    return Timeline(fs_hz, tuple(placed))


async def read_timeline(conn: Connection, recording_id: UUID) -> Timeline:
    """The line of a recording as the ledger stands now."""
    recording = await one(conn, "SELECT fs_hz FROM recording WHERE id = %s", (recording_id,))
    return lay_out(recording["fs_hz"], await read_boots(conn, recording_id, recording["fs_hz"]))


async def read_samples(
    conn: Connection, recording: Row, boot: int, first: int, count: int
) -> NDArray[np.int16]:
    """Samples [first, first + count) of a boot, lead by sample; MISSING where nothing is stored."""
    pieces = await stored_pieces(conn, [Span(recording["id"], boot, first, first + count)])
    return assembled(pieces, len(recording["leads"]), first, count)


async def read_record(conn: Connection, recording: Row, timeline: Timeline) -> Record:
    """The recording as the ECG package takes it: one day of three leads at 250 Hz is 130 MB."""
    return (await read_signal(conn, recording, timeline))[0]


async def read_signal(
    conn: Connection, recording: Row, timeline: Timeline
) -> tuple[Record, NDArray[np.bool_] | None]:
    """The recording, and which electrodes had contact: lead by sample of the line, None if none was ever off."""
    leads = len(recording["leads"])
    line = np.full((leads, timeline.length), MISSING, np.int16)
    contact: NDArray[np.bool_] | None = None
    async for first, piece in _pieces(conn, recording, timeline):
        end = first + piece.samples.shape[1]
        line[:, first:end] = piece.samples
        if piece.electrodes_off:
            contact = np.ones(line.shape, np.bool_) if contact is None else contact
            off = [lead for lead in range(leads) if piece.electrodes_off >> lead & 1]
            contact[off, first:end] = False
    scale = recording["uv_per_lsb"] or 1.0  # none is known before the first sample
    channels = (
        Lead(code, float(timeline.fs_hz), scale, 0, row)
        for code, row in zip(recording["leads"], line, strict=True)
    )
    device = recording["device_id"] or recording["source_name"]
    record = Record(tuple(channels), timeline.instant(0), timeline.gaps, recording["filters"], device)
    return record, contact


async def _pieces(
    conn: Connection, recording: Row, timeline: Timeline
) -> AsyncIterator[tuple[int, StoredPiece]]:
    """All that is stored, a window at a time: (index of its first sample on the line, piece)."""
    step = WINDOW_S * timeline.fs_hz
    for stretch in timeline.stretches:
        for first in range(0, stretch.count, step):
            span = Span(recording["id"], stretch.boot, first, min(first + step, stretch.count))
            for piece in await stored_pieces(conn, [span]):
                yield stretch.offset + piece.first_sample, piece
