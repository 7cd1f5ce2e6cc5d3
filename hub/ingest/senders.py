"""What is known of the devices themselves: are they there, their clocks and batteries, what they hold back.

Learned from all they send, written to `device_state` with the next commits.
"""

import numpy as np

from devices.packet import WaveformPacket
from hub.core.db import Connection
from hub.ingest import presence
from hub.ingest.accounting import MICROSECOND, Boot, at_us
from hub.ingest.backlog import Backlogs
from hub.ingest.clocks import DeviceClocks, Observed
from hub.ingest.decoding import Item
from hub.ingest.measurements import tells_of_the_clock
from hub.ingest.presence import Due, Presence
from hub.ingest.runs import Went
from hub.ingest.samples import Arrival
from hub.ingest.steady import Rows, Run, Steady
from hub.ingest.tick import BATTERY_CODE
from hub.ingest.timeline import Timeline


class Senders:
    """The devices of one process."""

    def __init__(self, timeline: Timeline, steady: Steady) -> None:
        self._timeline, self._steady = timeline, steady
        self._presence, self._clocks, self._backlogs = Presence(), DeviceClocks(), Backlogs()

    def shift(self, by_s: float) -> None:
        """The hub's own clock was set."""
        for one in (self._presence, self._clocks, self._backlogs):
            one.shift(by_s)
        self._steady.listen_anew()

    def clock_offset_s(self, device_id: str) -> float:
        """Hub minus device."""
        return self._clocks.offset_s(device_id)

    def here(self, since_s: float) -> list[str]:
        """Devices that are connected and were heard since."""
        return self._presence.here(since_s)

    def note(self, item: Item) -> None:
        """What a message tells of its device."""
        if item.device is None or item.refusal is not None:
            return
        name, received_s = item.device.id, item.received.received_s
        kinds = {event.kind for event in item.events} if item.events else ()
        if "offline" in kinds:
            return self._presence.left(name, received_s)
        row = self._presence.row(name)
        self._presence.heard(row, received_s)
        if "boot" in kinds:
            self._clocks.forget(name)
            self._steady.listen_anew(name)
        for packet in item.packets:
            self._hear(row, name, _end_s(packet), received_s)
            self._presence.battery(row, packet.battery_percent)
        for event in item.events:
            if event.sent_time_s is not None:
                self._hear(row, name, event.sent_time_s, received_s)
            self._presence.battery(row, event.battery_percent)
        for measurement in item.measurements:
            if measurement.code == BATTERY_CODE and measurement.value is not None:
                self._presence.battery(row, round(measurement.value))
            if tells_of_the_clock(measurement, received_s):
                self._hear(row, name, measurement.device_time_s, received_s)

    def note_run(self, run: Run) -> None:
        """The same of a run; the clocks are asked only where they say something new."""
        rows = self._rows_of(run.rows)
        self._presence.heard(rows, run.received_s)
        self._presence.batteries(rows, run.stack.battery_percent)
        for place in np.flatnonzero(run.has_news).tolist():
            source, heard = run.sources[place], run.heard(place)
            own = self._hear(int(rows[place]), source.device.id, heard.device_end_s, heard.received_s)
            self._steady.observed(int(run.rows[place]), self._timeline.hear(source.key, heard), own)

    def _hear(self, row: int, device_id: str, clock_s: float, received_s: float) -> Observed:
        """What a device's own clock said, and what it is known to say now."""
        self._clocks.observe(device_id, clock_s, received_s)
        observed = self._clocks.observed(device_id)
        self._presence.clock(row, observed.offset_s, self._clocks.drift_ppm(device_id))
        return observed

    def note_stored(self, arrival: Arrival, before: Boot, after: Boot) -> None:
        """The newest packet of a boot is committed: what its device still holds back."""
        key, fs_hz, device_id = arrival.key, arrival.packet.fs_hz, arrival.recording.device_id
        missing_s = self._backlogs.note(
            device_id, key, (before.ledger, after.ledger), fs_hz, arrival.received_s
        )
        line_s = self._timeline.line_s(key, after.ledger.seen, fs_hz)  # of the newest, whatever came now
        age_s = arrival.received_s - line_s - self._timeline.offset_s(key)
        row = self._presence.row(device_id)
        self._presence.heard(row, arrival.received_s)
        self._presence.holds_back(row, presence.backlog_s(missing_s, age_s))

    def note_went(self, went: Went) -> None:
        """Runs are committed: their boots miss nothing."""
        if not len(went.rows):
            return
        own = self._steady.columns[went.rows]
        line_s = at_us(own["anchor_us"], went.end, own["fs_hz"]) / MICROSECOND
        missing_s = np.zeros(len(went.rows))
        if self._backlogs.holding:
            names = [self._steady.sources[row].device.id for row in went.rows]
            missing_s[:] = [self._backlogs.missing_s(name) for name in names]
        held_s = presence.backlog_s(missing_s, went.last_s - line_s - own["line_offset_s"])
        self._presence.holds_back(self._rows_of(went.rows), held_s)

    def _rows_of(self, boots: Rows) -> Rows:
        """The devices' rows in `presence` of rows of `steady`."""
        column = self._steady.columns["sender"]
        for row in boots[column[boots] < 0]:
            column[row] = self._presence.row(self._steady.sources[row].device.id)
        return np.asarray(column[boots])

    def due(self, now_s: float) -> Due:
        """What is to be written now."""
        return self._presence.due(now_s)

    async def write(self, conn: Connection, due: Due, now_s: float) -> None:
        moving = self._backlogs.moving
        per_s = [self._backlogs.per_s(name, now_s) if name in moving else None for name in due.device_ids]
        await presence.write(conn, due, per_s)

    def written(self, due: Due, now_s: float) -> None:
        """It is committed."""
        self._presence.written(due, now_s)


def _end_s(packet: WaveformPacket) -> float:
    count: int = packet.samples.shape[1]
    return packet.device_time_s + count / packet.fs_hz
