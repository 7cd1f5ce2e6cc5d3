"""Each rule of the table on a strip that has its rhythm and on one that has not."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg import episodes
from ecg.findings import Finding, Priority
from ecg.fusion import GOOD, OFF, UNREADABLE
from ecg.rhythms import RULES, limit
from ecg.synthetic import Segment
from tests.ecg.strips import LEADS, play

FS_HZ = 250
QUIET = Segment("sinus", 30, 70)
ALL_OFF = Segment("asystole", 15, off=LEADS)
NOISE = Segment("sinus", 40, 70, noise_uv=3000)
FIBRILLATION = Segment("vf", 20)

# rule -> strips with the priority that must be reached
POSITIVE: tuple[tuple[str, tuple[Segment, ...], Priority | None], ...] = (
    ("pause", (Segment("sinus", 40, 70, pause_s=2.4),), None),
    ("pause", (Segment("sinus", 40, 70, pause_s=3.4),), "medium"),
    ("asystole", (QUIET, Segment("asystole", 6), QUIET), "high"),
    ("bradycardia", (QUIET, Segment("sinus", 40, 44)), None),
    ("severe-bradycardia", (QUIET, Segment("sinus", 40, 31)), "high"),
    ("tachycardia", (QUIET, Segment("sinus", 30, 135)), None),
    ("atrial-fibrillation", (QUIET, Segment("af", 90, 90)), None),
    ("ventricular-run", (QUIET, Segment("vt", 2, 120), QUIET), None),
    ("ventricular-run", (QUIET, Segment("vt", 3, 140), QUIET), "medium"),
    ("ventricular-run", (QUIET, Segment("vt", 5, 180), QUIET), "high"),
    ("idioventricular-rhythm", (QUIET, Segment("vt", 8, 60), QUIET), None),
    ("ventricular-fibrillation", (QUIET, FIBRILLATION, QUIET), "high"),
    ("unreadable-signal", (QUIET, NOISE, QUIET), "medium"),
    ("electrode-off", (QUIET, Segment("sinus", 10, 70, off=LEADS[:1]), QUIET), None),
    ("electrode-off", (QUIET, ALL_OFF, QUIET), "medium"),
)
NEGATIVE: tuple[tuple[str, tuple[Segment, ...]], ...] = (
    ("pause", (Segment("sinus", 40, 70, pause_s=1.8),)),
    ("asystole", (QUIET, ALL_OFF, QUIET)),
    ("asystole", (QUIET, NOISE, QUIET)),
    ("bradycardia", (QUIET, Segment("sinus", 30, 60))),
    ("severe-bradycardia", (QUIET, Segment("sinus", 40, 44))),
    ("tachycardia", (QUIET, Segment("sinus", 30, 100))),
    ("atrial-fibrillation", (QUIET, Segment("pvc", 120, 80))),
    ("ventricular-run", (QUIET, Segment("pvc", 120, 80))),
    ("idioventricular-rhythm", (QUIET, Segment("vt", 8, 140), QUIET)),
    ("ventricular-fibrillation", (QUIET, NOISE, Segment("af", 30, 130), Segment("vt", 8, 100), QUIET)),
    ("ventricular-tachycardia", (QUIET, NOISE, Segment("af", 30, 130), Segment("sinus", 30, 150), QUIET)),
    ("unreadable-signal", (QUIET, Segment("sinus", 40, 70, noise_uv=40))),
    ("electrode-off", (QUIET, Segment("asystole", 6), QUIET)),
)

Beats = Sequence[tuple[float, str]]  # seconds since the beat before, class


def beats(classes: str, rr_s: float = 0.8) -> list[tuple[float, str]]:
    """An early V or S, and what it must wait for."""
    out = []
    for k, kind in enumerate(classes):
        early, after = kind in "VS", k > 0 and classes[k - 1] == "V" and kind == "N"
        out.append((rr_s * (0.6 if early else 1.3 if after else 1.0), kind))
    return out


def sway(count: int, rr_s: float = 0.8, spread: float = 0.0) -> list[tuple[float, str]]:
    rng = np.random.default_rng(3)
    return [(rr_s * (1 + spread * float(rng.normal())), "N") for _ in range(count)]


def listen(strip: Beats, paced: bool = False) -> list[Finding]:
    """What the rules say of beats that come on one good lead, half second by half second."""
    tracker = episodes.Tracker(FS_HZ, LEADS[:1], paced)
    at, told, hop = 0.0, list[Finding](), 0
    for rr_s, kind in strip:
        at += rr_s
        while (hop + 1) * FS_HZ // 2 <= at * FS_HZ:
            told += episodes.on_hop(tracker, hop * FS_HZ // 2, (hop + 1) * FS_HZ // 2, [GOOD])
            hop += 1
        told += episodes.on_beat(tracker, round(at * FS_HZ), kind)
    return told + episodes.close_all(tracker, round(at * FS_HZ) + 1)


FLUTTER = [(0.4, "N")] * 80
MISSED = [*sway(20), (1.6, "N"), *sway(8), (1.62, "N"), *sway(100)]
BEAT_POSITIVE: tuple[tuple[str, Beats, Priority | None], ...] = (
    ("ventricular-couplet", beats("NNNNVVNNNN"), None),
    ("ventricular-bigeminy", beats("NNNNVNVNVNVNNNN"), None),
    ("ventricular-trigeminy", beats("NNNVNNVNNVNNVNNNN"), None),
    ("supraventricular-run", [*beats("NNNNNN"), *[(0.42, "S")] * 4, *[(0.42, "N")] * 10, *sway(5)], None),
    ("supraventricular-run", [*beats("NNNNNN"), *[(0.3, "S")] * 110, *sway(5)], "medium"),
    ("atrial-flutter", [*sway(10), *FLUTTER], None),
    ("av-block", MISSED, None),
    ("ventricular-escape", [*sway(10), (1.7, "V"), *sway(5)], None),
    ("paced-rhythm", [*sway(5), *[(1.0, "V")] * 20], None),
    ("ventricular-tachycardia", [], None),
)
BEAT_NEGATIVE: tuple[tuple[str, Beats], ...] = (
    ("ventricular-couplet", beats("NNVNNVVVNNNVNN")),
    ("ventricular-bigeminy", beats("NNVNVNNVNVNNVNNV" * 3)),
    ("ventricular-trigeminy", beats("NVNVNVNNVNVNNNV" * 3)),
    ("supraventricular-run", beats("NNNSNNSSNNNNSNSN" * 3)),
    ("atrial-flutter", sway(80, 0.4, 0.02)),
    ("av-block", [*beats("NNNNNVNNNNNNVNNNNNNV" * 3), *sway(20), (1.6, "N"), *sway(20)]),
    ("ventricular-escape", [*sway(10), (1.7, "N"), *sway(5), (1.2, "V"), *sway(5)]),
    ("paced-rhythm", [*sway(5), *[(1.0, "V"), (0.9, "V")] * 10]),
)


@pytest.mark.parametrize(("rule", "script", "priority"), POSITIVE)
def test_rule_finds_its_rhythm(rule: str, script: tuple[Segment, ...], priority: Priority | None) -> None:
    found = play(*script).ended(rule)
    assert found and found[0].priority == priority
    assert found[0].numbers and found[0].leads and found[0].version == RULES[rule].version


@pytest.mark.parametrize(("rule", "script"), NEGATIVE)
def test_rule_is_silent_without_its_rhythm(rule: str, script: tuple[Segment, ...]) -> None:
    assert play(*script).ended(rule) == []


@pytest.mark.parametrize(("rule", "strip", "priority"), [row for row in BEAT_POSITIVE if row[1]])
def test_rule_finds_its_pattern_of_beats(rule: str, strip: Beats, priority: Priority | None) -> None:
    found = [f for f in listen(strip) if f.rule == rule and f.phase == "offset"]
    assert len(found) == 1 and found[0].priority == priority


@pytest.mark.parametrize(("rule", "strip"), BEAT_NEGATIVE)
def test_rule_is_silent_without_its_pattern(rule: str, strip: Beats) -> None:
    assert [f for f in listen(strip) if f.rule == rule] == []


def test_every_rule_has_both_strips() -> None:
    assert {row[0] for row in (*POSITIVE, *BEAT_POSITIVE)} == set(RULES)
    assert {row[0] for row in (*NEGATIVE, *BEAT_NEGATIVE)} == set(RULES)


def test_every_rule_speaks_both_languages_and_names_its_sources() -> None:
    for rule in RULES.values():
        sources = [t.source for t in rule.thresholds.values()]
        assert rule.thresholds and all(t.unit for t in rule.thresholds.values())
        for words in (rule.words, rule.onset, rule.offset, *sources):
            assert set(words) == {"zh-CN", "en"} and words["zh-CN"] != words["en"]


def test_an_alarm_on_the_only_readable_lead_says_so() -> None:
    script = [Segment(s, n, off=LEADS[1:]) for s, n in (("sinus", 30), ("asystole", 8), ("sinus", 20))]
    (alarm,) = play(*script).ended("asystole")
    assert (alarm.priority, alarm.note, alarm.leads) == ("high", "one lead", LEADS[:1])


def test_asystole_is_raised_while_it_lasts() -> None:
    answer = play(QUIET, Segment("asystole", 12), QUIET)
    first, last = (f for f in answer.findings if f.rule == "asystole")
    assert first.phase == "onset" and 4.0 <= first.numbers["longest_rr_s"] <= 5.0
    assert last.phase == "offset" and last.numbers["longest_rr_s"] == pytest.approx(12.4, abs=0.8)


def test_a_run_that_gets_worse_is_told_again_under_the_same_key() -> None:
    told = [f for f in play(QUIET, Segment("vt", 6, 180), QUIET).findings if f.rule == "ventricular-run"]
    assert [f.priority for f in told] == [None, "medium", "high", "high"]
    assert len({f.key for f in told}) == 1


def test_a_paced_rhythm_is_not_a_ventricular_run() -> None:
    script = (QUIET, Segment("vt", 20, 70), QUIET)
    assert play(*script).ended("idioventricular-rhythm")
    paced = play(*script, paced=True)
    assert not paced.ended("idioventricular-rhythm") and paced.ended("paced-rhythm")[0].note == ""


def test_pacing_that_nobody_told_of_is_only_suspected() -> None:
    (found,) = (
        f for f in listen([*sway(5), *[(1.0, "V")] * 20]) if f.rule == "paced-rhythm" and f.phase == "offset"
    )
    assert found.note == "suspected" and found.priority is None


def test_a_run_changes_its_name_with_its_rate() -> None:
    told = listen([*sway(5), *[(0.9, "V")] * 4, *[(0.3, "V")] * 30, *sway(3)])
    ends = [(f.rule, f.priority) for f in told if f.phase == "offset" and f.rule != "ventricular-escape"]
    assert ends[:1] == [("idioventricular-rhythm", None)] and ("ventricular-run", "high") in ends


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.floats(0.65, 1.4), st.floats(0.25, 0.38))
def test_a_slow_rhythm_of_the_ventricles_that_turns_fast_is_told_at_once(
    slow: int, slow_s: float, fast_s: float
) -> None:
    """However long it was slow: a mean over all of it would hide the tachycardia for as long again."""
    told = listen([*sway(5), *[(slow_s, "V")] * slow, *[(fast_s, "V")] * 12])
    (first,) = (
        f for f in told if f.rule == "ventricular-run" and f.phase == "onset" and f.priority == "high"
    )
    fast_since_s = 5 * 0.8 + slow * slow_s
    assert first.onset_sample / FS_HZ + first.numbers["length_s"] <= fast_since_s + 10 * fast_s + 0.1


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.floats(0.5, 1.0), st.integers(0, 2**20))
def test_ectopy_in_a_pattern_is_no_fibrillation(period: int, rr_s: float, seed: int) -> None:
    """Atrial bigeminy to quadrigeminy, whose intervals are as uneven as those of AF, but in order."""
    rng = np.random.default_rng(seed)
    strip = []
    for k in range(160):
        early, after = k % period == 0, k % period == 1
        share = 0.7 if early else 1.15 if after else 1.0
        strip.append((rr_s * share * (1 + 0.012 * float(rng.normal())), "N"))
    assert [f for f in listen(strip) if f.rule == "atrial-fibrillation"] == []


def is_dated(rr_s: float, spread: float, rng: np.random.Generator) -> bool:
    """Whether a stretch of AF between even rhythms is found, and begins and ends near where it did."""

    def rhythm(count: int, wide: float) -> list[tuple[float, str]]:
        return [(max(0.28, rr_s * (1 + wide * float(rng.normal()))), "N") for _ in range(count)]

    parts = rhythm(80, 0.015), rhythm(120, spread), rhythm(120, 0.015)
    edges = np.cumsum([sum(rr for rr, _ in part) for part in parts])
    found = [f for f in listen([*parts[0], *parts[1], *parts[2]]) if f.rule == "atrial-fibrillation"]
    if not found or found[-1].offset_sample is None:
        return False
    begins, ends = found[0].onset_sample / FS_HZ, found[-1].offset_sample / FS_HZ
    return bool(abs(begins - edges[0]) <= 24 * rr_s and abs(ends - edges[1]) <= 12 * rr_s)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**20))
def test_fibrillation_is_dated_where_the_order_ends(seed: int) -> None:
    """Nine times in ten at least: chance may give a fibrillation some even intervals anywhere."""
    rng = np.random.default_rng(seed)
    dated = [is_dated(rng.uniform(0.45, 1.1), rng.uniform(0.17, 0.3), rng) for _ in range(30)]
    assert sum(dated) >= 27


def test_fibrillation_of_the_ventricles_is_raised_within_ten_seconds_and_dated() -> None:
    answer = play(QUIET, FIBRILLATION, QUIET)
    first, *_, last = (f for f in answer.findings if f.rule == "ventricular-fibrillation")
    assert first.phase == "onset" and first.numbers["length_s"] <= 10.0
    assert first.onset_sample / FS_HZ == pytest.approx(30.0, abs=2.5)
    assert last.offset_sample is not None and last.offset_sample / FS_HZ == pytest.approx(50.0, abs=2.5)


def test_one_lead_with_beats_refutes_fibrillation_on_the_others() -> None:
    tracker = episodes.Tracker(FS_HZ, LEADS)
    tracker.likeness = [float("nan")] * 3 + [-5.0] * 20
    told = [
        f
        for hop in range(23)
        for f in episodes.on_hop(tracker, hop * 125, hop * 125 + 125, [GOOD] * 3)
        if f.rule != "asystole"
    ]
    assert told == [] and tracker.likeness == []


def test_regular_swings_are_tachycardia_and_turn_into_fibrillation() -> None:
    tracker = episodes.Tracker(FS_HZ, LEADS[:1])
    told, beat = list[Finding](), 0
    for hop in range(80):
        tracker.likeness = [3.0 if hop > 9 else float("nan")]
        now = (hop + 1) * 125
        while hop < 50 and beat + 90 < now:  # 167/min
            beat += 90
            told += episodes.on_beat(tracker, beat, "N")
        told += episodes.on_hop(tracker, now - 125, now, [GOOD])
    own = [f for f in told if f.rule in ("ventricular-tachycardia", "ventricular-fibrillation")]
    tachycardia = [f for f in own if f.rule == "ventricular-tachycardia"]
    assert [f.priority for f in tachycardia][:2] == ["medium", "high"]
    assert own[-1].rule == "ventricular-fibrillation" and own[-1].priority == "high"
    assert tachycardia[-1].offset_sample is not None
    assert "asystole" not in {f.rule for f in told}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.2, 6.0), st.sampled_from("NSVFQ"), st.sampled_from([GOOD, GOOD, UNREADABLE, OFF])
        ),
        max_size=120,
    )
)
def test_any_beats_keep_the_tracker_bounded_and_its_episodes_paired(
    rows: list[tuple[float, str, int]],
) -> None:
    tracker = episodes.Tracker(FS_HZ, LEADS[:1])
    at, hop, running = 0.0, 0, set[tuple[str, int]]()
    told = list[Finding]()
    for rr_s, kind, code in rows:
        at += rr_s
        while (hop + 1) * 125 <= at * FS_HZ:
            told += episodes.on_hop(tracker, hop * 125, hop * 125 + 125, [code])
            hop += 1
        if code == GOOD:
            told += episodes.on_beat(tracker, round(at * FS_HZ), kind)
        tracker = episodes.copied(tracker)
        window = int(limit("atrial-fibrillation", "intervals"))
        assert (
            len(tracker.beats) <= 64 and len(tracker.intervals.since) <= window and len(tracker.dropped) <= 16
        )
    for f in [*told, *episodes.close_all(tracker, round(at * FS_HZ))]:
        if f.phase == "onset":
            running.add(f.key)
        else:
            running.remove(f.key)
            assert f.offset_sample is not None and f.offset_sample >= f.onset_sample
    assert not running
