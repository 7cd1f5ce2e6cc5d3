"""What must hold after a run, whatever was done to the hub. Pure: the devices' truth, the history and the store in, the
broken promises out. Nothing here uses the hub's own arithmetic: samples are counted one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.fields import Range
from devices.simulator.holter import Signal
from tests.nemesis.history import Truth, acknowledged_events, sent_events, shortened

Flags = NDArray[np.bool_]

# Events that say something of the device only: without a recording their state is all that is kept.
OF_THE_DEVICE: Final = frozenset({"boot", "online", "offline", "battery", "command"})


@dataclass(frozen=True)
class Piece:
    """A stored stretch of one boot, as the database holds it."""

    first: int
    samples: NDArray[np.int16]  # [lead, sample]

    @property
    def end(self) -> int:
        count: int = self.samples.shape[1]
        return self.first + count


@dataclass(frozen=True)
class Account:
    """The hub's ledger of one boot, as the database holds it."""

    produced: int
    oldest: int
    final: int | None
    have: tuple[Range, ...]


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept."""

    promise: str
    subject: str
    words: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.subject}: {self.words}"


@dataclass(frozen=True)
class Boot:
    """Everything known of one boot of one recording after the drain."""

    truth: Truth
    pieces: Sequence[Piece]
    account: Account | None
    acknowledged: int  # the highest `next_sample` the device was told

    @property
    def subject(self) -> str:
        return f"{self.truth.device_id} boot {self.truth.boot}"


@dataclass(frozen=True)
class Figures:
    """Samples of one boot, of one lead."""

    produced: int
    stored: int
    lost: int
    given_up: int


def check_boot(boot: Boot, signal: Signal) -> tuple[list[Broken], Figures]:
    """The promises about samples; `signal` is what the device's electrodes saw."""
    truth, length = boot.truth, _length(boot)
    times = _times_stored(boot.pieces, length)
    stored, produced = times > 0, _flags(length, [(0, truth.produced)])
    missing = produced & ~stored
    given_up = _flags(length, [(first, end) for first, end, _ in truth.given_up])
    never_sent = _flags(length, [(first, end) for first, end, sent in truth.given_up if not sent])
    acknowledged = _flags(length, [(0, boot.acknowledged)])
    found = {
        "every sample is stored once": times > 1,
        "only what was produced is stored": stored & ~produced,
        "what was never sent is not there": stored & never_sent,
        "nothing is missing but what the device gave up": missing & ~given_up,
        "what was acknowledged is stored": acknowledged & ~stored & ~given_up,
        "the ledger has what is stored": _flags(length, boot.account.have if boot.account else ()) ^ stored,
        "the declared gaps are what is missing": _declared(boot.account, length) ^ missing,
        "stored bits are produced bits": _differing(boot, signal, length),
    }
    broken = [
        Broken(promise, boot.subject, shortened(ranges_of(flags)))
        for promise, flags in found.items()
        if flags.any()
    ]
    broken += _check_counts(boot)
    return broken, Figures(truth.produced, int(stored.sum()), int(missing.sum()), truth.discarded)


def _check_counts(boot: Boot) -> list[Broken]:
    account, truth = boot.account, boot.truth
    told = None if account is None else account.final
    known = truth.produced if truth.count_known else None
    if told != known or (account is not None and account.produced < truth.produced and truth.count_known):
        words = f"the device made {truth.produced}, the hub knows {told}"
        return [Broken("the hub knows how many there were", boot.subject, words)]
    return []


def _length(boot: Boot) -> int:
    account = boot.account
    known = [piece.end for piece in boot.pieces] + [end for _, end in (account.have if account else ())]
    return max([boot.truth.produced, boot.acknowledged, account.oldest if account else 0, *known])


def _times_stored(pieces: Iterable[Piece], length: int) -> NDArray[np.int32]:
    times = np.zeros(length, np.int32)
    for piece in pieces:
        times[piece.first : piece.end] += 1
    return times


def _flags(length: int, ranges: Iterable[Range]) -> Flags:
    flags = np.zeros(length, np.bool_)
    for first, end in ranges:
        flags[first:end] = True
    return flags


def _declared(account: Account | None, length: int) -> Flags:
    """Below `oldest` and not in the ledger: lost by the device's own word."""
    if account is None:
        return np.zeros(length, np.bool_)
    return _flags(length, [(0, account.oldest)]) & ~_flags(length, account.have)


def _differing(boot: Boot, signal: Signal, length: int) -> Flags:
    flags = np.zeros(length, np.bool_)
    for piece in boot.pieces:
        expected = signal(boot.truth.begin + piece.first, piece.end - piece.first)
        flags[piece.first : piece.end] |= (expected != piece.samples).any(axis=0)
    return flags


def ranges_of(flags: Flags) -> list[Range]:
    """Where flags are set, as half-open ranges."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def check_lossless(truths: Iterable[Truth]) -> list[Broken]:
    """Buffers were larger than every outage: no device gave anything up, and none still holds anything."""
    return [
        Broken("nothing was given up", truth.device_id, shortened([(a, b) for a, b, _ in truth.given_up]))
        for truth in truths
        if truth.given_up
    ]


def check_drained(truths: Iterable[Truth]) -> list[Broken]:
    return [
        Broken("every buffer is drained", truth.device_id, f"{truth.held} samples still held")
        for truth in truths
        if truth.held
    ]


def check_events(history: Sequence[Mapping[str, Any]], stored: set[str]) -> list[Broken]:
    """An event that was acknowledged and names a recording is stored; `stored` are ids `device/event`."""
    sent = sent_events(history)
    lost = [
        f"{device}/{event}"
        for device, event in sorted(acknowledged_events(history))
        if sent.get((device, event)) is not None and f"{device}/{event}" not in stored
    ]
    return [Broken("an acknowledged event is stored", one, "is not there") for one in lost]


def check_told(
    where: str, told: Mapping[str, Mapping[str, int]], truly: Mapping[str, Figures]
) -> list[Broken]:
    """Somewhere people look: (subject -> produced, stored, declared_lost, waiting) says what is so."""
    broken = []
    for subject, figures in truly.items():
        so = {
            "produced": figures.produced,
            "stored": figures.stored,
            "declared_lost": figures.lost,
            "waiting": 0,
        }
        said = {name: told.get(subject, {}).get(name) for name in so}
        if said != so:
            broken.append(Broken(f"{where} tells the ledger", subject, f"says {said}, is {so}"))
    return broken
