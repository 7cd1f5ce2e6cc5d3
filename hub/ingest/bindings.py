"""Which devices and recordings there are, as the tick knows them: loaded when first named, forgotten when changed.

A device's authority is its (device, recording) binding: ECG is attributed by the recording a packet names, and only
if that recording was started on this very device.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from devices.packet import WaveformPacket
from hub.core import db
from hub.core.db import Connection

FORGET_ABSENT_S = 5.0  # what was not there is asked for again after this
KEPT = 100_000  # devices or recordings in memory; beyond, all are forgotten and loaded anew
OVER = ("ended", "discarded")  # states of a recording that nobody analyses live any more
SCALE_TOLERANCE = 1e-6  # uv_per_lsb went through a 4-byte float


@dataclass(frozen=True, slots=True)
class Device:
    id: str
    number: int
    shard: str
    driver: str
    organisation_id: UUID
    retired: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """What the tick needs of a recording; a row of the table of that name."""

    id: UUID
    device_id: str
    shard: str  # of the device
    patient_id: UUID
    organisation_id: UUID
    status: str
    started: bool  # its first samples are stored
    fs_hz: int
    leads: tuple[str, ...]
    uv_per_lsb: float | None  # None until the first packet fixes rate, leads and scale
    paced: bool

    def fits(self, packet: WaveformPacket) -> bool:
        """Whether a packet has the rate, leads and scale of what is stored already."""
        if self.uv_per_lsb is None:
            return True
        same_scale = abs(packet.uv_per_lsb - self.uv_per_lsb) <= SCALE_TOLERANCE * self.uv_per_lsb
        return packet.fs_hz == self.fs_hz and packet.leads == self.leads and same_scale


class Bindings:
    """The cache. Absence is remembered too, so that a stranger's flood costs no queries.

    What has changed is asked for again with the next batch; until the answer is there the former row stands, since a
    batch may be sorted out at any moment and something known must not look unknown meanwhile.
    """

    def __init__(self) -> None:
        self.devices: dict[str, Device | None] = {}
        self.recordings: dict[bytes, Recording | None] = {}
        self.open_recordings: dict[str, bytes | None] = {}  # device -> its running recording
        self._former: dict[bytes, Recording | None] = {}  # to be loaded again
        self._stale_devices: set[str] = set()
        self._absent_since_s = 0.0

    def recording(self, name: bytes) -> Recording | None:
        """A recording as last known."""
        return self.recordings[name] if name in self.recordings else self._former.get(name)

    def knows(self, name: bytes) -> bool:
        """Whether anything is known of a recording, as it is or as it was."""
        return name in self.recordings or name in self._former

    def learn_recordings(self, rows: Mapping[bytes, Recording | None]) -> None:
        """Rows of the table, as they are now; None: there is none."""
        self.recordings.update(rows)
        for name in rows:
            self._former.pop(name, None)

    def learn_devices(self, rows: Mapping[str, Device | None], running: Mapping[str, bytes | None]) -> None:
        """Rows of the table as they are now, and the recording that runs on each."""
        self.devices.update(rows)
        self.open_recordings.update(running)
        self._stale_devices -= rows.keys()

    def fix_format(self, recording: Recording, packet: WaveformPacket) -> Recording:
        """The first packet decides how the recording is made; the table learns it in the same transaction."""
        if recording.uv_per_lsb is not None:
            return recording
        fixed = replace(recording, fs_hz=packet.fs_hz, leads=packet.leads, uv_per_lsb=packet.uv_per_lsb)
        self.recordings[packet.recording] = fixed
        return fixed

    def mark_started(self, recording_ids: Iterable[UUID]) -> None:
        """Their first samples are committed."""
        for recording_id in recording_ids:
            recording = self.recordings.get(recording_id.bytes)
            if recording is not None:
                self.recordings[recording_id.bytes] = replace(recording, started=True)

    def missing_devices(self, device_ids: Iterable[str], now_s: float) -> set[str]:
        """Devices of these that have to be loaded."""
        if now_s - self._absent_since_s > FORGET_ABSENT_S:
            self._forget_absent(now_s)
        return {name for name in device_ids if name not in self.devices or name in self._stale_devices}

    def shift(self, by_s: float) -> None:
        """The clock by which absence is remembered was set."""
        self._absent_since_s += by_s

    def missing_recordings(self, recordings: Iterable[bytes]) -> set[bytes]:
        """Recordings of these that have to be loaded."""
        return {name for name in recordings if name not in self.recordings}

    def forget(self) -> None:
        """Load everything anew that is named next."""
        self._stale_devices.update(self.devices)
        self._former |= self.recordings
        self.recordings.clear()

    def forget_changed(self, device_id: str | None, recording_id: UUID | None) -> None:
        """A device or a recording changed."""
        recording = self.recordings.pop(recording_id.bytes, None) if recording_id else None
        if recording is not None:
            self._former[recording.id.bytes] = recording
        changed = device_id or (recording.device_id if recording else None)
        if changed is None and recording_id is None:
            return self.forget()
        if changed in self.devices:
            self._stale_devices.add(changed)

    def _forget_absent(self, now_s: float) -> None:
        self._absent_since_s = now_s
        self.devices = {name: row for name, row in self.devices.items() if row is not None}
        self.recordings = {name: row for name, row in self.recordings.items() if row is not None}
        if max(len(self.devices), len(self.recordings) + len(self._former)) > KEPT:
            for kept in (
                self.devices,
                self.recordings,
                self.open_recordings,
                self._former,
                self._stale_devices,
            ):
                kept.clear()


async def load_devices(conn: Connection, bindings: Bindings, device_ids: set[str]) -> None:
    """Learn of devices, and of the recording that runs on each."""
    found = await db.rows(
        conn,
        "SELECT d.id, d.number, d.shard, d.driver, d.organisation_id, d.retired_at,"
        "  (SELECT r.id FROM recording r WHERE r.device_id = d.id"
        "   AND r.status IN ('requested', 'recording', 'stopping') ORDER BY r.requested_at DESC LIMIT 1) AS open_id"
        " FROM device d WHERE d.id = ANY(%s)",
        (list(device_ids),),
    )
    rows = {
        row["id"]: Device(
            row["id"], row["number"], row["shard"], row["driver"], row["organisation_id"],
            row["retired_at"] is not None,
        )
        for row in found
    }  # fmt: skip
    running = {row["id"]: row["open_id"].bytes if row["open_id"] else None for row in found}
    bindings.learn_devices(dict.fromkeys(device_ids) | rows, running)


async def load_recordings(conn: Connection, bindings: Bindings, recordings: set[bytes]) -> None:
    """Learn of recordings."""
    found = await db.rows(
        conn,
        "SELECT r.id, r.device_id, d.shard, r.patient_id, r.organisation_id, r.status, r.started_at, r.fs_hz,"
        "  r.leads, r.uv_per_lsb, r.paced FROM recording r JOIN device d ON d.id = r.device_id"
        " WHERE r.id = ANY(%s)",
        ([UUID(bytes=name) for name in recordings],),
    )
    rows = {row["id"].bytes: recording_of(row) for row in found}
    bindings.learn_recordings(dict.fromkeys(recordings) | rows)


def recording_of(row: dict[str, Any]) -> Recording:
    return Recording(
        row["id"], row["device_id"], row["shard"], row["patient_id"], row["organisation_id"], row["status"],
        row["started_at"] is not None, row["fs_hz"], tuple(row["leads"]), row["uv_per_lsb"], row["paced"],
    )  # fmt: skip
