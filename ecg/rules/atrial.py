"""Atrial fibrillation and flutter from intervals between normal beats.

Each interval is compared with the 24 before it: a bit per neighbour, set where both are alike. From the bits come, over
the last 48 intervals, the sample entropy (Richman, Moorman 2000; for AF Lake, Moorman 2011), how many intervals
resemble none of the four before (which bigeminy, trigeminy and quadrigeminy do), and turning points (Dash 2009). A
logistic regression weighs them, with hysteresis. Intervals at ventricular beats are left out. Onset and offset are
where the irregular and the regular part of the window divide best, so they lie before the moment of telling.
"""

import math
from itertools import compress
from operator import add, itemgetter, sub

from ecg.findings import Finding
from ecg.rhythms import limit
from ecg.rules.tracker import Tracker, begin, end

LAGS = 24  # intervals each is compared with
NEAR = 0.06  # of the mean interval: alike; widest sinus arrhythmia from beat to beat, and the recorder's 8 ms
MEAN_OVER = 8  # intervals whose mean is the unit
WINDOW = int(limit("atrial-fibrillation", "intervals"))
LEAST = int(limit("atrial-fibrillation", "least_intervals"))
# (onset, offset, share alone) of a full window, and of a stretch that is still short: it is judged by what there is
_FULL, _SHORT = (
    tuple(
        limit("atrial-fibrillation", kind + name) for name in ("onset_logit", "offset_logit", "alone_share")
    )
    for kind in ("", "short_")
)
_SHORT_S = limit("atrial-fibrillation", "short_s")
_STALE_S = limit("atrial-fibrillation", "stale_s")
_FLUTTER_LOW, _FLUTTER_HIGH = (limit("atrial-flutter", name) for name in ("rate_bpm", "most_rate_bpm"))
_FLUTTER_SPREAD = limit("atrial-flutter", "spread")
EVEN = 1.5  # of four neighbours unlike: between a regular rhythm (0 to 1) and AF (2.5 to 4)

# Columns of `Tracker.nn`; those up to STEP are summed over the window.
(
    RR,
    NEIGHBOURS,
    ALIKE,
    ALIKE_TWICE,
    UNLIKE_1,
    UNLIKE_2,
    UNLIKE_3,
    UNLIKE_4,
    ALONE,
    TURNS,
    STEP,
    SAMPLE,
    MASK,
) = range(13)
SUMMED = STEP + 1
# [neighbours known][bits]: unlike the one, two, three, four before, and unlike all four; 0 where there is none
_UNLIKE = tuple(
    tuple(
        (*(int(lag < known and not bits >> lag & 1) for lag in range(4)), int(known == 4 and not bits))
        for bits in range(16)
    )
    for known in range(5)
)
_RR_OF, _BITS = itemgetter(RR), tuple(1 << lag for lag in range(LAGS))
RANDOM_TURNS = 2 / 3  # share of turning points in a series without order (Kendall)

# Sample entropy, least share unlike at one lag, nearness of turns to chance, rate in Hz:
# tools/train_rhythms.py, docs/models/rhythms.md.
START = -7.686
WEIGHTS = (-1.994, 2.693, 4.159, 1.843)


def forget(t: Tracker) -> None:
    """After an unreadable stretch no interval is known."""
    t.nn.clear()
    t.nn_totals = [0] * SUMMED
    t.is_nn_young = True


def interval(t: Tracker) -> bool:
    """Take the newest interval if it lies between two normal beats; whether it did."""
    if len(t.beats) < 2 or t.classes[-1] not in "NS" or t.classes[-2] not in "NS":
        return False
    rr = t.beats[-1] - t.beats[-2]
    before = list(map(_RR_OF, t.nn[: -LAGS - 1 : -1]))
    known = [rr, *before[: MEAN_OVER - 1]]
    near = NEAR * sum(known) / len(known)
    low, high = rr - near, rr + near
    mask = sum(compress(_BITS, [low < one < high for one in before]))
    last = t.nn[-1] if t.nn else None
    row = (
        rr, len(before), mask.bit_count(), (mask & last[MASK]).bit_count() if last else 0,
        *_UNLIKE[min(len(before), 4)][mask & 15],
        int(len(before) > 1 and (before[0] - before[1]) * (rr - before[0]) < 0),
        abs(rr - before[0]) if before else 0, t.beats[-2], mask,
    )  # fmt: skip
    t.nn.append(row)
    totals = t.nn_totals or [0] * SUMMED
    if len(t.nn) > WINDOW:
        old = t.nn.pop(0)
        totals = list(map(sub, totals, old))
        t.is_nn_young = False
    t.nn_totals = list(map(add, totals, row))
    return True


def features(t: Tracker) -> tuple[float, ...]:
    """What the weights weigh, over the intervals known."""
    s, count, young = t.nn_totals, len(t.nn), t.is_nn_young  # the first ones of a stretch lack neighbours
    return (
        math.log((s[ALIKE_TWICE] + 1) / (s[ALIKE] + 1)),
        min(s[UNLIKE_1 + lag] / (count - young * (lag + 1)) for lag in range(4)),
        RANDOM_TURNS - abs(s[TURNS] / count - RANDOM_TURNS),
        min(3.0, count * t.fs_hz / s[RR]),
    )


def logit(t: Tracker) -> float:
    return START + sum(w * f for w, f in zip(WEIGHTS, features(t), strict=True))


def on_beat(t: Tracker, told: list[Finding]) -> None:
    rule = "atrial-fibrillation"
    e = t.open.get(rule)
    if not interval(t):
        if e is not None and t.beats[-1] - e.last > _STALE_S * t.fs_hz:
            end(t, told, rule, e.last)
        return
    if len(t.nn) < LEAST:
        return
    if "atrial-flutter" in t.open or t.nn_totals[STEP] <= _FLUTTER_SPREAD * t.nn_totals[RR]:
        _flutter(t, told)
    share = t.nn_totals[ALONE] / (len(t.nn) - 4 * t.is_nn_young)
    is_short = t.is_nn_young and t.beats[-1] - t.nn[0][SAMPLE] <= _SHORT_S * t.fs_hz
    limits = _SHORT if is_short else _FULL
    if share >= limits[2] and logit(t) > limits[e is not None]:
        onset = max(t.fibrillated_until, _divide(t, 1.0)) if e is None else e.onset
        length_s = (t.beats[-1] - onset) / t.fs_hz
        rate = 60.0 * len(t.nn) * t.fs_hz / t.nn_totals[RR]
        numbers = {
            "irregular_share": round(share, 3),
            "rate_bpm": round(rate, 1),
            "length_s": round(length_s, 1),
        }
        begin(t, told, rule, onset, numbers)
        t.open[rule].last = t.beats[-1]
    elif e is not None:
        offset = t.fibrillated_until = max(e.onset, _divide(t, -1.0))
        e.numbers["length_s"] = round((offset - e.onset) / t.fs_hz, 1)
        end(t, told, rule, offset)


def _divide(t: Tracker, sign: float) -> int:
    """Sample at which the irregular (sign 1) or regular (sign -1) newest part of the window begins: the suffix with
    the greatest sum of unlikeness above or below what divides them.
    """
    best, total, place = 0.0, 0.0, len(t.nn) - 1
    for k in range(len(t.nn) - 1, -1, -1):
        row = t.nn[k]
        lags = min(4, row[NEIGHBOURS])
        total += sign * (sum(row[UNLIKE_1 : UNLIKE_1 + lags]) * 4 / lags - EVEN) if lags else 0.0
        if total >= best:
            best, place = total, k
    return t.nn[place][SAMPLE]


def _flutter(t: Tracker, told: list[Finding]) -> None:
    """Regular conduction 2:1: about 150/min, as even as no sinus node is."""
    rule, e = "atrial-flutter", t.open.get("atrial-flutter")
    s, count = t.nn_totals, len(t.nn)
    rate = 60.0 * count * t.fs_hz / s[RR]
    if count == WINDOW and _FLUTTER_LOW <= rate <= _FLUTTER_HIGH and s[STEP] <= _FLUTTER_SPREAD * s[RR]:
        begin(t, told, rule, t.nn[0][SAMPLE] if e is None else e.onset, {"rate_bpm": round(rate, 1)})
        t.open[rule].last = t.beats[-1]
    elif e is not None:
        end(t, told, rule, e.last)
