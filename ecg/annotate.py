"""Analyses as WFDB annotations `RECORD.hub`, so that independent tools can score them.

Beats N V Q; runs between `(VT` and `(N`, irregular rhythm between `(AFIB` and `(N`; `~` with subtype -1 where no
lead can be read and 0 where one can again.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecg.analysis import CLASSES, Analysis
from ecg.formats import wfdb
from ecg.holter import analyse
from ecg.record import Record

RHYTHM_NOTES = {"ventricular-run": "(VT", "irregular-rhythm": "(AFIB"}


def annotations(analysis: Analysis) -> list[tuple[int, str, str, int]]:
    """(sample, symbol, note, subtype) in time order."""
    rows = [(int(s), CLASSES[k], "", 0) for s, k in zip(analysis.sample, analysis.kind, strict=True)]
    for finding in analysis.findings:
        last = analysis.length - 1 if finding.offset_sample is None else finding.offset_sample
        if finding.rule in RHYTHM_NOTES:
            rows += [(finding.onset_sample, "+", RHYTHM_NOTES[finding.rule], 0), (last + 1, "+", "(N", 0)]
        elif finding.rule == "unreadable-signal":
            rows += [(finding.onset_sample, "~", "", -1), (last, "~", "", 0)]
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
