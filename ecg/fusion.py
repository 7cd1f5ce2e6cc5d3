"""How good each lead is, and the one curve in which beats are looked for.

A lead's level is the slow, hard-to-poison memory of its QRS size: half-second peaks over 8 s, their 9/16 quantile
(so 3 s of disturbance in 8 do not move it), limited to +5 % / -1.5 % per half second. Its noise is what remains
between beats. Noise over level decides quality and weight; leads are then summed in units of their own level.
Elementwise arithmetic only, so a device's result does not depend on its companions (DESIGN.md section 7).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg.conditioning import HOP, NEIGHBOUR, REACH, START_HOPS, Bool, Conditioned, Real, highest, neighbours

QUALITIES = ("good", "noisy", "unreadable", "off")
GOOD, NOISY, UNREADABLE, OFF = range(4)
Codes = NDArray[np.uint8]

LEVEL_HOPS = 16  # 8 s of half-second peaks
NOISE_HOPS = 8  # 4 s of half-second floors: noise is noticed within 2 s
LEVEL_NEEDS = 4  # half seconds of clean signal before a level is believed
LEVEL_RISES = 1.05  # at most, per half second
LEVEL_FALLS = 0.985  # at most, per half second: an asystole of 30 s leaves 40 % of the level
LEVEL_TOO_SMALL_UV = 10.0  # uV of envelope, about a 50-uV QRS: no beat can be told from the recorder's noise
NOISY_ABOVE = 0.75  # noise over level: smooth, so perhaps VT; ragged noise disturbs much sooner
RAGGED_NOISY_ABOVE = 0.14
UNREADABLE_ABOVE = 1.0  # noise over level; a clean lead has 0.01 to 0.1, smooth VT and VF up to 0.9
RAGGED_UNREADABLE_ABOVE = 0.25  # the same when the noise is broadband: white noise alone has 0.30 to 0.47
RAGGED_ABOVE = 1.6  # raggedness over noise: white and muscle noise 2.0 to 3.0, VT and VF mostly 0.3 to 1.5
FEW = 16  # levels followed at once: below, plain numbers are faster than arrays
CANDIDATE_ABOVE = 0.08  # of the level: less is not even remembered
SMOOTH_COUNTS_TO = 0.2  # smooth noise lowers a weight no further: it may be VT, which must not hide itself
WEIGHT_SOFTENING = 0.05  # noise over level at which a lead counts as clean

# Where the histories of a memory lie in its array; two single numbers follow.
_PARTS = tuple(accumulate((0, LEVEL_HOPS, LEVEL_HOPS, NOISE_HOPS, NOISE_HOPS)))


class Memory(NamedTuple):
    """What each lead remembers between steps; all [g, lead, ...]."""

    peaks_uv: Real  # [.., LEVEL_HOPS] greatest of two neighbouring hops, inf = spoilt
    clean_uv: Real  # [.., LEVEL_HOPS] the same, inf also where broadband noise drowns everything
    last_peak_uv: Real  # [..] of the newest hop alone
    floors_uv: Real  # [.., NOISE_HOPS]
    roughs_uv: Real  # [.., NOISE_HOPS]
    level_uv: Real  # [..]


@dataclass(frozen=True)
class Judged:
    """Per hop [g, lead, h]: quality codes, the gain with which a lead enters the sum, its QRS size and its level.

    size_uv is quartered on a noisy lead and 0 on an unreadable one: the largest is where R is sought. It changes
    slowly, so that R does not jump from one lead's R to another lead's S.
    """

    quality: Codes
    gain_per_uv: Real
    size_uv: Real
    level_uv: Real


def empty_memory(leads: int) -> Memory:
    nothing = np.full((leads, LEVEL_HOPS), np.inf)
    short = nothing[:, :NOISE_HOPS]
    return Memory(
        nothing, nothing.copy(), np.full(leads, np.inf), short.copy(), short.copy(), np.zeros(leads)
    )


def joined(m: Memory) -> Real:
    """A memory as one array [.., lead, number], as each device keeps it."""
    one = (m.last_peak_uv[..., None], m.level_uv[..., None])
    return np.concatenate([m.peaks_uv, m.clean_uv, m.floors_uv, m.roughs_uv, *one], axis=-1)


def parted(row: Real) -> Memory:
    """The inverse of `joined`, as views."""
    peaks, clean, floors, roughs = (row[..., a:b] for a, b in pairwise(_PARTS))
    return Memory(peaks, clean, row[..., -2], floors, roughs, row[..., -1])


def stack(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """As np.stack for arrays of one shape, a fraction of its work for hundreds of small ones."""
    return np.concatenate(rows).reshape(len(rows), *rows[0].shape)


def _rank(windows: Real, numerator: int, denominator: int) -> tuple[Real, NDArray[np.int64]]:
    """Quantile of the finite values along the last axis, inf where there are none; and how many they are."""
    ordered = np.sort(windows, axis=-1)
    length = ordered.shape[-1]
    rank: Real = ordered[..., length * numerator // denominator].copy()
    count = np.full(rank.shape, length)
    short = ordered[..., -1] == math.inf
    if short.any():
        some = ordered[short]
        count[short] = known = (some < math.inf).sum(axis=-1)
        rank[short] = some[np.arange(len(some)), known * numerator // denominator]
    return rank, count


def _levels(target: Real, level: Real, hop: NDArray[np.int64]) -> Real:
    """The level after each hop, walking from `level`; the first 8 s follow freely, without a target it stays."""
    if level.size <= FEW and target.shape[-1] > 1:
        return _levels_one_by_one(target, level, hop)
    out = np.empty_like(target)
    for k in range(target.shape[-1]):
        wanted = target[..., k]
        limited = np.clip(wanted, level * LEVEL_FALLS, level * LEVEL_RISES)
        free = (hop + k < LEVEL_HOPS)[:, None] | (level == 0.0)
        level = np.where(np.isinf(wanted), level, np.where(free, wanted, limited))
        out[..., k] = level
    return out


def _levels_one_by_one(target: Real, level: Real, hop: NDArray[np.int64]) -> Real:
    """The same arithmetic in plain numbers: a recording has few leads and many hops."""
    rows = []
    for device, first in enumerate(hop.tolist()):
        for wanted, now in zip(target[device].tolist(), level[device].tolist(), strict=True):
            row = []
            for k, one in enumerate(wanted):
                if one == math.inf:
                    pass
                elif first + k < LEVEL_HOPS or now == 0.0:
                    now = one
                elif one > (high := now * LEVEL_RISES):
                    now = high
                else:
                    low = now * LEVEL_FALLS
                    now = one if one > low else low
                row.append(now)
            rows.append(row)
    return np.array(rows).reshape(target.shape)


def judge(c: Conditioned, memory: Memory, hop: NDArray[np.int64], off: Bool) -> tuple[Judged, Memory]:
    """Quality and gain of every lead for each hop; hop [g] is the index of the first, off [g, lead, h]."""
    two = np.concatenate([memory.last_peak_uv[..., None], c.peak_uv], axis=-1)
    two[two == math.inf] = 0.0
    pairs = highest(two, 2)
    pairs[c.peak_uv == math.inf] = math.inf
    peaks = np.concatenate([memory.peaks_uv, pairs], axis=-1)
    floors = np.concatenate([memory.floors_uv, c.floor_uv], axis=-1)
    roughs = np.concatenate([memory.roughs_uv, c.rough_uv], axis=-1)
    noise, _ = _rank(neighbours(floors, NOISE_HOPS)[..., 1:, :], 1, 2)
    ragged = _rank(neighbours(roughs, NOISE_HOPS)[..., 1:, :], 1, 2)[0] > RAGGED_ABOVE * noise
    starts = hop[0] == 0  # a group starts together: its first hops share what 2 s have shown
    ranked = _rank(neighbours(peaks, LEVEL_HOPS)[..., 1:, :], 9, 16)
    drowned = ragged & (noise > RAGGED_UNREADABLE_ABOVE * _target(*ranked, 1, starts))
    clean = np.concatenate([memory.clean_uv, np.where(drowned, math.inf, pairs)], axis=-1)
    unlike = (clean != peaks).any(axis=-1)
    if unlike.any():
        some = _rank(neighbours(clean[unlike], LEVEL_HOPS)[..., 1:, :], 9, 16)
        ranked[0][unlike], ranked[1][unlike] = some
    level = _levels(_target(*ranked, LEVEL_NEEDS, starts), memory.level_uv, hop)
    known = np.where(peaks == math.inf, 0.0, peaks)
    greatest = highest(known, LEVEL_HOPS)[..., 1:]
    still = highest(peaks, NOISE_HOPS)[..., LEVEL_HOPS - NOISE_HOPS + 1 :] == 0.0
    no_summit = ragged & (noise > RAGGED_UNREADABLE_ABOVE * greatest)
    sudden = c.rough_uv > RAGGED_ABOVE * c.floor_uv  # broadband noise that has only just begun
    noise_now = np.where(sudden, np.maximum(noise, c.floor_uv), noise)
    judged = _grade(level, noise_now, ragged | sudden, no_summit, still | c.spoilt, off)
    kept = Memory(
        peaks[..., -LEVEL_HOPS:],
        clean[..., -LEVEL_HOPS:],
        c.peak_uv[..., -1],
        floors[..., -NOISE_HOPS:],
        roughs[..., -NOISE_HOPS:],
        level[..., -1],
    )
    return judged, kept


def _target(rank: Real, count: NDArray[np.int64], needs: int, starts: bool) -> Real:
    """The level that 8 s of peaks suggest; inf where fewer than `needs` of them are known."""
    target = np.where(count < needs, math.inf, rank)
    if starts:
        target[..., : START_HOPS - 1] = target[..., START_HOPS - 1 : START_HOPS]
    return target


def _grade(level: Real, noise: Real, ragged: Bool, no_summit: Bool, useless: Bool, off: Bool) -> Judged:
    ratio = noise / np.maximum(level, LEVEL_TOO_SMALL_UV)
    quality = (ratio > np.where(ragged, RAGGED_NOISY_ABOVE, NOISY_ABOVE)).astype(np.uint8)
    too_much = ratio > np.where(ragged, RAGGED_UNREADABLE_ABOVE, UNREADABLE_ABOVE)
    # The level may be the memory of beats far taller than what is left.
    too_much |= no_summit & (quality == NOISY)
    quality[too_much | (level < LEVEL_TOO_SMALL_UV) | useless] = UNREADABLE
    quality[off] = OFF
    counted = np.where(ragged, ratio, np.minimum(ratio, SMOOTH_COUNTS_TO))
    softened = np.where(quality < UNREADABLE, counted, 0.0) + WEIGHT_SOFTENING
    weight = np.where(quality < UNREADABLE, 1.0 / (softened * np.sqrt(softened)), 0.0)
    total = weight[:, 0].copy()
    for lead in range(1, weight.shape[1]):  # a fixed order of additions
        total += weight[:, lead]
    gain = weight / (np.where(total > 0, total, 1.0)[:, None] * np.maximum(level, LEVEL_TOO_SMALL_UV))
    size = level * np.array([1.0, 0.25, 0.0, 0.0])[quality]
    return Judged(quality, gain, size, level)


def fuse(c: Conditioned, judged: Judged) -> Real:
    """[g, h, NEIGHBOUR + HOP + NEIGHBOUR]: each hop and its surroundings, seen with the hop's own gains."""
    width = HOP + 2 * NEIGHBOUR
    around = c.envelope_uv[..., REACH - NEIGHBOUR :]
    views = neighbours(around, width)[..., ::HOP, :]
    hops = judged.quality.shape[-1]
    curve = views[:, 0, :hops] * judged.gain_per_uv[:, 0, :, None]
    for lead in range(1, judged.quality.shape[1]):
        curve += views[:, lead, :hops] * judged.gain_per_uv[:, lead, :, None]
    return curve


def candidates(curve: Real) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Real]:
    """(device, hop, place within the hop, height) of every summit that nothing within 195 ms overtops."""
    top = highest(curve, 2 * NEIGHBOUR + 1)
    own = curve[..., NEIGHBOUR:-NEIGHBOUR]
    device, hop, place = np.nonzero((own == top) & (own > CANDIDATE_ABOVE))
    return device, hop, place, own[device, hop, place]
