"""Wave boundaries beside LUDB's readers: mean and SD per point, the CSE tolerances, and a published method.

LUDB's gains scale every lead to the same height, so its integers are taken as microvolts: only then do its limb leads
agree with Einthoven. Constants were tuned on the even-numbered records; the odd ones stand alone in the table.
"""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import wfdb as library
from numpy.typing import NDArray

from ecg.formats import wfdb
from ecg.holter import analyse
from ecg.record import Record
from ecg.twelve_lead import boundaries, delineation
from ecg.twelve_lead.measurements import measure
from ecg.twelve_lead.median_beat import cut_out
from ecg.twelve_lead.signals import STANDARD, prepare
from ecg.twelve_lead.statements import statements

Row = dict[str, Any]
Real = NDArray[np.float64]
ROOT = Path(__file__).parents[1]
NEAR_MS = 150.0  # ANSI/AAMI EC57 match window, as in the published table
SYMBOL = {"p": "p", "N": "qrs", "t": "t"}
# SD allowed between a program and the CSE referees, ms (CSE Working Party, Eur Heart J 1985;6:815).
CSE_SD_MS = {"p_on": 10.2, "p_off": 12.7, "qrs_on": 6.5, "qrs_off": 11.6, "t_off": 30.6}
# Kalyakulina et al., IEEE Access 2020;8:186181, Table 6: their wavelet method over 12 leads, all 200 records of LUDB.
PUBLISHED_SD_MS = {
    "p_on": 10.2, "p_peak": 6.2, "p_off": 11.4, "qrs_on": 7.7, "qrs_off": 8.8, "t_peak": 7.4, "t_off": 15.5,
}  # fmt: skip
# Limits of mean and SD for global intervals against referees, ms (IEC 60601-2-51:2003, 100 biological ECGs of CSE).
IEC_MS = {"p_ms": (10, 15), "pr_ms": (10, 10), "qrs_ms": (10, 10), "qt_ms": (25, 30)}
INTERVALS = {
    "p_ms": ("p_on", "p_off"), "pr_ms": ("p_on", "qrs_on"),
    "qrs_ms": ("qrs_on", "qrs_off"), "qt_ms": ("qrs_on", "t_off"),
}  # fmt: skip


@dataclass
class Tally:
    """Errors in ms of matched points; how many of the readers' were missed, and how many of ours nobody marked."""

    error_ms: list[float] = field(default_factory=list)
    missed: int = 0
    extra: int = 0


def records() -> dict[int, Path]:
    folder = ROOT / os.environ.get("TELEHUB_DATA", "../shared/data") / "ludb" / "data"
    return {int(path.stem): path.with_suffix("") for path in sorted(folder.glob("*.hea"))}


def load(path: Path) -> Record:
    """A record of LUDB with one microvolt per integer."""
    record = wfdb.read(path)
    return replace(record, leads=tuple(replace(lead, uv_per_lsb=1.0) for lead in record.leads))


def reference(path: Path, lead: str) -> dict[str, list[int]]:
    """The readers' points of one lead by name, in order; boundaries they left out are left out."""
    marks = library.rdann(str(path), lead.lower())
    out: dict[str, list[int]] = {name: [] for name in (*delineation.POINTS, "qrs_peak")}
    signs = list(zip(marks.sample.tolist(), marks.symbol, strict=True))
    for k, (sample, sign) in enumerate(signs):
        if sign not in SYMBOL:
            continue
        wave = SYMBOL[sign]
        out[f"{wave}_peak"].append(sample)
        if k and signs[k - 1][1] == "(" and f"{wave}_on" in out:
            out[f"{wave}_on"].append(signs[k - 1][0])
        if k + 1 < len(signs) and signs[k + 1][1] == ")" and f"{wave}_off" in out:
            out[f"{wave}_off"].append(signs[k + 1][0])
    return out


def found(record: Record) -> tuple[dict[str, list[Real]], delineation.Delineation | None]:
    """Our points by name: [lead] arrays of samples over all beats, beats of other shapes delineated one by one."""
    analysis = analyse(record)
    leads = prepare(record, analysis.sample)
    d = delineation.delineate(leads, analysis.sample, analysis.kind == 1)
    if isinstance(d, str):
        return {name: [np.zeros(0)] * len(leads.names) for name in delineation.POINTS}, None
    points = {name: list(at.T) for name, at in delineation.of_beats(d).items()}
    for place in d.beat.others.tolist():
        for name, at in _single(d, place).items():
            points[name] = [np.append(old, new) for old, new in zip(points[name], at, strict=True)]
    return points, d


def _single(d: delineation.Delineation, place: int) -> Mapping[str, Real]:
    """QRS and T of one beat of another shape; P is not looked for before it."""
    fs_hz, anchor = d.leads.fs_hz, d.beat.anchor
    uv = np.nan_to_num(cut_out(d.leads.uv, np.array([place]), fs_hz)[0])
    on, off = boundaries.qrs(uv, anchor, fs_hz, d.measured)
    after = np.concatenate([d.beat.beats, d.beat.others]) - place
    rr = float(after[after > 0].min(initial=int(fs_hz)))
    t_peak, t_off = boundaries.t_wave(uv, anchor, int(np.nanmedian(off)), rr, fs_hz, d.measured)
    none = np.full(len(uv), np.nan)
    values = (none, none, none, on, off, t_peak, t_off)
    return {name: at + place - anchor for name, at in zip(delineation.POINTS, values, strict=True)}


def tally(own: Real, theirs: list[int], span: tuple[int, int], fs_hz: float, into: Tally) -> None:
    """Pair each reader's point with the nearest of ours within 150 ms; ours count as extra inside the marked span."""
    own = np.sort(own[np.isfinite(own)])
    reach = NEAR_MS * fs_hz / 1000
    for at in theirs:
        away = own - at
        best = float(away[np.abs(away).argmin()]) if len(away) else np.inf
        if abs(best) <= reach:
            into.error_ms.append(best * 1000 / fs_hz)
        else:
            into.missed += 1
    marked = np.array(theirs, float)
    for at in own[(own >= span[0]) & (own <= span[1])].tolist():
        if not len(marked) or np.abs(marked - at).min() > reach:
            into.extra += 1


def evaluate(numbers: Iterable[int], paths: Mapping[int, Path]) -> dict[str, Tally]:
    """Tallies per point over whole records."""
    tallies = {name: Tally() for name in delineation.POINTS}
    for number in numbers:
        record = load(paths[number])
        points, d = found(record)
        for k, lead in enumerate(STANDARD if d else ()):
            theirs = reference(paths[number], lead)
            marks = [at for places in theirs.values() for at in places]
            if not marks:
                continue
            for name, into in tallies.items():
                tally(points[name][k], theirs[name], (min(marks), max(marks)), record.leads[0].fs_hz, into)
    return tallies


def _rows(tallies: Mapping[str, Tally], which: str) -> list[Row]:
    rows = []
    for name, t in tallies.items():
        error, hits = np.array(t.error_ms), len(t.error_ms)
        if not hits:
            continue
        se, ppv = 100 * hits / (hits + t.missed), 100 * hits / (hits + t.extra)
        cse = f", CSE allows {CSE_SD_MS[name]}" if name in CSE_SD_MS else ""
        label = f"LUDB {which} {name}: mean {error.mean():+.1f} ms, Se {se:.1f} PPV {ppv:.1f} %, n {hits}{cse}; SD"
        sd, peer = float(error.std()), PUBLISHED_SD_MS[name]
        rows.append({
            "name": label, "value": round(sd, 1), "unit": "ms", "peer": "Kalyakulina 2020, all 200 records",
            "peer_value": peer, "ratio": round(sd / peer, 2),
        })  # fmt: skip
    return rows


def common(path: Path, d: delineation.Delineation) -> dict[str, float]:
    """The readers' points over all leads, as ours are: of each lead's middle beat, the earliest or latest but one."""
    marks = {lead: reference(path, lead) for lead in STANDARD}
    places = {name: np.full(len(STANDARD), np.nan) for name in delineation.POINTS}
    start = d.beat.beats - d.beat.anchor
    for k, lead in enumerate(STANDARD):
        for name, own in places.items():
            from_beat = np.array([at - start for at in marks[lead][name]], float).ravel()
            near = from_beat[np.abs(from_beat - d.common[name]) < NEAR_MS * d.beat.fs_hz / 1000]
            own[k] = np.median(near) if len(near) >= delineation.BEATS_NEEDED else np.nan
    return delineation.common(places, delineation.OUTER)


def _interval_rows(numbers: list[int], paths: Mapping[int, Path], which: str) -> list[Row]:
    """Our intervals of the whole ECG less the readers'."""
    error: dict[str, list[float]] = {name: [] for name in INTERVALS}
    for number in numbers:
        record = load(paths[number])
        measured = measure(record, analyse(record))
        theirs = common(paths[number], measured.delineation) if measured.delineation else {}
        for name, (first, last) in INTERVALS.items():
            own = measured.number(name)
            if own is not None and np.isfinite(read := 2.0 * (theirs[last] - theirs[first])):
                error[name].append(own - read)
    return [
        {
            "name": f"LUDB {which} {name} over all leads: mean {np.mean(e):+.1f} ms, n {len(e)}; SD",
            "value": round(float(np.std(e)), 1), "unit": "ms", "peer": f"IEC allows mean {IEC_MS[name][0]}, SD",
            "peer_value": IEC_MS[name][1], "ratio": round(float(np.std(e)) / IEC_MS[name][1], 2),
        }
        for name, e in error.items()
    ]  # fmt: skip


def run() -> list[Row]:
    paths = records()
    if not paths:
        return []
    odd = [n for n in paths if n % 2]
    rows = _rows(evaluate(odd, paths), "odd records (not tuned on)") + _rows(
        evaluate(list(paths), paths), "all"
    )
    rows += _interval_rows(odd, paths, "odd records (not tuned on)")
    return [*rows, _speed(paths)]


def _speed(paths: Mapping[int, Path]) -> Row:
    some = [load(paths[n]) for n in list(paths)[:20]]
    before = time.process_time()
    for record in some:
        statements(record, analyse(record))
    spent = (time.process_time() - before) / len(some)
    return {
        "name": "12 leads of 10 s at 500 Hz: beats, measurements and statements", "value": round(spent, 4),
        "unit": "CPU s", "peer": None, "peer_value": None, "ratio": None,
    }  # fmt: skip
