"""From MQTT messages to values: who sent it (by its topic), what it says, or why it can't be used.

A telehub device speaks the packets of docs/protocol/packets.md; any other is read by its driver. Nothing here
touches a socket or a table, and nothing raises for what a device sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from devices import DecodeError, drivers, event, packet, senml
from devices.event import Event
from devices.packet import WaveformPacket
from devices.senml import Measurement, Rejected
from hub.core.logging import failure_place
from hub.ingest.bindings import Device

TELEHUB: Final = "telehub"

Parts = tuple[tuple[WaveformPacket, ...], tuple[Measurement, ...], tuple[Event, ...], tuple[Rejected, ...]]


@dataclass(frozen=True, slots=True)
class Received:
    """One message as a shard's session got it."""

    shard: str  # of the session, not of the topic
    topic: str
    payload: bytes
    received_s: float  # unix seconds of the hub's clock


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message, or a part of it, is set aside: one word of a closed list, and words for people."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
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


def device_of(topic: str) -> str | None:
    """The device a topic names, or None if it is no topic of ours."""
    parts = topic.split("/")
    return parts[2] if len(parts) == 4 and parts[0] == "ingest" and "\0" not in topic else None


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
    _, _, rest = received.topic.partition("/")
    shard, _, rest = rest.partition("/")
    device_id, _, tail = rest.partition("/")
    device = devices.get(device_id)
    refusal = _misplaced(received, shard, tail, device)
    if device is None or refusal is not None:
        return Item(received, device, refusal=refusal)
    try:
        return Item(received, device, *_read(device, tail, received))
    except DecodeError as failure:
        return Item(received, device, refusal=Refusal(failure.reason, failure.text))
    except Exception as bug:  # of a driver: it costs its own device's messages only
        return Item(received, device, refusal=hub_failure(bug))


def _misplaced(received: Received, shard: str, tail: str, device: Device | None) -> Refusal | None:
    if device_of(received.topic) is None or tail not in _READERS:
        return Refusal("odd-topic", "no topic that a device has")
    if device is None:
        return Refusal("unknown-device", "no device of this name was provisioned")
    if device.shard != shard or received.shard != shard:
        return Refusal("wrong-shard", f"this device belongs to shard {device.shard}")
    if device.retired:
        return Refusal("retired-device", "this device was retired")
    return None


def _read(device: Device, tail: str, received: Received) -> Parts:
    if device.driver == TELEHUB:
        return _READERS[tail](received.payload, received.received_s)
    driver = drivers.DRIVERS.get(device.driver)
    if driver is None or tail not in driver.topics:
        raise DecodeError("foreign-format", f"driver {device.driver} reads nothing on {tail}")
    packets, measurements, events = driver.decode(tail, received.payload, received.received_s)
    return packets, measurements, events, ()
