"""Rhythm scores after ANSI/AAMI EC57 (4.4, 4.5): by duration, by windows of five seconds, and false alarms.

Spans are pairs of seconds [begin, end). Pure: who calls reads the references.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Span = tuple[float, float]
TICK_S = 0.1  # durations are counted in steps of this


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
