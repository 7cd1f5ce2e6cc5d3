"""Routing rules: the first whose every condition holds decides, and the explanation says why."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from ecg.rhythms import RULES
from hub.reading.rules import DUE, OPERATORS, Condition, Rule, fault, match, prioritise

FACTS = {
    "priority": "urgent",
    "age_years": 81,
    "organisations": ["a", "b"],
    "pacemaker": False,
    "findings": [],
    "modalities": ["CT"],
    "question": "反复胸痛",
    "hour": 22,
}
NAMES = {name: rule.words for name, rule in RULES.items()}
conditions = st.sampled_from(
    [
        Condition("priority", "equals", "urgent"),
        Condition("priority", "in", ["stat", "routine"]),
        Condition("age_years", "at-least", 80),
        Condition("age_years", "at-least", 90),
        Condition("organisations", "contains", "b"),
        Condition("organisations", "contains", "z"),
        Condition("pacemaker", "equals", True),
        Condition("recorded_hours", "at-least", 1),
        Condition("modalities", "contains", "CT"),
        Condition("question", "contains", "胸痛"),
        Condition("hour", "at-most", 8),
    ]
)


def rule(name: str, *wanted: Condition) -> Rule:
    return Rule(UUID(int=hash(name) % 2**64), name, wanted, uuid4())


@given(st.lists(st.lists(conditions, max_size=4), max_size=6))
def test_first_rule_that_holds_decides(lists: list[list[Condition]]) -> None:
    rules = [rule(f"rule {i}", *wanted) for i, wanted in enumerate(lists)]
    expected = next((r for r in rules if all(c.holds(FACTS) for c in r.conditions)), None)
    assert match(rules, FACTS).rule == expected


@given(st.lists(st.lists(conditions, max_size=4), min_size=1, max_size=6))
def test_explanation_shows_every_condition_up_to_the_match(lists: list[list[Condition]]) -> None:
    rules = [rule(f"rule {i}", *wanted) for i, wanted in enumerate(lists)]
    found = match(rules, FACTS)
    looked = rules[: rules.index(found.rule) + 1] if found.rule else rules
    assert [s.condition for s in found.steps] == [c for r in looked for c in (r.conditions or (None,))]


@given(conditions)
def test_usable_conditions_have_no_fault(condition: Condition) -> None:
    assert fault(condition) is None


@given(
    st.text(max_size=8), st.sampled_from(sorted(OPERATORS)), st.none() | st.booleans() | st.lists(st.text())
)
def test_unusable_conditions_name_their_field(keyword: str, operator: str, value: object) -> None:
    assert fault(Condition(keyword, operator, value)) == "keyword"
    assert fault(Condition("age_years", "almost", 3)) == "operator"
    assert fault(Condition("age_years", operator, value)) in ("value", "operator")


def test_critical_findings_lead_and_lift_the_priority() -> None:
    found = [{"rule": "pause", "priority": "medium"}] + [{"rule": "ventricular-run", "priority": "high"}] * 2
    priority, reasons = prioritise("routine", found, NAMES)
    assert priority == "stat"
    assert [r["en"].split(":")[0] for r in reasons] == ["Critical", "Note", "Requested as routine"]
    assert "2" in reasons[0]["zh-CN"]


@given(st.sampled_from(sorted(DUE)), st.lists(st.sampled_from(["high", "medium", "low", None]), max_size=5))
def test_findings_never_lower_a_priority(requested: str, levels: list[str | None]) -> None:
    priority, _ = prioritise(requested, [{"rule": "pause", "priority": p} for p in levels], NAMES)
    assert DUE[priority] <= DUE[requested]
