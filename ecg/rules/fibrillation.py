"""Ventricular fibrillation, flutter and fast tachycardia from the signal, whatever the beat detector makes of it."""

import math
from collections.abc import Sequence
from itertools import pairwise

from ecg.findings import Finding, Priority
from ecg.rhythms import limit
from ecg.rules.tracker import Tracker, begin, end

_BEGIN, _END = (
    limit("ventricular-fibrillation", "onset_logit"),
    limit("ventricular-fibrillation", "offset_logit"),
)
_HOPS = int(limit("ventricular-fibrillation", "half_seconds"))
_CENTRE_S = limit("ventricular-fibrillation", "window_s") / 2  # a window that has just turned is half full
_REGULAR = limit("ventricular-tachycardia", "regular_share")
_NEAR = limit("ventricular-tachycardia", "near_share")
_LEAST_BPM, _MOST_BPM = (limit("ventricular-tachycardia", name) for name in ("rate_bpm", "most_rate_bpm"))
_HIGH_BPM, _HIGH_BEATS, _HIGH_S = (
    limit("ventricular-tachycardia", name) for name in ("high_rate_bpm", "high_beats", "high_length_s")
)
KNOWN = 6  # intervals that tell whether it is regular


def on_hop(t: Tracker, told: list[Finding], now: int) -> None:
    """Half a second more: `t.likeness[0]` is the logit of the five seconds that end with it, nan if unknown."""
    logit = t.likeness.pop(0) if t.likeness else math.nan
    if math.isnan(logit):
        return
    is_open = bool(t.open) and ("ventricular-fibrillation" in t.open or "ventricular-tachycardia" in t.open)
    if logit > (_END if is_open else _BEGIN):
        t.swinging = max(t.swinging, 0) + 1
        if is_open or t.swinging >= _HOPS:
            _go_on(t, told, now, is_open)
    else:
        t.swinging = t.swinging - 1 if t.swinging < 0 else -1
        if is_open and t.swinging <= -_HOPS:
            forget(t, told, now - round((_CENTRE_S + 0.5 * (_HOPS - 1)) * t.fs_hz))


def forget(t: Tracker, told: list[Finding], offset: int) -> None:
    """Nothing is known any more, or it is over."""
    t.swinging = 0
    end(t, told, "ventricular-fibrillation", offset)
    end(t, told, "ventricular-tachycardia", offset)


def _go_on(t: Tracker, told: list[Finding], now: int, is_open: bool) -> None:
    onset = max(0, now - round((_CENTRE_S + 0.5 * (_HOPS - 1)) * t.fs_hz))
    tachycardia = t.open.get("ventricular-tachycardia")
    rate_bpm = regular_rate_bpm(t.beats, now, t.fs_hz)
    if "ventricular-fibrillation" in t.open or rate_bpm is None:
        if tachycardia is not None:
            end(t, told, "ventricular-tachycardia", onset)
        fibrillation = t.open.get("ventricular-fibrillation")
        since = onset if fibrillation is None else fibrillation.onset
        length_s = round((now - since) / t.fs_hz, 1)
        begin(t, told, "ventricular-fibrillation", since, {"length_s": length_s}, "high")
        return
    since = onset if tachycardia is None else tachycardia.onset
    length_s = (now - since) / t.fs_hz
    numbers = {"rate_bpm": round(rate_bpm, 1), "length_s": round(length_s, 1)}
    begin(t, told, "ventricular-tachycardia", since, numbers, _urgency(rate_bpm, length_s))


def _urgency(rate_bpm: float, length_s: float) -> Priority:
    many = length_s * rate_bpm / 60.0 >= _HIGH_BEATS
    return "high" if (rate_bpm >= _HIGH_BPM and many) or length_s >= _HIGH_S else "medium"


def regular_rate_bpm(beats: Sequence[int], now: int, fs_hz: int) -> float | None:
    """The rate, if the newest of these samples come regularly and at a rate of tachycardia."""
    known = beats[-KNOWN - 1 :]
    if len(known) <= KNOWN or now - known[0] > 2 * _CENTRE_S * fs_hz:
        return None
    rr = sorted(b - a for a, b in pairwise(known))
    usual = rr[KNOWN // 2]
    near = sum(abs(one - usual) <= _NEAR * usual for one in rr)
    rate_bpm = 60.0 * fs_hz / usual if usual else math.inf
    return rate_bpm if near >= _REGULAR * KNOWN and _LEAST_BPM < rate_bpm <= _MOST_BPM else None
