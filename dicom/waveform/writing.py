"""Waveforms as instances of the ECG storage classes, explicit VR little endian, integers unchanged.

One multiplex group per rate and length. Gaps and missing samples hold WaveformPaddingValue; a start is in UTC.
"""

from dataclasses import fields
from datetime import UTC, datetime
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from dicom.waveform.reading import FILTERS
from dicom.waveform.values import NUMBERS, Channel, Identity, Waveform

TWELVE = frozenset(f"MDC_ECG_LEAD_{name}" for name in "I II III AVR AVL AVF V1 V2 V3 V4 V5 V6".split())
SHORT_S = 300.0  # longer ones go as ambulatory ECG where they may; our own choice
GROUP_BYTES = (1 << 32) - 2  # WaveformData of one group


class Limits(NamedTuple):
    """What a storage class allows: rates, groups, channels and samples of a group, bits."""

    least_hz: float
    greatest_hz: float
    groups: int
    channels: int
    samples: int
    bits: int


# PS3.3 A.34.3.4, A.34.4.4 and A.34.5.4; those of the 32-bit class are our own: what its readers are sure to take.
CLASSES = {
    uid.TwelveLeadECGWaveformStorage: Limits(200, 1000, 5, 13, 16384, 16),
    uid.GeneralECGWaveformStorage: Limits(200, 1000, 4, 24, 1 << 32, 16),
    uid.AmbulatoryECGWaveformStorage: Limits(50, 1000, 1, 12, 1 << 32, 16),
    uid.General32bitECGWaveformStorage: Limits(1, 1 << 20, 4, 24, 1 << 32, 32),
}

Group = list[Channel]


def storage_class(waveform: Waveform) -> UID:
    """The first class whose limits the waveform keeps; long recordings are ambulatory before they are general."""
    groups = _groups(waveform)
    fitting = [kind for kind, limits in CLASSES.items() if all(_fits(group, limits) for group in groups)]
    fitting = [kind for kind in fitting if len(groups) <= CLASSES[kind].groups]
    if not {channel.code for channel in waveform.channels} <= TWELVE:
        fitting = [kind for kind in fitting if kind != uid.TwelveLeadECGWaveformStorage]
    if not fitting:
        raise ValueError("rates, channels or groups are beyond the ECG storage classes")
    lasts_s = max(len(group[0].samples) / group[0].fs_hz for group in groups)
    if lasts_s > SHORT_S and uid.AmbulatoryECGWaveformStorage in fitting:
        return uid.AmbulatoryECGWaveformStorage
    return fitting[0]


def _fits(group: Group, limits: Limits) -> bool:
    wide = any(channel.samples.dtype != np.int16 for channel in group)
    return (
        limits.least_hz <= group[0].fs_hz <= limits.greatest_hz
        and len(group) <= limits.channels
        and len(group[0].samples) <= limits.samples
        and (limits.bits == 32 or not wide)
    )


def _groups(waveform: Waveform) -> list[Group]:
    """Channels of one rate and length; ValueError if they don't last equally long."""
    groups: dict[tuple[float, int], Group] = {}
    for channel in waveform.channels:
        groups.setdefault((channel.fs_hz, len(channel.samples)), []).append(channel)
    if not groups or min(count for _, count in groups) == 0:
        raise ValueError("a waveform without channels or samples")
    longest = max(count / fs_hz for fs_hz, count in groups)
    if any(count != round(longest * fs_hz) for fs_hz, count in groups):
        raise ValueError("channels of one waveform last equally long")
    return list(groups.values())


def encode(waveform: Waveform, identity: Identity) -> bytes:
    """A DICOM file; ValueError for what the storage classes can't hold."""
    if waveform.start_at is None:
        raise ValueError("a DICOM waveform tells when it was acquired")
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = storage_class(waveform)
    for field in fields(Identity):
        setattr(dataset, field.name, getattr(identity, field.name))
    _times(dataset, waveform.start_at.astimezone(UTC))
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "ECG", 1, 1
    dataset.ReferringPhysicianName, dataset.Manufacturer = "", ""
    dataset.ManufacturerModelName = waveform.device[:64]
    dataset.AcquisitionContextSequence = []
    wide = dataset.SOPClassUID == uid.General32bitECGWaveformStorage
    fastest = max(channel.fs_hz for channel in waveform.channels)
    dataset.WaveformSequence = [
        _item(group, waveform, group[0].fs_hz / fastest, wide) for group in _groups(waveform)
    ]
    return _file(dataset)


def _times(dataset: Dataset, at: datetime) -> None:
    date, time = f"{at:%Y%m%d}", f"{at:%H%M%S}.{at.microsecond:06d}"
    dataset.StudyDate = dataset.ContentDate = date
    dataset.StudyTime = dataset.ContentTime = time
    dataset.AcquisitionDateTime = f"{date}{time}+0000"
    dataset.TimezoneOffsetFromUTC = "+0000"


def _file(dataset: Dataset) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def _item(group: Group, waveform: Waveform, slower: float, wide: bool) -> Dataset:
    """A multiplex group; `slower` is its rate over the fastest one's, on which gaps are told."""
    stored = np.stack([channel.samples for channel in group], axis=1).astype("<i4" if wide else "<i2")
    gone = np.stack([channel.samples == channel.missing for channel in group], axis=1)
    for first, last in waveform.gaps:
        gone[round(first * slower) : round(last * slower)] = True
    item = Dataset()
    item.MultiplexGroupTimeOffset = "0"
    item.WaveformOriginality = "DERIVED" if all(channel.derived for channel in group) else "ORIGINAL"
    item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = len(group), len(stored)
    item.SamplingFrequency = _decimal(group[0].fs_hz)
    item.WaveformBitsAllocated = 32 if wide else 16
    item.WaveformSampleInterpretation = "SL" if wide else "SS"
    item.ChannelDefinitionSequence = [
        _definition(channel, column, waveform, wide) for column, channel in enumerate(group)
    ]
    if gone.any():
        stored[gone] = padding = _padding(stored[~gone])
        item.add_new("WaveformPaddingValue", "OW", np.array([padding], stored.dtype).tobytes())
    raw = stored.tobytes()
    if len(raw) > GROUP_BYTES:
        raise ValueError("a waveform of more than 4 GiB")
    item.add_new("WaveformData", "OW", raw)
    return item


def _padding(recorded: NDArray[np.int16] | NDArray[np.int32]) -> int:
    """An integer that no sample has, the least possible first."""
    limits = np.iinfo(recorded.dtype)
    if not (recorded == limits.min).any():
        return int(limits.min)
    used = np.unique(recorded).astype(np.int64)
    steps = np.flatnonzero(np.diff(used) > 1)
    if len(steps) == 0 and used[-1] == limits.max:
        raise ValueError("samples use every integer: none is left to mark gaps")
    return int(used[steps[0]] if len(steps) else used[-1]) + 1


def _definition(channel: Channel, column: int, waveform: Waveform, wide: bool) -> Dataset:
    definition = Dataset()
    if channel.code in NUMBERS:
        name = channel.code.removeprefix("MDC_ECG_LEAD_")
        source = _code(f"2:{NUMBERS[channel.code]}", "MDC", f"Lead {name}")
    else:
        source = _code(f"channel-{column + 1}", "99TELEHUB", (channel.label or channel.code)[:64])
    definition.ChannelSourceSequence = [source]
    definition.ChannelSensitivity = _decimal(channel.uv_per_lsb)
    definition.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    definition.ChannelSensitivityCorrectionFactor = "1"
    definition.ChannelBaseline = _decimal(-channel.offset * channel.uv_per_lsb)
    definition.ChannelSampleSkew = "0"
    definition.WaveformBitsStored = 32 if wide else 16
    for keyword, key in FILTERS:
        if key in (waveform.filters or {}):
            setattr(definition, keyword, _decimal((waveform.filters or {})[key]))
    return definition


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2), the nearest if the number has more digits."""
    text = repr(float(value))
    for digits in range(16, 0, -1):
        if len(text) <= 16:
            break
        text = f"{value:.{digits}g}"
    return text
