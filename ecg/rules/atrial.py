"""Atrial fibrillation and flutter from intervals between normal beats.

A logistic regression weighs what `ecg.rules.intervals` says of the order in the last 48, with hysteresis. Intervals at
ventricular beats are left out. Onset and offset are where the irregular and the regular part of the window divide best,
so they lie before the moment of telling.
"""

from ecg.findings import Finding
from ecg.rhythms import limit
from ecg.rules import intervals
from ecg.rules.intervals import WINDOW, Intervals
from ecg.rules.tracker import Tracker, begin, end

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

# Sample entropy, least share unlike at one lag, nearness of turns to chance, rate in Hz:
# tools/train_rhythms.py, docs/models/rhythms.md.
START = -7.686
WEIGHTS = (-1.994, 2.693, 4.159, 1.843)


def forget(t: Tracker) -> None:
    """After an unreadable stretch no interval is known."""
    t.intervals = Intervals()


def interval(t: Tracker) -> bool:
    """Take the newest interval if it lies between two normal beats; whether it did."""
    beats, classes = t.beats, t.classes
    if len(beats) < 2 or classes[-1] not in "NS" or classes[-2] not in "NS":
        return False
    intervals.take(t.intervals, beats[-1] - beats[-2], beats[-2])
    return True


def logit(t: Tracker) -> float:
    features = intervals.features(t.intervals, t.fs_hz)
    return START + sum(w * f for w, f in zip(WEIGHTS, features, strict=True))


def on_beat(t: Tracker, told: list[Finding]) -> None:
    rule = "atrial-fibrillation"
    e = t.open.get(rule)
    if not interval(t):
        if e is not None and t.beats[-1] - e.last > _STALE_S * t.fs_hz:
            end(t, told, rule, e.last)
        return
    v = t.intervals
    if len(v.since) < LEAST:
        return
    if "atrial-flutter" in t.open or v.step_total <= _FLUTTER_SPREAD * v.rr_total:
        _flutter(t, told)
    share = intervals.alone_share(v)
    is_short = intervals.is_young(v) and t.beats[-1] - v.since[0] <= _SHORT_S * t.fs_hz
    limits = _SHORT if is_short else _FULL
    if share >= limits[2] and logit(t) > limits[e is not None]:
        onset = max(t.fibrillated_until, _divide(t, 1.0)) if e is None else e.onset
        length_s = (t.beats[-1] - onset) / t.fs_hz
        rate = 60.0 * len(v.since) * t.fs_hz / v.rr_total
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
    v = t.intervals
    best, total, begins = 0.0, 0.0, v.since[-1]
    for back, sample in enumerate(reversed(v.since)):
        count, lags = intervals.unlike(v, back)
        total += sign * (count * 4 / lags - EVEN) if lags else 0.0
        if total >= best:
            best, begins = total, sample
    return begins


def _flutter(t: Tracker, told: list[Finding]) -> None:
    """Regular conduction 2:1: about 150/min, as even as no sinus node is."""
    rule, e = "atrial-flutter", t.open.get("atrial-flutter")
    v = t.intervals
    count = len(v.since)
    rate = 60.0 * count * t.fs_hz / v.rr_total
    is_even = v.step_total <= _FLUTTER_SPREAD * v.rr_total
    if count == WINDOW and _FLUTTER_LOW <= rate <= _FLUTTER_HIGH and is_even:
        begin(t, told, rule, v.since[0] if e is None else e.onset, {"rate_bpm": round(rate, 1)})
        t.open[rule].last = t.beats[-1]
    elif e is not None:
        end(t, told, rule, e.last)
