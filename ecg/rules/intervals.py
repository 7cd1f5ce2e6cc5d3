"""How much order there is in the newest intervals between normal beats.

Each interval is compared with the 24 before it: a bit per neighbour, set where both are alike. From the bits come, over
the last 48 intervals, the sample entropy (Richman, Moorman 2000; for AF Lake, Moorman 2011), how many intervals
resemble none of the four before (which bigeminy, trigeminy and quadrigeminy do), and turning points (Dash 2009). What
tells at once that there is order is kept up to date with each interval; the rest is made good when it is asked for.
"""

import math
from dataclasses import dataclass, field
from itertools import compress

from ecg.rhythms import limit

LAGS = 24  # intervals each is compared with
NEAR = 0.06  # of the mean interval: alike; widest sinus arrhythmia from beat to beat, and the recorder's 8 ms
MEAN_OVER = 8  # intervals whose mean is the unit
WINDOW = int(limit("atrial-fibrillation", "intervals"))
KEPT = WINDOW + LAGS + 1  # so that each of the window and the one before it have all their neighbours
SHORT_LAGS = 4
RANDOM_TURNS = 2 / 3  # share of turning points in a series without order (Kendall)

# Marks of an interval: unlike the one, two, three, four before (a bit each), unlike all four, turning point before it.
MARKS = 6
ALONE, TURN = 16, 32
_BITS = tuple(1 << lag for lag in range(LAGS))
_EACH = sum(1 << MARKS * place for place in range(WINDOW))
_ALONE, _TURN = _EACH * ALONE, _EACH * TURN
_UNLIKE = tuple(_EACH << lag for lag in range(SHORT_LAGS))
_ALL = (1 << MARKS * WINDOW) - 1


@dataclass(slots=True)
class Intervals:
    """The newest ones, in samples; sums and marks are over the last WINDOW, or as many as are known."""

    rr: list[int] = field(default_factory=list)  # the newest KEPT
    since: list[int] = field(default_factory=list)  # sample at which each of the window begins
    rr_total: int = 0
    step_total: int = 0  # of the changes from one to the next
    marks: int = 0  # MARKS bits each, the newest lowest
    behind: int = 0  # newest intervals that are not compared with all their neighbours yet
    last_alike: int = 0  # bits of the newest that is
    alike: list[int] = field(default_factory=list)  # neighbours alike, of each of the window that is compared
    twice: list[int] = field(
        default_factory=list
    )  # those of them that are alike for the interval before, too


def copied(v: Intervals) -> Intervals:
    return Intervals(
        v.rr[:], v.since[:], v.rr_total, v.step_total, v.marks, v.behind, v.last_alike, v.alike[:], v.twice[:]
    )


def is_young(v: Intervals) -> bool:
    """Whether the window goes back to the stretch's first interval."""
    return len(v.rr) <= WINDOW


def take(v: Intervals, rr: int, since: int) -> None:
    """One interval more, which began at that sample."""
    known, count, mark = v.rr, len(v.rr), 0
    own = known[1 - MEAN_OVER :]
    near = NEAR * (rr + sum(own)) / (len(own) + 1)
    low, high = rr - near, rr + near
    newest = own[-SHORT_LAGS:]
    if newest and not (low < min(newest) and max(newest) < high):
        mark = sum(bit for bit, one in zip(_BITS, reversed(newest), strict=False) if not low < one < high)
        if mark == ALONE - 1:
            mark |= ALONE
    if count:
        last = own[-1]
        v.step_total += abs(rr - last)
        if count > 1 and (last - own[-2]) * (rr - last) < 0:
            mark |= TURN
    v.rr_total += rr
    v.marks = (v.marks << MARKS | mark) & _ALL
    v.behind += 1
    known.append(rr)
    v.since.append(since)
    if count >= WINDOW:
        old = known[-WINDOW - 1]
        v.rr_total -= old
        if count > WINDOW:
            v.step_total -= abs(old - known[-WINDOW - 2])
        del v.since[0]
        if count >= KEPT:
            del known[0]


def alone_share(v: Intervals) -> float:
    """Of the intervals that have four before them those unlike all four."""
    alone = (v.marks & _ALONE).bit_count()
    return alone / (len(v.since) - SHORT_LAGS * is_young(v))


def unlike(v: Intervals, back: int) -> tuple[int, int]:
    """Of the interval so many before the newest: how many of the four before it are unlike, and how many are known."""
    lags = min(SHORT_LAGS, len(v.rr) - 1 - back)
    return (v.marks >> MARKS * back & (ALONE - 1)).bit_count(), lags


def _compared(v: Intervals, place: int) -> int:
    """The bits of the interval at this place of `rr`: which neighbours are alike."""
    rr, before = v.rr[place], v.rr[max(0, place - LAGS) : place][::-1]
    known = [rr, *before[: MEAN_OVER - 1]]
    near = NEAR * sum(known) / len(known)
    low, high = rr - near, rr + near
    return sum(compress(_BITS, [low < one < high for one in before]))


def _catch_up(v: Intervals) -> None:
    """Compare what is not compared yet; nothing older than the window is needed but the bits before its first."""
    count, end = len(v.since), len(v.rr)
    if v.behind >= count:
        v.behind = count
        v.alike.clear()
        v.twice.clear()
        v.last_alike = _compared(v, end - count - 1) if end > count else 0
    for place in range(end - v.behind, end):
        bits = _compared(v, place)
        v.alike.append(bits.bit_count())
        v.twice.append((bits & v.last_alike).bit_count())
        v.last_alike = bits
    v.behind = 0
    del v.alike[:-count], v.twice[:-count]


def features(v: Intervals, fs_hz: int) -> tuple[float, float, float, float]:
    """Sample entropy, least share unlike at one lag, nearness of turns to chance, rate in Hz."""
    _catch_up(v)
    count, young = len(v.since), is_young(v)  # the first ones of a stretch lack neighbours
    turns = (v.marks & _TURN).bit_count()
    return (
        math.log((sum(v.twice) + 1) / (sum(v.alike) + 1)),
        min((v.marks & bits).bit_count() / (count - young * (lag + 1)) for lag, bits in enumerate(_UNLIKE)),
        RANDOM_TURNS - abs(turns / count - RANDOM_TURNS),
        min(3.0, count * fs_hz / v.rr_total),
    )
