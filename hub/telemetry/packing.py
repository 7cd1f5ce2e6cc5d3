"""Ten seconds of a boot as a row of `ecg_block`: the samples packed, and their extremes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import block
from devices.block import Run

_SINT16_LE: Final = np.dtype("<i2")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block as it is stored."""

    first: int
    count: int
    whole: bytes
    seconds: bytes
    payload: bytes


def packed(fs_hz: int, first: int, runs: Iterable[Run]) -> Block:
    """The block that begins at sample `first`; `runs` lie within it, by the boot's own numbers."""
    own = block.joined(Run(run.first - first, run.electrodes_off, run.samples) for run in runs)
    leads = own[0].samples.shape[0]
    seconds = block.extremes(own, leads, block.BLOCK_S, fs_hz)
    return Block(
        first,
        sum(run.end - run.first for run in own),
        block.widened(seconds, block.BLOCK_S).astype(_SINT16_LE, copy=False).tobytes(),
        seconds.astype(_SINT16_LE, copy=False).tobytes(),
        block.encode(own),
    )


def blocks_of(
    fs_hz: int, samples: NDArray[np.int16], off: NDArray[np.int64], gaps: Sequence[tuple[int, int]]
) -> Iterator[Block]:
    """All blocks of a line of samples [lead, sample]; `off` [sample] are masks of electrodes that tell nothing, in
    `gaps` nothing was recorded. A block without a sample is left out.
    """
    size, length = block.block_samples(fs_hz), samples.shape[1]
    recorded = np.ones(length, np.bool_)
    for low, high in gaps:
        recorded[low:high] = False
    word = np.where(recorded, off, -1)
    for first in range(0, length, size):
        own = word[first : first + size]
        edges = [0, *(np.flatnonzero(np.diff(own)) + 1).tolist(), len(own)]
        runs = [
            Run(first + a, int(own[a]), samples[:, first + a : first + b])
            for a, b in pairwise(edges)
            if own[a] >= 0
        ]
        if runs:
            yield packed(fs_hz, first, runs)
