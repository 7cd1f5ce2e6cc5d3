"""From recorder samples to the QRS band at one internal rate, in exact integers.

Every device is brought to 128 Hz by area resampling (20 ms, which also nulls 50 Hz and its harmonics), then to a
band of about 5-25 Hz, then to an energy envelope. All of it is running sums of integers, so a sample's value
depends on its neighbourhood alone: not on how the stream was cut, nor on which devices share the batch
(DESIGN.md section 7). One set of constants serves every sampling rate from 50 to 2000 Hz.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

Int = NDArray[np.int64]
Whole = (
    NDArray[np.int32] | NDArray[np.int64]
)  # 32 bits where they hold all that can come: half the memory to pass
Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

RATE_HZ = 128  # internal rate; 8 ms is finer than any decision taken on it
HOP = 64  # samples per decision step: 0.5 s, the larger part of the latency
START_HOPS = 4  # the first 2 s are read before anything is said, to know the leads' levels

SMOOTH = 3  # 23 ms: with the 20-ms area filter, low-pass near 20 Hz
BASELINE = 25  # 195 ms: subtracting this mean removes wander and most of the T wave
ENERGY = 13  # 102 ms: as long as a QRS complex
NEIGHBOUR = 25  # 195 ms: two beats are never closer (ventricular refractory period)
REACH = NEIGHBOUR + (ENERGY - 1) // 2 + 1 + (BASELINE - 1) // 2  # 44: samples each side that a hop looks at
MARGIN = (BASELINE - 1) // 2  # 12: samples at each end that the band needs
SPOILS = (ENERGY - 1) // 2 + 1 + (BASELINE - 1) // 2  # 19: how far one bad sample reaches through the filters

RAGGED_LAG = 2  # second difference over 2 x 16 ms: greatest at 32 Hz, above the QRS band
LSB_PARTS = 64  # resampled integers are in 1/64 LSB
GRID = 3200  # 128 Hz and the 20-ms window both fall on 1/3200 s x fs
IMPOSSIBLE_UV = 8000  # uV in the QRS band: beyond any heart, so a burst, a step or a pacing artefact
EIGHTH = HOP // 8  # 62 ms
FS_SMALL_HZ = 1024  # below, 20 ms of full-scale samples times GRID stay within 32 bits
BAND_SMALL = 1 << 26  # below, the energy of the band stays within 32 bits
RAIL = 32767  # an int16 at its end tells nothing


@dataclass(frozen=True)
class Conditioned:
    """What the hops [first, first+h) of g devices look like; curves start REACH samples before the first hop.

    grid (in 1/64 LSB): [g, lead, m]; total: [g, lead, m + 1], its sums before each place, of which only differences
    over less than a second mean anything (32 bits turn over). band: [g, lead, m - 2 * MARGIN], from MARGIN on, and
    band_uv [g], uV of its unit. envelope_uv: [g, lead, m]. peak_uv, floor_uv, rough_uv: [g, lead, h], inf where a
    sample of the hop is bad: the envelope's summit, its quietest 62 ms, and how ragged (near 30 Hz) the quiet parts
    are. spoilt: [g, lead, h], more than a quarter of the hop is bad.
    """

    grid: Whole
    total: Whole
    band: Whole
    band_uv: Real
    envelope_uv: Real
    peak_uv: Real
    floor_uv: Real
    rough_uv: Real
    spoilt: Bool


def samples_needed(hop: int, fs_hz: int) -> int:
    """How many samples from the stream's start must exist before `hop` can be decided."""
    last = HOP * (hop + 1) + REACH - 1
    return (last * 25 + 32) * fs_hz // GRID + 1


def hops_ready(samples: int, fs_hz: int) -> int:
    """How many hops `samples` suffice for; none until the starting hops are complete."""
    hops = max(0, samples * 2 // fs_hz)
    while hops and samples_needed(hops - 1, fs_hz) > samples:
        hops -= 1
    return hops if hops >= START_HOPS else 0


def first_needed(hop: int, fs_hz: int) -> int:
    """Index (from the stream's start, may be negative) of the oldest sample that `hop` looks at."""
    return ((HOP * hop - REACH) * 25 - 32) * fs_hz // GRID


@lru_cache(64)  # the pieces of a stream are alike, and none is longer than two minutes
def _edges(first: int, count: int, fs_hz: int) -> tuple[Int, Whole]:
    """Points of time, in 1/GRID of a sample, 25 * fs_hz apart from `first` on: the sample each lies in, and how far."""
    points = first + np.arange(count, dtype=np.int64) * (25 * fs_hz)
    whole = points // GRID
    return whole, points - whole * GRID


def resample(raw: NDArray[np.integer], start: int, fs_hz: int, first: int, last: int) -> Whole:
    """Mean over 20 ms around each point of the 128-Hz grid, in 1/64 LSB; `raw[..., 0]` is sample `start`."""
    is_small = raw.dtype == np.int16 and fs_hz < FS_SMALL_HZ
    kind = np.int32 if is_small else np.int64  # sums may turn over, their differences over 20 ms do not
    total = running_total(raw, kind)
    begin, width = first * 25 * fs_hz - GRID * start - 32 * fs_hz, 64 * fs_hz

    def area_until(point: int) -> Whole:
        whole, part = _edges(point, last - first, fs_hz)
        area: Whole = total.take(whole, axis=-1)
        area *= GRID
        area += raw.take(whole, axis=-1) * part.astype(kind)
        return area

    if width % GRID:
        mean = area_until(begin + width)
        mean -= area_until(begin)
    else:  # a whole number of samples: between the sums that begin with the one and with the next
        sums = windowed(total, width // GRID)
        whole, part = _edges(begin, last - first, fs_hz)
        mean = sums.take(whole + 1, axis=-1)
        mean -= (now := sums.take(whole, axis=-1))
        mean *= part.astype(kind)
        now *= GRID
        mean += now
    mean //= fs_hz
    return mean


def running_total(values: NDArray[np.integer], kind: type[np.integer]) -> Whole:
    """[.., m + 1]: the sum of all values before each place."""
    total = np.empty((*values.shape[:-1], values.shape[-1] + 1), kind)
    total[..., 0] = 0
    np.cumsum(values, axis=-1, dtype=kind, out=total[..., 1:])
    return total


def windowed(total: Whole, length: int) -> Whole:
    """Sums over `length` neighbours, from their running total."""
    return total[..., length:] - total[..., :-length]


def running_sum(values: Whole, length: int) -> Whole:
    return windowed(running_total(values, values.dtype.type), length)


def highest(curve: Real | Int, length: int) -> Any:
    """The greatest of every `length` neighbours, found in doubled steps."""
    top, width = curve, 1
    while 2 * width <= length:
        top, width = np.maximum(top[..., :-width], top[..., width:]), 2 * width
    rest = length - width
    return np.maximum(top[..., :-rest], top[..., rest:]) if rest else top


def neighbours(curve: NDArray[Any], length: int) -> NDArray[Any]:
    """[.., k, length]: every `length` neighbours, as a view to be read only."""
    shape = (*curve.shape[:-1], curve.shape[-1] - length + 1, length)
    return as_strided(curve, shape, (*curve.strides, curve.strides[-1]))


def _spread(marks: Bool, reach: int) -> Bool:
    return np.asarray(maximum_filter1d(marks.view(np.uint8), 2 * reach + 1, axis=-1)).astype(bool)


def condition(
    raw: NDArray[np.int16], bad: Bool | None, start: int, fs_hz: int, uv_per_lsb: Real, hop: int, hops: int
) -> Conditioned:
    """Condition hops [hop, hop+hops) of g devices: raw, bad are [g, lead, sample] from sample `start` on."""
    first, last = HOP * hop - REACH, HOP * (hop + hops) + REACH
    grid = resample(raw, start, fs_hz, first, last)
    total = running_total(grid, grid.dtype.type)
    band = total[..., MARGIN + 2 : 1 - MARGIN] - total[..., MARGIN - 1 : -MARGIN - 2]
    band *= BASELINE
    wide = windowed(total, BASELINE)
    wide *= SMOOTH
    band -= wide
    band_uv = uv_per_lsb / (LSB_PARTS * SMOOTH * BASELINE)
    greatest = np.maximum(band.max(axis=(1, 2)), -band.min(axis=(1, 2)))
    slope = band[..., 2:] - band[..., :-2]
    np.abs(slope, out=slope)
    if greatest.max() >= BAND_SMALL:
        slope = slope.astype(np.int64)
    energy = running_sum(slope, ENERGY)
    envelope = np.zeros(grid.shape)
    np.multiply(energy, (band_uv / ENERGY)[:, None, None], out=envelope[..., SPOILS:-SPOILS])
    spoils = None if bad is None else _bad_on_grid(bad, start, fs_hz, first, last)
    if (greatest * band_uv > IMPOSSIBLE_UV).any():
        spoils = _impossible(band, band_uv, spoils)
    if spoils is not None:
        envelope[spoils] = 0.0
    bend = 2 * grid[..., REACH:-REACH]
    bend -= grid[..., REACH - RAGGED_LAG : -REACH - RAGGED_LAG]
    bend -= grid[..., REACH + RAGGED_LAG : RAGGED_LAG - REACH]
    rough = _rough(np.abs(bend, out=bend), hops) * (uv_per_lsb / (LSB_PARTS * EIGHTH))[:, None, None]
    return Conditioned(grid, total, band, band_uv, envelope, *_hop_numbers(envelope, rough, spoils, hops))


def _bad_on_grid(bad: Bool, start: int, fs_hz: int, first: int, last: int) -> Bool:
    """Which places a bad sample reaches through the filters."""
    return _spread(resample(bad.astype(np.int64) * fs_hz, start, fs_hz, first, last) > 0, SPOILS)


def _impossible(band: Whole, band_uv: Real, spoils: Bool | None) -> Bool:
    """The same of what no heart makes; the band's own margin has spread it already."""
    marks = np.zeros((*band.shape[:-1], band.shape[-1] + 2 * MARGIN), bool)
    np.greater(np.abs(band * band_uv[:, None, None]), IMPOSSIBLE_UV, out=marks[..., MARGIN:-MARGIN])
    marks = _spread(marks, SPOILS - MARGIN)
    return marks if spoils is None else marks | spoils


def _eighths(curve: NDArray[Any], hops: int) -> NDArray[Any]:
    """Sums over eighths of each hop (62 ms), added in a fixed order whatever the array's shape."""
    parts = curve.reshape(*curve.shape[:-1], hops, 8, EIGHTH)
    total: NDArray[Any] = parts[..., 0].copy()
    for k in range(1, EIGHTH):
        total += parts[..., k]
    return total


def _rough(bend: Whole, hops: int) -> Whole:
    second: Whole = np.partition(_eighths(bend, hops), 1, axis=-1)[..., 1]
    return second


def _hop_numbers(
    envelope: Real, rough: Real, spoils: Bool | None, hops: int
) -> tuple[Real, Real, Real, Bool]:
    own = envelope[..., REACH:-REACH]
    shape = (*envelope.shape[:-1], hops, HOP)
    peak = own.reshape(shape).max(axis=-1)
    lowest = (_eighths(own, hops) / EIGHTH).min(axis=-1)
    if spoils is None:
        return peak, lowest, rough, np.zeros(peak.shape, bool)
    marks = spoils[..., REACH:-REACH].reshape(shape)
    some, many = marks.any(axis=-1), marks.sum(axis=-1) > HOP // 4
    peak[some] = np.inf
    lowest[some] = np.inf
    rough[some] = np.inf
    return peak, lowest, rough, many
