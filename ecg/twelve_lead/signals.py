"""The leads in microvolts, ready to be measured: completed, pacing spikes cut out, baseline removed, bad ones named.

Baseline wander is a cubic spline through the quiet point before each QRS (Meyer and Keiser 1977), so ST levels keep
their meaning; no high-pass filter touches them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from ecg.record import MDC_TO_SHORT, Lead, Record, main_group

Real = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]

LIMB, CHEST = ("I", "II", "III", "aVR", "aVL", "aVF"), ("V1", "V2", "V3", "V4", "V5", "V6")
STANDARD = LIMB + CHEST
# The other limb leads as shares of I and II (Einthoven; Goldberger).
FROM_I_II: Mapping[str, tuple[float, float]] = {
    "III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0),
}  # fmt: skip

FLAT_UV = (
    30.0  # uV between the 1st and 99th percentile: less than any QRS makes (low voltage is 500 uV, AHA 2009)
)
GONE_SHARE = 0.02  # of the samples missing or at the recorder's rail: the lead is not measured
RAIL = 32766  # int16 end of scale
QUIET_FROM_S, QUIET_TO_S = 0.120, 0.045  # before R: where the level between P and QRS is sought
QUIET_S = 0.020  # its length (AHA 1990: baseline over at least 16 ms)
EINTHOVEN_SHARE = (
    0.2  # of lead II's size by which II may differ from I + III: electrodes are sound, scales are not
)
SPIKE_S = 0.008  # half width of a pacing spike after a 150-Hz recorder: the pulse itself lasts 0.5 to 2 ms
SPIKE_UV = 60.0  # mean over leads
SPIKE_STANDS_OUT = (
    3.0  # times the change just outside it: the top of a QRS has steep flanks, a spike has none
)
SPIKE_OVER_NOISE = 12.0  # times the median of the same figure over the record


@dataclass(frozen=True)
class Leads:
    """uv [lead, sample] by short names, baseline removed; bad: lead -> why it is not measured; spikes: samples.

    limb_note: why amplitudes of limb leads cannot be compared with each other; empty if they can.
    """

    fs_hz: float
    names: tuple[str, ...]
    uv: Real
    bad: Mapping[str, str]
    spikes: Places
    limb_note: str

    def good(self) -> Flags:
        return np.array([name not in self.bad for name in self.names], bool)


def prepare(record: Record, beats: Places) -> Leads:
    """Leads of the record's main group and those that follow from I and II, measured around `beats` (samples)."""
    rows, bad = dict[str, Real](), dict[str, str]()
    group = main_group(record)
    for lead in group:
        name = MDC_TO_SHORT.get(lead.code, "")
        if name and name not in rows:
            rows[name], fault = _microvolts(lead, record.gaps)
            if fault:
                bad[name] = fault
    note = _complete(rows, bad)
    names = tuple(sorted(rows, key=lambda n: STANDARD.index(n) if n in STANDARD else len(STANDARD)))
    fs_hz = group[0].fs_hz
    if not names:
        return Leads(fs_hz, (), np.zeros((0, len(group[0].samples))), {}, np.zeros(0, np.int64), note)
    uv = np.stack([rows[name] for name in names])
    usable = np.array([name not in bad for name in names])
    spikes = pacing_spikes(uv[usable], fs_hz)
    uv = without_spikes(uv, spikes, fs_hz)
    return Leads(fs_hz, names, without_baseline(uv, beats, fs_hz), bad, spikes, note)


def _microvolts(lead: Lead, gaps: Sequence[tuple[int, int]]) -> tuple[Real, str]:
    """Samples in uV, holes filled with the lead's median, and why the lead cannot be measured."""
    raw = lead.samples.astype(np.float64)
    gone = ~np.isfinite(raw) | (np.abs(raw) >= RAIL if lead.samples.dtype == np.int16 else False)
    if lead.missing is not None:
        gone |= lead.samples == lead.missing
    for first, last in gaps:
        gone[first:last] = True
    if not len(raw) or gone.mean() > GONE_SHARE or not np.isfinite(lead.uv_per_lsb):
        return np.zeros(len(raw)), "samples missing or clipped"
    uv = (raw - lead.offset) * lead.uv_per_lsb
    uv[gone] = np.median(uv[~gone])
    low, high = np.percentile(uv, (1, 99))
    return uv, "flat" if high - low < FLAT_UV else ""


def _complete(rows: dict[str, Real], bad: dict[str, str]) -> str:
    """Derive limb leads that were not recorded; say if those recorded contradict each other."""
    if "I" not in rows or "II" not in rows or bad.keys() & {"I", "II"}:
        return "leads I and II are needed" if not {"I", "II"} <= rows.keys() - bad.keys() else ""
    one, two = rows["I"], rows["II"]
    note = ""
    for name, (of_one, of_two) in FROM_I_II.items():
        expected = of_one * one + of_two * two
        if name not in rows:
            rows[name] = expected
        elif name not in bad and _differ(rows[name], expected, float(max(np.std(one), np.std(two)))):
            note = "the limb leads contradict each other (Einthoven): their scales or electrodes are wrong"
    return note


def _differ(seen: Real, expected: Real, size_uv: float) -> bool:
    difference = seen - expected
    return float(np.std(difference - np.median(difference))) > EINTHOVEN_SHARE * size_uv


def pacing_spikes(uv: Real, fs_hz: float) -> Places:
    """Samples at which all leads together jump and are back within 16 ms, out of a quiet neighbourhood."""
    w = max(1, round(SPIKE_S * fs_hz))
    if uv.shape[0] == 0 or uv.shape[1] < 8 * w:
        return np.zeros(0, np.int64)
    mid, before, after = uv[:, 2 * w : -2 * w], uv[:, w : -3 * w], uv[:, 3 * w : -w]
    height = np.abs(mid - 0.5 * (before + after)).mean(axis=0)
    outside = (np.abs(before - uv[:, : -4 * w]) + np.abs(after - uv[:, 4 * w :])).mean(axis=0)
    stands = (height > SPIKE_UV) & (height > SPIKE_STANDS_OUT * outside)
    stands &= height > SPIKE_OVER_NOISE * np.median(height)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], stands.view(np.int8), [0]])))
    tops = [a + int(height[a:b].argmax()) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return np.array(tops, np.int64) + 2 * w


def without_spikes(uv: Real, spikes: Places, fs_hz: float) -> Real:
    """Straight lines in place of the spikes."""
    w, out = max(1, round(SPIKE_S * fs_hz)), uv.copy()
    for spike in spikes.tolist():
        a, b = spike - w, spike + w
        out[:, a : b + 1] = np.linspace(uv[:, a], uv[:, b], b - a + 1, axis=1)
    return out


def without_baseline(uv: Real, beats: Places, fs_hz: float) -> Real:
    """Subtract the spline through the quietest 20 ms before each QRS; the median where fewer than two are known."""
    if not uv.size:
        return uv
    slope = np.abs(gaussian_filter1d(uv, 0.006 * fs_hz, axis=1, order=1)).sum(axis=0)
    width = max(2, round(QUIET_S * fs_hz))
    calm, level = uniform_filter1d(slope, width), uniform_filter1d(uv, width, axis=1)
    knots = []
    for beat in beats.tolist():
        a, b = beat - round(QUIET_FROM_S * fs_hz), beat - round(QUIET_TO_S * fs_hz)
        if a >= width:
            knots.append(a + int(calm[a:b].argmin()))
    knots = sorted(set(knots))
    if len(knots) < 2:
        return uv - np.median(uv, axis=1, keepdims=True)
    spline = CubicSpline(knots, level[:, knots], axis=1)
    baseline: Real = spline(np.clip(np.arange(uv.shape[1]), knots[0], knots[-1]))
    return uv - baseline
