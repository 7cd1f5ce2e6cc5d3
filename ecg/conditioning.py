"""From recorder samples to the QRS band at one internal rate, in exact integers.

Every device is brought to 128 Hz by area resampling (20 ms, which also nulls 50 Hz and its harmonics), then to a
band of about 5-25 Hz, then to an energy envelope. All of it is running sums of integers, so a sample's value
depends on its neighbourhood alone: not on how the stream was cut, nor on which devices share the batch
(DESIGN.md section 7). One set of constants serves every sampling rate from 50 to 2000 Hz.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

Int = NDArray[np.int64]
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
SPOILS = (ENERGY - 1) // 2 + 1 + (BASELINE - 1) // 2  # 19: how far one bad sample reaches through the filters

RAGGED_LAG = 2  # second difference over 2 x 16 ms: greatest at 32 Hz, above the QRS band
LSB_PARTS = 64  # resampled integers are in 1/64 LSB
GRID = 3200  # 128 Hz and the 20-ms window both fall on 1/3200 s x fs
IMPOSSIBLE_UV = 8000  # uV in the QRS band: beyond any heart, so a burst, a step or a pacing artefact
RAIL = 32767  # an int16 at its end tells nothing


@dataclass(frozen=True)
class Conditioned:
    """What the hops [first, first+h) of g devices look like; curves start REACH samples before the first hop.

    grid (in 1/64 LSB), band_uv, envelope_uv: [g, lead, m]; total: [g, lead, m + 1], sums of grid before each place.
    peak_uv, floor_uv, rough_uv: [g, lead, h], inf where a
    sample of the hop is bad: the envelope's summit, its quietest 62 ms, and how ragged (near 30 Hz) the quiet parts
    are. spoilt: [g, lead, h], more than a quarter of the hop is bad.
    """

    grid: Int
    total: Int
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


def resample(raw: NDArray[np.integer], start: int, fs_hz: int, first: int, last: int) -> Int:
    """Mean over 20 ms around each point of the 128-Hz grid, in 1/64 LSB; `raw[..., 0]` is sample `start`."""
    total = np.zeros((*raw.shape[:-1], raw.shape[-1] + 1), np.int64)
    np.cumsum(raw, axis=-1, out=total[..., 1:])
    centre = np.arange(first, last, dtype=np.int64) * (25 * fs_hz) - GRID * start

    def area_until(point: Int) -> Int:
        whole = point // GRID
        part = point - whole * GRID
        area: Int = total.take(whole, axis=-1) * GRID + part * raw.take(whole, axis=-1)
        return area

    mean: Int = (area_until(centre + 32 * fs_hz) - area_until(centre - 32 * fs_hz)) // fs_hz
    return mean


def running_total(values: Int) -> Int:
    """[.., m + 1]: the sum of all values before each place."""
    total = np.zeros((*values.shape[:-1], values.shape[-1] + 1), np.int64)
    np.cumsum(values, axis=-1, out=total[..., 1:])
    return total


def windowed(total: Int, length: int) -> Int:
    """Sums over `length` neighbours, from their running total."""
    out: Int = total[..., length:] - total[..., :-length]
    return out


def running_sum(values: Int, length: int) -> Int:
    return windowed(running_total(values), length)


def _spread(marks: Bool, reach: int) -> Bool:
    if not marks.any():
        return marks
    return np.asarray(maximum_filter1d(marks.view(np.uint8), 2 * reach + 1, axis=-1)).astype(bool)


def _bad_on_grid(bad: Bool, start: int, fs_hz: int, first: int, last: int) -> Bool:
    if not bad.any():
        return np.zeros((*bad.shape[:-1], last - first), bool)
    return resample(bad.astype(np.int64) * fs_hz, start, fs_hz, first, last) > 0


def condition(
    raw: NDArray[np.int16], bad: Bool, start: int, fs_hz: int, uv_per_lsb: Real, hop: int, hops: int
) -> Conditioned:
    """Condition hops [hop, hop+hops) of g devices: raw, bad are [g, lead, sample] from sample `start` on."""
    first, last = HOP * hop - REACH, HOP * (hop + hops) + REACH
    margin = (BASELINE - 1) // 2
    grid = resample(raw, start, fs_hz, first, last)
    total = running_total(grid)
    short = windowed(total, SMOOTH)[..., margin - 1 : 1 - margin]
    band = short * BASELINE - windowed(total, BASELINE) * SMOOTH  # from first + margin
    scale = (uv_per_lsb / (LSB_PARTS * SMOOTH * BASELINE))[:, None, None]
    band_uv = np.zeros(grid.shape)
    band_uv[..., margin:-margin] = band * scale
    slope = np.abs(band[..., 2:] - band[..., :-2])
    envelope = np.zeros(grid.shape)
    envelope[..., SPOILS:-SPOILS] = running_sum(slope, ENERGY) * (scale / ENERGY)
    spoils = _spread(_bad_on_grid(bad, start, fs_hz, first, last), SPOILS)
    spoils |= _spread(np.abs(band_uv) > IMPOSSIBLE_UV, SPOILS - margin)  # margin is in the band already
    if spoils.any():
        envelope[spoils] = 0.0
    ragged = np.zeros(grid.shape)
    ragged[..., RAGGED_LAG:-RAGGED_LAG] = (
        np.abs(
            2 * grid[..., RAGGED_LAG:-RAGGED_LAG] - grid[..., : -2 * RAGGED_LAG] - grid[..., 2 * RAGGED_LAG :]
        )
        * (uv_per_lsb / LSB_PARTS)[:, None, None]
    )
    return Conditioned(grid, total, band_uv, envelope, *_hop_numbers(envelope, ragged, spoils, hops))


def _parts(curve: Real, hops: int) -> Real:
    """Means over eighths of each hop (62 ms), added in a fixed order whatever the array's shape."""
    own = curve[..., REACH : REACH + hops * HOP]
    eighths = own.reshape(*own.shape[:-1], hops, 8, HOP // 8)
    total = eighths[..., 0].copy()
    for k in range(1, HOP // 8):
        total += eighths[..., k]
    return total / (HOP // 8)


def _hop_numbers(envelope: Real, ragged: Real, spoils: Bool, hops: int) -> tuple[Real, Real, Real, Bool]:
    shape = (*envelope.shape[:-1], hops, HOP)
    own = envelope[..., REACH : REACH + hops * HOP].reshape(shape)
    peak = own.max(axis=-1)
    lowest = _parts(envelope, hops).min(axis=-1)
    rough = np.partition(_parts(ragged, hops), 1, axis=-1)[..., 1]
    marks = spoils[..., REACH : REACH + hops * HOP].reshape(shape)
    some, many = marks.any(axis=-1), marks.sum(axis=-1) > HOP // 4
    peak[some] = np.inf
    lowest[some] = np.inf
    rough[some] = np.inf
    return peak, lowest, rough, many
