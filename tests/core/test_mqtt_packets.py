"""The MQTT codec: any chunking gives the same packets, any bytes give packets or MalformedPacket."""

from hypothesis import given
from hypothesis import strategies as st

from hub.core.mqtt_packets import (
    Connack,
    MalformedPacket,
    Message,
    Packet,
    Puback,
    Suback,
    Will,
    connect_bytes,
    parse,
    puback_bytes,
    publish_bytes,
    subscribe_bytes,
)

topics = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
ids = st.integers(1, 65_535)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    qos = draw(st.integers(0, 1))
    payload = draw(st.binary(max_size=400))
    return Message(draw(topics), payload, qos, draw(ids) if qos else 0, draw(st.booleans()), False)


def encoded(packet: Packet) -> bytes:
    match packet:
        case Message(topic, payload, qos, packet_id, retain, _):
            return publish_bytes(topic, payload, qos, retain, packet_id)
        case Puback(packet_id):
            return puback_bytes([packet_id])
        case Suback(packet_id, codes):
            return bytes([0x90, 2 + len(codes)]) + packet_id.to_bytes(2, "big") + bytes(codes)
        case Connack(present, code):
            return bytes([0x20, 2, present, code])
    return b"\xd0\x00"


packets = st.lists(
    st.one_of(
        messages(),
        st.builds(Puback, ids),
        st.builds(Suback, ids, st.lists(st.sampled_from([0, 1, 0x80]), min_size=1, max_size=5).map(tuple)),
        st.builds(Connack, st.booleans(), st.integers(0, 5)),
    ),
    max_size=12,
)


@given(packets, st.lists(st.integers(1, 300), min_size=1, max_size=50))
def test_any_chunking_gives_the_same_packets(sent: list[Packet], sizes: list[int]) -> None:
    stream = b"".join(map(encoded, sent))
    buffer, received, at, turn = bytearray(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        buffer += stream[at : at + size]
        received += parse(buffer)
        at, turn = at + size, turn + 1
    assert received == sent
    assert not buffer


@given(st.binary(max_size=600))
def test_any_bytes_give_packets_or_malformed(data: bytes) -> None:
    buffer = bytearray(data)
    try:
        parse(buffer)
    except MalformedPacket:
        return
    assert data.endswith(bytes(buffer))


@given(packets, st.data())
def test_one_wrong_byte_never_crashes(sent: list[Packet], data: st.DataObject) -> None:
    stream = bytearray(b"".join(map(encoded, sent)))
    if stream:
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse(stream)
    except MalformedPacket:
        pass


def test_connect_matches_the_example_of_the_standard() -> None:
    # 3.1.2.12: user name and password, will QoS 1 not retained, clean session, keep alive 10 s.
    packet = connect_bytes("c", "u", "p", True, 10, Will("w", b"x", 1))
    assert packet[2:12] == b"\x00\x04MQTT\x04\xce\x00\x0a"
    assert packet[12:] == b"\x00\x01c\x00\x01w\x00\x01x\x00\x01u\x00\x01p"


def test_subscribe_names_each_filter_and_qos() -> None:
    assert subscribe_bytes(10, ["a/b", "c/d"], 1) == b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x01"
