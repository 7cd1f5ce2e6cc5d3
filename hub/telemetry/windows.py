"""Any stretch of a recording's samples, by boot and sample or by time, with what is missing said.

Form (docs/protocol/http.md): `TLH1`, length of the header, header as JSON, then int16 lead-major, little endian.
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices import sequencing
from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.core.fields import to_json
from hub.people import access
from hub.telemetry.blocks import Span, assembled, stored_pieces
from hub.telemetry.ledger import Boot
from hub.telemetry.recordings import read_boots

LONGEST_S: Final = 60
MAGIC: Final = b"TLH1"
_HEAD: Final = struct.Struct("<4sI")
_SINT16_LE: Final = np.dtype("<i2")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of one boot."""

    boot: int
    first_sample: int
    fs_hz: int
    leads: tuple[str, ...]
    uv_per_lsb: float
    start_at: datetime
    samples: NDArray[np.int16]  # [lead, sample]
    gaps: tuple[tuple[int, int], ...]

    def to_bytes(self) -> bytes:
        header = {
            "boot": self.boot,
            "first_sample": self.first_sample,
            "count": self.samples.shape[1],
            "fs_hz": self.fs_hz,
            "leads": list(self.leads),
            "uv_per_lsb": self.uv_per_lsb,
            "start_at": self.start_at,
            "gaps": [list(gap) for gap in self.gaps],
        }
        text = to_json(header).encode()
        return _HEAD.pack(MAGIC, len(text)) + text + np.ascontiguousarray(self.samples, _SINT16_LE).tobytes()


async def read_window(
    conn: Connection, actor: Actor, at: datetime, recording_id: UUID, boot: int, first: int, count: int
) -> Window:
    """Samples [first, first + count) of a boot."""
    recording = await _readable(conn, actor, at, recording_id, count)
    boots = await read_boots(conn, recording_id, recording["fs_hz"])
    found = next((one for one in boots if one.boot == boot), None)
    if found is None:
        raise errors.error("not_found")
    return await _window(conn, recording, found, first, count)


async def read_window_at(
    conn: Connection, actor: Actor, at: datetime, recording_id: UUID, from_at: datetime, seconds: float
) -> Window:
    """The samples from an instant on, of the boot that ran then, else of the next one."""
    recording = await _readable(conn, actor, at, recording_id, 0)
    fs_hz, count = recording["fs_hz"], round(seconds * recording["fs_hz"])
    _require_length(recording, count)
    boots = await read_boots(conn, recording_id, fs_hz)
    running = [boot for boot in boots if boot.at(boot.ledger.seen, fs_hz) > from_at]
    if not running:
        raise errors.error("not_found")
    boot = min(running, key=lambda boot: boot.at(0, fs_hz))
    return await _window(conn, recording, boot, max(0, boot.sample_at(from_at, fs_hz)), count)


async def _readable(conn: Connection, actor: Actor, at: datetime, recording_id: UUID, count: int) -> Row:
    recording = await db.one(
        conn, "SELECT id, patient_id, fs_hz, leads, uv_per_lsb FROM recording WHERE id = %s", (recording_id,)
    )
    await access.require(conn, actor, at, "recording.read", patient_id=recording["patient_id"])
    _require_length(recording, count)
    return recording


def _require_length(recording: Row, count: int) -> None:
    limit = LONGEST_S * recording["fs_hz"]
    if count > limit:
        raise errors.error("bad_field", field="count", expected=f"at most {limit} samples ({LONGEST_S} s)")


async def _window(conn: Connection, recording: Row, boot: Boot, first: int, count: int) -> Window:
    pieces = await stored_pieces(conn, [Span(recording["id"], boot.boot, first, first + count)])
    samples = assembled(pieces, len(recording["leads"]), first, count)
    return Window(
        boot.boot,
        first,
        recording["fs_hz"],
        tuple(recording["leads"]),
        recording["uv_per_lsb"] or 1.0,
        boot.at(first, recording["fs_hz"]),
        samples,
        _gaps(boot, first, first + count),
    )


def _gaps(boot: Boot, first: int, end: int) -> tuple[tuple[int, int], ...]:
    """What of [first, end) is not stored."""
    return sequencing.trim(boot.ledger.stored, first, end)
