"""How much a device still holds back, and how fast that comes. Pure.

What is missing is the ledger's word. The rate is what arrived behind the newest samples within the last half minute;
nothing is foretold from less than five seconds of it.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from devices import sequencing
from devices.sequencing import Ledger

OVER_S: Final = 30.0
AT_LEAST_S: Final = 5.0


@dataclass(slots=True)
class _Device:
    missing_s: dict[tuple[UUID, int], float] = field(default_factory=dict)
    came: deque[tuple[float, float]] = field(default_factory=deque)  # when, seconds of signal
    since_s: float = 0.0


class Backlogs:
    """Of the devices of one process."""

    def __init__(self) -> None:
        self._devices: dict[str, _Device] = {}
        self.moving: set[str] = set()  # devices of which something missing came lately
        self.holding: set[str] = set()  # devices of which something is missing

    def missing_s(self, device_id: str) -> float:
        """Seconds of signal missing of all boots known here."""
        return sum(self._devices[device_id].missing_s.values()) if device_id in self.holding else 0.0

    def note(
        self, device_id: str, key: tuple[UUID, int], ledgers: tuple[Ledger, Ledger], fs_hz: int, now_s: float
    ) -> float:
        """A boot's ledger went from one to the other; seconds of signal missing of all boots known here."""
        before, after = ledgers
        device = self._devices.get(device_id)
        if device is None:
            device = self._devices[device_id] = _Device(since_s=now_s)
        missing, came_s = sequencing.missing(after), regained(before, after) / fs_hz
        if missing:
            device.missing_s[key] = sequencing.total(missing) / fs_hz
            self.holding.add(device_id)
        elif device.missing_s:
            device.missing_s.pop(key, None)
            if not device.missing_s:
                self.holding.discard(device_id)
        if came_s:
            if not device.came or now_s - device.came[-1][0] > OVER_S:
                device.came.clear()
                device.since_s = now_s
            device.came.append((now_s, came_s))
            self.moving.add(device_id)
        return sum(device.missing_s.values())

    def per_s(self, device_id: str, now_s: float) -> float | None:
        """Seconds of missing signal that came each second; None if nobody can say."""
        device = self._devices.get(device_id)
        if device is None:
            return None
        while device.came and now_s - device.came[0][0] > OVER_S:
            device.came.popleft()
        over_s = min(OVER_S, now_s - device.since_s)
        if not device.came:
            self.moving.discard(device_id)
        if not device.came or over_s < AT_LEAST_S:
            return None
        return sum(came_s for _, came_s in device.came) / over_s

    def shift(self, by_s: float) -> None:
        """The hub's own clock was set: what came is forgotten, what is missing is not."""
        for device in self._devices.values():
            device.came.clear()
            device.since_s += by_s
        self.moving.clear()


def regained(before: Ledger, after: Ledger) -> int:
    """Samples stored that were missing before, none of them newer than the newest."""
    stored = sequencing.total(after.stored) - sequencing.total(before.stored)
    return max(0, stored - (after.seen - before.seen))
