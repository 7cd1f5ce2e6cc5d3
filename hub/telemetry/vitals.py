"""What was measured of a patient."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access

LONGEST: Final = timedelta(days=31)
LISTED: Final = 50_000
TOLD_FOR: Final = timedelta(days=7)  # longer than a broker keeps what nobody acknowledged
RECENT: Final = timedelta(hours=24)
AHEAD: Final = timedelta(hours=1)  # a device's clock may run ahead
PACKED_AFTER: Final = timedelta(days=75)  # values are stored up to 60 days late, and a chunk is a week
_COLUMNS: Final = (  # by the hub's clock, and as the device told it
    "code, at + make_interval(secs => offset_s) AS at, at AS device_at, value, text_value, unit, device_id"
)


async def vitals(
    conn: Connection, actor: Actor, at: datetime, patient_id: UUID, from_at: datetime, to_at: datetime
) -> list[Row]:
    """Values of a patient within a time, at most a month."""
    await access.require(conn, actor, at, "vitals.read", patient_id=patient_id)
    return await db.rows(
        conn,
        f"SELECT {_COLUMNS} FROM patient_vitals(%s, %s, %s) LIMIT %s",
        (patient_id, max(from_at, to_at - LONGEST), to_at, LISTED),
    )


async def newest_vitals(conn: Connection, actor: Actor, at: datetime, patient_id: UUID) -> list[Row]:
    """The newest value of each quantity within a day."""
    await access.require(conn, actor, at, "vitals.read", patient_id=patient_id)
    return await db.rows(
        conn,
        f"SELECT DISTINCT ON (code) {_COLUMNS} FROM patient_vitals(%s, %s, %s) ORDER BY code, 2 DESC",
        (patient_id, at - RECENT, at + AHEAD),
    )


async def pack_vitals(conn: Connection, at: datetime) -> bool:
    """Compress the oldest week of values that can be, if any: only TimescaleDB can (hub/core/timescale.py)."""
    row = await db.one(conn, "SELECT hub_pack_vitals(%s) AS packed", (at - PACKED_AFTER,))
    return bool(row["packed"])


async def forget_told(conn: Connection, at: datetime) -> None:
    """Deliveries of values without a time of their own, so old that the broker does not send them again."""
    await db.run(conn, "DELETE FROM vital_told WHERE at < %s AND told LIKE '~%%'", (at - TOLD_FOR,))
