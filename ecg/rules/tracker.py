"""What the rules remember of one device, and how an episode begins, gets worse and ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ecg.findings import Finding, Phase, Priority
from ecg.fusion import QUALITIES, UNREADABLE
from ecg.rhythms import RULES
from ecg.rules.intervals import Intervals
from ecg.rules.intervals import copied as copied_intervals

BEATS_KNOWN = 64  # 10 s at 300/min
URGENCY: Mapping[Priority | None, int] = {None: 0, "medium": 1, "high": 2}


@dataclass(slots=True)
class Open:
    """An episode that has begun and not ended; `last`: the newest sample that surely belongs to it."""

    onset: int
    priority: Priority | None
    numbers: dict[str, float]
    quality: str
    note: str
    leads: tuple[str, ...]
    last: int


@dataclass(slots=True)
class Tracker:
    """Of one device; all samples on the recording's index, everything bounded."""

    fs_hz: int
    leads: tuple[str, ...]
    paced: bool = False
    beats: list[int] = field(default_factory=list)  # since the last break, newest last
    classes: list[str] = field(default_factory=list)
    intervals: Intervals = field(default_factory=Intervals)  # between normal beats
    fibrillated_until: int = -1  # sample at which the last atrial fibrillation ended
    dropped: list[int] = field(default_factory=list)  # samples at which a beat seemed to be missing
    swinging: int = 0  # half seconds in a row that look like fibrillation; below 0: that do not
    likeness: list[float] = field(
        default_factory=list
    )  # to fibrillation, of the half seconds about to be judged
    quiet_since: int = -1  # last beat or doubtful summit, or start of readable signal; -1 = unreadable now
    certain_since: int = -1  # when the rhythm was last known: a certain beat, or an alarm about the rhythm
    good_hops: int = 0  # half seconds in a row in which a lead is good
    doubted: list[int] = field(default_factory=list)  # newest doubtful summits: beats or disturbances
    unread_since: int = -1
    unread_on: bool = False  # an electrode was on during the unreadable stretch
    read_since: int = -1
    off_since: int = -1
    on_since: int = -1
    quality: tuple[int, ...] = ()
    open: dict[str, Open] = field(default_factory=dict)


def copied(t: Tracker) -> Tracker:
    return Tracker(
        t.fs_hz, t.leads, t.paced, t.beats[:], t.classes[:], copied_intervals(t.intervals),
        t.fibrillated_until, t.dropped[:], t.swinging, [], t.quiet_since, t.certain_since, t.good_hops, t.doubted[:],
        t.unread_since, t.unread_on, t.read_since, t.off_since, t.on_since, t.quality,
        {
            rule: Open(e.onset, e.priority, dict(e.numbers), e.quality, e.note, e.leads, e.last)
            for rule, e in t.open.items()
        } if t.open else {},
    )  # fmt: skip


def _finding(rule: str, e: Open, offset: int | None) -> Finding:
    phase: Phase = "onset" if offset is None else "offset"
    numbers = dict(e.numbers)
    return Finding(
        rule, RULES[rule].version, e.onset, offset, phase, e.priority, e.leads, numbers, e.quality, e.note
    )


def begin(
    t: Tracker,
    told: list[Finding],
    rule: str,
    onset: int,
    numbers: dict[str, float],
    priority: Priority | None = None,
    note: str = "",
) -> None:
    """Begin the rule's episode, or tell that it got worse; numbers are kept up to date silently."""
    e = t.open.get(rule)
    if e is None:
        rhythm = RULES[rule].kind == "rhythm"
        leads = tuple(t.leads[k] for k, code in enumerate(t.quality) if (code < UNREADABLE) == rhythm)
        leads = leads or t.leads  # a signal that can't be trusted although it can be read: all of them
        best = QUALITIES[min(t.quality, default=UNREADABLE)]
        if rhythm and len(leads) == 1 and not note:
            note = "one lead"
        e = t.open[rule] = Open(onset, priority, numbers, best, note, leads, onset)
        told.append(_finding(rule, e, None))
        return
    e.numbers = numbers
    if URGENCY[priority] > URGENCY[e.priority]:
        e.priority = priority
        told.append(_finding(rule, e, None))


def end(t: Tracker, told: list[Finding], rule: str, offset: int) -> None:
    """End the rule's episode if there is one."""
    e = t.open.pop(rule, None)
    if e is not None:
        told.append(_finding(rule, e, max(offset, e.onset)))
