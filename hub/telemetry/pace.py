"""How fast one page is fed: in order, at most two seconds ahead of what it has shown, skipping when it falls behind.

Pure: packets and the page's acknowledgements in, frames and words out (docs/protocol/websocket.md).
"""

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from devices.packet import WaveformPacket

AHEAD_S: Final = 2.0  # further than this behind: skip to live
SILENT_S: Final = 10.0  # no acknowledgement for so long: close
FRAME_S: Final = 0.2
KIND_SAMPLES: Final = 1
_HEADER: Final = struct.Struct("<BBHfQ")
_SINT16_LE: Final = np.dtype("<i2")


@dataclass(frozen=True, slots=True)
class NewBoot:
    """Samples of another boot follow, in this format; it is told by the packets, not by what was asked for."""

    boot: int
    anchor_s: float
    fs_hz: int
    leads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Samples the page will not get here; they are stored all the same."""

    from_sample: int
    to_sample: int


class Pace:
    """The feed of one page."""

    def __init__(self) -> None:
        self._waiting: deque[WaveformPacket] = deque()
        self._told: tuple[int, int, tuple[str, ...]] | None = None
        self._boot: int | None = None
        self._fs_hz = 1
        self._newest = self._sent = self._acked = 0
        self._heard_s: float | None = None  # when the page said something last, or was sent its first frame

    def offer(self, packet: WaveformPacket) -> None:
        """A packet came; what is older than what came before is not live."""
        boot = self._waiting[-1].boot if self._waiting else self._boot
        if boot is not None and (
            packet.boot < boot or (packet.boot == boot and packet.end_sample <= self._newest)
        ):
            return
        self._newest = packet.end_sample
        self._waiting.append(packet)
        while (
            len(self._waiting) > 1 and self._newest - self._waiting[0].first_sample > SILENT_S * packet.fs_hz
        ):
            self._waiting.popleft()

    def acknowledge(self, sample: int, now_s: float) -> None:
        """The page has shown what lies before `sample`."""
        self._heard_s = now_s
        self._acked = max(self._acked, min(sample, self._sent))

    def is_silent(self, now_s: float) -> bool:
        """Whether the page has stopped taking part."""
        waits = self._sent > self._acked and self._heard_s is not None
        return waits and now_s - (self._heard_s or 0.0) > SILENT_S

    def take(self, now_s: float) -> list[bytes | NewBoot | Skipped]:
        """What to send now."""
        out: list[bytes | NewBoot | Skipped] = []
        while self._waiting:
            packet = self._waiting[0]
            if _format(packet) != self._told:
                out.append(self._begin(packet))
            if self._sent - self._acked > AHEAD_S * self._fs_hz:
                break
            if self._newest - self._sent > (AHEAD_S + 1.0) * self._fs_hz and len(self._waiting) > 1:
                out += self._skip()
                continue
            self._waiting.popleft()
            out += _frames(packet, max(packet.first_sample, self._sent))
            self._sent = packet.end_sample
            self._heard_s = now_s if self._heard_s is None else self._heard_s
        return out

    def _begin(self, packet: WaveformPacket) -> NewBoot:
        self._told, self._boot, self._fs_hz = _format(packet), packet.boot, packet.fs_hz
        self._sent = self._acked = packet.first_sample
        anchor_s = packet.device_time_s - packet.first_sample / packet.fs_hz
        return NewBoot(packet.boot, anchor_s, packet.fs_hz, packet.leads)

    def _skip(self) -> list[bytes | NewBoot | Skipped]:
        """Drop all but the newest packet."""
        newest = self._waiting[-1]
        self._waiting.clear()
        self._waiting.append(newest)
        if newest.boot != self._boot:
            return []
        left_out = Skipped(self._sent, newest.first_sample)
        self._sent = self._acked = newest.first_sample
        return [left_out] if left_out.to_sample > left_out.from_sample else []


def _format(packet: WaveformPacket) -> tuple[int, int, tuple[str, ...]]:
    return packet.boot, packet.fs_hz, packet.leads


def _frames(packet: WaveformPacket, first: int) -> Iterator[bytes]:
    """A packet in frames of at most 200 ms."""
    length = max(1, int(FRAME_S * packet.fs_hz))
    for start in range(first, packet.end_sample, length):
        end = min(start + length, packet.end_sample)
        part = packet.samples[:, start - packet.first_sample : end - packet.first_sample]
        head = _HEADER.pack(KIND_SAMPLES, part.shape[0], end - start, packet.uv_per_lsb, start)
        yield head + np.ascontiguousarray(part, _SINT16_LE).tobytes()
