"""The figures of a Holter report as JSON: rates, hours, ectopy, HRV, ST, templates, findings by urgency.

All of it is made from an analysis as a reader left it and from what was measured on the signal; what cannot be told is
withheld with its reason in words.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg import critical_values, holter_facts, hrv, templates
from ecg.analysis import CLASSES, Analysis
from ecg.findings import Finding, burden, to_dict
from ecg.measured import Measured
from ecg.reasons import Reason
from ecg.rhythms import RULES
from ecg.st import Episode, Levels

Instant = Callable[[int], dict[str, Any]]

RATE_BEATS = 8  # lowest and highest rate are means of eight intervals
STRIP_S = 10.0
BEFORE_S = 3.0  # of a strip, shown before the onset
FIBRILLATION = frozenset(hrv.AF_RULES)
URGENCY = {"high": 0, "medium": 1, None: 2}
EPISODES_TOLD = 50  # of ST, the largest; how many there are is told, too


def strip(finding: Finding, fs_hz: int, length: int) -> tuple[int, int]:
    """The 10 s to show first: the onset with 3 s before it, or a pause in the middle of the strip."""
    wide = round(STRIP_S * fs_hz)
    end = finding.offset_sample if finding.offset_sample is not None else finding.onset_sample
    short = end - finding.onset_sample < wide
    first = (
        (finding.onset_sample + end - wide) // 2 if short else finding.onset_sample - round(BEFORE_S * fs_hz)
    )
    first = max(0, min(first, length - wide))
    return first, min(length, first + wide)


def summary(
    analysis: Analysis, start_at: datetime | None = None, measured: Measured | None = None
) -> dict[str, Any]:
    """JSON-able figures of the report; instants as ISO 8601 if start_at is known, always with their sample."""

    def instant(sample: int) -> dict[str, Any]:
        at = None if start_at is None else (start_at + timedelta(seconds=sample / analysis.fs_hz)).isoformat()
        return {"sample": int(sample), "at": at}

    rr, sample = analysis.rr_s.astype(float), analysis.sample
    counts = {name: int((analysis.kind == k).sum()) for k, name in enumerate(CLASSES)}
    known = rr[np.isfinite(rr)]
    return {
        "algorithm": analysis.algorithm,
        "version": analysis.version,
        "beats_total": len(sample),
        "beats_by_class": counts,
        "mean_rate_bpm": round(60.0 / float(known.mean()), 1) if len(known) else None,
        "recorded_h": round(analysis.recorded_s / 3600, 5),
        "analysable_h": round(analysis.readable_s / 3600, 5),
        "notes": list(analysis.notes),
        **_extremes(rr, sample, instant),
        "ectopy": {name: holter_facts.ectopy(analysis, name) for name in ("V", "S")},
        "hours": _periods(analysis, 3600, instant),
        "rate_trend": _periods(analysis, 60, None),
        "atrial_fibrillation": burden(analysis.findings, FIBRILLATION, analysis.readable_s, analysis.fs_hz),
        "hrv": _variability(analysis, measured is not None and measured.paced),
        "st": _st(None if measured is None else measured.st, analysis, instant),
        "templates": [] if measured is None else templates.table(measured.templates, analysis),
        "template_leads": [] if measured is None else list(measured.templates.leads),
        "critical_values": _critical(analysis),
        "twelve_lead": None if measured is None else measured.twelve,
        "findings": [
            {
                **to_dict(f),
                **{f"onset_{k}": v for k, v in instant(f.onset_sample).items()},
                "strip": strip(f, analysis.fs_hz, analysis.length),
            }
            for f in ranked(analysis.findings)
        ],
    }


def _variability(analysis: Analysis, paced: bool) -> dict[str, Any]:
    """HRV with the reasons for what is withheld; trend: SDNN of each 5 min."""
    found = hrv.variability(analysis, paced=paced)
    return {
        "values": {name: _number(value.value, 2) for name, value in found.values.items()},
        "nn_share": found.nn_share,
        "stretches": found.stretches,
        "withheld": _told(found.withheld),
        "day_withheld": _told(found.day_withheld),
        "trend_sdnn_ms": [_number(value, 1) for value in found.trend],
    }


def _st(levels: Levels | None, analysis: Analysis, instant: Instant) -> dict[str, Any]:
    """ST per lead: its own reference, lowest and highest minute, the trend by minutes, episodes."""
    if levels is None or levels.withheld is not None:
        why = Reason("not-measured") if levels is None else levels.withheld
        return {"withheld": _told(why), "unverified": None, "leads": [], "episodes": [], "episodes_total": 0}
    minutes = _minutes(levels, analysis.fs_hz)
    leads = [
        {
            "lead": code,
            "reference_uv": _number(levels.reference_uv[k], 0),
            **_st_extremes(minutes[:, k], analysis.fs_hz, instant),
            "episodes": sum(e.lead == code for e in levels.episodes),
            "trend_uv": [_number(value, 0) for value in minutes[:, k]],
        }
        for k, code in enumerate(levels.leads)
    ]
    largest = sorted(levels.episodes, key=lambda e: -abs(e.change_uv))[:EPISODES_TOLD]
    return {
        "withheld": None,
        "unverified": _told(levels.unverified),
        "leads": leads,
        "episodes": [_st_episode(e, analysis.fs_hz, instant) for e in largest],
        "episodes_total": len(levels.episodes),
    }


def _minutes(levels: Levels, fs_hz: int) -> NDArray[np.float64]:
    """[minute, lead]: medians of the 10-s levels."""
    per = max(1, round(60 * fs_hz / levels.block_samples))
    count = -(-len(levels.level_uv) // per)
    padded = np.full((count * per, len(levels.leads)), np.nan)
    padded[: len(levels.level_uv)] = levels.level_uv
    blocks = padded.reshape(count, per, -1)
    out = np.full((count, len(levels.leads)), np.nan)
    known = np.isfinite(blocks).any(axis=1)
    for k in range(len(levels.leads)):
        own = known[:, k]
        if own.any():
            out[own, k] = np.nanmedian(blocks[own, :, k], axis=1)
    return out


def _st_extremes(minutes: NDArray[np.float64], fs_hz: int, instant: Instant) -> dict[str, Any]:
    if not np.isfinite(minutes).any():
        return {"lowest": None, "highest": None}
    places = {"lowest": int(np.nanargmin(minutes)), "highest": int(np.nanargmax(minutes))}
    return {name: {"uv": _number(minutes[k], 0), **instant(k * 60 * fs_hz)} for name, k in places.items()}


def _st_episode(e: Episode, fs_hz: int, instant: Instant) -> dict[str, Any]:
    return {
        "lead": e.lead,
        **instant(e.onset_sample),
        "extreme_sample": e.extreme_sample,
        "length_s": round((e.offset_sample - e.onset_sample) / fs_hz, 1),
        "change_uv": e.change_uv,
        "level_uv": e.level_uv,
    }


def _critical(analysis: Analysis) -> dict[str, Any]:
    """The rows of the published list that are met; a clinician decides."""
    pack = critical_values.PACKS[critical_values.HUB_PACK]
    outcome = critical_values.assess(pack, "holter", holter_facts.critical_facts(analysis))
    return critical_values.told(pack, outcome)


def _told(reason: Reason | None) -> dict[str, object] | None:
    return None if reason is None else reason.as_json()


def _number(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits) + 0.0 + 0.0


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """What a reader must see first: by urgency, then the rule's rank, then the longest, then time."""

    def order(f: Finding) -> tuple[int, int, int, int]:
        length = (f.offset_sample or f.onset_sample) - f.onset_sample
        return URGENCY[f.priority], RULES[f.rule].rank if f.rule in RULES else 0, -length, f.onset_sample

    return sorted(findings, key=order)


def _extremes(rr: NDArray[np.float64], sample: NDArray[np.int64], instant: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"lowest_rate": None, "highest_rate": None, "longest_rr": None}
    if np.isfinite(rr).any():
        longest = int(np.nanargmax(rr))
        out["longest_rr"] = {"rr_s": round(float(rr[longest]), 3), **instant(sample[longest - 1])}
    bpm = _rates_bpm(rr)
    if np.isfinite(bpm).any():
        for name, place in (("lowest_rate", np.nanargmin(bpm)), ("highest_rate", np.nanargmax(bpm))):
            out[name] = {"bpm": round(float(bpm[place]), 1), **instant(sample[place])}
    return out


def _rates_bpm(rr: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean rate of the eight intervals from each beat on; nan where one of them is unknown."""
    bpm = np.full(len(rr), np.nan)
    if len(rr) >= RATE_BEATS:
        sums = np.lib.stride_tricks.sliding_window_view(rr, RATE_BEATS).sum(axis=1)
        bpm[: len(sums)] = 60.0 * RATE_BEATS / sums
    return bpm


def _periods(analysis: Analysis, seconds: int, instant: Any) -> list[dict[str, Any]]:
    """Beats and rates per period; the detailed form, with classes and pauses, when `instant` is given."""
    fs_hz, rows = analysis.fs_hz, []
    bpm = _rates_bpm(analysis.rr_s.astype(float))
    periods = -(-analysis.length // (seconds * fs_hz))
    edges = np.searchsorted(analysis.sample, np.arange(periods + 1) * seconds * fs_hz)
    for k in range(periods):
        part = slice(edges[k], edges[k + 1])
        rr = analysis.rr_s[part].astype(float)
        rr = rr[np.isfinite(rr)]
        row: dict[str, Any] = {"beats": int(edges[k + 1] - edges[k]), "mean_rate_bpm": None}
        if len(rr):
            row["mean_rate_bpm"] = round(60 / float(rr.mean()), 1)
        known = bpm[part][np.isfinite(bpm[part])]
        if len(known):
            row["lowest_rate_bpm"] = round(float(known.min()), 1)
            row["highest_rate_bpm"] = round(float(known.max()), 1)
        if instant is not None:
            kind = analysis.kind[part]
            row.update(
                **instant(k * seconds * fs_hz),
                by_class={name: int((kind == c).sum()) for c, name in enumerate(CLASSES)},
                longest_rr_s=round(float(rr.max()), 3) if len(rr) else None,
            )
        rows.append(row)
    return rows
