"""What the hub says to a device: acknowledgements and commands.

An acknowledgement tells what is committed to the database, so what the device may forget; the broker's
PUBACK says nothing of the kind. A command has an id and an expiry, may arrive twice, and is answered by a
`command` event.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import cbor2

from devices import fields
from devices.errors import DecodeError
from devices.fields import Field, Range
from devices.leads import CODE_BY_LEAD, LEAD_BY_CODE
from devices.packet import MAX_FS_HZ, MAX_LEADS

CommandKind = Literal[
    "start",  # begin `recording` with `leads` at `fs_hz`
    "stop",  # end `recording`: send what is held, then `end`
    "slow-down",  # for `seconds` send live data only: no backlog, no resends
    "watch",  # for `seconds` cut packets of `packet_ms`, because someone looks
    "ask",  # send `ranges` of (`recording`, `boot`) again
]

KINDS: Final[tuple[str, ...]] = get_args(CommandKind)

REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "start": ("recording", "fs_hz", "leads"),
    "stop": ("recording",),
    "slow-down": ("seconds",),
    "watch": ("packet_ms", "seconds"),
    "ask": ("recording", "boot", "ranges"),
}


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything of (recording, boot) below `next_sample` is committed, or declared lost by the device.

    `wanted` are half-open ranges to send again, `events` the ids of events committed since the last
    acknowledgement; an acknowledgement of events alone has no recording.
    """

    recording: bytes | None
    boot: int
    next_sample: int
    wanted: tuple[Range, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One command; fields that its kind does not need are None or empty."""

    id: str
    kind: CommandKind
    expires_at_s: float  # unix seconds by the hub's clock
    recording: bytes | None = None
    boot: int | None = None
    fs_hz: int | None = None
    leads: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    packet_ms: int | None = None
    seconds: float | None = None
    sent_at_s: float | None = (
        None  # hub's clock at sending; lets a device with a wrong clock judge the expiry
    )


def _kind(value: Any, name: str) -> str:
    if type(value) is not str or value not in KINDS:
        raise DecodeError("unknown-kind", f"{name}: no command of this kind")
    return value


def _leads(value: Any, name: str) -> tuple[str, ...]:
    codes = fields.items(value, name, 1, MAX_LEADS)
    leads = tuple(LEAD_BY_CODE[code] for code in codes if type(code) is int and code in LEAD_BY_CODE)
    if len(set(leads)) != len(codes):
        raise DecodeError("bad-field", f"{name}: an unknown lead code, or a lead twice")
    return leads


def _lead_codes(leads: tuple[str, ...]) -> list[int]:
    return [CODE_BY_LEAD[lead] for lead in leads]


ACK_LAYOUT: Final = (
    Field(1, "recording", fields.recording),
    Field(2, "boot", fields.boot, 0),
    Field(3, "next_sample", fields.index, 0),
    Field(4, "wanted", fields.ranges, ()),
    Field(5, "events", fields.identifiers, ()),
)

COMMAND_LAYOUT: Final = (
    Field(1, "id", fields.identifier),
    Field(2, "kind", _kind),
    Field(3, "expires_at_s", fields.time_s),
    Field(4, "recording", fields.recording),
    Field(5, "boot", fields.boot),
    Field(6, "fs_hz", lambda value, name: fields.whole(value, name, 1, MAX_FS_HZ)),
    Field(7, "leads", _leads, (), _lead_codes),
    Field(8, "ranges", fields.ranges, ()),
    Field(9, "packet_ms", lambda value, name: fields.whole(value, name, 40, 10000)),
    Field(10, "seconds", lambda value, name: fields.real(value, name, 0.0, 86400.0)),
    Field(11, "sent_at_s", fields.time_s),
)


def progress_head(recording: bytes, boot: int) -> bytes:
    """What all acknowledgements of a boot from which nothing is wanted begin with, as nearly always."""
    told = {0: fields.VERSION, 1: recording, 2: boot, 3: 0}
    return cbor2.dumps({key: value for key, value in told.items() if value or key == 3})[:-1]


def encode_progress(head: bytes, next_sample: int) -> bytes:
    """Such an acknowledgement; `next_sample` is not 0. What the layout would give, a fraction of the work."""
    short = 0xFFFF < next_sample <= 0xFFFF_FFFF  # beyond the first minutes, up to the last weeks
    return head + (_UINT32(0x1A, next_sample) if short else cbor2.dumps(next_sample))


_UINT32 = struct.Struct(">BI").pack  # RFC 8949, 3.1


def encode_ack(ack: Ack) -> bytes:
    if ack.recording is not None and ack.next_sample and not ack.wanted and not ack.events:
        return encode_progress(progress_head(ack.recording, ack.boot), ack.next_sample)
    return fields.to_cbor(ack, ACK_LAYOUT)


def decode_ack(payload: bytes) -> Ack:
    """Read one acknowledgement; raises only DecodeError."""
    return Ack(**fields.from_map(fields.read_map(payload), ACK_LAYOUT))


def encode_command(command: Command) -> bytes:
    return fields.to_cbor(command, COMMAND_LAYOUT)


def decode_command(payload: bytes) -> Command:
    """Read one command; raises only DecodeError."""
    values = fields.from_map(fields.read_map(payload), COMMAND_LAYOUT)
    fields.require(values, ("id", "kind", "expires_at_s"), "a command")
    fields.require(values, REQUIRED[values["kind"]], values["kind"])
    return Command(**values)
