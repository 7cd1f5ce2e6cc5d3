"""Weights of the rhythm rules, fitted on public records by leaving records out: `python tools/train_rhythms.py`.

Prints what leaving each eighth of the records out gives, then the weights fitted on all, as they stand in
`ecg/fibrillation.py` and `ecg/rules/atrial.py`. Needs the records under TELEHUB_DATA; see docs/models/rhythms.md.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import rhythms as bench
from ecg import fibrillation, stream
from ecg.analysis import CLASSES, Analysis
from ecg.formats import wfdb
from ecg.holter import analyse
from ecg.record import Lead, Record, main_group
from ecg.rules import atrial
from ecg.rules.intervals import features
from ecg.rules.tracker import Tracker

Real = NDArray[np.float64]
FOLDS = 8
AF_RIDGE, VF_RIDGE = 1e-2, 1e-4  # few patients have AF here: a stronger one keeps the weights small
NOISY = ("101", "112", "115", "230", "205", "122", "220", "118", "209", "116")
NOISES = (("ma", 0.0), ("ma", -6.0), ("bw", -6.0))  # muscle artefact and wander of the Noise Stress Test, dB


@dataclass(frozen=True)
class Examples:
    """One record's windows: features [window, feature], 1 or 0 each; patient decides the fold."""

    patient: str
    source: str
    x: Real
    y: Real
    weight: float = 1.0


def _weights(parts: Sequence[Examples]) -> Real:
    """Records count by the root of their windows; both classes weigh the same."""
    rows = []
    for part in parts:
        w = np.zeros(len(part.y))
        for kind in (0.0, 1.0):
            own = part.y == kind
            w[own] = part.weight / np.sqrt(max(1, own.sum()))
        rows.append(w)
    out, y = np.concatenate(rows), np.concatenate([part.y for part in parts])
    for kind in (0.0, 1.0):
        out[y == kind] /= max(1e-9, out[y == kind].sum())
    return out


def fit(parts: Sequence[Examples], ridge: float) -> tuple[float, Real]:
    """Start and weights of a logistic regression with a small ridge on standardised features."""
    x, y, w = np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]), _weights(parts)
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / spread

    def loss(theta: Real) -> tuple[float, Real]:
        logit = z @ theta[:-1] + theta[-1]
        slope = w * (1 / (1 + np.exp(-logit)) - y) / w.sum()
        value = float(
            (w * (np.logaddexp(0, logit) - y * logit)).sum() / w.sum() + ridge * (theta[:-1] ** 2).sum()
        )
        return value, np.append(z.T @ slope + 2 * ridge * theta[:-1], slope.sum())

    theta = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    weights: Real = theta[:-1] / spread
    return float(theta[-1] - (weights * mean).sum()), weights


def folds(parts: Sequence[Examples]) -> dict[str, int]:
    """Patients dealt out per source and class, so that every fold has some of each."""
    out: dict[str, int] = {}
    for source in sorted({p.source for p in parts}):
        for has in (True, False):
            own = {p.patient for p in parts if p.source == source and bool(p.y.any()) == has} - out.keys()
            for k, patient in enumerate(np.random.default_rng(0).permutation(sorted(own))):
                out[str(patient)] = k % FOLDS
    return out


def report(name: str, parts: Sequence[Examples], ridge: float) -> None:
    fold = folds(parts)
    scored: dict[str, list[tuple[Real, Real]]] = {}
    for k in range(FOLDS):
        start, weights = fit([p for p in parts if fold[p.patient] != k], ridge)
        for p in parts:
            if fold[p.patient] == k:
                scored.setdefault(p.source, []).append((start + p.x @ weights, p.y))
    for source, rows in scored.items():
        z, y = np.concatenate([z for z, _ in rows]), np.concatenate([y for _, y in rows])
        shares = [
            f"{100 * ((z[y == kind] > 0) == bool(kind)).mean():.1f}" if (y == kind).any() else "-"
            for kind in (1, 0)
        ]
        sys.stdout.write(f"{name}, {source}: windows called rightly, yes {shares[0]} %, no {shares[1]} %\n")
    start, weights = fit(parts, ridge)
    sys.stdout.write(f"{name}: START = {start:.3f}, WEIGHTS = {tuple(float(w) for w in weights.round(3))}\n")


# Ventricular fibrillation: windows of five seconds, all of one label, each lead by itself.


def half_seconds(record: Record) -> tuple[NDArray[np.int64], float]:
    """Sums [lead, half second, sum] of a record taken as one stretch, and its length in seconds."""
    leads = main_group(record)
    fs_hz, length = round(leads[0].fs_hz), len(leads[0].samples)
    codes = tuple(lead.code for lead in leads)
    state, rows = stream.new_state(fs_hz, codes), []
    piece = 4 * fs_hz
    valid = np.stack(
        [
            lead.samples != lead.missing if lead.missing is not None else np.ones(length, bool)
            for lead in leads
        ]
    )
    for a in range(0, length, piece):
        b, before = min(length, a + piece), state.hop
        batch = stream.Batch(
            fs_hz, codes, np.stack([lead.samples[a:b] for lead in leads])[None].astype(np.int16),
            np.array([leads[0].uv_per_lsb]), valid[None, :, a:b], np.ones((1, len(leads)), bool), np.array([a]),
            np.array([False]),
        )  # fmt: skip
        (state,), _ = stream.step([state], batch)
        rows.append(state.swings[:, len(state.swings[0]) - (state.hop - before) :])
    return np.concatenate(rows, axis=1), length / fs_hz


def windows(
    record: Record, labels: Sequence[tuple[float, float, bool]], source: str, patient: str
) -> list[Examples]:
    """labels: (begin, end, is it VF, flutter or VT); what no label covers is left out."""
    sums, _ = half_seconds(record)
    label = np.full(sums.shape[1], -1)
    for begin_s, end_s, is_one in labels:
        label[round(np.ceil(begin_s * 2)) : round(np.floor(end_s * 2))] = is_one
    own = np.lib.stride_tricks.sliding_window_view(label, fibrillation.WINDOW_HOPS)
    pure = (own.min(1) == own.max(1)) & (own[:, 0] >= 0)
    x = np.stack(fibrillation.features(*fibrillation.windows(sums[None])), axis=-1)[0]
    stride = 2 if source in ("vfdb", "cudb") else 8
    weight = {"vfdb": 1.0, "cudb": 1.0, "cinc2017": 0.1}.get(source, 0.3)
    pick = np.flatnonzero(pure)[::stride]
    return [
        Examples(patient, source, lead[pick], own[pick, 0].astype(float), weight) for lead in x if len(pick)
    ]


def noisy(path: Path, noise: Record, snr_db: float, turn: int) -> Record:
    """The first ten minutes of a record with recorded noise added at a signal-to-noise ratio of the QRS."""
    out = []
    for k, lead in enumerate(wfdb.read(path).leads):
        x = lead.samples[: 600 * 360].astype(float) * lead.uv_per_lsb
        added = np.roll(noise.leads[(turn + k) % 2].samples.astype(float), turn * 60_000)[: len(x)]
        qrs = 2 * np.percentile(np.abs(x - np.median(x)), 99.5)
        added = (added - added.mean()) * np.sqrt(qrs**2 / 8 / 10 ** (snr_db / 10)) / added.std()
        samples = np.clip(np.rint((x + added) / lead.uv_per_lsb), -32000, 32000).astype(np.int16)
        out.append(Lead(lead.code, lead.fs_hz, lead.uv_per_lsb, 0, samples))
    return Record(tuple(out))


def ventricular() -> Iterator[Examples]:
    labels = bench.creighton_labels()
    for name, own in labels.items():
        yield from windows(wfdb.read(bench.FOLDER / "cudb" / name), own, "cudb", name)
    for source in ("vfdb", "mitdb", "svdb", "cpsc2021", "cinc2017"):
        for header in sorted((bench.FOLDER / source).glob("*.hea")):
            path = header.with_suffix("")
            record = wfdb.read(path)
            lead = main_group(record)[0]
            length_s = len(lead.samples) / lead.fs_hz
            known = bench.rhythms(path, length_s) if source in ("vfdb", "mitdb") else [(0.0, length_s, "")]
            marks = [
                (a, b, note in bench.VENTRICULAR_NOTES)
                for a, b, note in known
                if note not in bench.UNLABELLED
            ]
            yield from windows(record, marks, source, header.stem)
    noises = {name: wfdb.read(bench.FOLDER / "nstdb" / name) for name in ("ma", "bw")}
    for turn, name in enumerate(NOISY):
        for kind, snr_db in NOISES:
            record = noisy(bench.FOLDER / "mitdb" / name, noises[kind], snr_db, turn)
            yield from windows(record, [(0.0, 600.0, False)], "mitdb with nstdb", name)


# Atrial fibrillation: windows of intervals, all of one label.


def orders() -> Iterator[Examples]:
    """Intervals uneven but in order: ectopy every second to fourth beat, and sinus arrhythmia."""
    for seed in range(60):
        rng, rr_s = np.random.default_rng(seed), 0.0
        rr_s, period, early = rng.uniform(0.5, 1.1), int(rng.integers(2, 5)), rng.uniform(0.55, 0.85)
        sway, breath = rng.uniform(0.02, 0.12), rng.uniform(3, 7)
        strip = []
        for k in range(160):
            shape = early if k % period == 0 else 2 - early if k % period == 1 and seed % 2 else 1.0
            sinus = 1 + sway * np.sin(2 * np.pi * k / breath)
            strip.append(rr_s * (sinus if seed % 3 == 0 else shape) * (1 + 0.012 * rng.normal()))
        at = np.rint(np.cumsum(strip) * 250).astype(np.int64)
        x, _ = intervals(at, "N" * len(at), np.zeros(0, np.int64), 250)
        yield Examples(f"order {seed}", "made-up order", x, np.zeros(len(x)), 0.5)


def intervals(
    sample: NDArray[np.int64], kinds: str, breaks: NDArray[np.int64], fs_hz: int
) -> tuple[Real, list[tuple[float, float]]]:
    """Features of every window of intervals, and the window's seconds."""
    tracker, rows, spans = Tracker(fs_hz, ("",)), [], []
    stretch = np.searchsorted(breaks, sample, side="right")
    for k, (at, kind) in enumerate(zip(sample.tolist(), kinds, strict=True)):
        if k and stretch[k] != stretch[k - 1]:
            tracker.beats.clear()
            tracker.classes.clear()
        tracker.beats.append(at)
        tracker.classes.append(kind)
        if atrial.interval(tracker) and len(tracker.intervals.since) >= atrial.LEAST:
            rows.append(features(tracker.intervals, fs_hz))
            spans.append((tracker.intervals.since[0] / fs_hz, at / fs_hz))
    return np.array(rows).reshape(len(rows), len(atrial.WEIGHTS)), spans


def fibrillating(
    found: Analysis, marks: Sequence[tuple[float, float]], source: str, patient: str
) -> Examples | None:
    kinds = "".join(CLASSES[k] for k in found.kind)
    x, spans = intervals(found.sample, kinds, found.breaks, found.fs_hz)
    y = np.full(len(spans), -1.0)
    for k, (begin_s, end_s) in enumerate(spans):
        inside = any(a <= begin_s + 1 and end_s - 1 <= b for a, b in marks)
        outside = all(end_s <= a or b <= begin_s for a, b in marks)
        y[k] = 1.0 if inside else 0.0 if outside else -1.0
    pure = y >= 0
    return Examples(patient, source, x[pure], y[pure]) if pure.any() else None


def atria() -> Iterator[Examples]:
    with (bench.FOLDER / "cinc2017" / "REFERENCE.csv").open() as file:
        kinds = dict(csv.reader(file))
    for source in ("mitdb", "cpsc2021", "svdb", "vfdb", "cinc2017"):
        for header in sorted((bench.FOLDER / source).glob("*.hea")):
            name, path = header.stem, header.with_suffix("")
            if name in ("102", "104") or (source == "vfdb" and name != "609") or kinds.get(name) == "~":
                continue  # paced; other rhythms than the ventricular ones are not told reliably in vfdb
            found = analyse(wfdb.read(path))
            length_s = found.length / found.fs_hz
            if source in ("cinc2017", "svdb"):
                marks = [(0.0, length_s)] if kinds.get(name) == "A" else []
            else:
                marks = bench.spans_of(bench.rhythms(path, length_s), bench.AF_NOTES)
            patient = name.rsplit("_", 1)[0] if source == "cpsc2021" else name
            own = fibrillating(found, marks, source, patient)
            if own is not None:
                yield replace(own, weight=0.5) if source == "vfdb" else own
    yield from orders()


if __name__ == "__main__":
    report("atrial fibrillation", list(atria()), AF_RIDGE)
    report("ventricular fibrillation", list(ventricular()), VF_RIDGE)
