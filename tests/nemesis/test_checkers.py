"""The checkers see each way in which a store can be wrong, and nothing in one that is right."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.nemesis.checkers import Account, Boot, Figures, Piece, check_boot, check_events, check_told
from tests.nemesis.history import Truth
from tests.nemesis.tape import Tape

SIGNAL = Tape(1, length_s=60, noise=True).signal(3)
# 20 packets of 250; 5 and 6 given up unsent, 7 given up though sent and stored all the same, 8 sent and lost.
GIVEN_UP = ((1250, 1750, False), (1750, 2250, True))
TRUTH = Truth(3, "holter-3", UUID(int=7), 1, 1_000, 5_000, GIVEN_UP, 0, True)


def piece(first: int, end: int) -> Piece:
    return Piece(first, SIGNAL(TRUTH.begin + first, end - first))


def right() -> Boot:
    pieces = [piece(at, at + 250) for at in range(0, 5_000, 250) if at not in (1250, 1500, 2000)]
    have = ((0, 1250), (1750, 2000), (2250, 5000))
    return Boot(TRUTH, pieces, Account(5_000, 2_250, 5_000, have), 5_000)


def account(boot: Boot) -> Account:
    assert boot.account is not None
    return boot.account


def without(boot: Boot, first: int) -> Boot:
    return replace(boot, pieces=[one for one in boot.pieces if one.first != first])


def spoilt(boot: Boot) -> Boot:
    samples = boot.pieces[3].samples.copy()
    samples[1, 17] ^= 1
    return replace(boot, pieces=[*boot.pieces[:3], Piece(boot.pieces[3].first, samples), *boot.pieces[4:]])


BREAKS: dict[str, Callable[[Boot], Boot]] = {
    "what was acknowledged is stored": lambda b: without(b, 3_000),
    "nothing is missing but what the device gave up": lambda b: without(b, 4_750),
    "the ledger has what is stored": lambda b: without(b, 1_750),
    "every sample is stored once": lambda b: replace(b, pieces=[*b.pieces, piece(4_000, 4_010)]),
    "stored bits are produced bits": spoilt,
    "only what was produced is stored": lambda b: replace(b, pieces=[*b.pieces, piece(5_000, 5_001)]),
    "what was never sent is not there": lambda b: replace(b, pieces=[*b.pieces, piece(1_250, 1_500)]),
    "the declared gaps are what is missing": lambda b: replace(b, account=replace(account(b), oldest=2_000)),
    "the hub knows how many there were": lambda b: replace(b, account=replace(account(b), final=None)),
}


def test_a_right_store_breaks_nothing() -> None:
    assert check_boot(right(), SIGNAL) == ([], Figures(5_000, 4_250, 750, 1_000))


@pytest.mark.parametrize("promise", BREAKS)
def test_each_wrong_store_is_found(promise: str) -> None:
    broken, _ = check_boot(BREAKS[promise](right()), SIGNAL)
    assert promise in {one.promise for one in broken}


def test_samples_of_another_device_or_place_are_found() -> None:
    for samples in (Tape(1, 60, True).signal(4)(1_000, 250), SIGNAL(1_001, 250)):
        broken, _ = check_boot(replace(right(), pieces=[Piece(0, samples), *right().pieces[1:]]), SIGNAL)
        assert [one.promise for one in broken] == ["stored bits are produced bits"]


def test_an_acknowledged_event_that_is_not_stored_is_found() -> None:
    history: list[dict[str, Any]] = [
        {"kind": "sent", "device": "d", "id": "1.1", "event": "button", "recording": "r"},
        {"kind": "sent", "device": "d", "id": "1.2", "event": "boot", "recording": None},
        {
            "kind": "ack",
            "device": "d",
            "recording": None,
            "boot": 0,
            "next_sample": 0,
            "events": ["1.1", "1.2"],
        },
    ]
    assert check_events(history, {"d/1.1"}) == []
    assert [one.subject for one in check_events(history, set())] == ["d/1.1"]


def test_a_page_that_tells_another_count_is_found() -> None:
    figures = {"r": Figures(500, 400, 100, 100)}
    told = {"produced": 500, "stored": 400, "declared_lost": 100, "waiting": 0}
    assert check_told("the page", {"r": told}, figures) == []
    assert len(check_told("the page", {"r": told | {"waiting": 1}}, figures)) == 1
    assert len(check_told("the page", {}, figures)) == 1
