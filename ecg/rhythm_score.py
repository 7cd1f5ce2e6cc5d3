"""Rhythm scores after ANSI/AAMI EC57 (4.4, 4.5): by episode, by duration, by windows of five seconds, false alarms.

Spans are pairs of seconds [begin, end). Pure: who calls reads the references.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Span = tuple[float, float]
Row = tuple[int, str, str]  # an annotation: sample, symbol, note
TICK_S = 0.1  # durations are counted in steps of this
NOTES = {"af": frozenset({"(AFIB", "(AFL"}), "vf": frozenset({"(VF", "(VFIB", "(VFL"})}
PARTS = ("true_s", "missed_s", "false_s", "other_s", "episodes", "episodes_found", "calls", "calls_true")
COUNTS = tuple(f"{what}_{part}" for what in NOTES for part in PARTS)


@dataclass(frozen=True)
class Counts:
    """Of seconds or of windows."""

    hit: float = 0.0
    missed: float = 0.0
    false: float = 0.0
    true_negative: float = 0.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.hit + other.hit,
            self.missed + other.missed,
            self.false + other.false,
            self.true_negative + other.true_negative,
        )

    @property
    def sensitivity_pct(self) -> float | None:
        of = self.hit + self.missed
        return round(100.0 * self.hit / of, 2) if of else None

    @property
    def specificity_pct(self) -> float | None:
        of = self.false + self.true_negative
        return round(100.0 * self.true_negative / of, 2) if of else None


def percent(hit: float, of: float) -> float | None:
    return round(100.0 * hit / of, 3) if of else None


def spans_of(rows: Sequence[Row], what: str, fs_hz: float, length_s: float) -> list[Span]:
    """Where annotations tell of AF or of VF; VF also stands between `[` and `]`. Overlapping ones are one."""
    marks = [(sample / fs_hz, note) for sample, symbol, note in rows if symbol == "+"]
    found = [(a[0], b[0]) for a, b in pairwise([*marks, (length_s, "")]) if a[1] in NOTES[what]]
    if what == "vf":
        ends = [sample / fs_hz for sample, symbol, _ in rows if symbol == "]"]
        begins = (sample / fs_hz for sample, symbol, _ in rows if symbol == "[")
        found += [(a, next((end_s for end_s in ends if end_s >= a), length_s)) for a in begins]
    merged: list[Span] = []
    for begin_s, end_s in sorted(found):
        if merged and begin_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end_s, merged[-1][1]))
        else:
            merged.append((begin_s, end_s))
    return merged


def count(
    reference: Sequence[Row], called: Sequence[Row], fs_hz: float, length_s: float, skipped_s: float
) -> dict[str, float]:
    """COUNTS of a record from which the first seconds are left out; an episode is found if any of it is called."""
    out: dict[str, float] = {}
    for what in NOTES:
        true, test = (
            [(max(a, skipped_s), b) for a, b in spans_of(rows, what, fs_hz, length_s) if b > skipped_s]
            for rows in (reference, called)
        )
        time = by_duration(true, test, length_s, [(0.0, skipped_s)])
        found = (
            len(true),
            len(true) - len(unexplained(true, test)),
            len(test),
            len(test) - len(unexplained(test, true)),
        )
        parts = (time.hit, time.missed, time.false, time.true_negative, *found)
        out |= {f"{what}_{part}": round(value, 1) for part, value in zip(PARTS, parts, strict=True)}
    return out


def rates(counts: Mapping[str, float]) -> dict[str, float | None]:
    """Sensitivity, positive predictivity and specificity in percent; None where there is nothing to count."""
    out: dict[str, float | None] = {}
    for what in NOTES:
        true_s, missed_s, false_s, other_s, episodes, found, calls, calls_true = (
            counts[f"{what}_{part}"] for part in PARTS
        )
        out[f"{what}_episode_se_pct"] = percent(found, episodes)
        out[f"{what}_episode_ppv_pct"] = percent(calls_true, calls)
        out[f"{what}_duration_se_pct"] = percent(true_s, true_s + missed_s)
        out[f"{what}_duration_ppv_pct"] = percent(true_s, true_s + false_s)
        out[f"{what}_duration_sp_pct"] = percent(other_s, other_s + false_s)
    return out


def covered(spans: Sequence[Span], length_s: float) -> NDArray[np.bool_]:
    """Which ticks of a record the spans cover."""
    out = np.zeros(round(length_s / TICK_S), bool)
    for begin_s, end_s in spans:
        out[max(0, round(begin_s / TICK_S)) : max(0, round(end_s / TICK_S))] = True
    return out


def by_duration(
    reference: Sequence[Span], called: Sequence[Span], length_s: float, ignored: Sequence[Span] = ()
) -> Counts:
    """Seconds of the rhythm that were called, missed, and called where it was not."""
    true, test = covered(reference, length_s), covered(called, length_s)
    counts = ~covered(ignored, length_s)
    return Counts(*(TICK_S * float((part & counts).sum()) for part in (
        true & test, true & ~test, ~true & test, ~true & ~test
    )))  # fmt: skip


def by_window(labelled: Sequence[tuple[float, float, bool]], called: Sequence[Span]) -> Counts:
    """Windows (begin, end, is it the rhythm); a window is called if half of it or more is."""
    length_s = max((end for _, end, _ in labelled), default=0.0)
    test = covered(called, length_s)
    out = Counts()
    for begin_s, end_s, true in labelled:
        own = test[round(begin_s / TICK_S) : round(end_s / TICK_S)]
        is_called = 2 * int(own.sum()) >= len(own)
        out += Counts(
            true and is_called, true and not is_called, not true and is_called, not (true or is_called)
        )
    return out


def unexplained(alarms: Sequence[Span], reference: Sequence[Span]) -> list[Span]:
    """Alarms that overlap nothing of the reference: false ones."""
    return [a for a in alarms if not any(a[0] < end and begin < a[1] for begin, end in reference)]
