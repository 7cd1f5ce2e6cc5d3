"""Brady- and tachycardia: the mean rate over ten seconds, with hysteresis."""

from bisect import bisect_right

from ecg.findings import Finding, Priority
from ecg.rhythms import limit
from ecg.rules.tracker import Tracker, begin, end

# rule, sign of what is extreme, priority; then thresholds in /min: begins beyond, ends at
_KINDS: tuple[tuple[str, int, Priority | None], ...] = (
    ("severe-bradycardia", -1, "high"),
    ("bradycardia", -1, None),
    ("tachycardia", 1, None),
)
_RATES = tuple((*kind, limit(kind[0], "rate_bpm"), limit(kind[0], "end_rate_bpm")) for kind in _KINDS)
_NEVER = (limit("bradycardia", "end_rate_bpm"), limit("tachycardia", "end_rate_bpm"))
_WINDOW_S = limit("bradycardia", "window_s")


def on_beat(t: Tracker, told: list[Finding]) -> None:
    """Mean rate of the shortest run of beats that spans the window and ends now."""
    beats = t.beats
    last = beats[-1]
    first = bisect_right(beats, last - _WINDOW_S * t.fs_hz) - 1
    if first < 0:
        return
    rate = 60.0 * (len(beats) - 1 - first) * t.fs_hz / (last - beats[first])
    if _NEVER[0] <= rate <= _NEVER[1] and not t.open:
        return  # the usual case
    for rule, sign, urgent, begins, ends in _RATES:
        e = t.open.get(rule)
        if sign * rate > sign * begins or (e is not None and sign * rate > sign * ends):
            key = "lowest_rate_bpm" if sign < 0 else "highest_rate_bpm"
            extreme = rate if e is None else sign * max(sign * rate, sign * e.numbers[key])
            begin(t, told, rule, beats[first], {key: round(extreme, 1)}, urgent)
        elif e is not None:
            end(t, told, rule, last)
