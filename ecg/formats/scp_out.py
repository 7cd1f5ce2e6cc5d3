"""Records as SCP-ECG 2.3 with plain 16-bit samples (EN 1064 compliance category I): sections 0, 1, 3 and 6.

The format is for resting ECGs: up to 65 s of 500 Hz, whole seconds of start, no gaps, no offset, no patient here.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import numpy as np

from ecg.formats.ishne import crc
from ecg.formats.lead_names import NUMBER_OF
from ecg.formats.scp import FIRST, SECTION
from ecg.formats.timeline import centred, local, one_rate
from ecg.record import Record

VERSION = 23
SECTIONS = 12  # section 0 points to all of 0 to 11
HEAD_BYTES = SECTION.size + 10 * SECTIONS
LEAD_BYTES = 65535


def write(record: Record, path: Path, zone: tzinfo = UTC) -> None:
    path.write_bytes(encode(record, zone))


def encode(record: Record, zone: tzinfo = UTC) -> bytes:
    """The file; ValueError for what the format can't hold."""
    fs_hz, length = one_rate(record, "an SCP-ECG file")
    interval_us, nanovolts = round(1e6 / fs_hz), round(record.leads[0].uv_per_lsb * 1000)
    if 1e6 / interval_us != fs_hz or not 1 <= interval_us <= 65535:
        raise ValueError(f"SCP-ECG keeps samples of whole microseconds, not {fs_hz} Hz")
    if any(lead.uv_per_lsb != nanovolts / 1000 for lead in record.leads) or not 1 <= nanovolts <= 65535:
        raise ValueError("SCP-ECG keeps one scale of whole nanovolts up to 65535")
    if record.gaps or 2 * length > LEAD_BYTES or any(lead.samples.dtype != np.int16 for lead in record.leads):
        raise ValueError("SCP-ECG keeps up to 32767 samples of 16 bit without gaps")
    leads = [centred(lead, "SCP-ECG") for lead in record.leads]
    if unknown := [lead.code for lead in leads if lead.code not in NUMBER_OF]:
        raise ValueError(f"SCP-ECG has no number for {unknown[0]}")
    spans = [struct.pack("<IIB", 1, length, NUMBER_OF[lead.code]) for lead in leads]
    definitions = struct.pack("<BB", len(leads), 0b100 | min(len(leads), 31) << 3) + b"".join(spans)
    rhythm = struct.pack("<HHBB", nanovolts, interval_us, 0, 0) + struct.pack("<H", 2 * length) * len(leads)
    rhythm += b"".join(lead.samples.astype("<i2").tobytes() for lead in leads)
    return assemble({1: _header(record, zone), 3: definitions, 6: rhythm})


def assemble(bodies: dict[int, bytes]) -> bytes:
    """Sections by number, each of even length with its head and checksum, behind their pointers."""
    at, pointers, parts = FIRST + HEAD_BYTES, [struct.pack("<HII", 0, HEAD_BYTES, FIRST + 1)], []
    for number in range(1, SECTIONS):
        body = bodies.get(number)
        if body is None:
            pointers.append(struct.pack("<HII", number, 0, 0))
            continue
        section = _section(number, body + bytes(len(body) % 2), bytes(6))
        pointers.append(struct.pack("<HII", number, len(section), at + 1))
        parts.append(section)
        at += len(section)
    whole = struct.pack("<I", at) + _section(0, b"".join(pointers), b"SCPECG") + b"".join(parts)
    return struct.pack("<H", crc(whole)) + whole


def _section(number: int, body: bytes, reserved: bytes) -> bytes:
    head = SECTION.pack(0, number, SECTION.size + len(body), VERSION, VERSION, reserved)[2:]
    return struct.pack("<H", crc(head + body)) + head + body


def _header(record: Record, zone: tzinfo) -> bytes:
    """Section 1: machine, date, time, filters (EN 1064 clause 5.4)."""
    machine = bytearray(36)
    machine[7], machine[14], machine[15] = 255, VERSION, 0xD0  # manufacturer by name; category I
    model = record.device.encode("latin-1", "replace")
    machine[8:14] = model[:5].ljust(6, b"\x00")
    fields = [(2, b"\x00"), (14, bytes(machine) + bytes(5)), *_date(record.start_at, zone), *_filters(record)]
    return b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in fields) + b"\xff\x00\x00"


def _date(start_at: datetime | None, zone: tzinfo) -> Sequence[tuple[int, bytes]]:
    if start_at is None:
        return []
    at = local(start_at, zone)
    offset = start_at.astimezone(zone).utcoffset()
    minutes = 0x7FFF if offset is None else int(offset.total_seconds() // 60)
    date, time = struct.pack("<HBB", at.year, at.month, at.day), bytes([at.hour, at.minute, at.second])
    return [(25, date), (26, time), (34, struct.pack("<hHB", minutes, 0, 0))]


def _filters(record: Record) -> list[tuple[int, bytes]]:
    filters, fields = record.filters or {}, []
    if "high_pass_hz" in filters:
        fields.append((27, struct.pack("<H", round(filters["high_pass_hz"] * 100))))
    if "low_pass_hz" in filters:
        fields.append((28, struct.pack("<H", round(filters["low_pass_hz"]))))
    if filters.get("notch_hz") in (50.0, 60.0):
        fields.append((29, bytes([1 if filters["notch_hz"] == 60.0 else 2])))
    return fields
