"""How much the last five seconds look like ventricular fibrillation, flutter or fast ventricular tachycardia.

Between the beats of any rhythm with narrow QRS there is rest; in VF, flutter and fast VT there is none: the median of
the absolute signal is a large part of its peaks (threshold-crossing measures: Thakor 1990, TCSC of Arafat 2009; review
of measures: Amann, Tratnig, Unterkofler 2005). Two bands are looked at, that of the QRS and one down to 1 Hz, by their
sums over each half second; features are ratios of sums over ten half seconds; a logistic regression weighs them.
Sums are of integers and all else is elementwise, so nothing depends on cuts or companions (DESIGN.md section 7).
"""

import numpy as np
from numpy.typing import NDArray

from ecg.conditioning import HOP, LSB_PARTS, MARGIN, REACH, SMOOTH, Conditioned, Int, Real, Whole, highest
from ecg.fusion import OFF

WINDOW_HOPS = 10  # 5 s, as the windows of the Creighton labels and of AAMI EC38
STEP = 2  # every second sample of the 128-Hz grid: the bands end near 20 Hz
SLOW = 77  # 602 ms: subtracting this mean leaves what is faster than about 1 Hz
SUMS = (
    "rest", "low", "peak", "area", "change", "bend",  # QRS band
    "slow_rest", "slow_low", "slow_peak", "slow_area", "slow_change", "slow_bend", "on",
)  # fmt: skip
_PEAK, _SLOW_PEAK = SUMS.index("peak"), SUMS.index("slow_peak")
ON_HOPS = (
    5  # of ten with the electrode on: a lead is asked; fibrillation that is clipped is not readable, yet seen
)
FLAT_UV = 8.0  # mean amplitude of a lead that has no signal at all: it refutes nothing

# Weight of each feature of `features` and the start, in logits; tools/train_rhythms.py, docs/models/rhythms.md.
FEATURES = (
    "rest", "low", "change", "bend", "evenness", "size",
    "slow_rest", "slow_low", "slow_change", "slow_bend", "slow_evenness", "slow_size", "fast_share",
)  # fmt: skip
START = -21.926
WEIGHTS: tuple[float, ...] = (
    25.808, -12.338, 10.675, 1.04, -1.882, 3.632, 9.907, 17.094, -12.522, -6.75, -3.491, 3.611, 13.006,
)  # fmt: skip
SIZE_UP_TO_UV = 40.0  # a larger mean amplitude tells no more
SLOW_SIZE_UP_TO_UV = 60.0


def empty_swings(leads: int) -> Int:
    """[lead, WINDOW_HOPS - 1, sum]: nothing has been seen."""
    return np.zeros((leads, WINDOW_HOPS - 1, len(SUMS)), np.int64)


def _bands(c: Conditioned, uv_per_lsb: Real, hops: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Both bands in whole microvolts at 64 Hz, from two samples before the first hop on."""
    first, last = REACH - 2 * STEP, REACH + hops * HOP
    band = c.band[..., first - MARGIN : last - MARGIN : STEP]
    fast = np.rint(band * c.band_uv[:, None, None]).astype(np.int32)
    total = c.total

    def mean_of(length: int) -> Whole:
        half = length // 2
        out: Whole = (
            total[..., first + half + 1 : last + half + 1 : STEP]
            - total[..., first - half : last - half : STEP]
        )
        return out

    scale = (uv_per_lsb / (LSB_PARTS * SMOOTH * SLOW))[:, None, None]
    slow = np.rint((mean_of(SMOOTH) * SLOW - mean_of(SLOW) * SMOOTH) * scale).astype(np.int32)
    return fast, slow


def _sums(band: NDArray[np.int32], hops: int) -> list[Int]:
    """rest, low, peak, area, change, bend of each hop, [g, lead, h]."""
    step = np.diff(band, axis=-1)
    devices, leads, _ = band.shape
    shape = (devices, leads, hops, HOP // STEP)
    size = np.sort(np.abs(band[..., 2:]).reshape(shape), axis=-1)
    change = np.abs(step[..., 1:]).reshape(shape)
    bend = np.abs(np.diff(step, axis=-1)).reshape(shape)
    middle = HOP // STEP // 2
    rows = (size[..., middle], size[..., middle // 2], size[..., -1])
    return [
        *(row.astype(np.int64) for row in rows),
        *(part.sum(axis=-1, dtype=np.int64) for part in (size, change, bend)),
    ]


def swings(c: Conditioned, uv_per_lsb: Real, codes: NDArray[np.uint8]) -> Int:
    """The SUMS of each new half second, [g, lead, h, sum]; codes [g, lead, h] are the leads' quality."""
    hops = codes.shape[-1]
    fast, slow = _bands(c, uv_per_lsb, hops)
    on = (codes != OFF).astype(np.int64)
    return np.stack([*_sums(fast, hops), *_sums(slow, hops), on], axis=-1)


def windows(joined: Int) -> tuple[Int, Int, Int]:
    """Sums over every ten half seconds, and their least and greatest peaks, [g, lead, h, sum]; the first nine of joined
    end no window.
    """
    hops = joined.shape[-2] - WINDOW_HOPS + 1
    total = joined[..., :hops, :].copy()
    for back in range(1, WINDOW_HOPS):
        total += joined[..., back : back + hops, :]
    by_hop = np.ascontiguousarray(np.moveaxis(joined[..., [_PEAK, _SLOW_PEAK]], -2, 0))  # long rows are fast
    peaks = np.moveaxis(by_hop, 0, -1)
    least, most = -highest(-peaks, WINDOW_HOPS), highest(peaks, WINDOW_HOPS)
    return total, np.moveaxis(least, -1, -2), np.moveaxis(most, -1, -2)


def features(sums: Int, least: Int, most: Int) -> list[Real]:
    """The FEATURES, each [g, lead, h]: ratios without unit."""
    count = WINDOW_HOPS * HOP // STEP
    out: list[Real] = []
    for k, up_to in enumerate((SIZE_UP_TO_UV, SLOW_SIZE_UP_TO_UV)):
        rest, low, peak, area, change, bend = (sums[..., 6 * k + n] for n in range(6))
        out += [rest / (peak + 1), low / (peak + 1), change / (area + 1), bend / (change + 1)]
        out += [least[..., k] / (most[..., k] + 1), np.minimum(area / (count * up_to), 1.0)]
    return [*out, sums[..., 3] / (sums[..., 9] + 1)]


def likeness(joined: Int, hop: NDArray[np.int64]) -> Real:
    """Logits [g, h] that the five seconds ending with each hop are VF, flutter or VT: of the lead that says so least,
    since one lead with QRS complexes and rest between them refutes it. Nan where no lead has a signal, or before there
    are five seconds; hop [g] is the index of the first. Joined is what is remembered and what is new of `swings`.
    """
    sums, least, most = windows(joined)
    logit: Real = np.full(least.shape[:-1], START)
    for weight, values in zip(WEIGHTS, features(sums, least, most), strict=True):
        logit += weight * values
    flat = sums[..., SUMS.index("slow_area")] < FLAT_UV * WINDOW_HOPS * HOP / STEP
    logit[flat | (sums[..., -1] < ON_HOPS)] = np.inf
    lowest = logit[:, 0].copy()
    for lead in range(1, logit.shape[1]):
        np.minimum(lowest, logit[:, lead], out=lowest)
    early = hop[:, None] + np.arange(lowest.shape[1]) < WINDOW_HOPS - 1
    lowest[early | np.isinf(lowest)] = np.nan
    return lowest
