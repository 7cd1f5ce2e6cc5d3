"""Classes of beats told afterwards: what must not matter, what must be found, and how classes are counted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg import beat_classes, beat_features, score
from ecg.analysis import CLASSES
from ecg.holter import analyse, streamed
from ecg.models.trees import Trees, log_odds, nested, walked
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.strips import LEADS

FS_HZ, SECONDS = 250, 300
HEART = Synthesiser(
    11, FS_HZ, LEADS, (Segment("sinus", 60, 70), Segment("pvc", 120, 75), Segment("sinus", 120, 60))
)
SAMPLES = HEART.samples(0, SECONDS * FS_HZ)


def record(samples: np.ndarray, fs_hz: int = FS_HZ, leads: int = 3) -> Record:
    return Record(tuple(Lead(LEADS[k], fs_hz, 5.0, 0, samples[k].astype(np.int16)) for k in range(leads)))


def classes(given: Record) -> str:
    return "".join(CLASSES[k] for k in analyse(given).kind)


@pytest.mark.parametrize("leads", [2, 3])
@pytest.mark.parametrize("fs_hz", [125, 128, 250, 360, 500])
def test_ventricular_beats_are_found_at_any_rate_on_any_number_of_leads(fs_hz: int, leads: int) -> None:
    heart = Synthesiser(11, fs_hz, LEADS, (Segment("sinus", 60, 70), Segment("pvc", 120, 75)))
    at, kinds = heart.beats(0, 180 * fs_hz)
    found = analyse(record(heart.samples(0, 180 * fs_hz), fs_hz, leads))
    called = score.Beats(found.sample, "".join(CLASSES[k] for k in found.kind))
    late = score.SKIPPED_S * fs_hz  # so that the learning period of the scoring rules hides nothing
    counts = score.score(
        score.Beats(at + int(late), kinds), replace(called, sample=called.sample + int(late)), fs_hz
    )
    assert counts["veb_tp"] >= 10 and counts["veb_fn"] <= 1 and counts["veb_fp"] <= 1


@pytest.mark.parametrize("rate_bpm", [115, 150, 190])
@pytest.mark.parametrize("leads", [1, 3])
def test_a_run_of_wide_beats_is_ventricular_however_fast_and_regular(rate_bpm: int, leads: int) -> None:
    script = (Segment("sinus", 60, 72), Segment("vt", 8, rate_bpm), Segment("sinus", 60, 72))
    heart, count = Synthesiser(5, FS_HZ, LEADS, script), 128 * FS_HZ
    at, kinds = heart.beats(0, count)
    given_record = record(np.roll(heart.samples(0, count), -1, axis=0), leads=leads)  # V1 first
    found = analyse(given_record)
    true = np.array(list(kinds))[[int(np.abs(at - sample).argmin()) for sample in found.sample]]
    called = np.array([CLASSES[k] for k in found.kind])
    assert (called[true == "V"] == "V").mean() > 0.9 and (called[true == "N"] == "N").mean() > 0.98


@settings(max_examples=10, deadline=None)
@given(signs=st.tuples(*[st.sampled_from([-1, 1])] * 3), gain=st.sampled_from([1, 2, 3]))
def test_a_lead_turned_round_or_another_gain_changes_no_class(signs: tuple[int, ...], gain: int) -> None:
    turned = SAMPLES.astype(np.int64) * np.array(signs)[:, None] * gain
    plain = streamed(record(SAMPLES))
    again = beat_classes.reclassified(plain, record(np.clip(turned, -32766, 32766)).leads)
    assert again.kind.tolist() == beat_classes.reclassified(plain, record(SAMPLES).leads).kind.tolist()


def test_the_model_is_plain_arrays_that_fit_the_features() -> None:
    found, given_record = streamed(record(SAMPLES)), record(SAMPLES)
    leads, readable = beat_classes.chosen(found, given_record.leads)
    x, place = beat_classes.signals(leads, FS_HZ, found.sample)
    rows = beat_features.block_features(
        beat_features.cut_out(x, place, readable), found.rr_s.astype(np.float64)
    )
    m = beat_classes.model()
    assert set(m.names) <= rows.keys()
    assert all(np.isfinite(rows[name]).all() for name in m.names)
    for ensemble in (m.ventricular, m.supraventricular):
        assert {array.dtype.kind for array in ensemble} <= set("iuf")
        assert ensemble.feature.max() < len(m.names)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_masks_of_leaves_lead_where_walking_the_tree_leads(seed: int) -> None:
    """Random trees of eight leaves: a node's mask is built from the leaves on its right."""
    generator = np.random.default_rng(seed)
    features, thresholds, rights, walks = [], [], [], []
    for _ in range(5):
        nodes: list[tuple[int, float, int]] = []

        def grow(leaves: list[int], nodes: list[tuple[int, float, int]] = nodes) -> object:
            if len(leaves) == 1:
                return leaves[0]
            cut = int(generator.integers(1, len(leaves)))
            feature, threshold = int(generator.integers(0, 4)), float(generator.normal())
            nodes.append((feature, threshold, 255 & ~sum(1 << leaf for leaf in leaves[:cut])))
            return feature, threshold, grow(leaves[:cut]), grow(leaves[cut:])

        walks.append(grow(list(range(8))))
        features.append([n[0] for n in nodes])
        thresholds.append([n[1] for n in nodes])
        rights.append([n[2] for n in nodes])
    value = generator.normal(size=(5, 8))
    trees = Trees(np.array(features), np.array(thresholds), np.array(rights, np.uint8), value)
    x = generator.normal(size=(30, 4))

    def leaf_of(node: object, row: np.ndarray) -> int:
        while isinstance(node, tuple):
            feature, threshold, left, right = node
            node = right if row[feature] > threshold else left
        assert isinstance(node, int)
        return node

    expected = [sum((float(value[t, leaf_of(walks[t], row)]) for t in range(5)), 0.0) for row in x]
    assert log_odds(trees, list(x.T)).tolist() == expected
    assert [walked(nested(trees), row) for row in x.tolist()] == expected


@pytest.mark.parametrize(
    ("true", "called", "counted"),
    [
        ("V", "V", "veb_tp"), ("V", "S", "veb_fn sveb_fp"), ("V", "Q", "veb_fn"), ("S", "V", "sveb_fn veb_fp"),
        ("S", "S", "sveb_tp"), ("S", "F", "sveb_fn"), ("N", "V", "veb_fp"), ("N", "S", "sveb_fp"), ("N", "F", ""),
        ("F", "V", ""), ("F", "S", "sveb_fp"), ("Q", "V", ""), ("Q", "S", ""), ("", "V", "veb_fp"),
        ("", "S", "sveb_fp"),
        ("V", "", "veb_fn"), ("S", "", "sveb_fn"),
    ],
)  # fmt: skip
def test_classes_are_counted_as_bxb_counts_them(true: str, called: str, counted: str) -> None:
    """WFDB bxb.c: VFP = Nv + Sv + Ov + Xv, SFP = Ns + Vs + Fs + Os + Xs; missed ones whatever they were called."""
    at = np.array([200_000], np.int64)
    reference, test = (score.Beats(at[: len(kind)], kind) for kind in (true, called))
    counts = score.score(reference, test, 360)
    assert {key for key, count in counts.items() if count and not key.startswith("qrs")} == set(
        counted.split()
    )


def test_short_records_stay_as_the_stream_saw_them() -> None:
    short = record(SAMPLES[:, : 10 * FS_HZ])
    assert analyse(short).kind.tolist() == streamed(short).kind.tolist()
