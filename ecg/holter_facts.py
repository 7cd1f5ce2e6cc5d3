"""Facts of a long recording beyond its rates: single, paired and running ectopy, and those of critical-value lists."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg.analysis import CLASSES, Analysis
from ecg.critical_values import Fact
from ecg.findings import Finding
from ecg.rhythms import RULES

AROUND_S = 15  # of a symptom: what the heart does then belongs to it
LONG_RR_S = 3.0  # what the lists count
RATED = (
    ("vt", ("ventricular-run", "ventricular-tachycardia")),
    ("svt", ("supraventricular-run",)),
    ("af", ("atrial-fibrillation", "atrial-flutter")),
)


def ectopy(a: Analysis, beat_class: str) -> dict[str, Any]:
    """Beats of a class by how many follow each other: singles, couplets, runs of three and more, the longest run.

    fastest_run_bpm: mean rate inside the fastest run; None without a run. A break ends a run.
    """
    own = a.kind == CLASSES.index(beat_class)
    known = np.isfinite(a.rr_s)
    begins = own & ~(np.roll(own, 1) & known)
    if len(own):
        begins[0] = own[0]
    number = np.cumsum(begins)[own]  # of the run each beat belongs to, from 1
    length = np.bincount(number, minlength=1)[1:]
    rates = _run_rates(a, own & ~begins, np.cumsum(begins), length)
    return {
        "beats": int(own.sum()),
        "single": int((length == 1).sum()),
        "couplets": int((length == 2).sum()),
        "runs": int((length >= 3).sum()),
        "longest_run_beats": int(length.max(initial=0)) if (length >= 3).any() else 0,
        "fastest_run_bpm": round(float(rates.max()), 1) if len(rates) else None,
    }


def _run_rates(
    a: Analysis, inner: NDArray[np.bool_], number: NDArray[np.int64], length: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean rate of each run of three and more, from the intervals inside it."""
    spent_s = np.bincount(number[inner] - 1, a.rr_s[inner].astype(float), minlength=len(length))
    runs = length >= 3
    rates: NDArray[np.float64] = 60.0 * (length[runs] - 1) / spent_s[runs]
    return rates


def at_moment(a: Analysis, sample: int) -> dict[str, Any]:
    """The mean rate within AROUND_S of a moment, None without intervals, and the rules that held then."""
    around = AROUND_S * a.fs_hz
    rr = a.rr_s[np.searchsorted(a.sample, sample - around) : np.searchsorted(a.sample, sample + around)]
    known = rr[np.isfinite(rr)].astype(float)
    rules = {
        f.rule
        for f in a.findings
        if f.onset_sample - around <= sample <= (f.offset_sample or f.onset_sample) + around
    }
    return {
        "rate_bpm": round(60.0 / float(known.mean()), 1) if len(known) else None,
        "rules": [rule for rule in RULES if rule in rules],
    }


def critical_facts(a: Analysis) -> dict[str, Fact]:
    """Facts of `ecg.critical_values` that a long recording determines; what needs a reader is left out."""
    rr = a.rr_s.astype(float)
    known = np.isfinite(rr)
    fibrillating = _inside(a, [f for f in a.findings if f.rule == "atrial-fibrillation"])
    outside, inside = known & ~fibrillating, known & fibrillating
    facts: dict[str, Fact] = {
        "flutter_or_fibrillation": any(f.rule == "ventricular-fibrillation" for f in a.findings)
    }
    if outside.any():
        facts["longest_rr_not_af_s"] = float(rr[outside].max())
        facts["rr_3s_count"] = float((rr[outside] >= LONG_RR_S).sum())
    if known.any():
        facts["longest_rr_s"] = float(rr[known].max())
        facts["longest_rr_af_s"] = float(rr[inside].max()) if inside.any() else 0.0
    for name, rules in RATED:
        facts |= _fastest(a, name, rules)
    return facts


def _inside(a: Analysis, findings: list[Finding]) -> NDArray[np.bool_]:
    out = np.zeros(len(a.sample), bool)
    for f in findings:
        end = a.length if f.offset_sample is None else f.offset_sample
        out |= (a.sample >= f.onset_sample) & (a.sample <= end)
    return out


def _fastest(a: Analysis, name: str, rules: tuple[str, ...]) -> dict[str, Fact]:
    """Rate and length of the episode that counts most: those of 30 s and more first, then the fastest."""
    rated = [
        (f.numbers["rate_bpm"], ((f.offset_sample or f.onset_sample) - f.onset_sample) / a.fs_hz)
        for f in a.findings
        if f.rule in rules and "rate_bpm" in f.numbers
    ]
    if not rated:
        return {f"{name}_rate_bpm": 0.0, f"{name}_length_s": 0.0}
    rate, length_s = max(rated, key=lambda row: (row[1] >= 30.0, row[0]))
    return {f"{name}_rate_bpm": float(rate), f"{name}_length_s": round(length_s, 1)}
