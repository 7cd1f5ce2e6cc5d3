"""Everybody monitored now, as the actor may see them: for the board."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit
from hub.people.patients import age_years
from hub.telemetry.feed import Watched

SHOWN: Final = 500
ALARMS_SHOWN: Final = (
    30  # of each: a board tells them every second, and nobody may have seen to them for days
)


async def running(conn: Connection, actor: Actor, at: datetime) -> list[dict[str, Any]]:
    """Running recordings with device and open alarms; rates and vitals come from the live feed."""
    await access.require(conn, actor, at, "board.live")
    found = await db.rows(
        conn,
        "SELECT r.id AS recording_id, r.device_id, r.patient_id, p.name, p.sex, p.birth_date, o.id AS organisation_id,"
        "  o.name AS organisation_name, o.name_en AS organisation_name_en,"
        "  coalesce(s.connected, false) AS connected, s.battery_percent, t.open_alarms, t.open_alarm_count"
        " FROM recording r JOIN patient p ON p.id = r.patient_id JOIN organisation o ON o.id = r.organisation_id"
        " LEFT JOIN device_state s ON s.device_id = r.device_id"
        " CROSS JOIN LATERAL ("
        "  SELECT coalesce(max(a.open_count), 0) AS open_alarm_count,"
        "   coalesce(json_agg(json_build_object('id', a.id, 'rule', a.rule, 'priority', a.priority,"
        "     'handling', a.handling, 'owner_name', w.name,"
        "     'late', a.late, 'onset_at', a.onset_at) ORDER BY a.raised_at), '[]') AS open_alarms"
        "  FROM (SELECT a.*, count(*) OVER () AS open_count FROM alarm a"
        "    WHERE a.recording_id = r.id AND a.handling <> 'resolved'"
        "    ORDER BY a.owner_id IS NOT NULL, array_position(ARRAY['high', 'medium', 'low'], a.priority),"
        "    a.raised_at DESC LIMIT %s) a LEFT JOIN account w ON w.id = a.owner_id) t"
        " WHERE r.status IN ('recording', 'stopping') ORDER BY r.started_at LIMIT %s",
        (ALARMS_SHOWN, SHOWN),
    )
    return [_shown(row, at) for row in found]


def _shown(row: Row, at: datetime) -> dict[str, Any]:
    patient = {
        "id": row.pop("patient_id"),
        "name": row.pop("name"),
        "sex": row.pop("sex"),
        "age_years": age_years(row.pop("birth_date"), at),
    }
    organisation = {
        "id": row.pop("organisation_id"),
        "name": row.pop("organisation_name"),
        "name_en": row.pop("organisation_name_en"),
    }
    left_out = row.pop("open_alarm_count") - len(row["open_alarms"])
    return row | {"patient": patient, "organisation": organisation, "alarms_left_out": left_out}


async def watched(conn: Connection, actor: Actor, at: datetime, recording_id: UUID) -> Watched:
    """A recording somebody is about to look at live."""
    row = await db.one(
        conn,
        "SELECT r.patient_id, r.device_id, d.shard, d.driver FROM recording r JOIN device d ON d.id = r.device_id"
        " WHERE r.id = %s",
        (recording_id,),
    )
    await access.require(conn, actor, at, "recording.live", patient_id=row["patient_id"])
    return Watched(
        recording_id, row["patient_id"], row["shard"], row["device_id"], row["driver"] == "telehub"
    )


async def record_look(conn: Connection, actor: Actor, at: datetime, seen: Watched, *, begins: bool) -> None:
    """Live viewing is written down when it begins and when it ends (design section 6)."""
    await audit.record(
        conn,
        actor,
        at,
        "recording.live",
        "recording",
        seen.recording_id,
        patient_id=seen.patient_id,
        begins=begins,
    )
