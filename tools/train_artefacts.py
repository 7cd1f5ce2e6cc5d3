"""Train what tells false detections from beats, score it record by record, write the weights and their card.

    python tools/train_artefacts.py

Needs numpy only, and reference records under TELEHUB_DATA: the 22 of MIT-BIH DS1, as they are and with recorded muscle
noise and baseline wander at 12, 6 and 0 dB. Noise is scored in other minutes of its recording than it is learnt in.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ecg import artefacts, beat_classes, score  # noqa: E402
from ecg.formats import wfdb  # noqa: E402
from ecg.holter import streamed  # noqa: E402
from ecg.record import Record, main_group  # noqa: E402
from tests.ecg.stress import TURN_S, noisy  # noqa: E402
from tools.logistic import fitted  # noqa: E402

DATA = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data")
CARD = ROOT / "docs" / "models" / "artefacts.md"
DS1 = "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230".split()
STRESSED = ("101", "106", "118", "119", "122")  # those whose noisy versions are scored
NOISE = (("ma", 12), ("ma", 6), ("ma", 0), ("bw", 6), ("bw", 0))
RIDGE = 3.0
Real = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """The summits of one record in one state: its name, clean or the noise, whether its noise is that of scoring."""

    record: str
    state: str
    is_scored: bool
    rows: dict[str, Real]
    is_beat: NDArray[np.bool_]
    missed: int


def states(name: str) -> Iterator[tuple[str, bool, Record]]:
    record, reference = wfdb.read(DATA / "mitdb" / name), score.read(DATA / "mitdb" / name, "atr")
    yield "clean", True, record
    for kind, snr_db in NOISE:
        noise = wfdb.read(DATA / "nstdb" / kind)
        yield f"{snr_db} dB", False, noisy(record, reference, _later(noise), snr_db)[0]
        if name in STRESSED:
            yield f"{snr_db} dB", True, noisy(record, reference, noise, snr_db)[0]


def _later(noise: Record) -> Record:
    """Other minutes of the noise fall on the noisy ones."""
    rolled = (
        replace(lead, samples=np.roll(lead.samples, -round(TURN_S * lead.fs_hz))) for lead in noise.leads
    )
    return replace(noise, leads=tuple(rolled))


def seen(name: str, state: str, is_scored: bool, record: Record) -> Seen:
    """Summits after the first five minutes and outside ventricular fibrillation, as EC57 counts them."""
    reference = score.read(DATA / "mitdb" / name, "atr")
    found, leads = streamed(record), main_group(record)
    parts = list(beat_classes.features(found, leads))
    rows = {name: np.concatenate([part[name] for _, part in parts]) for name in parts[0][1]}
    fs_hz, sample = found.fs_hz, np.concatenate([found.sample[block] for block, _ in parts])
    pairs = score.pair(reference.sample, sample, score.WINDOW_S * fs_hz)
    is_beat = np.zeros(len(sample), bool)
    is_beat[[j for i, j in pairs if i is not None and j is not None]] = True
    counted = _counted(sample, reference, fs_hz)
    lost = np.array([reference.sample[i] for i, j in pairs if j is None], np.int64)
    missed = int(_counted(lost, reference, fs_hz).sum())
    return Seen(name, state, is_scored, {k: v[counted] for k, v in rows.items()}, is_beat[counted], missed)


def _counted(sample: NDArray[np.int64], reference: score.Beats, fs_hz: int) -> NDArray[np.bool_]:
    out = sample >= score.SKIPPED_S * fs_hz
    reach = score.WINDOW_S * fs_hz
    for first, last in reference.fibrillation:
        out &= (sample < first - reach) | (sample > last + reach)
    return np.asarray(out)


def fit(parts: list[Seen]) -> dict[str, float]:
    """Logistic regression on standardised inputs, told on the inputs as they are."""
    columns = [artefacts.inputs(part.rows) for part in parts]
    names = [name for name in columns[0] if name != "one"]
    x = np.concatenate([np.stack([c[name] for name in names], axis=1) for c in columns])
    y = np.concatenate([part.is_beat for part in parts])
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    constant, weights = fitted((x - mean) / scale, y, np.ones(len(y)), RIDGE)
    weights = weights / scale
    told = {"one": constant - float(weights @ mean), **dict(zip(names, weights.tolist(), strict=True))}
    return {name: float(f"{value:.5g}") for name, value in told.items()}


def scored(part: Seen, weights: dict[str, float]) -> NDArray[np.int64]:
    """Beats kept, thrown away and missed by the detector; false ones kept and thrown away."""
    thrown = artefacts.artefacts(part.rows, weights)
    true = part.is_beat
    counts = (true & ~thrown, true & thrown, ~true & ~thrown, ~true & thrown)
    kept, lost, false, found = (int(c.sum()) for c in counts)
    return np.array([kept, lost, part.missed, false, found])


def table(counts: dict[str, NDArray[np.int64]]) -> str:
    lines = [
        "| state | beats thrown away | false ones thrown away | Se before, after % | +P before, after % |",
        "|---|---|---|---|---|",
    ]
    for state, (kept, lost, missed, false, found) in counts.items():
        all_beats, before = kept + lost + missed, kept + lost
        lines.append(
            f"| {state} | {lost} of {before} | {found} of {false + found} |"
            f" {100 * before / all_beats:.2f}, {100 * kept / all_beats:.2f} |"
            f" {100 * before / (before + false + found):.2f}, {100 * kept / (kept + false):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parts = [seen(name, *state) for name in DS1 for state in states(name)]
    totals: dict[str, NDArray[np.int64]] = {}
    for name in DS1:
        weights = fit([p for p in parts if p.record != name and (not p.is_scored or p.state == "clean")])
        for part in parts:
            if part.record == name and part.is_scored:
                totals[part.state] = totals.get(part.state, np.zeros(5, np.int64)) + scored(part, weights)
    weights = fit([p for p in parts if not p.is_scored or p.state == "clean"])
    artefacts.MODEL.write_text(json.dumps(weights, indent=1) + "\n", encoding="ascii")
    begin, end = "<!-- scores -->\n", "\n<!-- end -->"
    text = CARD.read_text(encoding="utf-8")
    head, rest = text.split(begin)
    CARD.write_text(head + begin + table(totals) + end + rest.split(end)[1], encoding="utf-8")
    sys.stdout.write(table(totals) + "\n")


if __name__ == "__main__":
    main()
