"""Signals that cannot be judged: a technical alarm, never silence, and never asystole."""

from ecg.findings import Finding, Priority
from ecg.fusion import OFF
from ecg.rhythms import limit
from ecg.rules import atrial, fibrillation
from ecg.rules.tracker import Tracker, begin, end

_UNREAD_S, _READ_S = limit("unreadable-signal", "length_s"), limit("unreadable-signal", "end_s")
_OFF_S, _ON_S = limit("electrode-off", "length_s"), limit("electrode-off", "end_s")


def on_hop(t: Tracker, told: list[Finding], start: int, now: int, readable: bool) -> None:
    _electrodes(t, told, start, now)
    _unreadable(t, told, start, now, readable)


def _unreadable(t: Tracker, told: list[Finding], start: int, now: int, readable: bool) -> None:
    rule = "unreadable-signal"
    if readable:
        t.read_since = start if t.read_since < 0 else t.read_since
        if rule not in t.open or now - t.read_since >= _READ_S * t.fs_hz:
            t.unread_since, t.unread_on = -1, False
            end(t, told, rule, t.read_since)
        return
    t.unread_since = start if t.unread_since < 0 else t.unread_since
    t.unread_on |= any(code != OFF for code in t.quality)
    t.read_since = -1
    length_s = (now - t.unread_since) / t.fs_hz
    if length_s >= _UNREAD_S:
        end(t, told, "atrial-fibrillation", t.unread_since)
        atrial.forget(t)
        if t.unread_on:
            begin(t, told, rule, t.unread_since, {"length_s": round(length_s, 1)}, "medium")
        else:
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
