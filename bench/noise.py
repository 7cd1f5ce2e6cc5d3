"""Beats in recorded noise beside sleepecg: 118, 119, 101, 106, 122 with muscle noise and baseline wander.

Noise is added as in the Noise Stress Test (`tests.ecg.stress`). What lies in ten seconds that no lead can be read in
is not told as read: its beats count as missed there, and +P is of the rest.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.ecg import ROOT, sleepecg_detector
from ecg import score
from ecg.analysis import QUALITY_BLOCK_S, Analysis
from ecg.formats import wfdb
from ecg.fusion import UNREADABLE
from ecg.holter import analyse
from tests.ecg.stress import noisy

Row = dict[str, Any]
RECORDS, NOISES, SNR_DB = ("118", "119", "101", "106", "122"), ("ma", "bw"), (12, 6, 0)
WANTED = {12: (98.0, 5.0), 6: (92.0, 15.0), 0: (85.0, 35.0)}  # least F1, most seconds flagged, in percent


def run() -> list[Row]:
    folder = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data")
    if not (folder / "nstdb").is_dir():
        return []
    return [row for snr_db in SNR_DB for row in _at(folder, snr_db)]


def _at(folder: Path, snr_db: int) -> list[Row]:
    peer = sleepecg_detector()
    ours, rest, theirs, flagged = list[Any](), list[Any](), list[Any](), list[float]()
    for noise in NOISES:
        for name in RECORDS:
            path, fs_hz = folder / "mitdb" / name, 360
            reference = score.read(path, "atr")
            record, on = noisy(wfdb.read(path), reference, wfdb.read(folder / "nstdb" / noise), snr_db)
            found = analyse(record)
            is_read = _read(found, len(on))
            called = _only(score.Beats(found.sample, "N" * len(found.sample)), is_read)
            ours.append(score.score(reference, called, fs_hz))
            rest.append(score.score(_only(reference, is_read), called, fs_hz))
            flagged.append(100.0 * float((~is_read & on).sum() / on.sum()))
            if peer is not None:
                at = peer(record.leads[0].samples.astype(float), fs_hz)
                theirs.append(score.score(reference, score.Beats(at, "N" * len(at)), fs_hz))
    least, most = WANTED[snr_db]
    told = f"at {snr_db} dB"
    return [
        _row(f"QRS F1 {told}", _f1(ours), "%", "sleepecg, first lead", _f1(theirs)),
        _row(f"QRS F1 {told}", _f1(ours), "%", "wanted at least", least),
        _row(f"QRS +P {told} outside what is flagged unreadable", _ppv(rest), "%", "wanted at least", 99.0),
        _row(
            f"noisy seconds flagged unreadable {told}", float(np.mean(flagged)), "%", "wanted at most", most
        ),
    ]


def _read(found: Analysis, length: int) -> NDArray[np.bool_]:
    """[sample] whether some lead can be read."""
    blocks = found.quality.min(axis=1) < UNREADABLE
    return np.repeat(blocks, QUALITY_BLOCK_S * found.fs_hz)[:length]


def _only(beats: score.Beats, where: NDArray[np.bool_]) -> score.Beats:
    kept = where[np.minimum(beats.sample, len(where) - 1)]
    kinds = "".join(kind for kind, keep in zip(beats.kind, kept, strict=True) if keep)
    return score.Beats(beats.sample[kept], kinds, beats.fibrillation)


def _f1(rows: list[Any]) -> float | None:
    tp, fn, fp = (sum(row[f"qrs_{key}"] for row in rows) for key in ("tp", "fn", "fp"))
    return 200.0 * tp / (2 * tp + fn + fp) if rows else None


def _ppv(rows: list[Any]) -> float:
    tp, fp = (sum(row[f"qrs_{key}"] for row in rows) for key in ("tp", "fp"))
    return 100.0 * float(tp) / (tp + fp)


def _row(name: str, value: float | None, unit: str, peer: str, peer_value: float | None) -> Row:
    ratio = value / peer_value if value is not None and peer_value else None
    return {
        "name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio,
    }  # fmt: skip
