"""Where single waves begin and end on one beat of all leads: arrays [lead, sample] in, sample places [lead] out.

Boundaries lie where the slope, going outward from the wave's steepest flank, falls below a share of it (the rule of
Laguna 1994 and Martinez 2004, here on Gaussian-smoothed slopes); waves are found on all leads together, so that a lead
in which a wave is small follows the others. QRS is laid flat before P and T are sought, so it cannot leak into them.

Shares, widths and pulls were tuned on the even-numbered records of LUDB (docs/ecg-measurements.md); the odd ones were
not looked at.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ecg.twelve_lead.signals import Flags, Places, Real

QRS_SMOOTH_S = 0.006
QRS_REACH_S = (0.150, 0.200)  # before and after the anchor in which QRS is sought
QRS_SHARE = 0.06  # of the steepest slope of all leads: the complex as a whole
QRS_GAP_S = 0.024  # of quiet that still belongs to one complex (notches)
QRS_MARGIN_S = 0.018  # by which a single lead may begin earlier or end later than the whole
QRS_ON_SHARE, QRS_OFF_SHARE = 0.08, 0.08  # of the lead's own steepest slope
QRS_NOISE = 3.0  # times the lead's own slope before the complex
QRS_ON_LATER_S, QRS_OFF_LATER_S = -0.010, 0.004  # readers set QRS a little wider than the slope rule
QRS_FOOT_S = 0.008  # before its measured begin, where QRS may already bend the line: not searched for P
QRS_PULL, QRS_APART_S = 0.5, 0.016  # how far a lead is drawn towards the middle of all leads

T_SMOOTH_S, T_CURVE_S = 0.014, 0.036
T_FROM_J_S = 0.050  # the earliest summit of T after the end of QRS
T_LATEST_S = 0.56  # its latest, from the anchor at RR 1 s; with the root of RR
T_BEFORE_NEXT_S = 0.23  # its latest before the next anchor
T_SEARCH_S = 0.050  # each side of the common summit that a lead's own may lie
T_FAR_S, T_STEEP_S = 0.22, 0.12  # from the summit: the latest end, and the latest steepest point
T_END_BEFORE_NEXT_S = 0.14
T_SHARE = 0.25
T_END_LATER_S = -0.011  # readers of LUDB end T where a tangent would, inside the rule's end
T_PULL, T_APART_S = 0.3, 0.045

P_SMOOTH_S, P_CURVE_S = 0.008, 0.022
P_EARLIEST_S = 0.30  # before QRS
P_BEFORE_QRS_S = 0.030  # the latest summit
P_SEARCH_S = 0.028
P_FAR_S, P_STEEP_S = 0.11, 0.065
P_ON_SHARE, P_OFF_SHARE = 0.2, 0.4
P_ON_LATER_S, P_OFF_LATER_S = 0.003, -0.005
P_PULL, P_APART_S = 0.3, 0.030


def samples(seconds: float, fs_hz: float) -> int:
    return round(seconds * fs_hz)


def qrs(uv: Real, anchor: int, fs_hz: float, good: Flags) -> tuple[Real, Real]:
    """Begin and end of QRS on each lead; nan where the lead shows none. good: bool [lead]."""
    slope = gaussian_filter1d(uv, QRS_SMOOTH_S * fs_hz, axis=1, order=1)
    whole = np.sqrt((slope[good] ** 2).sum(axis=0))
    first, last = _complex(whole, anchor, fs_hz)
    margin, quiet = samples(QRS_MARGIN_S, fs_hz), samples(0.04, fs_hz)
    a, b = max(0, first - margin), min(uv.shape[1], last + margin + 1)
    steep = np.abs(slope[:, a:b])
    top = steep.max(axis=1)
    floor = QRS_NOISE * np.median(np.abs(slope[:, max(0, a - quiet) : max(1, a)]), axis=1)
    starts, ends = (
        steep > np.minimum(np.maximum(share * top, floor), 0.5 * top)[:, None]
        for share in (QRS_ON_SHARE, QRS_OFF_SHARE)
    )
    on = a + starts.argmax(axis=1).astype(float)
    off = b - 1.0 - ends[:, ::-1].argmax(axis=1)
    none = (top <= 0) | ~good
    on[none] = off[none] = np.nan
    apart = QRS_APART_S * fs_hz
    return (
        pulled(on + QRS_ON_LATER_S * fs_hz, QRS_PULL, apart),
        pulled(off + QRS_OFF_LATER_S * fs_hz, QRS_PULL, apart),
    )


def steepness(uv: Real, anchor: int, fs_hz: float) -> float:
    """Steepest slope around the anchor over the median slope of the beat, all leads together."""
    slope = gaussian_filter1d(uv, QRS_SMOOTH_S * fs_hz, axis=1, order=1)
    whole = np.sqrt((slope**2).sum(axis=0))
    reach = samples(0.1, fs_hz)
    return float(whole[max(0, anchor - reach) : anchor + reach].max() / max(float(np.median(whole)), 1e-9))


def _complex(whole: Real, anchor: int, fs_hz: float) -> tuple[int, int]:
    """First and last sample of the complex around the steepest place of all leads."""
    a = max(0, anchor - samples(QRS_REACH_S[0], fs_hz))
    b = min(len(whole), anchor + samples(QRS_REACH_S[1], fs_hz))
    peak = a + int(whole[a:b].argmax())
    over = np.flatnonzero(whole[a:b] > QRS_SHARE * whole[peak]) + a
    gap = samples(QRS_GAP_S, fs_hz)
    breaks = np.flatnonzero(np.diff(over) > gap)
    run = np.searchsorted(over[breaks], peak) if len(breaks) else 0
    first = over[breaks[run - 1] + 1] if run > 0 else over[0]
    last = over[breaks[run]] if run < len(breaks) else over[-1]
    return int(first), int(last)


def pulled(places: Real, pull: float, most: float) -> Real:
    """Each lead drawn towards the middle of all by `pull`, and no further from it than `most` samples."""
    if not np.isfinite(places).any():
        return places
    middle = float(np.nanmedian(places))
    return middle + np.clip((1 - pull) * (places - middle), -most, most)


def after_qrs(uv: Real, off: int, until: int) -> Real:
    """The beat with everything up to `off` and from `until` on held at the level there."""
    out = uv.copy()
    out[:, :off] = uv[:, off : off + 1]
    if until < uv.shape[1]:
        out[:, until:] = uv[:, until : until + 1]
    return out


def before_qrs(uv: Real, on: int) -> Real:
    out = uv.copy()
    out[:, on:] = uv[:, on : on + 1]
    return out


def summits(
    uv: Real, curve_s: float, fs_hz: float, first: int, last: int, reach: int, good: Flags
) -> tuple[Places, Real]:
    """Summit and its sign on each lead near the common summit of curvature in [first, last)."""
    bend = -gaussian_filter1d(uv, curve_s * fs_hz, axis=1, order=2)
    common = first + int((bend[good, first:last] ** 2).sum(axis=0).argmax())
    a, b = max(first, common - reach), min(last, common + reach + 1)
    own = a + np.abs(bend[:, a:b]).argmax(axis=1)
    sign = np.sign(bend[np.arange(len(uv)), own])
    return own, np.where(sign == 0, 1.0, sign)


def flank(slope: Real, top: int, far: int, steep: int, share: float) -> float:
    """Going from `top` towards `far`: past the steepest place within `steep`, where slope falls below `share` of it.

    slope [sample] counts as positive when the wave falls outward; nan when there is no room.
    """
    step = 1 if far > top else -1
    if abs(far - top) < 3 or far < 0 or far >= len(slope):
        return float("nan")
    way = slope[top : far + step : step] if far + step >= 0 else slope[top::-1]
    peak = int(way[: steep + 1].argmax())
    if way[peak] <= 0:
        return float("nan")
    below = np.flatnonzero(way[peak:] < share * way[peak])
    place = peak + int(below[0]) if len(below) else len(way) - 1
    return float(top + step * place)


def t_wave(uv: Real, anchor: int, off: int, rr: float, fs_hz: float, good: Flags) -> tuple[Real, Real]:
    """Summit and end of T on each lead; rr in samples (nan: unknown)."""
    lost = np.full(len(uv), np.nan)
    beat_s = rr / fs_hz if np.isfinite(rr) else 1.0
    next_r = anchor + beat_s * fs_hz
    first = off + samples(T_FROM_J_S, fs_hz)
    last = min(anchor + T_LATEST_S * fs_hz * min(beat_s, 1.4) ** 0.5, next_r - T_BEFORE_NEXT_S * fs_hz)
    last = int(min(last, uv.shape[1] - 0.16 * fs_hz))
    if last - first < 0.06 * fs_hz:
        return lost, lost
    held = after_qrs(uv, off + 2, int(next_r - 0.04 * fs_hz))
    level, slope = (gaussian_filter1d(held, T_SMOOTH_S * fs_hz, axis=1, order=k) for k in (0, 1))
    reach = samples(T_SEARCH_S, fs_hz)
    own, sign = summits(held, T_CURVE_S, fs_hz, first, last, reach, good)
    near = samples(0.045, fs_hz)
    peak, end = lost.copy(), lost.copy()
    for k in np.flatnonzero(good):
        a, b = max(off, int(own[k]) - near), min(uv.shape[1], int(own[k]) + near)
        top = a + int((sign[k] * level[k, a:b]).argmax())
        far = int(min(top + T_FAR_S * fs_hz, next_r - T_END_BEFORE_NEXT_S * fs_hz, uv.shape[1] - 2))
        peak[k] = top
        end[k] = flank(-sign[k] * slope[k], top, far, samples(T_STEEP_S, fs_hz), T_SHARE)
    return peak, pulled(end + T_END_LATER_S * fs_hz, T_PULL, T_APART_S * fs_hz)


def p_wave(
    uv: Real, on: int, earliest: int, fs_hz: float, good: Flags, latest: int
) -> tuple[Real, Real, Real]:
    """Begin, summit and end of P on each lead; its summit is sought from `earliest` to `latest`, before QRS at `on`."""
    lost = np.full(len(uv), np.nan)
    first = max(earliest, on - samples(P_EARLIEST_S, fs_hz), samples(0.04, fs_hz))
    last = min(latest, on - samples(P_BEFORE_QRS_S, fs_hz))
    if last - first < 0.03 * fs_hz:
        return lost, lost, lost
    held = before_qrs(uv, on - samples(QRS_FOOT_S, fs_hz))
    level, slope = (gaussian_filter1d(held, P_SMOOTH_S * fs_hz, axis=1, order=k) for k in (0, 1))
    own, sign = summits(held, P_CURVE_S, fs_hz, first, last, samples(P_SEARCH_S, fs_hz), good)
    near, steep, far = samples(0.025, fs_hz), samples(P_STEEP_S, fs_hz), samples(P_FAR_S, fs_hz)
    begin, peak, end = lost.copy(), lost.copy(), lost.copy()
    for k in np.flatnonzero(good):
        a, b = max(0, int(own[k]) - near), min(on - 2, int(own[k]) + near)
        top = a + int((sign[k] * level[k, a:b]).argmax())
        peak[k] = top
        begin[k] = flank(sign[k] * slope[k], top, max(2, top - far), steep, P_ON_SHARE)
        end[k] = flank(-sign[k] * slope[k], top, min(on - 2, top + far), steep, P_OFF_SHARE)
    apart = P_APART_S * fs_hz
    return (
        pulled(begin + P_ON_LATER_S * fs_hz, P_PULL, apart),
        peak,
        pulled(end + P_OFF_LATER_S * fs_hz, P_PULL, apart),
    )
