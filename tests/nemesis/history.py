"""What happened in a run, as the fleet and the nemesis wrote it down: one JSON object a line, never changed.

Words of devices: `ack` (what a device was told), `sent` (events), `link` (up, down). Words of the nemesis: `fault`,
`healed`, `hub`. At the end each device states what is true: `Truth`.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from devices.fields import Range

Key = tuple[UUID, int]  # recording, boot


@dataclass(frozen=True)
class Truth:
    """One boot of one recording as its device knows it. Ranges of samples since boot, half-open."""

    device: int  # number
    device_id: str
    recording: UUID
    boot: int
    begin: int  # samples of the device's signal before this boot
    produced: int
    given_up: tuple[tuple[int, int, bool], ...]  # first, end, whether it had been sent before
    held: int  # samples still in the device
    count_known: bool

    @property
    def key(self) -> Key:
        return self.recording, self.boot

    @property
    def discarded(self) -> int:
        return sum(end - first for first, end, _ in self.given_up)


def truth_of(row: Mapping[str, Any]) -> Truth:
    """A row as the fleet states it."""
    given_up = tuple((first, end, sent) for first, end, sent in row["given_up"])
    return Truth(**{**row, "recording": UUID(row["recording"]), "given_up": given_up})


def row_of(truth: Truth) -> dict[str, Any]:
    return {**asdict(truth), "recording": str(truth.recording)}


class Recorder:
    """Writes a history down."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1 << 16)

    def note(self, at_s: float, kind: str, **facts: Any) -> None:
        self._file.write(json.dumps({"at_s": round(at_s, 3), "kind": kind, **facts}) + "\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> list[dict[str, Any]]:
    """All of a history, in order."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def of_kind(history: Sequence[Mapping[str, Any]], kind: str) -> Iterator[Mapping[str, Any]]:
    return (row for row in history if row["kind"] == kind)


def acknowledged(history: Sequence[Mapping[str, Any]]) -> dict[Key, int]:
    """(recording, boot) -> the highest `next_sample` its device was ever told."""
    highest: dict[Key, int] = defaultdict(int)
    for row in of_kind(history, "ack"):
        if row["recording"] is not None:
            key = UUID(row["recording"]), row["boot"]
            highest[key] = max(highest[key], row["next_sample"])
    return dict(highest)


def acknowledged_events(history: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """(device, event id) of all events a device was told are committed."""
    return {(row["device"], event) for row in of_kind(history, "ack") for event in row["events"]}


def sent_events(history: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str | None]:
    """(device, event id) -> the recording it names."""
    return {(row["device"], row["id"]): row["recording"] for row in of_kind(history, "sent")}


def shortened(ranges: Sequence[Range], shown: int = 6) -> str:
    """Ranges in few words."""
    words = ", ".join(f"[{first}, {end})" for first, end in ranges[:shown])
    return words + (f" and {len(ranges) - shown} more" if len(ranges) > shown else "")
