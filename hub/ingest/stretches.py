"""The record pass in pure form: which ten minutes of a boot are ready to be looked at again, and what is found there.

A stretch is judged with fixed surroundings: two minutes before it, in which the analyser finds its feet, and one
minute behind it, in which what began in it shows how bad it is. So its findings depend on those samples alone, not on
when or in which order they came. An episode belongs to the stretch it begins in; one that outlasts the minute behind
it goes on as a piece of the next stretch, which begins exactly where the first ends (`hub.alarms.findings` joins them).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from devices import sequencing
from devices.sequencing import Ledger, Ranges
from ecg import stream
from ecg.findings import Finding
from hub.telemetry.blocks import StoredPiece

STRETCH_S: Final = 600
BEFORE_S: Final = 120
BEHIND_S: Final = 60


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples [first, end) of a boot, and [low, high), which are looked at to judge them."""

    number: int
    first: int
    end: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Signal:
    """How the samples of a recording were made."""

    fs_hz: int
    leads: tuple[str, ...]
    uv_per_lsb: float
    paced: bool


def stretch_of(number: int, fs_hz: int, final: int | None) -> Stretch:
    """A boot's stretch of that number; `final` is the boot's count of samples, where it is known."""
    length = STRETCH_S * fs_hz
    first, end = number * length, (number + 1) * length
    low, high = max(0, first - BEFORE_S * fs_hz), end + BEHIND_S * fs_hz
    if final is not None:
        end, high = min(end, final), min(high, final)
    return Stretch(number, first, end, low, high)


def _only_grew(before: Ledger, after: Ledger, fs_hz: int) -> bool:
    """Whether samples came at the end alone, nothing is missing, and no stretch has become complete: nearly always."""
    length, behind = STRETCH_S * fs_hz, BEHIND_S * fs_hz
    return (
        len(before.stored) == len(after.stored) > 0
        and before.stored[:-1] == after.stored[:-1]
        and before.stored[-1][0] == after.stored[-1][0] <= before.oldest
        and before.stored[-1][1] == before.seen
        and after.stored[-1][1] == after.seen
        and before.final is after.final is None
        and (before.seen - behind) // length == (after.stored[-1][1] - behind) // length
    )


def due(before: Ledger, after: Ledger, fs_hz: int) -> list[Stretch]:
    """The stretches to be looked at (again) after a change of the ledger: complete, and not seen like this before.

    Complete is a stretch whose samples and surroundings are all stored or given up by the device.
    """
    if _only_grew(before, after, fs_hz):
        return []
    changed = sequencing.subtract(after.stored, before.stored)
    touched = set(_numbers(changed, fs_hz))
    if after.oldest > before.oldest:
        touched |= set(_numbers(((before.oldest, after.oldest),), fs_hz))
    if after.final is not None and after.final != before.final:
        touched |= set(_numbers(((max(0, after.final - 1), after.final),), fs_hz))
    found = []
    for number in sorted(touched):
        one = stretch_of(number, fs_hz, after.final)
        if not _is_complete(after, one) or not _holds(after.stored, one.first, one.end):
            continue
        was = stretch_of(number, fs_hz, before.final)
        if not _is_complete(before, was) or _holds(changed, one.low, one.high):
            found.append(one)
    return found


def _numbers(changed: Ranges, fs_hz: int) -> Iterable[int]:
    """Stretches that look at any of these samples."""
    length = STRETCH_S * fs_hz
    for first, end in changed:
        low = max(0, (first - BEHIND_S * fs_hz) // length)
        yield from range(low, (end - 1 + BEFORE_S * fs_hz) // length + 1)


def _is_complete(ledger: Ledger, of: Stretch) -> bool:
    if ledger.seen < of.high or of.end <= of.first:
        return False
    low = max(of.low, ledger.oldest)
    return low >= of.high or not sequencing.trim(ledger.stored, low, of.high)


def _holds(ranges: Ranges, first: int, end: int) -> bool:
    """Whether any of [first, end) is there."""
    return sequencing.total(sequencing.trim(ranges, first, end)) < end - first


def findings_of(of: Stretch, signal: Signal, pieces: Sequence[StoredPiece]) -> list[Finding]:
    """What is found in a stretch; `pieces` are what is stored of [low, high), in order."""
    told = [f for run in _runs(pieces) for f in _analysed(signal, run) if f.phase == "offset"]
    border = of.first + BEHIND_S * signal.fs_hz  # so far the stretch before has looked
    own = []
    for finding in told:
        if of.first <= finding.onset_sample < of.end:
            own.append(finding)
        elif finding.onset_sample < of.first and (finding.offset_sample or 0) > border:
            own.append(replace(finding, onset_sample=border))
    return sorted(own, key=lambda f: (f.onset_sample, f.rule))


def _runs(pieces: Sequence[StoredPiece]) -> list[list[StoredPiece]]:
    """Pieces that follow each other without a hole."""
    runs: list[list[StoredPiece]] = []
    for piece in pieces:
        if runs and runs[-1][-1].end_sample == piece.first_sample:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _analysed(signal: Signal, run: Sequence[StoredPiece]) -> list[Finding]:
    samples = np.concatenate([piece.samples for piece in run], axis=1)
    off = np.repeat([piece.electrodes_off for piece in run], [piece.samples.shape[1] for piece in run])
    on = (off[None, :] >> np.arange(len(signal.leads))[:, None]) & 1 == 0
    batch = stream.Batch(
        fs_hz=signal.fs_hz,
        leads=signal.leads,
        samples=samples[None],
        uv_per_lsb=np.array([signal.uv_per_lsb]),
        valid=np.ones((1, len(signal.leads)), np.bool_),
        electrodes_on=on[None],
        first_sample=np.array([run[0].first_sample], np.int64),
        paced=np.array([signal.paced]),
    )
    (state,), (outcome,) = stream.step([stream.new_state(signal.fs_hz, signal.leads)], batch)
    return [*outcome.findings, *stream.finish(state).findings]
