"""What the tests of statements look at: one record's measurements, its beats, and what the request tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg.analysis import CLASSES, Analysis
from ecg.twelve_lead.criteria import limit
from ecg.twelve_lead.measurements import Measurements

# Neighbours in the frontal plane, with -aVR between I and II (Universal Definition), and on the chest.
NEIGHBOURS = (
    ("aVL", "I"), ("II", "aVF"), ("aVF", "III"),
    ("V1", "V2"), ("V2", "V3"), ("V3", "V4"), ("V4", "V5"), ("V5", "V6"),
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What the referring doctor or the recorder told; None is not told. paced: device pace marks or the request."""

    age_years: float | None = None
    sex: Literal["male", "female"] | None = None
    paced: bool = False


class Evidence(NamedTuple):
    """Why a statement is made: numbers with their units in the names, the leads, and samples to show (or none)."""

    numbers: Mapping[str, float]
    leads: tuple[str, ...] = ()
    at: tuple[int, int] | None = None


@dataclass(frozen=True)
class Case:
    measured: Measurements
    analysis: Analysis
    request: Request

    def number(self, name: str, lead: str = "") -> float | None:
        return self.measured.number(name, lead)

    def at_least(self, name: str, lead: str = "") -> float:
        """The number, or -inf where it is withheld: no threshold from below is reached."""
        value = self.measured.number(name, lead)
        return -np.inf if value is None else value

    def at_most(self, name: str, lead: str = "") -> float:
        """The number, or +inf where it is withheld: no threshold from above is reached."""
        value = self.measured.number(name, lead)
        return np.inf if value is None else value

    def inside(self) -> NDArray[np.bool_]:
        """[beat] of the analysis: those in the measured stretch."""
        first, last = self.measured.stretch
        inside: NDArray[np.bool_] = (self.analysis.sample >= first) & (self.analysis.sample < last)
        return inside

    def rr_s(self) -> NDArray[np.float64]:
        """RR intervals that end in the stretch; nan where unknown."""
        return self.analysis.rr_s[self.inside()].astype(float)

    def ventricular(self) -> NDArray[np.int64]:
        """Samples of beats classed as ventricular."""
        own = self.inside() & (self.analysis.kind == CLASSES.index("V"))
        return np.asarray(self.analysis.sample[own], np.int64)

    def change(self) -> tuple[float, int]:
        """Median change from RR to the next, or to the next but one if that is less (bigeminy), over their mean.

        With it how many RR intervals were compared; nan without any.
        """
        rr = self.rr_s()
        known = rr[np.isfinite(rr)]
        if len(known) < 3:
            return float("nan"), len(known)
        changes = [
            np.nanmedian(np.abs(rr[lag:] - rr[:-lag]))
            for lag in (1, 2)
            if np.isfinite(rr[lag:] - rr[:-lag]).any()
        ]
        return (float(min(changes) / known.mean()), len(known)) if changes else (float("nan"), len(known))

    def paced(self) -> bool:
        """Told by the recorder or the request, or suspected from spikes at most of the beats."""
        beats = int(self.inside().sum())
        return self.request.paced or (
            beats > 0 and len(self.measured.spikes) >= limit("pacing-suspected", "share") * beats
        )

    def wide(self) -> bool:
        """QRS of 120 ms or more, or pacing: what ST, T and Q mean is changed."""
        return self.paced() or self.at_least("qrs_ms") >= 120


Test = Callable[[Case], Evidence | None]
