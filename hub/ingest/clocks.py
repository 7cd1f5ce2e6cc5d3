"""How far the time line of a boot is off the hub's clock, from the moments its packets arrive.

A packet is late by any amount but never early, so the least (arrival - time line) in a minute is the offset plus the
quickest way through the network. One estimate a minute is stored; `devices.sequencing.estimate_clock` joins them.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

WINDOW_S: Final = 60.0
REMEMBERED_WINDOWS: Final = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """A row of `recording_clock`: hub clock minus time line, at an instant of the time line."""

    recording_id: UUID
    line_s: float
    offset_s: float


@dataclass(slots=True)
class _Line:
    window: int
    line_s: float
    offset_s: float
    earlier: tuple[float, ...] = ()

    def least_s(self) -> float:
        return min((self.offset_s, *self.earlier))


class ClockBook:
    """The newest minutes of each (recording, boot)."""

    def __init__(self) -> None:
        self._lines: dict[tuple[UUID, int], _Line] = {}

    def observe(self, recording_id: UUID, boot: int, line_s: float, received_s: float) -> list[Estimate]:
        """A sample made at `line_s` of the time line arrived; estimates to be stored."""
        offset_s, window = received_s - line_s, int(line_s // WINDOW_S)
        line = self._lines.get((recording_id, boot))
        if line is None:
            self._lines[recording_id, boot] = _Line(window, line_s, offset_s)
            return [Estimate(recording_id, line_s, offset_s)]
        if window > line.window:
            done = Estimate(recording_id, line.line_s, line.offset_s)
            line.earlier = (*line.earlier, line.offset_s)[-REMEMBERED_WINDOWS:]
            line.window, line.line_s, line.offset_s = window, line_s, offset_s
            return [done]
        if window == line.window and offset_s < line.offset_s:
            line.line_s, line.offset_s = line_s, offset_s
        return []

    def offset_s(self, recording_id: UUID, boot: int) -> float:
        """The offset as far as it is known now."""
        line = self._lines.get((recording_id, boot))
        return line.least_s() if line else 0.0

    def forget(self, recording_ids: set[UUID]) -> None:
        """Recordings that are over."""
        self._lines = {key: line for key, line in self._lines.items() if key[0] not in recording_ids}
