"""Alarms that no packet raises or ends, since they are about packets that don't come.

"No data" is an alarm of its own: the product never says "well" from silence.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from hub.alarms.raising import Cause, end_condition, raise_alarm
from hub.core import actor, db
from hub.core.db import Connection

ACTOR: Final = actor.job("alarm-timer")
NO_DATA: Final = "no-data"


class _Recording:
    """The recording a silence is about."""

    def __init__(self, row: db.Row) -> None:
        self.id: UUID = row["id"]
        self.patient_id: UUID = row["patient_id"]
        self.organisation_id: UUID = row["organisation_id"]


async def raise_no_data(conn: Connection, at: datetime) -> int:
    """Raise "no data" for running recordings whose device has been silent too long; how many."""
    silent = await db.rows(
        conn,
        "SELECT r.id, r.patient_id, r.organisation_id, s.since, s.connected FROM recording r"
        " CROSS JOIN LATERAL (SELECT greatest(r.started_at, d.last_seen_at) AS since, d.connected"
        "   FROM device_state d WHERE d.device_id = r.device_id) s"
        " WHERE r.status = 'recording' AND s.since < %s - make_interval(secs => r.no_data_after_s)"
        " AND NOT EXISTS (SELECT FROM alarm a WHERE a.recording_id = r.id AND a.rule = %s"
        "   AND a.condition = 'active')",
        (at, NO_DATA),
    )
    for row in silent:
        since: datetime = row["since"]
        cause = Cause(
            f"{NO_DATA}:{row['id']}:{since.isoformat()}",
            NO_DATA,
            "technical",
            "medium",
            since,
            {"silent_s": round((at - since).total_seconds())},
            "device" if row["connected"] else "network",
        )
        await raise_alarm(conn, ACTOR, at, _Recording(row), cause)
    return len(silent)


async def end_no_data(conn: Connection, at: datetime) -> int:
    """Data came again; how many such alarms have ended."""
    returned = await db.rows(
        conn,
        "SELECT a.source_key, d.last_seen_at AS gone_at FROM alarm a JOIN recording r ON r.id = a.recording_id"
        " JOIN device_state d ON d.device_id = r.device_id"
        " WHERE a.rule = %s AND a.condition = 'active' AND d.last_seen_at > a.onset_at",
        (NO_DATA,),
    )
    return await _end(conn, at, returned)


async def end_with_recordings(conn: Connection, at: datetime) -> int:
    """Nobody looks at a recording that is over, whoever closed it: its conditions are not there any more."""
    over = await db.rows(
        conn,
        "SELECT a.source_key, r.ended_at AS gone_at FROM alarm a JOIN recording r ON r.id = a.recording_id"
        " WHERE a.condition = 'active' AND r.status IN ('ended', 'discarded')",
    )
    return await _end(conn, at, over)


async def _end(conn: Connection, at: datetime, alarms: list[db.Row]) -> int:
    for row in alarms:
        await end_condition(conn, ACTOR, at, row["source_key"], row["gone_at"])
    return len(alarms)
