"""One pass over new samples of many devices: beats, quality and findings, live and for the record alike.

`step` is the contract of DESIGN.md section 7: results do not depend on how the stream was cut into chunks nor on
which devices share the batch, bit for bit. All vectorised work is integer or elementwise; decisions are taken per
device every half second, at most 0.95 s after the sample they are about. A state belongs to one contiguous stretch:
after a gap, or when rate or leads change, the caller takes the findings of `finish(old)` and starts `new_state`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg import conditioning as cond
from ecg import detection, episodes, fibrillation, fiducials, fusion, shapes
from ecg.decision import NO_BEAT, Clock, Mind, Outcome, decide, empty_outcome, joined
from ecg.findings import Finding
from ecg.record import SHAPE_PREFERENCE
from ecg.state import State

__all__ = ["Batch", "Finding", "Outcome", "State", "detached", "finish", "new_state", "step", "step_in_place"]

STEP_LIMIT_S = 120  # longer chunks are cut: memory stays bounded
# Devices: what is made of a second of them fits in a processor's cache, and in memory that is not given back each time.
TOGETHER = 192
LONGEST_LEADS = 16
FS_RANGE_HZ = (50, 2000)


@dataclass(frozen=True)
class Batch:
    """New samples of n devices of one rate and set of leads.

    samples int16 [n, lead, sample]; uv_per_lsb [n]; valid and electrodes_on bool, [n, lead] for the whole chunk or
    [n, lead, sample]; first_sample int64 [n], index of samples[:, :, 0] on the recording; paced [n].
    A sample that is not valid (missing, marked by the recorder) is never looked at.
    """

    fs_hz: int
    leads: tuple[str, ...]
    samples: NDArray[np.int16]
    uv_per_lsb: NDArray[np.float64]
    valid: NDArray[np.bool_]
    electrodes_on: NDArray[np.bool_]
    first_sample: NDArray[np.int64]
    paced: NDArray[np.bool_]

    def only(self, k: int) -> "Batch":
        """Of one device."""
        own = slice(k, k + 1)
        return Batch(
            self.fs_hz, self.leads, self.samples[own], self.uv_per_lsb[own], self.valid[own], self.electrodes_on[own],
            self.first_sample[own], self.paced[own],
        )  # fmt: skip


def new_state(fs_hz: int, leads: Sequence[str]) -> State:
    """The state before a stretch's first sample; the first batch's first_sample becomes its origin."""
    if not FS_RANGE_HZ[0] <= fs_hz <= FS_RANGE_HZ[1]:
        raise ValueError(f"fs_hz must be within {FS_RANGE_HZ}, is {fs_hz}")
    if not 1 <= len(leads) <= LONGEST_LEADS:
        raise ValueError(f"1 to {LONGEST_LEADS} leads, not {len(leads)}")
    n, tail = len(leads), -cond.first_needed(0, fs_hz)
    return State(
        fs_hz, tuple(leads), -1, 0, 0, 1.0, False, np.zeros((n, tail), np.int16), np.zeros((n, tail), np.uint8),
        fusion.joined(fusion.empty_memory(n)), fibrillation.empty_swings(n), detection.Detector(),
        shapes.empty_shapes(len(shape_leads(leads))), episodes.Tracker(fs_hz, tuple(leads)), NO_BEAT,
    )  # fmt: skip


def shape_leads(leads: Sequence[str]) -> NDArray[np.int64]:
    """The up to three leads on which shapes are compared: those that differ most, then in order."""
    wanted = [leads.index(code) for code in SHAPE_PREFERENCE if code in leads]
    rest = [k for k in range(len(leads)) if k not in wanted]
    return np.array((wanted + rest)[: fiducials.SHAPE_LEADS], np.int64)


def step(states: Sequence[State], batch: Batch) -> tuple[list[State], list[Outcome]]:
    """Feed each device its next contiguous samples; states are not changed, new ones are returned."""
    _check(states, batch)
    length = batch.samples.shape[2]
    flags = _flags(batch)
    cuts = list(range(0, length, STEP_LIMIT_S * batch.fs_hz)) or [0]
    now, parts = list(states), list[list[Outcome]]()
    for cut in cuts:
        piece = slice(cut, min(length, cut + STEP_LIMIT_S * batch.fs_hz))
        now, outcomes = _step(now, batch, batch.samples[:, :, piece], flags[:, :, piece])
        parts.append(outcomes)
    if len(parts) == 1:
        return now, parts[0]
    return now, [joined(own) for own in zip(*parts, strict=True)]


def step_in_place(states: Sequence[State], batch: Batch) -> list[tuple[State, Outcome] | Exception]:
    """`step` for a caller who needs the given states no more and shares none between devices: what is remembered is
    changed, not copied. Where a device's own analysis fails there is the exception; it spoils no other's.
    """
    count, length = batch.samples.shape[0], batch.samples.shape[2]
    try:
        if length > STEP_LIMIT_S * batch.fs_hz:
            return list(zip(*step(states, batch), strict=True))
        _check(states, batch)
        flags = _flags(batch)
        ready = _ready(states, batch, batch.samples, flags)
    except Exception as failure:  # nothing has been changed yet
        if count == 1:
            return [failure]
        return [one for k in range(count) for one in step_in_place(states[k : k + 1], batch.only(k))]
    results: list[tuple[State, Outcome] | Exception] = [(s, empty_outcome(len(s.leads))) for s in ready]
    for members in _phases(ready) if length else ():
        own = [ready[k] for k in members]
        pick = members if len(members) < count else slice(None)
        for k, result in zip(members, _spared(own, batch.samples[pick], flags[pick]), strict=True):
            results[k] = result
    return results


def detached(state: State) -> State:
    """The same in memory of its own, else that of all devices it was stepped with: for one that is kept long."""
    return state._replace(
        tail=state.tail.copy(), tail_flags=state.tail_flags.copy(),
        memory=state.memory.copy(), swings=state.swings.copy(),
    )  # fmt: skip


def finish(state: State) -> Outcome:
    """End of the stretch: decide what is still open and close every episode. The state is not to be used again."""
    if state.origin < 0:
        return empty_outcome(len(state.leads))
    pad = state.fs_hz + cond.samples_needed(cond.START_HOPS - 1, state.fs_hz)
    tail = np.repeat(state.tail[:, -1:], pad, axis=1)[None]
    end = state.origin + state.taken
    closed, (outcome,) = _step([state], None, tail, np.zeros(tail.shape, np.uint8), end)
    tracker = episodes.copied(closed[0].tracker)
    told = (*outcome.findings, *episodes.close_all(tracker, end))
    return Outcome(
        outcome.beats, outcome.beat_classes, None, outcome.quality, told,
        outcome.quality_codes, outcome.quality_from, end,
    )  # fmt: skip


def _check(states: Sequence[State], batch: Batch) -> None:
    n, leads = len(states), len(batch.leads)
    if batch.samples.shape[:2] != (n, leads) or batch.samples.dtype != np.int16:
        raise ValueError(f"samples must be int16 [{n}, {leads}, sample], are {batch.samples.shape}")
    first, scale = batch.first_sample.tolist(), batch.uv_per_lsb.tolist()
    for k, state in enumerate(states):
        if state.fs_hz != batch.fs_hz or state.leads != batch.leads:
            raise ValueError(f"device {k}: state is for {state.fs_hz} Hz {state.leads}")
        if state.origin < 0:
            continue
        if state.origin + state.taken != first[k]:
            raise ValueError(f"device {k}: sample {first[k]} does not continue the stretch")
        if state.uv_per_lsb != scale[k]:
            raise ValueError(f"device {k}: another scale needs a new state")


def _flags(batch: Batch) -> NDArray[np.uint8]:
    """1 where a sample tells nothing (not valid, at a rail, electrode off), 2 added where the electrode is off."""

    def full(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return mask[:, :, None] if mask.ndim == 2 else mask

    is_inside = batch.samples.size and -cond.RAIL < batch.samples.min() and batch.samples.max() < cond.RAIL
    if is_inside and batch.valid.all() and batch.electrodes_on.all():
        return np.zeros(batch.samples.shape, np.uint8)
    off = ~full(batch.electrodes_on)
    bad = (batch.samples == cond.RAIL) | (batch.samples <= -cond.RAIL)
    bad |= ~full(batch.valid) | off
    marks: NDArray[np.uint8] = bad.view(np.uint8)
    if off.any():
        marks |= off.view(np.uint8) << 1
    return marks


def _held(
    samples: NDArray[np.int16], flags: NDArray[np.uint8], before: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Samples that tell nothing take the value before them, so that they make no step of their own."""
    if not flags.any():
        return samples
    joined = np.concatenate([before[..., None], samples], axis=-1)
    index = np.where(flags == 0, np.arange(1, joined.shape[-1]), 0)
    out: NDArray[np.int16] = np.take_along_axis(joined, np.maximum.accumulate(index, axis=-1), axis=-1)
    return out


def _started(
    state: State, samples: NDArray[np.int16], flags: NDArray[np.uint8], batch: Batch, k: int
) -> State:
    """The first samples arrive: what lies before them is taken to be flat at the first one, if it is good."""
    value = np.where(flags[:, :1] == 0, samples[:, :1], 0).astype(np.int16)
    tracker = replace(state.tracker, paced=bool(batch.paced[k]))
    return State(
        state.fs_hz, state.leads, int(batch.first_sample[k]), 0, 0, float(batch.uv_per_lsb[k]), bool(batch.paced[k]),
        np.repeat(value, state.tail.shape[1], axis=1), state.tail_flags, state.memory, state.swings, state.detector,
        state.shapes, tracker, NO_BEAT,
    )  # fmt: skip


def _step(
    states: Sequence[State],
    batch: Batch | None,
    samples: NDArray[np.int16],
    flags: NDArray[np.uint8],
    until: int | None = None,
) -> tuple[list[State], list[Outcome]]:
    """One bounded piece for all devices, those of equal phase together."""
    if samples.shape[-1] == 0:
        return list(states), [empty_outcome(len(s.leads)) for s in states]
    ready = _ready(states, batch, samples, flags)
    news: list[State] = list(ready)
    outcomes: list[Outcome] = [empty_outcome(len(s.leads)) for s in ready]
    for members in _phases(ready):
        own = [ready[k] for k in members]
        pick = members if len(members) < len(ready) else slice(None)
        group = _group(own, samples[pick], flags[pick])
        for k, s, place in zip(members, own, range(len(own)), strict=True):
            news[k], outcomes[k] = _decided(s, _copied(s), group, place, until)
    return news, outcomes


def _ready(
    states: Sequence[State], batch: Batch | None, samples: NDArray[np.int16], flags: NDArray[np.uint8]
) -> list[State]:
    """The states, those before their first samples begun with them."""
    if batch is None:
        return list(states)
    return [_started(s, samples[k], flags[k], batch, k) if s.origin < 0 else s for k, s in enumerate(states)]


def _phases(states: Sequence[State]) -> list[list[int]]:
    """Devices whose half seconds fall on the same samples of a piece, as many together as the processor has near."""
    groups: dict[tuple[int, bool], list[int]] = defaultdict(list)
    for k, s in enumerate(states):
        groups[(s.taken if s.hop == 0 else s.taken % s.fs_hz, s.hop == 0)].append(k)
    return [own[k : k + TOGETHER] for own in groups.values() for k in range(0, len(own), TOGETHER)]


def _copied(s: State) -> Mind:
    return Mind(
        detection.copied(s.detector), shapes.copied(s.shapes), episodes.copied(s.tracker), s.last_beat
    )


def _spared(
    states: list[State], samples: NDArray[np.int16], flags: NDArray[np.uint8]
) -> list[tuple[State, Outcome] | Exception]:
    """A group's results in place; one that fails does so alone."""
    try:
        group = _group(states, samples, flags)
    except Exception as failure:  # of what is done for all together
        if len(states) == 1:
            return [failure]
        parts = (slice(k, k + 1) for k in range(len(states)))
        return [one for own in parts for one in _spared(states[own], samples[own], flags[own])]
    results: list[tuple[State, Outcome] | Exception] = []
    for place, s in enumerate(states):
        try:
            mind = Mind(s.detector, s.shapes, s.tracker, s.last_beat)
            results.append(_decided(s, mind, group, place, None))
        except Exception as failure:
            results.append(failure)
    return results


class Group(NamedTuple):
    """What a piece brings to devices of one phase, before anything is decided; device first."""

    length: int  # of the piece
    tail: NDArray[np.int16]
    tail_flags: NDArray[np.uint8]
    looked: "Looked"
    by_hop: NDArray[np.uint8]  # quality codes [device, hop, lead]


def _group(states: list[State], samples: NDArray[np.int16], flags: NDArray[np.uint8]) -> Group:
    """What is done for devices of one phase together."""
    lead = states[0]
    fs_hz, start = lead.fs_hz, lead.taken - lead.tail.shape[1]
    tails = fusion.stack([s.tail for s in states])
    raw = np.concatenate([tails, _held(samples, flags, tails[..., -1])], axis=-1)
    marks = np.concatenate([fusion.stack([s.tail_flags for s in states]), flags], axis=-1)
    hops = cond.hops_ready(lead.taken + samples.shape[-1], fs_hz) - lead.hop
    looked = _look(states, raw, marks, start, hops) if hops > 0 else _not_looked(states)
    needed = slice(cond.first_needed(lead.hop + max(0, hops), fs_hz) - start, None)
    by_hop = np.ascontiguousarray(looked.codes.transpose(0, 2, 1))
    return Group(samples.shape[-1], raw[..., needed].copy(), marks[..., needed].copy(), looked, by_hop)


def _decided(s: State, mind: Mind, group: Group, place: int, until: int | None) -> tuple[State, Outcome]:
    """One device's decisions about a piece, and its state after it; `mind` is changed."""
    looked, by_hop = group.looked, group.by_hop[place]
    mind.tracker.likeness = looked.likeness[place]
    clock = Clock(s.fs_hz, s.origin, s.hop, s.paced)
    outcome = decide(mind, clock, looked.rows[place], by_hop, until)
    state = State(
        s.fs_hz, s.leads, s.origin, s.taken + group.length, s.hop + len(by_hop), s.uv_per_lsb, s.paced,
        group.tail[place], group.tail_flags[place], looked.memory[place], looked.swings[place], mind.detector,
        mind.shapes, mind.tracker, mind.last_beat,
    )  # fmt: skip
    return state, outcome


class Looked(NamedTuple):
    """What the vectorised part says of the next hops of a group's devices: memory to keep, quality codes
    [device, lead, hop], candidates with their hop, and how much each hop looks like fibrillation.
    """

    memory: list[cond.Real]
    swings: list[NDArray[np.int64]]
    codes: NDArray[np.uint8]
    rows: list[fiducials.Candidates]
    likeness: list[list[float]]


def _not_looked(states: list[State]) -> Looked:
    """No half second is complete."""
    nothing = np.empty((len(states), len(states[0].leads), 0), np.uint8)
    none: list[fiducials.Candidates] = [([], [])] * len(states)
    return Looked([s.memory for s in states], [s.swings for s in states], nothing, none, [[] for _ in states])


def _look(
    states: list[State], raw: NDArray[np.int16], marks: NDArray[np.uint8], start: int, hops: int
) -> Looked:
    """The vectorised part of the next hops of all devices of a group."""
    lead = states[0]
    scale = np.array([s.uv_per_lsb for s in states])
    seen = cond.condition(raw, marks != 0 if marks.any() else None, start, lead.fs_hz, scale, lead.hop, hops)
    off = _off_by_hop(marks, start, lead, hops)
    hop = np.array([s.hop for s in states], np.int64)
    judged, memory = fusion.judge(seen, fusion.parted(fusion.stack([s.memory for s in states])), hop, off)
    summits = fusion.candidates(fusion.fuse(seen, judged))
    found = fiducials.describe(
        seen, judged, raw, start, lead.fs_hz, lead.hop, summits, shape_leads(lead.leads)
    )
    samples = np.array([s.taken for s in states], np.int64) - lead.taken
    rows = fiducials.rows(found, (hop - lead.hop) * cond.HOP, samples)
    before = fusion.stack([s.swings for s in states])
    swings = np.concatenate([before, fibrillation.swings(seen, scale, judged.quality)], axis=-2)
    likeness = fibrillation.likeness(swings, hop).tolist()
    kept = np.ascontiguousarray(swings[..., hops:, :])
    return Looked(list(fusion.joined(memory)), list(kept), judged.quality, rows, likeness)


def _off_by_hop(marks: NDArray[np.uint8], start: int, lead: State, hops: int) -> NDArray[np.bool_]:
    edges = (np.arange(lead.hop, lead.hop + hops + 1) * cond.HOP * lead.fs_hz) // cond.RATE_HZ - start
    if not (marks & 2).any():
        return np.zeros((*marks.shape[:2], hops), bool)
    return np.maximum.reduceat(marks & 2, edges, axis=-1)[..., :hops] > 0
