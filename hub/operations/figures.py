"""The picture as figures for the health page: each hop with its state in one word and its newest numbers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hub.core.incidents import KINDS, Unit
from hub.operations.sight import Sight
from hub.operations.watchers import HOPS, WATCHERS, Hop

PACKETS: Final = "hub_ingest_messages_total"
MEMORY: Final = "process_resident_memory_bytes"
PENDING: Final = "hub_ingest_pending_messages"
COMMITS: Final = "hub_ingest_commit_seconds_count"
COMMIT_SUM_S: Final = "hub_ingest_commit_seconds_sum"
ASKED: Final = frozenset({PACKETS, MEMORY, PENDING, COMMITS, COMMIT_SUM_S})
SECONDS_A_DAY: Final = 86_400.0
TREND_FROM_S: Final = 3_600.0  # shorter says nothing about days

Figure = tuple[str, float, Unit]  # name (words in the page's catalogue), value, unit


@dataclass
class Rates:
    """How fast counters of all processes grow; a process that began anew counts from its start."""

    _before: dict[str, dict[str, float]] = field(default_factory=dict)
    _at_s: float | None = None
    per_s: dict[str, float] = field(default_factory=dict)

    def take(self, processes: Mapping[str, Mapping[str, float] | None], now_s: float) -> None:
        """The newest counters."""
        now = {name: dict(known) for name, known in processes.items() if known}
        if self._at_s is not None and now_s > self._at_s:
            grown = [
                (series, _grown(self._before.get(name, {}).get(series, value), value))
                for name, known in now.items()
                for series, value in known.items()
            ]
            self.per_s = {
                series: sum(more for of, more in grown if of == series) / (now_s - self._at_s)
                for series in ASKED
            }
        self._before, self._at_s = now, now_s


def _grown(before: float, now: float) -> float:
    return now - before if now >= before else now


def days_left(space: Sequence[tuple[datetime, int]], at: datetime, free: int) -> float | None:
    """Until the disk is full if it goes on like in the last day; None: it doesn't fill, or too little is known."""
    if not space:
        return None
    first_at, first_free = space[0]
    seconds, used = (at - first_at).total_seconds(), first_free - free
    if seconds < TREND_FROM_S or used <= 0:
        return None
    return free / (used / seconds) / SECONDS_A_DAY


def hops(now: Sight, rates: Rates, broken: set[str], undecided: set[str]) -> list[dict[str, Any]]:
    """The chain in order, each hop with its state (works, hurt, broken, unknown) and figures."""
    return [
        {
            "hop": hop,
            "state": _state(hop, broken, undecided),
            "figures": [
                {"name": name, "value": value, "unit": unit}
                for name, value, unit in _FIGURES[hop](now, rates)
            ],
        }
        for hop in HOPS
    ]


def _state(hop: Hop, broken: set[str], undecided: set[str]) -> str:
    own = {kind for kind, watcher in WATCHERS.items() if watcher.hop == hop}
    priorities = {KINDS[kind].priority for kind in own & broken}
    if "high" in priorities:
        return "broken"
    if "medium" in priorities:
        return "hurt"
    return "unknown" if own <= undecided else "works"


def _devices(now: Sight, _: Rates) -> list[Figure]:
    if now.stored is None:
        return []
    stored = now.stored
    return [
        ("devices", stored.devices, "count"), ("heard", stored.devices_heard - stored.devices_silent, "count"),
        ("silent", stored.devices_silent, "count"),
    ]  # fmt: skip


def _broker(now: Sight, _: Rates) -> list[Figure]:
    return (
        [("connected_s", now.broker_s, "s")]
        if now.broker_s is not None
        else [("away_s", now.broker_away_s, "s")]
    )


def _ingest(now: Sight, rates: Rates) -> list[Figure]:
    fresh = [word for word in now.words if word["silent_s"] < 5]
    shown: list[Figure] = [("packets_per_s", round(rates.per_s.get(PACKETS, 0.0), 1), "count")]
    if fresh:
        shown += [
            ("processes", len(fresh), "count"),
            ("shards", len({shard for word in fresh for shard in word["shards"]}), "count"),
            ("pending", sum(word.get("pending", 0) for word in fresh), "count"),
            ("unacknowledged", max(word.get("unacknowledged_max", 0) for word in fresh), "count"),
            ("commit_p99_s", max(word.get("commit_p99_s") or 0.0 for word in fresh), "s"),
        ]
    if now.stored is not None:
        shown.append(("set_aside", now.stored.set_aside_open, "count"))
    return shown


def _database(now: Sight, rates: Rates) -> list[Figure]:
    if now.database_away_s:
        return [("away_s", now.database_away_s, "s")]
    shown: list[Figure] = [("answer_s", now.answer_s, "s")]
    commits = rates.per_s.get(COMMITS, 0.0)
    if commits:
        shown.append(("commit_mean_s", rates.per_s[COMMIT_SUM_S] / commits, "s"))
    return shown


def _jobs(now: Sight, _: Rates) -> list[Figure]:
    if now.stored is None:
        return []
    return [
        ("jobs_waiting", now.stored.jobs_waiting, "count"), ("jobs_oldest_s", now.stored.jobs_oldest_s, "s"),
        ("jobs_failed", sum(now.stored.jobs_failed.values()), "count"),
    ]  # fmt: skip


def _pages(now: Sight, _: Rates) -> list[Figure]:
    certificate: list[Figure] = (
        [("certificate_days", now.certificate_days, "days")] if now.certificate_days is not None else []
    )
    return [("up_s", now.up_s, "s"), *certificate]


def _machine(now: Sight, _: Rates) -> list[Figure]:
    shown: list[Figure] = [
        ("free_bytes", now.free_bytes, "bytes"), ("disk_bytes", now.disk_bytes, "bytes"),
        ("memory_available", round(100 * now.memory_available), "percent"),
    ]  # fmt: skip
    if now.stored is not None and now.stored.backup_age_s is not None:
        shown.append(("backup_age_s", now.stored.backup_age_s, "s"))
    return shown + ([("days_left", round(now.days_left, 1), "days")] if now.days_left is not None else [])


_FIGURES: Final = {
    "devices": _devices, "broker": _broker, "ingest": _ingest, "database": _database, "jobs": _jobs, "pages": _pages,
    "machine": _machine,
}  # fmt: skip


def processes(now: Sight) -> list[dict[str, Any]]:
    """Each process of the hub, with its memory and, of ingest, its last word."""
    words = {str(word["process"]): word for word in now.words}
    return [
        {
            "name": name,
            "answers": known is not None,
            "memory_bytes": known.get(MEMORY) if known else None,
            "state": words[name].get("state") if name in words else None,
            "shards": len(words[name]["shards"]) if name in words else None,
            "pending": words[name].get("pending") if name in words else None,
            "commit_p99_s": words[name].get("commit_p99_s") if name in words else None,
            "silent_s": words[name]["silent_s"] if name in words else None,
        }
        for name, known in sorted(now.processes.items())
    ]
