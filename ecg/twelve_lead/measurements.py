"""Intervals, axis, voltages and ST levels of a 12-lead ECG, each with unit, quality and leads, or why it is withheld.

`measure(record, analysis)` measures the whole of a short record, and the clearest 10 s of a longer one. A number that
the signal does not support is None with a reason, never a guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ecg.analysis import CLASSES, QUALITY_BLOCK_S, Analysis
from ecg.fusion import NOISY
from ecg.record import MDC_TO_SHORT, Record, main_group
from ecg.twelve_lead.delineation import Delineation, delineate
from ecg.twelve_lead.lead_shape import lead_shape
from ecg.twelve_lead.signals import FROM_I_II, Flags, Places, prepare
from ecg.values import Quality, Value, withheld

WHOLE_S = 60.0  # records up to this length are measured whole
FEW_BEATS = 5  # fewer make a noisy median
PR_MS = (60.0, 450.0)  # beyond it the P wave does not belong to the QRS that follows
QT_MS = (200.0, 720.0)
P_IN_T_MS = 20.0  # by so much a P wave may begin before the end of T is marked; more, and it is T itself
P_MS, QRS_MS = (30.0, 220.0), (30.0, 320.0)
INTERVAL_LEADS = 3  # an interval seen in fewer of 12 leads is withheld (AHA 2009 for QT)
AXIS_UV_MS = 1500.0  # net area below which an axis has no direction: 20 uV over a QRS of 75 ms
T_AXIS_UV = 30.0
NAMES = (
    "rate_bpm", "longest_rr_ms", "shortest_rr_ms", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_bazett_ms",
    "qtc_fridericia_ms", "axis_deg", "t_axis_deg", "sokolow_lyon_uv", "cornell_uv",
)  # fmt: skip


@dataclass(frozen=True)
class Measurements:
    """values: name with unit -> Value; by_lead: lead -> name -> Value; stretch [first, last) of the record's samples.

    beats made the median beat; others, of other shapes, did not. spikes: samples of pacing-like spikes. limb_note: why
    limb leads contradict each other. delineation is None where nothing could be measured.
    """

    stretch: tuple[int, int]
    fs_hz: float
    values: Mapping[str, Value]
    by_lead: Mapping[str, Mapping[str, Value]]
    beats: int
    others: int
    spikes: Places
    bad_leads: Mapping[str, str]
    limb_note: str
    delineation: Delineation | None

    def number(self, name: str, lead: str = "") -> float | None:
        """A value by name, of a lead if one is given; None where it is withheld or unknown."""
        table = self.by_lead.get(lead, {}) if lead else self.values
        return table[name].value if name in table else None


def measure(record: Record, analysis: Analysis) -> Measurements:
    """Measure the record's main group of leads with the beats of its analysis."""
    first, last = _stretch(analysis)
    inside = (analysis.sample >= first) & (analysis.sample < last)
    sample = analysis.sample[inside] - first
    leads = prepare(_cut(record, first, last), sample)
    found = delineate(leads, sample, analysis.kind[inside] == CLASSES.index("V"))
    rates, by_lead = _rates(analysis, inside), dict[str, Mapping[str, Value]]()
    if isinstance(found, str):
        values = dict.fromkeys(NAMES, withheld(found)) | rates
    else:
        quality = _quality(found, analysis, first)
        for k, name in enumerate(leads.names):
            by_lead[name] = lead_shape(found, k, quality[name], record.filters)
        values = rates | _intervals(found, quality) | _axes(by_lead, leads.limb_note)
        values |= _voltages(by_lead, leads.limb_note)
    known = None if isinstance(found, str) else found
    return Measurements(
        (first, last), leads.fs_hz, values, by_lead, len(known.beat.beats) if known else 0,
        len(known.beat.others) if known else 0, leads.spikes + first, leads.bad, leads.limb_note, known,
    )  # fmt: skip


def _stretch(a: Analysis) -> tuple[int, int]:
    """The whole of a short record; of a longer one the 10 s whose leads are clearest, the first of equals."""
    if a.length <= WHOLE_S * a.fs_hz or not len(a.quality):
        return 0, a.length
    block, width = int(a.quality.astype(float).mean(axis=1).argmin()), round(QUALITY_BLOCK_S * a.fs_hz)
    return block * width, min(a.length, (block + 1) * width)


def _cut(record: Record, first: int, last: int) -> Record:
    leads = (replace(lead, samples=lead.samples[first:last]) for lead in main_group(record))
    inside = ((max(a, first) - first, min(b, last) - first) for a, b in record.gaps)
    return replace(record, leads=tuple(leads), gaps=tuple((a, b) for a, b in inside if b > a))


def _quality(d: Delineation, a: Analysis, first: int) -> dict[str, Quality]:
    """Of each lead: noisy if its recorded lead was, or if few beats make the median."""
    few = len(d.beat.beats) < FEW_BEATS
    names = [MDC_TO_SHORT.get(code, code) for code in a.leads]
    block = min(first // round(QUALITY_BLOCK_S * a.fs_hz), len(a.quality) - 1)
    worse = (
        {name for name, code in zip(names, a.quality[block], strict=True) if code >= NOISY}
        if block >= 0
        else set()
    )
    if worse & {"I", "II"}:
        worse |= set(FROM_I_II) - set(names)
    return {name: "noisy" if few or name in worse else "good" for name in d.leads.names}


def _overall(quality: Mapping[str, Quality], leads: tuple[str, ...]) -> Quality:
    noisy = sum(quality[name] == "noisy" for name in leads)
    return "noisy" if 2 * noisy > len(leads) else "good"


def _rates(a: Analysis, inside: Flags) -> dict[str, Value]:
    """Rates from all beats of the stretch, whatever their shape."""
    rr_ms = a.rr_s[inside].astype(float)[1:] * 1000
    rr_ms = rr_ms[np.isfinite(rr_ms)]
    names = tuple(MDC_TO_SHORT.get(code, code) for code in a.leads)
    if not len(rr_ms):
        return dict.fromkeys(
            ("rate_bpm", "longest_rr_ms", "shortest_rr_ms"), withheld("fewer than two beats")
        )
    quality: Quality = "good" if a.readable_s >= 0.9 * a.recorded_s else "noisy"
    return {
        "rate_bpm": Value(round(60000 / float(rr_ms.mean()), 1), quality, names),
        "longest_rr_ms": Value(round(float(rr_ms.max())), quality, names),
        "shortest_rr_ms": Value(round(float(rr_ms.min())), quality, names),
    }


def _intervals(d: Delineation, quality: Mapping[str, Quality]) -> dict[str, Value]:
    out = {
        "p_ms": _interval(d, quality, "p_on", "p_off", P_MS, d.p_note),
        "pr_ms": _interval(d, quality, "p_on", "qrs_on", PR_MS, d.p_note),
        "qrs_ms": _interval(d, quality, "qrs_on", "qrs_off", QRS_MS, ""),
        "qt_ms": _interval(d, quality, "qrs_on", "t_off", QT_MS, ""),
    }
    pr, qt = out["pr_ms"].value, out["qt_ms"].value
    if pr is not None and qt is not None and d.beat.rr_s * 1000 - pr < qt - P_IN_T_MS:
        inside = withheld("what looks like P lies in T of the beat before", out["pr_ms"].leads)
        out |= {"p_ms": inside, "pr_ms": inside}
    return out | _corrected(out["qt_ms"], d.beat.rr_s)


def _interval(
    d: Delineation,
    quality: Mapping[str, Quality],
    first: str,
    last: str,
    limits: tuple[float, float],
    note: str,
) -> Value:
    """From one common point to another, on the leads that show both."""
    seen = tuple(name for name in d.used(first) if name in d.used(last))
    if note or len(seen) < min(INTERVAL_LEADS, int(d.measured.sum())):
        return withheld(note or f"seen in {len(seen)} leads only", seen)
    value_ms = (d.common[last] - d.common[first]) * 1000 / d.beat.fs_hz
    if not limits[0] <= value_ms <= limits[1]:
        return withheld(f"{value_ms:.0f} ms lies outside {limits[0]:.0f} to {limits[1]:.0f} ms", seen)
    return Value(round(value_ms), _overall(quality, seen), seen)


def _corrected(qt: Value, rr_s: float) -> dict[str, Value]:
    """Bazett 1920: QT over the square root of RR in s; Fridericia 1920: over its cube root."""
    roots = {"qtc_bazett_ms": 1 / 2, "qtc_fridericia_ms": 1 / 3}
    if qt.value is None:
        return dict.fromkeys(roots, qt)
    if not np.isfinite(rr_s) or rr_s <= 0:
        return dict.fromkeys(roots, withheld("no RR interval before the measured beats", qt.leads))
    return {name: replace(qt, value=round(qt.value / rr_s**root)) for name, root in roots.items()}


def _axes(by_lead: Mapping[str, Mapping[str, Value]], limb_note: str) -> dict[str, Value]:
    """Frontal axes of QRS (net areas) and T from I and aVF; aVF counts 2/sqrt(3) for its weaker lead vector."""
    return {
        name: _axis(by_lead, what, least, limb_note)
        for name, what, least in (
            ("axis_deg", "net_area_uv_ms", AXIS_UV_MS),
            ("t_axis_deg", "t_uv", T_AXIS_UV),
        )
    }


def _axis(by_lead: Mapping[str, Mapping[str, Value]], what: str, least: float, limb_note: str) -> Value:
    used = ("I", "aVF")
    if limb_note or not set(used) <= by_lead.keys():
        return withheld(limb_note or "leads I and aVF are needed", used)
    left, down = (by_lead[name][what] for name in used)
    if left.value is None or down.value is None:
        return withheld(left.reason or down.reason, used)
    x, y = left.value, down.value * 2 / 3**0.5
    if np.hypot(x, y) < least:
        return withheld("too small in the frontal plane to have an axis", used)
    quality: Quality = "noisy" if "noisy" in (left.quality, down.quality) else "good"
    return Value(round(float(np.degrees(np.arctan2(y, x)))), quality, used)


def _voltages(by_lead: Mapping[str, Mapping[str, Value]], limb_note: str) -> dict[str, Value]:
    """Sokolow-Lyon 1949: S in V1 + the larger R of V5, V6. Cornell (Casale 1985): R in aVL + S in V3."""
    return {
        "sokolow_lyon_uv": _sum(by_lead, ("V1", "depth_uv"), (("V5", "r_uv"), ("V6", "r_uv")), ""),
        "cornell_uv": _sum(by_lead, ("V3", "depth_uv"), (("aVL", "r_uv"),), limb_note),
    }


def _sum(
    by_lead: Mapping[str, Mapping[str, Value]],
    depth: tuple[str, str],
    heights: tuple[tuple[str, str], ...],
    note: str,
) -> Value:
    """One depth and the largest of the heights, by (lead, name)."""
    leads = tuple(lead for lead, _ in (depth, *heights))
    parts = [by_lead.get(lead, {}).get(name) for lead, name in (depth, *heights)]
    known = [part for part in parts if part is not None and part.value is not None]
    if note or len(known) < len(parts):
        return withheld(note or f"leads {', '.join(leads)} are needed", leads)
    numbers = [part.value or 0.0 for part in known]
    noisy = any(part.quality == "noisy" for part in known)
    return Value(round(numbers[0] + max(numbers[1:])), "noisy" if noisy else "good", leads)


def qrs_limits_s(measured: Measurements, analysis: Analysis) -> tuple[float, float]:
    """Begin and end of QRS in s from the analysis' own R samples, for `ecg.st.levels`; nan where not measured."""
    d = measured.delineation
    if d is None:
        return float("nan"), float("nan")
    own = analysis.sample - measured.stretch[0]
    moved = [int(at - own[np.abs(own - at).argmin()]) for at in d.beat.beats]
    start = float(np.median(moved)) - d.beat.anchor
    return (d.common["qrs_on"] + start) / d.beat.fs_hz, (d.common["qrs_off"] + start) / d.beat.fs_hz
