"""HL7 aECG (annotated ECG, ANSI/HL7 V3 ECG R1-2004), reading: the rhythm series with its leads, scale and filters.

A lead's values are origin + digit * scale (SLIST_PQ); its time is GLIST_TS (head and increment) or GLIST_PQ. Several
sequence sets of a series lie on one axis, with a gap where one ends before the next begins. Derived series
(representative beats) and annotations are left out. Digits are integers, as the implementation guide asks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord, load
from ecg.formats.lead_names import identify
from ecg.formats.timeline import between, instant, narrow, place
from ecg.formats.xml_tree import Element, parse
from ecg.record import Lead, Record

UV_PER_UNIT = {"uV": Fraction(1), "mV": Fraction(1000), "V": Fraction(1_000_000), "nV": Fraction(1, 1000)}
S_PER_UNIT = {"s": Fraction(1), "ms": Fraction(1, 1000), "us": Fraction(1, 1_000_000)}
FILTERS = {"LOW_PASS": "low_pass_hz", "HIGH_PASS": "high_pass_hz", "NOTCH": "notch_hz"}
_CONTROL = "MDC_ECG_CTL_VBL_ATTR_FILTER_"
_NUMBER = re.compile(r"[+-]?(\d{1,16}\.?\d{0,16}|\.\d{1,16})([eE][+-]?\d{1,2})?")
_NO_DIGITS = re.compile(r"[^\d\s+-]|[+-](?!\d)|\d[+-]|\d{12}", re.ASCII)
_INSTANT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?([+-]\d{4})?")


@dataclass(frozen=True)
class Stretch:
    """One sequence set: begin in seconds since `origin` of the series, rate, digits by place of the lead."""

    begin_s: Fraction
    fs_hz: Fraction
    start_at: datetime | None
    leads: tuple["Row", ...]


@dataclass(frozen=True)
class Row:
    """One sequence: code, label, microvolts of a digit and of zero, digits, where it stands in the file."""

    code: str
    label: str
    uv_per_lsb: Fraction
    origin_uv: Fraction
    digits: NDArray[np.int64]
    offset: int


def read(path: Path, zone: tzinfo = UTC) -> Record:
    """The rhythm series; times without an offset are `zone`'s."""
    return decode(load(path), zone)


def decode(data: bytes, zone: tzinfo = UTC) -> Record:
    """Bytes of an aECG file to a record; other bytes raise InvalidRecord."""
    root = parse(data)
    if root.name != "AnnotatedECG":
        raise InvalidRecord(f"the root element is {root.name}, not AnnotatedECG", root.offset)
    every = list(root.all("component", "series"))
    series = next((s for s in every if _code(s) == "RHYTHM"), every[0] if every else None)
    sets = list(series.all("component", "sequenceSet")) if series else []
    stretches = [stretch for s in sets if (stretch := _stretch(s, zone)) is not None]
    if series is None or not stretches:
        raise InvalidRecord("no series with leads in volts", root.offset, "export it with its waveforms")
    leads, gaps = _join(stretches)
    author = series.first("author", "seriesAuthor")
    names = [("manufacturerOrganization", "name"), ("manufacturedSeriesDevice", "manufacturerModelName")]
    device = " ".join(filter(None, (author.text_of(*path) for path in names))) if author else ""
    low = series.first("effectiveTime", "low")
    told = _instant(low.attributes.get("value", ""), zone) if low else None
    return Record(leads, stretches[0].start_at or told, gaps, _filters(series), device)


def _code(element: Element) -> str:
    code = element.first("code")
    return code.attributes.get("code", "") if code else ""


def _stretch(sequence_set: Element, zone: tzinfo) -> Stretch | None:
    """Its time and its leads in volts; None if it has none."""
    time: Element | None = None
    rows: list[Row] = []
    for sequence in sequence_set.all("component", "sequence"):
        value, name = sequence.first("value"), _code(sequence)
        if value is None:
            raise InvalidRecord(f"sequence {name or '?'} has no value", sequence.offset, COPY_AGAIN)
        if name in ("TIME_ABSOLUTE", "TIME_RELATIVE"):
            time = value
        elif (row := _row(name, value, len(rows))) is not None:
            rows.append(row)
    if not rows:
        return None
    if time is None:
        raise InvalidRecord("a sequence set without time", sequence_set.offset, COPY_AGAIN)
    if len({len(row.digits) for row in rows}) != 1:
        raise InvalidRecord("leads of one sequence set have unlike lengths", sequence_set.offset, COPY_AGAIN)
    increment = _quantity(time, "increment", S_PER_UNIT)
    if increment <= 0:
        raise InvalidRecord("samples that take no time", time.offset, COPY_AGAIN)
    head = time.first("head")
    text = head.attributes.get("value", "") if head else ""
    start_at = _instant(text, zone)
    begin = Fraction(0)
    if start_at is None and head is not None and head.attributes.get("unit") in S_PER_UNIT:
        begin = _quantity(time, "head", S_PER_UNIT)
    return Stretch(begin, 1 / increment, start_at, tuple(rows))


def _row(name: str, value: Element, k: int) -> Row | None:
    """A lead's digits and scale; None for what is not in volts."""
    scale = value.first("scale")
    if scale is None or scale.attributes.get("unit") not in UV_PER_UNIT:
        return None
    per_lsb, origin = _quantity(value, "scale", UV_PER_UNIT), _quantity(value, "origin", UV_PER_UNIT)
    if per_lsb == 0 or abs(origin / per_lsb) > 2**31:
        raise InvalidRecord(f"lead {name} has no scale or an impossible origin", value.offset, COPY_AGAIN)
    code, label = identify(name.removeprefix("MDC_ECG_LEAD_"), k)
    if name.startswith("MDC_ECG_LEAD_") and re.fullmatch(r"[A-Z0-9_a-z-]{14,32}", name) and label:
        code, label = name, ""
    digits = value.first("digits")
    return Row(code, label, per_lsb, origin, _digits(digits, name, value.offset), value.offset)


def _digits(element: Element | None, name: str, offset: int) -> NDArray[np.int64]:
    text = element.text if element else ""
    if not text or _NO_DIGITS.search(text):
        raise InvalidRecord(f"digits of lead {name} are no integers", offset, COPY_AGAIN)
    values = np.fromstring(text, np.int64, sep=" ")
    if np.abs(values).max() > 2**31 - 1:
        raise InvalidRecord(f"digits of lead {name} are beyond 32 bit", offset, COPY_AGAIN)
    return values


def _quantity(value: Element, name: str, units: dict[str, Fraction]) -> Fraction:
    """A PQ in the base unit; an absent origin is 0."""
    found = value.first(name)
    if found is None and name == "origin":
        return Fraction(0)
    text, unit = (found.attributes.get(k, "") for k in ("value", "unit")) if found else ("", "")
    if unit not in units or not _NUMBER.fullmatch(text):
        raise InvalidRecord(f"{name} is no quantity", (found or value).offset, COPY_AGAIN)
    return Fraction(Decimal(text)) * units[unit]


def _join(stretches: Sequence[Stretch]) -> tuple[tuple[Lead, ...], tuple[tuple[int, int], ...]]:
    """Sequence sets of the same leads and rate on one axis; others are an error that names the set."""
    first = stretches[0]
    kinds = [(r.code, r.label, r.uv_per_lsb, r.origin_uv) for r in first.leads]
    begins = []
    for stretch in stretches:
        if (
            stretch.fs_hz != first.fs_hz
            or [(r.code, r.label, r.uv_per_lsb, r.origin_uv) for r in stretch.leads] != kinds
        ):
            cause = "sequence sets of one series have unlike leads, scales or rates"
            raise InvalidRecord(cause, stretch.leads[0].offset, "split the file")
        since = stretch.begin_s - first.begin_s
        if stretch.start_at and first.start_at:
            since = Fraction((stretch.start_at - first.start_at) // timedelta(microseconds=1), 1_000_000)
        begins.append(round(since * first.fs_hz))
    ends = [begin + len(stretch.leads[0].digits) for begin, stretch in zip(begins, stretches, strict=True)]
    if any(begins[k] < ends[k - 1] for k in range(1, len(begins))):
        raise InvalidRecord("sequence sets overlap in time", first.leads[0].offset, COPY_AGAIN)
    leads = []
    for k, row in enumerate(first.leads):
        pieces = [narrow(stretch.leads[k].digits.astype(np.int32)) for stretch in stretches]
        samples, missing = place(list(zip(begins, pieces, strict=True)), ends[-1], len(first.leads))
        zero = round(-row.origin_uv / row.uv_per_lsb)
        leads.append(
            Lead(row.code, float(first.fs_hz), float(row.uv_per_lsb), zero, samples, missing, row.label)
        )
    return tuple(leads), between(list(zip(begins, ends, strict=True)), ends[-1])


def _instant(text: str, zone: tzinfo) -> datetime | None:
    """HL7 TS of at least minutes, with fraction and offset where told."""
    if not (found := _INSTANT.fullmatch(text)):
        return None
    if (offset := found[8]) and int(offset[1:3]) < 24 and int(offset[3:]) < 60:
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    micro = int((found[7] or "0").ljust(6, "0")[:6])
    return instant(zone, *(int(found[k] or 0) for k in range(1, 7)), micro)


def _filters(series: Element) -> dict[str, float] | None:
    """Cut-off and notch frequencies of the control variables."""
    filters = {}
    for outer in series.all("controlVariable", "controlVariable"):
        key = FILTERS.get(_code(outer).removeprefix(_CONTROL))
        for inner in outer.all("component", "controlVariable"):
            value = inner.first("value")
            if key and _code(inner) in (f"{_CONTROL}CUTOFF_FREQ", f"{_CONTROL}NOTCH_FREQ") and value:
                text = value.attributes.get("value", "")
                if _NUMBER.fullmatch(text) and value.attributes.get("unit") == "Hz":
                    filters[key] = float(text)
    return filters or None
