"""One lead of the median beat in numbers: deflections of QRS, ST level at J, J+60 and J+80, T and P.

Amplitudes are over the level just before QRS (AHA/ACC/HRS 2007); names Q, R, S, R' by order and sign as readers give
them. Deflections below 25 uV or 6 ms are noise to a reader (CSE: 20 uV, 6 ms) and are not named.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from ecg.st import high_pass_fault
from ecg.twelve_lead.delineation import Delineation
from ecg.twelve_lead.signals import Real
from ecg.values import Quality, Value, withheld

LEVEL_S = 0.016  # before QRS: the reference level (AHA 1990: the PR segment, at least 16 ms)
POINT_S = 0.008  # an ST level is a mean over so long
DEFLECTION_UV, DEFLECTION_S = 25.0, 0.006
ST_AFTER_J_S: Mapping[str, float] = {"st_j_uv": 0.0, "st_j60_uv": 0.060, "st_j80_uv": 0.080}
NAMES = (
    "q_uv", "q_ms", "r_uv", "s_uv", "r2_uv", "depth_uv", "r_peak_ms", "qrs_ms", "net_area_uv_ms", "t_uv", "p_uv",
    "slur_end_uv", *ST_AFTER_J_S,
)  # fmt: skip


def lead_shape(
    d: Delineation, lead: int, quality: Quality, filters: Mapping[str, float] | None
) -> dict[str, Value]:
    """Values of one lead by name; all withheld where the lead was not measured."""
    name = d.leads.names[lead]
    if not d.measured[lead]:
        reason = d.leads.bad.get(name, "noise hides the QRS complexes of this lead")
        return dict.fromkeys(NAMES, withheld(reason, (name,)))
    fs_hz, uv = d.beat.fs_hz, d.beat.uv[lead]
    on, off = round(d.common["qrs_on"]), round(d.common["qrs_off"])
    level = float(uv[max(0, on - round(LEVEL_S * fs_hz)) : max(1, on)].mean())
    numbers = _qrs(uv[on : off + 1] - level, fs_hz)
    numbers["qrs_ms"] = _ms(d.points["qrs_off"][lead] - d.points["qrs_on"][lead], fs_hz)
    out = {
        key: Value(round(value, 1), quality, (name,))
        if np.isfinite(value)
        else withheld("QRS is not seen in this lead")
        for key, value in numbers.items()
    }
    return out | _st(uv - level, off, fs_hz, name, quality, filters) | {
        "t_uv": _height(uv - level, d.points["t_peak"][lead], name, quality, "T"),
        "p_uv": _p_height(d, lead, name, quality),
    }  # fmt: skip


def _ms(samples: float, fs_hz: float) -> float:
    return float(samples * 1000 / fs_hz)


def _qrs(y: Real, fs_hz: float) -> dict[str, float]:
    """Deflections of QRS, y [sample] over the level before it; sizes are positive, 0 where there is none."""
    out = dict.fromkeys(("q_uv", "q_ms", "r_uv", "s_uv", "r2_uv", "r_peak_ms"), 0.0)
    seen_r = False
    for first, last, height in _deflections(y, fs_hz):
        if height > 0:
            out["r2_uv" if seen_r else "r_uv"] = max(height, out["r2_uv" if seen_r else "r_uv"])
            out["r_peak_ms"] = _ms(first + int(y[first:last].argmax()), fs_hz)
            seen_r = True
        elif seen_r:
            out["s_uv"] = max(-height, out["s_uv"])
        else:
            out["q_uv"], out["q_ms"] = -height, _ms(last - first, fs_hz)
    out["depth_uv"] = max(0.0, float(-y.min()))
    out["net_area_uv_ms"] = float(y.sum() * 1000 / fs_hz)
    slur = round(0.040 * fs_hz)
    out["slur_end_uv"] = float(y[min(slur, len(y) - 1)])
    return out


def _deflections(y: Real, fs_hz: float) -> list[tuple[int, int, float]]:
    """(first, last, signed height) of the runs of one sign that are large and long enough to be named."""
    edges = np.flatnonzero(np.diff(np.sign(y))) + 1
    bounds = [0, *edges.tolist(), len(y)]
    runs = []
    for first, last in pairwise(bounds):
        part = y[first:last]
        height = float(part[np.abs(part).argmax()]) if len(part) else 0.0
        if abs(height) >= DEFLECTION_UV and last - first >= DEFLECTION_S * fs_hz:
            runs.append((first, last, height))
    return runs


def _st(
    y: Real, off: int, fs_hz: float, name: str, quality: Quality, filters: Mapping[str, float] | None
) -> dict[str, Value]:
    fault, unverified = high_pass_fault(filters), not filters or "high_pass_hz" not in filters
    out = {}
    for key, after_s in ST_AFTER_J_S.items():
        middle, half = off + round(after_s * fs_hz), max(1, round(POINT_S / 2 * fs_hz))
        if fault:
            out[key] = withheld(str(fault), (name,))
        else:
            value = round(float(y[middle - half : middle + half + 1].mean()), 1)
            told = "the recorder's high-pass filter is not told" if unverified else ""
            out[key] = Value(
                value, "unverified" if unverified and quality == "good" else quality, (name,), told
            )
    return out


def _height(y: Real, top: float, name: str, quality: Quality, wave: str) -> Value:
    if not np.isfinite(top):
        return withheld(f"{wave} is not seen in this lead", (name,))
    return Value(round(float(y[round(top)]), 1), quality, (name,))


def _p_height(d: Delineation, lead: int, name: str, quality: Quality) -> Value:
    """P over the level at its begin, on the beat that was aligned on P."""
    begin = d.points["p_on"][lead]
    if d.atrial is None or d.p_note or not np.isfinite(begin):
        return withheld(d.p_note or "P is not seen in this lead", (name,))
    y = d.atrial.uv[lead]
    return _height(y - y[max(0, round(begin))], d.points["p_peak"][lead], name, quality, "P")
