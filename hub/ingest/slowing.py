"""Asking devices to slow down while storing has trouble: live data only, no backlog, no resends.

What a device sends again meanwhile would only fill the broker's sessions, whose number of unacknowledged messages is
limited. Each device is told for two minutes, and again before they are over, a few devices at a time; when storing
has caught up and they have heard what is committed, they are told that they may go on.
"""

from collections.abc import Callable, Iterable
from typing import Final

SLOW_FOR_S: Final = 120.0
RENEW_BEFORE_S: Final = 60.0
PER_S: Final = 250.0  # devices told each second
LOOK_EVERY_S: Final = 0.2
INHERIT_EVERY_S: Final = 5.0
LIFT_AFTER_S: Final = 5.0  # of storing well: by then every device has heard what is committed

Device = tuple[str, str]  # shard, id


class Slowing:
    """Who has been told to slow down, and until when."""

    def __init__(self) -> None:
        self._until_s: dict[Device, float] = {}
        self._inherited_until_s: dict[str, float] = {}  # shards whose former owner may have slowed devices
        self._met: set[Device] = set()  # of these
        self._looked_s = self._inherited_s = 0.0
        self._well_since_s: float | None = None

    @property
    def slowed(self) -> int:
        """How many devices are held back."""
        return len(self._until_s)

    def due(
        self, now_s: float, is_well: bool, here: Callable[[], Iterable[Device]]
    ) -> list[tuple[Device, float]]:
        """Whom to tell now, and for how many seconds; 0 lifts it."""
        if not is_well:
            self._well_since_s = None
        elif self._well_since_s is None:
            self._well_since_s = now_s
        if now_s - self._looked_s < LOOK_EVERY_S:
            return []
        budget = int(PER_S * min(1.0, now_s - self._looked_s))
        self._looked_s = now_s
        if self._well_since_s is None:
            return self._slow(now_s, budget, here())
        if self._inherited_until_s and now_s - self._inherited_s >= INHERIT_EVERY_S:
            self._inherited_s = now_s
            self._inherit(now_s, here())
        return self._lift(budget) if now_s - self._well_since_s >= LIFT_AFTER_S else []

    def gained(self, shards: Iterable[str], now_s: float) -> None:
        """Whoever owned these before, and may have been killed, slowed nobody for longer than this from now on."""
        self._inherited_until_s |= dict.fromkeys(shards, now_s + SLOW_FOR_S)

    def forget(self, shards: Iterable[str]) -> None:
        """Another process speaks to these devices now; what they were told runs out by itself."""
        gone = set(shards)
        self._until_s = {device: s for device, s in self._until_s.items() if device[0] not in gone}
        self._inherited_until_s = {
            shard: s for shard, s in self._inherited_until_s.items() if shard not in gone
        }
        self._met = {device for device in self._met if device[0] not in gone}

    def _inherit(self, now_s: float, here: Iterable[Device]) -> None:
        """Devices of a shard that came to us count as slowed, once, until they are told to go on."""
        self._inherited_until_s = {shard: s for shard, s in self._inherited_until_s.items() if s > now_s}
        ours = {device for device in here if device[0] in self._inherited_until_s}
        for device in ours - self._met:
            self._until_s.setdefault(device, 0.0)  # if storing has trouble before that, it is told again
        self._met = (self._met | ours) if self._inherited_until_s else set()

    def _slow(self, now_s: float, budget: int, here: Iterable[Device]) -> list[tuple[Device, float]]:
        due: list[tuple[Device, float]] = []
        for device in here:
            if len(due) < budget and self._until_s.get(device, 0.0) - now_s < RENEW_BEFORE_S:
                self._until_s[device] = now_s + SLOW_FOR_S
                due.append((device, SLOW_FOR_S))
        return due

    def _lift(self, budget: int) -> list[tuple[Device, float]]:
        devices = list(self._until_s)[:budget]
        for device in devices:
            del self._until_s[device]
        return [(device, 0.0) for device in devices]
