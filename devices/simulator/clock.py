"""A device's cheap clock: wrong by some seconds, and faster or slower than the hub's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """At true time `since_s` the clock is ahead by `error_s`; from there it gains `drift_ppm`."""

    error_s: float = 0.0
    drift_ppm: float = 0.0
    since_s: float = 0.0

    def read_s(self, now_s: float) -> float:
        return now_s + self.error_s + (now_s - self.since_s) * self.drift_ppm * 1e-6
