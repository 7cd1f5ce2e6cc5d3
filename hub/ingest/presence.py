"""What is known of each device now: is it there, when was it heard, its battery, how much it holds back.

Kept in memory and written at most every 2 s for each device, at once when it comes or goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.core.columns import Floats, Int8s, Texts
from hub.core.db import Connection

INTERVAL_S: Final = 2.0
LIVE_WITHIN_S: Final = 2.5  # a packet of a second, its way, and some jitter: no backlog


@dataclass(slots=True)
class State:
    """A row of `device_state`."""

    device_id: str
    last_seen_s: float
    connected: bool = True
    battery_percent: int | None = None
    backlog_s: float | None = None
    backlog_per_s: float | None = None
    clock_offset_s: float | None = None
    clock_drift_ppm: float | None = None
    written_s: float = 0.0
    urgent: bool = True


class Presence:
    """All devices of this process."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def heard(self, device_id: str, received_s: float) -> State:
        """A sign of life."""
        state = self._states.get(device_id)
        if state is None:
            state = self._states[device_id] = State(device_id, received_s)
        state.urgent |= not state.connected
        state.connected, state.last_seen_s = True, received_s
        return state

    def left(self, device_id: str, received_s: float) -> None:
        """The broker says its line broke."""
        state = self._states.setdefault(device_id, State(device_id, received_s))
        state.connected, state.urgent = False, True

    def shift(self, by_s: float) -> None:
        """The hub's own clock was set."""
        for state in self._states.values():
            state.last_seen_s += by_s
            state.written_s += by_s

    def here(self, since_s: float) -> list[str]:
        """Devices that are connected and were heard since."""
        return [s.device_id for s in self._states.values() if s.connected and s.last_seen_s >= since_s]

    def due(self, now_s: float) -> list[State]:
        """Rows to write now."""
        return [
            state
            for state in self._states.values()
            if state.urgent or (state.last_seen_s > state.written_s and now_s - state.written_s >= INTERVAL_S)
        ]

    def written(self, states: Sequence[State], now_s: float) -> None:
        """They are committed."""
        for state in states:
            state.written_s, state.urgent = now_s, False


def backlog_s(missing_s: float, age_s: float) -> float:
    """Seconds of signal a device still holds: what is missing before its newest sample, and how old that is."""
    late_s = age_s if age_s > LIVE_WITHIN_S else 0.0
    return missing_s + late_s


async def write(conn: Connection, states: Sequence[State]) -> None:
    """Bring rows up to date."""
    await conn.execute(
        "INSERT INTO device_state (device_id, connected, last_seen_at, battery_percent, backlog_s, clock_offset_s,"
        "  backlog_per_s, clock_drift_ppm)"
        " SELECT device_id, connected = 1, to_timestamp(last_seen_s), nullif(battery, -1),"
        "  nullif(backlog_s, 'NaN'), nullif(offset_s, 'NaN'), nullif(per_s, 'NaN'), nullif(drift_ppm, 'NaN')"
        " FROM unnest(%s::text[], %s::bigint[], %s::float8[], %s::bigint[], %s::float8[], %s::float8[], %s::float8[],"
        "  %s::float8[]) AS k (device_id, connected, last_seen_s, battery, backlog_s, offset_s, per_s, drift_ppm)"
        " ON CONFLICT (device_id) DO UPDATE SET connected = excluded.connected,"
        "  last_seen_at = excluded.last_seen_at,"
        "  battery_percent = coalesce(excluded.battery_percent, device_state.battery_percent),"
        "  backlog_s = coalesce(excluded.backlog_s, device_state.backlog_s),"
        "  clock_offset_s = coalesce(excluded.clock_offset_s, device_state.clock_offset_s),"
        "  backlog_per_s = excluded.backlog_per_s,"
        "  clock_drift_ppm = coalesce(excluded.clock_drift_ppm, device_state.clock_drift_ppm)",
        (
            Texts([state.device_id for state in states]),
            Int8s([state.connected for state in states]),
            Floats([state.last_seen_s for state in states]),
            Int8s([-1 if state.battery_percent is None else state.battery_percent for state in states]),
            Floats([state.backlog_s for state in states]),
            Floats([state.clock_offset_s for state in states]),
            Floats([state.backlog_per_s for state in states]),
            Floats([state.clock_drift_ppm for state in states]),
        ),
    )
