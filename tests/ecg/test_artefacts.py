"""What is thrown away after the stream: summits of noise, never what resembles its neighbour or stands in quiet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ecg import artefacts, score
from ecg.beat_classes import reclassified
from ecg.holter import streamed
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.strips import LEADS

FS_HZ, SECONDS = 250, 300
SCRIPT = (
    Segment("sinus", 100, 70), Segment("pvc", 60, 75), Segment("vt", 6, 170), Segment("af", 60, 95),
    Segment("vt", 4, 120), Segment("sinus", 70, 55),
)  # fmt: skip


USED = (
    "likeness", "likeness_most", "likeness_near", "like_before", "like_after", "unlike_qrs",
    "rr_before", "rr_after", "rr_pair", "height", "width",
)  # fmt: skip


def heart(seed: int, noise_share: float = 0.0) -> tuple[Record, score.Beats]:
    """Five minutes of three leads; noise near the band of the QRS, a share of its height, comes and goes by 20 s."""
    made = Synthesiser(seed, FS_HZ, LEADS, SCRIPT)
    samples, (at, kinds) = made.samples(0, SECONDS * FS_HZ).astype(float), made.beats(0, SECONDS * FS_HZ)
    chance = np.random.default_rng(seed)
    ragged = np.apply_along_axis(
        np.convolve, 1, chance.normal(0, 1, samples.shape), np.ones(5) / 5**0.5, "same"
    )
    turns = (np.arange(samples.shape[1]) // (20 * FS_HZ)) % 2
    samples += noise_share * np.ptp(samples[:, : 5 * FS_HZ], axis=1, keepdims=True) * ragged * turns
    leads = (
        Lead(code, FS_HZ, 5.0, 0, np.rint(row).astype(np.int16))
        for code, row in zip(LEADS, samples, strict=True)
    )
    return Record(tuple(leads)), score.Beats(at, kinds)


def false_and_missed(reference: score.Beats, sample: NDArray[np.int64]) -> tuple[int, int]:
    pairs = score.pair(reference.sample, sample, 0.15 * FS_HZ)
    return sum(i is None for i, _ in pairs), sum(j is None for _, j in pairs)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_quiet_record_keeps_every_beat(seed: int) -> None:
    record, _ = heart(seed)
    found = streamed(record)
    assert reclassified(found, record.leads).sample.tolist() == found.sample.tolist()


def test_false_detections_in_noise_go_and_beats_stay() -> None:
    before, after, beats = np.zeros(2, int), np.zeros(2, int), 0
    for seed in range(1, 5):
        record, reference = heart(seed, 0.12)
        beats += len(reference.sample)
        found = streamed(record)
        before += false_and_missed(reference, found.sample)
        after += false_and_missed(reference, reclassified(found, record.leads).sample)
    assert after[0] < 0.5 * before[0], (before, after)
    assert after[1] - before[1] < 0.015 * beats, (before, after, beats)


@given(st.integers(0, 2**32 - 1))
def test_what_resembles_a_neighbour_or_stands_in_quiet_is_kept(seed: int) -> None:
    """Whatever else its numbers are."""
    chance = np.random.default_rng(seed)
    rows = {name: chance.normal(0, 2, 50) for name in USED}
    rows["noise_least"], rows["noise_mean"] = chance.exponential(0.02, (2, 50))
    thrown = artefacts.artefacts(rows)
    alike = np.maximum(rows["like_before"], rows["like_after"]) >= artefacts.ALIKE_FROM
    assert not thrown[alike | (rows["noise_least"] <= artefacts.CLEAN_BELOW)].any()
    assert np.isfinite(list(artefacts.weights().values())).all()
