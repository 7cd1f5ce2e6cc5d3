"""ISHNE 1.0 Holter files (Badilini 1998, "The ISHNE Holter standard output file format"): int16 interleaved.

The header keeps whole seconds, names and nanovolts; what it has no field for (gaps, offset, filters, labels) is told
in the variable block, which the standard leaves to free text, one `key=value` a line.
"""

import binascii
import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord, load, take, unpack
from ecg.formats.lead_names import identify, name_of
from ecg.formats.timeline import instant, local, one_rate, union
from ecg.record import SHORT_TO_MDC, Lead, Record

MAGIC = b"ISHNE1.0"
FIXED = 522  # bytes before the variable block, magic and checksum included
MAX_LEADS = 12
NOT_KNOWN = -9
# Lead codes of the standard's table; 0 is unknown, 1 a bipolar lead.
_NAMES = "X Y Z I II III aVR aVL aVF V1 V2 V3 V4 V5 V6 ES AS AI".split()
CODES: Mapping[int, str] = {k: SHORT_TO_MDC[name] for k, name in enumerate(_NAMES, 2)}
NUMBERS: Mapping[str, int] = {code: k for k, code in CODES.items()}
# After magic and checksum: lengths and offsets, patient, dates, leads, pacemaker, recorder, rate, texts.
_LENGTHS = struct.Struct("<iiiih")
_DATES, _LEADS, _RATE = 138, 156, 272
_FILTER_KEYS = ("high_pass_hz", "low_pass_hz", "notch_hz")


def read(path: Path, zone: tzinfo = UTC) -> Record:
    """A Holter recording; its times have no zone and are taken as `zone`'s."""
    return decode(load(path), zone)


def decode(data: bytes, zone: tzinfo = UTC) -> Record:
    """Bytes of an ISHNE file to a record; other bytes raise InvalidRecord."""
    if data[:8] != MAGIC:
        raise InvalidRecord("no ISHNE 1.0 file", 0)
    checksum, variable, samples, at_variable, at_samples, _ = unpack("<Hiiiih", data, 8, "the ISHNE header")
    head = take(data, 0, FIXED, "the ISHNE header")
    if variable < 0 or at_variable != FIXED or at_samples != FIXED + variable:
        raise InvalidRecord("the blocks' offsets do not fit one another", 18, COPY_AGAIN)
    block = take(data, FIXED, variable, "the variable block")
    if crc(data[10:at_samples]) != checksum:
        raise InvalidRecord("the header's checksum does not fit", 8, COPY_AGAIN)
    (leads,) = unpack("<h", head, _LEADS, "the number of leads")
    if not 1 <= leads <= MAX_LEADS:
        raise InvalidRecord(f"{leads} leads, ISHNE has 1 to {MAX_LEADS}", _LEADS, COPY_AGAIN)
    rows = _rows(data, at_samples, samples, leads)
    told = _told(block)
    numbers = struct.unpack_from(f"<{leads}h", head, 158)
    resolutions = struct.unpack_from(f"<{leads}h", head, 206)
    (fs_hz,) = struct.unpack_from("<h", head, _RATE)
    if fs_hz <= 0 or min(resolutions) <= 0:
        raise InvalidRecord("a rate or resolution of nothing", _RATE if fs_hz <= 0 else 206)
    own = tuple(_lead(k, numbers[k], resolutions[k], float(fs_hz), rows[:, k], told) for k in range(leads))
    device = head[232:272].split(b"\x00")[0].decode("latin-1").strip()
    filters = {key: float(told[key]) for key in _FILTER_KEYS if key in told}
    return Record(own, _start(head, told, zone), _gaps(told, len(rows)), filters or None, device)


def crc(data: bytes) -> int:
    """CRC-CCITT, polynomial 0x1021, initial value 0xFFFF (the standard's annex)."""
    return binascii.crc_hqx(data, 0xFFFF)


def _rows(data: bytes, offset: int, told: int, leads: int) -> NDArray[np.int16]:
    """[sample, lead]. Makers tell samples of each lead or of all leads together; both must be there in full."""
    present = (len(data) - offset) // 2
    if present % leads or told not in (present, present // leads):
        cause = f"{told} samples of {leads} leads are told, {present} integers are present"
        raise InvalidRecord(cause, 14, COPY_AGAIN)
    return np.frombuffer(data, "<i2", present, offset).reshape(-1, leads)


def _told(block: bytes) -> dict[str, str]:
    """Lines `key=value` of the variable block whose values are of the expected kind."""
    pattern = r"^(gaps|second|zero_\d\d?|label_\d\d?|missing_\d\d?|high_pass_hz|low_pass_hz|notch_hz)=([^\r\n]{1,})$"
    found = dict(re.findall(pattern, block.decode("utf-8", "replace").replace("\r", ""), re.MULTILINE))
    kinds = {"gaps": r"\d{1,10}-\d{1,10}(,\d{1,10}-\d{1,10})*", "label": r".{1,80}", "second": r"0\.\d{1,6}"}
    number = r"-?\d{1,6}(\.\d{1,6})?"
    return {
        key: value
        for key, value in found.items()
        if re.fullmatch(kinds.get(key.split("_")[0], number), value)
    }


def _lead(
    k: int, number: int, nanovolts: int, fs_hz: float, row: NDArray[np.int16], told: Mapping[str, str]
) -> Lead:
    label = told.get(f"label_{k + 1}", "")
    code, label = (CODES[number], "") if number in CODES else identify(label, k)
    missing = told.get(f"missing_{k + 1}")
    zero = int(float(told.get(f"zero_{k + 1}", "0")))
    absent = None if missing is None else int(float(missing))
    return Lead(code, fs_hz, nanovolts / 1000, zero, row.astype(np.int16), absent, label)


def _gaps(told: Mapping[str, str], length: int) -> tuple[tuple[int, int], ...]:
    pairs = [pair.split("-") for pair in told.get("gaps", "").split(",") if pair]
    return union([(min(int(first), length), min(int(last), length)) for first, last in pairs])


def _start(head: bytes, told: Mapping[str, str], zone: tzinfo) -> datetime | None:
    """Date and time of recording; -9 and other impossible values mean that it isn't known."""
    day, month, year, *_ = struct.unpack_from("<6h", head, _DATES)
    hour, minute, second = struct.unpack_from("<3h", head, 150)
    start = instant(zone, year, month, day, hour, minute, second)
    return start and start + timedelta(seconds=float(told.get("second", "0")))


def write(record: Record, path: Path, zone: tzinfo = UTC) -> None:
    path.write_bytes(encode(record, zone))


def encode(record: Record, zone: tzinfo = UTC) -> bytes:
    """The file, without patient; ValueError for what the format can't hold."""
    fs_hz, length = one_rate(record, "an ISHNE file")
    nanovolts = [round(lead.uv_per_lsb * 1000) for lead in record.leads]
    if fs_hz % 1 or not 1 <= fs_hz <= 32767 or len(record.leads) > MAX_LEADS:
        raise ValueError("an ISHNE file holds up to 12 leads of a rate in whole Hz")
    if any(lead.samples.dtype != np.int16 for lead in record.leads):
        raise ValueError("an ISHNE file holds 16-bit samples")
    if any(
        n / 1000 != lead.uv_per_lsb or not 1 <= n <= 32767
        for n, lead in zip(nanovolts, record.leads, strict=True)
    ):
        raise ValueError("an ISHNE file holds resolutions in whole nanovolts up to 32767")
    block = _block(record)
    head = _LENGTHS.pack(len(block), length, FIXED, FIXED + len(block), 1)
    head += bytes(100) + struct.pack("<5h", 0, 0, *[NOT_KNOWN] * 3)  # names, id; sex, race, birth
    head += struct.pack("<9h", *_dates(record.start_at, zone))
    numbers = [NUMBERS.get(lead.code, 0) for lead in record.leads]
    head += struct.pack("<h", len(numbers))
    head += b"".join(_twelve(row) for row in (numbers, [0] * len(numbers), nanovolts))
    head += struct.pack("<h", NOT_KNOWN) + record.device.encode("latin-1", "replace")[:40].ljust(40, b"\x00")
    head += struct.pack("<h", int(fs_hz)) + bytes(80 + 80 + 88)
    rows = np.stack([lead.samples for lead in record.leads], axis=1).astype("<i2")
    return MAGIC + struct.pack("<H", crc(head + block)) + head + block + rows.tobytes()


def _twelve(row: list[int]) -> bytes:
    return struct.pack("<12h", *row, *[NOT_KNOWN] * (MAX_LEADS - len(row)))


def _dates(start_at: datetime | None, zone: tzinfo) -> list[int]:
    """Date of recording, date of the file (the same: this code has no clock), time of recording."""
    if start_at is None:
        return [NOT_KNOWN] * 9
    at = local(start_at, zone)
    return [at.day, at.month, at.year] * 2 + [at.hour, at.minute, at.second]


def _block(record: Record) -> bytes:
    lines = [f"{key}={value:g}" for key, value in (record.filters or {}).items() if key in _FILTER_KEYS]
    if record.start_at and record.start_at.microsecond:
        lines.append(f"second=0.{record.start_at.microsecond:06d}")
    if record.gaps:
        lines.append("gaps=" + ",".join(f"{first}-{last}" for first, last in record.gaps))
    for k, lead in enumerate(record.leads, 1):
        if lead.code not in NUMBERS:
            lines.append(f"label_{k}={name_of(lead)}")
        if lead.offset:
            lines.append(f"zero_{k}={lead.offset}")
        if lead.missing is not None:
            lines.append(f"missing_{k}={lead.missing}")
    return "".join(f"{line}\r\n" for line in lines).encode()
