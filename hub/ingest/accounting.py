"""What of new packets is new, what is there already, and what contradicts what is there. Pure.

The authority is the stored multirange of (recording, boot): overlaps are trimmed; the same index with other bytes
is set aside and the first stays (design section 4).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices import sequencing
from devices.fields import Range
from devices.packet import WaveformPacket
from devices.sequencing import Ledger, Ranges

MICROSECOND: Final = 1_000_000
# A device's clock may be off, but not so far that its samples would lie in another season: beyond this the
# time line starts where the packet arrived, and every day a packet can name has a bound.
PAST_US: Final = 60 * 86_400 * MICROSECOND
FUTURE_US: Final = 2 * 86_400 * MICROSECOND
# The same for where a time line begins: what follows on it may be late by as much again as there is room.
ANCHOR_PAST_US: Final = 45 * 86_400 * MICROSECOND
ANCHOR_FUTURE_US: Final = 86_400 * MICROSECOND
GOES_ON_S: Final = (
    3600  # a packet this near to what is stored goes on from it, whatever the clocks say meanwhile
)
LONGEST_BOOT_S: Final = 400 * 86_400  # no device runs longer without a restart

Key = tuple[UUID, int]  # recording, boot
N = TypeVar("N", int, NDArray[np.int64])
M = TypeVar("M")  # whatever the caller knows a packet's message by


class Boot(NamedTuple):
    """A row of the ledger. `anchor_us` is the instant of sample 0 (unix, on the device's own time line)."""

    recording_id: UUID
    boot: int
    anchor_us: int
    ledger: Ledger

    @property
    def key(self) -> Key:
        return self.recording_id, self.boot


class Piece(NamedTuple):
    """A stretch of samples to be stored, or stored."""

    recording_id: UUID
    boot: int
    first: int
    at_us: int
    electrodes_off: int
    samples: NDArray[np.int16]  # [lead, sample]

    @property
    def end(self) -> int:
        count: int = self.samples.shape[1]
        return self.first + count


@dataclass(frozen=True, slots=True, eq=False)
class Claim(Generic[M]):
    """A packet that says something about samples already stored: to be compared."""

    message: M
    packet: WaveformPacket
    ranges: Ranges


@dataclass(slots=True)
class Account(Generic[M]):
    """One boot after new packets."""

    boot: Boot
    pieces: list[Piece] = field(default_factory=list)
    claims: list[Claim[M]] = field(default_factory=list)
    implausible: list[M] = field(default_factory=list)  # those no time can be given to


def at_us(anchor_us: N, sample: N, fs_hz: N | int) -> N:
    """The instant of a sample on its boot's time line; of many in columns."""
    return anchor_us + (sample * MICROSECOND + fs_hz // 2) // fs_hz


def anchor_for(packet: WaveformPacket, received_s: float) -> int:
    """Where the time line of a boot begins, by its first packet: the device's word, unless it can't be."""
    before_us = at_us(0, packet.first_sample, packet.fs_hz)
    device_us, received_us = (round(s * MICROSECOND) for s in (packet.device_time_s, received_s))
    is_plausible = -ANCHOR_PAST_US <= device_us - received_us <= ANCHOR_FUTURE_US
    return (device_us if is_plausible else received_us) - before_us


def account(boot: Boot, packets: Iterable[tuple[M, WaveformPacket, float]]) -> Account[M]:
    """Account for packets of one boot: (message it came in, packet, received_s), in order of arrival."""
    result: Account[M] = Account(boot)
    ledger = boot.ledger
    for message, packet, received_s in packets:
        first, count = packet.first_sample, packet.samples.shape[1]
        instant_us = at_us(boot.anchor_us, first, packet.fs_hz)
        if not -PAST_US <= instant_us - received_s * MICROSECOND <= FUTURE_US and not _goes_on(
            ledger, packet
        ):
            result.implausible.append(message)
            continue
        ledger, new = sequencing.receive(ledger, first, first + count, packet.oldest)
        if new == ((first, first + count),):
            result.pieces.append(
                Piece(boot.recording_id, boot.boot, first, instant_us, packet.electrodes_off, packet.samples)
            )
            continue
        result.pieces += [_piece(boot, packet, of) for of in new]
        known = sequencing.subtract(((first, first + count),), new)
        result.claims.append(Claim(message, packet, known))
    result.boot = Boot(boot.recording_id, boot.boot, boot.anchor_us, ledger)
    return result


def _goes_on(ledger: Ledger, packet: WaveformPacket) -> bool:
    """Whether a packet is near to what is stored: then it is no matter what the clocks say meanwhile."""
    return bool(ledger.stored) and packet.first_sample <= ledger.seen + GOES_ON_S * packet.fs_hz


def _piece(boot: Boot, packet: WaveformPacket, of: Range) -> Piece:
    first, end = of
    return Piece(
        boot.recording_id,
        boot.boot,
        first,
        at_us(boot.anchor_us, first, packet.fs_hz),
        packet.electrodes_off,
        packet.samples[:, first - packet.first_sample : end - packet.first_sample],
    )


def contradicted(claims: Sequence[Claim[M]], known: Iterable[Piece]) -> list[M]:
    """Messages whose samples differ from those that were there first."""
    pieces = sorted(known, key=lambda piece: piece.first)
    firsts = [piece.first for piece in pieces]
    return [claim.message for claim in claims if _differs(claim, pieces, firsts)]


def _differs(claim: Claim[M], pieces: Sequence[Piece], firsts: Sequence[int]) -> bool:
    origin, samples = claim.packet.first_sample, claim.packet.samples
    for first, end in claim.ranges:
        for piece in pieces[max(0, bisect_right(firsts, first) - 1) :]:
            if piece.first >= end:
                break
            low, high = max(first, piece.first), min(end, piece.end)
            if low < high and not np.array_equal(
                samples[:, low - origin : high - origin],
                piece.samples[:, low - piece.first : high - piece.first],
            ):
                return True
    return False
