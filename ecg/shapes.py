"""N, V or Q: a causal first judgement of each beat from its shape, width and prematurity.

The patient's own beats are the reference: up to four shapes are learnt (leader clustering, integer arithmetic), the
commonest narrow one counts as the patient's usual beat. V needs a foreign shape and either width or prematurity.
AAMI EC57 classes; S and F are not told apart from N yet, and a beat nobody can judge is Q.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecg.fiducials import SHAPE_REACH, SHAPE_SLACK, Candidate, Shape

KINDS = 4  # shapes remembered per patient
PARTS = 16  # a remembered shape is kept in 1/16 of full scale
SAME_SHAPE = 0.90  # correlation at which two beats are of one kind
LIKE_USUAL = 0.80  # correlation at which a beat still counts as the usual one
FOREIGN_SHAPE = 0.55  # correlation below which width alone is enough
WIDER = 1.20  # of the usual width
PREMATURE = 0.87  # of the usual RR
RR_KNOWN = 8  # usual RR: median of the last eight
COUNT_LIMIT = 240  # counts are halved here, so that a new usual beat can take over within minutes


@dataclass(slots=True)
class Shapes:
    """The kinds of beat seen so far: bank [kind, lead, sample], how often, how wide."""

    bank: Shape
    counts: list[int] = field(default_factory=lambda: [0] * KINDS)
    widths_ms: list[float] = field(default_factory=lambda: [0.0] * KINDS)
    rr_s: list[float] = field(default_factory=list)
    last_class: str = "N"


def empty_shapes(leads: int) -> Shapes:
    return Shapes(np.zeros((KINDS, leads, 2 * SHAPE_REACH + 1), np.int32))


def copied(s: Shapes) -> Shapes:
    return Shapes(s.bank, s.counts[:], s.widths_ms[:], s.rr_s[:], s.last_class)


def _correlations(s: Shapes, c: Candidate) -> tuple[list[float], list[int]]:
    """Best correlation with each kind over small shifts, and the shift; exact integer sums."""
    moved = (
        sliding_window_view(c.shape, 2 * SHAPE_REACH + 1, axis=-1).transpose(1, 0, 2)[None].astype(np.int64)
    )
    bank = s.bank[:, None]
    product = (bank * moved).sum(axis=(2, 3))
    own = (moved * moved).sum(axis=(2, 3))
    known = (s.bank.astype(np.int64) ** 2).sum(axis=2)
    norm = known[:, list(c.readable)].sum(axis=1)
    value = product / np.sqrt(np.maximum(own * norm[:, None], 1))
    shift = value.argmax(axis=1)
    return value[np.arange(KINDS), shift].tolist(), shift.tolist()


def _learn(s: Shapes, c: Candidate, kind: int, shift: int, fresh: bool) -> None:
    seen = c.shape[:, shift : shift + 2 * SHAPE_REACH + 1] * PARTS
    bank = s.bank.copy()
    bank[kind] = seen if fresh else bank[kind] + ((seen - bank[kind]) >> 3) * np.array(c.readable)[:, None]
    s.bank = bank
    s.counts[kind] = 1 if fresh else s.counts[kind] + 1
    s.widths_ms[kind] = c.width_ms if fresh else s.widths_ms[kind] + (c.width_ms - s.widths_ms[kind]) / 8
    if s.counts[kind] > COUNT_LIMIT:
        s.counts = [n // 2 for n in s.counts]


def _usual(s: Shapes) -> int:
    """The commonest kind; between kinds of like frequency the narrower."""
    return max(range(KINDS), key=lambda k: s.counts[k] / max(s.widths_ms[k], 1.0))


def classify(s: Shapes, c: Candidate, rr_s: float | None, paced: bool) -> str:
    """The beat's class; learns its shape. rr_s is None after a gap or an unreadable stretch."""
    likeness, shifts = _correlations(s, c)
    usual = _usual(s)
    nearest = max(range(KINDS), key=lambda k: likeness[k])
    known_width, like_usual = s.widths_ms[usual], likeness[usual]
    experience = s.counts[usual]
    if likeness[nearest] >= SAME_SHAPE:
        _learn(s, c, nearest, shifts[nearest], fresh=False)
    else:
        _learn(s, c, min(range(KINDS), key=lambda k: s.counts[k]), SHAPE_SLACK, fresh=True)
    kind = "N"
    if experience >= 3 and like_usual < LIKE_USUAL and nearest != usual:
        wide = c.width_ms > WIDER * known_width
        early = rr_s is not None and len(s.rr_s) >= 3 and rr_s < PREMATURE * sorted(s.rr_s)[len(s.rr_s) // 2]
        if wide and (early or like_usual < FOREIGN_SHAPE) or early and like_usual < FOREIGN_SHAPE:
            kind = "Q" if paced and not early else "V"
        elif not any(c.readable) or likeness[nearest] < FOREIGN_SHAPE:
            kind = "Q"
    if rr_s is not None and kind == "N" and s.last_class == "N":
        s.rr_s.append(rr_s)
        del s.rr_s[:-RR_KNOWN]
    s.last_class = kind
    return kind
