"""The Holter report of a file (`hub ecg holter`): figures, trend, hours and strips as the engine sees them.

The same drawing as the paper of a signed report, without patient, conclusion or signature: nobody has read it.
"""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ecg import holter
from ecg.record import Record, main_group
from hub.core.pdf import GREY, WARNING, Frame, Paper
from hub.imaging.intake.ecg_files import read_record
from hub.reading import disclosure, paper
from hub.reading.cases import LEAD_IN_S, STRIP_S, finding_view
from hub.reading.sheet import MISSING, Sheet
from hub.reading.timeline import Stretch, Timeline
from hub.reading.words import LOCALES, WORDS, word

UNKNOWN_START = datetime(2000, 1, 1, tzinfo=UTC)  # times then count from the start of the record
STRIPS_MAX = 40  # the paper says how many findings there are
DEVICE_MAX_CHARS = 40
EXTREMES = ("lowest_rate", "highest_rate", "longest_rr")


def report_record(
    path: Path, locale: str = "zh-CN", *, paced: bool = False, full_disclosure: bool = False
) -> tuple[bytes, dict[str, Any]]:
    """PDF and figures of a recording in a file."""
    record = read_record(path)
    analysis, leads = holter.analyse(record, paced=paced), main_group(record)
    stretch = Stretch(0, 0, analysis.length, record.start_at or UNKNOWN_START, ((0, analysis.length),))
    line = Timeline(analysis.fs_hz, (stretch,))
    figures = holter.summary(analysis, line.instant(0), holter.measured(record, analysis, paced=paced))
    findings = [finding_view(f, i, line) for i, f in enumerate(holter.ranked(analysis.findings)[:STRIPS_MAX])]
    moments: list[tuple[str, int | str, int]] = [
        ("finding", i, finding["onset_sample"]) for i, finding in enumerate(findings)
    ]
    moments += [("extreme", name, figures[name]["sample"]) for name in EXTREMES if figures[name]]
    samples = _microvolts(record)
    document = {
        "recording": {
            "leads": [lead.code for lead in leads], "fs_hz": analysis.fs_hz, "uv_per_lsb": 1.0,
            "worn_from": line.instant(0).isoformat(), "worn_to": line.instant(analysis.length).isoformat(),
            "device_name": _device(record.device) or word("unknown", locale), "device_id": path.name,
        },
        "analysis": {"summary": figures, "finding_counts": Counter(f.rule for f in analysis.findings)},
        "findings": [finding | {"onset_at": finding["onset_at"].isoformat()} for finding in findings],
    }  # fmt: skip
    frame = Frame(
        f"{path.name}  {word('title', locale)}", word("not_read", locale), (word("safety", locale),),
        WORDS["page"][LOCALES.index(locale)],
    )  # fmt: skip
    strips = [_strip(samples, line, *moment) for moment in moments]
    dated = record.start_at is not None
    sheet = Sheet(Paper(frame), document, locale, ZoneInfo("UTC"), strips, "", 0, dated)
    sheet.paper.text(word("not_read", locale), 12, WARNING)
    if not dated:
        sheet.paper.text(word("from_start", locale), 9, GREY)
    paper.recorder(sheet)
    for section in paper.RECORD_SECTIONS:
        section(sheet)
    if full_disclosure:
        disclosure.pages(sheet, disclosure.of_analysis(list(samples), 1.0, analysis))
    return sheet.paper.finish(), figures


def _device(told: str) -> str:
    """Some formats keep whole histories where the device should stand."""
    return told if len(told) <= DEVICE_MAX_CHARS else told[:DEVICE_MAX_CHARS].rstrip() + "…"


def _microvolts(record: Record) -> NDArray[np.int16]:
    """All leads on one scale, [lead, sample]; what is not there is `MISSING`."""
    rows = []
    for lead in main_group(record):
        scaled = np.rint((lead.samples.astype(np.float64) - lead.offset) * lead.uv_per_lsb)
        row = np.clip(scaled, MISSING + 1, -MISSING - 1).astype(np.int16)
        rows.append(row if lead.missing is None else np.where(lead.samples == lead.missing, MISSING, row))
    return np.array(rows, np.int16)


def _strip(
    samples: NDArray[np.int16], line: Timeline, section: str, item: int | str, index: int
) -> dict[str, Any]:
    window = line.window(index, LEAD_IN_S, STRIP_S)
    first, count = window["first_sample"], window["count"]
    return {
        "section": section, "item": item, "count": count, "mark_s": (index - first) / line.fs_hz,
        "samples": samples[:, first : first + count].astype("<i2").tobytes(),
        "start_at": line.instant(first).isoformat(),
    }  # fmt: skip
