"""A finding: one episode of one rhythm rule, as it begins, gets worse and ends.

The key of an episode is (rule, onset_sample). It may be told several times: phase "onset" first, again with a
higher priority when it gets worse, and phase "offset" once at its end. A later one replaces an earlier one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Phase = Literal["onset", "offset"]
Priority = Literal["high", "medium"]


@dataclass(frozen=True)
class Finding:
    """What a rule saw. Samples are on the recording's own index; numbers carry their unit in the key."""

    rule: str
    version: int
    onset_sample: int
    offset_sample: int | None
    phase: Phase
    priority: Priority | None
    leads: tuple[str, ...]
    numbers: Mapping[str, float]
    quality: str
    note: str = ""

    @property
    def key(self) -> tuple[str, int]:
        return self.rule, self.onset_sample


def to_dict(finding: Finding) -> dict[str, object]:
    """JSON form; `from_dict` reads it back."""
    return {
        "rule": finding.rule,
        "version": finding.version,
        "onset_sample": finding.onset_sample,
        "offset_sample": finding.offset_sample,
        "phase": finding.phase,
        "priority": finding.priority,
        "leads": list(finding.leads),
        "numbers": dict(finding.numbers),
        "quality": finding.quality,
        "note": finding.note,
    }


def from_dict(row: Mapping[str, object]) -> Finding:
    fields = dict(row)
    fields["leads"] = tuple(fields["leads"])  # type: ignore[arg-type]
    fields["numbers"] = dict(fields["numbers"])  # type: ignore[call-overload]
    return Finding(**fields)  # type: ignore[arg-type]
