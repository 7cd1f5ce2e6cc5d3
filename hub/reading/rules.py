"""Routing and priority as data: which reading centre reads a study, how soon, and why (DESIGN.md section 8).

Pure: facts of a study in, a decision with its explanation out. The dry run of the admin page and the
routing of a real study are the same function, so what the page explains is what happens.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

Words = dict[str, str]  # {"zh-CN": ..., "en": ...}
Facts = Mapping[str, Any]

# What a condition may ask about, and the type its value must have.
KEYWORDS: dict[str, type] = {
    "study_kind": str,
    "priority": str,
    "organisations": str,  # the clinic and every organisation above it, as ids
    "sex": str,
    "age_years": int,
    "recorded_hours": int,
    "pacemaker": bool,
    "findings": str,  # rhythm rules found by the record pass
    "modalities": str,  # of the images, or of what was asked for (DICOM (0008,0060))
    "body_part": str,
    "question": str,  # a word in what the clinic asks
    "hour": int,  # of the clinic's day, when it is routed
}

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda fact, value: bool(fact == value),
    "in": lambda fact, value: fact in value,
    "at-least": lambda fact, value: fact is not None and fact >= value,
    "at-most": lambda fact, value: fact is not None and fact <= value,
    "contains": lambda fact, value: value in (fact or ()),
}

DUE: dict[str, timedelta] = {
    "stat": timedelta(minutes=30),
    "urgent": timedelta(hours=2),
    "asap": timedelta(hours=8),
    "routine": timedelta(hours=24),
}
"""Time a reading centre has, by priority; also the order of the queue (shortest first)."""

FINDING_PRIORITY = {
    "high": "stat",
    "medium": "asap",
}  # a finding of this priority lifts the task at least to that

PRIORITY_WORDS: dict[str, Words] = {
    "stat": {"zh-CN": "申请单：立即", "en": "Requested as immediate"},
    "urgent": {"zh-CN": "申请单：紧急", "en": "Requested as urgent"},
    "asap": {"zh-CN": "申请单：尽快", "en": "Requested as soon as possible"},
    "routine": {"zh-CN": "申请单：常规", "en": "Requested as routine"},
}


@dataclass(frozen=True)
class Condition:
    keyword: str
    operator: str
    value: Any

    def holds(self, facts: Facts) -> bool:
        return OPERATORS[self.operator](facts.get(self.keyword), self.value)


@dataclass(frozen=True)
class Rule:
    id: UUID
    name: str
    conditions: tuple[Condition, ...]
    to_organisation_id: UUID


@dataclass(frozen=True)
class Step:
    """One condition looked at: what the dry run shows line by line. A rule without conditions has one
    step of None.
    """

    rule: str
    condition: Condition | None
    matched: bool


@dataclass(frozen=True)
class Match:
    rule: Rule | None
    steps: tuple[Step, ...]


def match(rules: Sequence[Rule], facts: Facts) -> Match:
    """The first rule whose every condition holds, and each condition looked at on the way."""
    steps: list[Step] = []
    for rule in rules:
        if not rule.conditions:
            return Match(rule, (*steps, Step(rule.name, None, True)))
        looked = [Step(rule.name, condition, condition.holds(facts)) for condition in rule.conditions]
        steps += looked
        if all(step.matched for step in looked):
            return Match(rule, tuple(steps))
    return Match(None, tuple(steps))


def fault(condition: Condition) -> str | None:
    """Why a condition can't be used: its field, or None."""
    wanted = KEYWORDS.get(condition.keyword)
    if wanted is None:
        return "keyword"
    if condition.operator not in OPERATORS:
        return "operator"
    if condition.operator in ("at-least", "at-most") and wanted is not int:
        return "operator"
    values = condition.value if condition.operator == "in" else [condition.value]
    good = isinstance(values, list) and bool(values) and all(type(value) is wanted for value in values)
    return None if good else "value"


def prioritise(
    requested: str,
    findings: Iterable[Mapping[str, Any]],
    names: Mapping[str, Mapping[str, str]],
    statements: Iterable[Mapping[str, Any]] = (),
) -> tuple[str, list[Words]]:
    """The priority of a task and the reasons shown for it: critical findings first, then what the clinic
    asked for.

    `findings` have rule and priority; `names` gives the words of a rule. `statements` of a 12-lead ECG have a
    priority of the queue and words; those that are routine need no reason.
    """
    priority, reasons = requested, []
    order = list(DUE)
    counted: dict[tuple[str, str], int] = {}
    for finding in findings:
        key = (finding["rule"], finding["priority"])
        counted[key] = counted.get(key, 0) + 1
    for level in ("high", "medium"):
        for (rule, found_priority), times in counted.items():
            if found_priority == level:
                priority = min(priority, FINDING_PRIORITY[level], key=order.index)
                reasons.append(_reason(level, names.get(rule, {"zh-CN": rule, "en": rule}), times))
    for statement in statements:
        if statement["priority"] != "routine":
            priority = min(priority, statement["priority"], key=order.index)
            zh, en = (statement["words"][locale] for locale in ("zh-CN", "en"))
            reasons.append(
                {"zh-CN": f"12 导联：{zh}（待医生确认）", "en": f"12-lead: {en} (to be confirmed)"}
            )
    return priority, [*reasons, PRIORITY_WORDS[requested]]


def _reason(level: str, name: Mapping[str, str], times: int) -> Words:
    zh, en = ("危急", "Critical") if level == "high" else ("提示", "Note")
    return {
        "zh-CN": f"{zh}：{name['zh-CN']} {times} 次（待医生确认）",
        "en": f"{en}: {name['en']} x {times} (to be confirmed)",
    }
