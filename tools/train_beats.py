"""Train the beat classes of the record pass, score them patient by patient, write the model and its card.

    python tools/train_beats.py

Needs numpy only, and reference records under TELEHUB_DATA. Everything is seeded, so that the same records give the
same numbers.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ecg import beat_classes, beat_features, beat_shapes, conditioning, score  # noqa: E402
from ecg.formats import wfdb  # noqa: E402
from ecg.holter import streamed  # noqa: E402
from ecg.models import logistic  # noqa: E402
from ecg.record import Lead, Record, main_group  # noqa: E402
from ecg.synthetic import Segment, Synthesiser  # noqa: E402
from tools.logistic import fitted  # noqa: E402

DATA = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data")
CARD = ROOT / "docs" / "models" / "beats.md"
DS1 = "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230".split()
SVDB = ("800", "801")
FOLDS = 8
SEED = 1
TURNS = 3  # a two-lead record also serves as each lead alone, as this many turns of the leads in their plane,
DRIFTS = 2  # and as so many that turn in the course of the recording, as posture turns a heart
DRIFT_S, DRIFT_TURN = (2, 60), 0.6  # how long a change takes; standard deviation of its angle in radians
THIN = 8  # of plain beats (the usual shape at the usual time) every eighth is used, with eightfold weight
SHORT_WEIGHT = 0.3  # of a 30-s record whose beats are known by its rhythm only
RIDGE = {"V": 100.0, "S": 1000.0}
V_CUTS, S_CUTS = np.arange(-15, 11) / 10, np.arange(-25, 16) / 10  # of which cross-validation takes one each
PPV_PCT = {"V": 97.0, "S": 45.0}  # a cut is the lowest one that keeps so much
SYNTHETIC = 12  # simulated hearts with runs of ventricular beats, of which DS1 has hardly any: never scored
Real = NDArray[np.float64]
Labels = NDArray[np.str_]


@dataclass(frozen=True)
class Beats:
    """The beats of one view of one record: numbers by name, and the reference's classes (O: no beat, A: of AF)."""

    patient: str
    scored: str  # name of the record when this is the view that is scored
    rows: dict[str, Real]
    label: Labels
    weight: float
    sample: NDArray[np.int64]
    fs_hz: int
    reference: score.Beats | None


def records() -> Iterator[tuple[str, str, Record, score.Beats | None, str]]:
    """(patient, name to score or "", record, reference or None, label of all beats when there is none)."""
    for folder, names in (("mitdb", DS1), ("svdb", SVDB)):
        for name in names:
            path = DATA / folder / name
            yield name, name, wfdb.read(path), score.read(path, "atr"), ""
    for path in sorted((DATA / "cpsc2021").glob("*.hea")):
        name = path.with_suffix("")
        yield "cpsc" + name.name.split("_")[1], "", wfdb.read(name), score.read(name, "atr"), ""
    for line in (DATA / "cinc2017" / "REFERENCE.csv").read_text().split():
        name, rhythm = line.split(",")
        if rhythm in "NA":
            yield "cinc" + name, "", wfdb.read(DATA / "cinc2017" / name), None, rhythm


def simulated() -> Iterator[tuple[str, str, Record, score.Beats, str]]:
    """Hearts whose beats are known, as `records` tells the real ones."""
    codes, seconds, fs_hz = ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1", "MDC_ECG_LEAD_V5"), 300, 250
    for seed in range(SYNTHETIC):
        rate, run = 55.0 + 10 * (seed % 5), Segment("vt", 4.0 + 3 * (seed % 4), 110.0 + 10 * seed)
        plain, single = Segment("sinus", 40, rate), Segment("pvc", 50, rate)
        heart = Synthesiser(1000 + seed, fs_hz, codes, (plain, run, single, plain, run, plain))
        at, kinds = heart.beats(0, seconds * fs_hz)
        rows = heart.samples(0, seconds * fs_hz)
        leads = [Lead(code, fs_hz, 5.0, 0, row) for code, row in zip(codes, rows, strict=True)]
        own = leads[seed % 3 :][: 1 + seed % 3] or leads
        yield f"simulated {seed}", "", Record(tuple(own)), score.Beats(at, kinds), ""


def labelled(reference: score.Beats, sample: NDArray[np.int64], fs_hz: int) -> Labels:
    out = np.full(len(sample), "O")
    for i, j in score.pair(reference.sample, sample, score.WINDOW_S * fs_hz):
        if i is not None and j is not None:
            out[j] = reference.kind[i]
    return out


def projections(
    x: NDArray[np.float32], readable: NDArray[np.bool_], seed: int
) -> Iterator[tuple[Real, NDArray[np.bool_]]]:
    """The record's own leads, then other views of the same heart: one lead, the leads turned in their plane."""
    yield x, readable
    if len(x) != 2:
        return
    everything = np.ones((len(readable), 1), bool)
    for k in range(2):
        yield x[k : k + 1], everything
    scaled = x / (np.percentile(np.abs(x), 99, axis=1, keepdims=True) + 1e-9)
    generator = np.random.default_rng(seed)
    for k in range(TURNS):
        angle = generator.uniform(0, np.pi, 2) if k else np.array([np.pi / 4, -np.pi / 4])
        turned = np.stack([np.cos(angle), np.sin(angle)], axis=1)[: 1 if k == 2 else 2]
        yield turned @ scaled, np.repeat(everything, len(turned), axis=1)
    for _ in range(DRIFTS):
        yield drifted(scaled, generator), np.repeat(everything, 2, axis=1)


def drifted(x: Real, generator: np.random.Generator) -> Real:
    """Two leads turned in their plane by an angle that changes one to three times, each time within DRIFT_S."""
    count, changes = x.shape[1], int(generator.integers(1, 4))
    at = generator.uniform(0.05, 0.95, changes) * count
    slowness = generator.uniform(*DRIFT_S, changes) * conditioning.RATE_HZ
    turn = generator.normal(0, DRIFT_TURN, changes)
    start = generator.uniform(0, np.pi, 2)
    grid = np.arange(0, count, 16)
    angle = np.zeros(len(grid))
    for place, slow, size in zip(at, slowness, turn, strict=True):
        angle += size / (1 + np.exp(-np.clip((grid - place) / slow, -30, 30)))
    angle = np.interp(np.arange(count), grid, angle)
    return np.stack([np.cos(a + angle) * x[0] + np.sin(a + angle) * x[1] for a in start])


def prepared() -> list[Beats]:
    """All views of all records, analysed with the product's own detector."""
    out = []
    for patient, name, record, reference, label in chain(records(), simulated()):
        found = streamed(record)
        if len(found.sample) < beat_classes.BEATS_NEEDED:
            continue
        leads, readable = beat_classes.chosen(found, main_group(record))
        readable = readable | ~readable.any(axis=1, keepdims=True)
        if reference is None:
            labels = np.full(len(found.sample), label)
        else:
            labels = labelled(reference, found.sample, found.fs_hz)
        x, place = beat_classes.signals(leads, found.fs_hz, found.sample)
        weight = SHORT_WEIGHT if reference is None else 1.0
        seed = int("".join(c for c in patient if c.isdigit()))
        for k, (view, usable) in enumerate(projections(x, readable, seed)):
            cut = beat_shapes.cut_out(view.astype(np.float32), place, usable)
            rows = beat_features.block_features(cut, found.rr_s.astype(np.float64))
            own = name if k == 0 else ""
            out.append(Beats(patient, own, rows, labels, weight, found.sample, found.fs_hz, reference))
    return out


def assembled(beats: list[Beats], names: list[str]) -> tuple[Real, Labels, Real, Labels]:
    """Columns, labels, weights and patients; each class of each record counts as the root of its number."""
    parts = []
    for b in beats:
        weight = np.full(len(b.label), b.weight)
        for label in np.unique(b.label):
            weight[b.label == label] /= np.sqrt((b.label == label).sum())
        plain = (b.label == "N") & (b.rows["likeness"] > 0.9) & (np.abs(b.rows["rr_before"]) < 0.1)
        weight[plain] *= THIN
        keep = ~plain | (np.arange(len(plain)) % THIN == 0)
        columns = np.column_stack([b.rows[name] for name in names])
        parts.append((columns[keep], b.label[keep], weight[keep], np.full(int(keep.sum()), b.patient)))
    x, label, weight, patient = (np.concatenate(column) for column in zip(*parts, strict=True))
    return x, label, weight, patient


def trained(x: Real, label: Labels, weight: Real, names: list[str]) -> logistic.Model:
    """Both judgements over the same scaled columns; the cuts are chosen later."""
    mean = np.average(x, axis=0, weights=weight)
    scale = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight)) + 1e-6
    z = np.clip((x - mean) / scale, -logistic.LIMIT, logistic.LIMIT)
    constants, weights = dict[str, float](), dict[str, Real]()
    for what, others in (("V", "NSO"), ("S", "NOA")):
        known = np.isin(label, [what, *others])
        constants[what], weights[what] = fitted(z[known], label[known] == what, weight[known], RIDGE[what])
    return logistic.Model(tuple(names), mean, scale, constants, weights, dict.fromkeys(constants, 0.0))


class Odds:
    """Log odds of scored records from models that have not seen them, and their scores at any cuts."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[Beats, tuple[Real, Real]]] = {}
        self._scores: dict[tuple[str, float, float], dict[str, Any]] = {}

    def add(self, b: Beats, model: logistic.Model) -> None:
        self.known[b.scored] = b, beat_classes.odds(b.rows, model)

    def score(self, name: str, v: float, s: float) -> dict[str, Any]:
        if (name, v, s) not in self._scores:
            b, odds = self.known[name]
            wide, early = beat_classes.judged(*odds, {"V": v, "S": s})
            self._scores[name, v, s] = scored(b, "".join(np.where(wide, "V", np.where(early, "S", "N"))))
        return self._scores[name, v, s]

    def cuts(self, names: list[str]) -> dict[str, float]:
        """The lowest that keep PPV_PCT gross over `names`, for S without the one that is richest in S."""

        def lowest(grid: Real, what: str, ppv_pct: Callable[[float], float | None]) -> float:
            return float(next((c for c in grid if (ppv_pct(float(c)) or 0.0) >= PPV_PCT[what]), grid[-1]))

        def gross(v: float, s: float, among: list[str]) -> dict[str, Any]:
            return score.totals([self.score(name, v, s) for name in among])["gross"]

        wide = lowest(V_CUTS, "V", lambda v: gross(v, np.inf, names)["veb_ppv_pct"])
        others = sorted(names, key=self._richness)[:-1]
        return {"V": wide, "S": lowest(S_CUTS, "S", lambda s: gross(wide, s, others)["sveb_ppv_pct"])}

    def _richness(self, name: str) -> int:
        return int((self.known[name][0].label == "S").sum())


def scored(b: Beats, kinds: str) -> dict[str, Any]:
    """Counts and rates of a record's classes; the reference is needed."""
    assert b.reference is not None
    counts = score.score(b.reference, score.Beats(b.sample, kinds), b.fs_hz)
    return {"record": b.scored, **counts, **score.rates(counts)}


def folds(beats: list[Beats]) -> list[NDArray[np.str_]]:
    """The patients that are held back together."""
    patients = np.random.default_rng(SEED).permutation(sorted({b.patient for b in beats if b.scored}))
    return [patients[k::FOLDS] for k in range(FOLDS)]


def cross_validated(beats: list[Beats], names: list[str]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Every record's score by a model and cuts that know nothing of its patient; and the cuts over all."""
    x, label, weight, patient = assembled(beats, names)
    unseen = Odds()
    for held in folds(beats):
        kept = ~np.isin(patient, held)
        model = trained(x[kept], label[kept], weight[kept], names)
        for b in beats:
            if b.scored and b.patient in held:
                unseen.add(b, model)
    out = []
    for held in folds(beats):
        own = [name for name, (b, _) in unseen.known.items() if b.patient in held]
        cuts = unseen.cuts([name for name in unseen.known if name not in own])
        out += [unseen.score(name, cuts["V"], cuts["S"]) for name in own]
    return sorted(out, key=lambda row: str(row["record"])), unseen.cuts(list(unseen.known))


def _figures(row: dict[str, Any]) -> str:
    def shown(key: str) -> str:
        return "-" if row[key] is None else f"{row[key]:.1f}"

    return " | ".join(f"{shown(f'{what}_se_pct')} / {shown(f'{what}_ppv_pct')}" for what in ("veb", "sveb"))


def table(rows: list[dict[str, Any]]) -> str:
    """Gross and average figures, then every record."""
    ds1 = [row for row in rows if row["record"] in DS1]
    richest = max(rows, key=lambda row: row["sveb_tp"] + row["sveb_fn"])["record"]
    groups = [
        ("DS1", ds1), ("DS1 and SVDB 800, 801", rows),
        (f"the same without {richest}, richest in S", [row for row in rows if row["record"] != richest]),
    ]  # fmt: skip
    lines = ["| | VEB Se / +P % | SVEB Se / +P % |", "|---|---|---|"]
    for name, group in groups:
        totals = score.totals(group)
        lines += [f"| {name}, {how} | {_figures(totals[how])} |" for how in ("gross", "average")]
    head = "| record | VEB found, missed, false | Se / +P % | SVEB found, missed, false | Se / +P % |"
    lines += ["", head, "|---|---|---|---|---|"]
    for row in rows:
        veb, sveb = _figures(row).split(" | ")
        counts = [
            ", ".join(str(row[f"{what}_{part}"]) for part in ("tp", "fn", "fp")) for what in ("veb", "sveb")
        ]
        lines.append(f"| {row['record']} | {counts[0]} | {veb} | {counts[1]} | {sveb} |")
    return "\n".join(lines)


def fill_card(figures: dict[str, str]) -> None:
    """Fill the card's marked parts; its words are kept by hand."""
    text = CARD.read_text(encoding="utf-8")
    for name, value in figures.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- end {name} -->")
        text = f"{before}<!-- {name} -->\n{value}\n<!-- end {name} -->{after}"
    CARD.write_text(text, encoding="utf-8")


def main(say: Callable[[str], None] = print) -> None:
    beats = prepared()
    names = [name for name in beats[0].rows if name != "kind_index"]
    rows, cuts = cross_validated(beats, names)
    figures = {"cross-validation": table(rows)}
    say(figures["cross-validation"])
    x, label, weight, _ = assembled(beats, names)
    logistic.save("beats_record", trained(x, label, weight, names)._replace(cut=cuts))
    shipped = logistic.load("beats_record")
    seen = Odds()
    for b in beats:
        if b.scored:
            seen.add(b, shipped)
    told = [seen.score(name, cuts["V"], cuts["S"]) for name in sorted(seen.known)]
    figures["seen"] = table(told).split("\n\n")[0]
    say(f"\n{cuts}\nOn the records it was trained on:\n" + figures["seen"])
    labels = np.concatenate([b.label for b in beats if b.scored])
    figures["beats"] = ", ".join(f"{name} {int((labels == name).sum())}" for name in "NSVFQO")
    fill_card(figures)


if __name__ == "__main__":
    main()
