"""A finding: one episode of one rhythm rule, as it begins, gets worse and ends.

The key of an episode is (rule, onset_sample). It may be told several times: phase "onset" first, again with a
higher priority when it gets worse, and phase "offset" once at its end. A later one replaces an earlier one.
"""

from collections.abc import Container, Iterable, Mapping
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


def burden(
    findings: Iterable[Finding], rules: Container[str], analysable_s: float, fs_hz: float
) -> dict[str, float]:
    """How often, how long, and for what share of the time that could be analysed these rules held (ended findings)."""
    lengths_s = [
        (f.offset_sample - f.onset_sample) / fs_hz
        for f in findings
        if f.rule in rules and f.offset_sample is not None
    ]
    total_s = sum(lengths_s)
    return {
        "episodes": float(len(lengths_s)),
        "total_s": round(total_s, 1),
        "longest_s": round(max(lengths_s, default=0.0), 1),
        "burden_share": round(min(1.0, total_s / analysable_s), 4) if analysable_s > 0 else 0.0,
    }


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
