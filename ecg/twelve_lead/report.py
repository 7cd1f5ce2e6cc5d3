"""A 12-lead ECG as the reading room takes it: statements with evidence, numbers, and critical values, as JSON."""

from typing import Any

from ecg import critical_values
from ecg.analysis import Analysis
from ecg.record import MDC_TO_SHORT, Record, main_group
from ecg.twelve_lead.case import Request
from ecg.twelve_lead.evidence import in_words, known
from ecg.twelve_lead.measurements import WHOLE_S, Measurements
from ecg.twelve_lead.signals import CHEST
from ecg.twelve_lead.statements import Statement, critical_facts, from_measurements

NEEDED = frozenset({"I", "II", *CHEST})  # the other limb leads follow from I and II


def is_twelve_lead(record: Record) -> bool:
    """Whether the leads that are analysed make a 12-lead ECG."""
    return {MDC_TO_SHORT.get(lead.code, "") for lead in main_group(record)} >= NEEDED


def report(measured: Measurements, analysis: Analysis, request: Request | None = None) -> dict[str, Any]:
    """Statements, the most urgent first, the values they rest on, and rows of the published list that are met.

    A short ECG is held against the list for routine ECG; of a long one that is the summary's task (its Holter list).
    """
    told: dict[str, Any] = {
        "stretch": list(measured.stretch),
        "beats": measured.beats,
        "values": {
            name: {"value": value.value, "quality": value.quality, "reason": value.reason}
            for name, value in measured.values.items()
        },
        "statements": [_statement(s) for s in from_measurements(measured, analysis, request)],
        "critical_values": None,
    }
    if analysis.length <= WHOLE_S * analysis.fs_hz:
        pack = critical_values.PACKS[critical_values.HUB_PACK]
        facts = critical_facts(measured, analysis, request)
        told["critical_values"] = critical_values.told(pack, critical_values.assess(pack, "routine", facts))
    return told


def _statement(s: Statement) -> dict[str, Any]:
    return {
        "name": s.name, "version": s.version, "priority": s.priority, "words": dict(s.text),
        "numbers": known(s.numbers), "evidence": in_words(s.numbers), "leads": list(s.leads),
        "strip": [int(place) for place in s.strip], "quality": s.quality, "reason": s.reason,
    }  # fmt: skip
