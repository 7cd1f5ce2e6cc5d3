"""A stack of packets says what reading them one by one says, or leaves them to that."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from devices import DecodeError, alike, packet
from devices.packet import WaveformPacket
from tests.devices.test_packet import packets


def told(stack: alike.Stack, place: int, of: WaveformPacket) -> dict[str, object]:
    """A packet as the stack's columns tell it, with what never changes taken from one of the same sender."""
    samples = stack.sample_bytes[place].tobytes()
    battery = int(stack.battery_percent[place])
    return {
        "first_sample": int(stack.first_sample[place]),
        "end_sample": int(stack.end_sample[place]),
        "oldest": int(stack.oldest[place]),
        "device_time_s": float(stack.device_time_s[place]),
        "battery_percent": None if battery < 0 else battery,
        "electrodes_off": int(stack.electrodes_off[place]),
        "samples": samples,
        "fixed": (of.recording, of.boot, of.fs_hz, of.leads, of.uv_per_lsb),
    }


def read_alone(payload: bytes) -> dict[str, object]:
    one = packet.decode(payload)
    names = ("first_sample", "end_sample", "oldest", "device_time_s", "battery_percent", "electrodes_off")
    return {name: getattr(one, name) for name in names} | {
        "samples": one.samples.tobytes(),
        "fixed": (one.recording, one.boot, one.fs_hz, one.leads, one.uv_per_lsb),
    }


def assert_honest(first: WaveformPacket, payloads: list[bytes]) -> list[bool]:
    """Whatever fits is read as alone; which fit."""
    encoded = packet.encode(first)
    mould = alike.mould_of(encoded)
    if mould is None:
        return []
    own = [one for one in payloads if len(one) == mould.length]
    if not own:
        return []
    stack = alike.read(mould, own, [alike.frame_of(mould, encoded)] * len(own))
    for place, payload in enumerate(own):
        if stack.fits[place]:
            assert told(stack, place, first) == read_alone(payload)
    return stack.fits.tolist()


@given(packets(), st.data())
def test_bytes_of_any_kind_are_read_as_alone_or_left(first: WaveformPacket, data: st.DataObject) -> None:
    payload = bytearray(packet.encode(first))
    for _ in range(data.draw(st.integers(0, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        packet.decode(bytes(payload))
    except DecodeError:
        assert assert_honest(first, [bytes(payload)]) in ([], [False])
    else:
        assert_honest(first, [bytes(payload), packet.encode(first)])


@given(packets(), st.integers(25, 2**20), st.integers(1, 99))
def test_packets_that_go_on_fit(like: WaveformPacket, second: int, level: int) -> None:
    assume(like.samples.nbytes > 23)  # fewer have a head of their own
    count, rng = like.samples.shape[1], np.random.default_rng(second)

    def at(number: int) -> WaveformPacket:
        return replace(
            like, sequence=2**17 + number, first_sample=2**17 + number * count, oldest=2**16 + number,
            battery_percent=level, device_time_s=1.7e9 + number, samples=rng.permuted(like.samples, axis=1),
        )  # fmt: skip

    following = [packet.encode(at(number)) for number in range(second, second + 5)]
    assert assert_honest(at(second), following) == [True] * 5
