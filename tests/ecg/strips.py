"""Short ECG for the tests: made by the product's own seeded heart, fed through the stream in any cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecg import snapshot
from ecg.findings import Finding
from ecg.stream import Batch, Outcome, State, finish, new_state, step, step_in_place
from ecg.synthetic import Segment, Synthesiser

LEADS = ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1", "MDC_ECG_LEAD_V5")
UV_PER_LSB = 5.0


@dataclass(frozen=True)
class Told:
    """Everything a stretch told, in order."""

    beats: list[int]
    kinds: bytes
    findings: list[Finding]
    quality: list[list[int]]

    def ended(self, rule: str) -> list[Finding]:
        return [f for f in self.findings if f.rule == rule and f.phase == "offset"]


def told(outcomes: Sequence[Outcome]) -> Told:
    return Told(
        [int(b) for o in outcomes for b in o.beats],
        b"".join(o.beat_classes for o in outcomes),
        [f for o in outcomes for f in o.findings],
        [row for o in outcomes for row in o.quality_codes.tolist()],
    )


def batch(
    fs_hz: int,
    leads: Sequence[str],
    samples: NDArray[np.int16],
    first: int,
    on: NDArray[np.bool_] | None = None,
    valid: NDArray[np.bool_] | None = None,
    paced: bool = False,
) -> Batch:
    """samples [n, lead, sample]; every device at the same place."""
    n, everywhere = len(samples), np.ones(samples.shape, bool)
    return Batch(
        fs_hz, tuple(leads), samples, np.full(n, UV_PER_LSB), everywhere if valid is None else valid,
        everywhere if on is None else on, np.full(n, first), np.full(n, paced),
    )  # fmt: skip


def feed(
    samples: NDArray[np.int16],
    fs_hz: int = 250,
    cuts: Sequence[int] = (),
    on: NDArray[np.bool_] | None = None,
    valid: NDArray[np.bool_] | None = None,
    saved: bool = False,
    paced: bool = False,
    in_place: bool = False,
) -> list[Told]:
    """Feed devices [n, lead, sample] side by side, cut at `cuts`; optionally through bytes between the pieces, or
    without keeping any state.
    """
    leads = LEADS[: samples.shape[1]]
    states: list[State] = [new_state(fs_hz, leads) for _ in samples]
    outcomes: list[list[Outcome]] = [[] for _ in samples]
    edges = [0, *sorted(c for c in cuts if 0 < c < samples.shape[2]), samples.shape[2]]
    for a, b in pairwise(edges):
        part = [None if mask is None else mask[:, :, a:b] for mask in (on, valid)]
        stepped = _stepped if in_place else step
        states, new = stepped(states, batch(fs_hz, leads, samples[:, :, a:b], a, *part, paced=paced))
        if saved:
            states = [snapshot.unpack(snapshot.pack(s)) for s in states]
        for own, outcome in zip(outcomes, new, strict=True):
            own.append(outcome)
    return [told([*own, finish(state)]) for own, state in zip(outcomes, states, strict=True)]


def _stepped(states: Sequence[State], batch: Batch) -> tuple[list[State], list[Outcome]]:
    results = step_in_place(states, batch)
    told = [result for result in results if not isinstance(result, Exception)]
    assert len(told) == len(results)
    return [state for state, _ in told], [outcome for _, outcome in told]


def play(*script: Segment, fs_hz: int = 250, seed: int = 1, leads: int = 3, paced: bool = False) -> Told:
    """One device lives through a script, in one-second packets."""
    heart = Synthesiser(seed, fs_hz, LEADS[:leads], script, UV_PER_LSB)
    count = round(sum(s.length_s for s in script)) * fs_hz
    on = heart.electrodes_on(0, count)[None]
    return feed(heart.samples(0, count)[None], fs_hz, range(0, count, fs_hz), on=on, paced=paced)[0]
