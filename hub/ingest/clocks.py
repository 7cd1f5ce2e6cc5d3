"""How far a clock is off the hub's, from the moments its messages arrive.

A message is late by any amount but never early, so the least (arrival - its clock) in a minute is the offset plus
the quickest way through the network. Kept for the time line of each boot, where one estimate a minute is stored
(`devices.sequencing.estimate_clock` joins them), and for each device's own clock.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

WINDOW_S: Final = 60.0
REMEMBERED_WINDOWS: Final = 10


class Estimate(NamedTuple):
    """Hub clock minus the other clock, at an instant of the other."""

    clock_s: float
    offset_s: float


@dataclass(slots=True)
class _Minutes:
    window: int
    best: Estimate
    earlier: tuple[float, ...] = ()


class ClockBook:
    """The newest minutes of many clocks."""

    def __init__(self) -> None:
        self._clocks: dict[Hashable, _Minutes] = {}

    def observe(self, key: Hashable, clock_s: float, received_s: float) -> Estimate | None:
        """What was made at `clock_s` arrived; an estimate that is complete and should be stored."""
        window, new = int(clock_s // WINDOW_S), Estimate(clock_s, received_s - clock_s)
        minutes = self._clocks.get(key)
        if minutes is None:
            self._clocks[key] = _Minutes(window, new)
            return new
        if window > minutes.window:
            done = minutes.best
            minutes.earlier = (*minutes.earlier, done.offset_s)[-REMEMBERED_WINDOWS:]
            minutes.window, minutes.best = window, new
            return done
        if window == minutes.window and new.offset_s < minutes.best.offset_s:
            minutes.best = new
        return None

    def offset_s(self, key: Hashable) -> float:
        """The offset as far as it is known now; 0 of a clock never heard."""
        minutes = self._clocks.get(key)
        return min((minutes.best.offset_s, *minutes.earlier)) if minutes else 0.0

    def forget(self, key: Hashable) -> None:
        """Nothing more will come of this one."""
        self._clocks.pop(key, None)
