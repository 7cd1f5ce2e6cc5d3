"""The devices of an organisation as operators look at them: searched, filtered, sorted and paged by the database.

Thousands of devices are read page by page, each page by the key of the last row before it. What a recording holds is
told as counts of samples and seconds, never whose it is: who manages devices need not see patients.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from devices import sequencing
from devices.fields import MAX_RANGES
from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access
from hub.telemetry.devices import reached_organisations

PAGE: Final = 50
PAGE_MAX: Final = 200
HISTORY_SHOWN: Final = 100
RECORDINGS_SHOWN: Final = 20
BATTERY_LOW: Final = 20  # percent
BACKLOG_LONG_S: Final = 60.0
CLOCK_OFF_S: Final = 60.0
SILENT_AFTER: Final = timedelta(seconds=60)

# Sort keys: SQL, its type; what is not known sorts as if there were nothing to worry about.
SORTS: Final[dict[str, tuple[str, str]]] = {
    "id": ("d.id", "text"),
    "name": ("d.name", "text"),
    "organisation": ("o.name", "text"),
    "seen": ("coalesce(s.last_seen_at, '-infinity')", "timestamptz"),
    "battery": ("coalesce(s.battery_percent, 101)", "int"),
    "backlog": ("coalesce(s.backlog_s, 0)", "real"),
    "clock": ("abs(coalesce(s.clock_offset_s, 0))", "real"),
}
# Filters by name; `hand` = needs somebody's hand, for the reasons told with each row.
_ACTIVE: Final = "d.retired_at IS NULL"
_OFFLINE: Final = "(q.id IS NOT NULL AND (s.last_seen_at IS NULL OR s.last_seen_at < %(silent)s))"
REASONS: Final[dict[str, str]] = {
    "offline": _OFFLINE,
    "battery": "coalesce(s.battery_percent < %(battery)s, false)",
    "backlog": "coalesce(s.backlog_s > %(backlog_s)s AND q.id IS NOT NULL, false)",
    "clock": "coalesce(abs(s.clock_offset_s) > %(clock_s)s, false)",
    "electrodes": "d.id = ANY(%(electrodes)s)",
}
_HAND: Final = " OR ".join(REASONS.values())
FILTERS: Final[dict[str, str]] = {
    "all": _ACTIVE,
    "hand": f"{_ACTIVE} AND ({_HAND})",
    "offline": f"{_ACTIVE} AND {_OFFLINE}",
    "used": f"{_ACTIVE} AND q.id IS NOT NULL",
    "free": f"{_ACTIVE} AND q.id IS NULL",
    "retired": "d.retired_at IS NOT NULL",
    "any": "true",
}
_FROM: Final = (
    " FROM device d JOIN organisation o ON o.id = d.organisation_id"
    " LEFT JOIN device_state s ON s.device_id = d.id"
    " LEFT JOIN device_pairing q ON q.device_number = d.number AND upper_inf(q.during)"
    " WHERE (%(everywhere)s OR d.organisation_id = ANY(%(reached)s))"
    " AND (%(text)s = '' OR strpos(lower(d.id || ' ' || d.name), lower(%(text)s)) > 0)"
    " AND (%(kind)s::text IS NULL OR d.kind = %(kind)s) AND (%(only)s::text IS NULL OR d.id = %(only)s)"
)


@dataclass(frozen=True)
class Asked:
    """Which page of which list."""

    filter: str = "all"
    text: str = ""
    kind: str | None = None
    sort: str = "id"
    down: bool = False
    after: str | None = None
    limit: int = PAGE
    only: str | None = None


async def device_page(
    conn: Connection, actor: Actor, at: datetime, asked: Asked, qualities: dict[UUID, list[str]]
) -> dict[str, Any]:
    """A page of devices, the key of the next one, and how many there are under each filter.

    `qualities`: the newest quality of each lead by recording, as the live results tell it.
    """
    await access.require(conn, actor, at, "device.read")
    running = {row["device_id"]: row["recording_id"] for row in await _running(conn)}
    quality = {device: qualities[of] for device, of in running.items() if of in qualities}
    parameters = await _parameters(conn, actor, at, asked, _without_contact(quality))
    found = await _rows(conn, asked, parameters)
    more = len(found) > asked.limit
    shown = found[: asked.limit]
    following = _cursor(shown[-1]) if more else None
    accounts = await _accounts(conn, [row["id"] for row in shown])
    return {
        "devices": [_device(row, quality.get(row["id"]), accounts.get(row["id"])) for row in shown],
        "next": following,
        "counts": await _counts(conn, parameters),
    }


async def _running(conn: Connection) -> list[Row]:
    return await db.rows(conn, "SELECT * FROM hub_devices_recording()")


def _without_contact(quality: dict[str, list[str]]) -> list[str]:
    """Devices whose newest second has a lead without contact."""
    return [device for device, leads in quality.items() if "off" in leads]


async def _parameters(
    conn: Connection, actor: Actor, at: datetime, asked: Asked, electrodes: list[str]
) -> dict[str, Any]:
    reached = await reached_organisations(conn, actor, at)
    key, last_id = _key_of(asked)
    return {
        "everywhere": reached is None, "reached": list(reached or ()), "text": asked.text, "kind": asked.kind,
        "silent": at - SILENT_AFTER, "battery": BATTERY_LOW, "backlog_s": BACKLOG_LONG_S, "clock_s": CLOCK_OFF_S,
        "electrodes": electrodes, "key": key, "last": last_id, "limit": asked.limit + 1,
        "only": asked.only,
    }  # fmt: skip


async def _rows(conn: Connection, asked: Asked, parameters: dict[str, Any]) -> list[Row]:
    expression, kind = SORTS[asked.sort]
    order, beyond = ("DESC", "<") if asked.down else ("ASC", ">")
    reasons = ", ".join(f"({condition}) AS hand_{name}" for name, condition in REASONS.items())
    return await db.rows(
        conn,
        "SELECT d.id, d.kind, d.driver, d.name, d.retired_at, o.id AS organisation_id, o.name AS organisation_name,"
        "  o.name_en AS organisation_name_en, coalesce(s.connected, false) AS connected, s.last_seen_at,"
        f"  s.battery_percent, s.backlog_s, s.clock_offset_s, q.id IS NOT NULL AS in_use, {reasons},"
        f"  ({expression})::text AS sort_key {_FROM} AND {FILTERS[asked.filter]}"
        f" AND (%(key)s::text IS NULL OR ({expression}, d.id) {beyond} (%(key)s::{kind}, %(last)s))"
        f" ORDER BY {expression} {order}, d.id {order} LIMIT %(limit)s",
        parameters,
    )


async def _counts(conn: Connection, parameters: dict[str, Any]) -> dict[str, int]:
    each = ", ".join(
        f'count(*) FILTER (WHERE {condition}) AS "{name}"' for name, condition in FILTERS.items()
    )
    return await db.one(conn, f"SELECT {each} {_FROM}", parameters)


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(json.dumps([row["sort_key"], row["id"]]).encode()).decode()


def _key_of(asked: Asked) -> tuple[str | None, str | None]:
    if asked.after is None:
        return None, None
    try:
        key, last_id = json.loads(base64.urlsafe_b64decode(asked.after))
    except ValueError:
        raise errors.error("bad_field", field="after", expected="the `next` of the page before") from None
    return str(key), str(last_id)


async def _accounts(conn: Connection, device_ids: list[str]) -> dict[str, Row]:
    """What the running recording of each device holds, in samples of one lead."""
    found = await db.rows(conn, "SELECT * FROM hub_devices_account(%s)", (device_ids,))
    return {row["device_id"]: row for row in found}


def _device(row: Row, quality: list[str] | None, account: Row | None) -> dict[str, Any]:
    hands = [name for name in REASONS if row.pop(f"hand_{name}")]
    organisation = {
        "id": row.pop("organisation_id"),
        "name": row.pop("organisation_name"),
        "name_en": row.pop("organisation_name_en"),
    }
    del row["sort_key"]
    return row | {
        "organisation": organisation,
        "hand": hands,
        "quality": quality,
        "recording": _account(account) if account is not None else None,
    }


def _account(row: Row) -> dict[str, Any]:
    seconds = {
        f"{name}_s": float(row[name]) / row["fs_hz"] for name in ("produced", "stored", "lost", "waiting")
    }
    return {
        "status": row["status"],
        "started_at": row["started_at"],
        "lost_ranges": row["lost_ranges"],
    } | seconds


async def device(
    conn: Connection, actor: Actor, at: datetime, device_id: str, qualities: dict[UUID, list[str]]
) -> dict[str, Any]:
    """One device with its history, recordings, commands and clock; of patients only those the actor may see."""
    row = await db.one(conn, "SELECT organisation_id FROM device WHERE id = %s", (device_id,))
    await access.require(conn, actor, at, "device.read", organisation_id=row["organisation_id"])
    page = await device_page(conn, actor, at, Asked("any", only=device_id), qualities)
    found: dict[str, Any] = page["devices"][0]
    return found | {
        "history": await db.rows(
            conn,
            "SELECT at, what, value FROM device_history WHERE device_id = %s ORDER BY number DESC LIMIT %s",
            (device_id, HISTORY_SHOWN),
        ),
        "recordings": await _recordings(conn, device_id),
        "commands": await db.rows(conn, "SELECT * FROM hub_device_commands(%s)", (device_id,)),
        "clock": await _clock(conn, device_id),
        "worn_by": await _worn_by(conn, device_id),
    }


async def _recordings(conn: Connection, device_id: str) -> list[dict[str, Any]]:
    """The newest; those the actor may open have their id and patient."""
    found = await db.rows(
        conn,
        "SELECT a.*, r.id AS recording_id, p.name AS patient_name FROM hub_device_recordings(%s, %s) a"
        " LEFT JOIN recording r ON r.id = a.of_recording LEFT JOIN patient p ON p.id = r.patient_id"
        " ORDER BY a.requested_at DESC",
        (device_id, RECORDINGS_SHOWN),
    )
    kept = ("recording_id", "patient_name", "requested_at", "ended_at", "end_reason")
    return [_account(row) | {name: row[name] for name in kept} for row in found]


async def _clock(conn: Connection, device_id: str) -> dict[str, float] | None:
    """Offset (hub minus device, seconds) and drift as its newest recording tells them."""
    found = await db.rows(conn, "SELECT * FROM hub_device_clock(%s)", (device_id,))
    clock = sequencing.estimate_clock(
        [(row["at"].timestamp(), row["at"].timestamp() + row["offset_s"]) for row in found]
    )
    return {"offset_s": clock.offset_s, "drift_ppm": clock.drift_ppm} if clock is not None else None


async def _worn_by(conn: Connection, device_id: str) -> dict[str, Any] | None:
    """The patient it is paired with, if the actor may see that patient."""
    return await db.maybe(
        conn,
        "SELECT p.id, p.name, lower(q.during) AS since_at FROM device d"
        " JOIN device_pairing q ON q.device_number = d.number AND upper_inf(q.during)"
        " JOIN patient p ON p.id = q.patient_id WHERE d.id = %s",
        (device_id,),
    )


@dataclass(frozen=True, slots=True)
class Missing:
    """Ranges of one boot that a device still owes, for `ask`."""

    topic: str
    recording_id: UUID
    boot: int
    ranges: tuple[tuple[int, int], ...]


async def missing(conn: Connection, device_id: str) -> list[Missing]:
    """What the running recording of a device lacks and the device has not declared lost."""
    found = await db.rows(conn, "SELECT * FROM hub_device_missing(%s)", (device_id,))
    return [
        Missing(
            f"cmd/{row['shard']}/{device_id}", row["recording_id"], row["boot"],
            tuple((part.lower, part.upper) for part in row["missing"])[: MAX_RANGES],
        )
        for row in found
    ]  # fmt: skip
