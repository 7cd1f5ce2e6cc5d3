"""Classes of beats told afterwards: what must not matter, what must be found, and how classes are counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg import beat_classes, beat_features, beat_shapes, score
from ecg.analysis import CLASSES
from ecg.beat_rhythm import running_median
from ecg.holter import analyse, streamed
from ecg.models import logistic
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


def test_the_model_is_plain_numbers_that_fit_the_features() -> None:
    found, given_record = streamed(record(SAMPLES)), record(SAMPLES)
    leads, readable = beat_classes.chosen(found, given_record.leads)
    x, place = beat_classes.signals(leads, FS_HZ, found.sample)
    rows = beat_features.block_features(
        beat_shapes.cut_out(x, place, readable), found.rr_s.astype(np.float64)
    )
    m = beat_classes.model()
    assert set(m.names) == rows.keys() - {"kind_index"} and set(m.weight) == set("VS")
    assert all(np.isfinite(rows[name]).all() for name in m.names)
    assert np.isfinite([m.centre, m.scale, *m.weight.values()]).all() and (m.scale > 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_log_odds_are_of_each_beat_alone_and_no_number_decides(seed: int) -> None:
    """A beat's odds do not hang on its companions, and however wild one number is, it adds no more than its limit."""
    generator, m = np.random.default_rng(seed), beat_classes.model()
    rows = {
        name: generator.normal(c, 2 * s, 40) for name, c, s in zip(m.names, m.centre, m.scale, strict=True)
    }
    told = logistic.log_odds(m, rows)
    some = generator.permutation(40)[:7]
    few = logistic.log_odds(m, {name: row[some] for name, row in rows.items()})
    place = int(generator.integers(len(m.names)))
    wild = logistic.log_odds(m, {**rows, m.names[place]: generator.normal(0, 1e6, 40)})
    for what, weight in m.weight.items():
        z = [np.clip((rows[n] - c) / s, -4, 4) for n, c, s in zip(m.names, m.centre, m.scale, strict=True)]
        assert told[what] == pytest.approx(m.constant[what] + weight @ np.array(z))
        assert few[what].tolist() == told[what][some].tolist()
        assert np.abs(wild[what] - told[what]).max() <= 8 * abs(weight[place]) + 1e-9


def test_a_model_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m = beat_classes.model()
    monkeypatch.setattr(logistic, "FOLDER", tmp_path)
    logistic.save("again", m)
    again = logistic.load("again")
    assert (again.names, again.constant, again.cut) == (m.names, m.constant, m.cut)
    arrays = [
        (again.centre, m.centre),
        (again.scale, m.scale),
        *((again.weight[k], m.weight[k]) for k in m.weight),
    ]
    assert all((a == b).all() for a, b in arrays)


@given(st.lists(st.floats(-6, 6), min_size=30, max_size=30), st.integers(0, 2**32 - 1))
def test_beats_of_one_kind_are_ventricular_together(odds: list[float], seed: int) -> None:
    kind = np.random.default_rng(seed).integers(-1, 4, 30)
    given_odds = np.array(odds)
    told = beat_classes.of_kinds(given_odds, kind.astype(float))
    assert told[kind < 0].tolist() == given_odds[kind < 0].tolist()
    for k in set(kind[kind >= 0].tolist()):
        assert len(set(told[kind == k].tolist())) == 1
        assert told[kind == k][0] == pytest.approx(given_odds[kind == k].mean(), abs=1e-9)


def test_every_other_beat_of_a_run_is_not_usual_and_another_posture_is() -> None:
    """A kind that is common nearby is usual where it follows itself, or a pause: hardly early alone is not enough."""
    width = np.full(400, 40.0, np.float32)
    for stays, late in ((True, -0.06), (False, -0.06), (False, 0.05)):
        kind = np.zeros(400, np.int64)
        kind[150:230] = 1 if stays else np.arange(80) % 2 + 1
        early = np.where(kind == 1, late, np.where(kind == 2, -0.3, 0.0))
        usual = beat_features._usual_kinds(kind, 0, early, width).tolist()
        assert usual == ([0, 1] if stays or late > 0 else [0])


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


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3]))
def test_shapes_in_columns_compare_as_one_by_one(seed: int, leads: int) -> None:
    """Concordance of every beat at every shift, against the plain formula."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(leads, 1500)).astype(np.float32).cumsum(axis=1)
    beats = beat_shapes.cut_out(x, np.arange(100, 1400, 100), np.ones((13, leads), bool))
    c = beat_shapes.compared(beats)
    template = beat_shapes.flat(c.seen[4, :, 1 : 1 + beat_shapes.WIDTH])
    found = beat_shapes.concordance(c, np.arange(13), template[None])[..., 0]
    for k in range(13):
        for shift in range(beat_shapes.SHIFTS):
            own = beat_shapes.flat(c.seen[k, :, shift : shift + beat_shapes.WIDTH]).astype(np.float64)
            plain = 2 * (own * template).sum() / ((own * own).sum() + (template * template).sum())
            assert found[k, shift] == pytest.approx(plain, abs=2e-3)
    assert found[4, 1] == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("fs_hz", [125, 128, 250, 360, 500, 1000])
def test_the_grid_is_means_of_20_ms_without_the_mean_of_a_second(fs_hz: int) -> None:
    """Against the area under the samples as steps; a missing sample is as the one before."""
    samples = np.random.default_rng(fs_hz).integers(-2000, 2000, fs_hz * 7 + 31).cumsum().astype(np.int32)
    samples[5 * fs_hz] = -(2**31)
    held = samples.astype(float)
    held[5 * fs_hz] = held[5 * fs_hz - 1]
    lead = Lead(LEADS[0], fs_hz, 5.0, 0, samples, missing=-(2**31))
    (grid,), _ = beat_classes.signals([lead], fs_hz, np.array([0, len(samples)]))
    area = np.concatenate([[0.0], np.cumsum(np.pad(held, fs_hz, mode="edge"))])
    ends = fs_hz * (1 + (np.arange(len(grid)) / 128)[:, None] + np.array([-0.01, 0.01]))
    plain = np.diff(np.interp(ends, np.arange(len(area)), area), axis=1)[:, 0] / (0.02 * fs_hz)
    around = np.pad(plain, 64, mode="edge")
    plain -= np.convolve(around, np.ones(129) / 129, mode="valid")
    assert len(grid) == len(samples) * 128 // fs_hz
    assert np.abs(grid - plain).max() < 1e-5 * np.ptp(held)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | st.floats(0.3, 2.0), min_size=1, max_size=60), st.sampled_from([5, 21, 301]))
def test_running_medians_count_what_is_there(given_s: list[float | None], span: int) -> None:
    """At the ends the window is shorter, and what is unknown stands aside: one of the middle values, none made up."""
    known = [value for value in given_s if value is not None]
    medians = running_median(np.array([np.nan if v is None else v for v in given_s]), span)
    if not known:
        assert np.isnan(medians).all()
        return
    at = [k for k, value in enumerate(given_s) if value is not None]
    for k, place in enumerate(at):
        near = sorted(known[max(0, k - span // 2) : k + span // 2 + 1])
        assert near[(len(near) - 1) // 2] <= medians[place] <= near[len(near) // 2]
    assert set(medians.tolist()) <= set(known)


def test_another_posture_is_usual_and_a_run_is_not() -> None:
    """A shape that stays for minutes at the usual rate is compared with itself; fast wide beats never are."""
    turned = SAMPLES.astype(np.float64)
    half = SAMPLES.shape[1] // 2
    turned[0, half:] = SAMPLES[1, half:] * -0.5  # the first lead now looks from elsewhere
    found = analyse(record(np.rint(turned)))
    true = np.array(list(HEART.beats(0, SECONDS * FS_HZ)[1]))
    at = HEART.beats(0, SECONDS * FS_HZ)[0]
    own = true[[int(np.abs(at - sample).argmin()) for sample in found.sample]]
    called = np.array([CLASSES[k] for k in found.kind])
    assert (called[own == "N"] == "V").mean() < 0.02 and (called[own == "V"] == "V").mean() > 0.9


def test_short_records_stay_as_the_stream_saw_them() -> None:
    short = record(SAMPLES[:, : 10 * FS_HZ])
    assert analyse(short).kind.tolist() == streamed(short).kind.tolist()
