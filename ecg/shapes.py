"""N, V or Q: a causal first judgement of each beat from its shape, width and prematurity.

The patient's own beats are the reference: up to four shapes are learnt (leader clustering, integer arithmetic), the
commonest narrow one counts as the patient's usual beat. V is a weighing of four pieces of evidence against it.
AAMI EC57 classes; S and F are not told apart from N yet, and a beat nobody can judge is Q.
"""

import math
from dataclasses import dataclass, field
from operator import truediv

import numpy as np

from ecg.conditioning import Real
from ecg.fiducials import SHAPE_REACH, SHAPE_SLACK, Candidate

KINDS = 4  # shapes remembered per patient
AT_LEAST = 1.0 - 1e-9  # no rounding may hide the nearest kind
LEARNT = np.array(1 / 8)  # of what a beat differs from its kind
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
    """The kinds of beat seen so far, met one after the other: bank [kind, lead * sample] of whole numbers (1/PARTS of a
    candidate's shape), how often, how wide.
    """

    bank: Real
    lengths: list[float] = field(default_factory=lambda: [1.0] * KINDS)  # roots of the sums of squares, or 1
    counts: list[int] = field(default_factory=lambda: [0] * KINDS)
    widths_ms: list[float] = field(default_factory=lambda: [0.0] * KINDS)
    shares: list[float] = field(default_factory=lambda: [0.0] * KINDS)  # how often, over how wide
    rr_s: list[float] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    last_class: str = "N"


def empty_shapes(leads: int) -> Shapes:
    bank = np.zeros((KINDS, leads * (2 * SHAPE_REACH + 1)))
    return Shapes(bank)


def copied(s: Shapes) -> Shapes:
    return Shapes(
        s.bank.copy(), s.lengths[:], s.counts[:], s.widths_ms[:], s.shares[:], s.rr_s[:], s.heights[:], s.last_class
    )  # fmt: skip


def _lengths(s: Shapes, c: Candidate) -> list[float]:
    """Of the kinds over the leads that this beat shows."""
    if c.is_whole:
        return s.lengths
    leads = s.bank.reshape(KINDS, len(c.readable), -1)[:, c.readable]
    return [math.sqrt(n) or 1.0 for n in np.vecdot(leads, leads).sum(axis=-1).tolist()]


def _likeness(s: Shapes, c: Candidate, usual: int) -> tuple[float, float, int, int]:
    """Best correlation over small shifts with the usual kind, and with the nearest; that kind, and its shift."""
    rows: list[list[float]] = s.bank.dot(c.shifted.T).tolist()  # sums of whole numbers, hence exact
    lengths, met = _lengths(s, c), KINDS - s.widths_ms.count(0.0)
    likeness = list(map(truediv, rows[usual], c.lengths))
    highest = max(likeness)
    of_usual = best = highest / lengths[usual]
    nearest, shift = usual, likeness.index(highest)
    if met == 1:
        return of_usual, best, nearest, shift
    least = AT_LEAST * min(c.lengths)
    for kind, row in enumerate(rows[:met]):
        if kind != usual and max(row) > best * lengths[kind] * least:  # else it can't be nearer
            likeness = list(map(truediv, row, c.lengths))
            highest = max(likeness)
            value = highest / lengths[kind]
            if value > best or (value == best and kind < nearest):
                best, nearest, shift = value, kind, likeness.index(highest)
    return of_usual, best, nearest, shift


def _learn(s: Shapes, c: Candidate, kind: int, shift: int, fresh: bool) -> None:
    own, seen = s.bank[kind], c.shifted[shift]
    if fresh:
        own[:] = seen
        s.counts[kind], s.widths_ms[kind] = 1, c.width_ms
    else:
        change = seen - own
        change *= LEARNT
        np.floor(change, change)
        if not c.is_whole:
            change.reshape(len(c.readable), -1)[~np.array(c.readable)] = 0.0
        np.add(own, change, own)
        s.counts[kind] += 1
        s.widths_ms[kind] += (c.width_ms - s.widths_ms[kind]) / 8
    s.lengths[kind] = math.sqrt(own.dot(own)) or 1.0
    if s.counts[kind] > COUNT_LIMIT:
        s.counts = [n // 2 for n in s.counts]
        s.shares = [n / max(w, 1.0) for n, w in zip(s.counts, s.widths_ms, strict=True)]
    s.shares[kind] = s.counts[kind] / max(s.widths_ms[kind], 1.0)


def _ventricular(
    s: Shapes, c: Candidate, like_usual: float, width_ms: float, rr_s: float | None
) -> tuple[bool, bool]:
    """Whether the evidence is for V, and whether the beat is early."""
    early, usual_height = 0.0, sorted(s.heights)[len(s.heights) // 2] if s.heights else c.height
    if rr_s is not None and len(s.rr_s) >= EXPERIENCE:
        early = max(-RR_CHANGE, min(RR_CHANGE, 1.0 - rr_s / sorted(s.rr_s)[len(s.rr_s) // 2]))
    evidence = (
        V_START
        + V_UNLIKE * (1.0 - like_usual)
        + V_WIDE * math.log(c.width_ms / max(width_ms, 30.0))
        + V_EARLY * early
        + V_TALL * math.log(c.height / usual_height)
    )
    return evidence > 0.0, early > 0.1


def classify(s: Shapes, c: Candidate, rr_s: float | None, paced: bool) -> tuple[str, bool]:
    """The beat's class, and whether it is surely one of the patient's usual beats; learns its shape. rr_s is None
    after a gap or an unreadable stretch.
    """
    usual = s.shares.index(max(s.shares))  # the commonest kind; between kinds of like frequency the narrower
    width_ms, experience = s.widths_ms[usual], s.counts[usual]
    like_usual, like_nearest, nearest, shift = _likeness(s, c, usual)
    if like_nearest >= SAME_SHAPE:
        _learn(s, c, nearest, shift, fresh=False)
    else:
        _learn(s, c, s.counts.index(min(s.counts)), SHAPE_SLACK, fresh=True)
    kind = "N"
    if experience >= EXPERIENCE:
        ventricular, early = _ventricular(s, c, like_usual, width_ms, rr_s)
        if ventricular:
            kind = "Q" if paced and not early else "V"  # a wide beat on time is the pacemaker's
        elif like_nearest < UNKNOWN_SHAPE:
            kind = "Q"
    if kind == "N":
        s.heights.append(c.height)
        del s.heights[:-RR_KNOWN]
        if rr_s is not None and s.last_class == "N":
            s.rr_s.append(rr_s)
            del s.rr_s[:-RR_KNOWN]
    s.last_class = kind
    return kind, kind == "N" and like_usual >= SURE_SHAPE
