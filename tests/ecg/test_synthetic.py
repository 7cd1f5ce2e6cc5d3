"""The seeded heart: any window, in any cut, is the same; its truth is where the signal says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.synthetic import DAY, Segment, Synthesiser
from tests.ecg.strips import LEADS


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5000), st.lists(st.integers(0, 700), max_size=8), st.sampled_from([125, 250, 360]))
def test_windows_are_the_same_however_they_are_cut(first: int, counts: list[int], fs_hz: int) -> None:
    script = (
        Segment("pvc", 3.3),
        Segment("vt", 2.1, 170),
        Segment("vf", 2),
        Segment("af", 4.7, off=LEADS[:1]),
    )
    whole = Synthesiser(9, fs_hz, LEADS, script).samples(first, sum(counts))
    heart, at, pieces = Synthesiser(9, fs_hz, LEADS, script), first, [whole[:, :0]]
    for count in counts:
        pieces.append(heart.samples(at, count))
        at += count
    assert (np.concatenate(pieces, axis=1) == whole).all()


def test_seeds_differ_and_the_script_repeats_with_other_beats() -> None:
    a, b = (Synthesiser(seed, 250, LEADS, (Segment("sinus", 20),)) for seed in (1, 2))
    assert (a.samples(0, 2500) != b.samples(0, 2500)).any()
    assert a.beats(0, 5000)[0].tolist() != (a.beats(5000, 5000)[0] - 5000).tolist()


def test_true_beats_lie_on_the_r_extremum() -> None:
    heart = Synthesiser(1, 500, LEADS, (Segment("pvc", 60, noise_uv=0, wander_uv=0),))
    samples, (at, kinds) = heart.samples(0, 30_000), heart.beats(0, 30_000)
    assert "V" in kinds
    for beat, kind in zip(at, kinds, strict=True):
        lead = 0 if kind == "N" else 1
        near = np.abs(samples[lead, beat - 30 : beat + 30])
        assert abs(int(near.argmax()) - 30) <= 5


def test_contact_follows_the_script() -> None:
    heart = Synthesiser(1, 250, LEADS, (Segment("sinus", 4), Segment("sinus", 2, off=LEADS[1:2])))
    on = heart.electrodes_on(500, 2000)
    assert on[0].all() and on[2].all()
    assert on[1].tolist() == [not (1000 <= s % 1500 < 1500) for s in range(500, 2500)]


def test_a_day_of_the_demo_has_every_rhythm() -> None:
    assert {"sinus", "pvc", "af", "vt"} <= {s.rhythm for s in DAY} and any(s.pause_s for s in DAY)
