"""The record pass, the reader's edits, the summary and what proves the samples."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg import holter, integrity
from ecg.analysis import CLASSES, MISSING, Edit
from ecg.findings import Finding
from ecg.holter import Analysis, analyse, apply, strip, summary
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.strips import LEADS, feed

FS_HZ, SECONDS = 250, 180
SCRIPT = (
    Segment("pvc", 60, 75),
    Segment("sinus", 30, 45),
    Segment("sinus", 30, 70, pause_s=2.5),
    Segment("af", 60, 90),
)
SAMPLES = Synthesiser(4, FS_HZ, LEADS, SCRIPT).samples(0, SECONDS * FS_HZ)


def record(gaps: tuple[tuple[int, int], ...] = (), dtype: type = np.int16) -> Record:
    leads = (Lead(code, FS_HZ, 5.0, 0, row.astype(dtype)) for code, row in zip(LEADS, SAMPLES, strict=True))
    return Record(tuple(leads), gaps=gaps)


@pytest.fixture(scope="module")
def whole() -> Analysis:
    return analyse(record())


def test_the_record_pass_finds_what_the_live_stream_finds(whole: Analysis) -> None:
    (live,) = feed(SAMPLES[None], FS_HZ, range(0, SECONDS * FS_HZ, FS_HZ))
    assert whole.sample.tolist() == live.beats
    assert {f.key for f in whole.findings} == {f.key for f in live.findings}


def test_wider_samples_give_the_same_beats(whole: Analysis) -> None:
    assert analyse(record(dtype=np.int32)).sample.tolist() == whole.sample.tolist()


@pytest.mark.parametrize("value", [2**23 - 1, -(2**31)])
def test_one_wild_sample_does_not_coarsen_the_others(whole: Analysis, value: int) -> None:
    """A defibrillator or a damaged file; 24 and 32 bits hold what no heart makes."""
    wide = record(dtype=np.int32)
    wide.leads[0].samples[100 * FS_HZ] = value
    found = analyse(wide)
    found_at, at = (one.sample[abs(one.sample - 100 * FS_HZ) > 3 * FS_HZ] for one in (found, whole))
    assert len(found_at) == len(at) and abs(found_at - at).max() <= 0.02 * FS_HZ


def test_no_interval_crosses_a_gap() -> None:
    gapped = analyse(record(gaps=((60 * FS_HZ, 70 * FS_HZ),)))
    assert not ((gapped.sample >= 60 * FS_HZ) & (gapped.sample < 70 * FS_HZ)).any()
    assert np.nanmax(gapped.rr_s) < 3 and np.isnan(gapped.rr_s).sum() == 2
    assert gapped.recorded_s == SECONDS - 10 and (gapped.quality[6] == MISSING).all()


def test_analysis_survives_bytes(whole: Analysis) -> None:
    noted = apply(whole, [Edit("note", text="停搏"), Edit("delete", sample=10**9)])
    again = Analysis.from_bytes(noted.to_bytes())
    assert again.to_bytes() == noted.to_bytes()
    assert (again.findings, again.notes, again.unmatched) == (noted.findings, noted.notes, noted.unmatched)
    assert len(whole.to_bytes()) < 40 * len(whole.sample) + 10_000


@given(st.binary(max_size=50))
def test_foreign_bytes_are_not_an_analysis(data: bytes) -> None:
    with pytest.raises(ValueError):
        Analysis.from_bytes(b"ECGA\x01\x00" + data)


EDITS = st.lists(
    st.builds(
        Edit,
        operation=st.sampled_from(["reclassify", "delete", "add", "dismiss", "note"]),
        sample=st.integers(-10, SECONDS * FS_HZ + 10),
        beat_class=st.sampled_from([*CLASSES, "?"]),
        rule=st.sampled_from(["pause", "bradycardia"]),
        text=st.text(max_size=5),
    ),
    max_size=20,
)


@settings(max_examples=30, deadline=None)
@given(edits=EDITS)
def test_edits_apply_one_by_one_as_all_at_once_and_change_no_original(
    whole: Analysis, edits: list[Edit]
) -> None:
    before = whole.to_bytes()
    stepwise = whole
    for edit in edits:
        stepwise = apply(stepwise, [edit])
    at_once = apply(whole, edits)
    assert at_once.to_bytes() == stepwise.to_bytes() and whole.to_bytes() == before
    assert (np.diff(at_once.sample) > 0).all() and len(at_once.sample) == len(at_once.kind) == len(
        at_once.rr_s
    )


def test_reader_reclassifies_deletes_and_adds_a_beat(whole: Analysis) -> None:
    first, second, third = (int(s) for s in whole.sample[10:13])
    edits = [Edit("reclassify", first + 3, "V"), Edit("delete", second), Edit("add", second + 40, "Q")]
    seen = apply(whole, edits)
    assert CLASSES[seen.kind[10]] == "V" and seen.sample[11] == second + 40 and CLASSES[seen.kind[11]] == "Q"
    assert seen.rr_s[12] == pytest.approx((third - second - 40) / FS_HZ) and not seen.unmatched


def test_reader_dismisses_and_inserts_findings(whole: Analysis) -> None:
    (pause,) = (f for f in whole.findings if f.rule == "pause")
    own = Finding("pause", 1, 5000, 5600, "offset", None, LEADS, {"longest_rr_s": 2.4}, "good")
    seen = apply(whole, [Edit("dismiss", pause.onset_sample, rule="pause"), Edit("insert", finding=own)])
    assert [f for f in seen.findings if f.rule == "pause"] == [own]
    assert (
        holter.edit_from_dict(
            json.loads(json.dumps(holter.edit_to_dict(Edit("insert", finding=own))))
        ).finding
        == own
    )


def test_edits_that_match_nothing_are_listed(whole: Analysis) -> None:
    lost = [Edit("delete", 10**8), Edit("reclassify", 0, "S"), Edit("dismiss", 5, rule="pause")]
    assert apply(whole, lost).unmatched == tuple(lost)
    with pytest.raises(ValueError, match="unknown operation"):
        apply(whole, [Edit("erase")])


def test_summary_counts_what_is_there(whole: Analysis) -> None:
    shown = json.loads(json.dumps(summary(whole, datetime(2026, 3, 2, 8, tzinfo=UTC))))
    true, kinds = Synthesiser(4, FS_HZ, LEADS, SCRIPT).beats(0, SECONDS * FS_HZ)
    assert abs(shown["beats_total"] - len(true)) <= 1
    assert abs(shown["beats_by_class"]["V"] - kinds.count("V")) <= 1
    assert sum(hour["beats"] for hour in shown["hours"]) == shown["beats_total"]
    assert len(shown["rate_trend"]) == 3 and shown["analysable_h"] == shown["recorded_h"] == 0.05
    assert shown["longest_rr"]["rr_s"] == pytest.approx(2.5, abs=0.05)
    assert shown["longest_rr"]["at"].startswith("2026-03-02T08:01:4")
    assert shown["lowest_rate"]["bpm"] < 50 < shown["mean_rate_bpm"] < shown["highest_rate"]["bpm"]


def test_extremes_are_those_of_the_hours_and_of_the_minutes(whole: Analysis) -> None:
    shown = summary(whole)
    for name, most in (("lowest_rate", min), ("highest_rate", max)):
        for periods in (shown["hours"], shown["rate_trend"]):
            assert most(p[f"{name}_bpm"] for p in periods if f"{name}_bpm" in p) == shown[name]["bpm"]


def test_urgent_findings_come_first_and_each_has_its_strip(whole: Analysis) -> None:
    run = replace(
        whole.findings[0], rule="ventricular-run", priority="high", onset_sample=40_000, offset_sample=40_700
    )
    shown = summary(replace(whole, findings=(*whole.findings, run)))
    assert shown["findings"][0]["rule"] == "ventricular-run"
    for row in shown["findings"]:
        first, last = row["strip"]
        assert 0 <= first <= row["onset_sample"] < last <= whole.length and last - first == 10 * FS_HZ


def test_a_pause_stands_in_the_middle_of_its_strip(whole: Analysis) -> None:
    (pause,) = (f for f in whole.findings if f.rule == "pause")
    first, last = strip(pause, FS_HZ, whole.length)
    assert abs((first + last) - (pause.onset_sample + (pause.offset_sample or 0))) <= 1


@pytest.mark.parametrize("leads", [1, 2])
def test_short_and_empty_records_have_an_analysis(leads: int) -> None:
    for count in (0, 1, 100, 400):
        short = Record(tuple(Lead(code, FS_HZ, 5.0, 0, SAMPLES[0, :count]) for code in LEADS[:leads]))
        shown = summary(analyse(short))
        assert shown["beats_total"] <= 3 and json.dumps(shown)


def test_any_changed_sample_scale_or_gap_changes_the_root() -> None:
    original = record()
    changed = SAMPLES[1].copy()
    changed[-1] ^= 1
    lead = original.leads[1]
    others = [
        replace(original, leads=(original.leads[0], replace(lead, samples=changed), original.leads[2])),
        replace(original, leads=(original.leads[0], replace(lead, uv_per_lsb=5.1), original.leads[2])),
        replace(original, gaps=((5, 9),)),
        replace(original, leads=original.leads[:2]),
    ]
    roots = {integrity.record_root(r) for r in (original, record(), *others)}
    assert len(roots) == 1 + len(others)


def test_merkle_root_follows_rfc_6962_for_odd_counts() -> None:
    a, b, c = (bytes([k]) * 32 for k in range(3))
    node = integrity.merkle_root
    assert node([a, b, c]) == node([node([a, b]), c]) != node([a, b])
