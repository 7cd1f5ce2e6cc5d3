"""Signals that cannot be judged: a technical alarm, never silence, and never asystole."""

from ecg.findings import Finding, Priority
from ecg.fusion import OFF
from ecg.rhythms import RULES, limit
from ecg.rules import atrial, fibrillation
from ecg.rules.tracker import Tracker, begin, end

_UNREAD_S, _DOUBT_S, _READ_S = (limit("unreadable-signal", name) for name in ("length_s", "doubt_s", "end_s"))
_OFF_S, _ON_S = limit("electrode-off", "length_s"), limit("electrode-off", "end_s")


def on_hop(t: Tracker, told: list[Finding], start: int, now: int, readable: bool) -> None:
    _electrodes(t, told, start, now)
    _unreadable(t, told, start, now, readable)


def is_usual(t: Tracker, now: int) -> bool:
    """Whether nothing has changed that `on_hop` looks at, while a lead can be read: every electrode on, a beat not long
    ago, and no alarm about the signal.
    """
    if (
        t.certain_since <= now - _DOUBT_S * t.fs_hz
        or t.certain_since < 0
        or t.read_since < 0
        or t.on_since < 0
        or max(t.quality) == OFF
        or t.unread_since >= 0
        or t.off_since >= 0
    ):
        return False
    if t.open:
        if "unreadable-signal" in t.open or "electrode-off" in t.open:
            return False
        if _is_told(t):
            t.certain_since = now
    return True


def _unreadable(t: Tracker, told: list[Finding], start: int, now: int, readable: bool) -> None:
    """No lead that can be read, or none that shows a beat for certain: disturbances never hold an alarm back."""
    rule = "unreadable-signal"
    if t.certain_since < 0:
        t.certain_since = start
    if t.quality.count(OFF) == len(t.quality) or _is_told(t):
        t.certain_since = now
    doubt_s = (now - t.certain_since) / t.fs_hz
    if readable:
        t.read_since = start if t.read_since < 0 else t.read_since
        if rule not in t.open or (now - t.read_since >= _READ_S * t.fs_hz and doubt_s < _DOUBT_S):
            t.unread_since, t.unread_on = -1, False
            end(t, told, rule, max(t.read_since, t.certain_since))
    else:
        _unread(t, told, start, now)
    if doubt_s >= _DOUBT_S or (t.unread_on and now - t.unread_since >= _UNREAD_S * t.fs_hz):
        since = (
            t.open[rule].onset
            if rule in t.open
            else t.certain_since
            if doubt_s >= _DOUBT_S
            else t.unread_since
        )
        begin(t, told, rule, since, {"length_s": round((now - since) / t.fs_hz, 1)}, "medium")


def _is_told(t: Tracker) -> bool:
    """An alarm about the rhythm stands: what is known of it is told."""
    return any(e.priority is not None and RULES[rule].kind == "rhythm" for rule, e in t.open.items())


def _unread(t: Tracker, told: list[Finding], start: int, now: int) -> None:
    t.unread_since = start if t.unread_since < 0 else t.unread_since
    t.unread_on |= any(code != OFF for code in t.quality)
    t.read_since = -1
    if now - t.unread_since >= _UNREAD_S * t.fs_hz:
        end(t, told, "atrial-fibrillation", t.unread_since)
        atrial.forget(t)
        if not t.unread_on:
            fibrillation.forget(t, told, t.unread_since)


def _electrodes(t: Tracker, told: list[Finding], start: int, now: int) -> None:
    rule, off = "electrode-off", t.quality.count(OFF)
    if off:
        t.off_since = start if t.off_since < 0 else t.off_since
        t.on_since = -1
        if now - t.off_since >= _OFF_S * t.fs_hz:
            urgent: Priority | None = "medium" if off == len(t.quality) else None
            begin(t, told, rule, t.off_since, {"leads_off": float(off)}, urgent)
        return
    if t.on_since < 0:
        t.on_since = start
    if rule not in t.open or now - t.on_since >= _ON_S * t.fs_hz:
        t.off_since = -1
        end(t, told, rule, t.on_since)
