"""Beats and lead quality in, findings out: the state machines behind the rule table, one device at a time.

Each half second the stream tells the beats that became certain (`on_beat`, oldest first) and then the quality of
every lead (`on_hop`). Nothing here is told from silence: a stretch without a readable lead breaks every interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ecg.findings import Finding, Phase, Priority
from ecg.fusion import OFF, QUALITIES, UNREADABLE
from ecg.rhythms import RULES, limit

BEATS_KNOWN = 64  # 10 s at 300/min and the irregularity window
RATE_INTERVALS = 8  # for the shown rate
RATE_SILENCE_S = 4.0  # after this no rate is shown
URGENCY: Mapping[Priority | None, int] = {None: 0, "medium": 1, "high": 2}


@dataclass(slots=True)
class Open:
    """An episode that has begun and not ended."""

    onset: int
    priority: Priority | None
    numbers: dict[str, float]
    quality: str
    note: str
    leads: tuple[str, ...]


@dataclass(slots=True)
class Tracker:
    """What the rules remember of one device."""

    fs_hz: int
    leads: tuple[str, ...]
    beats: list[int] = field(default_factory=list)  # since the last break, newest last
    classes: list[str] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)  # 1 = interval unlike both intervals before it
    change_at: list[int] = field(default_factory=list)
    quiet_since: int = -1  # last beat, or start of readable signal; -1 = unreadable now
    unread_since: int = -1
    unread_on: bool = False  # an electrode was on during the unreadable stretch
    read_since: int = -1
    off_since: int = -1
    on_since: int = -1
    quality: tuple[int, ...] = ()
    open: dict[str, Open] = field(default_factory=dict)
    likeness: list[float] = field(
        default_factory=list
    )  # to fibrillation, of the half seconds about to be judged


def copied(t: Tracker) -> Tracker:
    return Tracker(
        t.fs_hz, t.leads, t.beats[:], t.classes[:], t.changes[:], t.change_at[:], t.quiet_since, t.unread_since,
        t.unread_on, t.read_since, t.off_since, t.on_since, t.quality,
        {rule: Open(e.onset, e.priority, dict(e.numbers), e.quality, e.note, e.leads) for rule, e in t.open.items()},
    )  # fmt: skip


def _told(t: Tracker, rule: str, e: Open, offset: int | None) -> Finding:
    version, numbers = RULES[rule].version, dict(e.numbers)
    phase: Phase = "onset" if offset is None else "offset"
    return Finding(rule, version, e.onset, offset, phase, e.priority, e.leads, numbers, e.quality, e.note)


def _raise(
    t: Tracker, rule: str, onset: int, numbers: dict[str, float], priority: Priority | None = None
) -> list[Finding]:
    """Begin the rule's episode, or tell that it got worse; numbers are kept up to date silently."""
    e = t.open.get(rule)
    if e is None:
        rhythm = RULES[rule].kind == "rhythm"
        leads = tuple(t.leads[k] for k, code in enumerate(t.quality) if (code < UNREADABLE) == rhythm)
        best = QUALITIES[min(t.quality, default=UNREADABLE)]
        note = "one lead" if rhythm and len(leads) == 1 else ""
        e = t.open[rule] = Open(onset, priority, numbers, best, note, leads)
        return [_told(t, rule, e, None)]
    e.numbers = numbers
    if URGENCY[priority] > URGENCY[e.priority]:
        e.priority = priority
        return [_told(t, rule, e, None)]
    return []


def _close(t: Tracker, rule: str, offset: int) -> list[Finding]:
    if rule not in t.open:
        return []
    e = t.open.pop(rule)
    return [_told(t, rule, e, max(offset, e.onset))]


def _pause(t: Tracker) -> list[Finding]:
    if len(t.beats) < 2 or "asystole" in t.open:
        return []
    rr_s = (t.beats[-1] - t.beats[-2]) / t.fs_hz
    if rr_s < limit("pause", "rr_s"):
        return []
    if rr_s >= limit("asystole", "quiet_s"):  # ended within the half second in which it became one
        return _raise(t, "asystole", t.beats[-2], {"longest_rr_s": round(rr_s, 3)}, "high")
    urgent: Priority | None = "medium" if rr_s >= limit("pause", "medium_rr_s") else None
    told = _raise(t, "pause", t.beats[-2], {"longest_rr_s": round(rr_s, 3)}, urgent)
    return told + _close(t, "pause", t.beats[-1])


def _asystole_ends(t: Tracker) -> list[Finding]:
    e = t.open.get("asystole")
    if e is not None:
        e.numbers = {"longest_rr_s": round((t.beats[-1] - e.onset) / t.fs_hz, 3)}
    return _close(t, "asystole", t.beats[-1])


def _window(t: Tracker, length_s: float) -> tuple[int, float] | None:
    """First beat and mean rate of the shortest run of beats that spans `length_s`, ending now."""
    last, length = t.beats[-1], length_s * t.fs_hz
    for count in range(1, len(t.beats)):
        span = last - t.beats[-1 - count]
        if span >= length:
            return t.beats[-1 - count], 60.0 * count * t.fs_hz / span
    return None


def _rates(t: Tracker) -> list[Finding]:
    told: list[Finding] = []
    mean = _window(t, limit("bradycardia", "window_s"))
    if mean is None:
        return told
    first, rate = mean
    for rule, sign, urgent in _RATE_RULES:
        begins, ends = limit(rule, "rate_bpm"), limit(rule, "end_rate_bpm")
        e = t.open.get(rule)
        if sign * rate > sign * begins or (e is not None and sign * rate > sign * ends):
            key = "lowest_rate_bpm" if sign < 0 else "highest_rate_bpm"
            extreme = rate if e is None else sign * max(sign * rate, sign * e.numbers[key])
            told += _raise(t, rule, first, {key: round(extreme, 1)}, urgent)
        elif e is not None:
            told += _close(t, rule, t.beats[-1])
    return told


_RATE_RULES: tuple[tuple[str, int, Priority | None], ...] = (
    ("severe-bradycardia", -1, "high"),
    ("bradycardia", -1, None),
    ("tachycardia", 1, None),
)


_FOUR_NORMAL = ["N"] * 4


def _irregular(t: Tracker) -> list[Finding]:
    if len(t.beats) < 4 or t.classes[-4:] != _FOUR_NORMAL:
        return []
    start, first, second, last = t.beats[-4:]
    a, b, c = first - start, second - first, last - second
    least = limit("irregular-rhythm", "change_share") * (a + b + c) / 3
    t.changes.append(int(abs(c - b) > least and abs(c - a) > least))
    t.change_at.append(start)
    window = int(limit("irregular-rhythm", "intervals"))
    del t.changes[:-window], t.change_at[:-window]
    if len(t.changes) < window:
        return []
    share = sum(t.changes) / window
    rule_open = "irregular-rhythm" in t.open
    if share >= limit("irregular-rhythm", "offset_share" if rule_open else "onset_share"):
        return _raise(t, "irregular-rhythm", t.change_at[0], {"irregular_share": round(share, 3)})
    return _close(t, "irregular-rhythm", t.beats[-1])


def _ventricular_run(t: Tracker) -> list[Finding]:
    if t.classes[-1] != "V":
        if "ventricular-run" not in t.open:
            return []
        return _close(t, "ventricular-run", t.beats[-2] if len(t.beats) > 1 else t.beats[-1])
    e = t.open.get("ventricular-run")
    count = 1 if e is None else int(e.numbers["beats"]) + 1
    if e is None:
        while count < len(t.classes) and t.classes[-1 - count] == "V":
            count += 1
        if count < limit("ventricular-run", "beats"):
            return []
    onset = t.beats[-count] if e is None else e.onset
    length_s = (t.beats[-1] - onset) / t.fs_hz
    rate = 60.0 * (count - 1) / length_s
    numbers = {"beats": float(count), "rate_bpm": round(rate, 1), "length_s": round(length_s, 3)}
    return _raise(t, "ventricular-run", onset, numbers, _run_priority(count, rate, length_s))


def _run_priority(count: int, rate_bpm: float, length_s: float) -> Priority | None:
    def at_least(value: float, threshold: str) -> bool:
        return value >= limit("ventricular-run", threshold)

    fast_and_long = at_least(count, "high_beats") and at_least(rate_bpm, "high_rate_bpm")
    if fast_and_long or at_least(length_s, "high_length_s"):
        return "high"
    if at_least(count, "medium_beats") and rate_bpm > limit("ventricular-run", "medium_rate_bpm"):
        return "medium"
    return None


def on_beat(t: Tracker, sample: int, kind: str) -> list[Finding]:
    """A beat is certain: every rule that lives on beats."""
    t.beats.append(sample)
    t.classes.append(kind)
    del t.beats[:-BEATS_KNOWN], t.classes[:-BEATS_KNOWN]
    t.quiet_since = sample
    return _pause(t) + _asystole_ends(t) + _rates(t) + _irregular(t) + _ventricular_run(t)


def _broken(t: Tracker, now: int) -> list[Finding]:
    """No readable lead: intervals across this moment are unknown, episodes that live on them end here."""
    told: list[Finding] = []
    for rule in ("asystole", "ventricular-run", "severe-bradycardia", "bradycardia", "tachycardia"):
        told += _close(t, rule, now)
    t.beats.clear()
    t.classes.clear()
    t.quiet_since = -1
    return told


def _asystole(t: Tracker, now: int) -> list[Finding]:
    quiet_s = (now - t.quiet_since) / t.fs_hz
    if quiet_s < limit("asystole", "quiet_s"):
        return []
    return _raise(t, "asystole", t.quiet_since, {"longest_rr_s": round(quiet_s, 3)}, "high")


def _unreadable(t: Tracker, start: int, now: int, readable: bool) -> list[Finding]:
    rule, told = "unreadable-signal", list[Finding]()
    if not readable:
        t.unread_since = start if t.unread_since < 0 else t.unread_since
        t.unread_on |= any(code != OFF for code in t.quality)
        t.read_since = -1
        length_s = (now - t.unread_since) / t.fs_hz
        if length_s >= limit(rule, "length_s"):
            told += _close(t, "irregular-rhythm", t.unread_since)
            t.changes.clear()
            t.change_at.clear()
            if t.unread_on:
                told += _raise(t, rule, t.unread_since, {"length_s": round(length_s, 1)}, "medium")
        return told
    t.read_since = start if t.read_since < 0 else t.read_since
    if rule not in t.open or now - t.read_since >= limit(rule, "end_s") * t.fs_hz:
        t.unread_since, t.unread_on = -1, False
        told += _close(t, rule, t.read_since)
    return told


def _electrodes(t: Tracker, start: int, now: int) -> list[Finding]:
    rule = "electrode-off"
    off = t.quality.count(OFF)
    if off:
        t.off_since = start if t.off_since < 0 else t.off_since
        t.on_since = -1
        if now - t.off_since < limit(rule, "length_s") * t.fs_hz:
            return []
        urgent: Priority | None = "medium" if off == len(t.quality) else None
        return _raise(t, rule, t.off_since, {"leads_off": float(off)}, urgent)
    if t.on_since < 0:
        t.on_since = start
    if rule not in t.open or now - t.on_since >= limit(rule, "end_s") * t.fs_hz:
        t.off_since = -1
        return _close(t, rule, t.on_since)
    return []


def on_hop(t: Tracker, start: int, now: int, quality: Sequence[int]) -> list[Finding]:
    """Half a second [start, now) is judged: quality per lead as codes of `ecg.fusion`."""
    t.quality = tuple(quality)
    del t.likeness[:1]
    readable = min(t.quality) < UNREADABLE
    told = _electrodes(t, start, now) + _unreadable(t, start, now, readable)
    if not readable:
        return told + _broken(t, now)
    if t.quiet_since < 0:
        t.quiet_since = start
    return told + _asystole(t, now)


def close_all(t: Tracker, now: int) -> list[Finding]:
    """The stream ends (end of recording, gap): every open episode ends with it."""
    return [finding for rule in list(t.open) for finding in _close(t, rule, now)]


def rate_bpm(t: Tracker, now: int) -> float | None:
    """Mean rate of the last eight intervals; None when there is nothing to count or the last beat is old."""
    known = t.beats[-RATE_INTERVALS - 1 :]
    if len(known) < 3 or now - known[-1] > RATE_SILENCE_S * t.fs_hz:
        return None
    return round(60.0 * (len(known) - 1) * t.fs_hz / (known[-1] - known[0]), 1)
