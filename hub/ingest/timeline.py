"""Samples to instants: each boot's time line, and how far it is off the hub's clock (design section 4)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from devices.sequencing import CLOCK_WINDOW_S
from hub.core.db import Connection
from hub.ingest.accounting import MICROSECOND, Boot, Key, anchor_for, at_us
from hub.ingest.clocks import ClockBook, Estimate, Observed
from hub.ingest.samples import Arrival, instant

KEPT: Final = 50_000  # boots; beyond, all are learned anew


class Heard(NamedTuple):
    """What a packet tells of clocks: when its last sample was made by the device's, and when it arrived."""

    end_sample: int
    fs_hz: int
    device_end_s: float
    received_s: float


def heard_of(arrival: Arrival) -> Heard:
    packet = arrival.packet
    made_s = packet.samples.shape[1] / packet.fs_hz
    return Heard(packet.end_sample, packet.fs_hz, packet.device_time_s + made_s, arrival.received_s)


class Timeline:
    """The boots this process has seen lately."""

    def __init__(self) -> None:
        self._anchors_us: dict[Key, int] = {}
        self._clocks, self._stored_clocks = ClockBook(), ClockBook()

    def expect(self, arrivals: Sequence[Arrival]) -> None:
        """Before anything is stored: the best guess where a new boot's time line begins, and its clock."""
        for arrival in arrivals:
            if arrival.key not in self._anchors_us:
                self._anchors_us[arrival.key] = anchor_for(arrival.packet, arrival.received_s)
        for key, arrival in newest(arrivals).items():
            self.hear(key, heard_of(arrival))

    def hear(self, key: Key, heard: Heard) -> Observed:
        """What a clock says; and what it is known to say now."""
        self._clocks.observe(key, self.line_s(key, heard.end_sample, heard.fs_hz), heard.received_s)
        return self._clocks.observed(key)

    def inherit(self, anchors_us: Mapping[Key, int]) -> None:
        """The stored truth of boots that a former owner of the shard worked on."""
        self._anchors_us |= anchors_us

    def forget_all_but(self, needed: Iterable[Key]) -> bool:
        """Bound what is kept, if there is too much; what is being analysed can always be told the time of."""
        if len(self._anchors_us) <= KEPT:
            return False
        self._anchors_us = {key: self._anchors_us[key] for key in needed if key in self._anchors_us}
        self._clocks, self._stored_clocks = ClockBook(), ClockBook()
        return True

    def learn(self, boots: Mapping[Key, Boot], newest_of: Mapping[Key, Heard]) -> list[tuple[Key, Estimate]]:
        """The stored truth, and what the newest packets say of the clocks; estimates to be stored."""
        for key, boot in boots.items():
            if self._anchors_us.get(key) != boot.anchor_us:
                self._anchors_us[key] = boot.anchor_us
                self._clocks.forget(key)  # it was estimated on the guessed line
        estimates = []
        for key, heard in newest_of.items():
            line_s = self.line_s(key, heard.end_sample, heard.fs_hz)
            self._clocks.observe(key, line_s, heard.received_s)
            estimate = self._stored_clocks.observe(key, line_s, heard.received_s, heard.device_end_s)
            if estimate is not None:
                estimates.append((key, estimate))
        return estimates

    def line_s(self, key: Key, sample: int, fs_hz: int) -> float:
        """The instant of a sample on its boot's own time line."""
        return at_us(self._anchors_us[key], sample, fs_hz) / MICROSECOND

    def at(self, key: Key, sample: int, fs_hz: int) -> datetime:
        """The instant of a sample by the hub's clock."""
        return instant(self.at_us(key, sample, fs_hz))

    def at_us(self, key: Key, sample: int, fs_hz: int) -> int:
        """The same in microseconds of unix time."""
        return round((self.line_s(key, sample, fs_hz) + self._clocks.offset_s(key)) * MICROSECOND)

    def anchor_us(self, key: Key) -> int:
        """Where the time line of a boot begins."""
        return self._anchors_us[key]

    @property
    def recordings(self) -> list[UUID]:
        """Those this process has seen lately."""
        return list({recording_id for recording_id, _ in self._anchors_us})

    def offset_s(self, key: Key) -> float:
        return self._clocks.offset_s(key)

    def shift(self, by_s: float) -> None:
        """The hub's own clock was set."""
        self._clocks.shift(by_s)
        self._stored_clocks.shift(by_s)


def newest(arrivals: Iterable[Arrival]) -> dict[Key, Arrival]:
    """Of each boot the packet that ends last."""
    found: dict[Key, Arrival] = {}
    for arrival in arrivals:
        known = found.setdefault(arrival.key, arrival)
        if known is not arrival and arrival.packet.end_sample > known.packet.end_sample:
            found[arrival.key] = arrival
    return found


async def save_estimates(conn: Connection, estimates: Iterable[tuple[Key, Estimate]]) -> None:
    """Keep them with their boots: of each ten minutes of its time line the least offset."""
    least: dict[tuple[UUID, int, int], Estimate] = {}
    for (recording_id, boot), one in estimates:
        place = recording_id, boot, int(one.clock_s // CLOCK_WINDOW_S)
        if place not in least or one.offset_s < least[place].offset_s:
            least[place] = one
    await conn.execute(
        "INSERT INTO recording_clock AS c (recording_id, boot, slot, at, offset_s, device_s)"
        " SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::float8[], %s::float8[])"
        " ON CONFLICT (recording_id, boot, slot) DO UPDATE SET at = excluded.at, offset_s = excluded.offset_s,"
        "  device_s = excluded.device_s WHERE excluded.offset_s < c.offset_s",
        (
            *(list(column) for column in zip(*least, strict=True)),
            [instant(round(one.clock_s * MICROSECOND)) for one in least.values()],
            [one.offset_s for one in least.values()],
            [one.device_s for one in least.values()],
        ),
    )


async def shift_estimates(conn: Connection, recordings: Iterable[UUID], by_s: float) -> None:
    """The hub's own clock was set: what is stored of running recordings was told by the wrong one."""
    await conn.execute(
        "UPDATE recording_clock c SET offset_s = c.offset_s + %s FROM recording r"
        " WHERE r.id = c.recording_id AND r.id = ANY(%s) AND r.status NOT IN ('ended', 'discarded')",
        (by_s, list(recordings)),
    )
