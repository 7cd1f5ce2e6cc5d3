"""`hub ecg read`: the statements on a 12-lead ECG in a file, as text or JSON; nobody has read it."""

from pathlib import Path
from typing import Any

from ecg import holter
from ecg.twelve_lead.case import Request
from ecg.twelve_lead.report import is_twelve_lead
from hub.core import errors
from hub.imaging.intake.ecg_files import read_record
from hub.reading.words import word


def read_file(path: Path, request: Request) -> dict[str, Any]:
    """Statements, values and critical values of a file; `ecg_unreadable` if it holds no 12-lead ECG."""
    record = read_record(path)
    if not is_twelve_lead(record):
        raise errors.error("ecg_unreadable", file=path.name, cause="leads I, II and V1 to V6 are needed")
    analysis = holter.analyse(record, paced=request.paced)
    measured = holter.measured(record, analysis, paced=request.paced, request=request)
    return {"file": path.name, **(measured.twelve or {})}


def as_text(told: dict[str, Any], locale: str) -> list[str]:
    """One line a statement with its evidence, then the values."""
    lines = [f"{told['file']}  {word('not_read', locale)}"]
    for statement in told["statements"]:
        leads = ",".join(statement["leads"])
        parts = [
            f"[{statement['priority']}]",
            statement["words"][locale],
            statement["evidence"][locale],
            leads,
            statement["reason"],
        ]
        lines.append("  ".join(part for part in parts if part))
    if not told["statements"]:
        lines.append(word("no_statement", locale))
    for row in (told["critical_values"] or {}).get("met", []):
        pack = told["critical_values"]["title"][locale]
        lines.append(word("critical_met", locale, row=row["words"][locale], pack=pack))
    for name, value in told["values"].items():
        lines.append(
            f"  {name}: {value['reason'] if value['value'] is None else format(value['value'], 'g')}"
        )
    return lines
