"""What the electrodes of a fleet see: one precomputed stretch of ECG or noise for all, so that a sample costs nothing.

No two stretches are alike: each device starts elsewhere on the tape, and each device and each round of it adds an own
level, so a sample stored under a wrong device, boot or index is found out.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.simulator.holter import Signal
from ecg.synthetic import Segment, Synthesiser

FS_HZ: Final = 250
LEADS: Final = ("MDC_ECG_LEAD_I", "MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1")
UV_PER_LSB: Final = 5.0
LEVELS: Final = 997  # prime; a level is no more than electrode offset to the analysis
# Rhythms that are found, in a short round, and stretches without any: 100 s.
SCRIPT: Final = (
    Segment("sinus", 6.0, 72.0), Segment("vt", 6.0, 160.0), Segment("sinus", 30.0, 64.0),
    Segment("sinus", 12.0, 50.0, pause_s=2.8), Segment("pvc", 12.0, 78.0), Segment("sinus", 34.0, 70.0),
)  # fmt: skip
# A crowd as it is: one short run of VT in ten minutes.
CALM: Final = (Segment("sinus", 560.0, 70.0), Segment("vt", 6.0, 160.0), Segment("sinus", 34.0, 66.0))


@dataclass(frozen=True)
class Tape:
    """A tape anybody can make again. `noise`: any bits at all, cheap; else a synthetic heart of `SCRIPT` or `CALM`."""

    seed: int
    length_s: int = 600
    noise: bool = False
    calm: bool = False
    fs_hz: int = FS_HZ
    leads: tuple[str, ...] = LEADS

    def signal(self, number: int) -> Signal:
        """What device `number` sees: (first, count) -> int16[lead, count]."""
        tape = recorded(self)
        length = tape.shape[1]
        start = number * 7_919 * self.fs_hz // 10 % length

        def signal(first: int, count: int) -> NDArray[np.int16]:
            at = start + first
            low, round_ = at % length, at // length
            if low + count > length:
                rest = length - low
                return np.concatenate([signal(first, rest), signal(first + rest, count - rest)], axis=1)
            level = (number * 31 + round_ * 7) % LEVELS
            part: NDArray[np.int16] = tape[:, low : low + count] + np.int16(level)
            return part

        return signal


@lru_cache(maxsize=4)
def recorded(tape: Tape) -> NDArray[np.int16]:
    """The tape itself: int16[lead, sample]."""
    count = tape.length_s * tape.fs_hz
    if tape.noise:
        return np.random.default_rng(tape.seed).integers(-20_000, 20_000, (len(tape.leads), count), np.int16)
    return Synthesiser(tape.seed, tape.fs_hz, tape.leads, CALM if tape.calm else SCRIPT).samples(0, count)
