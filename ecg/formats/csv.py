"""Samples as text: one row per sample, one column per lead; rate, scales and the rest in lines that begin with `#`.

`# fs_hz=500`, `# uv_per_lsb=5,5`, `# start_at=2026-01-31T08:00:00+08:00`, then `I,II` and the integers. Tables of
others are read if they tell a unit (`I [mV]`) and a rate or a column of time (`time [s]`); decimals are kept exactly,
as integers with a scale of their last decimal, down to a nanovolt. Empty cells and `nan` are missing samples.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord, load
from ecg.formats.lead_names import identify, name_of
from ecg.formats.timeline import between, narrow, one_rate, place, union, unused
from ecg.record import Lead, Record

MAX_BYTES = 1 << 28
MAX_HEAD_LINES = 100
MAX_COLUMNS = 256
MAX_NAME = 80
FILTERS = ("high_pass_hz", "low_pass_hz", "notch_hz")
# Microvolts of a unit, and the decimals that tell a nanovolt.
UNITS = {"uv": (1.0, 3), "\u00b5v": (1.0, 3), "\u03bcv": (1.0, 3), "mv": (1e3, 6), "v": (1e6, 9)}
S_PER_UNIT = {"s": 1.0, "ms": 1e-3, "": 1.0}
_COLUMN = re.compile(r"\s*\"?(.*?)(?:[\s_]*[\[(]\s*([^\])]{1,4})\s*[\])])?\"?\s*")
_HOLE = re.compile(rb"(?<=[,;\t])(?=[,;\t\r\n]|\Z)|^(?=[,;\t])", re.MULTILINE)
_REAL = re.compile(r"\d{1,9}(\.\d{1,20})?(e[+-]?\d\d?)?", re.IGNORECASE)


def read(path: Path, zone: tzinfo = UTC) -> Record:
    """A table of samples; a start without an offset is `zone`'s."""
    return decode(load(path), zone)


def decode(data: bytes, zone: tzinfo = UTC) -> Record:
    """Bytes of a table to a record; other bytes raise InvalidRecord."""
    if len(data) > MAX_BYTES:
        raise InvalidRecord(f"{len(data)} bytes of text", MAX_BYTES, "export it in a binary format")
    told, names, delimiter, at = _head(data)
    table = _table(data, at, delimiter, len(names))
    columns = [_COLUMN.fullmatch(name) for name in names]
    named = [(found[1], (found[2] or "").lower()) if found else ("", "") for found in columns]
    time = next((k for k, (name, _) in enumerate(named) if name.lower() in ("time", "t", "seconds")), None)
    counters = {k for k, (name, _) in enumerate(named) if name.lower() in ("sample", "index", "#")}
    voltages = [k for k in range(len(named)) if k != time and k not in counters]
    if not voltages:
        raise InvalidRecord("no column of samples", 0)
    fs_hz, firsts = _times(told, table if time is None else table[:, time], named, time)
    leads, length = [], len(table) if not firsts else firsts[-1][0] + len(table) - firsts[-1][1]
    for place_in_row, k in enumerate(voltages):
        lead = _lead(table[:, k], named[k], told, place_in_row, fs_hz)
        leads.append(_spread(lead, firsts, length, len(voltages)))
    stretches = _stretches(firsts, len(table))
    gaps = union([*between(stretches, length), *_pairs(told.get("gaps", ""), length)])
    filters = {key: float(told[key]) for key in FILTERS if _REAL.fullmatch(told.get(key, ""))}
    return Record(tuple(leads), _start(told, zone), gaps, filters or None, told.get("device", ""))


def _head(data: bytes) -> tuple[dict[str, str], list[str], str, int]:
    """Lines of `#`, names of the columns, what is between them, where the first row begins."""
    told: dict[str, str] = {}
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    for _ in range(MAX_HEAD_LINES):
        end = data.find(b"\n", at, at + 65536)
        if end < 0:
            break
        line = data[at:end].decode("utf-8", "replace").strip()
        at = end + 1
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            told[key.strip()] = value.strip()
        elif line:
            delimiter = max(",;\t", key=line.count)
            names = [" ".join(name.split()) for name in line.split(delimiter)]
            if (
                len(names) > MAX_COLUMNS
                or max(map(len, names)) > MAX_NAME
                or all(re.fullmatch(r"[-+.\deE\s]*", name) for name in names)
            ):
                raise InvalidRecord("no line with names of leads", at, "name the columns: I [mV],II [mV]")
            return told, names, delimiter, at
    raise InvalidRecord("no table of samples", at)


def _table(data: bytes, at: int, delimiter: str, columns: int) -> NDArray[np.float64]:
    """[row, column] of the numbers behind the names."""
    body = _HOLE.sub(b"nan", data[at:])
    if not body.strip():
        return np.zeros((0, columns))
    try:
        table = np.loadtxt(BytesIO(body), np.float64, None, delimiter, ndmin=2, encoding="utf-8")
    except (ValueError, UnicodeError) as error:
        row = re.search(r"row (\d{1,12})", str(error))
        raise InvalidRecord(
            f"not a number or a row of another length ({error})", _row_offset(data, at, row), COPY_AGAIN
        ) from None
    if table.shape[1] != columns:
        raise InvalidRecord(f"{columns} names over {table.shape[1]} columns", at, COPY_AGAIN)
    if np.isinf(table).any() or np.nanmax(np.abs(table), initial=0) > 2**31 - 1:
        raise InvalidRecord("numbers beyond 31 bit", at)
    return table


def _row_offset(data: bytes, at: int, row: "re.Match[str] | None") -> int:
    """Where a row (counted from 0 or 1 by the parser) begins; of the table if the parser does not say."""
    for _ in range(int(row[1]) - 1 if row else 0):
        at = data.find(b"\n", at) + 1 or len(data)
        if at == len(data):
            break
    return at


def _times(
    told: Mapping[str, str], times: NDArray[np.float64], named: Sequence[tuple[str, str]], column: int | None
) -> tuple[float, list[tuple[int, int]]]:
    """Rate, and where stretches begin: (sample, row), one of them if no time is left out."""
    if column is None:
        text = told.get("fs_hz", "")
        if not _REAL.fullmatch(text) or not 0 < float(text) < 1e6:
            raise InvalidRecord("no rate", 0, "write a first line '# fs_hz=500' or a column 'time [s]'")
        return float(text), [(0, 0)] if len(times) else []
    unit = S_PER_UNIT.get(named[column][1])
    steps = np.diff(times) * (unit or 0)
    if unit is None or len(times) < 2 or not (steps > 0).all():
        raise InvalidRecord("the column of time does not rise or has no unit", 0, "write it as 'time [s]'")
    usual = float(np.median(steps))
    even = np.abs(steps - usual) < 0.5 * usual
    if not even.any():
        raise InvalidRecord("the column of time has no usual step", 0)
    exact = 1 / float(np.mean(steps[even]))
    fs_hz = float(round(exact)) if round(exact) and abs(exact / round(exact) - 1) < 1e-3 else exact
    if not 0 < fs_hz < 1e6 or (steps * fs_hz > 2**31).any():
        raise InvalidRecord("the column of time has no usual step", 0)
    jumps = np.flatnonzero(~even)
    firsts, sample, row = [(0, 0)], 0, 0
    for k in jumps.tolist():
        sample += k - row + max(1, round(float(steps[k]) * fs_hz))
        row = k + 1
        firsts.append((sample, row))
    return fs_hz, firsts


def _stretches(firsts: Sequence[tuple[int, int]], rows: int) -> list[tuple[int, int]]:
    ends = [*(row for _, row in firsts[1:]), rows][: len(firsts)]
    return [(sample, sample + end - row) for (sample, row), end in zip(firsts, ends, strict=True)]


def _lead(
    values: NDArray[np.float64], named: tuple[str, str], told: Mapping[str, str], k: int, fs_hz: float
) -> Lead:
    """Integers of a column and their scale."""
    own = {key: told.get(key, "").split(",") for key in ("uv_per_lsb", "offset", "missing", "bits")}
    cells = {key: (parts[k].strip() if k < len(parts) else "") for key, parts in own.items()}
    code, label = identify(named[0], k)
    holes = np.isnan(values)
    known = values[~holes]
    if cells["uv_per_lsb"] and _REAL.fullmatch(cells["uv_per_lsb"]):
        scale, decimals = float(cells["uv_per_lsb"]), 0
        if scale == 0 or (known != np.rint(known)).any():
            raise InvalidRecord(f"column {named[0]!r} is not of integers with a scale", 0)
    elif named[1] in UNITS:
        unit, finest = UNITS[named[1]]
        decimals = _decimals(known, finest)
        scale = unit / 10**decimals
    else:
        raise InvalidRecord(f"column {named[0]!r} has no scale", 0, "write its unit: 'I [mV]'")
    whole = np.rint(np.where(holes, 0, values) * 10**decimals)
    if np.abs(whole).max(initial=0) > 2**31 - 1:
        raise InvalidRecord(f"column {named[0]!r} is beyond 31 bit", 0)
    samples = whole.astype(np.int32) if cells["bits"] == "32" else narrow(whole.astype(np.int32))
    missing = int(cells["missing"]) if re.fullmatch(r"-?\d{1,10}", cells["missing"]) else None
    if holes.any():
        missing = unused(samples[~holes]) if missing is None else missing
        if missing is None or abs(missing) > 2**31 - 1:
            samples, missing = samples.astype(np.int32), -(2**31) + 1
        samples[holes] = missing
    offset = int(cells["offset"]) if re.fullmatch(r"-?\d{1,10}", cells["offset"]) else 0
    return Lead(code, fs_hz, scale, offset, samples, missing, label)


def _decimals(values: NDArray[np.float64], finest: int) -> int:
    """The fewest decimals that tell all values, to the rounding of double precision."""
    for decimals in range(finest):
        scaled = values * 10**decimals
        if (np.abs(scaled - np.rint(scaled)) <= 1e-10 + 1e-15 * np.abs(scaled)).all():
            return decimals
    return finest


def _spread(lead: Lead, firsts: Sequence[tuple[int, int]], length: int, leads: int) -> Lead:
    """The lead with the time that its rows leave out."""
    if len(firsts) < 2:
        return lead
    ends = [row for _, row in firsts[1:]]
    pieces = [
        (sample, lead.samples[row:end])
        for (sample, row), end in zip(firsts, [*ends, len(lead.samples)], strict=True)
    ]
    samples, missing = place(pieces, length, leads, lead.missing)
    return Lead(lead.code, lead.fs_hz, lead.uv_per_lsb, lead.offset, samples, missing, lead.label)


def _pairs(text: str, length: int) -> list[tuple[int, int]]:
    found = re.findall(r"(\d{1,10})-(\d{1,10})", text)
    return [(min(int(first), length), min(int(last), length)) for first, last in found]


def _start(told: Mapping[str, str], zone: tzinfo) -> datetime | None:
    try:
        at = datetime.fromisoformat(told.get("start_at", ""))
    except ValueError:
        return None
    return at.replace(tzinfo=zone) if at.tzinfo is None else at


def write(record: Record, path: Path) -> None:
    path.write_bytes(encode(record))


def encode(record: Record) -> bytes:
    """The table; ValueError unless all leads are of one rate and length."""
    fs_hz, _ = one_rate(record, "a table of samples")
    lines = [f"# fs_hz={fs_hz!r}"]
    if record.start_at:
        lines.append(f"# start_at={record.start_at.isoformat()}")
    if record.device:
        lines.append(f"# device={' '.join(record.device.split())}")
    lines += [f"# {key}={value!r}" for key, value in (record.filters or {}).items() if key in FILTERS]
    if record.gaps:
        lines.append("# gaps=" + ",".join(f"{first}-{last}" for first, last in record.gaps))
    leads = record.leads
    lines.append("# uv_per_lsb=" + ",".join(repr(lead.uv_per_lsb) for lead in leads))
    lines.append("# offset=" + ",".join(str(lead.offset) for lead in leads))
    lines.append("# bits=" + ",".join(str(8 * lead.samples.itemsize) for lead in leads))
    if any(lead.missing is not None for lead in leads):
        lines.append(
            "# missing=" + ",".join("" if lead.missing is None else str(lead.missing) for lead in leads)
        )
    lines.append(",".join(re.sub(r"[,;\t\r\n\[\]()#\"]", " ", name_of(lead)).strip() for lead in leads))
    rows = np.stack([lead.samples for lead in leads], axis=1)
    out = BytesIO()
    np.savetxt(out, rows, "%d", ",")
    return "".join(f"{line}\n" for line in lines).encode() + out.getvalue()
