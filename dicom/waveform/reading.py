"""Waveform instances to values: integers unchanged, all original multiplex groups on one time axis.

Nothing an instance declares is trusted: lengths are compared with the bytes, deflated ones are inflated to a limit,
and whatever the DICOM parser raises on damaged bytes becomes InvalidInstance.
"""

import re
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom.errors import InvalidInstance
from dicom.waveform.values import SOURCES, Channel, Samples, Waveform

MAX_BYTES = 1 << 31
MAX_INFLATED = 1 << 28
# Of all channels with what lies between groups filled, unless four times the stored ones are more.
MAX_FILLED = 1 << 27
DAMAGED = "the instance is cut or damaged: send it again"
# WaveformSampleInterpretation (PS3.3 C.10.9.1.4.4): bytes, signed; MB and AB are companded sound.
KINDS = {
    "SB": (1, True),
    "UB": (1, False),
    "SS": (2, True),
    "US": (2, False),
    "SL": (4, True),
    "UL": (4, False),
}
UV_PER_UNIT = {"uv": Fraction(1), "mv": Fraction(1000), "v": Fraction(1_000_000), "nv": Fraction(1, 1000)}
FILTERS = (
    ("FilterLowFrequency", "high_pass_hz"),
    ("FilterHighFrequency", "low_pass_hz"),
    ("NotchFilterFrequency", "notch_hz"),
)
_NUMBER = re.compile(r"[+-]?(\d{1,16}\.?\d{0,16}|\.\d{1,16})([eE][+-]?\d{1,2})?")
_SOURCE = re.compile(r"(?:2:|5\.6\.3-9-)(\d{1,3})")
_INSTANT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,6}))?([+-]\d{4})?")
# TransferSyntaxUID (0002,0010) as it stands in the file meta information.
_DEFLATED = b"\x02\x00\x10\x00UI\x16\x00" + DeflatedExplicitVRLittleEndian.encode()
_PAD = 0x5400100A  # WaveformPaddingValue


@dataclass(frozen=True)
class Group:
    """One multiplex group: begin in ms, [sample, channel] as stored, padding, and channels without their samples."""

    begin_ms: Fraction
    fs_hz: Fraction
    stored: Samples
    padding: int | None
    channels: tuple[tuple[int, Channel], ...]
    filters: tuple[Mapping[str, float], ...]


def decode(data: bytes, zone: tzinfo = UTC) -> Waveform:
    """An instance with its group length, preamble and all; a time without an offset is `zone`'s."""
    stream = BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # the parser warns of values; what matters of them is checked here
            dataset, little = _dataset(data, stream)
            return _waveform(dataset, little, zone)
    except InvalidInstance:
        raise
    except Exception as error:  # the parser has no one error of its own for bytes that make no sense
        raise InvalidInstance(
            f"no DICOM waveform ({type(error).__name__})", stream.tell(), DAMAGED
        ) from error


def _dataset(data: bytes, stream: BytesIO) -> tuple[Dataset, bool]:
    """The data set, and whether its bytes are little endian."""
    if len(data) > MAX_BYTES or data[128:132] != b"DICM":
        raise InvalidInstance("no DICOM file", 128)
    if _DEFLATED in data[132:4096]:
        begin = 144 + int.from_bytes(data[140:144], "little")
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        plain = inflater.decompress(data[begin:], MAX_INFLATED)
        if len(plain) >= MAX_INFLATED:
            raise InvalidInstance(f"inflates to more than {MAX_INFLATED} bytes", begin)
        return read_dataset(BytesIO(plain), False, True), True
    dataset = pydicom.dcmread(stream)
    return dataset, bool(dataset.file_meta.TransferSyntaxUID.is_little_endian)


def _waveform(dataset: Dataset, little: bool, zone: tzinfo) -> Waveform:
    items = list(dataset.get("WaveformSequence") or [])
    original = [item for item in items if item.get("WaveformOriginality") != "DERIVED"]
    groups = [_group(item, little, k) for k, item in enumerate(original or items)]
    groups = [group for group in groups if group.channels]
    if not groups:
        raise InvalidInstance("no waveform in volts", None, "only recordings of voltages are read here")
    origin_ms = min(group.begin_ms for group in groups)
    end_s = max(_s(group, origin_ms) + len(group.stored) / group.fs_hz for group in groups)
    stored = sum(len(group.stored) * len(group.channels) for group in groups)
    if sum(end_s * group.fs_hz * len(group.channels) for group in groups) > max(MAX_FILLED, 4 * stored):
        raise InvalidInstance("groups lie too far apart", None, "a MultiplexGroupTimeOffset is damaged")
    channels = [
        _placed(group, column, channel, origin_ms, end_s)
        for group in groups
        for column, channel in group.channels
    ]
    start_at = _start(dataset, zone)
    start_at = start_at and start_at + timedelta(milliseconds=float(origin_ms))
    device = " ".join(str(dataset.get(k) or "") for k in ("Manufacturer", "ManufacturerModelName")).strip()
    filters = _shared([told for group in groups for told in group.filters])
    return Waveform(tuple(channels), start_at, _gaps(channels), filters, device)


def _s(group: Group, origin_ms: Fraction) -> Fraction:
    return (group.begin_ms - origin_ms) / 1000


def _placed(group: Group, column: int, channel: Channel, origin_ms: Fraction, end_s: Fraction) -> Channel:
    """The channel's samples on the common axis; where its group holds none, padding."""
    own: NDArray[np.integer[Any]] = group.stored[:, column]
    first, length = round(_s(group, origin_ms) * group.fs_hz), round(end_s * group.fs_hz)
    missing = group.padding
    if len(own) < length:
        if missing is None:
            missing = _unused(own)
        own = np.concatenate(
            [np.full(first, missing), own, np.full(max(0, length - first - len(own)), missing)]
        )
    return replace(channel, samples=_narrow(own[:length]), missing=missing)


def _unused(stored: NDArray[np.integer[Any]]) -> int:
    """An integer outside the samples' range, within 16 bit if there is one."""
    low, high = int(stored.min(initial=0)), int(stored.max(initial=0))
    return -32768 if low > -32768 else high + 1 if high < 2**31 - 1 else low - 1


def _narrow(stored: NDArray[np.integer[Any]]) -> Samples:
    fits = stored.size == 0 or (stored.min() >= -32768 and stored.max() <= 32767)
    return stored.astype(np.int16) if fits else stored.astype(np.int32)


def _gaps(channels: Sequence[Channel]) -> tuple[tuple[int, int], ...]:
    fastest = max(channel.fs_hz for channel in channels)
    own = [channel for channel in channels if channel.fs_hz == fastest]
    if any(channel.missing is None for channel in own):
        return ()
    gone = np.logical_and.reduce([channel.samples == channel.missing for channel in own])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(np.int8), [0]])))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def _group(item: Dataset, little: bool, place: int) -> Group:
    at = getattr(item, "seq_item_tell", None)
    if (kind := str(item.get("WaveformSampleInterpretation"))) not in KINDS:
        raise InvalidInstance(f"group {place}: samples of kind {kind}", at, "send it as SS or SL")
    size, signed = KINDS[kind]
    channels, samples = int(item.NumberOfWaveformChannels), int(item.NumberOfWaveformSamples)
    fs_hz, begin_ms = _number(item, "SamplingFrequency", at), _number(item, "MultiplexGroupTimeOffset", at, 0)
    data, needed = item.WaveformData, channels * samples * size
    if int(item.WaveformBitsAllocated) != 8 * size or channels < 1 or fs_hz <= 0:
        raise InvalidInstance(f"group {place}: bits, channels or rate make no sense", at, DAMAGED)
    if (
        not isinstance(data, bytes)
        or not needed <= len(data) <= needed + needed % 2
        or len(item.ChannelDefinitionSequence) != channels
    ):
        raise InvalidInstance(f"group {place}: {needed} bytes of samples are told, not present", at, DAMAGED)
    if size == 1 and not little:
        raise InvalidInstance(
            f"group {place}: 8-bit samples in big-endian words", at, "send it little endian"
        )
    layout = f"{'<' if little else '>'}{'i' if signed else 'u'}{size}"
    raw = np.frombuffer(data, layout, channels * samples).reshape(samples, channels)
    if raw.size and raw.max() > 2**31 - 1:
        raise InvalidInstance(f"group {place}: samples beyond 31 bit", at)
    stored: Samples = raw.astype(np.int32) if kind in ("US", "SL", "UL") else raw.astype(np.int16)
    pad = item[_PAD].value if _PAD in item else b""
    padding = (
        int(np.frombuffer(pad[:size], layout)[0]) if isinstance(pad, bytes) and len(pad) >= size else None
    )
    derived = item.get("WaveformOriginality") == "DERIVED"
    found, filters = [], []
    for column, definition in enumerate(item.ChannelDefinitionSequence):
        channel = _channel(definition, column, float(fs_hz), derived, at)
        if channel is not None:
            found.append((column, channel))
            filters.append(_filters(definition, at))
    return Group(begin_ms, fs_hz, stored, padding, tuple(found), tuple(filters))


def _channel(definition: Dataset, column: int, fs_hz: float, derived: bool, at: int | None) -> Channel | None:
    """The channel without samples; None if it isn't told to be a voltage."""
    units = definition.get("ChannelSensitivityUnitsSequence") or []
    per_unit = UV_PER_UNIT.get(str(units[0].get("CodeValue")).lower()) if len(units) else None
    if per_unit is None:
        return None
    sensitivity = _number(definition, "ChannelSensitivity", at) * _number(
        definition, "ChannelSensitivityCorrectionFactor", at, 1
    )
    if sensitivity == 0:
        raise InvalidInstance(f"channel {column} has no scale", at)
    # C.10.9.1.4.3: microvolts = sample * sensitivity + baseline
    offset = round(-_number(definition, "ChannelBaseline", at, 0) / sensitivity)
    if abs(offset) > 2**31:
        raise InvalidInstance(f"channel {column} has an impossible baseline", at)
    code, label = _source(definition, column)
    empty = np.zeros(0, np.int16)
    return Channel(code, fs_hz, float(sensitivity * per_unit), offset, empty, None, label, derived)


def _source(definition: Dataset, column: int) -> tuple[str, str]:
    """(MDC code, label)."""
    sources = definition.get("ChannelSourceSequence") or []
    source = sources[0] if len(sources) else Dataset()
    number = _SOURCE.fullmatch(str(source.get("CodeValue")))
    if (
        number
        and str(source.get("CodingSchemeDesignator")) in ("MDC", "SCPECG")
        and int(number[1]) in SOURCES
    ):
        return SOURCES[int(number[1])], ""
    label = str(definition.get("ChannelLabel") or source.get("CodeMeaning") or "").strip()
    if re.fullmatch(r"MDC_ECG_LEAD_[A-Za-z0-9-]{1,16}", label):
        return label, ""
    return f"MDC_ECG_LEAD_CONFIG-{column + 1}", label


def _filters(definition: Dataset, at: int | None) -> dict[str, float]:
    told = {key: float(_number(definition, keyword, at, 0)) for keyword, key in FILTERS}
    return {key: value for key, value in told.items() if value > 0}


def _shared(filters: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    agreed = {k: v for k, v in filters[0].items() if all(told.get(k) == v for told in filters)}
    return agreed or None


def _number(item: Dataset, keyword: str, at: int | None, absent: int | None = None) -> Fraction:
    """A decimal string as a fraction; `absent` where there is none, if that is allowed."""
    value: Any = item.get(keyword)
    if value is None or value == "":
        if absent is None:
            raise InvalidInstance(f"no {keyword}", at, DAMAGED)
        return Fraction(absent)
    text = str(getattr(value, "original_string", value)).strip()
    if not _NUMBER.fullmatch(text):
        raise InvalidInstance(f"{keyword} is no number", at, DAMAGED)
    return Fraction(Decimal(text))


def _start(dataset: Dataset, zone: tzinfo) -> datetime | None:
    """AcquisitionDateTime, else ContentDate and ContentTime; the offset of the value, of the instance, or `zone`."""
    for text in _times(dataset):
        if not (found := _INSTANT.fullmatch(text)):
            continue
        offset = found[8] or str(dataset.get("TimezoneOffsetFromUTC") or "").strip()
        try:
            if re.fullmatch(r"[+-]\d{4}", offset):
                minutes = int(offset[1:3]) * 60 + int(offset[3:])
                zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
            fields = [int(found[k]) for k in range(1, 7)]
            return datetime(*fields, int((found[7] or "0").ljust(6, "0")), tzinfo=zone)  # type: ignore[arg-type,misc]
        except ValueError:
            continue
    return None


def _times(dataset: Dataset) -> Iterable[str]:
    yield str(dataset.get("AcquisitionDateTime") or "").strip()
    for prefix in ("Acquisition", "Content"):
        date, time = dataset.get(f"{prefix}Date"), dataset.get(f"{prefix}Time")
        yield f"{date or ''}{time or ''}".strip()
