"""What people do with incidents: see them, take one upon themselves, write what came of it.

One person owns an incident. Resolving says what was done; the condition may still last, and is then no longer
counted as open. What is gone by itself stays in the list of the day.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.core.incidents import FACTS, KINDS, tell
from hub.people import access, audit

LISTED: Final = 200
LIST_FOR: Final = timedelta(hours=24)
_COLUMNS: Final = (
    "SELECT i.id, i.kind, i.subject, i.device_id, i.detail, i.times, i.since_at, i.last_at, i.gone_at, i.owner_id,"
    "  o.name AS owner_name, i.owned_at, i.resolved_at, i.outcome"
    " FROM incident i LEFT JOIN account o ON o.id = i.owner_id"
)
_ROOT_SQL: Final = "SELECT id FROM organisation WHERE parent_id IS NULL ORDER BY created_at LIMIT 1"


async def read_incidents(conn: Connection, actor: Actor, at: datetime) -> list[dict[str, Any]]:
    """What lasts and what was in the last 24 hours, the urgent and newest first."""
    await access.require(conn, actor, at, "incident.read")
    found = await db.rows(
        conn,
        f"{_COLUMNS} WHERE i.gone_at IS NULL OR i.gone_at > %s"
        " ORDER BY i.gone_at IS NOT NULL, i.since_at DESC LIMIT %s",
        (at - LIST_FOR, LISTED),
    )
    root = await db.maybe(conn, _ROOT_SQL)
    everywhere = root is not None and await access.allows(
        conn, actor, at, "incident.take", organisation_id=root["id"]
    )
    return [_incident(row) | {"may_handle": everywhere or row["device_id"] is not None} for row in found]


async def take_incident(
    conn: Connection, actor: Actor, at: datetime, incident_id: UUID, *, take_over: bool = False
) -> dict[str, Any]:
    """Take an incident upon oneself; another's only by taking it over."""
    row = await _locked(conn, actor, at, incident_id, "incident.take")
    mine = row["owner_id"] == actor.account_id
    if row["owner_id"] is not None and not mine and not take_over:
        raise errors.error("incident_owned")
    if not mine:
        await db.run(
            conn,
            "UPDATE incident SET owner_id = %s, owned_at = %s WHERE id = %s",
            (actor.account_id, at, incident_id),
        )
        await _handled(conn, actor, at, row, "incident.take")
    return await _one(conn, incident_id)


async def resolve_incident(
    conn: Connection, actor: Actor, at: datetime, incident_id: UUID, outcome: str
) -> dict[str, Any]:
    """Write what came of it; whoever resolves becomes its owner if nobody was."""
    row = await _locked(conn, actor, at, incident_id, "incident.resolve")
    if row["owner_id"] not in (None, actor.account_id):
        raise errors.error("incident_owned")
    await db.run(
        conn,
        "UPDATE incident SET resolved_at = %(at)s, resolved_by = %(who)s, outcome = %(outcome)s,"
        " owner_id = %(who)s, owned_at = coalesce(owned_at, %(at)s) WHERE id = %(id)s",
        {"at": at, "who": actor.account_id, "outcome": outcome, "id": incident_id},
    )
    await _handled(conn, actor, at, row, "incident.resolve")
    return await _one(conn, incident_id)


async def _locked(conn: Connection, actor: Actor, at: datetime, incident_id: UUID, action: str) -> Row:
    """A broken hop of the hub is for who holds the role at a root of the tree, a device for who manages it."""
    row = await db.one(
        conn,
        "SELECT i.id, i.kind, i.subject, i.owner_id, i.resolved_at,"
        f"  coalesce(d.organisation_id, ({_ROOT_SQL})) AS organisation_id"
        " FROM incident i LEFT JOIN device d ON d.id = i.device_id WHERE i.id = %s FOR UPDATE OF i",
        (incident_id,),
    )
    await access.require(conn, actor, at, action, organisation_id=row["organisation_id"])
    if row["resolved_at"] is not None:
        raise errors.error("incident_resolved")
    return row


async def _handled(conn: Connection, actor: Actor, at: datetime, row: Row, action: str) -> None:
    await tell(conn, row["kind"])
    await audit.record(
        conn, actor, at, action, "incident", row["id"], organisation_id=row["organisation_id"], kind=row["kind"]
    )  # fmt: skip


async def _one(conn: Connection, incident_id: UUID) -> dict[str, Any]:
    return _incident(await db.one(conn, f"{_COLUMNS} WHERE i.id = %s", (incident_id,)))


def _incident(row: Row) -> dict[str, Any]:
    owner_id, owner_name = row.pop("owner_id"), row.pop("owner_name")
    row["facts"] = facts_json(row.pop("detail"))
    owner = {"id": owner_id, "name": owner_name} if owner_id is not None else None
    return row | kind_json(row["kind"]) | {"owner": owner}


def kind_json(kind: str) -> dict[str, Any]:
    """The words of a kind; one of a newer or older program is shown by its name."""
    known = KINDS.get(kind)
    if known is None:
        return {"priority": "low", "words": {"zh-CN": kind, "en": kind}, "todo": {"zh-CN": "", "en": ""}}
    return {
        "priority": known.priority,
        "words": {"zh-CN": known.zh, "en": known.en},
        "todo": {"zh-CN": known.do_zh, "en": known.do_en},
    }


def facts_json(detail: dict[str, Any]) -> list[dict[str, Any]]:
    """The facts with their names and units, in the order of the table."""
    return [
        {"name": name, "label": {"zh-CN": fact.zh, "en": fact.en}, "unit": fact.unit, "value": detail[name]}
        for name, fact in FACTS.items()
        if name in detail
    ]
