"""Findings as rows: one for each episode of a rule, brought up to date as it worsens and ends.

The key (recording, pass, rule, version, boot, onset) makes a replay change nothing (design section 7).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from ecg.findings import Finding
from ecg.rhythms import RULES
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.people import access

Pass = Literal["live", "record"]


@dataclass(frozen=True, slots=True)
class Found:
    """A finding where it belongs: on a boot of a recording, at instants of the hub's clock."""

    recording_id: UUID
    patient_id: UUID
    organisation_id: UUID
    pass_name: Pass
    boot: int
    onset_at: datetime
    offset_at: datetime | None
    finding: Finding

    @property
    def key(self) -> tuple[UUID, str, str, int, int, int]:
        f = self.finding
        return self.recording_id, self.pass_name, f.rule, f.version, self.boot, f.onset_sample


async def store_findings(conn: Connection, at: datetime, found: Sequence[Found]) -> None:
    """Keep findings; what is known already of an episode is replaced, its onset stays."""
    for one in found:
        f = one.finding
        await db.run(
            conn,
            "INSERT INTO finding (recording_id, pass, rule, version, boot, onset_sample, offset_sample, onset_at,"
            "  offset_at, priority, leads, numbers, quality, note, found_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (recording_id, pass, rule, version, boot, onset_sample) DO UPDATE SET"
            "  offset_sample = excluded.offset_sample, offset_at = excluded.offset_at,"
            "  priority = excluded.priority, leads = excluded.leads, numbers = excluded.numbers,"
            "  quality = excluded.quality, note = excluded.note",
            (
                one.recording_id, one.pass_name, f.rule, f.version, one.boot, f.onset_sample, f.offset_sample,
                one.onset_at, one.offset_at, f.priority, list(f.leads), json.dumps(dict(f.numbers)), f.quality,
                f.note, at,
            ),
        )  # fmt: skip


async def findings(conn: Connection, actor: Actor, at: datetime, recording_id: UUID) -> list[dict[str, Any]]:
    """Findings of a recording, in order of time."""
    recording = await db.one(conn, "SELECT patient_id FROM recording WHERE id = %s", (recording_id,))
    await access.require(conn, actor, at, "recording.read", patient_id=recording["patient_id"])
    return await db.rows(
        conn,
        "SELECT rule, version, pass, boot, onset_sample, offset_sample, onset_at, offset_at, priority, leads,"
        "  numbers, quality, note FROM finding WHERE recording_id = %s ORDER BY onset_at, rule",
        (recording_id,),
    )


def finding_json(found: Found) -> dict[str, Any]:
    """A finding as live pages get it."""
    f = found.finding
    return {
        "rule": f.rule,
        "version": f.version,
        "pass": found.pass_name,
        "boot": found.boot,
        "onset_sample": f.onset_sample,
        "offset_sample": f.offset_sample,
        "onset_at": found.onset_at,
        "offset_at": found.offset_at,
        "priority": f.priority,
        "leads": list(f.leads),
        "numbers": dict(f.numbers),
        "quality": f.quality,
        "note": f.note,
    }


def rules() -> list[dict[str, Any]]:
    """The rule table as pages show it."""
    return [
        {
            "rule": rule.name,
            "version": rule.version,
            "kind": rule.kind,
            "name": dict(rule.words),
            "onset": rule.onset,
            "offset": rule.offset,
            "priority": dict(rule.priorities),
            "thresholds": [
                {"name": name, "value": limit.value, "unit": limit.unit, "source": limit.source}
                for name, limit in rule.thresholds.items()
            ],
        }
        for rule in RULES.values()
    ]
