"""The rules that live on beats' classes, told again by the record pass's classes, which know the future.

What needs the signal or only the beats' times (silence, rates, pauses, fibrillation of the ventricles, quality) stays
as the stream told it.
"""

from dataclasses import replace

from ecg.analysis import CLASSES, QUALITY_BLOCK_S, Analysis
from ecg.findings import Finding
from ecg.fusion import OFF
from ecg.rhythms import limit
from ecg.rules import atrial, pauses, runs
from ecg.rules.tracker import BEATS_KNOWN, Tracker, end

BY_CLASS = frozenset({
    "ventricular-run", "idioventricular-rhythm", "ventricular-couplet", "ventricular-bigeminy", "ventricular-trigeminy",
    "ventricular-escape", "supraventricular-run", "atrial-fibrillation", "atrial-flutter", "av-block", "paced-rhythm",
})  # fmt: skip
_FORGETS_S = limit("unreadable-signal", "length_s")


def _broken(t: Tracker, told: list[Finding], sample: int) -> None:
    """Intervals across a break are unknown; AF outlives a short one."""
    last = t.beats[-1] if t.beats else sample
    is_long = sample - last >= _FORGETS_S * t.fs_hz
    for rule in list(t.open):
        if is_long or rule != "atrial-fibrillation":
            end(t, told, rule, last)
    if is_long:
        atrial.forget(t)
    t.beats.clear()
    t.classes.clear()
    t.dropped.clear()


def _without_runs_of_fibrillation(found: list[Finding]) -> list[Finding]:
    """Early narrow beats in a row are what AF is made of; it is often recognised only after them."""
    spans = [
        (f.onset_sample, f.offset_sample or f.onset_sample) for f in found if f.rule == "atrial-fibrillation"
    ]
    return [
        f
        for f in found
        if f.rule != "supraventricular-run"
        or not any(first <= f.onset_sample <= last for first, last in spans)
    ]


def retold(a: Analysis) -> Analysis:
    """The analysis with the findings of those rules as its own classes have them."""
    t, told = Tracker(a.fs_hz, a.leads), list[Finding]()
    blocks = [tuple(min(code, OFF) for code in row) for row in a.quality.tolist()]
    block_of = (a.sample // (QUALITY_BLOCK_S * a.fs_hz)).tolist()
    unknown = (a.rr_s != a.rr_s).tolist()  # nan: the first of a stretch, or after a break
    for sample, kind, is_first, block in zip(
        a.sample.tolist(), a.kind.tolist(), unknown, block_of, strict=True
    ):
        if is_first:
            _broken(t, told, sample)
        t.quality = blocks[block]
        t.beats.append(sample)
        t.classes.append(CLASSES[kind])
        if len(t.beats) > BEATS_KNOWN:
            del t.beats[0], t.classes[0]
        pauses.on_classes(t, told)
        atrial.on_beat(t, told)
        if kind or t.open or "V" in t.classes[-4:]:
            runs.on_beat(t, told)
    for rule in list(t.open):
        end(t, told, rule, t.beats[-1])
    kept = [f for f in a.findings if f.rule not in BY_CLASS]
    new = _without_runs_of_fibrillation([f for f in told if f.phase == "offset"])
    return replace(a, findings=tuple(sorted((*kept, *new), key=lambda f: (f.onset_sample, f.rule))))
