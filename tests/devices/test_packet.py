"""Waveform packets: round trips, foreign bytes, bombs, and what may change in a resend."""

import struct
from collections.abc import Callable

import cbor2
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from devices import DecodeError, packet
from devices.errors import REASONS
from devices.leads import CODE_BY_LEAD, LEAD_BY_CODE
from devices.packet import WaveformPacket

LEADS = tuple(CODE_BY_LEAD)


@st.composite
def packets(draw: st.DrawFn) -> WaveformPacket:
    leads = tuple(draw(st.lists(st.sampled_from(LEADS), min_size=1, max_size=12, unique=True)))
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    first_sample = draw(st.integers(0, 2**62))
    return WaveformPacket(
        recording=draw(st.binary(min_size=16, max_size=16)),
        boot=draw(st.integers(0, 2**31 - 1)),
        sequence=draw(st.integers(0, 2**40)),
        first_sample=first_sample,
        oldest=draw(st.integers(0, first_sample)),
        device_time_s=draw(st.floats(0, 4e9)),
        fs_hz=draw(st.integers(1, 32000)),
        leads=leads,
        uv_per_lsb=draw(st.floats(1e-6, 1000)),
        samples=rng.integers(-32768, 32768, (len(leads), count)).astype(np.int16),
        electrodes_off=draw(st.integers(0, 2 ** len(leads) - 1)),
        battery_percent=draw(st.none() | st.integers(0, 100)),
    )


def fields_of(value: WaveformPacket) -> dict[str, object]:
    return {name: getattr(value, name) for name in WaveformPacket.__dataclass_fields__ if name != "samples"}


def plain_map() -> dict[int, object]:
    """A valid message, to be spoilt."""
    samples = cbor2.CBORTag(77, bytes(12))
    return {0: 1, 1: bytes(16), 2: 1, 3: 0, 4: 250, 5: 1.7e9, 6: 250, 7: [131329, 131330], 8: 2.5} | {
        9: samples, 11: 0, 12: 0, 13: 50,
    }  # fmt: skip


@given(packets(), st.booleans())
def test_round_trip(sent: WaveformPacket, compress: bool) -> None:
    read = packet.decode(packet.encode(sent, compress))
    assert fields_of(read) == fields_of(sent)
    assert read.samples.dtype == np.int16
    assert np.array_equal(read.samples, sent.samples)


@given(packets(), st.integers(0, 2**62), st.none() | st.integers(0, 100))
def test_a_resend_changes_only_the_end_of_the_bytes(
    sent: WaveformPacket, oldest: int, battery: int | None
) -> None:
    body = packet.body(sent)
    again = packet.frame(body, min(oldest, sent.first_sample), battery)
    assert again.startswith(body)
    assert packet.decode(again).oldest == min(oldest, sent.first_sample)


def read_by(read: Callable[[bytes], WaveformPacket], payload: bytes) -> object:
    """What it makes of the bytes, comparable bit for bit."""
    try:
        value = read(payload)
    except DecodeError as error:
        return error.reason, error.text
    return repr(fields_of(value)), value.samples.dtype, value.samples.shape, value.samples.tobytes()


@st.composite
def nearly_usual(draw: st.DrawFn) -> bytes:
    """What `encode` writes, with a few bytes changed, cut out or put in, mostly where the fields are."""
    payload = bytearray(packet.encode(draw(packets())))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, 140) | st.integers(0, 10**6)) % len(payload)
        end = draw(st.booleans())
        at = len(payload) - 1 - place % min(20, len(payload)) if end else place
        new = draw(
            st.sampled_from([b"", b"\x00", b"\x18", b"\x1b", b"\xf6", b"\xff"]) | st.binary(max_size=9)
        )
        payload[at : at + draw(st.integers(0, 2))] = new
    return bytes(payload)


@given(nearly_usual())
def test_the_usual_layout_is_read_in_place_as_by_the_general_reader(payload: bytes) -> None:
    assert read_by(packet.decode, payload) == read_by(packet.decode_any, payload)


@given(packets())
def test_what_encode_writes_is_read_in_place(sent: WaveformPacket) -> None:
    is_usual = sent.samples.nbytes >= 24  # shorter strings have a head of another form
    assert (packet._read_usual(packet.encode(sent)) is not None) == is_usual
    assert packet._read_usual(packet.encode(sent, compress=True)) is None


wide = st.integers(0, 2**64 - 1).map(lambda n: b"\x1b" + n.to_bytes(8, "big"))
any_whole = (
    wide | st.integers(0, 255).map(lambda n: bytes([0x18, n])) | st.sampled_from([b"\x00", b"\x17", b"\xf6"])
)
any_real = st.floats(width=64).map(lambda x: b"\xfb" + struct.pack(">d", x)) | any_whole
any_lead = st.sampled_from([b"\x1a" + code.to_bytes(4, "big") for code in (131329, 131330, 5)])


@given(
    st.tuples(any_whole, any_whole, any_whole, any_real, any_whole), st.lists(any_lead, max_size=3),
    st.integers(0, 3), any_real, st.integers(0, 14), st.tuples(any_whole, any_whole, any_whole),
)  # fmt: skip
def test_any_numbers_in_the_usual_places_are_judged_alike(
    head: tuple[bytes, ...],
    leads: list[bytes],
    lead_count: int,
    scale: bytes,
    size: int,
    tail: tuple[bytes, ...],
) -> None:
    boot, sequence, first, time_s, fs_hz = head
    samples = b"\x09\xd8\x4d\x58" + bytes([size]) + bytes(size)
    entries = [b"\x01\x50" + bytes(16), b"\x02" + boot, b"\x03" + sequence, b"\x04" + first, b"\x05" + time_s]
    entries += [
        b"\x06" + fs_hz,
        b"\x07" + bytes([0x80 + lead_count]) + b"".join(leads),
        b"\x08" + scale,
        samples,
    ]
    entries += [b"\x0b" + tail[0], b"\x0c" + tail[1], b"\x0d" + tail[2]]
    payload = b"\xad\x00\x01" + b"".join(entries)
    assert read_by(packet.decode, payload) == read_by(packet.decode_any, payload)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_packet_or_a_decode_error(payload: bytes) -> None:
    try:
        packet.decode(payload)
    except DecodeError as error:
        assert error.reason in REASONS


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.builds(cbor2.CBORTag, st.sampled_from([64, 77, 85]), inner),
    max_leaves=4,
)  # fmt: skip


@given(st.dictionaries(st.integers(0, 14), anything, min_size=1, max_size=3))
def test_any_field_spoilt_gives_a_packet_or_a_decode_error(spoilt: dict[int, object]) -> None:
    try:
        packet.decode(cbor2.dumps(plain_map() | spoilt))
    except DecodeError as error:
        assert error.reason in REASONS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({0: 2}, "wrong-version"),
        ({1: bytes(15)}, "bad-field"),
        ({1: None}, "missing-field"),
        ({2: True}, "bad-field"),
        ({4: -1}, "bad-field"),
        ({4: 2**63}, "bad-field"),
        ({5: float("nan")}, "bad-field"),
        ({6: 0}, "bad-field"),
        ({7: []}, "bad-field"),
        ({7: [131329, 131329]}, "bad-field"),
        ({7: [131329, 1]}, "bad-field"),
        ({7: [131329, [131330]]}, "bad-field"),
        ({8: 0.0}, "bad-field"),
        ({8: float("inf")}, "bad-field"),
        ({9: bytes(12)}, "bad-field"),
        ({9: cbor2.CBORTag(77, b"")}, "bad-field"),
        ({9: cbor2.CBORTag(77, bytes(14))}, "bad-field"),
        ({9: None}, "missing-field"),
        ({10: b""}, "bad-field"),
        ({11: 4}, "bad-field"),
        ({12: 251}, "bad-field"),
        ({13: 101}, "bad-field"),
        ({14: cbor2.CBORTag(35, "((")}, "not-cbor"),
    ],
)
def test_each_wrong_field_has_its_reason(change: dict[int, object], reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        packet.decode(cbor2.dumps(plain_map() | change))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "truncated"),
        (bytes(65537), "oversize"),
        (b"\x81" * 60000 + b"\x00", "not-cbor"),
        (b"\xa2\x00\x01\x00\x01", "not-cbor"),
        (b"\x80", "not-cbor"),
        (b"\xa1\x00\x01\x00", "not-cbor"),
    ],
)
def test_each_wrong_message_has_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        packet.decode(payload)
    assert caught.value.reason == reason


@pytest.mark.parametrize("states_size", [True, False])
def test_a_bomb_is_refused_before_it_is_unpacked(states_size: bool) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=states_size).compress(bytes(200_000_000))
    message = plain_map() | {10: bomb}
    del message[9]
    with pytest.raises(DecodeError) as caught:
        packet.decode(cbor2.dumps(message))
    assert caught.value.reason == "oversize"


def test_no_lead_code_stands_for_two_leads() -> None:
    assert len(LEAD_BY_CODE) == len(CODE_BY_LEAD)
    assert LEAD_BY_CODE[131329] == "MDC_ECG_LEAD_I"
    assert LEAD_BY_CODE[131389] == "MDC_ECG_LEAD_III"
