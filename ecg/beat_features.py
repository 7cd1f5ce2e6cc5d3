"""What a beat looks like beside the patient's other beats: the numbers from which its class is told afterwards.

Nothing here is absolute: shapes are compared with the patient's usual beats on every lead, intervals with their
medians over several spans, amplitudes with the usual beats'. Usual are the dominant kind of beat and those that take
its place for a while. So one table serves one lead or twelve, any rate
and any gain. Per-lead numbers enter as their mean over the readable leads and as the most unusual of them; what the
beats of one kind have in common enters beside the beat's own.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg import beat_shapes
from ecg.beat_rhythm import WIDE, known_median, ratio, rhythm, running_median, shifted
from ecg.beat_shapes import BEFORE, QRS, TINY, Bool, Int, Samples, Shapes, flat, likeness, mean_of_leads

Real = NDArray[np.float64]
Numbers = dict[str, Real]

P_WAVE = slice(BEFORE - 36, BEFORE - 11)  # 281 to 94 ms before
T_WAVE = slice(BEFORE + 18, BEFORE + 51)  # 141 to 391 ms after
BEGIN = slice(BEFORE - 12, BEFORE + 1)  # the QRS up to its centre
WHOLE = slice(BEFORE - 12, BEFORE + 51)  # QRS and T
LEVEL = slice(BEFORE - 14, BEFORE - 10)  # before the QRS
DOMINANT_SHAPE = (
    0.80  # concordance with the dominant beat from which an interval counts as the dominant rhythm's
)
USUAL_SHAPE = 0.85  # correlation with the dominant beat from which an interval counts as usual
NEARBY, HERE_USUAL = 61, 0.5  # beats around one, and the share of them that makes a kind usual there
EARLIEST_USUAL = -0.12  # log of RR over its wide median, of a kind that is usual for a while
WIDEST_USUAL = 1.5  # its width over the dominant's
LEAST_AGAIN = (
    0.1  # the share of its beats that follow one of their own; else it is usual only if it comes late
)
IN_TIME = 0.1  # log of RR over the usual one
LEAST_CALM = 0.02
USUAL_KINDS = 6
SCATTER = {  # differences, and the least scatter of them that counts
    "unlike_qrs": 0.02,
    "unlike_qrs_most": 0.02,
    "width": 0.02,
    "unlike_t": 0.01,
    "unlike_p": 0.01,
    "lean": 0.01,
    "height": 0.03,
}
OF_KIND = (
    "rr_before", "rr_after", "rr_pair", "width", "width_ms", "likeness", "likeness_most", "concord", "concord_most",
    "like_begin", "unlike_qrs", "unlike_qrs_beside", "lean_most", "discord", "like_t", "like_p", "p_share",
)  # fmt: skip
LOW_IS_UNUSUAL = frozenset((
    "likeness", "concord", "share_qrs", "like_begin", "like_all", "like_t", "t_share", "like_p", "p_share",
))  # fmt: skip


class Part(NamedTuple):
    """How the windows over one stretch compare with the template's, on every lead: all [lead, k], without means."""

    like: Samples  # correlation
    share: Samples  # how much of the template is in it: 1 as much as usual
    difference: Samples  # root mean square
    concord: Samples  # 2xy / (xx + yy)


def _beside(cut: Samples, template: Samples, where: slice) -> Part:
    x, y = cut[..., where], flat(template[..., where])
    count = y.shape[-1]
    total = x.sum(axis=-1)
    xx = np.maximum(np.einsum("lks,lks->lk", x, x) - total * total / count, TINY)
    xy = np.stack([part @ own for part, own in zip(x, y, strict=True)])
    yy = np.maximum((y * y).sum(axis=-1), TINY)[:, None]
    apart = np.sqrt(np.maximum(xx - 2 * xy + yy, 0.0) / count)
    return Part(xy / np.sqrt(xx * yy), np.clip(xy / yy, -2.0, 3.0), apart, 2 * xy / (xx + yy))


def _size(shape: Samples) -> Samples:
    out: Samples = shape.max(axis=-1) - shape.min(axis=-1)
    return out


def _areas(cut: Samples, usual: Samples) -> tuple[Samples, Samples]:
    """Net area of the QRS above the line between its ends; and how far QRS and T point apart: all in usual sizes."""
    qrs = cut[..., QRS].mean(axis=-1)
    ends = (cut[..., QRS.start] + cut[..., QRS.stop - 1]) / 2
    level = cut[..., LEVEL].mean(axis=-1)
    product = (qrs - level) * (cut[..., T_WAVE].mean(axis=-1) - level) / (usual * usual)
    return (qrs - ends) / usual, np.clip(-np.sign(product) * np.sqrt(np.abs(product)), -1.0, 1.0)


def _per_lead(s: Shapes, template: Samples, spread_ms: Samples) -> dict[str, Samples]:
    """[lead, k] numbers of each beat beside the dominant template [lead, sample]."""
    usual = np.maximum(_size(template[:, QRS]), TINY)[:, None]
    qrs, p, t = (_beside(s.cut, template, where) for where in (QRS, P_WAVE, T_WAVE))
    begin, whole = (_beside(s.cut, template, where) for where in (BEGIN, WHOLE))
    lean, discord = _areas(s.cut, usual)
    own_lean, own_discord = _areas(template[:, None], usual)
    return {
        "likeness": likeness(s, template[:, QRS]),
        "concord": qrs.concord,
        "share_qrs": qrs.share,
        "unlike_qrs": np.clip(qrs.difference / usual, 0.0, 3.0),
        "like_begin": begin.like,
        "like_all": whole.like,
        "height": ratio(_size(s.cut[..., QRS]), usual).astype(np.float32),
        "width": ratio(s.spread_ms, spread_ms[:, None]).astype(np.float32),
        "lean": np.clip(lean - own_lean, -2.0, 2.0),
        "discord": discord - own_discord,
        "like_t": t.like,
        "unlike_t": np.clip(t.difference / usual, 0.0, 3.0),
        "t_share": t.share,
        "like_p": p.like,
        "unlike_p": np.clip(p.difference / usual, 0.0, 3.0),
        "p_share": p.share,
        "p_size": _size(s.cut[..., P_WAVE]) / usual,
    }


def _over_leads(rows: dict[str, Samples], usable: Samples) -> Numbers:
    out: Numbers = {}
    for name, values in rows.items():
        out[name] = mean_of_leads(values, usable).astype(np.float64)
        if name == "lean":
            out["lean_most"] = np.where(usable > 0, np.abs(values), 0.0).max(axis=0)
        elif name in LOW_IS_UNUSUAL:
            out[f"{name}_most"] = np.where(usable > 0, values, 9.0).min(axis=0)
        else:
            out[f"{name}_most"] = np.where(usable > 0, values, -9.0).max(axis=0)
    return out


def _likeness_between(s: Shapes, by: int) -> Samples:
    """[k] mean correlation of each QRS with that of the beat `by` places on; 1 beyond the end."""
    out = np.ones(s.cut.shape[1], np.float32)
    if len(out) <= by:
        return out
    own = flat(s.cut[..., QRS])
    own /= np.maximum(np.sqrt(np.einsum("lks,lks->lk", own, own)), TINY)[..., None]
    usable = s.usable[:, :-by] * s.usable[:, by:]
    like = np.einsum("lks,lks->lk", own[:, :-by], own[:, by:])
    out[:-by] = (like * usable).sum(axis=0) / np.maximum(usable.sum(axis=0), 1.0)
    return out


def _neighbours(s: Shapes) -> Numbers:
    next_one, next_but_one = (_likeness_between(s, by).astype(np.float64) for by in (1, 2))
    return {
        "like_before": shifted(next_one, -1, 1.0),
        "like_after": next_one,
        "like_before_that": shifted(next_but_one, -2, 1.0),
        "like_after_that": next_but_one,
    }


def _beside_scatter(rows: Numbers, usual: Bool) -> Numbers:
    """Differences from the dominant beat in units of how much the usual beats nearby differ from it."""
    out: Numbers = {}
    for name, least in SCATTER.items():
        values = np.abs(rows[name])
        scatter = np.nan_to_num(known_median(values, usual, 61), nan=0.2)
        out[f"{name}_beside"] = np.log((values + least) / (scatter + least))
    return out


def _standing(kind: Int, rows: Numbers) -> tuple[Real, Real, Real]:
    """1 or 0 per beat: it follows one of its kind; it stands between two of usual shape; and does so in time."""
    usual = (rows["likeness"] >= USUAL_SHAPE).astype(np.float64)
    again = (kind >= 0) & (kind == shifted(kind.astype(np.float64), -1))
    amid = shifted(usual, -1, 1.0) * shifted(usual, 1, 1.0)
    in_time = (np.abs(rows["rr_before"]) < IN_TIME) & (np.abs(rows["rr_after"]) < IN_TIME)
    return again.astype(np.float64), amid, amid * in_time


def _of_kinds(kind: Int, count: int, rows: Numbers) -> Numbers:
    """What is known of each beat's kind as a whole; beats of no kind stand for themselves."""
    known = np.flatnonzero(kind >= 0)
    known = known[np.argsort(kind[known], kind="stable")]
    edges = np.searchsorted(kind[known], np.arange(count + 1)).tolist()
    values = np.stack([rows[name] for name in OF_KIND])
    share, spread = np.zeros(len(kind)), np.zeros(len(kind))
    standing = np.stack(_standing(kind, rows))
    usual_calm = standing[2].mean()
    for first, last in pairwise(edges):
        own = known[first:last]
        share[own] = len(own) / len(kind)
        standing[:, own] = standing[:, own].mean(axis=1, keepdims=True)
        quarter, half = len(own) // 4, len(own) // 2
        ordered = np.partition(values[:, own], (quarter, half, len(own) - 1 - quarter), axis=1)
        spread[own] = ordered[0, -1 - quarter] - ordered[0, quarter]
        values[:, own] = ordered[:, half : half + 1]
    return {
        **{f"kind_{name}": row for name, row in zip(OF_KIND, values, strict=True)},
        "kind_share": np.log(share + 1e-3),
        "kind_spread": spread,
        "kind_again": standing[0],
        "kind_amid": standing[1],
        "kind_calm": standing[2],
        "kind_calm_beside": np.log((standing[2] + LEAST_CALM) / (usual_calm + LEAST_CALM)),
        "kind_index": kind.astype(np.float64),
    }


def _dominant(s: Shapes, kind: Int, count: int, early: Real) -> int:
    """The kind that is the patient's usual beat: common, narrow and not early."""
    best, most = 0, -1.0
    width = mean_of_leads(s.spread_ms, s.usable)
    for k in range(count):
        own = kind == k
        score = own.sum() / max(float(np.median(width[own])), 10.0)
        score *= float(np.exp(2 * min(0.0, np.median(early[own]))))
        if score > most:
            best, most = k, score
    return best


def _usual_kinds(kind: Int, dominant: int, early: Real, width_ms: Samples) -> Int:
    """The dominant kind and those that take its place for a while: commonest nearby, not early, not much wider.

    The heart turns with posture, and a bundle may conduct late for minutes: such beats are usual where they stand.
    They follow one another, or a pause. Every other beat of a ventricular run is as common nearby and hardly early,
    but does neither.
    """
    out, widest = [dominant], WIDEST_USUAL * float(np.median(width_ms[kind == dominant]))
    for k in range(int(kind.max()) + 1):
        own = kind == k
        near = np.convolve(own, np.ones(NEARBY), mode="same") / NEARBY
        if k == dominant or near.max() < HERE_USUAL or len(out) == USUAL_KINDS:
            continue
        earliest = EARLIEST_USUAL if (own[1:] & own[:-1]).sum() >= LEAST_AGAIN * own.sum() else 0.0
        if np.median(early[own]) >= earliest and np.median(width_ms[own]) < widest:
            out.append(k)
    return np.array(out)


def _beside_usual(s: Shapes, kind: Int, usual: Int, nearest: Int) -> Numbers:
    """Every beat beside the usual kind that it resembles most (an index into `usual`)."""
    rows = dict[str, Samples]()
    for k, own_kind in enumerate(usual.tolist()):
        own, near = np.flatnonzero(kind == own_kind), np.flatnonzero(nearest == k)
        template = np.median(s.cut[:, beat_shapes.some(own, beat_shapes.MEMBERS)], axis=1)
        part = Shapes(s.cut[:, near], s.usable[:, near], s.spread_ms[:, near])
        for name, values in _per_lead(part, template, np.median(s.spread_ms[:, own], axis=1)).items():
            rows.setdefault(name, np.zeros(s.usable.shape, np.float32))[:, near] = values
    return _over_leads(rows, s.usable)


def block_features(s: Shapes, rr_s: Real) -> Numbers:
    """All numbers of the beats of one block, by name; rr_s [k] seconds since the beat before, nan where unknown."""
    kind, like = beat_shapes.kinds(s)
    dominant = _dominant(s, kind, like.shape[1], ratio(rr_s, running_median(rr_s, 21)))
    width_ms = mean_of_leads(s.spread_ms, s.usable)
    usual_kinds = _usual_kinds(kind, dominant, ratio(rr_s, running_median(rr_s, WIDE)), width_ms)
    rows = _beside_usual(s, kind, usual_kinds, like[:, usual_kinds].argmax(axis=1))
    usual = rows["likeness"] >= USUAL_SHAPE
    rows |= (
        rhythm(rr_s, usual, like[:, dominant] >= DOMINANT_SHAPE)
        | _beside_scatter(rows, usual)
        | _neighbours(s)
    )
    rows["width_ms"] = width_ms.astype(np.float64) / 100
    for name in ("p_share", "like_p", "likeness"):
        rows[f"{name}_near"] = running_median(rows[name], 21)
    rows |= _of_kinds(kind, like.shape[1], rows)
    rows["kind_usual"] = np.isin(kind, usual_kinds).astype(np.float64)
    for name in ("likeness", "width", "rr_before"):
        rows[f"{name}_previous"] = shifted(rows[name], -1, 0.0)
        rows[f"{name}_next"] = shifted(rows[name], 1, 0.0)
    return rows
