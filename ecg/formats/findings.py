"""Findings out: EDF+ with the signal and its annotations, and JSON. WFDB annotations are `ecg.annotate`.

All three tell the same rows: beats as N, V, Q, rhythm changes as (VT, (AFIB, (N, and unreadable stretches.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from fractions import Fraction

from ecg.analysis import Analysis
from ecg.annotate import annotations
from ecg.findings import to_dict
from ecg.formats import edf_out
from ecg.formats.edf import Note
from ecg.record import Record

VERSION = 1  # of the JSON
UNREADABLE: Mapping[int, str] = {-1: "~ unreadable", 0: "~ readable"}


def notes(analysis: Analysis) -> list[Note]:
    """Annotations in time order; a text is the beat's symbol, the rhythm's, or what `~` means there."""
    return [
        Note(Fraction(sample, analysis.fs_hz), None, UNREADABLE[subtype] if symbol == "~" else note or symbol)
        for sample, symbol, note, subtype in annotations(analysis)
    ]


def as_edf(record: Record, analysis: Analysis, zone: tzinfo = UTC) -> bytes:
    """EDF+ or BDF+ of the record with the analysis as annotations; without leads of annotations only."""
    return edf_out.encode(record, notes(analysis), zone)


def as_json(analysis: Analysis, start_at: datetime | None = None) -> str:
    """The analysis as one JSON object; samples count from the record's first, of `fs_hz`."""
    rows = annotations(analysis)
    document = {
        "format": "telehub-ecg-findings",
        "version": VERSION,
        "algorithm": {"name": analysis.algorithm, "version": analysis.version},
        "start_at": start_at.isoformat() if start_at else None,
        "fs_hz": analysis.fs_hz,
        "leads": list(analysis.leads),
        "length_samples": analysis.length,
        "recorded_s": round(float(analysis.recorded_s), 3),
        "readable_s": round(float(analysis.readable_s), 3),
        "annotations": [
            {"sample": sample, "symbol": symbol, "note": note, "subtype": subtype}
            for sample, symbol, note, subtype in rows
        ],
        "findings": [to_dict(finding) for finding in analysis.findings],
        "notes": list(analysis.notes),
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False)
