"""From MQTT messages to values: who sent it (by its topic), what it says, or why it can't be used.

A telehub device speaks the packets of docs/protocol/packets.md; any other is read by its driver. Nothing here
touches a socket or a table, and nothing raises for what a device sent.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from devices import DecodeError, drivers, event, packet, senml
from devices.event import Event
from devices.packet import WaveformPacket
from devices.senml import Measurement, Rejected
from hub.core.logging import failure_place
from hub.ingest.bindings import Device

TELEHUB: Final = "telehub"
TOPICS_KEPT: Final = 1 << 15

Parts = tuple[tuple[WaveformPacket, ...], tuple[Measurement, ...], tuple[Event, ...], tuple[Rejected, ...]]


class Received(NamedTuple):
    """One message as a shard's session got it."""

    shard: str  # of the session, not of the topic
    topic: str
    payload: bytes
    received_s: float  # unix seconds of the hub's clock
    delivery: int = 0  # the broker's number of it; negative if it says that it sends again; 0 if it has none


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message, or a part of it, is set aside: one word of a closed list, and words for people."""

    reason: str
    detail: str = ""


class Item(NamedTuple):
    """A message and what it says; with a refusal it says nothing."""

    received: Received
    device: Device | None
    packets: tuple[WaveformPacket, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    events: tuple[Event, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    refusal: Refusal | None = None


def hub_failure(failure: Exception) -> Refusal:
    """What is set aside because the hub itself fails on it, so that it stops nobody else."""
    return Refusal("hub-failure", failure_place(failure))


class _Place(NamedTuple):
    """What a topic names."""

    shard: str
    device_id: str
    tail: str


@functools.lru_cache(TOPICS_KEPT)
def _place(topic: str) -> _Place | None:
    parts = topic.split("/")
    return _Place(*parts[1:]) if len(parts) == 4 and parts[0] == "ingest" and "\0" not in topic else None


def device_of(topic: str) -> str | None:
    """The device a topic names, or None if it is no topic of ours."""
    place = _place(topic)
    return place.device_id if place is not None else None


def _packets(payload: bytes, _received_s: float) -> Parts:
    return (packet.decode(payload),), (), (), ()


def _measurements(payload: bytes, received_s: float) -> Parts:
    measurements, rejected = senml.decode(payload, received_s)
    return (), measurements, (), rejected


def _events(payload: bytes, _received_s: float) -> Parts:
    return (), (), (event.decode(payload),), ()


_READERS: Final[dict[str, Callable[[bytes, float], Parts]]] = {
    "ecg": _packets,
    "vitals": _measurements,
    "event": _events,
}


def decode(received: Received, devices: Mapping[str, Device | None]) -> Item:
    """Read one message by what is known of its sender."""
    place = _place(received.topic)
    device = devices.get(place.device_id) if place is not None else None
    if place is None or place.tail not in _READERS:
        return Item(received, device, refusal=Refusal("odd-topic", "no topic that a device has"))
    if device is None:
        return Item(received, None, refusal=_UNKNOWN)
    if device.shard != place.shard or received.shard != place.shard or device.retired:
        return Item(received, device, refusal=_misplaced(device, place, received))
    try:
        return Item(received, device, *_read(device, place.tail, received))
    except DecodeError as failure:
        return Item(received, device, refusal=Refusal(failure.reason, failure.text))
    except Exception as bug:  # of a driver: it costs its own device's messages only
        return Item(received, device, refusal=hub_failure(bug))


_UNKNOWN: Final = Refusal("unknown-device", "no device of this name was provisioned")


def _misplaced(device: Device, place: _Place, received: Received) -> Refusal:
    if device.shard != place.shard or received.shard != place.shard:
        return Refusal("wrong-shard", f"this device belongs to shard {device.shard}")
    return Refusal("retired-device", "this device was retired")


def _read(device: Device, tail: str, received: Received) -> Parts:
    if device.driver == TELEHUB:
        return _READERS[tail](received.payload, received.received_s)
    driver = drivers.DRIVERS.get(device.driver)
    if driver is None or tail not in driver.topics:
        raise DecodeError("foreign-format", f"driver {device.driver} reads nothing on {tail}")
    packets, measurements, events = driver.decode(tail, received.payload, received.received_s)
    return packets, measurements, events, ()
