"""Templates, edits of whole templates, and what is kept of the signal beside the beats."""

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg import holter, holter_facts, measured, templates
from ecg.analysis import CLASSES, Analysis, Edit
from ecg.edits import MERGE, RELABEL, UNDO, GroupEdit, Seen, seen
from ecg.reasons import Reason
from ecg.record import Lead, Record, main_group
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.strips import LEADS

FS_HZ, SECONDS = 250, 300
SCRIPT = (Segment("sinus", 120), Segment("pvc", 90, 75), Segment("vt", 4, 170), Segment("sinus", 86))
SAMPLES = Synthesiser(6, FS_HZ, LEADS, SCRIPT).samples(0, SECONDS * FS_HZ)
V = CLASSES.index("V")


def record(scale: float = 5.0, offset: int = 0) -> Record:
    leads = (
        Lead(code, FS_HZ, scale, offset, (row + offset).astype(np.int16))
        for code, row in zip(LEADS, SAMPLES, strict=True)
    )
    return Record(tuple(leads))


@pytest.fixture(scope="module")
def whole() -> Seen:
    analysis = holter.analyse(record())
    return Seen(analysis, holter.measured(record(), analysis))


def test_every_beat_has_one_group_of_its_own_class(whole: Seen) -> None:
    analysis, made = whole
    found = made.templates
    assert len(found.number) == len(analysis.sample) and found.number.max() < found.count <= 32
    rows = templates.table(found, analysis)
    assert sum(row["beats"] for row in rows) == len(analysis.sample)
    assert all(len(row["by_class"]) == 1 and row["sample"] in analysis.sample for row in rows)
    assert [row["beat_class"] for row in rows] == sorted(
        (row["beat_class"] for row in rows), key="VNSFQ".index
    )


def test_most_beats_of_one_shape_share_a_group_and_the_other_shape_has_its_own(whole: Seen) -> None:
    analysis, made = whole
    for kind in "NV":
        own = made.templates.number[analysis.kind == CLASSES.index(kind)]
        assert np.bincount(own).max() > 0.9 * len(own), kind


def test_neither_offset_nor_scale_makes_other_groups(whole: Seen) -> None:
    for other in (record(offset=700), record(scale=2.5)):
        again = templates.find(whole.analysis, main_group(other))
        assert (again.number == whole.measured.templates.number).mean() > 0.99


def test_at_most_thirty_two_however_different_the_beats() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 300, (3, SECONDS * FS_HZ)).astype(np.int16)
    sample = np.arange(100, SECONDS * FS_HZ - 100, 150)
    analysis = replace(
        holter.analyse(record()), sample=sample, kind=rng.integers(0, 5, len(sample)).astype(np.uint8),
        rr_s=np.full(len(sample), 0.6, np.float32),
    )  # fmt: skip
    found = templates.find(analysis, [Lead(c, FS_HZ, 5.0, 0, r) for c, r in zip(LEADS, noise, strict=True)])
    assert found.count <= 32 and (found.number < found.count).all()


def test_what_was_measured_survives_bytes_and_nothing_else_is_read(whole: Seen) -> None:
    data = measured.to_bytes(whole.measured)
    assert measured.to_bytes(measured.from_bytes(data)) == data
    shown = [holter.summary(whole.analysis, None, m) for m in (whole.measured, measured.from_bytes(data))]
    assert shown[0] == shown[1]
    for spoilt in (b"", data[:9], data[:-20], b"x" + data[1:]):
        with pytest.raises(ValueError):
            measured.from_bytes(spoilt)


def _of(whole: Seen, kind: str) -> int:
    """A beat of the largest group of a class."""
    rows = templates.table(whole.measured.templates, whole.analysis)
    return int(next(row["sample"] for row in rows if row["beat_class"] == kind))


def test_relabelling_changes_all_members_and_the_findings_that_live_on_them(whole: Seen) -> None:
    run = [f for f in whole.analysis.findings if f.rule == "ventricular-run"]
    assert run
    edits = [GroupEdit(RELABEL, row["sample"], "N") for row in _rows(whole) if row["beat_class"] == "V"]
    after = seen(*whole, edits)
    assert not (after.analysis.kind == V).any() and not after.analysis.unmatched
    assert not [f for f in after.analysis.findings if f.rule == "ventricular-run"]
    shown = holter.summary(after.analysis, None, after.measured)
    assert shown["beats_by_class"]["V"] == 0 == shown["ectopy"]["V"]["beats"]
    dismissed = seen(*whole, [Edit("dismiss", run[0].onset_sample, rule="ventricular-run"), *edits])
    assert not dismissed.analysis.unmatched  # what went with its beats needs no warning


def _rows(whole: Seen) -> list[dict]:
    return templates.table(whole.measured.templates, whole.analysis)


def test_merging_makes_one_group_with_the_class_of_the_other(whole: Seen) -> None:
    after = seen(*whole, [GroupEdit(MERGE, _of(whole, "V"), into=_of(whole, "N"))])
    rows = templates.table(after.measured.templates, after.analysis)
    assert len(rows) == len(_rows(whole)) - 1
    moved = whole.measured.templates.number == templates.group_at(
        whole.measured.templates, whole.measured.templates.number, _of(whole, "V"), 5
    )
    assert (after.analysis.kind[moved] == CLASSES.index("N")).all()
    wrong = [GroupEdit(MERGE, _of(whole, "V"), into=_of(whole, "V")), GroupEdit(RELABEL, 10**9, "N")]
    assert seen(*whole, wrong).analysis.unmatched == tuple(wrong)


_BEATS = st.integers(0, SECONDS * FS_HZ)
EDITS = st.lists(
    st.one_of(
        st.builds(GroupEdit, st.just(RELABEL), _BEATS, st.sampled_from(CLASSES)),
        st.builds(GroupEdit, st.just(MERGE), _BEATS, into=_BEATS),
        st.builds(Edit, st.sampled_from(["reclassify", "delete", "add"]), _BEATS, st.sampled_from(CLASSES)),
        st.builds(Edit, st.just("dismiss"), _BEATS, rule=st.sampled_from(["pause", "ventricular-run"])),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(edits=EDITS, data=st.data())
def test_an_undone_edit_never_was(whole: Seen, edits: list[Edit], data: st.DataObject) -> None:
    before = whole.analysis.to_bytes()
    k = data.draw(st.integers(0, len(edits) - 1))
    undone = seen(*whole, [*edits, GroupEdit(UNDO, sequence=k + 1)])
    without = seen(*whole, edits[:k] + edits[k + 1 :])
    assert np.array_equal(undone.analysis.kind, without.analysis.kind)
    assert np.array_equal(undone.analysis.sample, without.analysis.sample)
    assert undone.analysis.findings == without.analysis.findings
    assert undone.analysis.unmatched == without.analysis.unmatched
    assert np.array_equal(undone.measured.templates.number, without.measured.templates.number)
    assert whole.analysis.to_bytes() == before
    assert [holter.edit_from_dict(holter.edit_to_dict(edit)) for edit in edits] == edits


def test_an_undo_that_names_nothing_is_listed(whole: Seen) -> None:
    edits = [GroupEdit(RELABEL, _of(whole, "V"), "N"), GroupEdit(UNDO, sequence=1)]
    for wrong in (GroupEdit(UNDO, sequence=9), GroupEdit(UNDO, sequence=2), GroupEdit(UNDO, sequence=1)):
        assert seen(*whole, [*edits, wrong]).analysis.unmatched == (wrong,)


@given(st.lists(st.tuples(st.sampled_from("NVS"), st.booleans()), max_size=40))
def test_singles_couplets_and_runs_are_what_a_reader_would_count(beats: list[tuple[str, bool]]) -> None:
    """Against a plain count of equal neighbours; a break begins anew."""
    kinds = [kind for kind, _ in beats]
    rr_s = np.array([np.nan if broken or k == 0 else 0.5 for k, (_, broken) in enumerate(beats)], np.float32)
    parts = "".join(("|" if np.isnan(rr) else "") + kind for kind, rr in zip(kinds, rr_s, strict=True))
    lengths = [len(list(own)) for kind, own in groupby(parts) if kind == "V"]
    analysis = replace(
        EMPTY, sample=np.arange(len(beats)) * 125, rr_s=rr_s,
        kind=np.array([CLASSES.index(kind) for kind in kinds], np.uint8),
    )  # fmt: skip
    told = holter_facts.ectopy(analysis, "V")
    assert told["single"] == lengths.count(1) and told["couplets"] == lengths.count(2)
    assert told["runs"] == sum(length >= 3 for length in lengths)
    assert told["longest_run_beats"] == max((n for n in lengths if n >= 3), default=0)
    assert told["fastest_run_bpm"] == (120.0 if told["runs"] else None)


EMPTY = Analysis(
    "test", 1, FS_HZ, LEADS, 0, 0.0, 0.0, np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.float32),
    np.empty(0, np.int64), np.empty((0, 3), np.uint8), (),
)  # fmt: skip


def test_what_is_withheld_says_why_in_both_languages(whole: Seen) -> None:
    paced = replace(whole.measured, paced=True)
    bent = holter.measured(replace(record(), filters={"high_pass_hz": 0.5}), whole.analysis)
    for told, code in (
        (holter.summary(whole.analysis, None, paced)["hrv"]["withheld"], "paced"),
        (holter.summary(whole.analysis, None, bent)["st"]["withheld"], "high-pass"),
        (holter.summary(whole.analysis)["st"]["withheld"], "not-measured"),
    ):
        assert told["code"] == code and told["words"]["en"] == str(Reason(code, told["number"]))
        assert any("一" <= letter <= "鿿" for letter in told["words"]["zh-CN"])
    assert holter.summary(EMPTY)["beats_total"] == 0


def test_three_pauses_meet_the_published_list_and_two_do_not() -> None:
    def met(pauses: int) -> set[str]:
        rr_s = np.full(50, 0.8, np.float32)
        rr_s[5 : 5 + pauses] = 3.2
        a = replace(EMPTY, rr_s=rr_s, sample=np.arange(50) * 200, kind=np.zeros(50, np.uint8), length=10_000)
        return {row["name"] for row in holter.summary(a)["critical_values"]["met"]}

    assert met(3) == {"pauses"} and met(2) == set()
