"""WFDB records (PhysioNet): bit-exact integers in and out, and beat and rhythm annotations out.

Formats 212, 16, 80, 310, 311, 24, 32 and the rest are decoded by the `wfdb` library. Its "missing" code of each
format is kept in the samples and named in `Lead.missing`. Nothing a header declares is trusted: its files lie beside
it and are as long as it tells, before the library opens them.
"""

import math
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord
from ecg.formats.lead_names import identify, name_of
from ecg.formats.timeline import local, one_rate
from ecg.record import Lead, Record, Samples

UV_PER_UNIT = {"mv": 1e3, "uv": 1.0, "v": 1e6}
MISSING = {"80": -128, "212": -2048, "310": -512, "311": -512, "16": -32768, "61": -32768, "160": -32768}
MISSING_WIDE = {"24": -8388608, "32": -2147483648}

# Bits of a stored sample (WFDB signal(5)); compressed formats (508, 516, 524) can't be foretold.
BITS = {
    "8": 8,
    "16": 16,
    "24": 24,
    "32": 32,
    "61": 16,
    "80": 8,
    "160": 16,
    "212": 12,
    "310": 32 / 3,
    "311": 32 / 3,
}
HEADER_BYTES = 1 << 20
MAX_SAMPLES = 1 << 30  # of one signal
MAX_FRAME = 10_000  # samples of a frame


def read(path: Path, zone: tzinfo = UTC) -> Record:
    """Read a record by its name without suffix; leads that are not voltages are left out.

    A start is local time of `zone`. What is no record raises InvalidRecord.
    """
    try:
        _check(path)
        header = wfdb.rdrecord(str(path), physical=False, smooth_frames=False)
        leads = [lead for k in range(header.n_sig) if (lead := _lead(header, k)) is not None]
        start_at = _start(header, zone)
    except (InvalidRecord, OSError):
        raise
    except Exception as error:  # the library has no one error of its own for headers that make no sense
        raise InvalidRecord(f"{path.name}: no WFDB record ({error})", None, COPY_AGAIN) from error
    if not leads:
        raise InvalidRecord(
            f"{path.name}: no lead in volts", None, "only recordings of voltages are read here"
        )
    return Record(tuple(leads), start_at, _gaps(leads), None, "; ".join(header.comments)[:200])


def _lead(header: wfdb.Record, k: int) -> Lead | None:
    scale = UV_PER_UNIT.get((header.units[k] or "mV").lower())
    if scale is None:
        return None
    code, label = identify(header.sig_name[k] or "", k)
    fs_hz = float(header.fs) * header.samps_per_frame[k]
    missing = {**MISSING, **MISSING_WIDE}.get(header.fmt[k])
    gain = header.adc_gain[k] or 200.0  # WFDB header(5): 0 or nothing means 200 units a millivolt
    if not (math.isfinite(gain) and math.isfinite(fs_hz) and fs_hz > 0):
        raise InvalidRecord(f"signal {k} has no scale or rate", None, COPY_AGAIN)
    samples = _narrow(header.e_d_signal[k])
    return Lead(code, fs_hz, scale / gain, int(header.baseline[k]), samples, missing, label)


def _check(path: Path) -> None:
    """The header's files are plain names beside it, and as long as its declared samples."""
    head = path.with_name(f"{path.name}.hea")
    if (size := head.stat().st_size) > HEADER_BYTES:
        raise InvalidRecord(f"a header of {size} bytes", HEADER_BYTES)
    header = wfdb.rdheader(str(path))
    if isinstance(header, wfdb.MultiRecord):
        raise InvalidRecord(
            f"{head.name}: a record of several segments", 0, "read its segments, or join them"
        )
    needed: dict[str, float] = {}
    for k, name in enumerate(header.file_name or ()):
        bits = BITS.get(header.fmt[k], 0.0)
        frames = (header.sig_len or 0) * header.samps_per_frame[k]
        if frames > MAX_SAMPLES or header.samps_per_frame[k] > MAX_FRAME:
            raise InvalidRecord(f"{head.name}: signal {k} of {frames} samples", 0, COPY_AGAIN)
        needed[name] = needed.get(name, header.byte_offset[k] or 0) + frames * bits / 8
    for name, count in needed.items():
        file = path.with_name(name)  # the library lets no name with a separator through
        present = file.stat().st_size if file.is_file() else 0
        if present < math.floor(count):
            cause = f"{name} needs {math.ceil(count)} bytes, {present} are present"
            raise InvalidRecord(cause, present, COPY_AGAIN)


def _narrow(samples: NDArray[np.int64]) -> Samples:
    fits = samples.size == 0 or (samples.min() >= -32768 and samples.max() <= 32767)
    return samples.astype(np.int16) if fits else samples.astype(np.int32)


def _start(header: wfdb.Record, zone: tzinfo) -> datetime | None:
    """WFDB headers hold local time without a zone; only a complete date counts."""
    start: datetime | None = header.base_datetime
    return None if start is None else start.replace(tzinfo=zone)


def _gaps(leads: list[Lead]) -> tuple[tuple[int, int], ...]:
    """Stretches in which every lead of the fastest group is missing."""
    fastest = max(lead.fs_hz for lead in leads)
    group = [lead for lead in leads if lead.fs_hz == fastest]
    if any(lead.missing is None for lead in group):
        return ()
    gone = np.logical_and.reduce([lead.samples == lead.missing for lead in group])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(np.int8), [0]])))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def write(record: Record, path: Path, zone: tzinfo = UTC) -> None:
    """Write leads of one rate as format 16 (int16) or 32 (int32), integers unchanged.

    Samples of a gap, which are none, get the format's code of missing ones; a start is told in the time of `zone`.
    """
    fs_hz, _ = one_rate(record, "a WFDB record written here")
    wide = any(lead.samples.dtype != np.int16 for lead in record.leads)
    samples = np.stack([lead.samples for lead in record.leads], axis=1).astype(np.int64)
    for first, last in record.gaps:
        samples[first:last] = MISSING_WIDE["32"] if wide else MISSING["16"]
    wfdb.wrsamp(
        path.name,
        fs=fs_hz,
        units=["uV"] * len(record.leads),
        sig_name=[name_of(lead) for lead in record.leads],
        d_signal=samples,
        fmt=["32" if wide else "16"] * len(record.leads),
        adc_gain=[1.0 / lead.uv_per_lsb for lead in record.leads],
        baseline=[lead.offset for lead in record.leads],
        comments=[record.device] if record.device else None,
        base_datetime=None if record.start_at is None else local(record.start_at, zone),
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


def read_annotations(path: Path, extension: str) -> list[tuple[int, str, str]]:
    """(sample, symbol, note) of an annotation file, in order; `path` without suffix."""
    found = wfdb.rdann(str(path), extension)
    notes = (note.strip("\0 ") for note in found.aux_note)
    return list(zip(found.sample.tolist(), found.symbol, notes, strict=True))


def read_rate_hz(path: Path) -> float:
    """The sampling rate that a record's header tells."""
    return float(wfdb.rdheader(str(path)).fs)


def read_length_s(path: Path) -> float:
    """How long a record is, as its header tells."""
    header = wfdb.rdheader(str(path))
    return float(header.sig_len / header.fs)
