"""Runs of ectopic beats and their patterns: runs, couplets, bigeminy, trigeminy, escape and paced rhythm."""

from ecg.findings import Finding, Priority
from ecg.rhythms import limit
from ecg.rules.tracker import Tracker, begin, end

_BEATS = int(limit("ventricular-run", "beats"))
_RUN_BPM = limit("ventricular-run", "rate_bpm")
_MEDIUM_BEATS, _HIGH_BEATS = (int(limit("ventricular-run", name)) for name in ("medium_beats", "high_beats"))
_MEDIUM_BPM, _HIGH_BPM = (limit("ventricular-run", name) for name in ("medium_rate_bpm", "high_rate_bpm"))
_HIGH_S = limit("ventricular-run", "high_length_s")
_S_BEATS = int(limit("supraventricular-run", "beats"))
_S_BPM, _S_SLOWER = limit("supraventricular-run", "rate_bpm"), limit("supraventricular-run", "slower_share")
_S_MEDIUM_BPM = limit("supraventricular-run", "medium_rate_bpm")
_S_MEDIUM_S = limit("supraventricular-run", "medium_length_s")
_PACED_BEATS = int(limit("paced-rhythm", "beats"))
_PACED_NEAR = limit("paced-rhythm", "near_share")
_VENTRICULAR = ("ventricular-run", "idioventricular-rhythm")


def on_beat(t: Tracker, told: list[Finding]) -> None:
    kind = t.classes[-1]
    if kind == "V":
        _ventricular(t, told)
    else:
        for rule in _VENTRICULAR:
            if rule in t.open:
                end(t, told, rule, t.open[rule].last)
        if t.classes[-4:-1] == ["N", "V", "V"] or t.classes[-4:-1] == ["S", "V", "V"]:
            begin(t, told, "ventricular-couplet", t.beats[-3], {"beats": 2.0})
            end(t, told, "ventricular-couplet", t.beats[-2])
    _supraventricular(t, told, kind)
    for rule, period in (("ventricular-bigeminy", 2), ("ventricular-trigeminy", 3)):
        _every(t, told, rule, period, kind)
    _paced(t, told, kind)


def _rate_bpm(t: Tracker, count: int) -> float:
    """Mean rate of the newest beats, so many of them."""
    return 60.0 * (count - 1) * t.fs_hz / (t.beats[-1] - t.beats[-count])


def _ventricular(t: Tracker, told: list[Finding]) -> None:
    """A run, or an idioventricular rhythm if it is slow. What is newest decides: a slow rhythm that turns fast is a run
    of its own from there on, however long it was slow.
    """
    rule = next((rule for rule in _VENTRICULAR if rule in t.open), None)
    if rule is None:
        count = 1
        while count < len(t.classes) and t.classes[-1 - count] == "V":
            count += 1
        if count < _BEATS:
            return
        onset = t.beats[-count]
    else:
        e = t.open[rule]
        count, onset = int(e.numbers["beats"]) + 1, e.onset
    newest_bpm = _rate_bpm(t, min(count, _MEDIUM_BEATS))
    many_bpm = _rate_bpm(t, min(count, _HIGH_BEATS))
    is_fast = newest_bpm > _RUN_BPM or (rule != "idioventricular-rhythm" and many_bpm > _RUN_BPM)
    wanted = "ventricular-run" if is_fast else "idioventricular-rhythm"
    if rule is not None and rule != wanted:
        count = min(count, _MEDIUM_BEATS)
        onset = t.beats[-count]
        end(t, told, rule, onset if onset > t.open[rule].onset else t.open[rule].last)
    length_s = (t.beats[-1] - onset) / t.fs_hz
    rate = 60.0 * (count - 1) / length_s
    numbers = {"beats": float(count), "rate_bpm": round(rate, 1), "length_s": round(length_s, 3)}
    urgent = _run_priority(count, max(rate, many_bpm), length_s) if is_fast else None
    begin(t, told, wanted, onset, numbers, urgent)
    t.open[wanted].last = t.beats[-1]


def _run_priority(count: int, rate_bpm: float, length_s: float) -> Priority | None:
    if (count >= _HIGH_BEATS and rate_bpm >= _HIGH_BPM) or length_s >= _HIGH_S:
        return "high"
    return "medium" if count >= _MEDIUM_BEATS and rate_bpm > _MEDIUM_BPM else None


def _supraventricular(t: Tracker, told: list[Finding], kind: str) -> None:
    """Three or more premature narrow beats; once it runs, beats at its pace belong to it whatever their class."""
    rule = "supraventricular-run"
    e = t.open.get(rule)
    if e is None:
        if kind != "S" or t.classes[-_S_BEATS:] != ["S"] * _S_BEATS or "atrial-fibrillation" in t.open:
            return
        count = _S_BEATS
        while count < len(t.classes) and t.classes[-1 - count] == "S":
            count += 1
        onset = t.beats[-count]
    else:
        count, onset = int(e.numbers["beats"]) + 1, e.onset
        usual = (e.last - onset) / (count - 2)
        if kind not in "NS" or t.beats[-1] - e.last > _S_SLOWER * usual:
            end(t, told, rule, e.last)
            return
    length_s = (t.beats[-1] - onset) / t.fs_hz
    rate = 60.0 * (count - 1) / length_s
    if e is None and rate <= _S_BPM:
        return
    urgent: Priority | None = "medium" if rate >= _S_MEDIUM_BPM and length_s >= _S_MEDIUM_S else None
    numbers = {"beats": float(count), "rate_bpm": round(rate, 1), "length_s": round(length_s, 3)}
    begin(t, told, rule, onset, numbers, urgent)
    t.open[rule].last = t.beats[-1]


def _every(t: Tracker, told: list[Finding], rule: str, period: int, kind: str) -> None:
    """Every second or third beat is ventricular, three times in a row or more."""
    e = t.open.get(rule)
    since = t.classes[-1 - period : -1]
    if e is None:
        wanted = ["V", *(["N"] * (period - 1))] * 2
        if kind == "V" and t.classes[-1 - 2 * period : -1] == wanted:
            begin(t, told, rule, t.beats[-1 - 2 * period], {"beats": 3.0})
            t.open[rule].last = t.beats[-1]
        return
    if kind == "V" and since[0] == "V":
        e.numbers = {"beats": e.numbers["beats"] + 1.0}
        e.last = t.beats[-1]
    elif kind == "V" or "V" not in since:
        end(t, told, rule, e.last)


def _paced(t: Tracker, told: list[Finding], kind: str) -> None:
    """Told only when the request or the device says so; else a wide rhythm as regular as a clock is suspected."""
    rule, e = "paced-rhythm", t.open.get("paced-rhythm")
    if t.paced:
        recent = t.classes[-_PACED_BEATS:]
        if kind == "Q" and (e is not None or recent == ["Q"] * _PACED_BEATS):
            begin(t, told, rule, t.beats[-_PACED_BEATS] if e is None else e.onset, {})
            t.open[rule].last = t.beats[-1]
        elif e is not None and "Q" not in recent:
            end(t, told, rule, e.last)
        return
    slow = t.open.get("idioventricular-rhythm")
    if slow is None or slow.numbers["beats"] < _PACED_BEATS:
        if e is not None:
            end(t, told, rule, e.last)
        return
    rr = [b - a for a, b in zip(t.beats[-_PACED_BEATS:], t.beats[1 - _PACED_BEATS :], strict=False)]
    if max(rr) - min(rr) <= _PACED_NEAR * min(rr):
        begin(t, told, rule, slow.onset if e is None else e.onset, {}, None, "suspected")
        t.open[rule].last = t.beats[-1]
