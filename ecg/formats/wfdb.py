"""WFDB records (PhysioNet): bit-exact integers in and out, and beat and rhythm annotations out.

Formats 212, 16, 80, 310, 311, 24, 32 and the rest are decoded by the `wfdb` library. Its "missing" code of each
format is kept in the samples and named in `Lead.missing`.
"""

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

from ecg.record import MDC_TO_SHORT, Lead, Record, Samples, lead_code

UV_PER_UNIT = {"mv": 1e3, "uv": 1.0, "v": 1e6}
MISSING = {"80": -128, "212": -2048, "310": -512, "311": -512, "16": -32768, "61": -32768, "160": -32768}
MISSING_WIDE = {"24": -8388608, "32": -2147483648}


def read(path: Path) -> Record:
    """Read a record by its name without suffix; leads that are not voltages are left out."""
    header = wfdb.rdrecord(str(path), physical=False, smooth_frames=False)
    leads = []
    for k, unit in enumerate(header.units):
        scale = UV_PER_UNIT.get((unit or "mV").lower())
        if scale is None:
            continue
        code = lead_code(header.sig_name[k] or "", k)
        fs_hz = float(header.fs) * header.samps_per_frame[k]
        missing = {**MISSING, **MISSING_WIDE}.get(header.fmt[k])
        gain, samples = header.adc_gain[k] or 200.0, _narrow(header.e_d_signal[k])
        leads.append(Lead(code, fs_hz, scale / gain, int(header.baseline[k]), samples, missing))
    if not leads:
        raise ValueError(f"{path.name}: no lead in volts")
    return Record(tuple(leads), _start(header), _gaps(leads), None, "; ".join(header.comments)[:200])


def _narrow(samples: NDArray[np.int64]) -> Samples:
    fits = samples.size == 0 or (samples.min() >= -32768 and samples.max() <= 32767)
    return samples.astype(np.int16) if fits else samples.astype(np.int32)


def _start(header: wfdb.Record) -> datetime | None:
    """WFDB headers hold local time without a zone; only a complete date counts, and it is left naive by WFDB."""
    start = header.base_datetime
    return None if start is None else start.astimezone()


def _gaps(leads: list[Lead]) -> tuple[tuple[int, int], ...]:
    """Stretches in which every lead of the fastest group is missing."""
    fastest = max(lead.fs_hz for lead in leads)
    group = [lead for lead in leads if lead.fs_hz == fastest]
    if any(lead.missing is None for lead in group):
        return ()
    gone = np.logical_and.reduce([lead.samples == lead.missing for lead in group])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(np.int8), [0]])))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def write(record: Record, path: Path) -> None:
    """Write leads of one rate as format 16 (int16) or 32 (int32), integers unchanged."""
    rates = {lead.fs_hz for lead in record.leads}
    if len(rates) != 1:
        raise ValueError("a WFDB record written here holds leads of one rate")
    wide = any(lead.samples.dtype != np.int16 for lead in record.leads)
    wfdb.wrsamp(
        path.name,
        fs=rates.pop(),
        units=["uV"] * len(record.leads),
        sig_name=[MDC_TO_SHORT.get(lead.code, lead.code) for lead in record.leads],
        d_signal=np.stack([lead.samples for lead in record.leads], axis=1).astype(np.int64),
        fmt=["32" if wide else "16"] * len(record.leads),
        adc_gain=[1.0 / lead.uv_per_lsb for lead in record.leads],
        baseline=[lead.offset for lead in record.leads],
        write_dir=str(path.parent),
    )


def annotate(
    path: Path,
    samples: NDArray[np.int64],
    symbols: list[str],
    notes: list[str],
    subtypes: NDArray[np.int64],
    fs_hz: float,
    extension: str = "hub",
) -> None:
    """Write annotations beside the record, in time order; a record without any gets none but stays readable."""
    order = np.argsort(samples, kind="stable")
    wfdb.wrann(
        path.name,
        extension,
        samples[order],
        symbol=[symbols[k] for k in order],
        subtype=subtypes[order],
        aux_note=[notes[k] for k in order],
        fs=math.ceil(fs_hz) if fs_hz % 1 else int(fs_hz),
        write_dir=str(path.parent),
    )


def read_annotations(path: Path, extension: str) -> tuple[list[int], list[str]]:
    """Samples and symbols of an annotation file; `path` without suffix."""
    found = wfdb.rdann(str(path), extension)
    return found.sample.tolist(), list(found.symbol)


def read_rate_hz(path: Path) -> float:
    """The sampling rate that a record's header tells."""
    return float(wfdb.rdheader(str(path)).fs)
