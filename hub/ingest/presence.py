"""What is known of each device now: is it there, when was it heard, its battery, how much it holds back.

Kept in memory and written at most every 2 s for each device, at once when it comes or goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from hub.core.columns import Floats, Int8s, Texts, text_item
from hub.core.db import Connection

INTERVAL_S: Final = 2.0
LIVE_WITHIN_S: Final = 2.5  # a packet of a second, its way, and some jitter: no backlog


_COLUMNS: Final = np.dtype(
    [
        ("connected", "?"), ("last_seen_s", "f8"), ("battery_percent", "i8"), ("backlog_s", "f8"),
        ("clock_offset_s", "f8"), ("clock_drift_ppm", "f8"),
        ("written_s", "f8"), ("urgent", "?"),
    ]
)  # fmt: skip
Rows = NDArray[np.int64]
S = TypeVar("S", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Due:
    """Rows of `device_state` to be written, as they were at one instant."""

    rows: Rows
    device_ids: list[str]
    columns: NDArray[np.void]
    names: Texts

    def __len__(self) -> int:
        return len(self.rows)


class Presence:
    """All devices of this process; columns are indexed by row."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._ids: list[str] = []
        self._items: list[bytes] = []  # the same as items of an array of texts
        self._columns = np.zeros(256, _COLUMNS)

    def row(self, device_id: str) -> int:
        """The row of a device; a new one begins."""
        known = self._rows.get(device_id)
        return self._begin(device_id) if known is None else known

    def heard(self, rows: Rows | int, received_s: NDArray[np.float64] | float) -> None:
        """Signs of life."""
        columns = self._columns
        columns["urgent"][rows] |= np.logical_not(columns["connected"][rows])
        columns["connected"][rows], columns["last_seen_s"][rows] = True, received_s

    def left(self, device_id: str, received_s: float) -> None:
        """The broker says its line broke."""
        is_new, row = device_id not in self._rows, self.row(device_id)
        if is_new:
            self._columns["last_seen_s"][row] = received_s
        self._columns["connected"][row], self._columns["urgent"][row] = False, True

    def batteries(self, rows: Rows, percent: NDArray[np.int64]) -> None:
        """What devices say of their batteries; -1 says nothing."""
        told = percent >= 0
        self._columns["battery_percent"][rows[told]] = percent[told]

    def battery(self, row: int, percent: int | None) -> None:
        """The same of one device."""
        if percent is not None:
            self._columns["battery_percent"][row] = percent

    def clock(self, row: int, offset_s: float, drift_ppm: float | None) -> None:
        """What a device's clock is known to say."""
        columns = self._columns
        columns["clock_offset_s"][row] = offset_s
        columns["clock_drift_ppm"][row] = np.nan if drift_ppm is None else drift_ppm

    def holds_back(self, rows: Rows | int, backlog_s: NDArray[np.float64] | float) -> None:
        """Seconds of signal the devices still have."""
        self._columns["backlog_s"][rows] = backlog_s

    def shift(self, by_s: float) -> None:
        """The hub's own clock was set."""
        self._columns["last_seen_s"] += by_s
        self._columns["written_s"] += by_s
        self._columns["clock_offset_s"] += by_s

    def here(self, since_s: float) -> list[str]:
        """Devices that are connected and were heard since."""
        columns = self._columns[: len(self._ids)]
        return [
            self._ids[n] for n in np.flatnonzero(columns["connected"] & (columns["last_seen_s"] >= since_s))
        ]

    def due(self, now_s: float) -> Due:
        """What is to be written now."""
        columns = self._columns[: len(self._ids)]
        old = (columns["last_seen_s"] > columns["written_s"]) & (now_s - columns["written_s"] >= INTERVAL_S)
        rows = np.flatnonzero(columns["urgent"] | old)
        places = rows.tolist()
        names = Texts.of_items([self._items[row] for row in places])
        return Due(rows, [self._ids[row] for row in places], columns[rows], names)

    def written(self, due: Due, now_s: float) -> None:
        """It is committed; who came or went meanwhile is urgent still."""
        columns = self._columns
        columns["written_s"][due.rows] = now_s
        columns["urgent"][due.rows] = columns["connected"][due.rows] != due.columns["connected"]

    def _begin(self, device_id: str) -> int:
        row = self._rows[device_id] = len(self._ids)
        self._ids.append(device_id)
        self._items.append(text_item(device_id))
        if row == len(self._columns):
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)])
        self._columns[row] = (True, 0.0, -1, np.nan, np.nan, np.nan, 0.0, True)
        return row


def backlog_s(missing_s: S, age_s: S) -> S:
    """Seconds of signal a device still holds: what is missing before its newest sample, and how old that is."""
    return missing_s + age_s * (age_s > LIVE_WITHIN_S)


async def write(conn: Connection, due: Due, backlog_per_s: Sequence[float | None]) -> None:
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
            due.names,
            Int8s(due.columns["connected"]),
            Floats(due.columns["last_seen_s"]),
            Int8s(due.columns["battery_percent"]),
            Floats(due.columns["backlog_s"]),
            Floats(due.columns["clock_offset_s"]),
            Floats(backlog_per_s),
            Floats(due.columns["clock_drift_ppm"]),
        ),
    )
