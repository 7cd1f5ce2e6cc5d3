"""ST level and its episodes per lead over a long record, and whether the recorder's filters allow ST to be read at all.

Levels are 10-s medians over beats of class N of the level 60 ms after J over the level before QRS. An episode follows
the European ST-T database (Taddei 1992): at least 100 uV from the lead's own reference for at least 30 s, ended by 30 s
below that. The reference is the lead's median over the record, so a record that is raised throughout has no episode:
its absolute level is told beside. Change of posture also moves ST; a reader decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg.analysis import CLASSES, Analysis
from ecg.fusion import NOISY
from ecg.reasons import Reason
from ecg.record import Lead, Record, main_group

Real = NDArray[np.float64]

HIGH_PASS_HZ = 0.05  # AHA/ACC/HRS 2007 (and IEC 60601-2-25): above it ST is bent
LINEAR_PHASE_HZ = 0.67  # the same, for a filter whose phase is linear
BLOCK_S = 10.0
BEATS_NEEDED = 3  # of class N in a block
LEVEL_S, POINT_S = 0.016, 0.008  # length of the level before QRS, and of the ST point
AFTER_J_S = 0.060
CHANGE_UV, LENGTH_S = 100.0, 30.0


def high_pass_fault(filters: Mapping[str, float] | None) -> Reason | None:
    """Why the recorder's high-pass forbids ST levels; None if it is not told or harmless.

    filters: `high_pass_hz`, and `high_pass_linear_phase` 1.0 where the recorder says so (Record.filters).
    """
    cutoff_hz = (filters or {}).get("high_pass_hz", 0.0)
    linear = bool((filters or {}).get("high_pass_linear_phase", 0.0))
    limit_hz = LINEAR_PHASE_HZ if linear else HIGH_PASS_HZ
    return None if cutoff_hz <= limit_hz + 1e-6 else Reason("high-pass", cutoff_hz)


@dataclass(frozen=True)
class Episode:
    """ST of one lead away from its reference; change_uv is the largest, at extreme_sample; end sample exclusive."""

    lead: str
    onset_sample: int
    offset_sample: int
    extreme_sample: int
    change_uv: float
    level_uv: float


@dataclass(frozen=True)
class Levels:
    """level_uv [block, lead] per 10 s (nan: not measured), reference_uv [lead]; withheld says why there are none.

    unverified: levels are there, but what the recorder's filter did to them was not told.
    """

    leads: tuple[str, ...]
    level_uv: Real
    reference_uv: Real
    block_samples: int
    episodes: tuple[Episode, ...]
    withheld: Reason | None
    unverified: Reason | None = None


def levels(record: Record, analysis: Analysis, qrs_on_s: float, qrs_off_s: float) -> Levels:
    """ST of the record's main group; QRS limits in s from the analysis' R samples, as `qrs_limits_s` measures them."""
    leads = main_group(record)
    codes, block = tuple(lead.code for lead in leads), round(BLOCK_S * analysis.fs_hz)
    fault = high_pass_fault(record.filters)
    if fault is None and not np.isfinite(qrs_on_s + qrs_off_s):
        fault = Reason("no-qrs")
    blocks = -(-analysis.length // block)
    level = np.full((blocks, len(leads)), np.nan)
    if fault is None:
        beats = analysis.sample[analysis.kind == CLASSES.index("N")]
        for k, lead in enumerate(leads):
            level[:, k] = _lead_levels(lead, beats, block, blocks, qrs_on_s, qrs_off_s)
        level[: len(analysis.quality)][analysis.quality[:blocks] >= NOISY] = np.nan
    if fault is None and not np.isfinite(level).any():
        fault = Reason("no-level")
    return found_in(codes, level, block, fault, _untold(record) if fault is None else None)


def _untold(record: Record) -> Reason | None:
    return None if "high_pass_hz" in (record.filters or {}) else Reason("high-pass-untold")


def found_in(
    codes: tuple[str, ...], level: Real, block: int, withheld: Reason | None, unverified: Reason | None
) -> Levels:
    """References and episodes of levels that are measured; block: samples of each."""
    known = np.isfinite(level).any(axis=0)
    reference = np.full(len(codes), np.nan)
    reference[known] = np.nanmedian(level[:, known], axis=0)
    found = [
        e for k, code in enumerate(codes) for e in _episodes(code, level[:, k], float(reference[k]), block)
    ]
    found.sort(key=lambda e: (e.onset_sample, e.lead))
    return Levels(codes, level, reference, block, tuple(found), withheld, unverified)


def _lead_levels(
    lead: Lead, beats: NDArray[np.int64], block: int, blocks: int, on_s: float, off_s: float
) -> Real:
    """[block]: median over its beats of ST60 less the level before QRS; nan with fewer than three beats."""
    fs_hz = lead.fs_hz
    before = round(on_s * fs_hz) - np.arange(1, round(LEVEL_S * fs_hz) + 1)
    half = max(1, round(POINT_S / 2 * fs_hz))
    after = round((off_s + AFTER_J_S) * fs_hz) + np.arange(-half, half + 1)
    whole = (beats + before.min() >= 0) & (beats + after.max() < len(lead.samples))
    own = beats[whole]
    pieces = [lead.samples[own[:, None] + part].astype(float) for part in (before, after)]
    if lead.missing is not None:
        for piece in pieces:
            piece[piece == lead.missing] = np.nan
    st_uv = (pieces[1].mean(axis=1) - pieces[0].mean(axis=1)) * lead.uv_per_lsb
    return _medians(st_uv, own // block, blocks)


def _medians(values: Real, place: NDArray[np.int64], blocks: int) -> Real:
    """[blocks]: the median of the finite values at each place; nan with fewer than BEATS_NEEDED."""
    known = np.isfinite(values)
    values, place = values[known], place[known]
    ordered = values[np.lexsort((values, place))]
    edges = np.searchsorted(place, np.arange(blocks + 1))
    count = np.diff(edges)
    enough = np.flatnonzero(count >= BEATS_NEEDED)
    first, length = edges[:-1][enough], count[enough]
    out = np.full(blocks, np.nan)
    out[enough] = (ordered[first + (length - 1) // 2] + ordered[first + length // 2]) / 2
    return out


def _episodes(lead: str, level: Real, reference: float, block: int) -> list[Episode]:
    """Runs of one sign at or over the limit for 30 s; gaps below it of less than 30 s, or unmeasured, are bridged."""
    need, out = round(LENGTH_S / BLOCK_S), list[Episode]()
    change = level - reference
    for sign in (1.0, -1.0):
        over = np.flatnonzero(sign * np.nan_to_num(change) >= CHANGE_UV)
        if not len(over):
            continue
        below = np.cumsum(np.isfinite(change) & (sign * np.nan_to_num(change) < CHANGE_UV))
        splits = np.flatnonzero(np.diff(below[over]) >= need) + 1
        for run in np.split(over, splits):
            if len(run) >= need:
                top = int(run[(sign * change[run]).argmax()])
                out.append(
                    Episode(
                        lead,
                        int(run[0]) * block,
                        (int(run[-1]) + 1) * block,
                        top * block,
                        round(float(change[top]), 1),
                        round(float(level[top]), 1),
                    )
                )
    return out
