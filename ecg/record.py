"""An ECG recording as values: leads with their own rate and scale, gaps, filters, device.

Lead codes are MDC reference identifiers (IEEE 11073-10101); the short names are those printed beside a trace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16] | NDArray[np.int32]

_SHORT_NAMES = (
    "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
    "V3R", "V4R", "V5R", "V7", "V8", "V9", "X", "Y", "Z", "ML", "MCL1", "MCL5", "ES", "AS", "AI",
)  # fmt: skip
SHORT_TO_MDC: Mapping[str, str] = {
    **{name: f"MDC_ECG_LEAD_{name}" for name in _SHORT_NAMES},
    "aVR": "MDC_ECG_LEAD_AVR",
    "aVL": "MDC_ECG_LEAD_AVL",
    "aVF": "MDC_ECG_LEAD_AVF",
}
MDC_TO_SHORT: Mapping[str, str] = {code: name for name, code in SHORT_TO_MDC.items()}

# Names that formats and recorders use for the same leads; matched without regard to case.
ALIASES: Mapping[str, str] = {
    **{name.lower(): code for name, code in SHORT_TO_MDC.items()},
    "mlii": "MDC_ECG_LEAD_II",
    "mli": "MDC_ECG_LEAD_I",
    "mliii": "MDC_ECG_LEAD_III",
    "d2": "MDC_ECG_LEAD_II",
}

# The leads on which beat shapes are compared, when present: they differ most from one another.
SHAPE_PREFERENCE = ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1", "MDC_ECG_LEAD_V5")


@dataclass(frozen=True)
class Lead:
    """One lead's stored integers: microvolts = (sample - offset) * uv_per_lsb; `missing` marks absent samples.

    `label` is what a file calls a lead that has no code of its own; `derived`: computed from other leads, not recorded.
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
class Record:
    """A recording; gaps are [first, last) sample ranges of the fastest group of leads that hold no data."""

    leads: tuple[Lead, ...]
    start_at: datetime | None = None
    gaps: tuple[tuple[int, int], ...] = ()
    filters: Mapping[str, float] | None = None
    device: str = ""


def lead_code(name: str, place: int) -> str:
    """MDC code of a lead's name in any usual spelling; an unknown one is a channel by number."""
    words = [word for word in name.lower().split() if word not in ("ecg", "lead")]
    return ALIASES.get(" ".join(words), f"MDC_ECG_LEAD_CONFIG-{place + 1}")


def main_group(record: Record) -> tuple[Lead, ...]:
    """The leads that are analysed together: of one rate and length, the largest such group, the faster of equals."""
    groups: dict[tuple[float, int], list[Lead]] = {}
    for lead in record.leads:
        groups.setdefault((lead.fs_hz, len(lead.samples)), []).append(lead)
    if not groups:
        raise ValueError("a record without leads cannot be analysed")
    return tuple(max(groups.items(), key=lambda item: (len(item[1]), item[0][0]))[1])
