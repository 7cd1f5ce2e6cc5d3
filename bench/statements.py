"""12-lead statements beside diagnoses: a sanity table on 25 recordings of CinC 2021 and on LUDB, not a validation.

Diagnoses are those of the recordings' own readers; their criteria are not always ours (LUDB's hypertrophy is not a
voltage), and few recordings hold any one of them. Counts are shown for that reason.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import delineation
from ecg.formats import wfdb
from ecg.holter import analyse
from ecg.record import Record
from ecg.twelve_lead.statements import Request, statements

Row = dict[str, Any]

# Our statements (any of them) -> SNOMED CT codes of the challenge (any of them).
CINC: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("bradycardia", "marked-bradycardia"): ("426177001",),
    ("tachycardia", "marked-tachycardia"): ("427084000",),
    ("sinus-rhythm",): ("426783006", "426177001", "427084000", "427393009"),
    ("premature-beats",): ("284470004",),
    ("ventricular-ectopy",): ("427172004",),
    ("atrial-fibrillation",): ("164889003",),
    ("right-bundle-branch-block",): ("59118001", "713427006"),
    ("incomplete-right-bundle-branch-block",): ("713426002",),
    ("left-bundle-branch-block",): ("164909002", "733534002"),
    ("wide-qrs",): ("698252002",),
    ("left-ventricular-voltage",): ("164873001", "55827005"),
    ("t-inversion",): ("59931005",),
    ("long-qt", "very-long-qt"): ("111975006",),
}
# Our statements -> a piece of LUDB's diagnoses.
LUDB: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("bradycardia", "marked-bradycardia"): ("Sinus bradycardia",),
    ("sinus-rhythm",): ("Rhythm: Sinus", "Rhythm: Irregular sinus"),
    ("atrial-fibrillation",): ("Atrial fibrillation",),
    ("first-degree-av-block",): ("I degree AV block",),
    ("right-bundle-branch-block",): ("Complete right bundle",),
    ("incomplete-right-bundle-branch-block",): ("Incomplete right bundle",),
    ("left-bundle-branch-block",): ("Complete left bundle",),
    ("left-anterior-fascicular-block",): ("Left anterior hemiblock",),
    ("left-ventricular-voltage",): ("Left ventricular hypertrophy",),
    ("pacing-suspected",): ("pacing",),
}


@dataclass(frozen=True)
class Told:
    """A recording with what its readers said."""

    record: Record
    request: Request
    diagnoses: tuple[str, ...]


def _cinc() -> Iterator[Told]:
    folder = delineation.ROOT / os.environ.get("TELEHUB_DATA", "../shared/data") / "cinc2021"
    for path in sorted(folder.glob("*.hea")):
        notes = _notes(path)
        diagnoses = tuple(code.strip() for code in notes["Dx"].split(","))
        yield Told(wfdb.read(path.with_suffix("")), _request(notes.get("Age"), notes.get("Sex")), diagnoses)


def _notes(path: Path) -> dict[str, str]:
    lines = (
        line.lstrip("#").strip() for line in path.read_text("utf-8").splitlines() if line.startswith("#")
    )
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _request(age: str | None, sex: str | None) -> Request:
    years = float(age) if age and age.replace(".", "").isdigit() else None
    return Request(years, "male" if (sex or "").startswith("M") else "female" if sex else None)


def _ludb() -> Iterator[Told]:
    """The odd-numbered records: thresholds marked as tuned were tuned on the even ones."""
    for number, path in delineation.records().items():
        if number % 2:
            notes = _notes(path.with_suffix(".hea"))
            lines = tuple(f"{key}: {value}" if value else key for key, value in notes.items())
            yield Told(delineation.load(path), _request(notes.get("<age>"), notes.get("<sex>")), lines)


def _held(wanted: tuple[str, ...], diagnoses: tuple[str, ...]) -> bool:
    """A piece of LUDB's text counts from a line's begin, so that no degree or kind of block is taken for another."""
    return any(
        d.startswith(w) or (w in d and not w[0].isupper()) or d == f"Rhythm: {w}."
        for d in diagnoses
        for w in wanted
    )


def _table(told: list[Told], wanted: Mapping[tuple[str, ...], tuple[str, ...]], name: str) -> list[Row]:
    found = [
        ({s.name for s in statements(t.record, analyse(t.record), t.request)}, t.diagnoses) for t in told
    ]
    rows = []
    for ours, theirs in wanted.items():
        pairs = [(bool(set(ours) & names), _held(theirs, diagnoses)) for names, diagnoses in found]
        positive = [ours_ for ours_, held in pairs if held]
        negative = [ours_ for ours_, held in pairs if not held]
        if not negative:
            continue
        sp = 100 * (1 - sum(negative) / len(negative))
        counts = f"Se {sum(positive)}/{len(positive)}, Sp {len(negative) - sum(negative)}/{len(negative)}"
        label = f"{name} {ours[0]}: {counts}; Sp"
        rows.append(
            {
                "name": label,
                "value": round(sp, 1),
                "unit": "%",
                "peer": None,
                "peer_value": None,
                "ratio": None,
            }
        )
    return rows


def run() -> list[Row]:
    cinc, ludb = list(_cinc()), list(_ludb())
    return [
        *_table(cinc, CINC, f"CinC 2021, {len(cinc)} recordings (small):"),
        *_table(ludb, LUDB, f"LUDB, {len(ludb)} odd records (small):"),
    ]
