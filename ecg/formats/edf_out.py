"""Records as EDF+ (int16) or BDF+ (int32 within 24 bit), integers unchanged, annotations and gaps as TALs.

Data records lie on a grid of whole seconds; those wholly within a gap are left out (EDF+D), other ends of gaps and
of the recording are told by the standard texts "Recording ends" and "Recording starts".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from ecg.formats.edf import ENDS, FIELDS, MONTHS, STARTS, Note
from ecg.formats.lead_names import name_of
from ecg.formats.timeline import local, rate
from ecg.record import Lead, Record

LIMITS = {2: (-32768, 32767), 3: (-8388608, 8388607)}
MAX_RECORD_S = 99_999_999
UNKNOWN_DATE = "01.01.85"  # EDF+ clause 2.1.3.3: a date that is not known is "X" in the recording field
LEAST_ROOM = 24  # bytes for notes in a data record; two beats
FILTER_NAMES = {"high_pass_hz": "HP", "low_pass_hz": "LP", "notch_hz": "N"}
UNITS = (("uV", Decimal(1)), ("mV", Decimal("0.001")), ("V", Decimal("0.000001")))
# Multiples of these shed the decimals of a scale.
STEPS = tuple(sorted(2**a * 5**b for a in range(14) for b in range(6) if 2**a * 5**b <= 10_000))


@dataclass(frozen=True)
class Grid:
    """Data records of `record_s` seconds: which of them are stored, and how many samples of each lead they hold."""

    record_s: int
    stored: tuple[int, ...]
    counts: tuple[int, ...]


def write(record: Record, path: Path, notes: Sequence[Note] = (), zone: tzinfo = UTC) -> None:
    path.write_bytes(encode(record, notes, zone))


def encode(record: Record, notes: Sequence[Note] = (), zone: tzinfo = UTC) -> bytes:
    """The file; without leads one of annotations only. ValueError for what the format can't hold."""
    size = 2 if all(lead.samples.dtype == np.int16 for lead in record.leads) else 3
    for lead in record.leads:
        low, high = LIMITS[size]
        if lead.samples.size and (int(lead.samples.min()) < low or int(lead.samples.max()) > high):
            raise ValueError(f"lead {lead.code} needs more than the 24 bit of BDF")
    grid, told = _grid(record)
    begun = Fraction(record.start_at.microsecond if record.start_at else 0, 1_000_000)
    texts = _texts(grid, sorted([*notes, *told], key=lambda note: note.onset_s), begun)
    width = -(-max(map(len, texts), default=0) // size)
    head = _head(record, grid, size, width, zone)
    return b"".join([head, _body(record, grid, texts, width, size)])


def _grid(record: Record) -> tuple[Grid, list[Note]]:
    """The grid, and the remarks that say where within it nothing was recorded."""
    if not record.leads:
        return Grid(0, (0,), ()), []
    rates = [rate(lead.fs_hz) for lead in record.leads]
    record_s = math.lcm(*(fs.denominator for fs in rates))
    counts = tuple(int(fs * record_s) for fs in rates)
    fs_max = max(rates)
    length = len(record.leads[rates.index(fs_max)].samples)
    end_s = length / fs_max
    if any(len(lead.samples) != round(end_s * fs) for lead, fs in zip(record.leads, rates, strict=True)):
        raise ValueError("leads of one EDF recording last equally long")
    if record_s > MAX_RECORD_S or sum(counts) > 30_000_000:
        raise ValueError("these rates have no data record in common")
    per_record = int(fs_max * record_s)
    total = -(-length // per_record)
    gone = {
        k
        for first, last in record.gaps
        for k in range(max(1, -(-first // per_record)), total if last >= length else last // per_record)
    }
    notes = [
        Note(at / fs_max, None, text)
        for first, last in record.gaps
        for at, text in ((first, ENDS), (last, STARTS))
    ]
    stored = tuple(k for k in range(total) if k not in gone)
    if total and (length % per_record or stored[-1] != total - 1):
        notes.append(Note(end_s, None, ENDS))
    return Grid(record_s, stored, counts), notes


def _texts(grid: Grid, notes: Sequence[Note], begun: Fraction) -> list[bytes]:
    """The annotation bytes of each data record: its time first, then what began by then.

    All records have room for as many bytes, so that a crowd of notes goes on into the records behind it.
    """
    if not grid.stored:
        return []
    told = [(note.onset_s, _tal(begun + note.onset_s, note.duration_s, note.text)) for note in notes]
    room = max([LEAST_ROOM, *(len(tal) for _, tal in told)])
    if len(grid.stored) == 1:
        room = max(room, sum(len(tal) for _, tal in told))
    while (texts := _crowd(grid, told, begun, room)) is None:
        room *= 2
    return texts


def _crowd(
    grid: Grid, told: Sequence[tuple[Fraction, bytes]], begun: Fraction, room: int
) -> list[bytes] | None:
    """Notes in the record they begin in or a later one, at most `room` bytes a record; None if they don't fit."""
    texts, at = [], 0
    for place, record in enumerate(grid.stored):
        last = place == len(grid.stored) - 1
        end_s = None if last else grid.stored[place + 1] * grid.record_s
        text, left = bytearray(_tal(begun + record * grid.record_s)), room
        while at < len(told) and (end_s is None or told[at][0] < end_s) and len(told[at][1]) <= left:
            text += told[at][1]
            left -= len(told[at][1])
            at += 1
        texts.append(bytes(text))
    return texts if at == len(told) else None


def _tal(onset_s: Fraction, duration_s: Fraction | None = None, text: str = "") -> bytes:
    """Time-stamped annotations list (EDF+ clause 2.2.2); control characters in the text become spaces."""
    clean = "".join(c if ord(c) >= 32 else " " for c in text)
    duration = "" if duration_s is None else "\x15" + _seconds(duration_s).lstrip("+")
    return f"{_seconds(onset_s)}{duration}\x14{clean}\x14\x00".encode()


def _seconds(value: Fraction) -> str:
    """Signed, to the nanosecond."""
    whole, rest = divmod(round(abs(value) * 10**9), 10**9)
    return f"{'-' if value < 0 else '+'}{whole}" + (f".{rest:09d}".rstrip("0") if rest else "")


def _head(record: Record, grid: Grid, size: int, width: int, zone: tzinfo) -> bytes:
    wide = size == 3
    filters = {"prefilter": _prefilter(record.filters or {})}
    rows = [
        _fields(lead, count, size) | filters for lead, count in zip(record.leads, grid.counts, strict=True)
    ]
    low, high = LIMITS[size]
    rows.append({
        "label": "BDF Annotations" if wide else "EDF Annotations", "physical_min": "-1", "physical_max": "1",
        "digital_min": str(low), "digital_max": str(high), "samples": str(width),
    })  # fmt: skip
    continuous = grid.stored == tuple(range(len(grid.stored)))
    kind = ("BDF+" if wide else "EDF+") + ("C" if continuous else "D")
    date, time, recording = _when(record, zone)
    head = [
        b"\xffBIOSEMI" if wide else b"0       ", _cell("X X X X", 80), _cell(recording, 80),
        _cell(date, 8), _cell(time, 8), _cell(str(256 * (1 + len(rows))), 8), _cell(kind, 44),
        _cell(str(len(grid.stored)), 8), _cell(str(grid.record_s), 8), _cell(str(len(rows)), 4),
    ]  # fmt: skip
    head += [_cell(row.get(name, ""), field) for name, field in FIELDS for row in rows]
    return b"".join(head)


def _when(record: Record, zone: tzinfo) -> tuple[str, str, str]:
    device = "_".join(record.device.split()) or "X"
    if record.start_at is None:
        return UNKNOWN_DATE, "00.00.00", f"Startdate X X X {device}"
    at: datetime = local(record.start_at, zone)
    full = f"{at.day:02d}-{MONTHS[at.month - 1]}-{at.year:04d}"
    date = f"{at.day:02d}.{at.month:02d}.{at.year % 100:02d}" if 1985 <= at.year <= 2084 else UNKNOWN_DATE
    return date, f"{at.hour:02d}.{at.minute:02d}.{at.second:02d}", f"Startdate {full} X X {device}"


def _fields(lead: Lead, count: int, size: int) -> dict[str, str]:
    unit, (low, bottom), (high, top) = _range(lead, size)
    return {
        "label": name_of(lead) if lead.label else f"ECG {name_of(lead)}", "unit": unit,
        "physical_min": bottom, "physical_max": top, "digital_min": str(low), "digital_max": str(high),
        "samples": str(count), "reserved": _exactly(lead),
    }  # fmt: skip


def _exactly(lead: Lead) -> str:
    """Scale and zero without the rounding of eight characters, in the field that other readers leave alone."""
    missing = "" if lead.missing is None else f" missing={lead.missing}"
    scale = f"uv={lead.uv_per_lsb!r} zero={lead.offset}"
    return f"{scale}{missing}" if len(scale + missing) <= 32 else missing.strip()


def _range(lead: Lead, size: int) -> tuple[str, tuple[int, str], tuple[int, str]]:
    """Unit, and digital with physical limits: exact ones if eight characters can hold such, else the nearest."""
    scale = Decimal(repr(lead.uv_per_lsb))
    for unit, per_uv in UNITS:
        low, high = (_limit(lead, size, side, scale * per_uv) for side in (0, 1))
        if low and high:
            return unit, low, high
    low_digital, high_digital = LIMITS[size]
    choices = []
    for unit, per_uv in UNITS:
        bottom = _rounded((low_digital - lead.offset) * scale * per_uv)
        top = _rounded((high_digital - lead.offset) * scale * per_uv)
        if bottom and top and bottom != top:
            span = (Decimal(top) - Decimal(bottom)) / (high_digital - low_digital)
            choices.append((abs(span / (scale * per_uv) - 1), unit, bottom, top))
    if not choices:
        raise ValueError(f"lead {lead.code}: {lead.uv_per_lsb} uV for each unit is out of range for EDF")
    _, unit, bottom, top = min(choices)
    return unit, (low_digital, bottom), (high_digital, top)


def _prefilter(filters: Mapping[str, float]) -> str:
    return " ".join(
        f"{FILTER_NAMES[key]}:{value:g}Hz" for key, value in filters.items() if key in FILTER_NAMES
    )


def _limit(lead: Lead, size: int, side: int, scale: Decimal) -> tuple[int, str] | None:
    """A digital limit beyond all samples whose physical value is exact in eight characters."""
    outer = LIMITS[size][side]
    end = (int(lead.samples.max()) if side else int(lead.samples.min())) if lead.samples.size else 0
    for step in STEPS:
        distance = abs(outer - lead.offset) // step * step
        digital = lead.offset + (distance if side else -distance)
        text = f"{(digital - lead.offset) * scale:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        if distance and len(text) <= 8 and (digital >= end if side else digital <= end):
            return digital, text
    return None


def _rounded(value: Decimal) -> str | None:
    """The nearest number of eight characters."""
    texts = (f"{value:.{digits}f}" for digits in range(7, -1, -1))
    return next((text for text in texts if len(text) <= 8 and float(text)), None)


def _cell(text: str, width: int) -> bytes:
    """One header field: printable ASCII, padded, cut where free text is too long."""
    return "".join(c if 32 <= ord(c) < 127 else "_" for c in text).ljust(width)[:width].encode("ascii")


def _body(record: Record, grid: Grid, texts: list[bytes], width: int, size: int) -> bytes:
    rows = np.asarray(grid.stored, np.int64)
    columns = [_cut(lead, count, rows, size) for lead, count in zip(record.leads, grid.counts, strict=True)]
    padded = b"".join(text.ljust(width * size, b"\x00") for text in texts)
    columns.append(np.frombuffer(padded, np.uint8).reshape(len(rows), width * size))
    return np.concatenate(columns, axis=1).tobytes()


def _cut(lead: Lead, count: int, rows: np.ndarray, size: int) -> np.ndarray:
    """uint8 [data record, byte]; behind the last sample that sample is repeated."""
    whole = -(-len(lead.samples) // count) * count
    filled = np.pad(lead.samples, (0, whole - len(lead.samples)), mode="edge") if whole else lead.samples
    kept = filled.reshape(-1, count)[rows].astype("<i4" if size == 3 else "<i2")
    raw = kept.view(np.uint8).reshape(len(rows), count, -1)
    return np.ascontiguousarray(raw[..., :size]).reshape(len(rows), count * size)
