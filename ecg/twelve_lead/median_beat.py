"""The median beat: beats of one shape, aligned on all leads at once, noise and ectopy left behind.

Beats are compared by the normalised correlation of their slopes over QRS on all good leads; the shape that most beats
share is the one measured (AHA/ACC/HRS 2007, section on templates). Medians rather than means: a moved beat does not
bend the template.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter1d

from ecg.twelve_lead.signals import Flags, Leads, Places, Real

BEFORE_S, AFTER_S = 0.42, 0.72  # of the anchor: P of a long PR to the end of a long QT
CORE_S = 0.070  # each side of the anchor that is compared
SLACK_S = 0.050  # how far the detector's R may lie from the anchor: it moves from R to S between leads
SMOOTH_S = 0.004
SAME_SHAPE = (
    0.9  # correlation of slopes on all leads; paced, bundle-branch and ectopic beats differ far below it
)
MOST_BEATS = 60  # of a long record that are compared with each other; all are then compared with the template


@dataclass(frozen=True)
class MedianBeat:
    """uv [lead, sample] with its anchor at `anchor`; beats: aligned samples of the beats it is made of.

    beat_uv [beat, lead, sample]: those beats; noise_uv [lead]: what one beat typically differs by; rr_s: median RR
    before them; others: samples of beats of other shapes.
    """

    fs_hz: float
    anchor: int
    uv: Real
    beat_uv: Real
    noise_uv: Real
    beats: Places
    others: Places
    rr_s: float


def build(leads: Leads, sample: Places, ventricular: Flags) -> MedianBeat | None:
    """The record's median beat; None where no beat can be cut out whole."""
    good, fs_hz = leads.good(), leads.fs_hz
    if not good.any() or not len(sample):
        return None
    core, slack = round(CORE_S * fs_hz), round(SLACK_S * fs_hz)
    slope = gaussian_filter1d(leads.uv[good], SMOOTH_S * fs_hz, axis=1, order=1)
    slope /= (
        np.median(np.abs(slope), axis=1, keepdims=True) + 1e-9
    )  # a noisy lead must not decide what is alike
    whole = (sample >= core + slack) & (sample + core + slack < slope.shape[1])
    places, foreign = sample[whole], ventricular[whole]
    if not len(places):
        return None
    aligned, likeness = _aligned(slope, places, foreign, core, slack)
    same = likeness > SAME_SHAPE
    if not same.any():
        return None
    before = np.diff(aligned, prepend=np.int64(-1 << 40)) / fs_hz
    rr_s = before[same & (before < 5.0)]  # an interval after a gap is none
    beat_uv = cut_out(leads.uv, aligned[same], fs_hz)
    middle, noise_uv = _median(beat_uv)
    return MedianBeat(
        fs_hz, round(BEFORE_S * fs_hz), middle, beat_uv, noise_uv, aligned[same], aligned[~same],
        float(np.median(rr_s)) if len(rr_s) else float("nan"),
    )  # fmt: skip


def _median(beat_uv: Real) -> tuple[Real, Real]:
    """The middle beat [lead, sample], and the typical distance of one beat from it [lead]; 0 where nothing was cut."""
    known = np.isfinite(beat_uv[:, 0]).any(axis=0)
    middle = np.zeros(beat_uv.shape[1:])
    middle[:, known] = np.nanmedian(beat_uv[:, :, known], axis=0)
    away = np.abs(beat_uv[:, :, known] - middle[:, known])
    return middle, 1.4826 * np.nanmedian(away, axis=(0, 2))


def cut_out(uv: Real, places: Places, fs_hz: float) -> Real:
    """[beat, lead, sample] around each place; nan beyond the record's ends."""
    before, after = round(BEFORE_S * fs_hz), round(AFTER_S * fs_hz)
    padded = np.pad(uv, ((0, 0), (before, after)), constant_values=np.nan)
    return np.stack([padded[:, place : place + before + after] for place in places.tolist()])


def _aligned(slope: Real, places: Places, foreign: Flags, core: int, slack: int) -> tuple[Places, Real]:
    """Places moved onto the commonest shape, and each beat's likeness to it (1 = the same)."""
    windows = np.stack([slope[:, p - core - slack : p + core + slack] for p in places.tolist()])
    views = sliding_window_view(windows, 2 * core, axis=2)  # [beat, lead, shift, sample]
    energy = np.sqrt(np.einsum("blsk,blsk->bs", views, views)) + 1e-9
    some = np.unique(np.linspace(0, len(places) - 1, MOST_BEATS).astype(int))
    middles = windows[some][:, :, slack : slack + 2 * core]
    best = np.stack([_likeness(views[some], energy[some], middle).max(axis=1) for middle in middles], axis=1)
    votes = (best > SAME_SHAPE).sum(axis=0) + best.mean(axis=0) - 0.5 * foreign[some]
    template = middles[int(votes.argmax())]
    likeness = _likeness(views, energy, template)
    like = likeness.max(axis=1) > SAME_SHAPE
    shift = likeness.argmax(axis=1)
    template = np.median(np.stack([views[k, :, shift[k]] for k in np.flatnonzero(like)]), axis=0)
    likeness = _likeness(views, energy, template)
    return places + likeness.argmax(axis=1) - slack, likeness.max(axis=1)


def _likeness(views: Real, energy: Real, template: Real) -> Real:
    """Normalised correlation [beat, shift]."""
    product: Real = np.einsum("blsk,lk->bs", views, template)
    likeness: Real = product / (energy * np.sqrt((template * template).sum()) + 1e-9)
    return likeness
