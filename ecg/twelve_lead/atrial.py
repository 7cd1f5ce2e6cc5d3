"""Does a P wave precede the beats, and where? Looked for beat by beat on all leads, since PR need not be constant.

The stretch before QRS of every beat is compared with that of the others (normalised correlation of curvature on all
leads, free to move). A P wave is what most beats share; where they share nothing (fibrillation, noise) there is none,
and where it moves from beat to beat the PR interval is not one number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter1d

from ecg.twelve_lead.boundaries import P_BEFORE_QRS_S, P_EARLIEST_S, QRS_FOOT_S, before_qrs, samples
from ecg.twelve_lead.median_beat import MedianBeat
from ecg.twelve_lead.signals import Flags, Places, Real

CURVE_S = 0.030
HALF_S = 0.055  # each side of the summit that is compared: a P wave
SHARED = 0.6  # normalised correlation with the template from which a beat has the same P
STRONG = 0.3  # of the template's size
AFTER_T_S = 0.010  # the previous T must have ended so long before the summit's window
SHARE_OF_BEATS = 0.5
BEATS_NEEDED = 3
CLOSE_S = 0.015  # P waves that lie within this have one PR (AHA 1990: reader scatter of P onset 10 ms)


@dataclass(frozen=True)
class Atrial:
    """moved [beat]: samples by which a beat's P lies later than the middle one, nan without; share: of beats with P.

    likeness: median correlation; uv [lead, sample]: median beat aligned on P, valid before QRS; top: the summit there.
    """

    moved: Real
    share: float
    likeness: float
    uv: Real
    top: int

    @property
    def spread(self) -> float:
        """Typical distance (68 %) of P from its middle place, in samples."""
        known = self.moved[np.isfinite(self.moved)]
        return float(np.percentile(np.abs(known - np.median(known)), 68)) if len(known) else float("nan")


def find(beat: MedianBeat, on: int, t_end: float, rr_before: Real, good: Flags) -> Atrial | None:
    """P of the dominant beats; rr_before [beat] in samples (nan unknown), t_end of the beat before, on its own axis."""
    fs_hz, half = beat.fs_hz, samples(HALF_S, beat.fs_hz)
    first, last = max(half, on - samples(P_EARLIEST_S, fs_hz)), on - samples(P_BEFORE_QRS_S, fs_hz)
    hold = on - samples(QRS_FOOT_S, fs_hz)
    usable = np.flatnonzero(np.isfinite(beat.beat_uv[:, 0, : on + 1]).all(axis=1))
    if last - first < half or len(usable) < BEATS_NEEDED:
        return None
    held = np.stack([before_qrs(uv[:, : on + half + 1], hold) for uv in beat.beat_uv[usable][:, good]])
    bend = -gaussian_filter1d(held, CURVE_S * fs_hz, axis=2, order=2)
    views = sliding_window_view(bend[:, :, first - half : last + half], 2 * half + 1, axis=2)
    allowed = _allowed(views.shape[2], first, t_end + AFTER_T_S * fs_hz, rr_before[usable])
    energy = np.einsum("blsk,blsk->bs", views, views)
    place, likeness, size = _shared(views, np.where(allowed, energy, 0.0), allowed)
    same = (likeness > SHARED) & (size > STRONG)
    moved = np.full(len(beat.beats), np.nan)
    if same.sum() < BEATS_NEEDED:
        return Atrial(moved, float(same.mean()), float(np.median(likeness)), beat.uv, 0)
    middle = int(np.median(place[same]))
    moved[usable[same]] = place[same] - middle
    axis = np.arange(beat.uv.shape[1])
    shifted = [beat.beat_uv[k][:, np.clip(axis + int(moved[k]), 0, len(axis) - 1)] for k in usable[same]]
    uv = np.median(np.stack(shifted), axis=0)
    return Atrial(moved, float(same.mean()), float(np.median(likeness)), uv, first + middle)


def _allowed(shifts: int, first: int, t_end: float, rr: Real) -> Flags:
    """[beat, shift]: the summit lies after the T wave of the beat before."""
    earliest = np.where(np.isfinite(rr), t_end - rr, -np.inf)
    return first + np.arange(shifts)[None] >= earliest[:, None]


def _shared(views: Real, energy: Real, allowed: Flags) -> tuple[Places, Real, Real]:
    """Place, likeness and relative size of the commonest wave in each beat."""
    inner = np.zeros_like(energy)
    rising = (energy[:, 1:-1] >= energy[:, :-2]) & (energy[:, 1:-1] > energy[:, 2:])
    inner[:, 1:-1] = np.where(rising, energy[:, 1:-1], 0.0)  # a slope at the edge belongs to QRS or T
    tops = inner.argmax(axis=1)
    own = np.stack([views[k, :, top] for k, top in enumerate(tops)])
    root = np.sqrt(energy) + 1e-9

    def match(template: Real) -> Real:
        product = np.einsum("blsk,lk->bs", views, template)
        return np.where(allowed, product / (root * np.sqrt((template**2).sum()) + 1e-9), -1.0)

    best = np.stack([match(template).max(axis=1) for template in own])
    template = own[int(np.median(best, axis=1).argmax())]
    scores = match(template)
    like = scores.max(axis=1) > SHARED
    if like.sum() >= BEATS_NEEDED:
        at = scores.argmax(axis=1)
        template = np.median(np.stack([views[k, :, at[k]] for k in np.flatnonzero(like)]), axis=0)
        scores = match(template)
    place = scores.argmax(axis=1)
    size = root[np.arange(len(place)), place] / (np.sqrt((template**2).sum()) + 1e-9)
    return place, scores.max(axis=1), size
