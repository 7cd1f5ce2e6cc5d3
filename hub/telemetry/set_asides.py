"""Messages that could not be used, for those who manage devices: by reason, opened, taken once more, or put away.

Nothing is deleted: what was stored after all, or put away by somebody's decision, keeps its bytes and says so.
Taking them once more is ingest's work, asked for by the name of its job; a message that comes again from the device
after it had been stored is open again, one that was put away is not.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from devices import DecodeError, event, packet, senml
from hub.core import db, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit

REPLAY_JOB: Final = "ingest.replay"
LISTED: Final = 100
SHOWN_BYTES: Final = 4096
SHOWN_RECORDS: Final = 50
ASKED_AT_ONCE: Final = 10_000
OPEN: Final = (
    "discarded_at IS NULL AND (replayed_at IS NULL OR replay_result = 'set-aside' OR last_at > replayed_at)"
)
_COLUMNS: Final = (
    "SELECT id, topic, device_id, reason, detail, length(payload) AS size_bytes, times, first_at, last_at,"
    "  discarded_at, discard_reason, replay_asked_at, replayed_at, replay_result, replay_reason"
)
_CHOSEN: Final = (
    "(%(reason)s::text IS NULL OR reason = %(reason)s)"
    " AND (%(device)s::text IS NULL OR device_id = %(device)s)"
)


async def set_asides(
    conn: Connection,
    actor: Actor,
    at: datetime,
    before: datetime | None,
    *,
    reason: str | None = None,
    device_id: str | None = None,
    handled: bool = False,
) -> list[Row]:
    """The newest that are open (or not any more), last seen before an instant, as far as the actor manages devices."""
    await access.require(conn, actor, at, "set-aside.read")
    return await db.rows(
        conn,
        f"{_COLUMNS} FROM set_aside WHERE ({OPEN}) <> %(handled)s AND {_CHOSEN}"
        " AND (%(before)s::timestamptz IS NULL OR last_at < %(before)s) ORDER BY last_at DESC LIMIT %(limit)s",
        {"before": before, "reason": reason, "device": device_id, "handled": handled, "limit": LISTED},
    )


async def reasons(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """How many are open for each reason, of how many devices, how often they came, and how many wait to be taken."""
    await access.require(conn, actor, at, "set-aside.read")
    return await db.rows(
        conn,
        "SELECT reason, count(*) AS messages, count(DISTINCT device_id) AS devices, sum(times)::bigint AS times,"
        "  count(*) FILTER (WHERE replay_asked_at IS NOT NULL) AS asked, max(last_at) AS last_at"
        f" FROM set_aside WHERE {OPEN} GROUP BY reason ORDER BY messages DESC, reason",
    )


async def set_aside(conn: Connection, actor: Actor, at: datetime, set_aside_id: UUID) -> dict[str, Any]:
    """One with its first bytes and what can be read of it. It may hold a patient's signal: looking is written down."""
    row = await db.one(
        conn, f"{_COLUMNS}, organisation_id, payload FROM set_aside WHERE id = %s", (set_aside_id,)
    )
    organisation_id, payload = row.pop("organisation_id"), bytes(row.pop("payload"))
    await access.require(conn, actor, at, "set-aside.read", organisation_id=organisation_id)
    await audit.record(
        conn, actor, at, "set-aside.read", "set-aside", set_aside_id, organisation_id=organisation_id
    )
    return row | {"payload_hex": payload[:SHOWN_BYTES].hex(), "decoded": decoded(row["topic"], payload)}


async def ask_replay(
    conn: Connection,
    actor: Actor,
    at: datetime,
    *,
    set_aside_id: UUID | None = None,
    reason: str | None = None,
    device_id: str | None = None,
) -> int:
    """Have open messages taken once more: one, or all of a reason and a device; how many. Done by a job."""
    await access.require(conn, actor, at, "set-aside.replay")
    if set_aside_id is not None:
        one = await db.one(conn, "SELECT organisation_id FROM set_aside WHERE id = %s", (set_aside_id,))
        await access.require(conn, actor, at, "set-aside.replay", organisation_id=one["organisation_id"])
    asked = await db.run(
        conn,
        "UPDATE set_aside SET replay_asked_at = %(at)s WHERE id IN ("
        f"  SELECT id FROM set_aside WHERE {OPEN} AND {_CHOSEN} AND (%(id)s::uuid IS NULL OR id = %(id)s)"
        "  ORDER BY first_at LIMIT %(limit)s)",
        {"at": at, "reason": reason, "device": device_id, "id": set_aside_id, "limit": ASKED_AT_ONCE},
    )
    if asked:
        await jobs.enqueue(conn, at, REPLAY_JOB, str(ids.new(at)), {"asked_by": actor.id})
    await audit.record(
        conn, actor, at, "set-aside.replay", "set-aside", set_aside_id or "many", reason=reason,
        device=device_id, messages=asked,
    )  # fmt: skip
    return asked


async def discard_set_aside(
    conn: Connection, actor: Actor, at: datetime, set_aside_id: UUID, why: str = ""
) -> None:
    """Put one away with the reason somebody gives; its bytes stay."""
    row = await db.one(
        conn, "SELECT organisation_id, reason FROM set_aside WHERE id = %s FOR UPDATE", (set_aside_id,)
    )
    organisation_id = row["organisation_id"]
    await access.require(conn, actor, at, "set-aside.discard", organisation_id=organisation_id)
    await db.run(
        conn,
        "UPDATE set_aside SET discarded_at = %s, discarded_by = %s, discard_reason = %s, replay_asked_at = NULL"
        " WHERE id = %s AND discarded_at IS NULL",
        (at, actor.account_id if actor.kind == "person" else None, why, set_aside_id),
    )
    await audit.record(
        conn, actor, at, "set-aside.discard", "set-aside", set_aside_id, organisation_id=organisation_id,
        reason=row["reason"],
    )  # fmt: skip


def decoded(topic: str, payload: bytes) -> dict[str, Any] | None:
    """What the message says of itself, without the values measured; None if it can't be read at all."""
    read = _READERS.get(topic.rpartition("/")[2])
    try:
        return read(payload) if read is not None else None
    except DecodeError:
        return None


def _packet(payload: bytes) -> dict[str, Any]:
    one = packet.decode(payload)
    return {
        "recording": UUID(bytes=one.recording), "boot": one.boot, "sequence": one.sequence,
        "first_sample": one.first_sample, "samples": one.samples.shape[1], "oldest": one.oldest, "fs_hz": one.fs_hz,
        "leads": ", ".join(one.leads), "uv_per_lsb": one.uv_per_lsb, "device_time_s": one.device_time_s,
    }  # fmt: skip


def _event(payload: bytes) -> dict[str, Any]:
    one = event.decode(payload)
    return {
        "kind": one.kind, "event": one.id, "recording": UUID(bytes=one.recording) if one.recording else None,
        "boot": one.boot, "device_time_s": one.device_time_s,
    }  # fmt: skip


def _vitals(payload: bytes) -> dict[str, Any]:
    measurements, rejected = senml.decode(payload, 0.0)
    codes = sorted({one.code for one in measurements})[:SHOWN_RECORDS]
    why = [f"{one.index}: {one.reason}" for one in rejected[:SHOWN_RECORDS]]
    return {"records": len(measurements), "codes": ", ".join(codes), "rejected": "; ".join(why)}


_READERS: Final[dict[str, Callable[[bytes], dict[str, Any]]]] = {
    "ecg": _packet,
    "event": _event,
    "vitals": _vitals,
}
