"""Disturbances on five real records: which beats, 3 s and more away from one, are no longer found as before.

Each record is analysed undisturbed and with one disturbance in its middle. A beat counts as unchanged if one lies
within 100 ms of it: R may be taken from the other lead.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.ecg import ROOT
from ecg.analysis import QUALITY_BLOCK_S, Analysis
from ecg.formats import wfdb
from ecg.fusion import UNREADABLE
from ecg.holter import analyse
from ecg.record import Lead, Record

Row = dict[str, Any]
Samples = NDArray[np.float64]
RECORDS = ("101", "106", "119", "208", "223")
AT_S, AWAY_S, SAME_S = 900.0, 3.0, 0.1
NOISE_UV = 500.0
MISSING = -(2**31)


def _within(
    length_s: float, change: Callable[[Samples, float], Samples]
) -> Callable[[Samples, float], Samples]:
    """A change of so many seconds from `AT_S` on."""

    def spoil(uv: Samples, fs_hz: float) -> Samples:
        a, b = round(AT_S * fs_hz), round((AT_S + length_s) * fs_hz)
        return np.concatenate([uv[:a], change(uv[a:b], fs_hz), uv[b:]])

    return spoil


def _step(uv: Samples, fs_hz: float) -> Samples:
    return uv + 300_000.0 * (np.arange(len(uv)) >= AT_S * fs_hz)


def _burst(uv: Samples, fs_hz: float) -> Samples:
    return uv + 20_000.0 * np.sign(np.sin(2 * np.pi * 7.0 * np.arange(len(uv)) / fs_hz))


def _missing(uv: Samples, _fs_hz: float) -> Samples:
    return np.where(np.arange(len(uv)) < 20, np.nan, uv)


def _white(uv: Samples, _fs_hz: float) -> Samples:
    return np.random.default_rng(1).normal(0.0, NOISE_UV, len(uv))


# Name: how long it lasts, and what it does to microvolts.
DISTURBANCES: Mapping[str, tuple[float, Callable[[Samples, float], Samples]]] = {
    "20 mV burst of 5 s": (5.0, _within(5.0, _burst)),
    "300 mV step": (0.0, _step),
    "20 samples missing": (0.1, _within(1.0, _missing)),
    "turned round": (0.0, lambda uv, _: -uv),
    "60 s flat": (60.0, _within(60.0, lambda uv, _: np.zeros_like(uv))),
    "a thousandfold": (5.0, _within(5.0, lambda uv, _: 1000.0 * uv)),
    "60 s of white noise": (60.0, _within(60.0, _white)),
}


def run() -> list[Row]:
    folder = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data") / "mitdb"
    if not folder.is_dir():
        return []
    records = [wfdb.read(folder / name) for name in RECORDS]
    clean = [analyse(record) for record in records]
    changed, total, unflagged = dict.fromkeys(DISTURBANCES, 0), 0, 0.0
    for record, before in zip(records, clean, strict=True):
        total += len(before.sample)
        for name, (length_s, spoil) in DISTURBANCES.items():
            after = analyse(_spoilt(record, spoil))
            changed[name] += _changed(before, after, AT_S - AWAY_S, AT_S + length_s + AWAY_S)
            if "white" in name:
                unflagged += _unflagged_s(after, AT_S + 10.0, AT_S + length_s - 10.0)
    rows = [
        _row(f"{name}: beats changed 3 s away from it, {total:,} in all", count, "beats", 0.0)
        for name, count in changed.items()
    ]
    return [*rows, _row("white noise not flagged unreadable", unflagged, "s", 0.0)]


def _spoilt(record: Record, spoil: Callable[[Samples, float], Samples]) -> Record:
    return replace(record, leads=tuple(_lead(lead, spoil) for lead in record.leads))


def _lead(lead: Lead, spoil: Callable[[Samples, float], Samples]) -> Lead:
    uv = spoil((lead.samples.astype(float) - lead.offset) * lead.uv_per_lsb, lead.fs_hz)
    raw = np.rint(np.nan_to_num(uv) / lead.uv_per_lsb) + lead.offset
    samples = np.where(np.isnan(uv), MISSING, raw).astype(np.int32)
    return replace(lead, samples=samples, missing=MISSING)


def _changed(before: Analysis, after: Analysis, from_s: float, until_s: float) -> int:
    """Beats of one that the other has not, outside these seconds."""
    one, other = (
        found.sample[(found.sample < from_s * found.fs_hz) | (found.sample > until_s * found.fs_hz)]
        for found in (before, after)
    )
    return _alone(one, other, before.fs_hz) + _alone(other, one, before.fs_hz)


def _alone(one: NDArray[np.int64], other: NDArray[np.int64], fs_hz: float) -> int:
    if not len(other):
        return len(one)
    place = np.searchsorted(other, one)
    apart = np.minimum(
        np.abs(one - other[np.minimum(place, len(other) - 1)]), np.abs(one - other[np.maximum(place - 1, 0)])
    )
    return int((apart > SAME_S * fs_hz).sum())


def _unflagged_s(found: Analysis, from_s: float, until_s: float) -> float:
    """Seconds between these in which some lead is called readable."""
    blocks = found.quality[round(from_s / QUALITY_BLOCK_S) : round(until_s / QUALITY_BLOCK_S)]
    return float((blocks.min(axis=1) < UNREADABLE).sum() * QUALITY_BLOCK_S)


def _row(name: str, value: float, unit: str, most: float) -> Row:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": "wanted at most",
        "peer_value": most,
        "ratio": None,
    }
