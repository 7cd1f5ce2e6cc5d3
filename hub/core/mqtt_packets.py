"""MQTT 3.1.1 packets as bytes: pure, both ways, as far as a client needs them (OASIS MQTT Version 3.1.1).

Reading PUBLISH is the hub's hottest loop: every sample passes through `parse`.
"""

import functools
import struct
from collections.abc import Iterable
from typing import NamedTuple

MAX_PACKET_BYTES = 1 << 20  # the broker is told 131072; more is nonsense
TOPICS_KEPT = 1 << 15

_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _UNSUBACK, _PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xB0, 0xD0
PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"

REFUSALS = {  # 3.2.2.3
    1: "unacceptable protocol version",
    2: "client id rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorised",
}


class MalformedPacket(ValueError):
    """Bytes that are no MQTT packet a client may receive; the connection can't be used any more."""


class Message(NamedTuple):
    """A received PUBLISH (3.3); `packet_id` is 0 for QoS 0."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int
    retain: bool
    dup: bool


class Connack(NamedTuple):
    session_present: bool
    code: int


class Puback(NamedTuple):
    packet_id: int


class Suback(NamedTuple):
    packet_id: int
    codes: tuple[int, ...]


class Pong(NamedTuple):
    """PINGRESP."""


class Will(NamedTuple):
    """What the broker publishes when the line breaks (3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


Packet = Message | Connack | Puback | Suback | Pong
_new = tuple.__new__  # of a NamedTuple, without the call of its own __new__


def parse(buffer: bytearray) -> list[Packet]:
    """Take the complete packets off the front of the buffer; an incomplete one stays for the next call."""
    data = bytes(buffer)
    packets: list[Packet] = []
    start, available = 0, len(data)
    while available - start >= 2:
        head, length, body = data[start], data[start + 1], start + 2
        if length > 127:
            if body < available and data[body] < 128:  # as nearly always
                length, body = length & 0x7F | data[body] << 7, body + 1
            else:
                length, body = _remaining_length(data, start + 1)
                if body == 0:
                    break
        end = body + length
        if end > available:
            break
        packets.append(
            _publish(data, head, body, end) if head & 0xF0 == _PUBLISH else _other(data, head, body, end)
        )
        start = end
    if start:
        del buffer[:start]
    return packets


def _remaining_length(data: bytes, at: int) -> tuple[int, int]:
    """Length and where the body starts (2.2.3); (0, 0) if the bytes end before the length does."""
    value = 0
    for i, octet in enumerate(data[at : at + 4]):
        value |= (octet & 0x7F) << (7 * i)
        if octet < 128:
            if value > MAX_PACKET_BYTES:
                raise MalformedPacket(f"packet of {value} bytes")
            return value, at + i + 1
    if len(data) - at >= 4:
        raise MalformedPacket("remaining length of more than four bytes")
    return 0, 0


def _publish(data: bytes, head: int, body: int, end: int) -> Message:
    topic_at = body + 2
    if topic_at > end:
        raise MalformedPacket("PUBLISH without topic")
    topic_end = topic_at + (data[body] << 8 | data[body + 1])
    qos = head >> 1 & 3
    payload_at = topic_end + 2 if qos else topic_end
    if payload_at > end or qos > 1:
        raise MalformedPacket("PUBLISH cut short, or of a QoS not asked for")
    packet_id = data[topic_end] << 8 | data[topic_end + 1] if qos else 0
    if qos and not packet_id:
        raise MalformedPacket("PUBLISH with packet id 0")
    topic, payload = _topic(data[topic_at:topic_end]), data[payload_at:end]
    return _new(Message, (topic, payload, qos, packet_id, head & 1 == 1, head & 8 == 8))


@functools.lru_cache(TOPICS_KEPT)
def _topic(raw: bytes) -> str:
    """One text for all messages of a topic, decoded once."""
    try:
        return raw.decode()
    except UnicodeDecodeError as failure:
        raise MalformedPacket("topic is not UTF-8") from failure


def _other(data: bytes, head: int, body: int, end: int) -> Packet:
    size = end - body
    if head in (_PUBACK, _UNSUBACK) and size == 2:
        return _new(Puback, (data[body] << 8 | data[body + 1],))
    if head == _CONNACK and size == 2:
        return Connack(bool(data[body] & 1), data[body + 1])
    if head == _SUBACK and size > 2:
        return Suback(data[body] << 8 | data[body + 1], tuple(data[body + 2 : end]))
    if head == _PINGRESP and size == 0:
        return Pong()
    raise MalformedPacket(f"packet type 0x{head:02x} of {size} bytes")


def _text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


_topic_text = functools.lru_cache(TOPICS_KEPT)(_text)


_two_shorts = struct.Struct(">HH").pack


@functools.lru_cache(1 << 10)
def _head(kind: int, length: int) -> bytes:
    """The fixed header of a packet (2.2)."""
    octets = bytearray([kind])
    while length > 127:
        octets.append(length & 0x7F | 0x80)
        length >>= 7
    octets.append(length)
    return bytes(octets)


def _framed(kind: int, body: bytes) -> bytes:
    return _head(kind, len(body)) + body


def connect_bytes(
    client_id: str,
    username: str | None,
    password: str | None,
    clean: bool,
    keepalive_s: int,
    will: Will | None,
) -> bytes:
    """CONNECT (3.1)."""
    flags, tail = 2 * clean, b""
    if will is not None:
        flags |= 4 | will.qos << 3 | will.retain << 5
        tail += _text(will.topic) + _text(will.payload)
    if username is not None:
        flags |= 0x80
        tail += _text(username)
    if password is not None:
        flags |= 0x40
        tail += _text(password)
    head = _text("MQTT") + bytes([4, flags]) + keepalive_s.to_bytes(2, "big")
    return _framed(0x10, head + _text(client_id) + tail)


def subscribe_bytes(packet_id: int, filters: Iterable[str], qos: int = 1) -> bytes:
    """SUBSCRIBE (3.8)."""
    body = b"".join(_text(topic_filter) + bytes([qos]) for topic_filter in filters)
    return _framed(0x82, packet_id.to_bytes(2, "big") + body)


def unsubscribe_bytes(packet_id: int, filters: Iterable[str]) -> bytes:
    """UNSUBSCRIBE (3.10)."""
    return _framed(0xA2, packet_id.to_bytes(2, "big") + b"".join(map(_text, filters)))


def publish_bytes(
    topic: str, payload: bytes, qos: int = 0, retain: bool = False, packet_id: int = 0
) -> bytes:
    """PUBLISH (3.3); QoS 1 needs a packet id."""
    text, number = _topic_text(topic), packet_id.to_bytes(2, "big") if qos else b""
    head = _head(_PUBLISH | qos << 1 | retain, len(text) + len(number) + len(payload))
    return b"".join((head, text, number, payload))


def puback_bytes(packet_ids: Iterable[int]) -> bytes:
    """PUBACK for each id, in this order (4.6)."""
    return b"".join([_two_shorts(_PUBACK << 8 | 2, packet_id) for packet_id in packet_ids])
