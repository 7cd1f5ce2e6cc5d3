"""Wave boundaries of a record: per lead on the median beat, common to all leads, and carried back to each beat.

What is common follows the CSE working party (1985): the earliest begin and the latest end over the leads, one
dissenting lead left out. A boundary nobody can see is nan, never a guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecg.twelve_lead import atrial, boundaries
from ecg.twelve_lead.atrial import Atrial
from ecg.twelve_lead.median_beat import MedianBeat, build
from ecg.twelve_lead.signals import Flags, Leads, Places, Real

POINTS = ("p_on", "p_peak", "p_off", "qrs_on", "qrs_off", "t_peak", "t_off")
BEATS_NEEDED = 3  # alike: two may be alike by chance
QRS_OVER_NOISE = 2.0  # size of QRS over one beat's noise below which a lead is not measured
QRS_OVER_MEDIAN_NOISE = 12.0  # the same over the median's noise: noise alone makes 7
STEEPNESS = 8.0  # steepest slope of QRS over the beat's median slope: a sine wave has 1.4, LUDB from 31 on
WAVE_OVER_NOISE = 1.5  # the same for P and T on the median: one beat's noise over the root of the beats
WAVE_UV = 6.0  # smallest P or T whose place is told: readers mark them down to the noise (CSE: 20 uV)
P_SHARE, P_LIKENESS, P_SPREAD_S = 0.8, 0.75, 0.020  # of beats with P; how alike; how close (tuned)
IRREGULAR, P_LIKENESS_IRREGULAR = 0.1, 0.9  # median change of RR over RR: flutter and f waves may look shared
AFTER_T_S = 0.020
OUTER = 0.15  # quantile over leads that readers' marks have at the earliest but one of twelve
OWN_OUTER = 0.05  # the same of our leads, which are drawn together; tuned on LUDB's even records


@dataclass(frozen=True)
class Delineation:
    """points: name -> [lead], samples on the median beat's axis (nan: not seen); common: name -> sample over all leads.

    p_note says why there is no common P. measured [lead]: leads whose QRS stands out of their noise.
    """

    leads: Leads
    beat: MedianBeat
    points: Mapping[str, Real]
    common: Mapping[str, float]
    atrial: Atrial | None
    p_note: str
    measured: Flags

    def used(self, point: str) -> tuple[str, ...]:
        """The leads on which a point was seen."""
        return tuple(
            name for name, at in zip(self.leads.names, self.points[point], strict=True) if np.isfinite(at)
        )


def delineate(leads: Leads, sample: Places, ventricular: Flags) -> Delineation | str:
    """Delineate the commonest beat; a str says why it cannot be done. sample, ventricular [beat] of the analysis."""
    if not leads.good().any():
        return "no lead can be measured"
    beat = build(leads, sample, ventricular)
    if beat is None or len(beat.beats) < BEATS_NEEDED:
        return f"fewer than {BEATS_NEEDED} beats of one shape"
    least = max(QRS_OVER_NOISE, QRS_OVER_MEDIAN_NOISE / len(beat.beats) ** 0.5)
    measured = leads.good() & (_size(beat) > least * beat.noise_uv)
    if not measured.any():
        return "noise hides the beats"
    if boundaries.steepness(beat.uv[measured], beat.anchor, beat.fs_hz) < STEEPNESS:
        return "no QRS complex stands out"
    on, off = boundaries.qrs(beat.uv, beat.anchor, beat.fs_hz, measured)
    begin, end = int(np.nanmedian(on)), int(np.nanmedian(off))
    rr = beat.rr_s * beat.fs_hz
    t_peak, t_off = boundaries.t_wave(beat.uv, beat.anchor, end, rr, beat.fs_hz, measured)
    t_small = ~_stands_out(beat, beat.uv, t_peak, end, measured)
    t_peak[t_small] = t_off[t_small] = np.nan
    found, note, p_points = _p_wave(beat, begin, end, t_off, measured)
    points = dict(zip(POINTS, (*p_points, on, off, t_peak, t_off), strict=True))
    return Delineation(leads, beat, points, common(points), found, note, measured)


def _size(beat: MedianBeat) -> Real:
    near = slice(max(0, beat.anchor - round(0.08 * beat.fs_hz)), beat.anchor + round(0.1 * beat.fs_hz))
    return np.asarray(np.ptp(beat.uv[:, near], axis=1), np.float64)


def _stands_out(beat: MedianBeat, uv: Real, top: Real, base: int, measured: Flags) -> Flags:
    """Which leads' summits rise out of the median's noise, over the level at `base`."""
    out = measured & np.isfinite(top)
    height = np.zeros(len(uv))
    rows = np.flatnonzero(out)
    height[rows] = np.abs(uv[rows, top[rows].astype(int)] - uv[rows, base])
    noise = beat.noise_uv / np.sqrt(len(beat.beats))
    return np.asarray(out & (height > np.maximum(WAVE_UV, WAVE_OVER_NOISE * noise)), bool)


def rr_before(beat: MedianBeat) -> Real:
    """Samples since the beat before, of whatever shape; nan for the first."""
    every = np.sort(np.concatenate([beat.beats, beat.others]))
    place = np.searchsorted(every, beat.beats)
    before = beat.beats - every[np.maximum(place - 1, 0)]
    return np.where(place > 0, before, np.nan)


def _p_wave(
    beat: MedianBeat, begin: int, end: int, t_off: Real, measured: Flags
) -> tuple[Atrial | None, str, tuple[Real, Real, Real]]:
    none = (np.full(len(beat.uv), np.nan),) * 3
    t_end = float(np.nanmedian(t_off)) if np.isfinite(t_off).any() else end + 0.3 * beat.fs_hz
    t_end += AFTER_T_S * beat.fs_hz
    found = atrial.find(beat, begin, t_end, rr_before(beat), measured)
    if found is None:
        return None, "too few beats, or no room before QRS, to look for P", none
    needed = P_LIKENESS_IRREGULAR if _irregular(rr_before(beat)) else P_LIKENESS
    if found.share < P_SHARE or found.likeness < needed:
        return found, "no P wave that the beats share", none
    if found.spread > P_SPREAD_S * beat.fs_hz:
        return found, "P is not at one distance from QRS", none
    reach = boundaries.samples(boundaries.P_SEARCH_S, beat.fs_hz)
    on, peak, off = boundaries.p_wave(
        found.uv, begin, found.top - reach, beat.fs_hz, measured, found.top + reach
    )
    small = ~_stands_out(beat, found.uv, peak, begin, measured)
    for places in (on, peak, off):
        places[small] = np.nan
    return found, "" if np.isfinite(on).any() else "P is too small", (on, peak, off)


def _irregular(rr: Real) -> bool:
    steps = np.abs(np.diff(rr))
    steps = steps[np.isfinite(steps)]
    return len(steps) > 0 and bool(np.median(steps) > IRREGULAR * np.nanmedian(rr))


def common(points: Mapping[str, Real], outer: float = OWN_OUTER) -> dict[str, float]:
    """Of points [lead] by name: the earliest begin and the latest end but one in twelve, and the middle summit."""
    out = {}
    for name, places in points.items():
        known = places[np.isfinite(places)]
        share = outer if name.endswith("_on") else 1 - outer if name.endswith("_off") else 0.5
        out[name] = float(np.quantile(known, share)) if len(known) else float("nan")
    return out


def of_beats(d: Delineation) -> dict[str, Real]:
    """The points [beat, lead] of every beat of the commonest shape, on the record's samples; nan where not seen."""
    start = (d.beat.beats - d.beat.anchor)[:, None]
    moved = np.zeros(len(d.beat.beats)) if d.atrial is None else d.atrial.moved
    return {
        name: start + places[None] + (moved[:, None] if name.startswith("p_") else 0.0)
        for name, places in d.points.items()
    }
