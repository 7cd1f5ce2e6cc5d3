"""Findings as rows: one for each episode of a rule, brought up to date as it worsens and ends.

The key (recording, pass, rule, version, boot, onset) makes a replay change nothing (design section 7).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from ecg.findings import Finding
from ecg.rhythms import RULES
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.core.fields import to_json
from hub.people import access
from hub.telemetry.recordings import read_boots

Pass = Literal["live", "record"]
URGENCY: Final = {None: 0, "low": 1, "medium": 2, "high": 3}


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
    seen_at: datetime | None = None  # when the hub first saw the episode; None: now

    @property
    def key(self) -> tuple[UUID, str, str, int, int, int]:
        f = self.finding
        return self.recording_id, self.pass_name, f.rule, f.version, self.boot, f.onset_sample


async def store_findings(conn: Connection, at: datetime, found: Sequence[Found]) -> None:
    """Keep findings, each episode named once; what is known already of one is replaced, its onset stays."""
    await db.run(
        conn,
        "INSERT INTO finding (recording_id, pass, rule, version, boot, onset_sample, offset_sample, onset_at,"
        "  offset_at, priority, leads, numbers, quality, note, found_at)"
        " SELECT f.*, %s FROM jsonb_to_recordset(%s::jsonb) AS f (recording_id uuid, pass text, rule text,"
        "  version int, boot bigint, onset_sample bigint, offset_sample bigint, onset_at timestamptz,"
        "  offset_at timestamptz, priority text, leads text[], numbers jsonb, quality text, note text)"
        " ON CONFLICT (recording_id, pass, rule, version, boot, onset_sample) DO UPDATE SET"
        "  offset_sample = excluded.offset_sample, offset_at = excluded.offset_at,"
        "  priority = excluded.priority, leads = excluded.leads, numbers = excluded.numbers,"
        "  quality = excluded.quality, note = excluded.note",
        (at, to_json([finding_json(one) | {"recording_id": one.recording_id} for one in found])),
    )


async def replace_findings_of_record(
    conn: Connection,
    at: datetime,
    recording_id: UUID,
    boot: int,
    onsets: tuple[int, int],
    found: Sequence[Found],
) -> bool:
    """Findings of record that begin in [from, to) of a boot are these from now on; whether anything changed."""
    known = await db.rows(
        conn,
        "SELECT rule, version, onset_sample, offset_sample, priority, numbers FROM finding"
        " WHERE recording_id = %s AND pass = 'record' AND boot = %s AND onset_sample >= %s AND onset_sample < %s",
        (recording_id, boot, *onsets),
    )
    if sorted(map(_told, known), key=repr) == sorted(map(_told, map(_row, found)), key=repr):
        return False
    await db.run(
        conn,
        "DELETE FROM finding WHERE recording_id = %s AND pass = 'record' AND boot = %s"
        " AND onset_sample >= %s AND onset_sample < %s",
        (recording_id, boot, *onsets),
    )
    await store_findings(conn, at, found)
    return True


def _row(found: Found) -> Row:
    f = found.finding
    return {name: getattr(f, name) for name in _TOLD[:-1]} | {"numbers": dict(f.numbers)}


_TOLD: Final = ("rule", "version", "onset_sample", "offset_sample", "priority", "numbers")


def _told(row: Row) -> list[Any]:
    return [row[name] for name in _TOLD]


async def findings(conn: Connection, actor: Actor, at: datetime, recording_id: UUID) -> list[dict[str, Any]]:
    """Findings of a recording as people are to see them, in order of time, at instants of the hub's clock."""
    recording = await db.one(conn, "SELECT patient_id, fs_hz FROM recording WHERE id = %s", (recording_id,))
    await access.require(conn, actor, at, "recording.read", patient_id=recording["patient_id"])
    rows = await db.rows(
        conn,
        "SELECT rule, version, pass, boot, onset_sample, offset_sample, onset_at, offset_at, priority, leads,"
        "  numbers, quality, note FROM finding WHERE recording_id = %s ORDER BY boot, onset_sample, rule",
        (recording_id,),
    )
    fs_hz = recording["fs_hz"]
    boots = {boot.boot: boot for boot in await read_boots(conn, recording_id, fs_hz)}
    shown = as_seen(rows)
    for row in shown:
        boot, end = boots.get(row["boot"]), row["offset_sample"]
        if boot is not None:
            row["onset_at"] = boot.at(row["onset_sample"], fs_hz)
            row["offset_at"] = None if end is None else boot.at(end, fs_hz)
    return sorted(shown, key=lambda row: (row["onset_at"], row["rule"]))


def as_seen(rows: Iterable[Row]) -> list[Row]:
    """Findings of both passes as one list: pieces of one episode of record are joined, and a live finding gives way
    to one of record of the same rule that overlaps it. Rows of one boot come in order of their onset.
    """
    record: dict[tuple[int, str], list[Row]] = {}
    live: list[Row] = []
    for row in rows:
        if row["pass"] == "live":
            live.append(row)
            continue
        own = record.setdefault((row["boot"], row["rule"]), [])
        if own and _ends(own[-1]) >= row["onset_sample"]:
            own[-1] = _joined(own[-1], row)
        else:
            own.append(row)
    kept = [
        one for one in live if not any(_overlap(one, r) for r in record.get((one["boot"], one["rule"]), ()))
    ]
    return [*kept, *(row for own in record.values() for row in own)]


def _ends(row: Row) -> float:
    return float("inf") if row["offset_sample"] is None else float(row["offset_sample"])


def _overlap(a: Row, b: Row) -> bool:
    return bool(a["onset_sample"] <= _ends(b) and b["onset_sample"] <= _ends(a))


def _joined(first: Row, later: Row) -> Row:
    """Two pieces of an episode as one: the graver priority, of each number the more extreme."""
    graver = max((first, later), key=lambda row: URGENCY[row["priority"]])
    last = max((first, later), key=_ends)
    numbers = dict(first["numbers"])
    for name, value in later["numbers"].items():
        pick = min if name.startswith("lowest") else max
        numbers[name] = pick(numbers.get(name, value), value)
    return first | {
        "offset_sample": last["offset_sample"],
        "offset_at": last["offset_at"],
        "priority": graver["priority"],
        "numbers": numbers,
    }


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
            "onset": dict(rule.onset),
            "offset": dict(rule.offset),
            "priority": dict(rule.priorities),
            "thresholds": [
                {"name": name, "value": limit.value, "unit": limit.unit, "source": dict(limit.source)}
                for name, limit in rule.thresholds.items()
            ],
        }
        for rule in RULES.values()
    ]
