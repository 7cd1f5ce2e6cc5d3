"""Heart-rate variability on NN intervals (Task Force of ESC and NASPE 1996), or why it is withheld.

NN intervals lie between two beats of class N; intervals beside other beats, across breaks, during atrial fibrillation,
or more than 20 % away from their neighbours' median are left out and counted. Spectra are of 5-min stretches, evenly
resampled at 4 Hz; what a stretch lacks is not filled. Times are ms, powers ms2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import welch

from ecg.analysis import CLASSES, Analysis
from ecg.reasons import Reason
from ecg.values import Quality, Value, withheld

Real = NDArray[np.float64]

STRETCH_S = 300.0  # Task Force: short-term recordings of 5 min; SDANN of 5-min means
STRETCH_SHARE = 0.8  # of a stretch must be NN time
DAY_H = 18.0  # analysable hours for 24-h figures (Task Force: at least 18 h)
NN_S = (0.3, 2.0)  # 30 to 200/min
ECTOPIC_SHARE = 0.2  # from the median of five: the usual 20 % filter (Malik 1989)
NEIGHBOURS = 5
NN_SHARE = 0.8  # of all intervals must be NN, else ectopy makes the figures
AF_SHARE = 0.05  # of the readable time
AF_RULES = ("atrial-fibrillation", "atrial-flutter")
RESAMPLED_HZ = 4.0
WINDOW_S = 150.0
LF_HZ, HF_HZ = (0.04, 0.15), (0.15, 0.40)
SHORT = ("mean_nn_ms", "sdnn_5min_ms", "rmssd_ms", "pnn50_pct", "lf_ms2", "hf_ms2", "lf_hf")
DAY = ("sdnn_24h_ms", "sdann_24h_ms")


@dataclass(frozen=True)
class Variability:
    """values by name with unit; nn_share of all known intervals; stretches: how many 5-min stretches were usable.

    withheld: why there is no figure at all; day_withheld: why there is none of 24 h. trend [5 min of the recording]:
    SDNN in ms, nan where a stretch was not usable; empty if all is withheld.
    """

    values: Mapping[str, Value]
    nn_share: float
    stretches: int
    withheld: Reason | None
    day_withheld: Reason | None
    trend: Real


def variability(analysis: Analysis, *, paced: bool = False) -> Variability:
    """HRV of a recording; every name of SHORT and DAY has a value or the reason why not."""
    end_s = analysis.sample.astype(float) / analysis.fs_hz
    nn = normal(analysis)
    known = np.isfinite(analysis.rr_s)
    share = float(nn.sum() / max(1, known.sum()))
    rr_ms = analysis.rr_s.astype(float) * 1000
    usable = [
        part for part in _stretches(end_s, nn, rr_ms) if rr_ms[part].sum() >= STRETCH_SHARE * STRETCH_S * 1000
    ]
    reason = _fault(analysis, paced, share, len(usable))
    if reason is not None:
        values = dict.fromkeys((*SHORT, *DAY), withheld(str(reason)))
        return Variability(values, round(share, 3), len(usable), reason, reason, np.empty(0))
    quality: Quality = "good" if share >= 0.95 else "noisy"
    numbers = _short(rr_ms, nn, usable, end_s)
    values = {name: Value(round(number, 2), quality) for name, number in numbers.items()}
    short = _few_hours(analysis)
    values |= _day(rr_ms, nn, usable, quality) if short is None else dict.fromkeys(DAY, withheld(str(short)))
    trend = _trend(analysis, rr_ms, usable, end_s)
    return Variability(values, round(share, 3), len(usable), None, short, trend)


def normal(a: Analysis) -> NDArray[np.bool_]:
    """[beat]: the interval before it is an NN interval outside fibrillation."""
    is_n = a.kind == CLASSES.index("N")
    rr = a.rr_s.astype(float)
    nn = is_n & np.concatenate([[False], is_n[:-1]])[: len(is_n)] & np.isfinite(rr)
    nn &= (np.nan_to_num(rr) >= NN_S[0]) & (np.nan_to_num(rr) <= NN_S[1])
    for first, last in _fibrillation(a):
        nn &= ~((a.sample >= first) & (a.sample <= last))
    places = np.flatnonzero(nn)
    if len(places) >= NEIGHBOURS:
        half = NEIGHBOURS // 2
        middle = np.median(sliding_window_view(np.pad(rr[places], half, mode="edge"), NEIGHBOURS), axis=1)
        nn[places[np.abs(rr[places] - middle) > ECTOPIC_SHARE * middle]] = False
    return np.asarray(nn, bool)


def _fibrillation(a: Analysis) -> list[tuple[int, int]]:
    ends = ((f.onset_sample, f.offset_sample) for f in a.findings if f.rule in AF_RULES)
    return [(first, a.length if last is None else last) for first, last in ends]


def _fault(a: Analysis, paced: bool, share: float, stretches: int) -> Reason | None:
    if paced:
        return Reason("paced")
    fibrillating_s = sum(last - first for first, last in _fibrillation(a)) / a.fs_hz
    if fibrillating_s > AF_SHARE * max(a.readable_s, 1.0):
        return Reason("fibrillation", min(1.0, fibrillating_s / max(a.readable_s, 1.0)))
    if not stretches:
        return Reason("no-stretch")
    return Reason("few-nn", share) if share < NN_SHARE else None


def _few_hours(a: Analysis) -> Reason | None:
    hours = a.readable_s / 3600
    return Reason("few-hours", hours) if hours < DAY_H else None


def _stretches(end_s: Real, nn: NDArray[np.bool_], rr_ms: Real) -> Iterator[NDArray[np.int64]]:
    """Indices of the NN intervals of each 5 min of the recording."""
    places = np.flatnonzero(nn)
    number = (end_s[places] // STRETCH_S).astype(int)
    edges = np.flatnonzero(np.diff(number)) + 1
    yield from np.split(places, edges) if len(places) else []


def _short(
    rr_ms: Real, nn: NDArray[np.bool_], usable: list[NDArray[np.int64]], end_s: Real
) -> dict[str, float]:
    """Figures of usual length: of all NN intervals, and means over the 5-min stretches."""
    steps = np.diff(rr_ms)[nn[1:] & nn[:-1]]
    powers = np.array([_powers(end_s[part], rr_ms[part]) for part in usable])
    lf, hf = powers.mean(axis=0)
    return {
        "mean_nn_ms": float(rr_ms[nn].mean()),
        "sdnn_5min_ms": float(np.mean([rr_ms[part].std(ddof=1) for part in usable])),
        "rmssd_ms": float(np.sqrt((steps**2).mean())) if len(steps) else float("nan"),
        "pnn50_pct": float(100 * (np.abs(steps) > 50).mean()) if len(steps) else float("nan"),
        "lf_ms2": float(lf),
        "hf_ms2": float(hf),
        "lf_hf": float(lf / hf) if hf > 0 else float("nan"),
    }


def _powers(at_s: Real, nn_ms: Real) -> tuple[float, float]:
    """LF and HF power of one stretch: linear resampling, Welch with half-overlapping Hann windows, detrended."""
    grid = np.arange(at_s[0], at_s[-1], 1 / RESAMPLED_HZ)
    even = np.interp(grid, at_s, nn_ms)
    length = min(len(even), round(WINDOW_S * RESAMPLED_HZ))
    hz, density = welch(even, RESAMPLED_HZ, nperseg=length, detrend="linear")
    step = float(hz[1] - hz[0])
    lf, hf = (float(density[(hz >= low) & (hz < high)].sum() * step) for low, high in (LF_HZ, HF_HZ))
    return lf, hf


def _day(
    rr_ms: Real, nn: NDArray[np.bool_], usable: list[NDArray[np.int64]], quality: Quality
) -> dict[str, Value]:
    means = np.array([rr_ms[part].mean() for part in usable])
    return {
        "sdnn_24h_ms": Value(round(float(rr_ms[nn].std(ddof=1)), 2), quality),
        "sdann_24h_ms": Value(round(float(means.std(ddof=1)), 2), quality),
    }


def _trend(a: Analysis, rr_ms: Real, usable: list[NDArray[np.int64]], end_s: Real) -> Real:
    """SDNN of each 5 min."""
    out = np.full(-(-a.length // round(STRETCH_S * a.fs_hz)), np.nan)
    for part in usable:
        out[int(end_s[part[0]] // STRETCH_S)] = rr_ms[part].std(ddof=1)
    return out
