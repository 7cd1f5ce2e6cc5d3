"""The live analysers: what they are given, what they tell, and that their states are saved a few at a time."""

from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.fusion import QUALITIES
from hub.core.fields import to_json
from hub.ingest import analysis
from hub.ingest.analysis import Live, LiveAnalysis, Second, Snapshot
from hub.ingest.bindings import Recording
from hub.ingest.samples import instant
from hub.ingest.seconds import second_json
from hub.ingest.signals import Signal, Signals
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


INSTANTS_US = st.integers(0, 4_000_000_000_000_000) | st.integers(0, 4_000_000_000).map(
    lambda s: s * 1_000_000
)


@given(
    at_us=INSTANTS_US,
    anchor_us=INSTANTS_US,
    sample=st.integers(0, 2**40),
    rate_bpm=st.none() | st.floats(0.1, 400.0).map(lambda rate: round(rate, 1)),
    beats=st.lists(st.integers(0, 2**40), max_size=4),
    quality=st.lists(st.sampled_from(QUALITIES), max_size=12),
)
def test_a_second_is_told_as_the_encoder_would_tell_it(
    at_us: int, anchor_us: int, sample: int, rate_bpm: float | None, beats: list[int], quality: list[str]
) -> None:
    second = Second(recorded(), 3, sample, rate_bpm, tuple(beats), tuple(quality), ())
    assert second_json(second, at_us, anchor_us, ()) == to_json(
        {
            "boot": 3, "sample": sample, "at": instant(at_us), "anchor_at": instant(anchor_us), "rate_bpm": rate_bpm,
            "beats": beats, "quality": quality, "findings": [],
        }
    )  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from([-1, 0, 0, 0, 0, 0, 1]), st.sampled_from([0, 0, 1])),
            max_size=6,
        ),
        min_size=4,
        max_size=8,
    )
)
def test_signals_in_columns_are_analysed_as_those_that_come_one_by_one(
    ticks: list[list[tuple[int, int, int]]],
) -> None:
    """Whether they go on, come again, leave a gap or begin a boot, and whoever shares their tick."""
    recordings, heart = [recorded() for _ in range(4)], noise(60 * FS_HZ)
    together, apart = LiveAnalysis(), LiveAnalysis()
    boots, ends = [1] * 4, [0] * 4
    for tick in ticks:
        rows = list[Signal]()
        for number, gap, is_new_boot in tick:
            boots[number] += is_new_boot
            first = max(0, ends[number] + gap * FS_HZ)
            ends[number] = first + FS_HZ
            piece = heart[:, first : first + FS_HZ]
            rows.append(Signal(recordings[number], boots[number], first, 2 * (gap > 0), piece))
        if rows:
            columns = Signals(
                [one.recording for one in rows], [one.boot for one in rows], [one.first_sample for one in rows],
                np.array([one.electrodes_off for one in rows]), np.stack([one.samples for one in rows]),
            )  # fmt: skip
            found = together.advance_together([columns])
            expected = apart.advance(rows)
            assert sorted(map(_told, found)) == sorted(map(_told, expected))
        assert sorted(together.seconds(), key=_id) == sorted(apart.seconds(), key=_id)
        saved = [sorted(one.snapshots(world.AT.timestamp()), key=_id) for one in (together, apart)]
        assert saved[0] == saved[1]


def _told(live: Live) -> str:
    return f"{live.recording.id} {live.boot} {live.finding}"


def _id(one: Second | Snapshot) -> str:
    return str(one.recording_id if isinstance(one, Snapshot) else one.recording.id)
