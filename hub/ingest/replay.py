"""Messages that were set aside, taken once more after what was wrong with them has been mended.

Somebody asked for it (hub/telemetry/set_asides.py marks the rows and enqueues the job). Each message goes the way of
one that comes from the broker: decoded, bound, stored or set aside again, in one transaction that also writes down
what came of it. Row locks per boot make it safe beside the tick; what is stored already is a duplicate and changes
nothing. It acts as hub_ingest, which alone may write samples. No live analysis: the past is the record pass's.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import psycopg

from hub.alarms import sos
from hub.alarms.raising import LATE_AFTER, raise_alarm
from hub.core import db, errors
from hub.core.db import Connection, Database, Row
from hub.core.jobs import Context, JobKind
from hub.ingest import tick
from hub.ingest.bindings import Bindings, load_devices, load_recordings
from hub.ingest.days import Days
from hub.ingest.decoding import Item, Received, decode, device_of, hub_failure
from hub.ingest.engine import ACTOR
from hub.ingest.set_aside import SetAside
from hub.ingest.tick import Sorted, Stored
from hub.telemetry import set_asides

TAKEN_AT_ONCE: Final = 100  # rows read at a time; each has a transaction of its own


async def replay_asked(context: Context, _payload: dict[str, Any]) -> None:
    """`ingest.replay`: everything that is asked for, the first that came first."""
    async with Database(context.db.dsn, "hub_ingest", size=1) as database:
        while rows := await _asked(database, context.at):
            for row in rows:
                await _replay_one(database, context.at, row)


async def _asked(database: Database, at: datetime) -> list[Row]:
    async with database.transaction(ACTOR, at) as conn:
        return await db.rows(
            conn,
            "SELECT id, topic, payload, first_at, last_at FROM set_aside WHERE replay_asked_at IS NOT NULL"
            " ORDER BY first_at, id LIMIT %s",
            (TAKEN_AT_ONCE,),
        )


async def _replay_one(database: Database, at: datetime, row: Row) -> None:
    days = Days()
    try:
        async with database.transaction(ACTOR, at) as conn:
            batch = await _sorted(conn, row)
            new_event = await _has_new_event(conn, batch)
            stored = await tick.store(conn, at, batch, days, {})
            await _raise_sos(conn, at, batch)
            await _write_down(conn, at, row, stored, new_event)
    except (errors.HubError, psycopg.OperationalError):
        raise  # the database's fault: the job comes again
    except Exception as failure:  # the hub fails on it still
        refused = SetAside(Item(_received(row), None), hub_failure(failure))
        async with database.transaction(ACTOR, at) as conn:
            await _mark(conn, at, row, "set-aside", refused)


async def _sorted(conn: Connection, row: Row) -> Sorted:
    """Decoded and bound by what is known of devices and recordings now."""
    bindings, received = Bindings(), _received(row)
    name = device_of(received.topic)
    if name is not None:
        await load_devices(conn, bindings, {name})
    item = decode(received, bindings.devices)
    running = bindings.open_recordings.get(item.device.id) if item.device is not None else None
    named = tick.named_recordings([item]) | ({running} if running is not None else set())
    if named:
        await load_recordings(conn, bindings, named)
    offsets = await _clock_offsets(conn, name)
    return tick.sort_out([item], bindings, lambda device: offsets.get(device, 0.0))


def _received(row: Row) -> Received:
    """As it came first: what tells of time by its arrival is read by that."""
    shard = row["topic"].split("/")[1] if "/" in row["topic"] else ""
    return Received(shard, row["topic"], bytes(row["payload"]), row["first_at"].timestamp())


async def _clock_offsets(conn: Connection, device_id: str | None) -> Mapping[str, float]:
    found = await db.rows(
        conn,
        "SELECT device_id, clock_offset_s FROM device_state WHERE device_id = %s AND clock_offset_s IS NOT NULL",
        (device_id,),
    )
    return {row["device_id"]: row["clock_offset_s"] for row in found}


async def _has_new_event(conn: Connection, batch: Sorted) -> bool:
    """Whether any event is not kept yet; of the device itself, without a recording, none is kept."""
    if any(h.recording is None for h in batch.happenings):
        return True
    bound = {h.id for h in batch.happenings}
    known = await db.rows(conn, "SELECT id FROM recording_event WHERE id = ANY(%s)", (list(bound),))
    return len(known) < len(bound)


async def _raise_sos(conn: Connection, at: datetime, batch: Sorted) -> None:
    """The patient's own alarms: a press is one alarm, however often it is told."""
    for one in batch.happenings:
        if one.event.kind == sos.SOS and one.recording is not None:
            cause = sos.cause_of(one.device.id, one.event, one.received_s)
            late = cause.late or at - cause.onset_at > LATE_AFTER
            await raise_alarm(conn, ACTOR, at, one.recording, replace(cause, late=late))


async def _write_down(conn: Connection, at: datetime, row: Row, stored: Stored, new_event: bool) -> None:
    if stored.refused:
        await _mark(conn, at, row, "set-aside", stored.refused[0], counted=len(stored.refused))
    else:
        is_new = stored.samples or stored.vitals or new_event
        await _mark(conn, at, row, "stored" if is_new else "duplicate", None)


async def _mark(
    conn: Connection, at: datetime, row: Row, result: str, refused: SetAside | None, counted: int = 0
) -> None:
    """What came of it. Setting aside again counts the message as one that came; it did not, so that is taken back."""
    await db.run(
        conn,
        "UPDATE set_aside SET replay_asked_at = NULL, replay_result = %(result)s,"
        "  replayed_at = %(at)s, replay_reason = %(reason)s, reason = coalesce(%(reason)s, reason),"
        "  detail = coalesce(%(detail)s, detail), times = times - %(counted)s,"
        "  last_at = CASE WHEN last_at = %(at)s THEN %(last_at)s ELSE last_at END"
        " WHERE id = %(id)s AND replay_asked_at IS NOT NULL",
        {
            "result": result, "at": at, "id": row["id"], "last_at": row["last_at"], "counted": counted,
            "reason": refused.refusal.reason if refused else None,
            "detail": refused.refusal.detail if refused else None,
        },
    )  # fmt: skip


JOBS: dict[str, JobKind] = {set_asides.REPLAY_JOB: JobKind(replay_asked)}
