"""A block: ten seconds of one boot as the hub keeps them, packed. Pure.

One byte of version, then one Zstandard frame with checksum: head (leads, runs), a row per run (first sample within the
block, count, electrodes off), and the samples of all runs, lead after lead, as differences, zigzag-coded, all low bytes
before all high bytes. Packet boundaries are not kept; holes and the electrodes of every sample are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from devices.errors import DecodeError
from devices.packet import MAX_FS_HZ, MAX_LEADS

BLOCK_S: Final = 10
MAX_SAMPLES: Final = BLOCK_S * MAX_FS_HZ  # of one lead
VERSION: Final = 1
_LEVEL: Final = 1
_HEAD: Final = struct.Struct("<II")  # leads, runs
_ROW_DTYPE: Final = np.dtype("<u4")
_ROW: Final = 3 * _ROW_DTYPE.itemsize
_MAX_RAW_BYTES: Final = _HEAD.size + _ROW * MAX_SAMPLES + 2 * MAX_LEADS * MAX_SAMPLES
_MOST, _LEAST = np.int16(32_767), np.int16(-32_768)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples without a hole under one set of electrodes. `samples` is int16[lead, sample]."""

    first: int
    electrodes_off: int
    samples: NDArray[np.int16]

    @property
    def end(self) -> int:
        count: int = self.samples.shape[1]
        return self.first + count

    def within(self, first: int, end: int) -> Run:
        """The part inside [first, end), which it touches."""
        low, high = max(first, self.first), min(end, self.end)
        return Run(low, self.electrodes_off, self.samples[:, low - self.first : high - self.first])


def block_samples(fs_hz: int) -> int:
    """The length of a block in samples; a boot's blocks begin at its multiples."""
    return BLOCK_S * fs_hz


def joined(runs: Iterable[Run]) -> list[Run]:
    """Runs in order, those that touch under the same electrodes as one; ValueError if two overlap."""
    groups: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: run.first):
        last = groups[-1][-1] if groups else None
        if last is not None and run.first < last.end:
            raise ValueError(f"runs overlap at sample {run.first}")
        if last is not None and run.first == last.end and run.electrodes_off == last.electrodes_off:
            groups[-1].append(run)
        else:
            groups.append([run])
    return [_concatenated(group) for group in groups]


def _concatenated(group: Sequence[Run]) -> Run:
    if len(group) == 1:
        return group[0]
    samples = np.concatenate([run.samples for run in group], axis=1)
    return Run(group[0].first, group[0].electrodes_off, samples)


def encode(runs: Sequence[Run]) -> bytes:
    """Pack the joined runs of one block; `first` counts from the block's first sample."""
    table = np.array([(run.first, run.end - run.first, run.electrodes_off) for run in runs], _ROW_DTYPE)
    samples = np.concatenate([run.samples for run in runs], axis=1, dtype=np.int16)
    steps = np.diff(samples, axis=1, prepend=np.int16(0))  # wraps around
    folded = ((steps << 1) ^ (steps >> 15)).astype("<u2").ravel()
    planes = np.ascontiguousarray(folded.view(np.uint8).reshape(-1, 2).T)
    raw = _HEAD.pack(samples.shape[0], len(runs)) + table.tobytes() + planes.tobytes()
    return bytes([VERSION]) + zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(raw)


def decode(payload: bytes) -> list[Run]:
    """The runs of a block; raises only DecodeError."""
    if payload[:1] != bytes([VERSION]):
        raise DecodeError("wrong-version", f"block: version {payload[:1].hex() or 'none'}")
    raw = _unpacked(payload[1:])
    if len(raw) < _HEAD.size:
        raise DecodeError("bad-field", "block: shorter than its head")
    leads, count = _HEAD.unpack_from(raw)
    body = _HEAD.size + _ROW * count
    if not 1 <= leads <= MAX_LEADS or not 1 <= count <= MAX_SAMPLES or len(raw) < body:
        raise DecodeError("bad-field", "block: leads or runs beyond the limits")
    table = np.frombuffer(raw, _ROW_DTYPE, 3 * count, _HEAD.size).reshape(-1, 3).astype(np.int64)
    _check(table, leads, len(raw) - body)
    return _cut(table, _samples(raw, body, leads))


def _unpacked(frame: bytes) -> bytes:
    """The size is checked before anything is allocated."""
    try:
        if not 0 <= zstandard.frame_content_size(frame) <= _MAX_RAW_BYTES:
            raise DecodeError("oversize", "block: unpacked size is not stated or above the limit")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DecodeError("bad-field", "block: no sound Zstandard frame") from error


def _check(table: NDArray[np.int64], leads: int, sample_bytes: int) -> None:
    firsts, counts, masks = table.T
    ends = firsts + counts
    in_order = counts.min() > 0 and (firsts[1:] >= ends[:-1]).all() and ends[-1] <= MAX_SAMPLES
    if not in_order or masks.max() >= 1 << leads or sample_bytes != 2 * leads * int(counts.sum()):
        raise DecodeError("bad-field", "block: runs that do not fit together")


def _samples(raw: bytes, offset: int, leads: int) -> NDArray[np.int16]:
    planes = np.frombuffer(raw, np.uint8, offset=offset).reshape(2, -1)
    folded = planes[1].astype(np.uint16) << 8 | planes[0]
    steps = ((folded >> 1) ^ (0 - (folded & 1))).view(np.int16).reshape(leads, -1)
    return np.cumsum(steps, axis=1, dtype=np.int16)  # wraps around, as the differences did


def _cut(table: NDArray[np.int64], samples: NDArray[np.int16]) -> list[Run]:
    if len(table) == 1:
        return [Run(int(table[0, 0]), int(table[0, 2]), samples)]
    parts = np.split(samples, np.cumsum(table[:-1, 1]), axis=1)
    return [Run(int(row[0]), int(row[2]), part) for row, part in zip(table, parts, strict=True)]


def extremes(runs: Sequence[Run], leads: int, bins: int, width: int) -> NDArray[np.int16]:
    """Least and greatest sample of each of `bins` bins of `width` samples, from sample 0 on: int16[lead, bin, 2].

    A bin without a sample has the least above the greatest.
    """
    if len(runs) == 1 and runs[0].first == 0 and runs[0].end == bins * width:
        full = runs[0].samples.reshape(leads, bins, width)
        return np.stack([full.min(axis=2), full.max(axis=2)], axis=2)
    found = np.empty((leads, bins, 2), np.int16)
    for side, (nothing, reduced) in enumerate(((_MOST, np.minimum), (_LEAST, np.maximum))):
        line = np.full((leads, bins * width), nothing)
        for run in runs:
            line[:, run.first : run.end] = run.samples
        found[:, :, side] = reduced.reduce(line.reshape(leads, bins, width), axis=2)
    return found


def widened(fine: NDArray[np.int16], bins: int) -> NDArray[np.int16]:
    """Extremes of bins `bins` times as wide: int16[lead, bin, 2] -> int16[lead, bin / bins, 2]."""
    grouped = fine.reshape(fine.shape[0], -1, bins, 2)
    return np.stack([grouped[..., 0].min(axis=2), grouped[..., 1].max(axis=2)], axis=2)
