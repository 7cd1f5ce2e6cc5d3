"""What is known about each summit of the fused curve before anyone decides whether it is a beat.

The R extremum on the lead with the largest readable QRS, on the recorder's own samples; the width of its steep
part; and its shape on up to three leads. Worked out for all candidates of a batch at once.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg.conditioning import HOP, MARGIN, RATE_HZ, REACH, Conditioned, Real, neighbours, running_sum
from ecg.fusion import UNREADABLE, Judged

Shape = NDArray[np.int32]

R_REACH = 13  # 102 ms each side of the energy summit
SHAPE_REACH = 17  # 133 ms each side of R: QRS and ST onset, not the P wave of a normal PR
SHAPE_SLACK = 2  # 16 ms each way when shapes are compared
SHAPE_LEADS = 3  # shapes are compared on at most three leads
SHAPE_FULL_SCALE = 127
PARTS = 16  # shapes are compared in 1/16 of a step of that scale, in which they are also learnt
SHOWN_REACH = 6  # 47 ms: leads see a beat at slightly different times
SHOWN = (
    0.15  # of a lead's level: less is not seen on it (MIT-BIH DS1: 2 beats of 42,000, 31 of 98 false ones)
)
STEEP = 0.3  # of the steepest slope: where the QRS begins and ends


class Candidate(NamedTuple):
    """A summit: `place` on the 128-Hz grid, `height` in levels, `sample` of its R extremum on the stream."""

    place: int
    height: float
    sample: int
    width_ms: float
    is_partial: bool  # half of the readable leads, or fewer, show it
    is_whole: bool  # all leads of its shape are readable
    readable: list[bool]
    lengths: list[float]  # root of the sum of squares of the shape at each shift, in 1/PARTS; at least PARTS
    shape: Shape  # [lead, 2 * (SHAPE_REACH + SHAPE_SLACK) + 1]
    shifted: Real  # [shift, lead * sample]: the shape as seen at each shift, in 1/PARTS


def kept(c: Candidate) -> Candidate:
    """In memory of its own: as a view it would keep all that was found together with it."""
    return c._replace(shape=c.shape.copy(), shifted=c.shifted.copy())


Candidates = tuple[list[int], list[Candidate]]  # each one's hop, and itself


@dataclass(frozen=True)
class Found:
    """Summits of a batch as columns, sorted by device and time."""

    device: NDArray[np.int64]
    hop: NDArray[np.int64]
    place: NDArray[np.int64]
    height: Real
    sample: NDArray[np.int64]
    width_ms: Real
    is_partial: NDArray[np.bool_]
    readable: NDArray[np.bool_]
    lengths: Real
    shape: Shape


def _extremum(
    raw: NDArray[np.int16],
    start: int,
    fs_hz: int,
    where: tuple[NDArray[np.int64], ...],
    sign: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Sample of the signed extremum within 16 ms of a 128-Hz place."""
    device, lead, place = where
    half = fs_hz // 64 + 1
    centre = place * fs_hz // RATE_HZ - start
    index = np.clip(centre[:, None] + np.arange(-half, half + 1), 0, raw.shape[-1] - 1)
    values = raw[device[:, None], lead[:, None], index].astype(np.int64) * sign[:, None]
    best = values.argmax(axis=1)
    out: NDArray[np.int64] = index[np.arange(len(best)), best] + start
    return out


def _above_chord(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Height of each sample over the line between the window's ends, times 2 * R_REACH: wander and slope removed."""
    steps = np.arange(2 * R_REACH + 1)
    chord: NDArray[np.int64] = values[:, :1] * (2 * R_REACH - steps) + values[:, -1:] * steps
    return values * (2 * R_REACH) - chord


def _width_ms(steep: Real) -> Real:
    over = steep > STEEP * steep.max(axis=1, keepdims=True)
    first = over.argmax(axis=1)
    last = over.shape[1] - 1 - over[:, ::-1].argmax(axis=1)
    out: Real = (last - first + 1) * (1000.0 / RATE_HZ)
    return out


def _partial(
    c: Conditioned,
    judged: Judged,
    device: NDArray[np.int64],
    hop: NDArray[np.int64],
    at: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Whether no more than half of the readable leads show anything at a summit; never of a single lead."""
    near = neighbours(c.envelope_uv, 2 * SHOWN_REACH + 1)
    height_uv = near[device, :, at - SHOWN_REACH].max(axis=2)
    readable = judged.quality[device, :, hop] < UNREADABLE
    shows = readable & (height_uv >= SHOWN * judged.level_uv[device, :, hop])
    count = readable.sum(axis=1)
    return np.asarray((count > 1) & (2 * shows.sum(axis=1) <= count))


def describe(
    c: Conditioned,
    judged: Judged,
    raw: NDArray[np.int16],
    start: int,
    fs_hz: int,
    first_hop: int,
    summits: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Real],
    shape_leads: NDArray[np.int64],
) -> Found:
    device, hop, place, height = summits
    at = hop * HOP + place + REACH
    lead = judged.size_uv[device, :, hop].argmax(axis=1)
    above = _above_chord(neighbours(c.grid, 2 * R_REACH + 1)[device, lead, at - R_REACH])
    peak = np.abs(above).argmax(axis=1)
    r = at - R_REACH + peak
    sign = np.where(above[np.arange(len(r)), peak] < 0, -1, 1)
    grid = (first_hop * HOP - REACH) + r
    sample = _extremum(raw, start, fs_hz, (device, lead, grid), sign)
    first, width = r - MARGIN, 2 * R_REACH + 3  # of the band
    own = neighbours(c.band, width)[device, lead, first - R_REACH - 1] * c.band_uv[device, None]
    reach = SHAPE_REACH + SHAPE_SLACK
    band = neighbours(c.band, 2 * reach + 1)[device[:, None], shape_leads, first[:, None] - reach]
    shape = band * c.band_uv[device, None, None]
    readable = judged.quality[device[:, None], shape_leads[None, :], hop[:, None]] < UNREADABLE
    largest = np.maximum(np.abs(shape).max(axis=(1, 2)), 1e-9)
    scaled = (
        np.rint(shape * (SHAPE_FULL_SCALE / largest)[:, None, None]).astype(np.int32) * readable[:, :, None]
    )
    squares = (scaled * scaled).sum(axis=1, dtype=np.int64)
    return Found(
        device,
        hop,
        first_hop * HOP + hop * HOP + place,
        height,
        sample,
        _width_ms(np.abs(own[:, 2:] - own[:, :-2])),
        _partial(c, judged, device, hop, at),
        readable,
        np.sqrt(np.maximum(running_sum(squares, 2 * SHAPE_REACH + 1), 1)) * PARTS,
        scaled,
    )


def shifted(shape: Shape) -> Real:
    """[.., shift, lead * sample] of shapes [.., lead, sample], whole numbers as floats: their products stay exact."""
    width = 2 * SHAPE_REACH + 1
    views: Real = np.multiply(np.moveaxis(neighbours(shape, width), -2, -3), float(PARTS), order="C")
    return views.reshape(*shape.shape[:-2], 2 * SHAPE_SLACK + 1, shape.shape[-2] * width)


def rows(found: Found, places: NDArray[np.int64], samples: NDArray[np.int64]) -> list[Candidates]:
    """Of each device, in time order; places and samples [device] are added, since devices began whole seconds before or
    after each other.
    """
    columns = (
        found.place + places[found.device], found.height, found.sample + samples[found.device], found.width_ms,
        found.is_partial, found.readable.all(axis=1), found.readable, found.lengths,
    )  # fmt: skip
    plain: list[Any] = [column.tolist() for column in columns]
    made = zip(*plain, found.shape, shifted(found.shape), strict=True)
    every, hops = list(map(Candidate._make, made)), found.hop.tolist()
    edges = np.searchsorted(found.device, np.arange(len(places) + 1)).tolist()
    return [(hops[a:b], every[a:b]) for a, b in pairwise(edges)]
