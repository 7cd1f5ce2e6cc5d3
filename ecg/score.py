"""Beat scores by the rules of ANSI/AAMI EC57 (4.3): 150 ms window, first 5 minutes skipped, VF stretches skipped.

Beats are paired as WFDB's bxb pairs them: nearest in time, each once. Gross figures sum over records, average
figures are means of the records' own; both are given per detection (QRS), for ventricular (VEB) and for
supraventricular ectopic beats (SVEB).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg.formats import wfdb

WINDOW_S = 0.150  # EC57 4.3.2
SKIPPED_S = 300.0  # EC57 4.3.1: learning period
AAMI: Mapping[str, str] = {
    **dict.fromkeys("NLRBejn", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VEr", "V"),
    "F": "F",
    **dict.fromkeys("/fQ?", "Q"),
}
VEB_FREE = frozenset("FQ")  # EC57: a V called on these counts neither way
SVEB_FREE = frozenset("Q")  # and an S called on these
COUNTS = tuple(f"{what}_{part}" for what in ("qrs", "veb", "sveb") for part in ("tp", "fn", "fp"))


@dataclass(frozen=True)
class Beats:
    """Beat annotations of one record: samples, AAMI classes, VF stretches [first, last]."""

    sample: NDArray[np.int64]
    kind: str
    fibrillation: tuple[tuple[int, int], ...] = ()


def from_annotations(sample: Iterable[int], symbol: Iterable[str]) -> Beats:
    rows = list(zip(sample, symbol, strict=True))
    beats = [(int(s), AAMI[q]) for s, q in rows if q in AAMI]
    begins = [int(s) for s, q in rows if q == "["]
    ends = [int(s) for s, q in rows if q == "]"]
    spans = tuple(zip(begins, [*ends, 2**62][: len(begins)], strict=False))
    return Beats(np.array([s for s, _ in beats], np.int64), "".join(k for _, k in beats), spans)


def read(path: Path, extension: str) -> Beats:
    return from_annotations(*wfdb.read_annotations(path, extension))


def pair(
    reference: NDArray[np.int64], test: NDArray[np.int64], window: float
) -> list[tuple[int | None, int | None]]:
    """Pairs of indices, None where the other side has no beat within the window."""
    out: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < len(reference) and j < len(test):
        apart = test[j] - reference[i]
        if abs(apart) > window:
            out.append((None, j) if apart < 0 else (i, None))
            i, j = (i, j + 1) if apart < 0 else (i + 1, j)
        elif j + 1 < len(test) and abs(test[j + 1] - reference[i]) < abs(apart):
            out.append((None, j))
            j += 1
        elif i + 1 < len(reference) and abs(test[j] - reference[i + 1]) < abs(apart):
            out.append((i, None))
            i += 1
        else:
            out.append((i, j))
            i, j = i + 1, j + 1
    out += [(k, None) for k in range(i, len(reference))]
    return out + [(None, k) for k in range(j, len(test))]


def _counted(beats: Beats, spans: tuple[tuple[int, int], ...], fs_hz: float) -> tuple[NDArray[np.int64], str]:
    keep = beats.sample >= SKIPPED_S * fs_hz
    reach = WINDOW_S * fs_hz
    for first, last in spans:
        keep &= (beats.sample < first - reach) | (beats.sample > last + reach)
    return beats.sample[keep], "".join(k for k, kept in zip(beats.kind, keep, strict=True) if kept)


def score(reference: Beats, test: Beats, fs_hz: float) -> dict[str, int]:
    """How many of each of COUNTS; classes count as WFDB's bxb counts them."""
    ref_at, ref_kind = _counted(reference, reference.fibrillation, fs_hz)
    test_at, test_kind = _counted(test, reference.fibrillation, fs_hz)
    out = dict.fromkeys(COUNTS, 0)
    for i, j in pair(ref_at, test_at, WINDOW_S * fs_hz):
        true = "" if i is None else ref_kind[i]
        called = "" if j is None else test_kind[j]
        out["qrs_tp" if true and called else "qrs_fn" if true else "qrs_fp"] += 1
        for what, own, free in (("veb", "V", VEB_FREE), ("sveb", "S", SVEB_FREE)):
            if true == own:
                out[f"{what}_tp" if called == own else f"{what}_fn"] += 1
            elif called == own and true not in free:
                out[f"{what}_fp"] += 1
    return out


def rates(counts: Mapping[str, int]) -> dict[str, float | None]:
    """Sensitivity and positive predictivity in percent; None where there is nothing to count."""

    def percent(hit: int, of: int) -> float | None:
        return round(100.0 * hit / of, 3) if of else None

    out: dict[str, float | None] = {}
    for what in ("qrs", "veb", "sveb"):
        tp, fn, fp = (counts[f"{what}_{k}"] for k in ("tp", "fn", "fp"))
        out[f"{what}_se_pct"], out[f"{what}_ppv_pct"] = percent(tp, tp + fn), percent(tp, tp + fp)
    return out


def score_folder(folder: Path, reference: str = "atr", test: str = "hub") -> dict[str, Any]:
    """Scores of every record of a folder that has both annotation files: per record, gross, average."""
    records: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob(f"*.{test}")):
        name = path.with_suffix("")
        if not name.with_suffix(f".{reference}").exists():
            continue
        fs_hz = wfdb.read_rate_hz(name)
        counts = score(read(name, reference), read(name, test), fs_hz)
        records[name.name] = {**counts, **rates(counts)}
    return {"records": records, **totals(list(records.values()))}


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Gross and average figures over records."""
    gross = {key: sum(row[key] for row in rows) for key in COUNTS}
    average: dict[str, float | None] = {}
    for key in (f"{what}_{part}_pct" for what in ("qrs", "veb", "sveb") for part in ("se", "ppv")):
        known = [row[key] for row in rows if row[key] is not None]
        average[key] = round(sum(known) / len(known), 3) if known else None
    return {"gross": {**gross, **rates(gross)}, "average": average}
