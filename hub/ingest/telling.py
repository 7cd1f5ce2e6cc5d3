"""What an ingest process tells: pages how it stores and what it sees, devices to slow down, operators by counting."""

import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from devices.control import Command, encode_command
from hub.alarms.unstored import Unstored
from hub.core.fields import to_json
from hub.core.logging import process_name
from hub.ingest import metrics
from hub.ingest.pressure import Pressure, memory_bytes
from hub.ingest.slowing import Device, Slowing
from hub.ingest.tick import Sorted, Stored

COMMAND_EXPIRES_S: Final = 60.0

Live = tuple[str, str, str]  # shard, topic behind `live/`, JSON


def health_word(
    pressure: Pressure, now_s: float, at: datetime, unacknowledged: int, is_behind: bool, **facts: Any
) -> tuple[str, str]:
    """Topic and JSON of what pages are told each second of how this process stores."""
    state, why = pressure.state(now_s, unacknowledged, is_behind)
    word = facts | {
        "process": process_name(),
        "pid": os.getpid(),
        "at": at,
        "state": state,
        "why": why,
        "away_since_at": pressure.since_at,
        "commit_p99_s": round(pressure.p99_s(now_s), 4),
        "forgotten": pressure.forgotten,
        "unacknowledged_max": unacknowledged,
        "memory_bytes": memory_bytes(),
    }
    return f"live/hub/ingest/{os.getpid()}", to_json(word)


def unstored_alarms(unstored: Unstored, at: datetime, is_away: bool) -> list[Live]:
    """Alarms that the database does not have yet, for the pages of their recordings."""
    due = unstored.due(at.timestamp(), is_away)
    return [(shard, f"{recording_id}/alarms", to_json(alarms)) for shard, recording_id, alarms in due]


def slowing_commands(
    slowing: Slowing, now_s: float, at_s: float, is_well: bool, here: Callable[[], Iterable[Device]]
) -> list[tuple[Device, bytes]]:
    """Whom to tell to slow down now, or to go on, and the command; `at_s` is the hub's clock."""
    return [
        (
            device,
            encode_command(
                Command(
                    f"slow-down.{secrets.token_hex(8)}", "slow-down", at_s + COMMAND_EXPIRES_S, seconds=seconds,
                    sent_at_s=at_s,
                )
            ),
        )
        for device, seconds in slowing.due(now_s, is_well, here)
    ]  # fmt: skip


def live_vitals(stored: Stored) -> list[Live]:
    """New values of each patient, for pages."""
    by_patient: dict[tuple[str, UUID], list[dict[str, Any]]] = defaultdict(list)
    for vital in stored.vitals:
        shown = ("code", "at", "value", "text_value", "unit", "device_id")
        by_patient[vital.shard, vital.patient_id].append({name: getattr(vital, name) for name in shown})
    return [
        (shard, f"{patient_id}/vitals", to_json(values)) for (shard, patient_id), values in by_patient.items()
    ]


def count(batch: Sorted, done: Iterable[Stored]) -> None:
    """A batch is committed."""
    metrics.PACKETS.inc(batch.messages)
    for stored in done:
        metrics.SAMPLES.inc(stored.samples)
        for one in stored.refused:
            metrics.SET_ASIDE.labels(one.refusal.reason).inc()
