"""What a beat looks like beside the patient's other beats: the numbers from which its class is told afterwards.

Nothing here is absolute: shapes are compared with the patient's dominant beat on every lead, intervals with their
medians over several spans, amplitudes with the dominant beat's. So one table serves one lead or twelve, any rate
and any gain. Per-lead numbers enter as their mean over the readable leads and as the most unusual of them.
RR ratios after de Chazal 2004 (doi 10.1109/TBME.2004.827359); templates by leader clustering.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ecg.conditioning import RATE_HZ

Real = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

BEFORE, AFTER = 44, 56  # grid samples cut out around a beat: 344 ms before, 430 ms after
ENERGY_REACH = 14  # 109 ms each side of R: where the QRS is sought
QRS = slice(BEFORE - 12, BEFORE + 15)  # 94 ms before its centre to 109 ms after
P_WAVE = slice(BEFORE - 36, BEFORE - 11)  # 281 to 94 ms before
T_WAVE = slice(BEFORE + 18, BEFORE + 51)  # 141 to 391 ms after
SHIFT = 3  # 23 ms each way, when shapes are compared
RUN_BEGINS = -0.12  # log of intervals after over intervals before: 11 % faster at once
RUN_LASTS = 0.92  # of the intervals before
SAME_SHAPE = 0.90  # correlation at which two beats are of one kind
SCATTER = {  # differences, and the least scatter of them that counts
    "unlike_qrs": 0.02,
    "unlike_qrs_most": 0.02,
    "width": 0.02,
    "unlike_t": 0.01,
    "unlike_p": 0.01,
    "lean": 0.01,
    "height": 0.03,
}
SEEDS = 200  # beats of which a template is the median
KINDS = 12  # shapes told apart; what is left over belongs to none
USUAL_SHAPE = 0.85  # correlation with the dominant beat from which an interval counts as usual
RATIO_LIMITS = (0.25, 4.0)


class Shapes(NamedTuple):
    """The beats of one block of a recording: cut [k, lead, sample] centred on the QRS, and which leads count."""

    cut: Real
    usable: Bool
    lengths: Real  # [shift, k, lead] sizes of the QRS at each shift
    spread_ms: Real  # [k, lead] twice the standard deviation of the slope's energy in time: a soft QRS width


def centred(x: Real, place: Int, usable: Bool) -> Int:
    """Each beat's centre of slope energy over its readable leads, each in units of its own usual slope at beats."""
    reach = np.arange(-ENERGY_REACH, ENERGY_REACH + 1)
    at = np.clip(place[:, None] + reach, 1, x.shape[1] - 2)
    slope = np.abs(x[:, at + 1] - x[:, at - 1])  # [lead, k, sample]
    slope /= np.maximum(np.median(slope.max(axis=-1), axis=1), 1e-9)[:, None, None]
    energy = np.zeros(at.shape)
    for own, readable in zip(slope, usable.T, strict=True):
        energy += own * own * readable[:, None]
    shift = np.rint((energy @ reach) / np.maximum(energy.sum(axis=1), 1e-9))
    out: Int = place + shift.astype(np.int64)
    return out


def cut_out(x: Real, place: Int, usable: Bool) -> Shapes:
    """Cut the beats out of x [lead, m] at 128 Hz; beyond its ends the last value stands."""
    centre = centred(x, place, usable)
    at = np.clip(centre[:, None] + np.arange(-BEFORE, AFTER + 1), 0, x.shape[1] - 1)
    cut = np.ascontiguousarray(x[:, at].transpose(1, 0, 2))
    slope = cut[..., BEFORE - 15 : BEFORE + 18] - cut[..., BEFORE - 17 : BEFORE + 16]
    energy = slope * slope
    energy = np.maximum(energy - 0.04 * energy.max(axis=-1, keepdims=True), 0.0)
    total = np.maximum(energy.sum(axis=-1), 1e-9)
    t = np.arange(energy.shape[-1])
    mean = (energy * t).sum(axis=-1) / total
    spread = np.sqrt((energy * (t - mean[..., None]) ** 2).sum(axis=-1) / total)
    return Shapes(cut, usable, _lengths(cut), spread * (2000.0 / RATE_HZ))


def _unit(windows: Real) -> Real:
    """Without mean, of length 1 over the last axis."""
    flat = windows - windows.mean(axis=-1, keepdims=True)
    out: Real = flat / np.maximum(np.sqrt((flat * flat).sum(axis=-1, keepdims=True)), 1e-9)
    return out


def _lengths(cut: Real) -> Real:
    """[shift, k, lead] root of the sum of squares, without mean, of the QRS as seen at each shift."""
    width = QRS.stop - QRS.start
    seen = cut[..., QRS.start - SHIFT : QRS.stop + SHIFT]
    zero = np.zeros((*seen.shape[:-1], 1))
    sums = np.concatenate([zero, np.cumsum(seen, axis=-1)], axis=-1)
    squares = np.concatenate([zero, np.cumsum(seen * seen, axis=-1)], axis=-1)
    total, square = sums[..., width:] - sums[..., :-width], squares[..., width:] - squares[..., :-width]
    out: Real = np.sqrt(np.maximum(square - total * total / width, 1e-12))
    return np.moveaxis(out, -1, 0)


def _likeness(cut: Real, lengths: Real, template: Real) -> Real:
    """[k, lead] correlation of each QRS with the template's [lead, sample], the best of the shifts."""
    best = np.full(cut.shape[:2], -1.0)
    own = _unit(template[:, QRS])
    for k, shift in enumerate(range(-SHIFT, SHIFT + 1)):
        for lead in range(cut.shape[1]):
            like = cut[:, lead, QRS.start + shift : QRS.stop + shift] @ own[lead] / lengths[k, :, lead]
            np.maximum(best[:, lead], like, out=best[:, lead])
    out: Real = np.minimum(best, 1.0)
    return out


def _mean(values: Real, usable: Bool) -> Real:
    out: Real = (values * usable).sum(axis=-1) / usable.sum(axis=-1)
    return out


def _some(count: int) -> slice:
    """At most SEEDS of `count` beats, evenly: enough for a median."""
    return slice(None, None, -(-count // SEEDS))


def kinds(s: Shapes) -> tuple[Int, list[Real]]:
    """The kind of every beat (-1: of none) and the kinds' templates, the commonest found first."""
    kind = np.full(len(s.cut), -1)
    templates: list[Real] = []
    rest = np.arange(len(s.cut))
    cut, lengths, usable = s.cut, s.lengths, s.usable
    while len(templates) < KINDS and len(rest):
        some = _some(len(rest))
        template = np.median(cut[some], axis=0)
        like = _mean(_likeness(cut[some], lengths[:, some], template), usable[some])
        template = cut[some][int(like.argmax())]
        for _ in range(2):
            same = _mean(_likeness(cut, lengths, template), usable) >= SAME_SHAPE
            alike = cut[same]
            template = np.median(alike[_some(len(alike))], axis=0) if len(alike) else template
        if not same.any():
            break
        kind[rest[same]] = len(templates)
        templates.append(template)
        rest, cut, lengths, usable = rest[~same], cut[~same], lengths[:, ~same], usable[~same]
    return kind, templates


def running_median(values: Real, span: int) -> Real:
    """Median over `span` values around each; nan counts as absent, at the ends the window is shorter."""
    half = span // 2
    padded = np.pad(values, half, constant_values=np.nan)
    windows = np.sort(sliding_window_view(padded, span), axis=1)  # nan sorts last
    count = np.isfinite(windows).sum(axis=1)
    picked = windows[np.arange(len(values)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, picked, np.nan)


def _ratio(a: Real, b: Real) -> Real:
    """log of a over b within limits, 0 where unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        out = np.log(np.clip(a / b, *RATIO_LIMITS))
    return np.nan_to_num(out, nan=0.0)


def _shifted(values: Real, by: int, fill: float = np.nan) -> Real:
    """values[i + by], `fill` beyond the ends."""
    out = np.full(len(values), fill)
    if by >= 0:
        out[: len(values) - by] = values[by:]
    else:
        out[-by:] = values[:by]
    return out


def _usual_values(values: Real, known: Bool, span: int) -> Real:
    """The median of the `span` known values nearest each beat; nan if there are none."""
    at = np.flatnonzero(known & np.isfinite(values))
    if not len(at):
        return np.full(len(values), np.nan)
    medians = running_median(values[at], span)
    place = np.arange(len(values))
    after = np.clip(np.searchsorted(at, place), 0, len(at) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(at[before] - place) < np.abs(at[after] - place)
    out: Real = medians[np.where(nearer, before, after)]
    return out


def _runs(rr_s: Real) -> Real:
    """How much faster the beats around are than before an abrupt acceleration that still lasts, as a logarithm; else 0.

    Sinus rhythm quickens over many beats; a run of ectopic beats begins within one.
    """
    before = running_median(_shifted(rr_s, -3), 5)
    here = running_median(_shifted(rr_s, 2), 5)
    local = running_median(rr_s, 5)
    jump, level = _ratio(here, before), 0.0
    out = np.zeros(len(rr_s))
    for k, (now, step, past) in enumerate(zip(local.tolist(), jump.tolist(), before.tolist(), strict=True)):
        if step < RUN_BEGINS and past > level:
            level = past
        elif not now < RUN_LASTS * level:  # also where the interval is unknown
            level = 0.0
        if level:
            out[k] = max(min(math.log(max(now, 0.1) / level), 0.0), -1.0)
    return out


def _unrest(change: Real, by: int) -> Real:
    """Mean change of five successive intervals, centred `by` beats away; 0 where unknown."""
    known = np.nan_to_num(change, nan=0.0)
    total = np.convolve(known, np.ones(5), mode="same") / 5
    return _shifted(np.minimum(total, 1.0), by, 0.0)


def rhythm(rr_s: Real, usual: Bool) -> dict[str, Real]:
    """Intervals beside those between usual beats; rr_s [k] is nan where unknown, usual [k] tells which beats are."""
    before, after = rr_s, _shifted(rr_s, 1)
    steady = usual & _shifted(usual.astype(np.float64), -1, 0.0).astype(bool)  # between two usual beats
    near, wide = _usual_values(rr_s, steady, 21), _usual_values(rr_s, steady, 301)
    local = running_median(rr_s, 5)
    change = np.abs(np.diff(rr_s, prepend=np.nan)) / near
    unrest = {"unrest_before": _unrest(change, -3), "unrest_after": _unrest(change, 5)}
    change[~usual] = np.nan
    return {
        **unrest,
        "rr_run": _runs(rr_s),
        "rr_usual": np.log(np.clip(np.nan_to_num(near, nan=0.8), 0.2, 3.0)),
        "rr_before": _ratio(before, near),
        "rr_after": _ratio(after, near),
        "rr_before_that": _ratio(_shifted(rr_s, -1), near),
        "rr_after_that": _ratio(_shifted(rr_s, 2), near),
        "rr_pair": _ratio(before + after, 2 * near),
        "rr_before_wide": _ratio(before, wide),
        "rr_local": _ratio(local, near),
        "rr_local_wide": _ratio(local, wide),
        "rr_before_local": _ratio(before, local),
        "rr_before_21": _ratio(before, running_median(rr_s, 21)),
        "rr_ratio": _ratio(before, after),
        "rr_step": _ratio(before, _shifted(rr_s, -1)),
        "irregular": np.nan_to_num(running_median(change, 31), nan=0.0),
        "irregular_near": np.nan_to_num(running_median(change, 9), nan=0.0),
    }


def _dominant(s: Shapes, kind: Int, count: int, early: Real) -> int:
    """The kind that is the patient's usual beat: common, narrow and not early."""
    best, most = 0, -1.0
    widths = [float(np.median(_mean(s.spread_ms[kind == k], s.usable[kind == k]))) for k in range(count)]
    for k in range(count):
        own = kind == k
        score = own.sum() / max(widths[k], 10.0) * float(np.exp(2 * min(0.0, np.median(early[own]))))
        if score > most:
            best, most = k, score
    return best


def _projection(windows: Real, template: Real) -> Real:
    """How much of the template is in each window, 1 = as much as usual; both without mean."""
    flat = windows - windows.mean(axis=-1, keepdims=True)
    own = template - template.mean(axis=-1, keepdims=True)
    out: Real = np.einsum("kls,ls->kl", flat, own) / np.maximum((own * own).sum(axis=-1), 1e-9)
    return np.clip(out, -2.0, 3.0)


def _difference(windows: Real, template: Real, size: Real) -> Real:
    """Root mean square difference of the shapes without mean, in units of the usual QRS size."""
    flat = windows - windows.mean(axis=-1, keepdims=True)
    own = template - template.mean(axis=-1, keepdims=True)
    out: Real = np.sqrt(((flat - own) ** 2).mean(axis=-1)) / size
    return np.clip(out, 0.0, 3.0)


def _size(windows: Real) -> Real:
    out: Real = windows.max(axis=-1) - windows.min(axis=-1)
    return out


def _per_lead(s: Shapes, template: Real, spread_ms: Real) -> dict[str, Real]:
    """[k, lead] numbers of each beat beside the dominant template [lead, sample]."""
    cut, usual = s.cut, np.maximum(_size(template[:, QRS]), 1e-9)
    qrs, p, t = cut[..., QRS], cut[..., P_WAVE], cut[..., T_WAVE]
    size = _size(qrs)
    ends = (qrs[..., :1] + qrs[..., -1:]) / 2
    lean = (qrs - ends).sum(axis=-1) / (usual * qrs.shape[-1])
    own = template[:, QRS]
    own_ends = (own[:, :1] + own[:, -1:]) / 2
    return {
        "likeness": _likeness(cut, s.lengths, template),
        "unlike_qrs": _difference(qrs, own, usual),
        "height": _ratio(size, np.broadcast_to(usual, size.shape)),
        "width": _ratio(s.spread_ms, np.broadcast_to(spread_ms, size.shape)),
        "area": _ratio(np.abs(qrs - ends).sum(axis=-1), np.abs(own - own_ends).sum(axis=-1)),
        "lean": np.clip(lean - (own - own_ends).sum(axis=-1) / (usual * qrs.shape[-1]), -2, 2),
        "like_t": np.einsum("kls,ls->kl", _unit(t), _unit(template[:, T_WAVE])),
        "unlike_t": _difference(t, template[:, T_WAVE], usual),
        "t_share": _projection(t, template[:, T_WAVE]),
        "like_p": np.einsum("kls,ls->kl", _unit(p), _unit(template[:, P_WAVE])),
        "unlike_p": _difference(p, template[:, P_WAVE], usual),
        "p_share": _projection(p, template[:, P_WAVE]),
        "p_size": _size(p) / usual,
    }


LOW_IS_UNUSUAL = frozenset(("likeness", "like_t", "like_p", "t_share", "p_share"))


def _over_leads(rows: dict[str, Real], usable: Bool) -> dict[str, Real]:
    out: dict[str, Real] = {}
    for name, values in rows.items():
        out[name] = _mean(values, usable)
        if name == "lean":
            out["lean_most"] = np.where(usable, np.abs(values), 0.0).max(axis=-1)
        elif name in LOW_IS_UNUSUAL:
            out[f"{name}_most"] = np.where(usable, values, 9.0).min(axis=-1)
        else:
            out[f"{name}_most"] = np.where(usable, values, -9.0).max(axis=-1)
    return out


def _neighbour_likeness(s: Shapes, by: int) -> Real:
    """Mean correlation of each QRS with that of the beat `by` places away; 1 beyond the ends."""
    out = np.ones(len(s.cut))
    if len(out) <= abs(by):
        return out
    own = _unit(s.cut[..., QRS])
    a = slice(0, len(out) - by) if by > 0 else slice(-by, len(out))
    b = slice(by, len(out)) if by > 0 else slice(0, len(out) + by)
    usable = s.usable[a] & s.usable[b]
    like = (own[a] * own[b]).sum(axis=-1)
    out[a] = (like * usable).sum(axis=-1) / np.maximum(usable.sum(axis=-1), 1)
    return out


def _beside_scatter(rows: dict[str, Real], usual: Bool) -> dict[str, Real]:
    """Differences from the dominant beat in units of how much the usual beats nearby differ from it."""
    out: dict[str, Real] = {}
    for name, least in SCATTER.items():
        values = np.abs(rows[name])
        scatter = np.nan_to_num(_usual_values(values, usual, 61), nan=0.2)
        out[f"{name}_beside"] = np.log((values + least) / (scatter + least))
    return out


def _of_kinds(kind: Int, count: int, dominant: int, rows: dict[str, Real]) -> dict[str, Real]:
    """What is known of each beat's kind as a whole; beats of no kind stand for themselves."""
    names = (
        "rr_before",
        "rr_after",
        "width",
        "likeness",
        "p_share",
        "rr_pair",
        "unlike_qrs",
        "unlike_qrs_beside",
        "like_t",
    )
    out = {f"kind_{name}": rows[name].copy() for name in names}
    out["kind_share"] = np.zeros(len(kind))
    out["kind_spread"] = np.zeros(len(kind))
    for k in range(count):
        own = kind == k
        for name in names:
            out[f"kind_{name}"][own] = np.median(rows[name][own])
        out["kind_share"][own] = own.mean()
        out["kind_spread"][own] = np.subtract(*np.percentile(rows["rr_before"][own], [75, 25]))
    out["kind_share"] = np.log(out["kind_share"] + 1e-3)
    out["kind_index"] = kind.astype(np.float64)
    out["kind_dominant"] = (kind == dominant).astype(np.float64)
    return out


def block_features(s: Shapes, rr_s: Real) -> dict[str, Real]:
    """All numbers of the beats of one block, by name; rr_s [k] seconds since the beat before, nan where unknown."""
    kind, templates = kinds(s)
    dominant = _dominant(s, kind, len(templates), _ratio(rr_s, running_median(rr_s, 21)))
    of_usual = kind == dominant
    spread = np.median(s.spread_ms[of_usual], axis=0)
    rows = _over_leads(_per_lead(s, templates[dominant], spread), s.usable)
    usual = rows["likeness"] >= USUAL_SHAPE
    rows.update(rhythm(rr_s, usual))
    rows.update(_beside_scatter(rows, usual))
    rows["width_ms"] = _mean(s.spread_ms, s.usable) / 100
    rows["like_before"] = _neighbour_likeness(s, -1)
    rows["like_after"] = _neighbour_likeness(s, 1)
    rows["like_before_that"] = _neighbour_likeness(s, -2)
    rows["like_after_that"] = _neighbour_likeness(s, 2)
    rows["p_share_near"] = running_median(rows["p_share"], 21)
    rows["like_p_near"] = running_median(rows["like_p"], 21)
    rows["likeness_near"] = running_median(rows["likeness"], 21)
    rows.update(_of_kinds(kind, len(templates), dominant, rows))
    for name in ("likeness", "width", "rr_before"):
        rows[f"{name}_previous"] = _shifted(rows[name], -1, 0.0)
        rows[f"{name}_next"] = _shifted(rows[name], 1, 0.0)
    return rows
