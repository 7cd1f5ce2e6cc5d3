"""The watchers: for each kind of incident, where in the chain it stands and what in the picture shows it. Pure.

A watcher says which subjects are broken now, with facts; an empty answer means that the hop works, None that it
can't be judged now (a watcher of the database's rows while the database is away), so nothing is cleared. To add a
watcher: a row in `KINDS` of hub/core/incidents.py and a row in `WATCHERS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from hub.core.incidents import Detail
from hub.operations.sight import Sight

Hop = Literal["devices", "broker", "ingest", "database", "jobs", "pages", "machine"]
HOPS: Final[tuple[Hop, ...]] = ("devices", "broker", "ingest", "database", "jobs", "pages", "machine")

SETTLED_S: Final = 15.0  # after a start, what has not come up yet is not missing
WORD_WITHIN_S: Final = 5.0  # an ingest process speaks once a second
BROKER_AWAY_S: Final = 2.0  # a session that breaks connects again after one second
SLOW_ANSWER_S: Final = 1.0
SLOW_COMMIT_S: Final = 0.5  # the promise for storing, issue 3
SESSION_IDS: Final = 50_000  # of the 65,535 that MQTT has
DISK_LOW_BYTES: Final = 5 << 30  # as `hub doctor`
DISK_DAYS_LEFT: Final = 7.0
MEMORY_LOW: Final = 0.05  # of the machine's memory left
PROCESS_BYTES: Final = 2 << 30  # a process of the hub needs a tenth of it
JOBS_STUCK_S: Final = 60.0
FLOOD: Final = 100  # distinct messages set aside for one reason within 5 minutes
SILENT_AT_ONCE: Final = 5
SILENT_PART: Final = 0.2
CERTIFICATE_DAYS: Final = 30
UNSEALED_S: Final = 10.0

Found = Mapping[str, Detail]  # subject -> facts
NOTHING: Final[Found] = {}


@dataclass(frozen=True, slots=True)
class Watcher:
    """One row: where it stands in the chain, and how it is seen."""

    hop: Hop
    look: Callable[[Sight], Found | None]


def _database_away(sight: Sight) -> Found | None:
    """By its own probe, or by the word of an ingest process, which has waited for a commit."""
    return {"": {}} if sight.database_away_s or _in_state(sight, "away") else NOTHING


def _database_slow(sight: Sight) -> Found | None:
    if sight.stored is None:
        return None
    p99_s = max((_number(word, "commit_p99_s") for word in sight.words), default=0.0)
    if sight.answer_s <= SLOW_ANSWER_S and p99_s <= SLOW_COMMIT_S:
        return NOTHING
    return {"": {"answer_s": round(sight.answer_s, 2), "commit_p99_s": round(p99_s, 2)}}


def _broker_away(sight: Sight) -> Found | None:
    """No connection; or one on which nothing comes, though ingest processes run and speak once a second."""
    lost = sight.broker_s is None and sight.broker_away_s >= BROKER_AWAY_S
    running = [name for name in _mute(sight) if sight.processes.get(name) is not None]
    return {"": {}} if lost or (running and not _fresh(sight)) else NOTHING


def _hears_words(sight: Sight) -> bool:
    """Whether silence of an ingest process would mean something."""
    heard_s = min(sight.broker_s if sight.broker_s is not None else 0.0, sight.up_s)
    return heard_s > WORD_WITHIN_S and sight.up_s > SETTLED_S


def _mute(sight: Sight) -> set[str]:
    """Ingest processes there should be, of which no word came."""
    if not _hears_words(sight):
        return set()
    expected = {f"ingest-{number}" for number in range(1, sight.ingest_processes + 1)}
    return expected - {str(word["process"]) for word in _fresh(sight)}


def _ingest_missing(sight: Sight) -> Found | None:
    if not _hears_words(sight):
        return None
    missing = [name for name in sorted(_mute(sight)) if sight.processes.get(name) is None]
    return {name: {"process": name} for name in missing}


def _ingest_blocked(sight: Sight) -> Found | None:
    return {
        str(word["process"]): {"free_bytes": sight.free_bytes, "floor_bytes": sight.floor_bytes}
        for word in _in_state(sight, "blocked")
    }


def _ingest_slow(sight: Sight) -> Found | None:
    return {
        str(word["process"]): {
            "pending": round(_number(word, "pending")),
            "slowed_devices": round(_number(word, "slowed_devices")),
        }
        for word in _in_state(sight, "slow")
    }


def _shard_unread(sight: Sight) -> Found | None:
    if (
        not _hears_words(sight) or not _fresh(sight) or sight.database_away_s
    ):  # locks are held in the database
        return None
    read = {int(shard) for word in _fresh(sight) for shard in word["shards"]}
    unread = set(range(sight.shards)) - read
    return {"": {"shards": len(unread), "total": sight.shards}} if unread else NOTHING


def _session_ids(sight: Sight) -> Found | None:
    return {
        str(word["process"]): {"unacknowledged": round(_number(word, "unacknowledged_max")), "limit": 65_535}
        for word in _fresh(sight)
        if _number(word, "unacknowledged_max") >= SESSION_IDS
    }


def _process_missing(sight: Sight) -> Found | None:
    if sight.up_s < SETTLED_S:
        return None
    silent = [name for name, figures in sight.processes.items() if figures is None]
    return {name: {"process": name} for name in silent if not name.startswith("ingest")}


def _disk_low(sight: Sight) -> Found | None:
    enough = sight.free_bytes >= max(DISK_LOW_BYTES, 2 * sight.floor_bytes)
    lasts = sight.days_left is None or sight.days_left > DISK_DAYS_LEFT
    if enough and lasts:
        return NOTHING
    days = {"days_left": round(sight.days_left, 1)} if sight.days_left is not None else {}
    return {"": {"free_bytes": sight.free_bytes, **days}}


def _disk_reserve(sight: Sight) -> Found | None:
    made = sight.up_s > SETTLED_S  # at a start it may not be there yet
    return {"": {"free_bytes": sight.free_bytes}} if sight.reserve_used and made else NOTHING


def _memory_high(sight: Sight) -> Found | None:
    found: dict[str, Detail] = {
        name: {"memory_bytes": int(figures["process_resident_memory_bytes"]), "limit_bytes": PROCESS_BYTES}
        for name, figures in sight.processes.items()
        if figures and figures.get("process_resident_memory_bytes", 0.0) > PROCESS_BYTES
    }
    return found | ({"": {"reason": "machine"}} if sight.memory_available < MEMORY_LOW else {})


def _jobs_stuck(sight: Sight) -> Found | None:
    if sight.stored is None:
        return None
    if sight.stored.jobs_oldest_s < JOBS_STUCK_S or sight.answered_for_s < JOBS_STUCK_S:
        return NOTHING
    return {"": {"count": sight.stored.jobs_waiting, "oldest_s": round(sight.stored.jobs_oldest_s)}}


def _jobs_failed(sight: Sight) -> Found | None:
    if sight.stored is None:
        return None
    return {kind: {"job_kind": kind, "count": number} for kind, number in sight.stored.jobs_failed.items()}


def _set_aside_flood(sight: Sight) -> Found | None:
    if sight.stored is None:
        return None
    recent = sight.stored.set_aside_recent
    return {
        reason: {"reason": reason, "count": number} for reason, number in recent.items() if number >= FLOOD
    }


def _devices_silent(sight: Sight) -> Found | None:
    """Only while everything behind the devices works: else it is that which is broken, and tells of itself."""
    stored = sight.stored
    if stored is None or sight.answered_for_s < JOBS_STUCK_S or not _hears_words(sight):
        return None
    if any(word.get("state") != "ok" for word in _fresh(sight)) or not _fresh(sight):
        return None
    if stored.devices_silent < max(SILENT_AT_ONCE, SILENT_PART * stored.devices_heard):
        return NOTHING
    return {"": {"count": stored.devices_silent, "total": stored.devices_heard}}


def _device_clock(sight: Sight) -> Found | None:
    if sight.stored is None:
        return None
    return {device: {"offset_s": round(off_s)} for device, off_s in sight.stored.clocks_wrong.items()}


def _certificate_ends(sight: Sight) -> Found | None:
    days = sight.certificate_days
    return {"": {"days_left": days}} if days is not None and days < CERTIFICATE_DAYS else NOTHING


def _audit_unsealed(sight: Sight) -> Found | None:
    if sight.stored is None or sight.answered_for_s < UNSEALED_S:
        return None
    unsealed_s = sight.stored.audit_unsealed_s
    return {"": {"oldest_s": round(unsealed_s)}} if unsealed_s > UNSEALED_S else NOTHING


WATCHERS: Final[dict[str, Watcher]] = {
    "devices-silent": Watcher("devices", _devices_silent),
    "device-clock": Watcher("devices", _device_clock),
    "broker-away": Watcher("broker", _broker_away),
    "ingest-missing": Watcher("ingest", _ingest_missing),
    "ingest-blocked": Watcher("ingest", _ingest_blocked),
    "ingest-slow": Watcher("ingest", _ingest_slow),
    "shard-unread": Watcher("ingest", _shard_unread),
    "session-ids": Watcher("ingest", _session_ids),
    "set-aside-flood": Watcher("ingest", _set_aside_flood),
    "database-away": Watcher("database", _database_away),
    "database-slow": Watcher("database", _database_slow),
    "jobs-stuck": Watcher("jobs", _jobs_stuck),
    "jobs-failed": Watcher("jobs", _jobs_failed),
    "audit-unsealed": Watcher("jobs", _audit_unsealed),
    "process-missing": Watcher("pages", _process_missing),
    "certificate-ends": Watcher("pages", _certificate_ends),
    "disk-low": Watcher("machine", _disk_low),
    "disk-reserve": Watcher("machine", _disk_reserve),
    "memory-high": Watcher("machine", _memory_high),
}


def look(sight: Sight) -> dict[str, Found | None]:
    """What each watcher says."""
    return {kind: watcher.look(sight) for kind, watcher in WATCHERS.items()}


def _fresh(sight: Sight) -> list[Mapping[str, Any]]:
    return [word for word in sight.words if _number(word, "silent_s") <= WORD_WITHIN_S]


def _in_state(sight: Sight, state: str) -> list[Mapping[str, Any]]:
    return [word for word in _fresh(sight) if word.get("state") == state]


def _number(word: Mapping[str, Any], name: str) -> float:
    """A figure of a word; 0 where it has none."""
    value = word.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0
