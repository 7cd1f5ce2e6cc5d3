"""How far a clock is off the hub's, from the moments its messages arrive.

A message is late by any amount but never early, so the least (arrival - its clock) in a minute is the offset plus
the quickest way through the network. Kept for the time line of each boot, where the least of ten minutes is stored
(`devices.sequencing.estimate_clock` joins them), and for each device's own clock.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from devices import sequencing

WINDOW_S: Final = 60.0
REMEMBERED_WINDOWS: Final = 10
SLOTS_KEPT: Final = 36  # of ten minutes, from which the drift is taken
NEWS_S: Final = 0.5
STEP_S: Final = 1.0  # wall clock against a clock that never steps: more than this is no slewing


class Estimate(NamedTuple):
    """Hub clock minus the other clock, at an instant of the other; and what the device's own clock said then."""

    clock_s: float
    offset_s: float
    device_s: float


class Observed(NamedTuple):
    """A clock in its newest minute, the least offset in that, and the offset taken from all minutes."""

    minute: int
    least_s: float
    offset_s: float


@dataclass(slots=True)
class _Minutes:
    window: int
    best: Estimate
    told_s: float  # the least that was handed out
    earlier: tuple[float, ...] = ()


class ClockBook:
    """The newest minutes of many time lines, which never go back."""

    def __init__(self) -> None:
        self._clocks: dict[Hashable, _Minutes] = {}

    def observe(
        self, key: Hashable, clock_s: float, received_s: float, device_s: float = 0.0
    ) -> Estimate | None:
        """What was made at `clock_s` arrived; an estimate that is complete and should be stored."""
        window, new = int(clock_s // WINDOW_S), Estimate(clock_s, received_s - clock_s, device_s)
        minutes = self._clocks.get(key)
        if minutes is None:
            self._clocks[key] = _Minutes(window, new, new.offset_s)
            return new
        done = None
        if window > minutes.window:
            done = minutes.best
            minutes.earlier = (*minutes.earlier, done.offset_s)[-REMEMBERED_WINDOWS:]
            minutes.window, minutes.best = window, new
        elif window == minutes.window and new.offset_s < minutes.best.offset_s:
            minutes.best = new
        if new.offset_s < minutes.told_s - NEWS_S:  # all before were late: that is news at once
            done = new
        if done is not None:
            minutes.told_s = min(minutes.told_s, done.offset_s)
        return done

    def offset_s(self, key: Hashable) -> float:
        """The offset as far as it is known now; 0 of a clock never heard."""
        minutes = self._clocks.get(key)
        return min((minutes.best.offset_s, *minutes.earlier)) if minutes else 0.0

    def observed(self, key: Hashable) -> Observed:
        """What is known of it now; nothing less than that is news in the same minute."""
        minutes = self._clocks[key]
        return Observed(minutes.window, minutes.best.offset_s, self.offset_s(key))

    def forget(self, key: Hashable) -> None:
        """Nothing more will come of this one."""
        self._clocks.pop(key, None)

    def shift(self, by_s: float) -> None:
        """The hub's own clock was set: every other is as much further off."""
        for minutes in self._clocks.values():
            minutes.best = minutes.best._replace(offset_s=minutes.best.offset_s + by_s)
            minutes.earlier = tuple(offset_s + by_s for offset_s in minutes.earlier)
            minutes.told_s += by_s


@dataclass(slots=True)
class _Own:
    """A device's own clock; windows by arrival, since it may be set back and forth."""

    window: int
    best_s: float
    earlier: tuple[float, ...] = ()
    slot: int = 0
    slots: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SLOTS_KEPT))
    drift_ppm: float | None = None


class DeviceClocks:
    """The clocks of devices themselves. A clock set forward is followed at once, one set back within ten minutes."""

    def __init__(self) -> None:
        self._clocks: dict[str, _Own] = {}

    def observe(self, device_id: str, clock_s: float, received_s: float) -> None:
        """A message that its device dates `clock_s` arrived."""
        offset_s, window = received_s - clock_s, int(received_s // WINDOW_S)
        own = self._clocks.get(device_id)
        if own is None:
            own = self._clocks[device_id] = _Own(window, offset_s)
        elif window != own.window:
            own.earlier = (*own.earlier, own.best_s)[-REMEMBERED_WINDOWS:]
            own.window, own.best_s = window, offset_s
        elif offset_s < own.best_s:
            own.best_s = offset_s
        self._note_drift(own, clock_s, received_s)

    def _note_drift(self, own: _Own, clock_s: float, received_s: float) -> None:
        slot = int(received_s // sequencing.CLOCK_WINDOW_S)
        if slot != own.slot:
            own.slot = slot
            own.drift_ppm = drift_ppm(own.slots)
            own.slots.append((clock_s, received_s))
        elif received_s - clock_s < own.slots[-1][1] - own.slots[-1][0]:
            own.slots[-1] = clock_s, received_s

    def offset_s(self, device_id: str) -> float:
        """Hub minus device as far as it is known now; 0 of a clock never heard."""
        own = self._clocks.get(device_id)
        return min((own.best_s, *own.earlier)) if own else 0.0

    def drift_ppm(self, device_id: str) -> float | None:
        """How much the hub's clock gains on it; None while nobody can say."""
        own = self._clocks.get(device_id)
        return own.drift_ppm if own else None

    def observed(self, device_id: str) -> Observed:
        """What is known of it now; nothing less than that is news in the same minute."""
        own = self._clocks[device_id]
        return Observed(own.window, own.best_s, self.offset_s(device_id))

    def forget(self, device_id: str) -> None:
        """It restarted: its clock may have been set."""
        self._clocks.pop(device_id, None)

    def shift(self, by_s: float) -> None:
        """The hub's own clock was set."""
        for own in self._clocks.values():
            own.best_s += by_s
            own.earlier = tuple(offset_s + by_s for offset_s in own.earlier)
            own.slots.clear()
            own.slot = 0


def drift_ppm(pairs: deque[tuple[float, float]]) -> float | None:
    """The drift told by (device clock, hub clock) pairs that span long enough."""
    clock = sequencing.estimate_clock(list(pairs))
    known = clock is not None and abs(pairs[-1][0] - pairs[0][0]) >= sequencing.DRIFT_FROM_S
    return clock.drift_ppm if clock is not None and known else None


class OwnClock:
    """The hub's own wall clock, watched against one that never steps."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None

    def stepped_s(self, wall_s: float, monotonic_s: float) -> float:
        """By how much the wall clock was set since it was looked at last; 0 if it only ran."""
        ahead_s, before_s = wall_s - monotonic_s, self._ahead_s
        self._ahead_s = ahead_s
        if before_s is None or abs(ahead_s - before_s) < STEP_S:
            return 0.0
        return ahead_s - before_s
