"""The ECG engine beside sleepecg: accuracy on the tuning records, CPU per day of one lead, live devices per core."""

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg import detection, score, stream
from ecg.analysis import CLASSES
from ecg.conditioning import HOP
from ecg.episodes import CALM_HOPS
from ecg.formats import wfdb
from ecg.fusion import GOOD
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
LIVE, TICKS = (500, 2000), 10


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


def _beats(samples: NDArray[np.int16]) -> int:
    """How many beats the engine finds on one lead, without what it makes of them: neither classes nor rules."""
    state, detector, found, calm_hops = stream.new_state(FS_HZ, LEADS[:1]), detection.Detector(), 0, 0
    whole = np.ones((1, 1), bool)
    for first in range(0, samples.size, stream.STEP_LIMIT_S * FS_HZ):
        piece = samples[None, None, first : first + stream.STEP_LIMIT_S * FS_HZ]
        flags, at = np.zeros(piece.shape, np.uint8), np.array([first])
        batch = stream.Batch(FS_HZ, LEADS[:1], piece, np.array([5.0]), whole, whole, at, ~whole[0])
        (state,) = stream._ready([state], batch, piece, flags)
        group = stream._group([state], piece, flags)
        hops, summits = (iter(column) for column in group.looked.rows[0])
        hop, codes = next(hops, None), group.by_hop[0].min(axis=1).tolist()
        for k, code in enumerate(codes):
            is_calm = code == GOOD and calm_hops >= CALM_HOPS
            calm_hops = calm_hops + 1 if code == GOOD else 0
            while hop == k:
                found += len(detection.offer(detector, next(summits), code != GOOD, is_calm))
                hop = next(hops, None)
            found += len(detection.overdue(detector, (state.hop + k + 1) * HOP, is_calm))
        state = state._replace(
            taken=state.taken + group.length, hop=state.hop + len(codes), tail=group.tail[0],
            tail_flags=group.tail_flags[0], memory=group.looked.memory[0], swings=group.looked.swings[0],
        )  # fmt: skip
    return found


def _speed() -> list[Row]:
    samples = Synthesiser(1, FS_HZ, LEADS, DAY).samples(0, SAMPLE_H * 3600 * FS_HZ)
    times = DAY_S / (SAMPLE_H * 3600)
    label, peer, peer_s = "sleepecg, beats only", sleepecg_detector(), None
    hours = np.split(samples[0], SAMPLE_H)
    cpu_s = times * min(_cpu_s(lambda: [_beats(hour) for hour in hours]) for _ in range(3))
    if peer is not None:
        signals = [hour.astype(float) for hour in hours]
        peer(signals[0][:5000], FS_HZ)
        peer_s = round(
            times * min(_cpu_s(lambda: [peer(hour, FS_HZ) for hour in signals]) for _ in range(3)), 3
        )
    name = f"24 h of 1 lead at {FS_HZ} Hz in hours, beats without classes and rules"
    rows = [_row(name, cpu_s, "CPU s", label if peer_s else None, peer_s)]
    for count, beside in ((1, peer_s), (3, None)):
        leads = (Lead(code, FS_HZ, 5.0, 0, row) for code, row in zip(LEADS[:count], samples, strict=False))
        record = Record(tuple(leads))
        name = f"24 h of {count} lead{'s' * (count > 1)} at {FS_HZ} Hz, whole analysis"
        cpu_s = times * _cpu_s(lambda record=record: analyse(record))  # type: ignore[misc]
        rows.append(_row(name, cpu_s, "CPU s", label if beside else None, beside))
    return rows


def _live(devices: int) -> list[Row]:
    """1-s ticks of three-lead devices, each with its own heart's phase."""
    source = Synthesiser(2, FS_HZ, LEADS, DAY).samples(0, (TICKS + 80) * FS_HZ)
    offsets = [(k % 60) * FS_HZ + k for k in range(devices)]
    states = [stream.new_state(FS_HZ, LEADS) for _ in range(devices)]
    masks = np.ones((devices, len(LEADS)), bool)
    spent = list[float]()
    for tick in range(TICKS):
        first = tick * FS_HZ
        batch = stream.Batch(
            FS_HZ, LEADS, np.stack([source[:, o + first : o + first + FS_HZ] for o in offsets]),
            np.full(devices, 5.0), masks, masks, np.full(devices, first), np.zeros(devices, bool),
        )  # fmt: skip
        before = time.process_time()
        results = stream.step_in_place(states, batch)
        spent.append(time.process_time() - before)
        states = [result[0] for result in results if not isinstance(result, Exception)]
    typical_s = float(np.median(spent[3:]))
    rows = [
        _row(
            f"live, {devices} three-lead devices in 1-s ticks",
            typical_s / devices * 1e6,
            "us per device-second",
        )
    ]
    if devices == LIVE[0]:
        rows.append(_row("live three-lead devices per core, 1-s ticks", devices / typical_s, "devices"))
    return rows


def run() -> list[Row]:
    return [*accuracy(), *_speed(), *(row for devices in LIVE for row in _live(devices))]
