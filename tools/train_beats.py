"""Train the beat classes of the record pass, score them patient by patient, write the model and its card.

    python tools/train_beats.py

Needs LightGBM (`pip install lightgbm`; the product itself needs numpy only) and reference records under
TELEHUB_DATA. Everything is seeded and runs on one thread, so the same records give the same arrays.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ecg import beat_classes, beat_features, score  # noqa: E402
from ecg.formats import wfdb  # noqa: E402
from ecg.holter import streamed  # noqa: E402
from ecg.models import trees  # noqa: E402
from ecg.record import Lead, Record, main_group  # noqa: E402
from ecg.synthetic import Segment, Synthesiser  # noqa: E402

DATA = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data")
CARD = ROOT / "docs" / "models" / "beats.md"
DS1 = "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230".split()
SVDB = ("800", "801")
FOLDS = 8
SEED = 1
VIEWS = 5  # projections of a two-lead record beside itself: each lead alone, and three turned pairs
THIN = 4  # of plain beats (the usual shape at the usual time) every fourth is used, with fourfold weight
SHORT_WEIGHT = 0.3  # of a 30-s record whose beats are known by its rhythm only
V_CUT, S_CUT, KIND_WEIGHT = float(np.log(0.4 / 0.6)), float(np.log(0.10 / 0.90)), 0.7
TREES = {
    "objective": "binary", "num_leaves": trees.LEAVES, "max_bin": 63, "min_child_samples": 40,
    "feature_fraction": 0.3, "bagging_fraction": 0.6, "bagging_freq": 1, "lambda_l2": 10, "learning_rate": 0.08,
    "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbose": -1,
}  # fmt: skip
ROUNDS = {"ventricular": 100, "supraventricular": 80}
SEEDS = (1, 2)  # ensembles whose mean is the model
SYNTHETIC = 12  # simulated hearts with runs of ventricular beats, of which DS1 has hardly any: never scored
# A class can only be more likely with more (1) or less (-1) of a number.
WIDE = {
    "unlike_qrs": 1, "unlike_qrs_most": 1, "unlike_qrs_beside": 1, "kind_unlike_qrs": 1, "kind_unlike_qrs_beside": 1,
    "width": 1, "width_most": 1, "width_beside": 1, "kind_width": 1, "lean_most": 1, "unlike_t": 1,
    "unlike_t_beside": 1, "likeness": -1, "likeness_most": -1, "kind_likeness": -1,
}  # fmt: skip
EARLY = {
    "rr_before": -1, "rr_before_wide": -1, "rr_before_local": -1, "rr_before_21": -1, "rr_step": -1, "rr_ratio": -1,
    "rr_run": -1, "kind_rr_before": -1, "like_p": -1, "like_p_most": -1, "unlike_p": 1, "unlike_p_most": 1,
    "unlike_p_beside": 1,
}  # fmt: skip
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


def projections(x: Real, readable: NDArray[np.bool_], seed: int) -> Iterator[tuple[Real, NDArray[np.bool_]]]:
    """The record's own leads, then other views of the same heart: one lead, the leads turned in their plane."""
    yield x, readable
    if len(x) != 2:
        return
    everything = np.ones((len(readable), 1), bool)
    for k in range(2):
        yield x[k : k + 1], everything
    scaled = x / (np.percentile(np.abs(x), 99, axis=1, keepdims=True) + 1e-9)
    generator = np.random.default_rng(seed)
    for k in range(VIEWS - 2):
        angle = generator.uniform(0, np.pi, 2) if k else np.array([np.pi / 4, -np.pi / 4])
        turned = np.stack([np.cos(angle), np.sin(angle)], axis=1)[: 1 if k == 2 else 2]
        yield turned @ scaled, np.repeat(everything, len(turned), axis=1)


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
            cut = beat_features.cut_out(view, place, usable)
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


def grown(x: Real, y: NDArray[np.bool_], weight: Real, what: str, names: list[str]) -> trees.Trees:
    """An ensemble as arrays."""
    directions = WIDE if what == "ventricular" else EARLY
    settings = {**TREES, "monotone_constraints": [directions.get(name, 0) for name in names]}
    data = lightgbm.Dataset(x, y.astype(int), weight=weight / weight.mean())
    rows = []
    for seed in SEEDS:
        booster = lightgbm.train({**settings, "seed": seed}, data, ROUNDS[what])
        rows += [as_arrays(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    feature, threshold, right, value = (np.stack(column) for column in zip(*rows, strict=True))
    return trees.Trees(feature, threshold, right, value / len(SEEDS))


def as_arrays(root: dict[str, Any]) -> tuple[NDArray[Any], ...]:
    """One tree: its nodes' features, thresholds, masks of leaves that remain on the right, and the leaves' values."""
    nodes, values = trees.LEAVES - 1, list[float]()
    feature, threshold = np.zeros(nodes, np.int64), np.full(nodes, np.inf)
    right, count = np.full(nodes, 255, np.uint8), 0

    def walk(node: dict[str, Any]) -> int:
        nonlocal count
        if "leaf_value" in node:
            values.append(node["leaf_value"])
            return 1 << (len(values) - 1)
        place, count = count, count + 1
        feature[place], threshold[place] = node["split_feature"], node["threshold"]
        left = walk(node["left_child"])
        right[place] = 255 & ~left
        return left | walk(node["right_child"])

    walk(root)
    value = np.zeros(trees.LEAVES)
    value[: len(values)] = values
    return feature, threshold, right, value


def trained(x: Real, label: Labels, weight: Real, names: list[str]) -> trees.Model:
    known = np.isin(label, list("NSVO"))
    ventricular = grown(x[known], label[known] == "V", weight[known], "ventricular", names)
    known = np.isin(label, list("NSOA"))
    early = grown(x[known], label[known] == "S", weight[known], "supraventricular", names)
    return trees.Model(tuple(names), ventricular, early, V_CUT, S_CUT, KIND_WEIGHT)


def told(b: Beats, model: trees.Model) -> dict[str, Any]:
    """The record's score; the reference is needed."""
    wide, early = beat_classes.judged(b.rows, model)
    return scored(b, "".join(np.where(wide, "V", np.where(early, "S", "N"))))


def scored(b: Beats, kinds: str) -> dict[str, Any]:
    """Counts and rates of a record's classes; the reference is needed."""
    assert b.reference is not None
    counts = score.score(b.reference, score.Beats(b.sample, kinds), b.fs_hz)
    return {"record": b.scored, **counts, **score.rates(counts)}


def folds(beats: list[Beats]) -> list[NDArray[np.str_]]:
    """The patients that are held back together."""
    patients = np.random.default_rng(SEED).permutation(sorted({b.patient for b in beats if b.scored}))
    return [patients[k::FOLDS] for k in range(FOLDS)]


def cross_validated(beats: list[Beats], names: list[str]) -> list[dict[str, Any]]:
    x, label, weight, patient = assembled(beats, names)
    out = []
    for held in folds(beats):
        kept = ~np.isin(patient, held)
        model = trained(x[kept], label[kept], weight[kept], names)
        out += [told(b, model) for b in beats if b.scored and b.patient in held]
    return sorted(out, key=lambda row: str(row["record"]))


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
    rows = cross_validated(beats, names)
    figures = {"cross-validation": table(rows)}
    say(figures["cross-validation"])
    x, label, weight, _ = assembled(beats, names)
    model = trained(x, label, weight, names)
    trees.save("beats_record", model)
    seen = [told(b, model) for b in beats if b.scored]
    figures["seen"] = table(seen).split("\n\n")[0]
    say("\nOn the records it was trained on:\n" + figures["seen"])
    labels = np.concatenate([b.label for b in beats if b.scored])
    figures["beats"] = ", ".join(f"{name} {int((labels == name).sum())}" for name in "NSVFQO")
    fill_card(figures)


if __name__ == "__main__":
    main()
