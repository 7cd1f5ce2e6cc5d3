"""A waveform as values. The fields are those of an ECG record, so that the hub turns one into the other by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16] | NDArray[np.int32]


@dataclass(frozen=True)
class Channel:
    """Stored integers of one channel: microvolts = (sample - offset) * uv_per_lsb; `missing` marks padding.

    `code` is an MDC reference identifier; `label` the meaning of a source that has none; `derived` as
    WaveformOriginality says.
    """

    code: str
    fs_hz: float
    uv_per_lsb: float
    offset: int
    samples: Samples
    missing: int | None = None
    label: str = ""
    derived: bool = False


@dataclass(frozen=True)
class Waveform:
    """Channels on one time axis; gaps are [first, last) samples of the fastest ones in which all hold padding."""

    channels: tuple[Channel, ...]
    start_at: datetime | None = None
    gaps: tuple[tuple[int, int], ...] = ()
    filters: Mapping[str, float] | None = None
    device: str = ""


@dataclass(frozen=True)
class Identity:
    """What an instance needs beside its samples; UIDs are made by the caller."""

    SOPInstanceUID: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    PatientID: str = ""
    PatientName: str = ""
    PatientBirthDate: str = ""
    PatientSex: str = ""
    AccessionNumber: str = ""
    StudyID: str = ""


# Numbers of channel sources in scheme MDC ("2:1") and SCPECG ("5.6.3-9-1"), PS3.16 CID 3001.
_NAMES: Mapping[int, str] = {
    **dict(enumerate("I II V1 V2 V3 V4 V5 V6 V7 V2R V3R V4R V5R V6R V7R X Y Z CC5 CM5 LA RA LL".split(), 1)),
    **dict(enumerate("fI fE fC fA fM fF fH".split(), 24)),
    **dict(enumerate("III AVR AVL AVF AVRneg V8 V9 V8R V9R D A J".split(), 61)),
    **dict(enumerate("A1 A2 A3 A4".split(), 75)),
}
SOURCES: Mapping[int, str] = {number: f"MDC_ECG_LEAD_{name}" for number, name in _NAMES.items()}
NUMBERS: Mapping[str, int] = {code: number for number, code in SOURCES.items()}
