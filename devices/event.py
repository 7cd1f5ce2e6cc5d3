"""What a device reports beside its samples: starts, ends, presses, electrodes, battery, position.

An event has an id that is unique for its device, so that one that comes twice is stored once. It carries
the device's clock twice, at the event and at sending: the second tells the hub how far the clock is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from devices import fields
from devices.errors import DecodeError
from devices.fields import Field

EventKind = Literal[
    "boot",  # the device started; what it knows of the boot before
    "online",  # (re)connected
    "offline",  # left as MQTT will with the broker, which sends it when the line breaks
    "end",  # recording over: final count of samples for each boot
    "button",  # the wearer marks a moment
    "sos",  # the wearer calls for help
    "lead-off",
    "lead-on",
    "battery",
    "position",
    "discard",  # gave up samples that were never acknowledged; `oldest` says what it still holds
    "command",  # answer to a command: done, refused or expired
]

KINDS: Final[tuple[str, ...]] = get_args(EventKind)

REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "boot": ("boot",),
    "online": (),
    "offline": (),
    "end": ("recording",),
    "button": (),
    "sos": (),
    "lead-off": ("electrodes_off",),
    "lead-on": ("electrodes_off",),
    "battery": ("battery_percent",),
    "position": ("latitude_deg", "longitude_deg"),
    "discard": ("recording", "oldest"),
    "command": ("command_id", "detail"),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event; fields that its kind does not need are None or empty."""

    id: str
    kind: EventKind
    device_time_s: float  # unix seconds of the event by the device's clock
    sent_time_s: float | None = None  # the same clock at sending; None in a will
    recording: bytes | None = None
    boot: int | None = None
    previous_boot: int | None = None  # boot: the boot before this one
    previous_count: int | None = None  # boot: samples produced in it (last index + 1); None = unknown
    counts: tuple[tuple[int, int], ...] = ()  # end: (boot, samples produced in it)
    oldest: tuple[tuple[int, int], ...] = ()  # (boot, first sample still held); says the same as in packets
    sample: int | None = None  # index since boot at the moment of the event
    electrodes_off: int | None = None  # as in the waveform packet
    battery_percent: int | None = None
    latitude_deg: float | None = None  # WGS 84
    longitude_deg: float | None = None
    command_id: str | None = None
    detail: str = ""  # command: done, refused or expired


def _kind(value: Any, name: str) -> str:
    if type(value) is not str or value not in KINDS:
        raise DecodeError("unknown-kind", f"{name}: no event of this kind")
    return value


LAYOUT: Final = (
    Field(1, "id", fields.identifier),
    Field(2, "kind", _kind),
    Field(3, "device_time_s", fields.time_s),
    Field(4, "sent_time_s", fields.time_s),
    Field(5, "recording", fields.recording),
    Field(6, "boot", fields.boot),
    Field(7, "previous_boot", fields.boot),
    Field(8, "previous_count", fields.index),
    Field(9, "counts", fields.boot_counts, ()),
    Field(10, "sample", fields.index),
    Field(11, "electrodes_off", lambda value, name: fields.whole(value, name, 0, 0xFFFF)),
    Field(12, "battery_percent", lambda value, name: fields.whole(value, name, 0, 100)),
    Field(13, "latitude_deg", lambda value, name: fields.real(value, name, -90.0, 90.0)),
    Field(14, "longitude_deg", lambda value, name: fields.real(value, name, -180.0, 180.0)),
    Field(15, "command_id", fields.identifier),
    Field(16, "detail", fields.text, ""),
    Field(17, "oldest", fields.boot_counts, ()),
)


def encode(event: Event) -> bytes:
    return fields.to_cbor(event, LAYOUT)


def decode(payload: bytes) -> Event:
    """Read one event; raises only DecodeError."""
    values = fields.from_map(fields.read_map(payload), LAYOUT)
    fields.require(values, ("id", "kind", "device_time_s"), "an event")
    fields.require(values, REQUIRED[values["kind"]], values["kind"])
    return Event(**values)
