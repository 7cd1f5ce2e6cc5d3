"""SCP-ECG (EN 1064, ISO 11073-91064) versions 1.3 to 3.0: rhythm data with every compression of the standard.

Huffman codes, first and second differences, and the subtracted reference beat are undone exactly, in integers. The
decimation between protected zones ("bimodal") is lossy; it is interpolated in straight lines, and the smoothing that
the standard suggests afterwards is left out, so that nothing is filtered that the file does not tell of.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord, load, take, unpack
from ecg.formats.ishne import crc
from ecg.formats.lead_names import BY_NUMBER
from ecg.formats.scp_huffman import DEFAULT, Table, decode_values, parse_tables
from ecg.formats.timeline import between, instant, narrow, place, union
from ecg.record import Lead, Record

SECTION = struct.Struct(
    "<HHIBB6s"
)  # CRC, number, length with this header, section and protocol version, reserved
FIRST = 6  # bytes before section 0: CRC and length of the whole
MAX_SAMPLES = 1_000_000  # of all leads together; 12 leads of 500 Hz for 60 s are 360,000
MAX_AXIS = 16_000_000
DECIMATION_MAX = 4  # EN 1064 clause 5.9: "bimodal" decimates by at most four
MODELS = slice(8, 14)  # tag 14: model of the acquiring device


@dataclass(frozen=True)
class Span:
    """A lead's samples first..last (counted from 1) of the recording and its number (section 3)."""

    first: int
    last: int
    number: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Beats:
    """Section 4: fiducial sample of the reference beat, its length, (type, first, fiducial, last), protected zones."""

    length_ms: int
    fiducial: int
    places: tuple[tuple[int, int, int, int], ...]
    protected: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Stored:
    """Head of section 5 or 6: nanovolts and microseconds of a sample, differences, flag; each lead's bytes."""

    nanovolts: int
    interval_us: int
    differences: int
    flag: int
    chunks: tuple[tuple[int, bytes], ...]


def read(path: Path, zone: tzinfo = UTC) -> Record:
    """A resting ECG; a time without the standard's zone tag is `zone`'s."""
    return decode(load(path), zone)


def decode(data: bytes, zone: tzinfo = UTC) -> Record:
    """Bytes of an SCP-ECG file to a record; other bytes raise InvalidRecord."""
    sections, protocol = _sections(data)
    for number, name in ((3, "lead definitions"), (6, "rhythm data")):
        if number not in sections:
            raise InvalidRecord(f"no section {number} ({name})", FIRST, "export the ECG with its rhythm data")
    tables = _tables(data, sections)
    spans, flags = _spans(data, *sections[3])
    rhythm = _stored(data, *sections[6], len(spans))
    beats = _beats(data, *sections[4]) if 4 in sections else None
    subtracted, bimodal = bool(flags & 1), bool(rhythm.flag) and protocol < 30
    reference = None
    if subtracted or bimodal:
        reference = _stored(data, *sections[5], len(spans)) if 5 in sections and beats else None
        if reference is None or beats is None:
            raise InvalidRecord("compressed with a reference beat that is not there", sections[6][0])
    factor = _factor(rhythm, reference, sections[6][0])
    zones = beats.protected if beats and bimodal else ()
    rows = _rows(rhythm, spans, tables, zones, factor)
    nanovolts = rhythm.nanovolts
    if subtracted and beats and reference:
        rows, nanovolts = _add_beats(rows, spans, rhythm, reference, beats, tables)
    fs_hz = 1e6 / (rhythm.interval_us / factor)
    return _record(data, sections, spans, rows, nanovolts, fs_hz, zone)


def _sections(data: bytes) -> tuple[dict[int, tuple[int, int]], int]:
    """Offset and end of the body of each section, checked by its CRC; protocol version of section 0."""
    whole, length = unpack("<HI", data, 0, "the SCP-ECG record")
    _, number, head, _, protocol, reserved = unpack(SECTION.format, data, FIRST, "section 0")
    if number != 0 or (reserved != b"SCPECG" and protocol > 12) or head < SECTION.size:
        raise InvalidRecord("no SCP-ECG record", FIRST)
    if length > len(data):
        raise InvalidRecord(f"{length} bytes are told, {len(data)} are present", 2, COPY_AGAIN)
    if crc(data[2:length]) != whole:
        raise InvalidRecord("the record's checksum does not fit", 0, COPY_AGAIN)
    pointers = take(data, FIRST + SECTION.size, (head - SECTION.size) // 10 * 10, "the pointers")
    sections = {}
    for k, (number, size, index) in enumerate(struct.iter_unpack("<HII", pointers)):
        if size == 0 or number == 0:
            continue
        at = index - 1
        check, found, inner, *_ = unpack(SECTION.format, data, at, f"section {number}")
        body = take(data, at, size, f"section {number}")
        if found != number or inner != size or size < SECTION.size:
            raise InvalidRecord(f"pointer {k} leads to no section {number}", FIRST + SECTION.size + 10 * k)
        if crc(body[2:]) != check:
            raise InvalidRecord(f"the checksum of section {number} does not fit", at, COPY_AGAIN)
        sections[number] = (at + SECTION.size, at + size)
    return sections, protocol


def _tables(data: bytes, sections: Mapping[int, tuple[int, int]]) -> tuple[Table, ...] | None:
    """Huffman tables of section 2; None where samples are plain 16-bit integers."""
    if 2 not in sections:
        return None
    at, end = sections[2]
    (count,) = unpack("<H", data[:end], at, "section 2")
    return (DEFAULT,) if count == 19999 else parse_tables(data[:end], at + 2, count)


def _spans(data: bytes, at: int, end: int) -> tuple[list[Span], int]:
    count, flags = unpack("<BB", data[:end], at, "section 3")
    spans = [Span(*unpack("<IIB", data[:end], at + 2 + 9 * k, "a lead's definition")) for k in range(count)]
    if not spans or any(span.first < 1 or span.last < span.first for span in spans):
        raise InvalidRecord("no lead, or one that ends before it begins", at, COPY_AGAIN)
    axis = max(span.last for span in spans) - min(span.first for span in spans) + 1
    if sum(span.count for span in spans) > MAX_SAMPLES or axis * count > MAX_AXIS:
        raise InvalidRecord("more samples than a resting ECG has", at, COPY_AGAIN)
    return spans, flags


def _beats(data: bytes, at: int, end: int) -> Beats:
    length_ms, fiducial, count = unpack("<HHH", data[:end], at, "section 4")
    places = [unpack("<HIII", data[:end], at + 6 + 14 * k, "a beat's place") for k in range(count)]
    at += 6 + 14 * count
    zones = [unpack("<II", data, at + 8 * k, "a protected zone") for k in range(min(count, (end - at) // 8))]
    ordered = all(zones[k][1] < zones[k + 1][0] for k in range(len(zones) - 1))
    if any(first < 1 or last < first for first, last in zones) or not ordered:
        zones = []
    return Beats(length_ms, fiducial, tuple(places), tuple(zones))


def _stored(data: bytes, at: int, end: int, leads: int) -> Stored:
    nanovolts, interval_us, differences, flag = unpack("<HHBB", data[:end], at, "the samples' head")
    if nanovolts == 0 or interval_us == 0 or differences > 2:
        raise InvalidRecord("samples without scale or rate, or of an unknown coding", at)
    sizes = unpack(f"<{leads}H", data[:end], at + 6, "the leads' lengths")
    place, chunks = at + 6 + 2 * leads, []
    for size in sizes:
        chunks.append((place, take(data[:end], place, size, "a lead's samples")))
        place += size
    return Stored(nanovolts, interval_us, differences, flag, tuple(chunks))


def _factor(rhythm: Stored, reference: Stored | None, at: int) -> int:
    """How much slower than the reference beat the rhythm is stored outside protected zones."""
    if reference is None or reference.interval_us == rhythm.interval_us:
        return 1
    factor, rest = divmod(rhythm.interval_us, reference.interval_us)
    if rest or not 1 <= factor <= DECIMATION_MAX:
        raise InvalidRecord("rates of rhythm and reference beat do not fit", at)
    return factor


def _rows(
    rhythm: Stored, spans: list[Span], tables: tuple[Table, ...] | None,
    zones: tuple[tuple[int, int], ...], factor: int,
) -> list[NDArray[np.int64]]:  # fmt: skip
    rows = []
    for span, (begin, chunk) in zip(spans, rhythm.chunks, strict=True):
        stretches = _stretches(span, zones)
        stored = sum(n if kept else n // factor + n % factor for n, kept in stretches)
        if stored > 8 * len(chunk):
            raise InvalidRecord(
                f"{stored} samples are told, {len(chunk)} bytes are present", begin, COPY_AGAIN
            )
        values = _values(chunk, stored, tables, rhythm.differences, begin)
        rows.append(values if factor == 1 else _interpolate(values, stretches, factor))
    return rows


def _stretches(span: Span, zones: tuple[tuple[int, int], ...]) -> list[tuple[int, bool]]:
    """Lengths of a lead's stretches in turn and whether each is protected from decimation."""
    stretches, at = [], span.first
    for first, last in zones:
        first, last = max(first, span.first), min(last, span.last)
        if first > last:
            continue
        stretches += [(first - at, False), (last - first + 1, True)]
        at = last + 1
    return [*stretches, (span.last + 1 - at, False)]


def _values(
    chunk: bytes, count: int, tables: tuple[Table, ...] | None, differences: int, at: int
) -> NDArray[np.int64]:
    """Decoded samples; sums wrap at 16 bit, as the encoders' do."""
    if tables is None:
        if 2 * count > len(chunk):
            raise InvalidRecord(f"{count} samples are told, {len(chunk)} bytes are present", at, COPY_AGAIN)
        stored = np.frombuffer(chunk, "<i2", count).astype(np.int64)
    else:
        stored = decode_values(chunk, count, tables, at)
    if differences == 1:
        stored = np.cumsum(stored)
    elif differences == 2 and count > 2:
        # x[n] = d[n] + 2 x[n-1] - x[n-2]; the first two are stored as they are
        slope = np.cumsum(np.concatenate([[stored[1] - stored[0]], stored[2:]]))
        stored = stored[0] + np.concatenate([[0], np.cumsum(slope)])
    return stored.astype(np.int16).astype(np.int64)


def _interpolate(
    values: NDArray[np.int64], stretches: list[tuple[int, bool]], factor: int
) -> NDArray[np.int64]:
    """Decimated stretches at full rate: the first and last value for half a step, straight lines between."""
    parts, at = [], 0
    for length, kept in stretches:
        means, rest = (0, length) if kept else divmod(length, factor)
        if means:
            knots = np.arange(means) * factor + factor // 2
            line = np.interp(np.arange(means * factor), knots, values[at : at + means])
            parts.append((np.sign(line) * np.floor(np.abs(line) + 0.5)).astype(np.int64))
        parts.append(values[at + means : at + means + rest])
        at += means + rest
    return np.concatenate(parts)


def _add_beats(
    rows: list[NDArray[np.int64]], spans: list[Span], rhythm: Stored, reference: Stored, beats: Beats,
    tables: tuple[Table, ...] | None,
) -> tuple[list[NDArray[np.int64]], int]:  # fmt: skip
    """Residuals plus the reference beat (type 0) in its zones, in the largest unit that both are multiples of."""
    unit = math.gcd(rhythm.nanovolts, reference.nanovolts)
    count = round(beats.length_ms * 1000 / reference.interval_us)
    whole = []
    for row, span, (at, chunk) in zip(rows, spans, reference.chunks, strict=True):
        if count > 8 * len(chunk):
            raise InvalidRecord(f"a reference beat of {count} samples in {len(chunk)} bytes", at, COPY_AGAIN)
        beat = _values(chunk, count, tables, reference.differences, at) * (reference.nanovolts // unit)
        row = row * (rhythm.nanovolts // unit)
        for kind, first, fiducial, last in beats.places:
            shift = fiducial - beats.fiducial + 1  # sample at which the reference beat's first one lies
            begin, end = max(first, span.first, shift), min(last, span.last, shift + count - 1)
            if kind == 0 and begin <= end:
                row[begin - span.first : end + 1 - span.first] += beat[begin - shift : end + 1 - shift]
        whole.append(row)
    if any(np.abs(row).max() > 2**31 - 1 for row in whole):
        raise InvalidRecord("samples beyond 32 bit", reference.chunks[0][0], COPY_AGAIN)
    return whole, unit


def _record(
    data: bytes, sections: Mapping[int, tuple[int, int]], spans: list[Span], rows: list[NDArray[np.int64]],
    nanovolts: int, fs_hz: float, zone: tzinfo,
) -> Record:  # fmt: skip
    origin = min(span.first for span in spans)
    length = max(span.last for span in spans) - origin + 1
    leads = []
    for k, (span, row) in enumerate(zip(spans, rows, strict=True)):
        samples, missing = place([(span.first - origin, narrow(row.astype(np.int32)))], length, len(spans))
        code = BY_NUMBER.get(span.number, f"MDC_ECG_LEAD_CONFIG-{k + 1}")
        leads.append(Lead(code, fs_hz, nanovolts / 1000, 0, samples, missing))
    stretches = union([(span.first - origin, span.last - origin + 1) for span in spans])
    tags = _tags(data, *sections[1]) if 1 in sections else {}
    start_at = _start(tags, zone)
    start_at = start_at and start_at + timedelta(seconds=round((origin - 1) / fs_hz, 6))
    model = tags.get(14, b"")[MODELS].split(b"\x00")[0].decode("latin-1").strip()
    return Record(tuple(leads), start_at, between(stretches, length), _filters(tags), model)


def _tags(data: bytes, at: int, end: int) -> dict[int, bytes]:
    """Fields of section 1 by their tag, the first of each."""
    tags: dict[int, bytes] = {}
    while at + 3 <= end and data[at] != 255:
        tag, size = unpack("<BH", data[:end], at, "a field of section 1")
        tags.setdefault(tag, take(data[:end], at + 3, size, f"field {tag} of section 1"))
        at += 3 + size
    return tags


def _start(tags: Mapping[int, bytes], zone: tzinfo) -> datetime | None:
    """Date (tag 25), time (26) and minutes east of Greenwich (34; 0x7FFF is unknown)."""
    date, time, offset = tags.get(25, b""), tags.get(26, b""), tags.get(34, b"")
    if len(date) != 4 or len(time) != 3:
        return None
    if len(offset) >= 2 and abs(minutes := struct.unpack_from("<h", offset)[0]) <= 14 * 60:
        zone = timezone(timedelta(minutes=minutes))
    return instant(zone, *struct.unpack("<HBB", date), *time)


def _filters(tags: Mapping[int, bytes]) -> dict[str, float] | None:
    """Tags 27 (hundredths of Hz), 28 (Hz) and 29 (bit 0: 60 Hz notch, bit 1: 50 Hz)."""
    filters = {}
    if len(tags.get(27, b"")) == 2 and (cutoff := struct.unpack("<H", tags[27])[0]):
        filters["high_pass_hz"] = cutoff / 100
    if len(tags.get(28, b"")) == 2 and (cutoff := struct.unpack("<H", tags[28])[0]):
        filters["low_pass_hz"] = float(cutoff)
    if tags.get(29) and tags[29][0] & 3:
        filters["notch_hz"] = 60.0 if tags[29][0] & 1 else 50.0
    return filters or None
