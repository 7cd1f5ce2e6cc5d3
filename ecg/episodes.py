"""Beats and lead quality in, findings out: the rules of the table, one device at a time.

Each half second the stream tells the beats that became certain (`on_beat`, oldest first) and then the quality of
every lead (`on_hop`). Nothing here is told from silence: a stretch without a readable lead breaks every interval.
"""

from collections.abc import Sequence

from ecg.findings import Finding
from ecg.fusion import GOOD, UNREADABLE
from ecg.rhythms import RULES
from ecg.rules import atrial, fibrillation, pauses, rates, runs, technical
from ecg.rules.tracker import BEATS_KNOWN, Open, Tracker, copied, end

__all__ = ["Open", "Tracker", "close_all", "copied", "on_beat", "on_doubt", "on_hop", "rate_bpm"]

RATE_INTERVALS = 8  # for the shown rate
RATE_SILENCE_S = 4.0  # after this no rate is shown
CALM_HOPS = 4  # 2 s in a row in which a lead is good: what is found then is no disturbance
_BREAKS = frozenset(rule.name for rule in RULES.values() if rule.clears == "break")


def on_beat(t: Tracker, sample: int, kind: str, is_sure: bool = True) -> list[Finding]:
    """A beat was found: every rule that lives on beats. It is certain if it surely looks like the patient's own, or if
    no disturbance is near; else it may be one.
    """
    told: list[Finding] = []
    t.beats.append(sample)
    t.classes.append(kind)
    if len(t.beats) > BEATS_KNOWN:
        del t.beats[0], t.classes[0]
    t.quiet_since = sample
    if is_sure or t.good_hops >= CALM_HOPS:
        t.certain_since = sample
    pauses.on_beat(t, told)
    rates.on_beat(t, told)
    atrial.on_beat(t, told)
    if kind != "N" or t.open or "V" in t.classes[-4:]:
        runs.on_beat(t, told)
    return told


def on_doubt(t: Tracker, sample: int) -> bool:
    """A summit unlike the patient's beats where no lead is good: no silence, but no sign of life either, and the time
    without a certain beat goes on. Whether it is believed: disturbances do not come as regularly as a tachycardia.
    """
    known = sorted((*t.beats[-fibrillation.KNOWN :], *t.doubted, sample))
    if fibrillation.regular_rate_bpm(known, sample, t.fs_hz) is not None:
        return True
    t.quiet_since = sample
    t.doubted.append(sample)
    del t.doubted[: -fibrillation.KNOWN]
    return False


def _broken(t: Tracker, told: list[Finding], now: int) -> None:
    """No readable lead: intervals across this moment are unknown, episodes that live on them end here."""
    for rule in [rule for rule in t.open if rule in _BREAKS]:
        end(t, told, rule, now)
    t.beats.clear()
    t.classes.clear()
    t.dropped.clear()
    t.doubted.clear()
    t.quiet_since = -1


def on_hop(t: Tracker, start: int, now: int, quality: Sequence[int]) -> list[Finding]:
    """Half a second [start, now) is judged: quality per lead as codes of `ecg.fusion`."""
    told: list[Finding] = []
    t.quality = tuple(quality)
    best = min(t.quality)
    t.good_hops = t.good_hops + 1 if best == GOOD else 0
    readable = best < UNREADABLE
    if not (readable and technical.is_usual(t, now)):
        technical.on_hop(t, told, start, now, readable)
    fibrillation.on_hop(t, told, now)
    if not readable:
        _broken(t, told, now)
        return told
    if t.quiet_since < 0:
        t.quiet_since = start
    pauses.on_hop(t, told, now)
    return told


def close_all(t: Tracker, now: int) -> list[Finding]:
    """The stream ends (end of recording, gap): every open episode ends with it."""
    told: list[Finding] = []
    for rule in list(t.open):
        end(t, told, rule, now)
    return told


def rate_bpm(t: Tracker, now: int) -> float | None:
    """Mean rate of the last eight intervals; None when there is nothing to count or the last beat is old."""
    known = t.beats[-RATE_INTERVALS - 1 :]
    if len(known) < 3 or now - known[-1] > RATE_SILENCE_S * t.fs_hz:
        return None
    return round(60.0 * (len(known) - 1) * t.fs_hz / (known[-1] - known[0]), 1)
