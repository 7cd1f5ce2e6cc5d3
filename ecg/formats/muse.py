"""GE MUSE XML (RestingECG), reading: the rhythm waveform as it was recorded, usually I, II and V1 to V6.

III, aVR, aVL and aVF are not in the file; `ecg.formats.derived.with_limb_leads` computes them when they are asked
for. The maker publishes no full description; what is used here is told by the files themselves (LeadDataCRC32 is
CRC-32 of the decoded bytes, HighPassFilter hundredths of Hz).
"""

import binascii
import re
import zlib
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord, load
from ecg.formats.lead_names import identify
from ecg.formats.timeline import instant
from ecg.formats.xml_tree import Element, parse
from ecg.record import Lead, Record

UV_PER_UNIT = {
    "MICROVOLTS": Fraction(1),
    "MILLIVOLTS": Fraction(1000),
    "UV": Fraction(1),
    "MV": Fraction(1000),
}
# Tag, key, value of one: the high-pass cut-off is told in hundredths of Hz.
FILTERS = (
    ("HighPassFilter", "high_pass_hz", 0.01),
    ("LowPassFilter", "low_pass_hz", 1.0),
    ("ACFilter", "notch_hz", 1.0),
)
_NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{1,9})?")


def read(path: Path, zone: tzinfo = UTC) -> Record:
    """The rhythm waveform; acquisition times have no zone and are taken as `zone`'s."""
    return decode(load(path), zone)


def decode(data: bytes, zone: tzinfo = UTC) -> Record:
    """Bytes of a MUSE XML file to a record; other bytes raise InvalidRecord."""
    root = parse(data)
    if root.name != "RestingECG":
        raise InvalidRecord(f"the root element is {root.name}, not RestingECG", root.offset)
    waveform = next((w for w in root.all("Waveform") if w.text_of("WaveformType").lower() == "rhythm"), None)
    if waveform is None:
        raise InvalidRecord("no rhythm waveform", root.offset, "export it with its waveforms")
    fs_hz = _number(waveform, "SampleBase") * Fraction(10) ** _exponent(waveform)
    if not 1 <= fs_hz <= 100_000:
        raise InvalidRecord("an impossible rate", waveform.offset, COPY_AGAIN)
    leads = tuple(_lead(lead, k, float(fs_hz)) for k, lead in enumerate(waveform.all("LeadData")))
    if not leads or len({len(lead.samples) for lead in leads}) != 1:
        raise InvalidRecord("no leads, or leads of unlike lengths", waveform.offset, COPY_AGAIN)
    test = root.first("TestDemographics")
    device = test.text_of("AcquisitionDevice") if test else ""
    return Record(leads, _start(test, zone), (), _filters(waveform), device)


def _exponent(waveform: Element) -> int:
    text = waveform.text_of("SampleExponent") or "0"
    if not re.fullmatch(r"[+-]?\d", text):
        raise InvalidRecord("an impossible rate", waveform.offset, COPY_AGAIN)
    return int(text)


def _number(element: Element, name: str) -> Fraction:
    text = element.text_of(name)
    if not _NUMBER.fullmatch(text):
        raise InvalidRecord(f"{name} is no number", element.offset, COPY_AGAIN)
    return Fraction(Decimal(text))


def _lead(element: Element, k: int, fs_hz: float) -> Lead:
    """16-bit integers in base64, with their count and checksum where these are told."""
    name, at = element.text_of("LeadID"), element.offset
    unit = UV_PER_UNIT.get(element.text_of("LeadAmplitudeUnits").upper())
    scale = _number(element, "LeadAmplitudeUnitsPerBit")
    if unit is None or scale == 0 or element.text_of("LeadSampleSize") not in ("", "2"):
        raise InvalidRecord(f"lead {name} is not in volts of 16 bit", at)
    data = element.first("WaveFormData")
    try:
        raw = binascii.a2b_base64("".join(data.text.split()) if data else "", strict_mode=True)
    except (binascii.Error, ValueError):
        raise InvalidRecord(
            f"samples of lead {name} are no base64", data.offset if data else at, COPY_AGAIN
        ) from None
    if len(raw) % 2 or len(raw) // 2 != _number(element, "LeadSampleCountTotal"):
        raise InvalidRecord(f"lead {name} has {len(raw)} bytes, another count is told", at, COPY_AGAIN)
    told = element.text_of("LeadDataCRC32")
    if told not in ("", "0") and told != str(zlib.crc32(raw)):
        raise InvalidRecord(f"the checksum of lead {name} does not fit", at, COPY_AGAIN)
    code, label = identify(name, k)
    return Lead(code, fs_hz, float(scale * unit), 0, np.frombuffer(raw, "<i2").astype(np.int16), None, label)


def _start(test: Element | None, zone: tzinfo) -> datetime | None:
    """AcquisitionDate MM-DD-YYYY and AcquisitionTime."""
    if test is None:
        return None
    date = re.fullmatch(r"(\d\d)-(\d\d)-(\d{4})", test.text_of("AcquisitionDate"), re.ASCII)
    time = re.fullmatch(r"(\d\d):(\d\d):(\d\d)", test.text_of("AcquisitionTime"), re.ASCII)
    if not date or not time:
        return None
    return instant(zone, int(date[3]), int(date[1]), int(date[2]), *(int(part) for part in time.groups()))


def _filters(waveform: Element) -> dict[str, float] | None:
    told = {}
    for tag, key, unit in FILTERS:
        text = waveform.text_of(tag)
        if _NUMBER.fullmatch(text) and float(text) > 0:
            told[key] = round(float(text) * unit, 4)
    return told or None
