"""The ECG engine beside sleepecg: accuracy on the tuning records, CPU per day of one lead, live devices per core."""

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg import score, stream
from ecg.analysis import CLASSES
from ecg.formats import wfdb
from ecg.holter import analyse
from ecg.record import Lead, Record
from ecg.synthetic import DAY, Synthesiser

Row = dict[str, Any]
ROOT = Path(__file__).parents[1]
DS1 = (
    "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230".split()
)  # de Chazal 2004
FS_HZ, LEADS = 250, ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1", "MDC_ECG_LEAD_V5")
DAY_S, SAMPLE_H = 86_400, 2
DEVICES, TICKS = 500, 8


def _row(name: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None) -> Row:
    ratio = None if not peer_value else round(value / peer_value, 3)
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "ratio": ratio,
    }


def _cpu_s(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def sleepecg_detector() -> Callable[[NDArray[np.float64], float], NDArray[np.int64]] | None:
    """The peer's detector when it is installed (a development tool, never a dependency)."""
    if importlib.util.find_spec("sleepecg") is None:
        return None
    import sleepecg

    return lambda signal, fs_hz: np.asarray(sleepecg.detect_heartbeats(signal, fs_hz), np.int64)


def accuracy() -> list[Row]:
    folder = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data") / "mitdb"
    if not folder.is_dir():
        return []
    peer, ours, theirs = sleepecg_detector(), list[dict[str, Any]](), list[dict[str, Any]]()
    for name in DS1:
        record, reference = wfdb.read(folder / name), score.read(folder / name, "atr")
        found, fs_hz = analyse(record), record.leads[0].fs_hz
        called = score.Beats(found.sample, "".join(CLASSES[k] for k in found.kind))
        ours.append(_scored(reference, called, fs_hz))
        if peer is not None:
            at = peer(record.leads[0].samples.astype(float), fs_hz)
            theirs.append(_scored(reference, score.Beats(at, "N" * len(at)), fs_hz))
    gross, other = score.totals(ours)["gross"], score.totals(theirs)["gross"] if theirs else {}
    label = "sleepecg, first lead" if theirs else None
    rows = [
        _row(f"{what} {part}, MIT-BIH DS1, tuning records", gross[key], "%", label, other.get(key))
        for what, part, key in (("QRS", "Se", "qrs_se_pct"), ("QRS", "+P", "qrs_ppv_pct"))
    ]
    return rows + [
        _row(f"VEB {part}, MIT-BIH DS1, tuning records", gross[key], "%")
        for part, key in (("Se", "veb_se_pct"), ("+P", "veb_ppv_pct"))
    ]


def _scored(reference: score.Beats, called: score.Beats, fs_hz: float) -> dict[str, Any]:
    counts = score.score(reference, called, fs_hz)
    return {**counts, **score.rates(counts)}


def _speed() -> list[Row]:
    samples = Synthesiser(1, FS_HZ, LEADS, DAY).samples(0, SAMPLE_H * 3600 * FS_HZ)
    times = DAY_S / (SAMPLE_H * 3600)
    peer, peer_s = sleepecg_detector(), None
    if peer is not None:
        signal = samples[0].astype(float)
        hours = np.split(signal, SAMPLE_H)
        peer(hours[0][:5000], FS_HZ)
        peer_s = round(times * _cpu_s(lambda: [peer(hour, FS_HZ) for hour in hours]), 3)
    rows = []
    for count, beside in ((1, peer_s), (3, None)):
        leads = (Lead(code, FS_HZ, 5.0, 0, row) for code, row in zip(LEADS[:count], samples, strict=False))
        record = Record(tuple(leads))
        name = f"24 h of {count} lead{'s' * (count > 1)} at {FS_HZ} Hz, whole analysis"
        cpu_s = times * _cpu_s(lambda record=record: analyse(record))  # type: ignore[misc]
        rows.append(_row(name, cpu_s, "CPU s", "sleepecg, beats only" if beside else None, beside))
    return rows


def _live() -> Row:
    """1-s ticks of three-lead devices, each with its own heart's phase."""
    source = Synthesiser(2, FS_HZ, LEADS, DAY).samples(0, (TICKS + 64) * FS_HZ)
    offsets = [(k % 60) * FS_HZ + k for k in range(DEVICES)]
    states = [stream.new_state(FS_HZ, LEADS) for _ in range(DEVICES)]
    masks = np.ones((DEVICES, len(LEADS)), bool)
    spent = list[float]()
    for tick in range(TICKS):
        first = tick * FS_HZ
        batch = stream.Batch(
            FS_HZ, LEADS, np.stack([source[:, o + first : o + first + FS_HZ] for o in offsets]),
            np.full(DEVICES, 5.0), masks, masks, np.full(DEVICES, first), np.zeros(DEVICES, bool),
        )  # fmt: skip
        before = time.process_time()
        results = stream.step_in_place(states, batch)
        spent.append(time.process_time() - before)
        states = [result[0] for result in results if not isinstance(result, Exception)]
    return _row(
        "live three-lead devices per core, 1-s ticks", DEVICES / float(np.median(spent[3:])), "devices"
    )


def run() -> list[Row]:
    return [*accuracy(), *_speed(), _live()]
