"""Scores by the rules of ANSI/AAMI EC57 (4.3): 150 ms window, first 5 minutes skipped, VF stretches skipped.

Beats are paired as WFDB's bxb pairs them: nearest in time, each once. Gross figures sum over records, average
figures are means of the records' own; both are given per detection (QRS), for ventricular (VEB) and for
supraventricular ectopic beats (SVEB; neither where the reference is paced), and for AF and VF by episode and by
duration (`ecg.rhythm_score`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg import rhythm_score
from ecg.formats import wfdb
from ecg.rhythm_score import percent

WINDOW_S = 0.150  # EC57 4.3.2
SKIPPED_S = 300.0  # EC57 4.3.1: learning period
AAMI: Mapping[str, str] = {
    **dict.fromkeys("NLRBejn", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VEr", "V"),
    "F": "F",
    **dict.fromkeys("/fQ?", "Q"),
}
PACED = "/"
VEB_FREE = frozenset("FQ")  # EC57: a V called on these counts neither way
SVEB_FREE = frozenset("Q")  # and an S called on these
BEATS = ("qrs", "veb", "sveb")
COUNTS = tuple(f"{what}_{part}" for what in BEATS for part in ("tp", "fn", "fp"))


@dataclass(frozen=True)
class Beats:
    """Beat annotations of one record: samples, AAMI classes, VF stretches [first, last], whether any is paced."""

    sample: NDArray[np.int64]
    kind: str
    fibrillation: tuple[tuple[int, int], ...] = ()
    is_paced: bool = False


def from_annotations(sample: Iterable[int], symbol: Iterable[str]) -> Beats:
    rows = list(zip(sample, symbol, strict=True))
    beats = [(int(s), AAMI[q]) for s, q in rows if q in AAMI]
    begins = [int(s) for s, q in rows if q == "["]
    ends = [int(s) for s, q in rows if q == "]"]
    spans = tuple(zip(begins, [*ends, 2**62][: len(begins)], strict=False))
    is_paced = any(q == PACED for _, q in rows)
    return Beats(np.array([s for s, _ in beats], np.int64), "".join(k for _, k in beats), spans, is_paced)


def read(path: Path, extension: str) -> Beats:
    rows = wfdb.read_annotations(path, extension)
    return from_annotations([sample for sample, _, _ in rows], [symbol for _, symbol, _ in rows])


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
        if reference.is_paced:  # EC57 4.2: ectopic beats of paced records are not judged
            continue
        for what, own, free in (("veb", "V", VEB_FREE), ("sveb", "S", SVEB_FREE)):
            if true == own:
                out[f"{what}_tp" if called == own else f"{what}_fn"] += 1
            elif called == own and true not in free:
                out[f"{what}_fp"] += 1
    return out


def rates(counts: Mapping[str, float]) -> dict[str, float | None]:
    """Sensitivity and positive predictivity in percent; None where there is nothing to count."""
    out: dict[str, float | None] = {}
    for what in BEATS:
        tp, fn, fp = (counts[f"{what}_{k}"] for k in ("tp", "fn", "fp"))
        out[f"{what}_se_pct"], out[f"{what}_ppv_pct"] = percent(tp, tp + fn), percent(tp, tp + fp)
    return out


def score_folder(folder: Path, reference: str = "atr", test: str = "hub") -> dict[str, Any]:
    """Scores of every record of a folder that has both annotation files: per record, gross, average."""
    records: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob(f"*.{test}")):
        name = path.with_suffix("")
        if name.with_suffix(f".{reference}").exists():
            records[name.name] = _record(name, reference, test)
    rows = list(records.values())
    beats, rhythms = totals(rows), totals(rows, rhythm_score.COUNTS, rhythm_score.rates)
    return {"records": records, **{key: {**beats[key], **rhythms[key]} for key in ("gross", "average")}}


def _record(name: Path, reference: str, test: str) -> dict[str, Any]:
    fs_hz, length_s = wfdb.read_rate_hz(name), wfdb.read_length_s(name)
    beats = score(read(name, reference), read(name, test), fs_hz)
    true, called = (wfdb.read_annotations(name, extension) for extension in (reference, test))
    rhythms = rhythm_score.count(true, called, fs_hz, length_s, SKIPPED_S)
    return {**beats, **rates(beats), **rhythms, **rhythm_score.rates(rhythms)}


def totals(
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[str] = COUNTS,
    rates_of: Callable[[Mapping[str, float]], dict[str, float | None]] = rates,
) -> dict[str, dict[str, Any]]:
    """Gross and average figures over records."""
    gross = {key: sum(row[key] for row in rows) for key in keys}
    average: dict[str, float | None] = {}
    for key in rates_of(gross):
        known = [row[key] for row in rows if row[key] is not None]
        average[key] = round(sum(known) / len(known), 3) if known else None
    return {"gross": {**gross, **rates_of(gross)}, "average": average}
