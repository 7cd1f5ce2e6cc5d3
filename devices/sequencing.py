"""Which samples are there: arithmetic of half-open sample ranges, the loss ledger, a device's clock.

The ledger of one (recording, boot) answers the second law of data: produced = stored + declared gaps
(+ not yet known). It is a value; packets and events in any order, any number of times, lead to the same one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from devices.fields import MAX_RANGES, Range

Ranges = tuple[Range, ...]  # sorted, disjoint, not touching, none empty

CLOCK_WINDOW_S: Final = 600.0  # long enough that some packet came through without delay
MOST_DRIFT: Final = 500e-6  # of a cheap quartz, with room; what differs by more is late, not slow
JITTER_S: Final = 2.0  # of the quickest packets of ten minutes
DRIFT_FROM_S: Final = 1800.0  # below this, jitter says more than the quartz


def add(ranges: Ranges, first: int, end: int) -> Ranges:
    """`ranges` with [first, end) in it."""
    if first >= end:
        return ranges
    left = bisect_left(ranges, first, key=lambda r: r[1])  # the first that touches or lies behind
    right = bisect_right(ranges, end, key=lambda r: r[0])  # behind the last that touches
    if left < right:
        first, end = min(first, ranges[left][0]), max(end, ranges[right - 1][1])
    return (*ranges[:left], (first, end), *ranges[right:])


def union(ranges: Iterable[Range]) -> Ranges:
    """Any ranges, made sorted and disjoint."""
    merged: Ranges = ()
    for first, end in ranges:
        merged = add(merged, first, end)
    return merged


def subtract(ranges: Ranges, taken: Ranges) -> Ranges:
    """The part of `ranges` that is not in `taken`."""
    rest: list[Range] = []
    for first, end in ranges:
        at = first
        for taken_first, taken_end in taken[bisect_right(taken, first, key=lambda r: r[1]) :]:
            if taken_first >= end:
                break
            if taken_first > at:
                rest.append((at, taken_first))
            at = taken_end
        if at < end:
            rest.append((at, end))
    return tuple(rest)


def trim(stored: Ranges, first: int, end: int) -> Ranges:
    """What of an incoming [first, end) is new; empty for a duplicate."""
    return subtract(((first, end),), stored) if first < end else ()


def total(ranges: Ranges) -> int:
    """The number of samples in `ranges`."""
    if len(ranges) == 1:
        return ranges[0][1] - ranges[0][0]
    return sum(end - first for first, end in ranges)


class Ledger(NamedTuple):
    """One boot of one recording, as far as the hub knows."""

    stored: Ranges = ()  # committed
    oldest: int = 0  # the device no longer holds what is below: unstored samples there are declared gaps
    seen: int = 0  # the device produced at least this many
    final: int | None = None  # it produced this many, by its own word (`end`, or the next `boot`)


def receive(ledger: Ledger, first: int, end: int, oldest: int) -> tuple[Ledger, Ranges]:
    """Account for a packet [first, end); also returns what of it is new and must be stored."""
    stored, seen = ledger.stored, max(ledger.seen, end, oldest)
    new: Ranges
    if stored and stored[-1][1] == first < end:  # it goes on where the last one ended, as nearly always
        stored, new = (*stored[:-1], (stored[-1][0], end)), ((first, end),)
    else:
        stored, new = add(stored, first, end), trim(stored, first, end)
    return Ledger(stored, max(ledger.oldest, oldest), seen, ledger.final), new


def declare(ledger: Ledger, oldest: int) -> Ledger:
    """Account for the device's word that it no longer holds what is below `oldest`; the largest counts."""
    return ledger._replace(oldest=max(ledger.oldest, oldest), seen=max(ledger.seen, oldest))


def finish(ledger: Ledger, count: int) -> Ledger:
    """Account for the device's word that it produced `count` samples in this boot."""
    return ledger._replace(final=max(ledger.final or 0, count), seen=max(ledger.seen, count))


def produced(ledger: Ledger) -> int:
    """Samples produced; while `final` is None, produced so far as is known."""
    return ledger.seen


def gaps(ledger: Ledger) -> Ranges:
    """Declared gaps: below `oldest` and not stored. A late packet still shrinks them."""
    return trim(ledger.stored, 0, ledger.oldest)


def missing(ledger: Ledger) -> Ranges:
    """Produced, neither stored nor declared lost: to be waited or asked for."""
    if ledger.stored and ledger.stored[-1][0] <= ledger.oldest and ledger.stored[-1][1] == ledger.seen:
        return ()  # as nearly always
    return trim(ledger.stored, ledger.oldest, ledger.seen)


def next_sample(ledger: Ledger) -> int:
    """The first sample that is neither stored nor declared lost: what `ack` tells the device."""
    for first, end in ledger.stored:
        if first <= ledger.oldest < end:
            return end
    return ledger.oldest


def wanted(ledger: Ledger, limit: int = MAX_RANGES) -> Ranges:
    """The oldest missing ranges, as many as one acknowledgement carries."""
    return missing(ledger)[:limit]


def settled(ledger: Ledger) -> bool:
    """Every sample of this boot is accounted for, and the device has said how many there are."""
    return ledger.final is not None and not missing(ledger)


@dataclass(frozen=True, slots=True)
class Clock:
    """A device's clock against the hub's: hub time = device time + offset at `at_s`, drifting since."""

    at_s: float  # device time
    offset_s: float
    drift_ppm: float


def estimate_clock(pairs: Sequence[tuple[float, float]], window_s: float = CLOCK_WINDOW_S) -> Clock | None:
    """Estimate a clock from (device clock at sending, hub clock at reception) pairs.

    A message is late by any amount but never early, so the least difference within a window is the offset
    plus the quickest way through the network. A window that lies higher above another than a clock can drift
    holds late messages only (a backlog) and says nothing. The drift is the median slope between the earlier
    and the later half of the rest (after Theil and Sen), 0 while they span less than half an hour; the line
    is laid below all of them.
    """
    lowest: dict[int, tuple[float, float]] = {}
    for sent_s, received_s in pairs:
        window, offset_s = int(sent_s // window_s), received_s - sent_s
        if window not in lowest or offset_s < lowest[window][1]:
            lowest[window] = (sent_s, offset_s)
    points = _in_time(sorted(lowest.values()))
    if not points:
        return None
    half = len(points) // 2
    apart = list(zip(points[:half], points[len(points) - half :], strict=True))
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in apart if points[-1][0] - points[0][0] >= DRIFT_FROM_S]
    slope = min(max(median(slopes), -MOST_DRIFT), MOST_DRIFT) if slopes else 0.0
    at_s = points[-1][0]
    return Clock(at_s, min(offset + slope * (at_s - sent) for sent, offset in points), slope * 1e6)


def _in_time(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of the windows (clock, offset) that no other proves late, either way along the line."""
    kept = list(points)
    for order in (1, -1):
        least, rest = float("inf"), list[tuple[float, float]]()
        for at_s, offset_s in kept[::order]:
            along_s = order * at_s * MOST_DRIFT
            if offset_s - along_s <= least + JITTER_S:
                rest.append((at_s, offset_s))
            least = min(least, offset_s - along_s)
        kept = rest[::order]
    return kept


def to_hub_time_s(clock: Clock, device_time_s: float) -> float:
    """Apply a clock estimate to one instant."""
    return device_time_s + clock.offset_s + (device_time_s - clock.at_s) * clock.drift_ppm * 1e-6
