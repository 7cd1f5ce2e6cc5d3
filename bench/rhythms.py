"""Rhythms on the tuning records: AF by duration, VF or VT by windows of 5 s, false high alarms, per record on request.

`python -m bench.rhythms` prints a line for each record. Weights were fitted on these records; what leaving records out
gives is in docs/models/rhythms.md.
"""

import csv
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import wfdb as reader

from bench.ecg import DS1
from ecg import rhythm_score as scores
from ecg.analysis import Analysis
from ecg.formats import wfdb
from ecg.holter import analyse
from ecg.rhythm_score import Counts, Span
from ecg.rhythms import RULES, limit

Row = dict[str, Any]
FOLDER = Path(__file__).parents[1] / os.environ.get("TELEHUB_DATA", "../shared/data")
AF_NOTES = frozenset({"(AFIB", "(AFL"})
AF_RULES = frozenset({"atrial-fibrillation", "atrial-flutter"})
VENTRICULAR_NOTES = frozenset({"(VT", "(VF", "(VFIB", "(VFL"})
VENTRICULAR_RULES = frozenset({"ventricular-fibrillation", "ventricular-tachycardia", "ventricular-run"})
UNLABELLED = frozenset({"(NOISE", "(ASYS", "(VER", "(HGEA"})  # neither one nor the other
WINDOW_S = 5.0
BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")
Rhythms = list[tuple[float, float, str]]


def rhythms(path: Path, length_s: float) -> Rhythms:
    """(begin, end, note) of a record's rhythm annotations; what lies before the first is without a note."""
    found = reader.rdann(str(path), "atr")
    fs_hz = wfdb.read_rate_hz(path)
    rows = list(zip(found.sample, found.symbol, found.aux_note, strict=True))
    marks = [(s / fs_hz, note.strip("\0 ")) for s, symbol, note in rows if symbol == "+"]
    edges = [(0.0, ""), *marks, (length_s, "")]
    spans = [(a[0], b[0], a[1]) for a, b in pairwise(edges) if b[0] > a[0]]
    begins = [s / fs_hz for s, symbol, _ in rows if symbol == "["]
    ends = [s / fs_hz for s, symbol, _ in rows if symbol == "]"]
    return spans + [(a, b, "(VF") for a, b in zip(begins, ends, strict=False)]


def spans_of(spans: Rhythms, notes: frozenset[str]) -> list[Span]:
    return [(a, b) for a, b, note in spans if note in notes]


def called(found: Analysis, rules: frozenset[str]) -> list[Span]:
    end = found.length
    return [
        (f.onset_sample / found.fs_hz, (end if f.offset_sample is None else f.offset_sample) / found.fs_hz)
        for f in found.findings
        if f.rule in rules
    ]


def records(folder: str, names: tuple[str, ...] = ()) -> Iterator[tuple[Path, Analysis]]:
    for header in sorted((FOLDER / folder).glob("*.hea")):
        if not names or header.stem in names:
            path = header.with_suffix("")
            yield path, analyse(wfdb.read(path))


def atrial_fibrillation(found: Analysis, path: Path) -> Counts:
    length_s = found.length / found.fs_hz
    reference = rhythms(path, length_s)
    return scores.by_duration(spans_of(reference, AF_NOTES), called(found, AF_RULES), length_s)


def ventricular_windows(found: Analysis, labelled: list[tuple[float, float, bool]]) -> Counts:
    return scores.by_window(labelled, called(found, VENTRICULAR_RULES))


def creighton_labels() -> dict[str, list[tuple[float, float, bool]]]:
    out: dict[str, list[tuple[float, float, bool]]] = {}
    with (FOLDER / "cudb" / "labels_5s.csv").open() as file:
        for row in csv.DictReader(file):
            window = (int(row["start_sample"]) / 250, int(row["end_sample"]) / 250, row["vf_or_vt"] == "1")
            out.setdefault(row["record"], []).append(window)
    return out


def window_labels(path: Path, length_s: float) -> list[tuple[float, float, bool]]:
    """Windows of 5 s; VF or VT where half of it is or more, left out where a fifth or more has no label."""
    spans = rhythms(path, length_s)
    is_one = scores.covered(spans_of(spans, VENTRICULAR_NOTES), length_s)
    unlabelled = scores.covered(spans_of(spans, UNLABELLED), length_s)
    step = round(WINDOW_S / scores.TICK_S)
    return [
        (k * scores.TICK_S, (k + step) * scores.TICK_S, 2 * int(is_one[k : k + step].sum()) >= step)
        for k in range(0, len(is_one) - step + 1, step)
        if 5 * int(unlabelled[k : k + step].sum()) < step
    ]


def beats_meet_a_rule(path: Path) -> list[Span]:
    """Where the reference beats themselves meet a high rule: a run of 10 at 150/min, 35/min over 10 s, 4 s without."""
    found, fs_hz = reader.rdann(str(path), "atr"), wfdb.read_rate_hz(path)
    rows = [(s / fs_hz, q) for s, q in zip(found.sample, found.symbol, strict=True) if q in BEATS]
    at = np.array([s for s, _ in rows])
    spans: list[Span] = [(a, b) for a, b in pairwise(at) if b - a >= limit("asystole", "quiet_s")]
    for first, last in zip(at, at[np.minimum(np.searchsorted(at, at + 10.0), len(at) - 1)], strict=True):
        count = np.searchsorted(at, last) - np.searchsorted(at, first)
        if last - first >= 10.0 and 60.0 * count / (last - first) < limit("severe-bradycardia", "rate_bpm"):
            spans.append((float(first), float(last)))
    begin = 0
    for k in range(1, len(rows) + 1):
        if k == len(rows) or (rows[k][1] in "VE!") != (rows[begin][1] in "VE!"):
            length_s, count = at[k - 1] - at[begin], k - begin
            fast = count >= 10 and length_s > 0 and 60.0 * (count - 1) / length_s >= 150
            if rows[begin][1] in "VE!" and (fast or length_s >= 30):
                spans.append((float(at[begin]), float(at[k - 1])))
            begin = k
    return spans


def high_alarms(found: Analysis) -> list[tuple[str, Span]]:
    return [
        (f.rule, (f.onset_sample / found.fs_hz, (f.offset_sample or found.length) / found.fs_hz))
        for f in found.findings
        if f.priority == "high"
    ]


def false_high_alarms(found: Analysis, path: Path) -> list[tuple[str, Span]]:
    length_s = found.length / found.fs_hz
    excused = spans_of(rhythms(path, length_s), VENTRICULAR_NOTES | {"(ASYS"}) + beats_meet_a_rule(path)
    return [(rule, span) for rule, span in high_alarms(found) if scores.unexplained([span], excused)]


def _say(line: str, aloud: bool) -> None:
    if aloud:
        sys.stdout.write(line + "\n")


def _pair(name: str, counts: Counts) -> list[Row]:
    values = (("Se", counts.sensitivity_pct), ("Sp", counts.specificity_pct))
    return [_row(f"{name}, {part}", value, "%") for part, value in values if value is not None]


def _row(name: str, value: float, unit: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "peer": None, "peer_value": None, "ratio": None}


def run(aloud: bool = False) -> list[Row]:
    """Rows of the bench; nothing where the records are missing."""
    if not FOLDER.is_dir():
        return []
    af = {"mitdb": Counts(), "cpsc2021": Counts(), "cinc2017": Counts()}
    wide = {"cudb": Counts(), "vfdb": Counts()}
    false, hours, medium = list[tuple[str, Span]](), 0.0, 0
    with (FOLDER / "cinc2017" / "REFERENCE.csv").open() as file:
        kinds = dict(csv.reader(file))
    for path, found in records("cinc2017"):
        length_s = found.length / found.fs_hz
        if kinds[path.name] != "~":
            reference = [(0.0, length_s)] if kinds[path.name] == "A" else []
            counts = scores.by_duration(reference, called(found, AF_RULES), length_s)
            af["cinc2017"] += counts
            _say(
                f"cinc2017 {path.name} {kinds[path.name]} {counts}",
                aloud and counts.missed + counts.false > 0,
            )
    for path, found in records("cpsc2021"):
        counts = atrial_fibrillation(found, path)
        af["cpsc2021"] += counts
        _say(f"cpsc2021 {path.name} {counts}", aloud)
    for path, found in records("mitdb", tuple(DS1)):
        counts, wrong = atrial_fibrillation(found, path), false_high_alarms(found, path)
        af["mitdb"] += counts
        false += wrong
        hours += found.length / found.fs_hz / 3600
        medium += sum(f.priority == "medium" and RULES[f.rule].kind == "rhythm" for f in found.findings)
        _say(f"mitdb {path.name} AF {counts} false high {wrong}", aloud)
    labels = creighton_labels()
    for folder in wide:
        for path, found in records(folder):
            own = labels[path.name] if folder == "cudb" else window_labels(path, found.length / found.fs_hz)
            counts = ventricular_windows(found, own)
            wide[folder] += counts
            _say(f"{folder} {path.name} {counts}", aloud)
    rows = [
        row for name, counts in af.items() for row in _pair(f"AF duration, {name}, tuning records", counts)
    ]
    rows += [
        row
        for name, counts in wide.items()
        for row in _pair(f"VF or VT, 5-s windows, {name}, tuning records", counts)
    ]
    rows.append(_row(f"false high alarms in {hours:.1f} h of MIT-BIH DS1", len(false), "alarms"))
    return [*rows, _row(f"medium rhythm alarms in {hours:.1f} h of MIT-BIH DS1", medium, "alarms")]


if __name__ == "__main__":
    for row in run(aloud=True):
        sys.stdout.write(f"{row['name']}: {row['value']} {row['unit']}\n")
