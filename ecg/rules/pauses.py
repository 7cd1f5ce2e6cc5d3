"""Pauses and asystole, and the beats that seem to be missing in between (AV or SA block suspected)."""

from itertools import pairwise

from ecg.findings import Finding, Priority
from ecg.rhythms import limit
from ecg.rules.tracker import Tracker, begin, end

_RR_S = limit("pause", "rr_s")
_GRADES_S = tuple(limit("pause", name) for name in ("rr_s", "notable_rr_s", "medium_rr_s"))
_MEDIUM_S = limit("pause", "medium_rr_s")
_AF_S = limit("pause", "af_rr_s")
_QUIET_S = limit("asystole", "quiet_s")
_ESCAPE_S = limit("ventricular-escape", "rr_s")
_BLOCK_LEAST, _BLOCK_MOST = limit("av-block", "least_ratio"), limit("av-block", "most_ratio")
_BLOCK_REGULAR = limit("av-block", "regular_share")
_BLOCK_BEATS, _BLOCK_S = int(limit("av-block", "dropped_beats")), limit("av-block", "window_s")
_REGULAR_BEFORE = 3


def on_beat(t: Tracker, told: list[Finding]) -> None:
    if "asystole" in t.open:
        e = t.open["asystole"]
        e.numbers = {"longest_rr_s": round((t.beats[-1] - e.onset) / t.fs_hz, 3)}
        end(t, told, "asystole", t.beats[-1])
    elif len(t.beats) > 1:
        rr_s = (t.beats[-1] - t.beats[-2]) / t.fs_hz
        if rr_s >= _RR_S:
            _pause(t, told, rr_s)
    on_classes(t, told)


def on_classes(t: Tracker, told: list[Finding]) -> None:
    """What depends on what kind of beat ended the interval."""
    beats = t.beats
    if len(beats) > 1 and t.classes[-1] == "V" and t.classes[-2] != "V":
        rr_s = (beats[-1] - beats[-2]) / t.fs_hz
        if rr_s >= _ESCAPE_S:
            begin(t, told, "ventricular-escape", t.beats[-2], {"longest_rr_s": round(rr_s, 3)})
            end(t, told, "ventricular-escape", t.beats[-1])
    is_long = len(beats) > 2 and beats[-1] - beats[-2] >= _BLOCK_LEAST * (beats[-2] - beats[-3])
    if is_long or t.dropped or t.open:
        _dropped(t, told)


def _pause(t: Tracker, told: list[Finding], rr_s: float) -> None:
    numbers = {"longest_rr_s": round(rr_s, 3)}
    if rr_s >= _QUIET_S:  # it ended within the half second in which it became one
        begin(t, told, "asystole", t.beats[-2], numbers, "high")
        end(t, told, "asystole", t.beats[-1])
        return
    fibrillating = "atrial-fibrillation" in t.open
    numbers["grade_s"] = max(grade for grade in _GRADES_S if rr_s >= grade)
    urgent: Priority | None = "medium" if rr_s >= _MEDIUM_S else None
    begin(t, told, "pause", t.beats[-2], numbers, urgent, "atrial fibrillation" if fibrillating else "")
    end(t, told, "pause", t.beats[-1])


def on_hop(t: Tracker, told: list[Finding], now: int) -> None:
    """Silence is judged twice a second, while an electrode is on and a lead readable; VF is no silence."""
    quiet_s = (now - t.quiet_since) / t.fs_hz
    if quiet_s < _QUIET_S or "ventricular-fibrillation" in t.open:
        return
    numbers = {"longest_rr_s": round(quiet_s, 3)}
    begin(t, told, "asystole", t.quiet_since, numbers, "high", _asystole_note(t, quiet_s))


def _asystole_note(t: Tracker, quiet_s: float) -> str:
    return "atrial fibrillation" if quiet_s >= _AF_S and "atrial-fibrillation" in t.open else ""


def _dropped(t: Tracker, told: list[Finding]) -> None:
    """An interval of about two regular ones, between normal beats: a P wave without QRS, or none at all."""
    window, now = _BLOCK_S * t.fs_hz, t.beats[-1]
    while t.dropped and now - t.dropped[0] > window:
        del t.dropped[0]
    if len(t.beats) > _REGULAR_BEFORE + 1 and "atrial-fibrillation" not in t.open and _misses_one(t):
        t.dropped.append(now)
        del t.dropped[: -4 * _BLOCK_BEATS]
    if len(t.dropped) >= _BLOCK_BEATS:
        e = t.open.get("av-block")
        count = len(t.dropped) if e is None else int(e.numbers["dropped_beats"]) + (t.dropped[-1] == now)
        begin(t, told, "av-block", t.dropped[0], {"dropped_beats": float(count)})
        t.open["av-block"].last = t.dropped[-1]
    elif "av-block" in t.open:
        end(t, told, "av-block", t.open["av-block"].last)


def _misses_one(t: Tracker) -> bool:
    rr = t.beats[-1] - t.beats[-2]
    before = t.beats[-2] - t.beats[-3]
    if not _BLOCK_LEAST * before <= rr <= _BLOCK_MOST * before or t.classes[-5:].count("N") < 5:
        return False
    known = t.beats[-2 - _REGULAR_BEFORE : -1]
    usual = (known[-1] - known[0]) / _REGULAR_BEFORE
    return all(abs(b - a - usual) <= _BLOCK_REGULAR * usual for a, b in pairwise(known))
