"""The account of a recording, and its clock: rows of the tables as values, and as pages read them. Pure.

`produced = stored + declared lost + waiting` for every channel: the leads of a packet come together or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any, Final

from devices import sequencing
from devices.sequencing import Clock, Ledger
from hub.core.db import Row

GAPS_SHOWN: Final = 200  # of one boot, the newest


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot of a recording."""

    boot: int
    anchor_at: datetime
    ledger: Ledger
    clock: Clock | None  # of its time line
    told: tuple[float, float] | None = None  # an instant by the hub's clock, and what the device's said then

    def at(self, sample: int, fs_hz: int) -> datetime:
        """The instant of a sample by the hub's clock, as well as it is known."""
        line_s = self.anchor_at.timestamp() + sample / fs_hz
        return datetime.fromtimestamp(
            sequencing.to_hub_time_s(self.clock, line_s) if self.clock is not None else line_s, UTC
        )

    def sample_at(self, at: datetime, fs_hz: int) -> int:
        """The sample of an instant, to the nearest that a slow drift allows."""
        offset_s = (self.at(0, fs_hz) - self.anchor_at).total_seconds()
        return round((at - self.anchor_at - timedelta(seconds=offset_s)).total_seconds() * fs_hz)

    @property
    def end(self) -> int:
        """One past the newest stored sample."""
        return self.ledger.stored[-1][1] if self.ledger.stored else 0


def boots_of(boot_rows: Sequence[Row], clock_rows: Sequence[Row]) -> list[Boot]:
    """Rows of `recording_boots` and `recording_clocks` as values, in order of the boots."""
    return [_boot(row, clock_rows) for row in boot_rows]


def _boot(row: Row, clock_rows: Sequence[Row]) -> Boot:
    stored = tuple((part.lower, part.upper) for part in row["have"])
    final = row["final_samples"] if row["final_known"] else None
    ledger = Ledger(stored, row["oldest_sample"], row["produced_samples"], final)
    # Each boot has a time line of its own, since a restart may set the clock.
    own = [c for c in clock_rows if c["boot"] == row["boot"]]
    clock = sequencing.estimate_clock(
        [(c["at"].timestamp(), c["at"].timestamp() + c["offset_s"]) for c in own]
    )
    told = [(c["at"].timestamp(), c["device_s"]) for c in own if c["device_s"] is not None]
    newest = (sequencing.to_hub_time_s(clock, told[-1][0]), told[-1][1]) if clock and told else None
    return Boot(row["boot"], row["anchor_at"], ledger, clock, newest)


def ledger_json(boots: Sequence[Boot], fs_hz: int) -> dict[str, Any]:
    """The account as pages show it."""
    parts = [_boot_json(boot, fs_hz) for boot in boots]
    totals = {name: sum(part[name] for part in parts) for name in ("produced", "stored", "declared_lost")}
    not_known = _not_known(boots, fs_hz)
    return {
        **totals,
        "waiting": totals["produced"] - totals["stored"] - totals["declared_lost"],
        "not_known_since": not_known[0]["from"] if not_known else None,
        "not_known": not_known,
        "boots": parts,
    }


def _not_known(boots: Sequence[Boot], fs_hz: int) -> list[dict[str, datetime | None]]:
    """From when to when nobody has said what was made: behind the newest sample of a boot without a final count, up
    to the restart that ended it.
    """
    found: list[dict[str, datetime | None]] = []
    for boot, following in zip_longest(boots, boots[1:]):
        if boot.ledger.final is None:
            since = boot.at(boot.end, fs_hz)
            found.append({"from": since, "to": max(since, following.at(0, fs_hz)) if following else None})
    return found


def _boot_json(boot: Boot, fs_hz: int) -> dict[str, Any]:
    lost, waiting = sequencing.gaps(boot.ledger), sequencing.missing(boot.ledger)
    marked = [(*part, "lost") for part in lost] + [(*part, "waiting") for part in waiting]
    return {
        "boot": boot.boot,
        "anchor_at": boot.anchor_at,
        "began_at": boot.at(0, fs_hz),
        "produced": sequencing.produced(boot.ledger),
        "stored": sequencing.total(boot.ledger.stored),
        "declared_lost": sequencing.total(lost),
        "final": boot.ledger.final,
        "gaps": [list(part) for part in sorted(marked)[-GAPS_SHOWN:]],
    }


def waiting(boots: Sequence[Boot]) -> int:
    """Samples known to have been made that are neither stored nor given up."""
    return sum(sequencing.total(sequencing.missing(boot.ledger)) for boot in boots)


def newest_at(boots: Sequence[Boot], fs_hz: int) -> datetime | None:
    """The instant of the newest stored sample."""
    return max((boot.at(boot.end, fs_hz) for boot in boots if boot.end), default=None)


def clock_json(boots: Sequence[Boot]) -> dict[str, Any] | None:
    """How far the device's own clock is off (hub minus device), when it was told last, and how fast that grows."""
    known = [(boot.clock, boot.told) for boot in boots if boot.clock is not None and boot.told is not None]
    if not known:
        return None
    clock, (hub_s, device_s) = known[-1]
    return {
        "offset_s": round(hub_s - device_s, 3),
        "drift_ppm": round(clock.drift_ppm, 1) if clock.drift_ppm else None,
        "at": datetime.fromtimestamp(hub_s, UTC),
        "device_at": datetime.fromtimestamp(device_s, UTC),
    }


def clock_offset_s(boots: Sequence[Boot]) -> float | None:
    """How far the device's clock is off now: hub minus device."""
    clocks = [boot.clock for boot in boots if boot.clock is not None]
    return clocks[-1].offset_s if clocks else None
