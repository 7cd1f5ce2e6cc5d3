"""An ECG record as the hub stores one: int16 of one scale, which samples tell nothing, blocks of ten seconds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from devices.packet import MAX_LEADS
from ecg.record import Lead, Record, main_group
from hub.telemetry.packing import Block, blocks_of

RATES_HZ = (50, 2000)  # what ecg.stream analyses; importing it would cost the sandbox half a second
FULL = 32_767  # of int16; -32768 stands for a missing sample
RATE_TOLERANCE = 5e-4  # of a rate that is no whole number: far below what a recorder's clock drifts
OFFSET_MAX = 1 << 40  # no recorder's; the difference to a sample must fit 64 bits
CHUNK = 1 << 20  # samples of a lead scaled at a time


class Unusable(ValueError):
    """A record that can't be stored as it is; the first word is a key of `reasons.REASONS`."""


@dataclass(frozen=True, eq=False)
class Line:
    """Samples [lead, sample], µV = sample * uv_per_lsb; `off` [sample] is a mask of leads that tell nothing there."""

    fs_hz: int
    leads: tuple[str, ...]
    uv_per_lsb: float
    samples: NDArray[np.int16]
    off: NDArray[np.int64]
    gaps: tuple[tuple[int, int], ...]
    start_at: datetime | None

    def blocks(self) -> Iterator[Block]:
        return blocks_of(self.fs_hz, self.samples, self.off, self.gaps)


def line_of(record: Record) -> Line:
    """The main group of leads of a record; Unusable says why it can't be."""
    leads = main_group(record)[:MAX_LEADS]
    count = len(leads[0].samples)
    scale = _common_scale(leads)
    samples = np.empty((len(leads), count), np.int16)
    off = np.zeros(count, np.int64)
    for number, lead in enumerate(leads):
        samples[number] = _scaled(lead, scale)
        if lead.missing is not None:
            off |= (lead.samples == lead.missing).astype(np.int64) << number
    nothing = off == (1 << len(leads)) - 1
    gaps = tuple(_ranges(nothing | _marked(record.gaps, count)))
    if sum(b - a for a, b in gaps) == count:
        raise Unusable("no-samples: every sample is marked as missing")
    codes = tuple(lead.code for lead in leads)
    return Line(_whole_rate(leads[0].fs_hz), codes, scale, samples, off, gaps, record.start_at)


def _whole_rate(fs_hz: float) -> int:
    rate, (low, high) = round(fs_hz), RATES_HZ
    if not low <= rate <= high or abs(fs_hz - rate) > RATE_TOLERANCE * fs_hz:
        raise Unusable(f"rate: {fs_hz:g} Hz; whole rates from {low} to {high} Hz can be read")
    return rate


def _common_scale(leads: tuple[Lead, ...]) -> float:
    """µV per stored step: that of the leads themselves if it is one and all fits, else as fine as fits."""
    scales = [abs(lead.uv_per_lsb) for lead in leads]  # negative where a file counts downwards
    largest_uv = max(_largest(lead) * scale for lead, scale in zip(leads, scales, strict=True))
    finest = min(scales)
    if not math.isfinite(largest_uv) or finest == 0 or any(abs(lead.offset) > OFFSET_MAX for lead in leads):
        raise Unusable("scale: the file gives no usable number of microvolts per step")
    return finest if largest_uv <= FULL * finest else largest_uv / FULL


def _largest(lead: Lead) -> float:
    known = lead.samples if lead.missing is None else lead.samples[lead.samples != lead.missing]
    if not len(known):
        return 0.0
    return float(max(abs(int(known.max()) - lead.offset), abs(int(known.min()) - lead.offset)))


def _scaled(lead: Lead, scale: float) -> NDArray[np.int16]:
    ratio, out = lead.uv_per_lsb / scale, np.empty(len(lead.samples), np.int16)
    for first in range(0, len(out), CHUNK):
        whole = lead.samples[first : first + CHUNK].astype(np.int64) - lead.offset
        values = whole if ratio == 1.0 else np.rint(whole * ratio)
        out[first : first + CHUNK] = np.clip(values, -FULL, FULL).astype(np.int16)
    return out


def _marked(gaps: tuple[tuple[int, int], ...], count: int) -> NDArray[np.bool_]:
    marks = np.zeros(count, np.bool_)
    for first, last in gaps:
        marks[first:last] = True
    return marks


def _ranges(marks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(marks.astype(np.int8), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
