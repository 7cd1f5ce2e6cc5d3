"""EDF, EDF+ and BDF(+): 16- and 24-bit integers unchanged, gaps of EDF+D, annotations (TAL) out; `edf_out` writes.

Kemp 1992 (EDF), Kemp & Olivan 2003 (EDF+, clauses 2.1-2.2), BioSemi (BDF: 24 bit). Own code, because the usual C
library refuses discontinuous (EDF+D) files and takes no bytes. A physical zero between two integers goes to the
nearer one. "Recording ends" and "Recording starts" (EDF+ standard texts) bound gaps within a data record.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord, load, take
from ecg.formats.lead_names import identify
from ecg.formats.timeline import between, instant, place, shared, union
from ecg.record import Lead, Record, Samples

HEAD, PER_SIGNAL = 256, 256
ENDS, STARTS = "Recording ends", "Recording starts"
# name, width of the signal's fields in file order (EDF 1992, table 1)
FIELDS = (
    ("label", 16), ("transducer", 80), ("unit", 8), ("physical_min", 8), ("physical_max", 8),
    ("digital_min", 8), ("digital_max", 8), ("prefilter", 80), ("samples", 8), ("reserved", 32),
)  # fmt: skip
# The micro sign has two code points, and UTF-8 read as Latin-1 begins with a capital A circumflex.
UV_PER_UNIT = {"nv": Fraction(1, 1000), "mv": Fraction(1000), "v": Fraction(1_000_000)} | dict.fromkeys(
    ("uv", "\u00b5v", "\u03bcv", "\u00c2\u00b5v", "\u00ce\u00bcv"), Fraction(1)
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")
_TAL = re.compile(
    rb"([+-]\d{1,15}(?:\.\d{0,15})?)(?:\x15(\d{1,15}(?:\.\d{0,15})?))?\x14([^\x00]*)\x14", re.DOTALL
)
# What `edf_out` adds where eight characters round; it counts only while the fields of the standard agree.
_EXACT = re.compile(
    r"(?:uv=(\d{1,9}(?:\.\d{1,20})?(?:e-\d\d)?) zero=(-?\d{1,10}))? ?(?:missing=(-?\d{1,10}))?", re.ASCII
)
_FILTER = re.compile(r"\b(HP|LP|N|NOTCH)\s*:?\s*(\d{1,6}(?:\.\d{1,6})?)\s*(m?)Hz", re.IGNORECASE)
_FILTER_KEYS = {"HP": "high_pass_hz", "LP": "low_pass_hz", "N": "notch_hz", "NOTCH": "notch_hz"}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Note:
    """An annotation: seconds since the start of the file, duration in seconds if it has one, text."""

    onset_s: Fraction
    duration_s: Fraction | None
    text: str


@dataclass(frozen=True)
class Signal:
    """One signal's header, and where its samples lie in a data record (in samples)."""

    fields: Mapping[str, str]
    offset: int
    first: int
    count: int

    @property
    def is_notes(self) -> bool:
        return self.fields["label"] in ("EDF Annotations", "BDF Annotations")


@dataclass(frozen=True)
class Layout:
    """The header: bytes per sample, start, kind of file, data records of `record_s` seconds and `width` samples."""

    data: bytes
    size: int
    start_at: datetime | None
    device: str
    plus: str
    body: int
    records: int
    record_s: Fraction
    width: int
    signals: tuple[Signal, ...]


def read(path: Path, zone: tzinfo = UTC) -> Record:
    """The leads in volts; times of EDF have no zone and are taken as `zone`'s."""
    return decode(load(path), zone)


def decode(data: bytes, zone: tzinfo = UTC) -> Record:
    """Bytes of an EDF, EDF+ or BDF file to a record; other bytes raise InvalidRecord."""
    layout = parse(data, zone)
    voltages = [(k, s) for k, s in enumerate(layout.signals) if not s.is_notes and _unit(s) is not None]
    if not voltages:
        raise InvalidRecord("no signal in volts", HEAD, "only recordings of voltages are read here")
    onsets, notes = _times(layout)
    fs_max = max(Fraction(s.count) / layout.record_s for _, s in voltages)
    starts = [onset - onsets[0] for onset in onsets] if onsets else _even(layout)
    begun = onsets[0] if onsets else Fraction(0)
    last_s = starts[-1] if starts else Fraction(0)
    end_s, cuts = _cuts(notes, begun, last_s, last_s + layout.record_s if starts else last_s)
    length = round(end_s * fs_max)
    record_length = round(layout.record_s * fs_max)
    stretches = [(first := round(s * fs_max), first + record_length) for s in starts]
    cut = [(round(a * fs_max), round(b * fs_max)) for a, b in cuts]
    gaps = union([*between(stretches, length), *cut])
    leads = tuple(_lead(layout, k, signal, starts, end_s) for k, signal in voltages)
    start_at = layout.start_at and layout.start_at + timedelta(microseconds=round(begun * 1_000_000))
    filters = shared([_filters(s.fields["prefilter"]) for _, s in voltages])
    return Record(leads, start_at, gaps, filters, layout.device)


def read_notes(data: bytes) -> list[Note]:
    """All annotations with a text, in file order; onsets count from the first sample."""
    layout = parse(data, UTC)
    onsets, notes = _times(layout)
    begun = onsets[0] if onsets else Fraction(0)
    return [Note(note.onset_s - begun, note.duration_s, note.text) for note in notes if note.text]


def parse(data: bytes, zone: tzinfo) -> Layout:
    """The header, checked against the bytes that are there."""
    head = take(data, 0, HEAD, "the EDF header")
    if head[:8] != b"0       " and head[:8] != b"\xffBIOSEMI":
        raise InvalidRecord("neither EDF nor BDF", 0)
    size = 2 if head[:1] == b"0" else 3
    count = _integer(head, 252, 4, "number of signals")
    if count < 1 or _integer(head, 184, 8, "length of the header") != HEAD + PER_SIGNAL * count:
        raise InvalidRecord(f"the header's length does not fit {count} signals", 184, COPY_AGAIN)
    plus = head[192:197].decode("latin-1")
    signals = _signals(take(data, HEAD, PER_SIGNAL * count, "the signals' headers"), count)
    width, body = sum(s.count for s in signals), HEAD + PER_SIGNAL * count
    record_s = _decimal(head, 244, 8, "duration of a data record")
    if record_s < 0 or (record_s == 0 and not all(s.is_notes for s in signals)):
        raise InvalidRecord(f"a data record of {float(record_s)} s", 244)
    records = _records(data, body, width * size)
    device = head[88:168].decode("latin-1").strip()
    start_at, device = _start(head, device, plus[3:4] == "+", zone)
    return Layout(data, size, start_at, device, plus, body, records, record_s, width, signals)


def _records(data: bytes, body: int, record_bytes: int) -> int:
    """Number of data records, as told and as present; -1 is told while recording."""
    told, present = (
        _integer(data, 236, 8, "number of data records"),
        (len(data) - body) // max(1, record_bytes),
    )
    if record_bytes == 0:
        raise InvalidRecord("data records without samples", HEAD)
    if told not in (-1, present):
        raise InvalidRecord(f"{told} data records are told, {present} are present", 236, COPY_AGAIN)
    return present


def _signals(header: bytes, count: int) -> tuple[Signal, ...]:
    """Fields lie field by field, each for all signals."""
    columns: dict[str, list[str]] = {}
    at = places = 0
    offsets = [0] * count
    for name, width in FIELDS:
        cells = [header[at + k * width : at + (k + 1) * width] for k in range(count)]
        columns[name] = [cell.decode("latin-1").strip(" \x00") for cell in cells]
        if name == "physical_min":
            offsets = [HEAD + at + k * width for k in range(count)]
        if name == "samples":
            places = at
        at += width * count
    signals, first = [], 0
    for k in range(count):
        samples = _integer(header, places + 8 * k, 8, "samples per data record", HEAD)
        if samples < 0:
            raise InvalidRecord(f"{samples} samples per data record", HEAD + places + 8 * k)
        signals.append(Signal({name: columns[name][k] for name in columns}, offsets[k], first, samples))
        first += samples
    return tuple(signals)


def _integer(data: bytes, offset: int, width: int, what: str, base: int = 0) -> int:
    text = data[offset : offset + width].strip(b" \x00")
    if not re.fullmatch(rb"[+-]?\d{1,8}", text):
        raise InvalidRecord(f"the {what} is no number", base + offset, COPY_AGAIN)
    return int(text)


def _decimal(data: bytes, offset: int, width: int, what: str) -> Fraction:
    return _fraction(data[offset : offset + width].decode("latin-1").strip(" \x00"), offset, what)


def _fraction(text: str, offset: int, what: str) -> Fraction:
    if not _NUMBER.fullmatch(text):
        raise InvalidRecord(f"the {what} is no number", offset, COPY_AGAIN)
    return Fraction(Decimal(text))


def _start(head: bytes, recording: str, plus: bool, zone: tzinfo) -> tuple[datetime | None, str]:
    """Start and, of EDF+, the equipment; a year of two digits is 1985 to 2084 (EDF+ clause 2.1.3.1)."""
    found = re.fullmatch(rb"(\d\d).(\d\d).(\d\d)(\d\d).(\d\d).(\d\d)", head[168:184])
    words = recording.split(" ")
    device = words[4].replace("_", " ") if plus and len(words) > 4 and words[4] != "X" else ""
    if not plus:
        device = recording
    if not found or (plus and words[:2] == ["Startdate", "X"]):
        return None, device
    day, month, short, hour, minute, second = (int(group) for group in found.groups())
    year = 2000 + short if short < 85 else 1900 + short
    full = re.fullmatch(r"(\d\d)-([A-Za-z]{3})-(\d{4})", words[1]) if plus and len(words) > 1 else None
    if full and full[2].upper() in MONTHS:
        day, month, year = int(full[1]), MONTHS.index(full[2].upper()) + 1, int(full[3])
    return instant(zone, year, month, day, hour, minute, second), device


def _tals(layout: Layout) -> Iterator[tuple[int, int, bytes]]:
    """(data record, offset in the file, bytes) of each annotation signal."""
    for record in range(layout.records if layout.plus[3:4] == "+" else 0):
        for signal in layout.signals:
            if signal.is_notes:
                at = layout.body + (record * layout.width + signal.first) * layout.size
                yield record, at, layout.data[at : at + signal.count * layout.size]


def _times(layout: Layout) -> tuple[list[Fraction], list[Note]]:
    """Onset of each data record if the file keeps it, and all annotations."""
    onsets: dict[int, Fraction] = {}
    notes = []
    for record, at, text in _tals(layout):
        for piece in text.split(b"\x00"):
            if not (found := _TAL.fullmatch(piece)):
                continue
            onset = Fraction(Decimal(found[1].decode()))
            onsets.setdefault(record, onset)
            duration = Fraction(Decimal(found[2].decode())) if found[2] else None
            texts = found[3].decode("utf-8", "replace").split("\x14")
            notes += [Note(onset, duration, words) for words in texts if words]
        if record not in onsets and layout.plus[4:5] == "D":
            raise InvalidRecord(f"data record {record} does not tell its time", at, COPY_AGAIN)
    if layout.plus[4:5] == "D" and len(onsets) == layout.records:
        return _ordered([onsets[k] for k in range(layout.records)], layout), notes
    if not layout.records or 0 not in onsets:
        return [], notes
    return [onsets[0] + k * layout.record_s for k in range(layout.records)], notes


def _ordered(onsets: list[Fraction], layout: Layout) -> list[Fraction]:
    """Data records follow one another; up to half a sample of overlap is rounding."""
    slack = layout.record_s / max(1, *(2 * s.count for s in layout.signals if not s.is_notes), 1)
    for k in range(1, len(onsets)):
        if onsets[k] < onsets[k - 1] + layout.record_s - slack:
            at = layout.body + k * layout.width * layout.size
            raise InvalidRecord(f"data record {k} begins before the one before it ends", at)
    return onsets


def _even(layout: Layout) -> list[Fraction]:
    return [k * layout.record_s for k in range(layout.records)]


def _cuts(
    notes: list[Note], begun: Fraction, last_s: Fraction, end_s: Fraction
) -> tuple[Fraction, list[tuple[Fraction, Fraction]]]:
    """End of the recording and the stretches between "ends" and "starts", in seconds since the first sample.

    A last "ends" shortens the last data record only: elsewhere it is somebody's remark, and no data is left out.
    """
    told = sorted(
        (note.onset_s - begun, note.text == ENDS) for note in notes if note.text in (ENDS, STARTS)
    )  # at one time "starts" comes first
    cuts, open_s = [], None
    for at_s, ends in told:
        if ends and open_s is None:
            open_s = max(Fraction(0), at_s)
        elif not ends and open_s is not None:
            cuts.append((open_s, at_s))
            open_s = None
    if open_s is not None and open_s >= last_s:
        return open_s, cuts
    return max(cuts[-1][1] if cuts else Fraction(0), end_s), cuts


def _unit(signal: Signal) -> Fraction | None:
    return UV_PER_UNIT.get(signal.fields["unit"].lower())


def _lead(layout: Layout, k: int, signal: Signal, starts: list[Fraction], end_s: Fraction) -> Lead:
    fields, at = signal.fields, signal.offset
    low, high = (_fraction(fields[f"digital_{x}"], at, "digital range") for x in ("min", "max"))
    bottom, top = (_fraction(fields[f"physical_{x}"], at, "physical range") for x in ("min", "max"))
    if low == high or bottom == top or signal.count == 0:
        raise InvalidRecord(f"signal {k} ({fields['label']}) has no scale or no samples", at)
    per_lsb = (top - bottom) / (high - low)
    fs = Fraction(signal.count) / layout.record_s
    stored = _samples(layout, signal)
    code, label = identify(fields["label"], k)
    scale, zero = float(per_lsb * (_unit(signal) or 1)), round(low - bottom / per_lsb)
    told = _EXACT.fullmatch(fields["reserved"])
    if told and told[1] and abs(float(told[1]) / scale - 1) < 1e-4:
        scale, zero = float(told[1]), int(told[2])
    absent = int(told[3]) if told and told[3] else None
    firsts, length = [round(start * fs) for start in starts], round(end_s * fs)
    if not firsts or (firsts[-1] == (layout.records - 1) * signal.count and length <= stored.size):
        samples: Samples = stored.reshape(-1)[:length]
    else:
        pieces = list(zip(firsts, stored, strict=True))
        samples, absent = place(pieces, length, len(layout.signals), absent)
    return Lead(code, float(fs), scale, zero, samples, absent, label)


def _samples(layout: Layout, signal: Signal) -> Samples:
    """[data record, sample] of one signal."""
    size, shape = layout.size, (layout.records, layout.width, layout.size)
    count = layout.records * layout.width * size
    raw: NDArray[np.uint8] = np.frombuffer(layout.data, np.uint8, count, layout.body).reshape(shape)
    own = np.ascontiguousarray(raw[:, signal.first : signal.first + signal.count])
    if size == 2:
        return own.view("<i2")[..., 0].astype(np.int16)
    wide = np.zeros((*own.shape[:2], 4), np.uint8)
    wide[..., 1:] = own
    return (wide.view("<i4")[..., 0] >> 8).astype(np.int32)


def _filters(text: str) -> dict[str, float]:
    """`HP:0.05Hz LP:150Hz N:50Hz` (EDF+ clause 2.1.3.2)."""
    found = _FILTER.findall(text)
    return {_FILTER_KEYS[kind.upper()]: float(value) / (1000 if milli else 1) for kind, value, milli in found}
