"""What the streaming analysis remembers of one device's contiguous stretch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg import detection, episodes, shapes


class State(NamedTuple):
    """Everything remembered of one device's contiguous stretch; opaque to callers, never changed in place."""

    fs_hz: int
    leads: tuple[str, ...]
    origin: int  # first_sample of the stretch; -1 before the first batch
    taken: int  # samples taken so far
    hop: int  # next hop to decide
    uv_per_lsb: float
    paced: bool
    tail: NDArray[np.int16]  # [lead, tail] newest samples, from the first that the next hop looks at
    tail_flags: NDArray[np.uint8]  # [lead, tail] 1 = bad, 2 = electrode off
    memory: NDArray[np.float64]  # [lead, number] see fusion.joined
    swings: NDArray[np.int64]  # [lead, half second, sum] see ecg.fibrillation
    detector: detection.Detector
    shapes: shapes.Shapes
    tracker: episodes.Tracker
    last_beat: int
