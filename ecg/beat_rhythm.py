"""Intervals around a beat beside those between the patient's usual beats.

RR ratios after de Chazal 2004 (doi 10.1109/TBME.2004.827359), as logarithms, 0 where unknown.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]
Number = Real | NDArray[np.float32]

RUN_BEGINS = -0.12  # log of intervals after over intervals before: 11 % faster at once
RUN_LASTS = 0.92  # of the intervals before
RATIO_LIMITS = (0.25, 4.0)
NEAR, WIDE = 21, 301  # intervals between usual beats that a median is taken over
DEFAULT_RR_S = 0.8  # where no interval between usual beats is known


def running_median(values: Real, span: int) -> Real:
    """Median over the `span` known values around each place, fewer at the ends; nan if none is known."""
    at = np.flatnonzero(np.isfinite(values))
    if not len(at):
        return np.full(len(values), np.nan)
    half = min(span // 2, len(at))
    beyond = np.where(
        np.arange(half) % 2, -np.inf, np.inf
    )  # as many too large as too small: they do not count
    padded = np.concatenate([-beyond[::-1], values[at], beyond])
    return nearest(median_filter(padded, size=2 * half + 1)[half : half + len(at)], at, len(values))


def local_median(values: Real, half: int = 2) -> Real:
    """Lower median of what is known among `half` values each side of each place; nan if nothing is."""
    padded = np.pad(values, half, constant_values=np.nan)
    ordered = np.sort(sliding_window_view(padded, 2 * half + 1), axis=1)  # nan sorts last
    count = np.isfinite(ordered).sum(axis=1)
    picked = ordered[np.arange(len(values)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, picked, np.nan)


def nearest(values: Real, at: NDArray[np.int64], count: int) -> Real:
    """Values that stand at the places `at`, at each of `count` places the nearest."""
    if len(at) == count:
        return values
    place = np.arange(count)
    after = np.clip(np.searchsorted(at, place), 0, len(at) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(at[before] - place) < np.abs(at[after] - place)
    out: Real = values[np.where(nearer, before, after)]
    return out


def known_median(values: Real, known: Bool, span: int) -> Real:
    """`running_median` over the values that are known."""
    return running_median(np.where(known, values, np.nan), span)


def ratio(a: Number, b: Number) -> Real:
    """log of a over b within limits, 0 where unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        out = np.log(np.clip(a / b, *RATIO_LIMITS))
    return np.nan_to_num(out, nan=0.0)


def shifted(values: Real, by: int, fill: float = np.nan) -> Real:
    """values[i + by], `fill` beyond the ends."""
    out = np.full(len(values), fill)
    if by >= 0:
        out[: len(values) - by] = values[by:]
    else:
        out[-by:] = values[:by]
    return out


def _runs(rr_s: Real, local: Real) -> Real:
    """How much faster the beats around are than before an abrupt acceleration that still lasts, as a logarithm; else 0.

    Sinus rhythm quickens over many beats; a run of ectopic beats begins within one.
    """
    before, here = local_median(shifted(rr_s, -3)), local_median(shifted(rr_s, 2))
    jump = ratio(here, before)
    begins, out, place = jump < RUN_BEGINS, np.zeros(len(rr_s)), 0
    for begin in np.flatnonzero(begins).tolist():
        if begin < place:
            continue
        level = 0.0
        for place in range(begin, len(rr_s)):
            now = float(local[place])
            if begins[place] and before[place] > level:
                level = float(before[place])
            elif not now < RUN_LASTS * level:  # also where the interval is unknown
                break
            out[place] = max(min(math.log(max(now, 0.1) / level), 0.0), -1.0)
        place += 1
    return out


def _unrest(change: Real, by: int) -> Real:
    """Mean change of five successive intervals, centred `by` beats away; 0 where unknown."""
    known = np.nan_to_num(change, nan=0.0)
    total = np.convolve(known, np.ones(5), mode="same") / 5
    return shifted(np.minimum(total, 1.0), by, 0.0)


def _between(beats: Bool) -> Bool:
    """Whose interval lies between two of them."""
    out: Bool = beats & (shifted(beats.astype(np.float64), -1, 0.0) > 0)
    return out


def rhythm(rr_s: Real, usual: Bool, dominant: Bool) -> dict[str, Real]:
    """Intervals beside those between usual beats nearby, and between beats of the dominant kind over a long span.

    rr_s [k] is nan where unknown; usual, dominant [k] tell which beats are.
    """
    before, after = rr_s, shifted(rr_s, 1)
    near, wide = known_median(rr_s, _between(usual), NEAR), known_median(rr_s, _between(dominant), WIDE)
    local = local_median(rr_s)
    change = np.abs(np.diff(rr_s, prepend=np.nan)) / near
    unrest = {"unrest_before": _unrest(change, -3), "unrest_after": _unrest(change, 5)}
    change[~usual] = np.nan
    return {
        **unrest,
        "rr_run": _runs(rr_s, local),
        "rr_usual": np.log(np.clip(np.nan_to_num(near, nan=DEFAULT_RR_S), 0.2, 3.0)),
        "rr_before": ratio(before, near),
        "rr_after": ratio(after, near),
        "rr_before_that": ratio(shifted(rr_s, -1), near),
        "rr_after_that": ratio(shifted(rr_s, 2), near),
        "rr_pair": ratio(before + after, 2 * near),
        "rr_before_wide": ratio(before, wide),
        "rr_local": ratio(local, near),
        "rr_local_wide": ratio(local, wide),
        "rr_before_local": ratio(before, local),
        "rr_before_21": ratio(before, running_median(rr_s, NEAR)),
        "rr_ratio": ratio(before, after),
        "rr_step": ratio(before, shifted(rr_s, -1)),
        "irregular": np.nan_to_num(running_median(change, 31), nan=0.0),
        "irregular_near": np.nan_to_num(running_median(change, 9), nan=0.0),
    }
