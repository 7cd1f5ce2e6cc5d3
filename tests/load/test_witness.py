"""The witness itself: an acknowledgement that came before its samples is found, one behind them is not."""

from typing import Any
from uuid import UUID, uuid4

from tests.load.witness import Commit, early_acknowledgements, out_of_order

RECORDING = uuid4()
STORED = {(RECORDING, 1): [Commit(10.0, 0, 250), Commit(12.0, 500, 750), Commit(13.0, 250, 500)]}


def ack(at_s: float, next_sample: int, recording: UUID = RECORDING) -> dict[str, Any]:
    return {
        "at_s": at_s, "kind": "ack", "device": "d", "recording": str(recording), "boot": 1, "next_sample": next_sample
    }  # fmt: skip


def test_an_acknowledgement_is_held_against_the_commits_before_it() -> None:
    assert early_acknowledgements([ack(10.1, 250), ack(13.1, 750), ack(9.0, 0)], STORED) == (2, [])
    told, early = early_acknowledgements([ack(9.9, 250), ack(12.5, 750), ack(14.0, 1, uuid4())], STORED)
    assert (told, len(early)) == (3, 3)


def test_packets_behind_later_ones_are_counted() -> None:
    assert out_of_order(STORED) == 1
