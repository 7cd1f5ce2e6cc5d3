"""N, V or Q: a causal first judgement of each beat from its shape, width and prematurity.

The patient's own beats are the reference: up to four shapes are learnt (leader clustering, integer arithmetic), the
commonest narrow one counts as the patient's usual beat. V is a weighing of four pieces of evidence against it.
AAMI EC57 classes; S and F are not told apart from N yet, and a beat nobody can judge is Q.
"""

import math
from dataclasses import dataclass, field
from itertools import compress
from operator import truediv

import numpy as np

from ecg.conditioning import Real
from ecg.fiducials import SHAPE_REACH, SHAPE_SLACK, Candidate

KINDS = 4  # shapes remembered per patient
PARTS = 16  # a remembered shape is kept in 1/16 of full scale
SAME_SHAPE = 0.90  # correlation at which two beats are of one kind
SURE_SHAPE = (
    0.85  # with the usual beat: in noise of 6 dB 83 % of the beats have it, 2 % of what is taken for them
)
UNKNOWN_SHAPE = 0.55  # correlation below which a beat resembles none seen so far
RR_KNOWN = 8  # usual RR and height: median of the last eight usual beats
RR_CHANGE = 0.6  # prematurity counts up to this share of the usual RR, either way
EXPERIENCE = 3  # usual beats needed before anything is called ventricular

# Weights of the evidence for V, in logits: logistic regression on MIT-BIH DS1 with these detections (N, S against V;
# gross Se/+P 89/91 % on the same records, 85/90 % leaving each record out).
V_START = -5.73
V_UNLIKE = 5.47  # per 1 - correlation with the usual beat
V_WIDE = 7.11  # per natural logarithm of width over the usual width
V_EARLY = 6.85  # per share of the usual RR that the beat comes early
V_TALL = 3.40  # per natural logarithm of height over the usual height
COUNT_LIMIT = 240  # counts are halved here, so that a new usual beat can take over within minutes


@dataclass(slots=True)
class Shapes:
    """The kinds of beat seen so far: bank [kind, lead * sample] of whole numbers, how often, how wide."""

    bank: Real
    norms: list[list[float]]  # [kind][lead] sums of squares
    counts: list[int] = field(default_factory=lambda: [0] * KINDS)
    widths_ms: list[float] = field(default_factory=lambda: [0.0] * KINDS)
    rr_s: list[float] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    last_class: str = "N"


def empty_shapes(leads: int) -> Shapes:
    bank = np.zeros((KINDS, leads * (2 * SHAPE_REACH + 1)))
    return Shapes(bank, [[0.0] * leads for _ in range(KINDS)])


def copied(s: Shapes) -> Shapes:
    return Shapes(
        s.bank.copy(),
        [row[:] for row in s.norms],
        s.counts[:],
        s.widths_ms[:],
        s.rr_s[:],
        s.heights[:],
        s.last_class,
    )


def _met(s: Shapes) -> int:
    """How many kinds are known; they are met one after the other."""
    return KINDS - s.widths_ms.count(0.0)


def _correlations(s: Shapes, c: Candidate) -> tuple[list[float], list[int]]:
    """Best correlation with each kind over small shifts, and the shift; sums of whole numbers, hence exact."""
    values, shifts = [0.0] * KINDS, [0] * KINDS
    is_whole = all(c.readable)
    for kind, row in enumerate((s.bank[: _met(s)] @ c.shifted).tolist()):
        known = sum(s.norms[kind]) if is_whole else sum(compress(s.norms[kind], c.readable))
        likeness = list(map(truediv, row, c.lengths))
        best = max(likeness)
        values[kind], shifts[kind] = best / math.sqrt(known or 1), likeness.index(best)
    return values, shifts


def _learn(s: Shapes, c: Candidate, kind: int, shift: int, fresh: bool) -> None:
    leads = len(c.readable)
    seen = c.shifted[:, shift] * PARTS
    own = s.bank[kind]
    if fresh:
        own[:] = seen
    else:
        seen -= own
        seen /= 8
        np.floor(seen, out=seen)
        if not all(c.readable):
            seen.reshape(leads, -1)[~np.array(c.readable)] = 0.0
        own += seen
    rows = own.reshape(leads, -1)
    s.norms[kind] = np.vecdot(rows, rows).tolist()  # sums of whole numbers, hence exact
    s.counts[kind] = 1 if fresh else s.counts[kind] + 1
    s.widths_ms[kind] = c.width_ms if fresh else s.widths_ms[kind] + (c.width_ms - s.widths_ms[kind]) / 8
    if s.counts[kind] > COUNT_LIMIT:
        s.counts = [n // 2 for n in s.counts]


def _usual(s: Shapes) -> int:
    """The commonest kind; between kinds of like frequency the narrower."""
    met = _met(s)
    return max(range(met), key=lambda k: s.counts[k] / max(s.widths_ms[k], 1.0)) if met > 1 else 0


def _middle(values: list[float], otherwise: float) -> float:
    return sorted(values)[len(values) // 2] if values else otherwise


def _ventricular(
    s: Shapes, c: Candidate, like_usual: float, width_ms: float, rr_s: float | None
) -> tuple[bool, bool]:
    """Whether the evidence is for V, and whether the beat is early."""
    early = 0.0
    if rr_s is not None and len(s.rr_s) >= EXPERIENCE:
        early = max(-RR_CHANGE, min(RR_CHANGE, 1.0 - rr_s / _middle(s.rr_s, rr_s)))
    evidence = (
        V_START
        + V_UNLIKE * (1.0 - like_usual)
        + V_WIDE * math.log(c.width_ms / max(width_ms, 30.0))
        + V_EARLY * early
        + V_TALL * math.log(c.height / _middle(s.heights, c.height))
    )
    return evidence > 0.0, early > 0.1


def classify(s: Shapes, c: Candidate, rr_s: float | None, paced: bool) -> tuple[str, bool]:
    """The beat's class, and whether it is surely one of the patient's usual beats; learns its shape. rr_s is None
    after a gap or an unreadable stretch.
    """
    likeness, shifts = _correlations(s, c)
    usual = _usual(s)
    like_usual, width_ms, experience = likeness[usual], s.widths_ms[usual], s.counts[usual]
    nearest = likeness.index(max(likeness))
    if likeness[nearest] >= SAME_SHAPE:
        _learn(s, c, nearest, shifts[nearest], fresh=False)
    else:
        _learn(s, c, min(range(KINDS), key=lambda k: s.counts[k]), SHAPE_SLACK, fresh=True)
    kind = "N"
    if experience >= EXPERIENCE:
        ventricular, early = _ventricular(s, c, like_usual, width_ms, rr_s)
        if ventricular:
            kind = "Q" if paced and not early else "V"  # a wide beat on time is the pacemaker's
        elif likeness[nearest] < UNKNOWN_SHAPE:
            kind = "Q"
    if kind == "N":
        s.heights.append(c.height)
        del s.heights[:-RR_KNOWN]
        if rr_s is not None and s.last_class == "N":
            s.rr_s.append(rr_s)
            del s.rr_s[:-RR_KNOWN]
    s.last_class = kind
    return kind, kind == "N" and like_usual >= SURE_SHAPE
