"""N, S, V of every beat of a recording, told afterwards: the record pass's own judgement, with the future known.

Two logistic judgements (ventricular or not; if not, supraventricular ectopic or not) over the numbers of
`ecg.beat_features`; beats of one kind are ventricular together or not at all. The weights are plain numbers
(`ecg/models/beats_record.json`, trained by `tools/train_beats.py`, described in `docs/models/beats.md`).
Fusion beats are not told from N and V.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter1d

from ecg import artefacts, beat_features, beat_shapes, conditioning
from ecg.analysis import CLASSES, QUALITY_BLOCK_S, Analysis, intervals
from ecg.beat_features import Numbers, Real
from ecg.beat_shapes import Bool, Int, Samples
from ecg.fusion import UNREADABLE
from ecg.models import logistic
from ecg.models.logistic import Model, log_odds
from ecg.record import Lead
from ecg.stream import shape_leads

BLOCK_S = 1800  # templates are learnt anew for each such stretch: posture and electrodes change in a day
BEATS_NEEDED = 20  # fewer in a block teach nothing about the patient
MARGIN_S = 1  # of signal beyond a block's ends
BASELINE_HALF = 64  # 0.5 s each side: the mean over 1 s is the wander
WINDOW_S = 0.02  # each sample of the grid is the mean over so much, as in ecg.conditioning


@cache
def model() -> Model:
    """The shipped model."""
    return logistic.load("beats_record")


@cache
def _averaging(fs_hz: int) -> Samples:
    """[sample of a second and its neighbours, grid sample]: means around each point of the 128-Hz grid."""
    half, margin = WINDOW_S / 2 * fs_hz, _margin(fs_hz)
    centre = margin + np.arange(conditioning.RATE_HZ) * fs_hz / conditioning.RATE_HZ
    place = np.arange(fs_hz + 2 * margin)[:, None]  # each sample stands from its place until the next
    inside = np.minimum(place + 1, centre + half) - np.maximum(place, centre - half)
    out: Samples = (np.maximum(inside, 0.0) / (2 * half)).astype(np.float32)
    return out


def _margin(fs_hz: int) -> int:
    return 1 + math.ceil(WINDOW_S / 2 * fs_hz)


def _signal(lead: Lead, fs_hz: int, first: int, last: int) -> Samples:
    """The lead at 128 Hz, missing samples held, wander removed; from sample `first` until `last`."""
    samples = lead.samples[first:last]
    if lead.missing is not None:
        index = np.where(samples != lead.missing, np.arange(len(samples)), 0)
        samples = samples[np.maximum.accumulate(index)]
    margin, seconds = _margin(fs_hz), -(-len(samples) // fs_hz)
    padded = np.empty(seconds * fs_hz + 2 * margin, np.float32)
    np.subtract(
        samples, samples[0], out=padded[margin : margin + len(samples)], dtype=np.float64, casting="unsafe"
    )
    padded[:margin], padded[margin + len(samples) :] = 0.0, padded[margin + len(samples) - 1]
    by_second = sliding_window_view(padded, fs_hz + 2 * margin)[::fs_hz]
    grid = (by_second @ _averaging(fs_hz)).reshape(-1)[: len(samples) * conditioning.RATE_HZ // fs_hz]
    out: Samples = grid - uniform_filter1d(grid, 2 * BASELINE_HALF + 1, mode="nearest")
    return out


def signals(leads: Sequence[Lead], fs_hz: int, sample: Int) -> tuple[Samples, Int]:
    """The leads around one block's beats at 128 Hz [lead, m], and the beats' places in it."""
    margin = MARGIN_S * fs_hz
    first, last = max(0, int(sample[0]) - margin), min(len(leads[0].samples), int(sample[-1]) + margin)
    x = np.stack([_signal(lead, fs_hz, first, last) for lead in leads])
    return x, (sample - first) * conditioning.RATE_HZ // fs_hz


def of_kinds(odds: Real, kind: Real) -> Real:
    """The mean log odds of each beat's kind; beats of none (-1) stand for themselves."""
    known = np.flatnonzero(kind >= 0)
    _, own = np.unique(kind[known], return_inverse=True)
    means = np.bincount(own, odds[known]) / np.maximum(np.bincount(own), 1)
    out = odds.copy()
    out[known] = means[own]
    return out


def odds(rows: Numbers, m: Model) -> tuple[Real, Real]:
    """Log odds that beats are ventricular, and that they are supraventricular ectopic if not, of one block."""
    told = log_odds(m, rows)
    return of_kinds(told["V"], rows["kind_index"]), told["S"]


def judged(ventricular: Real, early: Real, cut: Mapping[str, float]) -> tuple[Bool, Bool]:
    """Which beats are V, which are S, from their log odds."""
    wide = ventricular > cut["V"]
    return wide, ~wide & (early > cut["S"])


def blocks(sample: Int, fs_hz: int, length: int) -> list[slice]:
    """The beats in stretches of equal length of about BLOCK_S."""
    count = max(1, round(length / (BLOCK_S * fs_hz)))
    edges = np.searchsorted(sample, np.arange(1, count) * length // count).tolist()
    return [slice(a, b) for a, b in zip([0, *edges], [*edges, len(sample)], strict=True)]


def chosen(found: Analysis, leads: Sequence[Lead]) -> tuple[list[Lead], Bool]:
    """The up to three leads on which shapes are compared, and [k, lead] where each of them can be read."""
    places = shape_leads(found.leads)
    block = found.sample // (QUALITY_BLOCK_S * found.fs_hz)
    return [leads[k] for k in places.tolist()], found.quality[block][:, places] < UNREADABLE


def features(found: Analysis, leads: Sequence[Lead]) -> Iterator[tuple[slice, Numbers]]:
    """The beats of each block and their numbers by name; none of blocks too short to know the patient."""
    own, readable = chosen(found, leads)
    seen = np.asarray(readable.any(axis=1, keepdims=True))
    for block in blocks(found.sample, found.fs_hz, found.length):
        if block.stop - block.start >= BEATS_NEEDED:
            x, place = signals(own, found.fs_hz, found.sample[block])
            beats = beat_shapes.cut_out(x, place, readable[block] | ~seen[block])
            rows = beat_features.block_features(beats, found.rr_s[block].astype(np.float64))
            yield block, {**rows, **artefacts.noise(beats)}


def reclassified(found: Analysis, leads: Sequence[Lead]) -> Analysis:
    """The analysis with every beat N, S or V as judged from its whole neighbourhood, and without what is no beat.

    A beat that no lead shows clearly stays as the stream saw it, and so do those of a block too short to know the
    patient.
    """
    seen, m = np.asarray(chosen(found, leads)[1].any(axis=1)), model()
    kind, kept = found.kind.copy(), np.ones(len(found.kind), bool)
    for block, rows in features(found, leads):
        wide, early = judged(*odds(rows, m), m.cut)
        codes = np.where(wide, CLASSES.index("V"), np.where(early, CLASSES.index("S"), CLASSES.index("N")))
        kind[block] = np.where(seen[block], codes, kind[block])
        kept[block] = ~artefacts.artefacts(rows)
    sample = found.sample[kept]
    return replace(found, sample=sample, kind=kind[kept], rr_s=intervals(sample, found.breaks, found.fs_hz))
