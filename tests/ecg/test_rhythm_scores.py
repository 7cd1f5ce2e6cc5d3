"""Scores of rhythms: the arithmetic, what is annotated, floors on a few reference records (docs/models/rhythms.md)."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import wfdb as reader
from hypothesis import given
from hypothesis import strategies as st

from bench import rhythms as bench
from ecg import fibrillation, rhythm_score, score
from ecg.analysis import Analysis
from ecg.annotate import annotate, annotations
from ecg.findings import Finding, burden
from ecg.formats import wfdb
from ecg.holter import analyse, streamed
from ecg.record import Lead, Record
from ecg.retelling import retold
from ecg.rhythm_score import Counts, Span
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.strips import LEADS

FIBRILLATING = (
    Segment("sinus", 30),
    Segment("vf", 30),
    Segment("sinus", 30),
    Segment("af", 60, 90),
    Segment("sinus", 60),
)


def spans() -> st.SearchStrategy[list[Span]]:
    edge = st.integers(0, 900).map(lambda tenths: tenths / 10)
    return st.lists(st.tuples(edge, edge).map(lambda pair: (min(pair), max(pair))), max_size=4)


@given(spans(), spans(), spans())
def test_durations_share_out_what_is_not_ignored(
    true: list[Span], called: list[Span], ignored: list[Span]
) -> None:
    counts = rhythm_score.by_duration(true, called, 100.0, ignored)
    total = counts.hit + counts.missed + counts.false + counts.true_negative
    assert total == pytest.approx(100.0 - 0.1 * rhythm_score.covered(ignored, 100.0).sum())
    turned = rhythm_score.by_duration(called, true, 100.0, ignored)
    assert (turned.missed, turned.false) == (counts.false, counts.missed)
    same = rhythm_score.by_duration(true, true, 100.0)
    assert same.missed == same.false == 0 and same.sensitivity_pct in (None, 100.0)


def test_a_window_is_called_from_half_of_it_on() -> None:
    labelled = [(0.0, 5.0, True), (5.0, 10.0, True), (10.0, 15.0, False), (15.0, 20.0, False)]
    assert rhythm_score.by_window(labelled, [(2.5, 7.4), (12.6, 17.5)]) == Counts(1, 1, 1, 1)


def test_an_alarm_is_false_if_it_overlaps_nothing() -> None:
    assert rhythm_score.unexplained([(1, 2), (4, 6), (8, 9)], [(2, 4.5)]) == [(1, 2), (8, 9)]


def test_rhythms_are_scored_by_episode_and_by_duration_after_the_first_five_minutes() -> None:
    def rows(*marks: tuple[int, str, str]) -> list[tuple[int, str, str]]:
        return [(second * 250, symbol, note) for second, symbol, note in marks]

    reference = rows(
        (10, "+", "(AFIB"), (310, "+", "(N"), (400, "+", "(AFIB"), (500, "+", "(N"), (600, "[", ""), (640, "]", "")
    )  # fmt: skip
    called = rows((450, "+", "(AFIB"), (550, "+", "(N"), (700, "+", "(AFL"), (710, "+", "(N"), (610, "[", ""))
    counts = rhythm_score.count(reference, sorted(called), 250, 660.0, 300.0)
    told = {key: value for key, value in counts.items() if value}
    assert told == {
        "af_true_s": 50, "af_missed_s": 60, "af_false_s": 50, "af_other_s": 200, "af_episodes": 2,
        "af_episodes_found": 1, "af_calls": 2, "af_calls_true": 1,
        "vf_true_s": 30, "vf_missed_s": 10, "vf_false_s": 20, "vf_other_s": 300, "vf_episodes": 1,
        "vf_episodes_found": 1, "vf_calls": 1, "vf_calls_true": 1,
    }  # fmt: skip
    rates = rhythm_score.rates(counts)
    assert rates["af_episode_se_pct"] == rates["af_episode_ppv_pct"] == 50
    assert rates["vf_duration_se_pct"] == 75 and rates["af_duration_sp_pct"] == 80


def test_a_folder_scored_against_itself_is_perfect_and_paced_beats_are_not_judged(tmp_path: Path) -> None:
    seconds = np.arange(1, 700) * 250
    for name, odd in (("plain", "V"), ("paced", "/")):
        symbols = [odd if k % 9 == 0 else "A" if k % 7 == 0 else "N" for k in range(len(seconds))]
        reader.wrsamp(
            name, 250, ["mV"], ["II"], np.zeros((700 * 250, 1)), fmt=["16"], write_dir=str(tmp_path)
        )
        rows = [(int(at), symbol, "") for at, symbol in zip(seconds, symbols, strict=True)]
        rows = sorted([*rows, (400 * 250 + 1, "+", "(AFIB"), (500 * 250 + 1, "+", "(N")])
        at, symbols, notes = map(list, zip(*rows, strict=True))
        for extension in ("atr", "hub"):
            reader.wrann(name, extension, np.array(at), symbols, aux_note=notes, write_dir=str(tmp_path))
    scored = score.score_folder(tmp_path)
    assert set(scored["records"]) == {"plain", "paced"}
    assert {value for key, value in scored["gross"].items() if key.endswith("_pct")} == {100.0, None}
    assert scored["records"]["paced"]["veb_se_pct"] is scored["records"]["paced"]["sveb_se_pct"] is None
    assert scored["gross"]["sveb_tp"] == scored["records"]["plain"]["sveb_tp"] > 0
    assert scored["average"]["af_duration_se_pct"] == 100.0


def test_burden_counts_ended_episodes_of_its_rules() -> None:
    def one(rule: str, a: int, b: int | None) -> Finding:
        return Finding(rule, 1, a, b, "offset" if b else "onset", None, (), {}, "good")

    rows = [
        one("atrial-fibrillation", 0, 2500),
        one("atrial-fibrillation", 5000, 10_000),
        one("pause", 0, 250),
    ]
    told = burden([*rows, one("atrial-fibrillation", 20_000, None)], {"atrial-fibrillation"}, 60.0, 250)
    assert told == {"episodes": 2, "total_s": 30.0, "longest_s": 20.0, "burden_share": 0.5}


@pytest.mark.parametrize("fs_hz", [125, 250, 500])
def test_rhythms_are_annotated_and_every_fibrillation_is_closed(fs_hz: int, tmp_path: Path) -> None:
    heart = Synthesiser(4, fs_hz, LEADS, FIBRILLATING)
    samples = heart.samples(0, 210 * fs_hz)
    leads = tuple(Lead(code, fs_hz, 5.0, 0, row) for code, row in zip(LEADS, samples, strict=True))
    rows = annotations(annotate(Record(leads), tmp_path / "made"))
    brackets = [(symbol, sample / fs_hz) for sample, symbol, _, _ in rows if symbol in "[]"]
    assert [symbol for symbol, _ in brackets] == ["[", "]"]
    assert brackets[0][1] == pytest.approx(30, abs=2.5) and brackets[1][1] == pytest.approx(60, abs=2.5)
    notes = [(note, sample / fs_hz) for sample, symbol, note, _ in rows if symbol == "+"]
    assert all(a[0] != b[0] for a, b in pairwise(notes)) and notes[-1][0] == "(N"
    begin = next(at for note, at in notes if note == "(AFIB")
    assert begin == pytest.approx(90, abs=8)
    kept = reader.rdann(str(tmp_path / "made"), "hub")
    assert kept.symbol.count("[") == kept.symbol.count("]") == 1


def test_windows_are_sums_of_their_half_seconds() -> None:
    rng = np.random.default_rng(1)
    sums = rng.integers(0, 10**9, (2, 3, 30, len(fibrillation.SUMS)))
    total, least, most = fibrillation.windows(sums)
    for k in range(21):
        own = sums[..., k : k + 10, :]
        assert (total[..., k, :] == own.sum(axis=-2)).all()
        peaks = own[..., [2, 8]]
        assert (least[..., k, :] == peaks.min(axis=-2)).all() and (
            most[..., k, :] == peaks.max(axis=-2)
        ).all()


def test_rules_told_again_by_the_same_classes_say_the_same() -> None:
    script = (
        Segment("sinus", 40), Segment("pvc", 60, 90), Segment("vt", 4, 150), Segment("af", 90, 95),
        Segment("sinus", 60), Segment("vt", 8, 60), Segment("sinus", 30),
    )  # fmt: skip
    samples = Synthesiser(6, 250, LEADS, script).samples(0, 292 * 250)
    leads = tuple(Lead(code, 250, 5.0, 0, row) for code, row in zip(LEADS, samples, strict=True))
    told = streamed(Record(leads))
    again = retold(told)

    def what(found: Analysis) -> list[tuple[str, int, int | None, str | None]]:
        last = int(found.sample[-1])
        return [
            (f.rule, f.onset_sample, min(f.offset_sample or last, last), f.priority) for f in found.findings
        ]

    assert {"ventricular-run", "idioventricular-rhythm", "atrial-fibrillation"} <= {
        f.rule for f in told.findings
    }
    assert what(told) == what(again)


def test_reference_records_keep_their_floor(mitdb: Path) -> None:
    """Half an hour of AF, recorded VF and VT; what all records give is told by `make bench ONLY=rhythms`."""
    folder = mitdb.parent
    af, wide = Counts(), Counts()
    for name in ("cpsc2021/data_8_2", "cpsc2021/data_84_2", "cpsc2021/data_21_8", "mitdb/112"):
        af += bench.atrial_fibrillation(analyse(wfdb.read(folder / name)), folder / name)
    labels = bench.creighton_labels()
    for name in ("cu01", "cu07", "cu15", "cu33"):
        wide += bench.ventricular_windows(analyse(wfdb.read(folder / "cudb" / name)), labels[name])
    assert af.sensitivity_pct is not None and af.sensitivity_pct >= 99
    assert af.specificity_pct is not None and af.specificity_pct >= 99
    assert wide.sensitivity_pct is not None and wide.sensitivity_pct >= 97
    assert wide.specificity_pct is not None and wide.specificity_pct >= 95
