"""The record pass and the Holter summary: the same stream as live, over a whole recording.

`analyse` cuts the recording at its gaps and runs the stream over each stretch; `measured` reads templates and ST;
`seen` applies a reader's edits to both, and `summary` is what the report and the reading page then show.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecg import beat_classes, stream
from ecg.analysis import (
    ALGORITHM,
    CLASSES,
    MISSING,
    QUALITY_BLOCK_S,
    VERSION,
    Analysis,
    Edit,
    apply,
    intervals,
)
from ecg.conditioning import RAIL
from ecg.edits import GroupEdit, Seen, seen
from ecg.edits import from_dict as edit_from_dict
from ecg.edits import to_dict as edit_to_dict
from ecg.fusion import UNREADABLE
from ecg.measured import Measured, measured
from ecg.record import Lead, Record, main_group
from ecg.retelling import retold
from ecg.summary import ranked, strip, summary

__all__ = [
    "Analysis", "Edit", "GroupEdit", "Measured", "Seen", "analyse", "apply", "edit_from_dict", "edit_to_dict",
    "measured", "ranked", "seen", "strip", "summary",
]  # fmt: skip

CHUNK_S = 600
COARSEST_UV = (
    10.0  # of a stored step: electrodes may lie 300 mV apart (IEC 60601-2-47, 201.12.4.4), 16 bits hold that
)
SHORT_GAP_S = 1.0  # a shorter loss restarts nothing, its samples tell nothing: clipped VF stays in one piece


def analyse(
    record: Record, *, paced: bool = False, electrodes_on: NDArray[np.bool_] | None = None
) -> Analysis:
    """Analyse the main group of leads; electrodes_on [lead, sample] where the recorder told contact.

    Beats are classified afterwards with the whole recording known; on a paced patient as the stream saw them, since
    only the stream tells a paced beat from a ventricular one.
    """
    found = streamed(record, paced=paced, electrodes_on=electrodes_on)
    return found if paced else retold(beat_classes.reclassified(found, main_group(record)))


def streamed(
    record: Record, *, paced: bool = False, electrodes_on: NDArray[np.bool_] | None = None
) -> Analysis:
    """What the live stream makes of a recording."""
    leads = main_group(record)
    fs_hz, length = round(leads[0].fs_hz), len(leads[0].samples)
    outcomes, edges = list[stream.Outcome](), list[int]()
    recorded = np.ones(length, bool)
    for first, last in record.gaps:
        recorded[first:last] = False
    for first, last in _stretches(length, [g for g in record.gaps if g[1] - g[0] >= SHORT_GAP_S * fs_hz]):
        outcomes += _stretch(leads, fs_hz, first, last, paced, electrodes_on, recorded)
        edges.append(first)
    return _collected(leads, fs_hz, length, outcomes, edges, record.gaps)


def _stretches(length: int, gaps: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The contiguous stretches between gaps."""
    out, at = list[tuple[int, int]](), 0
    for first, last in sorted(gaps):
        if first > at:
            out.append((at, min(first, length)))
        at = max(at, last)
    if at < length:
        out.append((at, length))
    return [(a, b) for a, b in out if b > a]


def _sixteen_bits(lead: Lead) -> tuple[int, float]:
    """Right shift that brings wider samples into int16, and the scale after it.

    One wild sample must not coarsen all others: beyond `COARSEST_UV` values are cut off, as by a recorder's rail.
    """
    if lead.samples.dtype == np.int16 or not len(lead.samples):
        return 0, lead.uv_per_lsb
    known = lead.samples[lead.samples != lead.missing] if lead.missing is not None else lead.samples
    largest = int(np.abs(known.astype(np.int64) - lead.offset).max(initial=1))
    coarsest = max(0, math.floor(math.log2(COARSEST_UV / lead.uv_per_lsb)))
    shift = min(max(0, largest.bit_length() - 14), coarsest)
    return shift, lead.uv_per_lsb * (1 << shift)


def _chunk(lead: Lead, shift: int, first: int, last: int) -> NDArray[np.int16]:
    piece = lead.samples[first:last]
    if piece.dtype == np.int16:
        return np.asarray(piece, np.int16)
    narrow: NDArray[np.int16] = np.clip((piece.astype(np.int64) - lead.offset) >> shift, -RAIL, RAIL).astype(
        np.int16
    )
    return narrow


def _stretch(
    leads: tuple[Lead, ...],
    fs_hz: int,
    first: int,
    last: int,
    paced: bool,
    on: NDArray[np.bool_] | None,
    recorded: NDArray[np.bool_],
) -> list[stream.Outcome]:
    codes = tuple(lead.code for lead in leads)
    scales = [_sixteen_bits(lead) for lead in leads]
    ratio = np.array([[scale / scales[0][1]] for _, scale in scales])
    state, outcomes = stream.new_state(fs_hz, codes), []
    for a in range(first, last, CHUNK_S * fs_hz):
        b = min(last, a + CHUNK_S * fs_hz)
        rows = [_chunk(lead, shift, a, b) for lead, (shift, _) in zip(leads, scales, strict=True)]
        batch = stream.Batch(
            fs_hz=fs_hz,
            leads=codes,
            samples=_one_scale(np.stack(rows), ratio)[None],
            uv_per_lsb=np.array([scales[0][1]]),
            valid=np.stack([_valid(lead, a, b) & recorded[a:b] for lead in leads])[None],
            electrodes_on=np.ones((1, len(leads)), bool) if on is None else on[None, :, a:b],
            first_sample=np.array([a]),
            paced=np.array([paced]),
        )
        (state,), (outcome,) = stream.step([state], batch)
        outcomes.append(outcome)
    return [*outcomes, stream.finish(state)]


def _valid(lead: Lead, first: int, last: int) -> NDArray[np.bool_]:
    if lead.missing is None:
        return np.ones(last - first, bool)
    known: NDArray[np.bool_] = lead.samples[first:last] != lead.missing
    return known


def _one_scale(samples: NDArray[np.int16], ratio: NDArray[np.float64]) -> NDArray[np.int16]:
    """Leads of different scale are brought to the first one's; equal scales stay untouched."""
    if (ratio == 1.0).all():
        return samples
    scaled: NDArray[np.int16] = np.clip(np.rint(samples * ratio), -RAIL, RAIL).astype(np.int16)
    return scaled


def _collected(
    leads: tuple[Lead, ...],
    fs_hz: int,
    length: int,
    outcomes: list[stream.Outcome],
    edges: list[int],
    gaps: Sequence[tuple[int, int]],
) -> Analysis:
    told = [o for o in outcomes if o.quality_from >= 0]
    hop_s = 0.5
    codes = np.concatenate([o.quality_codes for o in told]) if told else np.empty((0, len(leads)), np.uint8)
    at = [o.quality_from + np.arange(len(o.quality_codes)) * fs_hz // 2 for o in told]
    hop_at = np.concatenate(at) if at else np.empty(0, np.int64)
    inside = hop_at < length
    codes, hop_at = codes[inside], hop_at[inside]
    unread = codes.min(axis=1, initial=MISSING) >= UNREADABLE
    breaks = np.unique(np.concatenate([np.array(edges, np.int64), hop_at[unread] + fs_hz // 2]))
    sample = np.concatenate([o.beats for o in outcomes]) if outcomes else np.empty(0, np.int64)
    kinds = b"".join(o.beat_classes for o in outcomes).decode("ascii")
    kind = np.array([CLASSES.index(k) for k in kinds], np.uint8)
    ended = [f for o in outcomes for f in o.findings if f.phase == "offset"]
    recorded = sum(b - a for a, b in _stretches(length, gaps)) / fs_hz
    readable = min(recorded, float((~unread).sum()) * hop_s)
    return Analysis(
        ALGORITHM, VERSION, fs_hz, tuple(lead.code for lead in leads), length, readable, recorded, sample, kind,
        intervals(sample, breaks, fs_hz), breaks, _timeline(codes, hop_at, length, fs_hz),
        tuple(sorted(ended, key=lambda f: (f.onset_sample, f.rule))),
    )  # fmt: skip


def _timeline(
    codes: NDArray[np.uint8], hop_at: NDArray[np.int64], length: int, fs_hz: int
) -> NDArray[np.uint8]:
    """Quality per 10 s and lead: the code that at most a fifth of the half seconds is worse than."""
    blocks = -(-length // (QUALITY_BLOCK_S * fs_hz))
    out = np.full((blocks, codes.shape[1]), MISSING, np.uint8)
    block = hop_at // (QUALITY_BLOCK_S * fs_hz)
    edges = np.searchsorted(block, np.arange(blocks + 1))
    for k in range(blocks):
        own = np.sort(codes[edges[k] : edges[k + 1]], axis=0)
        if len(own):
            out[k] = own[max(0, -(-len(own) * 4 // 5) - 1)]
    return out
