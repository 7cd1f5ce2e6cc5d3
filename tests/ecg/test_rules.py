"""Each rule of the table on a strip that has its rhythm and on one that has not."""

import pytest

from ecg.findings import Priority
from ecg.rhythms import RULES
from ecg.synthetic import Segment
from tests.ecg.strips import LEADS, play

QUIET = Segment("sinus", 30, 70)
ALL_OFF = Segment("asystole", 15, off=LEADS)
NOISE = Segment("sinus", 40, 70, noise_uv=3000)

# rule -> strips with the priority that must be reached
POSITIVE: tuple[tuple[str, tuple[Segment, ...], Priority | None], ...] = (
    ("pause", (Segment("sinus", 40, 70, pause_s=2.4),), None),
    ("pause", (Segment("sinus", 40, 70, pause_s=3.4),), "medium"),
    ("asystole", (QUIET, Segment("asystole", 6), QUIET), "high"),
    ("bradycardia", (QUIET, Segment("sinus", 40, 44)), None),
    ("severe-bradycardia", (QUIET, Segment("sinus", 40, 31)), "high"),
    ("tachycardia", (QUIET, Segment("sinus", 30, 135)), None),
    ("irregular-rhythm", (QUIET, Segment("af", 90, 90)), None),
    ("ventricular-run", (QUIET, Segment("vt", 2, 120), QUIET), None),
    ("ventricular-run", (QUIET, Segment("vt", 3, 140), QUIET), "medium"),
    ("ventricular-run", (QUIET, Segment("vt", 5, 180), QUIET), "high"),
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
    ("irregular-rhythm", (QUIET, Segment("pvc", 120, 80))),
    ("ventricular-run", (QUIET, Segment("pvc", 120, 80))),
    ("unreadable-signal", (QUIET, Segment("sinus", 40, 70, noise_uv=40))),
    ("electrode-off", (QUIET, Segment("asystole", 6), QUIET)),
)


@pytest.mark.parametrize(("rule", "script", "priority"), POSITIVE)
def test_rule_finds_its_rhythm(rule: str, script: tuple[Segment, ...], priority: Priority | None) -> None:
    found = play(*script).ended(rule)
    assert found and found[0].priority == priority
    assert found[0].numbers and found[0].leads and found[0].version == RULES[rule].version


@pytest.mark.parametrize(("rule", "script"), NEGATIVE)
def test_rule_is_silent_without_its_rhythm(rule: str, script: tuple[Segment, ...]) -> None:
    assert play(*script).ended(rule) == []


def test_every_rule_has_both_strips() -> None:
    assert {row[0] for row in POSITIVE} == {row[0] for row in NEGATIVE} == set(RULES)


def test_every_rule_speaks_both_languages_and_names_its_sources() -> None:
    for rule in RULES.values():
        assert set(rule.words) == {"zh-CN", "en"} and all(
            t.unit and t.source for t in rule.thresholds.values()
        )


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
    assert play(*script).ended("ventricular-run") and not play(*script, paced=True).ended("ventricular-run")
