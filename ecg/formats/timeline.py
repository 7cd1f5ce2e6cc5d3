"""What formats tell of time, made one: instants with a zone, pieces with gaps between them, rates as fractions."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from fractions import Fraction

import numpy as np

from ecg.formats.invalid import InvalidRecord
from ecg.record import Lead, Record, Samples

# Gaps are filled so that index / fs_hz is time. Filled, all leads have at most this many samples (25 h of 3 leads of
# 500 Hz) or four times those that are stored; more is no gap but a damaged time.
MAX_FILLED = 1 << 27


def instant(zone: tzinfo, *fields: int) -> datetime | None:
    """Year to microsecond as an instant; None for a date that does not exist (recorders write zeros)."""
    try:
        return datetime(*fields, tzinfo=zone)  # type: ignore[misc,arg-type]
    except (ValueError, OverflowError):
        return None


def local(at: datetime, zone: tzinfo) -> datetime:
    """The wall clock of `zone`, for formats that keep no zone."""
    return (at if at.tzinfo is None else at.astimezone(zone)).replace(tzinfo=None)


def rate(fs_hz: float) -> Fraction:
    """The rate as a ratio of integers; recorders have clocks of at most six decimals."""
    ratio = Fraction(fs_hz).limit_denominator(1_000_000)
    if ratio <= 0 or abs(float(ratio) - fs_hz) > 1e-9 * fs_hz:
        raise ValueError(f"{fs_hz} Hz is no rate of samples")
    return ratio


def place(
    pieces: Sequence[tuple[int, Samples]], length: int, leads: int, fill: int | None = None
) -> tuple[Samples, int | None]:
    """Pieces by first index laid on one axis of `length`; what lies between them is filled.

    `leads` is how many leads will be laid out like this one; `fill` the lead's code of missing samples, if it has
    one; else a value that no sample has. Returned with the code that holds afterwards.
    """
    if length * leads > max(MAX_FILLED, 4 * leads * sum(len(piece) for _, piece in pieces)):
        raise InvalidRecord(f"{length} samples with the gaps filled", None, "one of its times is damaged")
    dtype = np.result_type(*(piece.dtype for _, piece in pieces))
    if sum(len(piece) for _, piece in pieces) >= length:
        return np.concatenate([piece for _, piece in pieces])[:length].astype(dtype), fill
    missing = fill if fill is not None else unused(np.concatenate([piece for _, piece in pieces]))
    if missing is None or not np.iinfo(dtype).min <= missing <= np.iinfo(dtype).max:
        dtype, missing = np.dtype(np.int32), -(2**31)
    samples = np.full(length, missing, dtype)
    for first, piece in pieces:
        samples[first : first + len(piece)] = piece[: max(0, length - first)]
    return samples, missing


def unused(samples: Samples) -> int | None:
    """An integer of the same type that no sample has, the least possible first; None if all are in use."""
    limits = np.iinfo(samples.dtype)
    for value in (limits.min, limits.max):
        if not (samples == value).any():
            return int(value)
    used = np.unique(samples).astype(np.int64)
    steps = np.flatnonzero(np.diff(used) > 1)
    return int(used[steps[0]]) + 1 if len(steps) else None


def between(pieces: Sequence[tuple[int, int]], length: int) -> tuple[tuple[int, int], ...]:
    """The gaps that [first, last) stretches in order leave on an axis of `length`."""
    gaps, at = [], 0
    for first, last in [*pieces, (length, length)]:
        if first > at:
            gaps.append((at, first))
        at = max(at, last)
    return tuple(gaps)


def union(stretches: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Overlapping or touching stretches made one, in order, empty ones left out."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if first >= last:
            continue
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def shared(filters: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    """What the filters of all leads agree upon; None if that is nothing."""
    agreed = {k: v for k, v in filters[0].items() if all(f.get(k) == v for f in filters)} if filters else {}
    return agreed or None


def one_rate(record: Record, what: str) -> tuple[float, int]:
    """Rate and length of a record whose leads go together; ValueError names the format that asks for it."""
    groups = {(lead.fs_hz, len(lead.samples)) for lead in record.leads}
    if len(groups) != 1:
        raise ValueError(f"{what} holds leads of one rate and length")
    return groups.pop()


def narrow(samples: Samples) -> Samples:
    """int16 where all samples fit, else int32."""
    fits = samples.size == 0 or (samples.min() >= -32768 and samples.max() <= 32767)
    return samples.astype(np.int16) if fits else samples.astype(np.int32)


def centred(lead: Lead, what: str) -> Lead:
    """The lead itself if its zero is 0; formats without an offset can't keep another."""
    if lead.offset:
        raise ValueError(f"{what} keeps no offset, lead {lead.code} has {lead.offset}")
    return lead
