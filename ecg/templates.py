"""Templates: beats of one class and one shape in one group, so that a reader judges a shape once for all its beats.

Within each class, QRS and ST of up to three leads at 125 Hz are compared by normalised correlation. Groups are found
greedily on an even sample of the beats that have none yet (the beat most others are like leads a group, as in
Lagerholm 2000's leader methods), and every beat joins the group it is most like. What is like none is one last group of
its class, marked `mixed`. Nothing here changes a class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg.analysis import CLASSES, Analysis
from ecg.record import Lead
from ecg.stream import shape_leads

Real = NDArray[np.float32]
Numbers = NDArray[np.uint8]

MOST = {"V": 14, "N": 8, "S": 6, "F": 2, "Q": 2}  # groups of each class, 32 in all; the last of each is mixed
BEFORE_S, AFTER_S = 0.12, 0.20  # of the beat's sample: QRS and the begin of ST
SHOWN_BEFORE_S, SHOWN_AFTER_S = 0.25, 0.45
RATE_HZ = 125
ALIKE = 0.9  # correlation over all leads, as of the median beat (ecg.twelve_lead.median_beat)
SAMPLED = 300  # beats compared with each other in one round
ROUNDS = 3
LEAST = 0.02  # of the sampled beats: fewer alike make no group in a first round
MOST_SHOWN = 100  # beats of a group whose median is shown
BLOCK_BEATS = 8192
NONE = 255  # a beat without a group: added by hand


@dataclass(frozen=True)
class Templates:
    """number uint8 [k]: the group of each beat at sample int64 [k] of the analysis as stored.

    shape int16 [group, lead, point] in uV: median of the group from SHOWN_BEFORE_S before the beat on, at RATE_HZ;
    leads: those of shape; mixed: groups of beats that are like no other; best: sample of the beat most like its group.
    """

    sample: NDArray[np.int64]
    number: Numbers
    leads: tuple[str, ...]
    shape: NDArray[np.int16]
    mixed: tuple[int, ...]
    best: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.best)


def find(analysis: Analysis, leads: Sequence[Lead]) -> Templates:
    """The groups of an analysis on its own leads (`ecg.record.main_group`)."""
    own = [leads[k] for k in shape_leads(analysis.leads).tolist()]
    vectors = _vectors(own, analysis)
    number = np.full(len(analysis.sample), NONE, np.uint8)
    mixed, best = list[int](), list[int]()
    for kind, most in MOST.items():
        beats = np.flatnonzero(analysis.kind == CLASSES.index(kind))
        groups, likeness = _grouped(vectors[beats], most)
        for group, is_mixed in _by_size(groups):
            members = beats[groups == group]
            if is_mixed:
                mixed.append(len(best))
            number[members] = len(best)
            best.append(int(analysis.sample[members[likeness[groups == group].argmax()]]))
    shape = _shapes(own, analysis, number, len(best))
    codes = tuple(lead.code for lead in own)
    return Templates(analysis.sample.copy(), number, codes, shape, tuple(mixed), tuple(best))


def _by_size(groups: NDArray[np.int64]) -> list[tuple[int, bool]]:
    """Group numbers, the largest first and the mixed one (-1) last."""
    names, counts = np.unique(groups, return_counts=True)
    order = sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda row: (row[0] < 0, -row[1]))
    return [(name, name < 0) for name, _ in order]


def _signal(lead: Lead, first: int, last: int) -> Real:
    """uV from sample `first` until `last`; 0 where nothing is known, and beyond the ends."""
    inside = slice(max(0, first), max(0, min(last, len(lead.samples))))
    piece = lead.samples[inside].astype(np.float32)
    piece -= lead.offset
    piece *= lead.uv_per_lsb
    if lead.missing is not None:
        piece[lead.samples[inside] == lead.missing] = 0.0
    return np.pad(piece, (inside.start - first, last - first - len(piece) - (inside.start - first)))


def _cut(lead: Lead, sample: NDArray[np.int64], fs_hz: int, before_s: float, after_s: float) -> Real:
    """[beat, point] at RATE_HZ around each beat; beats in order, cut block by block to bound the memory."""
    at = np.rint(np.arange(-round(before_s * RATE_HZ), round(after_s * RATE_HZ)) * fs_hz / RATE_HZ)
    width = max(1, fs_hz // RATE_HZ)  # points are means over this many samples
    out = np.zeros((len(sample), len(at)), np.float32)
    for a in range(0, len(sample), BLOCK_BEATS):
        own = sample[a : a + BLOCK_BEATS]
        first, last = int(own[0] + at[0]) - 1, int(own[-1] + at[-1]) + width + 2
        signal = _signal(lead, first, last)
        if width > 1:
            total = np.convolve(signal, np.full(width, 1 / width, np.float32))[width - 1 :]
            signal = total.astype(np.float32)
        out[a : a + BLOCK_BEATS] = signal[own[:, None] - first + at.astype(np.int64)]
    return out


def _vectors(leads: Sequence[Lead], a: Analysis) -> Real:
    """[beat, point of all leads]: each lead about its own mean, the whole of length 1; 0 where there is no signal."""
    parts = [_cut(lead, a.sample, a.fs_hz, BEFORE_S, AFTER_S) for lead in leads]
    for part in parts:
        part -= part.mean(axis=1, keepdims=True)
    whole = np.concatenate(parts, axis=1)
    whole /= np.sqrt(np.einsum("ij,ij->i", whole, whole))[:, None] + np.float32(1e-3)
    return np.asarray(whole, np.float32)


def _grouped(vectors: Real, most: int) -> tuple[NDArray[np.int64], Real]:
    """Group of each beat of one class, -1 for the mixed one, and its likeness to its group."""
    centres = np.empty((0, vectors.shape[1]), np.float32)
    groups, likeness = np.full(len(vectors), -1), np.zeros(len(vectors), np.float32)
    for round_ in range(ROUNDS):
        open_ = np.flatnonzero(groups < 0)
        if not len(open_) or len(centres) >= most - 1:
            break
        some = open_[np.unique(np.linspace(0, len(open_) - 1, SAMPLED).astype(np.int64))]
        least = max(2, round(LEAST * len(some))) if round_ == 0 else 2
        new = _leaders(vectors[some], most - 1 - len(centres), least)
        if not len(new):
            break
        centres = _refined(vectors, np.concatenate([centres, new]))
        groups, likeness = _joined(vectors, centres)
    return groups, likeness


def _leaders(vectors: Real, most: int, least: int) -> Real:
    """Centres of the largest sets of alike beats, one after the other."""
    alike = vectors @ vectors.T > ALIKE
    left, out = np.ones(len(vectors), bool), list[Real]()
    while len(out) < most and left.any():
        votes = (alike & left).sum(axis=1) * left
        leader = int(votes.argmax())
        if votes[leader] < least:
            break
        own = alike[leader] & left
        out.append(vectors[own].mean(axis=0))
        left &= ~own
    return np.array(out, np.float32).reshape(-1, vectors.shape[1])


def _joined(vectors: Real, centres: Real) -> tuple[NDArray[np.int64], Real]:
    products = vectors @ centres.T
    groups = products.argmax(axis=1)
    likeness = products[np.arange(len(vectors)), groups]
    return np.where(likeness > ALIKE, groups, -1), likeness


def _refined(vectors: Real, centres: Real) -> Real:
    """Centres as the means of their members, of length 1."""
    centres = centres / (np.linalg.norm(centres, axis=1, keepdims=True) + 1e-6)
    groups, _ = _joined(vectors, centres)
    own = [
        vectors[groups == k].mean(axis=0) if (groups == k).any() else centre
        for k, centre in enumerate(centres)
    ]
    out = np.array(own, np.float32)
    return np.asarray(out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-6), np.float32)


def _shapes(leads: Sequence[Lead], a: Analysis, number: Numbers, count: int) -> NDArray[np.int16]:
    """The median of up to MOST_SHOWN beats of each group, about the median of its own begin."""
    points = round(SHOWN_BEFORE_S * RATE_HZ) + round(SHOWN_AFTER_S * RATE_HZ)
    out = np.zeros((count, len(leads), points), np.int16)
    for group in range(count):
        members = np.flatnonzero(number == group)
        some = a.sample[members[np.unique(np.linspace(0, len(members) - 1, MOST_SHOWN).astype(int))]]
        for k, lead in enumerate(leads):
            beats = _windows(lead, some, a.fs_hz)
            middle = np.median(beats - np.median(beats[:, :8], axis=1, keepdims=True), axis=0)
            out[group, k] = np.clip(np.rint(middle), -32767, 32767)
    return out


def _windows(lead: Lead, sample: NDArray[np.int64], fs_hz: int) -> Real:
    """[beat, point] of beats that may lie hours apart, to be shown."""
    at = np.arange(-round(SHOWN_BEFORE_S * RATE_HZ), round(SHOWN_AFTER_S * RATE_HZ)) * fs_hz / RATE_HZ
    place = np.clip(sample[:, None] + np.rint(at).astype(np.int64), 0, len(lead.samples) - 1)
    uv = (lead.samples[place].astype(np.float32) - lead.offset) * np.float32(lead.uv_per_lsb)
    return uv if lead.missing is None else np.where(lead.samples[place] == lead.missing, np.float32(0), uv)


def group_at(found: Templates, number: Numbers, sample: int, within: float) -> int | None:
    """The group of the beat nearest to a sample, at most `within` samples away; None without such a beat."""
    place = int(np.searchsorted(found.sample, sample))
    near = [k for k in (place - 1, place) if 0 <= k < len(found.sample)]
    best = min(near, key=lambda k: abs(int(found.sample[k]) - sample), default=None)
    if best is None or abs(int(found.sample[best]) - sample) > within or number[best] == NONE:
        return None
    return int(number[best])


def of_beats(found: Templates, number: Numbers, sample: NDArray[np.int64]) -> Numbers:
    """The group of each beat of an edited analysis; NONE for those that are not in the stored one."""
    out = np.full(len(sample), NONE, np.uint8)
    if len(found.sample):
        place = np.minimum(np.searchsorted(found.sample, sample), len(found.sample) - 1)
        same = found.sample[place] == sample
        out[same] = number[place[same]]
    return out


def table(found: Templates, analysis: Analysis) -> list[dict[str, object]]:
    """The groups as a page shows them, of an analysis as the reader left it: the most urgent class first.

    beat_class is that of most of the group's beats, by_class all of them; sample: a typical beat to open. Groups
    without a beat (merged into another, deleted) are left out.
    """
    own = of_beats(found, found.number, analysis.sample)
    rows = list[dict[str, object]]()
    for group in np.unique(own[own != NONE]).tolist():
        members = own == group
        kinds, rr_s = analysis.kind[members], analysis.rr_s[members]
        counts = np.bincount(kinds, minlength=len(CLASSES))
        known = rr_s[np.isfinite(rr_s)]
        rows.append({
            "template": group,
            "beat_class": CLASSES[int(counts.argmax())],
            "beats": int(members.sum()),
            "by_class": {CLASSES[k]: int(n) for k, n in enumerate(counts.tolist()) if n},
            "mixed": group in found.mixed,
            "sample": found.best[group],
            "rr_s": round(float(np.median(known)), 3) if len(known) else None,
            "shape_uv": found.shape[group].tolist(),
        })  # fmt: skip
    order = list(MOST)
    rows.sort(
        key=lambda row: (order.index(str(row["beat_class"])), bool(row["mixed"]), -int(str(row["beats"])))
    )
    return rows
