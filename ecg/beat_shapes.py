"""Beats cut out of a recording, their shapes beside one another, and the kinds they fall into.

Everything is a product of the windows with a few columns (templates, sums over stretches), so a day of three leads
takes a fraction of a second. Shapes are compared over several shifts, since a beat's centre is known to a sample or
two only.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ecg.conditioning import RATE_HZ

Samples = NDArray[np.float32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

BEFORE, AFTER = 44, 56  # grid samples cut out around a beat: 344 ms before, 430 ms after
ENERGY_REACH = 14  # 109 ms each side of R: where the QRS is sought
SHIFT = 3  # 23 ms each way, when shapes are compared
QRS = slice(BEFORE - 12, BEFORE + 15)  # 94 ms before its centre to 109 ms after
SEEN = slice(QRS.start - SHIFT, QRS.stop + SHIFT)
WIDTH = QRS.stop - QRS.start
SHIFTS = 2 * SHIFT + 1
KINDS = 24  # shapes told apart
SAME_SHAPE = 0.88  # concordance at which two beats are of one kind
NEAR_SHAPE = 0.75  # concordance below which a beat belongs to no kind
MEMBERS = 200  # beats that a template is the median of
LEAST_TRUST = 0.3  # weight of a lead whose beats are all unlike one another, against 1
TINY = 1e-6


class Shapes(NamedTuple):
    """The beats of one block of a recording, centred on the QRS."""

    cut: Samples  # [lead, k, sample]
    usable: Samples  # [lead, k] 1 where the lead counts, else 0
    spread_ms: Samples  # [lead, k] twice the deviation of the slope's energy in time: a soft QRS width


def windows(x: Samples, first: Int, length: int) -> Samples:
    """x [lead, m] from each of `first` on: [lead, k, length]; beyond the ends the last value stands."""
    before = max(0, -int(first.min(initial=0)))
    after = max(0, int(first.max(initial=0)) + length - x.shape[1])
    padded = np.pad(x, ((0, 0), (before, after)), mode="edge") if before or after else x
    return np.ascontiguousarray(sliding_window_view(padded, length, axis=1)[:, first + before])


def centred(x: Samples, place: Int, usable: Samples) -> Int:
    """Each beat's centre of slope energy over its readable leads, each in units of its own usual slope at beats."""
    reach = np.arange(-ENERGY_REACH, ENERGY_REACH + 1, dtype=np.float32)
    near = windows(x, place - ENERGY_REACH - 1, len(reach) + 2)
    slope = near[..., 2:] - near[..., :-2]
    steepest = np.maximum(slope.max(axis=-1), -slope.min(axis=-1))
    slope *= (usable / np.maximum(np.median(steepest, axis=1, keepdims=True), TINY))[..., None]
    energy = np.square(slope, out=slope).sum(axis=0)
    shift = np.rint(energy @ reach / np.maximum(energy.sum(axis=-1), TINY))
    out: Int = place + shift.astype(np.int64)
    return out


def cut_out(x: Samples, place: Int, readable: Bool) -> Shapes:
    """Cut the beats at `place` out of x [lead, m] at 128 Hz; readable [k, lead]."""
    usable = np.ascontiguousarray(readable.T, np.float32)
    cut = windows(x, centred(x, place, usable) - BEFORE, BEFORE + AFTER + 1)
    energy = cut[..., BEFORE - 15 : BEFORE + 18] - cut[..., BEFORE - 17 : BEFORE + 16]
    energy *= energy
    energy -= 0.04 * energy.max(axis=-1, keepdims=True)
    np.maximum(energy, 0.0, out=energy)
    t = np.arange(energy.shape[-1], dtype=np.float32)
    total, first, second = np.moveaxis(energy @ np.stack([t**0, t, t * t], axis=1), -1, 0)
    mean = first / np.maximum(total, TINY)
    variance = second / np.maximum(total, TINY) - mean * mean
    return Shapes(cut, usable, np.sqrt(np.maximum(variance, 0.0)) * np.float32(2000.0 / RATE_HZ))


def mean_of_leads(values: Samples, usable: Samples) -> Samples:
    """Mean over a beat's readable leads, values [lead, k]."""
    out: Samples = (values * usable).sum(axis=0) / usable.sum(axis=0)
    return out


def some(places: Int, most: int) -> Int:
    """At most `most` of the places, evenly."""
    return places[:: -(-len(places) // most)] if len(places) else places


def flat(shape: Samples) -> Samples:
    """Without its mean over the last axis."""
    out: Samples = shape - shape.mean(axis=-1, keepdims=True)
    return out


def shifted_columns(templates: Samples) -> Samples:
    """templates [t, sample of QRS] as columns over SEEN, one for each shift: [sample of SEEN, shift * t]."""
    count = len(templates)
    out = np.zeros((SEEN.stop - SEEN.start, SHIFTS, count), np.float32)
    for k in range(SHIFTS):
        out[k : k + WIDTH, k] = templates.T
    return out.reshape(len(out), -1)


def lengths(seen: Samples) -> Samples:
    """[..., shift] squared size of the QRS without mean, at each shift, of seen [..., sample]."""
    band = shifted_columns(np.ones((1, WIDTH), np.float32))
    total = seen @ band
    out: Samples = np.maximum((seen * seen) @ band - total * total / WIDTH, TINY)
    return out


def likeness(s: Shapes, template: Samples) -> Samples:
    """[lead, k] correlation of each QRS with the template's [lead, sample of QRS], the best of the shifts."""
    own = flat(template)
    own = own / np.maximum(np.sqrt((own * own).sum(axis=-1, keepdims=True)), TINY)
    seen = flat(s.cut[..., SEEN])
    like = np.stack([part @ shifted_columns(t[None]) for part, t in zip(seen, own, strict=True)])
    out: Samples = np.clip((like / np.sqrt(lengths(seen))).max(axis=-1), -1.0, 1.0)
    return out


class Compared(NamedTuple):
    """QRS of all leads side by side, each lead scaled by its usual size and how far it is to be trusted."""

    seen: Samples  # [k, lead, sample of SEEN]
    size: Samples  # [k, shift] squared size over the readable leads
    usable: Samples  # [k, lead]


def compared(s: Shapes) -> Compared:
    seen = flat(s.cut[..., SEEN])
    size = lengths(seen)
    own = seen[..., SHIFT : SHIFT + WIDTH]
    typical = flat(np.median(own[:, some(np.arange(own.shape[1]), MEMBERS)], axis=1))
    typical /= np.maximum(np.sqrt((typical * typical).sum(axis=-1, keepdims=True)), TINY)
    like = np.stack([part @ t for part, t in zip(own, typical, strict=True)]) / np.sqrt(size[..., SHIFT])
    trust = np.clip(np.median(like, axis=1), LEAST_TRUST, 1.0)
    weight = s.usable * (trust / np.maximum(np.sqrt(np.median(size[..., SHIFT], axis=1)), TINY))[:, None]
    size = (size * (weight * weight)[..., None]).sum(axis=0)
    return Compared(np.ascontiguousarray((seen * weight[..., None]).transpose(1, 0, 2)), size, s.usable.T)


def concordance(c: Compared, beats: Int, templates: Samples) -> Samples:
    """[k, shift, t] 2xy / (xx + yy) of beats and templates [t, lead, sample of QRS]: 1 for one shape of one size."""
    leads = templates.shape[1]
    columns = np.concatenate([shifted_columns(templates[:, k]) for k in range(leads)])
    across = (c.seen[beats].reshape(len(beats), -1) @ columns).reshape(len(beats), SHIFTS, -1)
    own = c.usable[beats] @ (templates * templates).sum(axis=-1).T
    out: Samples = 2 * across / (c.size[beats][:, :, None] + own[:, None, :])
    return out


def _at_shift(c: Compared, beats: Int, shift: Int) -> Samples:
    """[k, lead, sample of QRS] the beats, each at its shift."""
    at = shift[:, None] + np.arange(WIDTH)
    return np.take_along_axis(c.seen[beats], at[:, None, :], axis=2)


def _leader(c: Compared, rest: Int, shift: Int) -> Samples:
    """The beat that is most like the median of the rest."""
    few = some(rest, MEMBERS)
    shapes = _at_shift(c, few, shift[few])
    like = concordance(c, few, flat(np.median(shapes, axis=0))[None])[np.arange(len(few)), shift[few], 0]
    return flat(shapes[int(like.argmax())])


def _leaders(c: Compared, count: int) -> list[Samples]:
    """[lead, sample of QRS] of each kind, found one after another among the beats that are left."""
    rest, shift = np.arange(count), np.full(count, SHIFT)
    leaders = list[Samples]()
    while len(leaders) < KINDS and len(rest):
        template, same = _leader(c, rest, shift), rest[:0]
        for _ in range(2):
            at_shift = concordance(c, rest, template[None])[..., 0]
            shift[rest] = at_shift.argmax(axis=1)
            is_same = at_shift.max(axis=1) >= SAME_SHAPE
            same = rest[is_same]
            if not len(same):  # nothing but silence is left
                return leaders or [template]
            own = some(same, MEMBERS)
            template = flat(np.median(_at_shift(c, own, shift[own]), axis=0))
        leaders.append(template)
        rest = rest[~is_same]
    return leaders


def kinds(s: Shapes) -> tuple[Int, Samples]:
    """The kind of every beat, commonest first (-1: of none), and its concordance with each kind: leader clustering."""
    c = compared(s)
    everything = np.arange(s.cut.shape[1])
    leaders = _leaders(c, len(everything))
    like = concordance(c, everything, np.stack(leaders)).max(axis=1)
    kind = np.where(like.max(axis=1) >= NEAR_SHAPE, like.argmax(axis=1), -1)
    if not (kind >= 0).any():  # no shape comes back: noise, or nothing at all
        return np.zeros_like(kind), like[:, :1]
    count = np.bincount(kind[kind >= 0], minlength=len(leaders))
    order = np.argsort(-count, kind="stable")
    rank = np.full(len(leaders) + 1, -1)
    rank[order] = np.arange(len(leaders))
    return rank[kind], like[:, order[: int((count > 0).sum())]]
