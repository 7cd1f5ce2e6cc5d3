"""The live analysers' states are saved a few at a time, each in its turn."""

from uuid import uuid4

import pytest

from hub.ingest import analysis
from hub.ingest.analysis import LiveAnalysis, Signal
from hub.ingest.bindings import Recording
from tests import world
from tests.monitoring import FS_HZ, LEADS, UV_PER_LSB, noise

AT_ONCE = 3
RECORDINGS = 10
IN_TURN = -(-RECORDINGS // AT_ONCE)  # commits until each has been saved
COMMITS = 4 * IN_TURN


def recorded() -> Recording:
    return Recording(
        uuid4(), "holter-1", "00", uuid4(), uuid4(), "recording", True, FS_HZ, LEADS, UV_PER_LSB, False
    )


def test_of_more_states_than_are_saved_at_once_each_is_saved_in_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Although each is due again with every commit, as while a backlog comes."""
    monkeypatch.setattr(analysis, "SAVED_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(analysis, "SAVE_EVERY_S", 1.0)
    recordings, second = [recorded() for _ in range(RECORDINGS)], noise(FS_HZ)
    analysers, saved = LiveAnalysis(), []
    for number in range(COMMITS):
        analysers.advance([Signal(one, 1, number * FS_HZ, 0, second) for one in recordings])
        now_s = world.AT.timestamp() + number
        snapshots = analysers.snapshots(now_s)
        assert {one.next_sample for one in snapshots} == {(number + 1) * FS_HZ}
        analysers.saved(snapshots, now_s)
        saved.append([one.recording_id for one in snapshots])
    assert [len(set(ids)) for ids in saved] == [AT_ONCE] * COMMITS
    for first in range(COMMITS - IN_TURN + 1):
        of_a_turn = {one for ids in saved[first : first + IN_TURN] for one in ids}
        assert of_a_turn == {one.id for one in recordings}
