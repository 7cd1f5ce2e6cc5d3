"""Statements for the reading queue: what a 12-lead ECG shows by published criteria, each with its evidence.

They order the queue and open the strip; a doctor makes the diagnosis. None of them says that an ECG is normal, and an
empty list means only that no criterion was met.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ecg.analysis import Analysis
from ecg.record import Record
from ecg.twelve_lead import rhythm_statements, shape_statements
from ecg.twelve_lead.case import Case, Evidence, Request, Test
from ecg.twelve_lead.criteria import CRITERIA, PRIORITIES, Criterion, Priority
from ecg.twelve_lead.measurements import Measurements, measure

__all__ = ["Request", "Statement", "critical_facts", "from_measurements", "statements"]

TESTS: Mapping[str, Test] = {**rhythm_statements.TESTS, **shape_statements.TESTS}
STRIP_S = 10.0
# What a stronger statement already says.
COVERED_BY: Mapping[str, str] = {
    "bradycardia": "marked-bradycardia",
    "tachycardia": "marked-tachycardia",
    "long-qt": "very-long-qt",
    "left-axis": "left-anterior-fascicular-block",
    "extreme-axis": "arm-leads-reversed",
    "right-axis": "arm-leads-reversed",
}


@dataclass(frozen=True)
class Statement:
    """One line of the prefilter. numbers carry their units; strip [first, last) are the record's samples to show.

    quality: "noisy" if most of its leads are noisy, else "good"; reason: why nothing could be measured, if so.
    """

    name: str
    version: int
    priority: Priority
    text: Mapping[str, str]
    numbers: Mapping[str, float]
    leads: tuple[str, ...]
    strip: tuple[int, int]
    quality: str
    reason: str = ""


def statements(record: Record, analysis: Analysis, request: Request | None = None) -> tuple[Statement, ...]:
    """Statements on a record with its analysis, the most urgent first."""
    return from_measurements(measure(record, analysis), analysis, request)


def from_measurements(
    measured: Measurements, analysis: Analysis, request: Request | None = None
) -> tuple[Statement, ...]:
    """The same from measurements that are already made."""
    case = Case(measured, analysis, request or Request())
    met = {name: evidence for name, test in TESTS.items() if (evidence := test(case)) is not None}
    kept = [CRITERIA[name] for name in met if COVERED_BY.get(name, "") not in met]
    places = {name: place for place, name in enumerate(CRITERIA)}
    kept.sort(key=lambda row: (PRIORITIES.index(row.priority), places[row.name]))
    return tuple(_statement(row, met[row.name], case) for row in kept)


def _statement(row: Criterion, evidence: Evidence, case: Case) -> Statement:
    table = case.measured.by_lead
    noisy = sum(table[lead]["qrs_ms"].quality == "noisy" for lead in evidence.leads if lead in table)
    reason = case.measured.values["qrs_ms"].reason if row.name == "not-measurable" else ""
    return Statement(
        row.name, row.version, row.priority, row.words, dict(evidence.numbers), evidence.leads,
        _strip(case, evidence.at), "noisy" if 2 * noisy > max(1, len(evidence.leads)) else "good", reason,
    )  # fmt: skip


def _strip(case: Case, at: tuple[int, int] | None) -> tuple[int, int]:
    """10 s around the evidence, or the begin of what was measured, inside the record."""
    width = round(STRIP_S * case.analysis.fs_hz)
    first = case.measured.stretch[0] if at is None else (at[0] + at[1] - width) // 2
    first = max(0, min(first, case.analysis.length - width))
    return first, min(case.analysis.length, first + width)


def critical_facts(
    measured: Measurements, analysis: Analysis, request: Request | None = None
) -> dict[str, float]:
    """Facts of `ecg.critical_values` that a 12-lead ECG determines; what was withheld or needs a reader is left out."""
    case = Case(measured, analysis, request or Request())
    rr_ms, qtc_ms = case.number("longest_rr_ms"), rhythm_statements.qtc_ms(case)
    st = {lead: uv for lead in measured.by_lead if (uv := case.number("st_j_uv", lead)) is not None}
    groups = {
        "st_elevation_limb_v4_v6_uv": [
            st[n] for n in ("I", "II", "III", "aVL", "aVF", "V4", "V5", "V6") if n in st
        ],
        "st_elevation_v1_v3_uv": [st[n] for n in ("V1", "V2", "V3") if n in st],
    }
    found = {
        "longest_rr_s": None if rr_ms is None else rr_ms / 1000,
        "rate_bpm": case.number("rate_bpm"),
        "qtc_s": None if qtc_ms is None else qtc_ms / 1000,
        **{name: max(values, default=None) for name, values in groups.items()},
    }
    return {name: value for name, value in found.items() if value is not None}
