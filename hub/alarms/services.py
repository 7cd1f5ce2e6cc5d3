"""What people do with alarms: see them, take one upon themselves, take it over, resolve it.

One person owns an alarm; two who take it at once are told who was first. Every step is kept with its person.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.alarms.raising import log_step, raise_from_finding, tell
from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit

__all__ = ["alarm", "alarms", "open_alarms", "own_alarm", "raise_from_finding", "resolve_alarm"]

LISTED: Final = 500

_COLUMNS: Final = (
    "SELECT a.id, a.patient_id, p.name AS patient_name, a.recording_id, a.rule, a.category, a.priority, a.condition,"
    "  a.handling, a.late, a.numbers, a.note, a.onset_at, a.raised_at, a.gone_at, a.owner_id, o.name AS owner_name,"
    "  a.owned_at, a.resolved_at, a.outcome, a.addressee_id, d.name AS addressee_name"
    " FROM alarm a JOIN patient p ON p.id = a.patient_id LEFT JOIN account o ON o.id = a.owner_id"
    " LEFT JOIN account d ON d.id = a.addressee_id"
)


async def alarms(
    conn: Connection, actor: Actor, at: datetime, *, only_open: bool, recording_id: UUID | None
) -> list[Row]:
    """The newest alarms of the patients within the actor's reach."""
    await access.require(conn, actor, at, "alarm.read")
    found = await db.rows(
        conn,
        f"{_COLUMNS} WHERE (NOT %(open)s OR a.handling <> 'resolved')"
        " AND (%(recording)s::uuid IS NULL OR a.recording_id = %(recording)s)"
        " ORDER BY a.raised_at DESC LIMIT %(limit)s",
        {"open": only_open, "recording": recording_id, "limit": LISTED},
    )
    return [_alarm(row) for row in found]


async def open_alarms(conn: Connection, actor: Actor, at: datetime, recording_id: UUID) -> list[Row]:
    """The open alarms of one recording, for its live page."""
    return await alarms(conn, actor, at, only_open=True, recording_id=recording_id)


async def alarm(conn: Connection, actor: Actor, at: datetime, alarm_id: UUID) -> Row:
    """One alarm with its log."""
    row = await db.one(conn, f"{_COLUMNS} WHERE a.id = %s", (alarm_id,))
    await access.require(conn, actor, at, "alarm.read", patient_id=row["patient_id"])
    log = await db.rows(
        conn,
        "SELECT l.at, l.step, o.name, l.detail FROM alarm_log l LEFT JOIN account o ON o.id = l.account_id"
        " WHERE l.alarm_id = %s ORDER BY l.sequence",
        (alarm_id,),
    )
    return _alarm(row) | {"log": log}


async def own_alarm(
    conn: Connection, actor: Actor, at: datetime, alarm_id: UUID, *, take_over: bool = False
) -> Row:
    """Take an alarm upon oneself; another's only by taking it over, which the log shows."""
    row = await _locked(conn, actor, at, alarm_id, "alarm.own")
    if row["handling"] == "resolved":
        raise errors.error("alarm_resolved")
    mine = row["owner_id"] == actor.account_id
    if row["owner_id"] is not None and not mine and not take_over:
        raise errors.error("alarm_owned", owner=row["owner_name"])
    if not mine:
        await db.run(
            conn,
            "UPDATE alarm SET handling = 'owned', owner_id = %s, owned_at = %s WHERE id = %s",
            (actor.account_id, at, alarm_id),
        )
        step = "taken-over" if row["owner_id"] is not None else "owned"
        await log_step(conn, actor, at, alarm_id, step, "")
        await tell(conn, alarm_id, row["recording_id"])
        await audit.record(
            conn, actor, at, "alarm.own", "alarm", alarm_id, patient_id=row["patient_id"], step=step
        )
    return await alarm(conn, actor, at, alarm_id)


async def resolve_alarm(conn: Connection, actor: Actor, at: datetime, alarm_id: UUID, outcome: str) -> Row:
    """Close an alarm by what came of it; only its owner may."""
    row = await _locked(conn, actor, at, alarm_id, "alarm.resolve")
    if row["handling"] == "resolved":
        raise errors.error("alarm_resolved")
    if row["owner_id"] != actor.account_id:
        raise errors.error("alarm_not_owner")
    await db.run(
        conn,
        "UPDATE alarm SET handling = 'resolved', resolved_at = %s, resolved_by = %s, outcome = %s WHERE id = %s",
        (at, actor.account_id, outcome, alarm_id),
    )
    await log_step(conn, actor, at, alarm_id, "resolved", outcome)
    await tell(conn, alarm_id, row["recording_id"])
    await audit.record(conn, actor, at, "alarm.resolve", "alarm", alarm_id, patient_id=row["patient_id"])
    return await alarm(conn, actor, at, alarm_id)


async def _locked(conn: Connection, actor: Actor, at: datetime, alarm_id: UUID, action: str) -> Row:
    row = await db.one(
        conn,
        "SELECT a.patient_id, a.recording_id, a.handling, a.owner_id, o.name AS owner_name"
        " FROM alarm a LEFT JOIN account o ON o.id = a.owner_id WHERE a.id = %s FOR UPDATE OF a",
        (alarm_id,),
    )
    await access.require(conn, actor, at, action, patient_id=row["patient_id"])
    return row


def _alarm(row: Row) -> dict[str, Any]:
    """An alarm as docs/protocol/http.md has it."""
    owner_id, owner_name = row.pop("owner_id"), row.pop("owner_name")
    addressee_id, addressee_name = row.pop("addressee_id"), row.pop("addressee_name")
    patient = {"id": row.pop("patient_id"), "name": row.pop("patient_name")}
    return row | {
        "patient": patient,
        "owner": {"id": owner_id, "name": owner_name} if owner_id is not None else None,
        "addressee": {"id": addressee_id, "name": addressee_name} if addressee_id is not None else None,
    }
