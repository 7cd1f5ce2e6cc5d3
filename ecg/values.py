"""A measured number with its quality and leads, or the reason why there is none."""

from dataclasses import dataclass
from typing import Literal

Quality = Literal["good", "noisy", "unverified", "withheld"]


@dataclass(frozen=True)
class Value:
    """The unit stands in the name under which a value is kept; leads: those it was read from.

    quality "unverified": the signal is good, but what the recorder did to it was not told (`reason`).
    """

    value: float | None
    quality: Quality
    leads: tuple[str, ...] = ()
    reason: str = ""


def withheld(reason: str, leads: tuple[str, ...] = ()) -> Value:
    return Value(None, "withheld", leads, reason)
