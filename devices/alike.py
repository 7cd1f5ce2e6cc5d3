"""Packets like the one before: thousands of the usual layout read in one go.

A device's packets differ from each other in a few counters, the time, the level of its battery and the samples; all
other bytes stay. Packets whose changing fields lie in the same places have the same `Mould`; a stack of them is
compared with what is known of their senders, and their fields are read as columns. What does not fit is left to
`packet.decode`, which would have read the same values from what does.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices import fields
from devices.packet import USUAL_HEAD, USUAL_TAIL, format_of

_SHORT: Final = (1, 2, 4)  # bytes of a counter that a stack can hold
_NO_BATTERY: Final = b"\xf6"
_FLAT_END: Final = 24  # a number below it is in the item's first byte (RFC 8949, 3)
_FLAT: Final = 0x1F


class Place(NamedTuple):
    """Where a number is; without octets of its own it is in the item's first byte."""

    at: int
    octets: int


class Mould(NamedTuple):
    """The layout of a packet: what may change lies at these places, the rest is fixed."""

    length: int
    sequence: Place
    first_sample: Place
    device_time_at: int
    samples_at: int
    samples_end: int
    electrodes_off: Place
    oldest: Place
    battery: Place | None
    fs_hz: int
    lead_count: int

    @property
    def sample_count(self) -> int:
        """Samples of each lead."""
        return (self.samples_end - self.samples_at) // (2 * self.lead_count)


@dataclass(frozen=True, slots=True)
class Stack:
    """Packets of one mould as columns, in the order given; values are read only where `fits`."""

    mould: Mould
    fits: NDArray[np.bool_]
    first_sample: NDArray[np.int64]
    oldest: NDArray[np.int64]
    device_time_s: NDArray[np.float64]
    battery_percent: NDArray[np.int64]  # -1: not told
    electrodes_off: NDArray[np.int64]
    sample_bytes: NDArray[np.uint8]  # [packet, byte]

    def only(self, kept: NDArray[np.bool_]) -> "Stack":
        """Those of its packets."""
        return Stack(
            self.mould, self.fits[kept], self.first_sample[kept], self.oldest[kept], self.device_time_s[kept],
            self.battery_percent[kept], self.electrodes_off[kept], self.sample_bytes[kept],
        )  # fmt: skip

    @property
    def samples(self) -> NDArray[np.int16]:
        """[packet, lead, sample]"""
        plain = np.ascontiguousarray(self.sample_bytes).view("<i2")
        return plain.reshape(len(plain), self.mould.lead_count, -1)

    @property
    def end_sample(self) -> NDArray[np.int64]:
        return self.first_sample + self.mould.sample_count


def mould_of(payload: bytes) -> Mould | None:
    """The mould of a packet that `packet.decode` accepts; None if it has not the usual layout, or huge counters."""
    head = USUAL_HEAD.match(payload)
    form = format_of(head[6]) if head is not None else None
    if head is None or form is None:
        return None
    size = head[7][0] if head[8] is None else int.from_bytes(head[8], "big")
    tail = USUAL_TAIL.fullmatch(payload, head.end() + size)
    if tail is None:
        return None
    sequence, first = _place(head.span(3)), _place(head.span(4))
    electrodes_off, oldest = _place(tail.span(1)), _place(tail.span(2))
    if any(place.octets not in (0, *_SHORT) for place in (sequence, first, electrodes_off, oldest)):
        return None
    battery = None if tail[3] == _NO_BATTERY else _place(tail.span(3))
    return Mould(
        len(payload), sequence, first, head.start(5), head.end(), head.end() + size, electrodes_off, oldest,
        battery, form.fs_hz, len(form.leads),
    )  # fmt: skip


def _place(span: tuple[int, int]) -> Place:
    start, end = span
    return Place(start, 0) if end - start == 1 else Place(start + 1, end - start - 1)


def read(mould: Mould, payloads: Sequence[bytes], frames: Sequence[bytes]) -> Stack:
    """Read packets of the mould's length; `frames` are of earlier packets of this mould by the same senders."""
    count, head = len(payloads), mould.samples_at
    new = np.frombuffer(b"".join(payloads), np.uint8).reshape(count, mould.length)
    old = np.frombuffer(b"".join(frames), np.uint8).reshape(count, -1)
    before, behind = _fixed(mould)
    differs = ((new[:, :head] != old[:, :head]) & before).any(axis=1)
    differs |= ((new[:, mould.samples_end :] != old[:, head:]) & behind).any(axis=1)
    first, oldest = _whole(new, mould.first_sample), _whole(new, mould.oldest)
    time_at = mould.device_time_at
    time_s = np.ascontiguousarray(new[:, time_at : time_at + 8]).view(">f8")[:, 0].astype(np.float64)
    battery = np.full(count, -1, np.int64) if mould.battery is None else _whole(new, mould.battery)
    is_sound = (
        _still_flat(new, mould.sequence)
        & (oldest <= first)
        & (time_s >= 0.0)
        & (time_s <= fields.MAX_TIME_S)
        & (battery <= 100)
    )
    return Stack(
        mould, ~differs & is_sound, first, oldest, time_s, battery, _whole(new, mould.electrodes_off),
        new[:, head : mould.samples_end],
    )  # fmt: skip


def frame_of(mould: Mould, payload: bytes) -> bytes:
    """A packet without its samples."""
    return payload[: mould.samples_at] + payload[mould.samples_end :]


@functools.lru_cache(1 << 10)
def _fixed(mould: Mould) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which bytes before and behind the samples never change."""
    fixed = np.ones(mould.length, np.bool_)
    for place in (mould.sequence, mould.first_sample, mould.oldest, mould.battery or Place(0, 0)):
        fixed[place.at : place.at + place.octets] = False
    fixed[mould.sequence.at] = False  # a young boot's, too: 24 packets are few, but all begin with them
    fixed[mould.device_time_at : mould.device_time_at + 8] = False
    return fixed[: mould.samples_at], fixed[mould.samples_end :]


def _still_flat(packets: NDArray[np.uint8], place: Place) -> NDArray[np.bool_] | bool:
    """Whether a number without octets of its own still needs none."""
    return bool(place.octets) or packets[:, place.at] < _FLAT_END


def _whole(packets: NDArray[np.uint8], place: Place) -> NDArray[np.int64]:
    if not place.octets:
        return (packets[:, place.at] & _FLAT).astype(np.int64)
    octets = np.ascontiguousarray(packets[:, place.at : place.at + place.octets])
    return octets.view(f">u{place.octets}")[:, 0].astype(np.int64)
