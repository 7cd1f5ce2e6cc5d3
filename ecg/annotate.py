"""Analyses as WFDB annotations `RECORD.hub`, so that independent tools can score them.

Beats N S V F Q; rhythms as the rule table notes them, `(VT` ... `(N`, the most urgent where several hold; `[` and `]`
around ventricular fibrillation; `~` with subtype -1 where no lead can be read and 0 where one can again.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecg.analysis import CLASSES, Analysis
from ecg.findings import Finding
from ecg.formats import wfdb
from ecg.holter import analyse
from ecg.record import Record
from ecg.rhythms import RULES

NORMAL = "(N"
FIBRILLATION = "["
Row = tuple[int, str, str, int]


def _end(finding: Finding, length: int) -> int:
    return length - 1 if finding.offset_sample is None else min(finding.offset_sample, length - 1)


def _changes(spans: Sequence[tuple[int, int, str]]) -> list[tuple[int, str]]:
    """(sample, note) at each change of the rhythm that counts: the one of least rank (spans in that order)."""
    edges = sorted({edge for first, last, _ in spans for edge in (first, last + 1)})
    out, now = list[tuple[int, str]](), NORMAL
    for edge in edges:
        note = next((note for first, last, note in spans if first <= edge <= last), NORMAL)
        if note != now:
            out.append((edge, note))
            now = note
    return out


def annotations(analysis: Analysis) -> list[Row]:
    """(sample, symbol, note, subtype) in time order."""
    rows: list[Row] = [
        (int(s), CLASSES[k], "", 0) for s, k in zip(analysis.sample, analysis.kind, strict=True)
    ]
    known = sorted((f for f in analysis.findings if f.rule in RULES), key=lambda f: RULES[f.rule].rank)
    spans = [(f.onset_sample, _end(f, analysis.length), RULES[f.rule].note) for f in known]
    notes = [span for span in spans if span[2] not in ("", FIBRILLATION)]
    rows += [(sample, "+", note, 0) for sample, note in _changes(notes)]
    for first, last, note in spans:
        if note == FIBRILLATION:
            rows += [(first, "[", "", 0), (last, "]", "", 0)]
    for finding in known:
        if finding.rule == "unreadable-signal":
            rows += [(finding.onset_sample, "~", "", -1), (_end(finding, analysis.length), "~", "", 0)]
    return sorted(rows)


def annotate(record: Record, path: Path) -> Analysis:
    """Analyse and write `path`.hub."""
    analysis = analyse(record)
    rows = annotations(analysis)
    if rows:
        sample, symbols, notes, subtypes = zip(*rows, strict=True)
        wfdb.annotate(
            path,
            np.array(sample, np.int64),
            list(symbols),
            list(notes),
            np.array(subtypes, np.int64),
            analysis.fs_hz,
        )
    return analysis


def annotate_records(paths: Sequence[Path], out_dir: Path) -> list[Path]:
    """Annotate WFDB records (named without suffix) into out_dir; the files written."""
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for path in paths:
        annotate(wfdb.read(path), out_dir / path.name)
        written.append(out_dir / f"{path.name}.hub")
    return written
