"""Samples as the live analysis takes them: of one recording, or of many in columns."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.ingest.bindings import Recording


class Signal(NamedTuple):
    """Samples of one recording that came together, [lead, sample], under one electrode mask."""

    recording: Recording
    boot: int
    first_sample: int
    electrodes_off: int
    samples: NDArray[np.int16]

    @property
    def end_sample(self) -> int:
        count: int = self.samples.shape[1]
        return self.first_sample + count


class Signals(NamedTuple):
    """Equally many samples of many recordings that came together, in columns."""

    recordings: list[Recording]
    boots: list[int]
    first_sample: list[int]
    electrodes_off: NDArray[np.int64]
    samples: NDArray[np.int16]  # [recording, lead, sample]

    def row(self, place: int) -> Signal:
        """One of them."""
        return Signal(
            self.recordings[place], self.boots[place], self.first_sample[place], int(self.electrodes_off[place]),
            self.samples[place],
        )  # fmt: skip
