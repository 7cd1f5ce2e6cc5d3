"""Recordings: started for a request on a device, ended, given up, cancelled; and what there is of them.

requested (the device has been asked) -> recording (its first sample is stored) -> stopping -> ended; or discarded:
taken back before anything had come or at the signal check. What is stored of a discarded one stays, unread.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hub.core import db, errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit
from hub.people.patients import age_years
from hub.telemetry import closing, commands, ledger
from hub.telemetry.devices import require_free, usable_device

STATUSES: Final = ("requested", "recording", "stopping", "ended", "discarded")
LISTED: Final = 200
DEFAULT_FS_HZ: Final = 250
DEFAULT_LEADS: Final = ("MDC_ECG_LEAD_I", "MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1")
NO_DATA_AFTER_S: Final = 60
CANCELLED_WITHIN: Final = timedelta(
    minutes=15
)  # of its first sample: the signal check, not a Holter to be read

_COLUMNS: Final = (
    "SELECT r.*, p.name AS patient_name, p.sex, p.birth_date, q.planned_hours, o.name AS organisation_name,"
    "  o.name_en AS organisation_name_en, coalesce(s.connected, false) AS connected, s.last_seen_at,"
    "  s.battery_percent, s.backlog_s, s.backlog_per_s, s.clock_offset_s, s.clock_drift_ppm,"
    "  (SELECT e.detail->>'detail' FROM recording_event e"
    "    WHERE e.recording_id = r.id AND e.kind = 'command' AND e.detail->>'detail' LIKE 'refused%%'"
    "    ORDER BY e.received_at DESC LIMIT 1) AS refusal"
    " FROM recording r JOIN patient p ON p.id = r.patient_id JOIN organisation o ON o.id = r.organisation_id"
    " LEFT JOIN service_request q ON q.id = r.service_request_id"
    " LEFT JOIN device_state s ON s.device_id = r.device_id"
)


@dataclass(frozen=True)
class Wanted:
    """How it is to be recorded; a device that can only do otherwise decides by its first packet."""

    fs_hz: int = DEFAULT_FS_HZ
    leads: tuple[str, ...] = DEFAULT_LEADS
    no_data_after_s: int = NO_DATA_AFTER_S


async def start_recording(
    conn: Connection, actor: Actor, at: datetime, request_id: UUID, device_id: str, wanted: Wanted
) -> dict[str, Any]:
    """Pair a free device with the patient of a request and tell it to start."""
    request = await db.one(
        conn,
        "SELECT patient_id, organisation_id, status, pacemaker FROM service_request WHERE id = %s",
        (request_id,),
    )
    await access.require(conn, actor, at, "recording.start", patient_id=request["patient_id"])
    if request["status"] != "active":
        raise errors.error("request_closed")
    device = await usable_device(conn, actor, at, device_id)
    await require_free(conn, device["number"])
    recording_id = ids.new(at)
    await db.run(
        conn,
        "INSERT INTO recording (id, patient_id, organisation_id, device_id, service_request_id, status, fs_hz,"
        "  leads, paced, requested_at, no_data_after_s) VALUES (%s, %s, %s, %s, %s, 'requested', %s, %s, %s, %s, %s)",
        (
            recording_id, request["patient_id"], request["organisation_id"], device_id, request_id, wanted.fs_hz,
            list(wanted.leads), request["pacemaker"], at, wanted.no_data_after_s,
        ),
    )  # fmt: skip
    await db.run(
        conn,
        "INSERT INTO device_pairing (id, device_number, patient_id, during) VALUES (%s, %s, %s, tstzrange(%s, NULL))",
        (ids.new(at), device["number"], request["patient_id"], at),
    )
    await commands.enqueue(conn, at, recording_id, "start")
    return await _changed(conn, actor, at, recording_id, "recording.start")


async def end_recording(conn: Connection, actor: Actor, at: datetime, recording_id: UUID) -> dict[str, Any]:
    """Ask the device to stop; the recording ends when everything it holds is stored."""
    row = await _locked(conn, actor, at, recording_id, "recording.end")
    if row["status"] not in ("recording", "stopping"):
        raise errors.error("recording_not_running", status=row["status"])
    if row["status"] == "recording":
        await db.run(
            conn,
            "UPDATE recording SET status = 'stopping', stop_requested_at = %s WHERE id = %s",
            (at, recording_id),
        )
        await commands.enqueue(conn, at, recording_id, "stop")
    return await _changed(conn, actor, at, recording_id, "recording.end")


async def discard_rest(
    conn: Connection, actor: Actor, at: datetime, recording_id: UUID, reason: str
) -> dict[str, Any]:
    """Close with gaps: what the device still holds is not waited for. Late samples are stored all the same."""
    row = await _locked(conn, actor, at, recording_id, "recording.discard")
    if row["status"] not in ("recording", "stopping"):
        raise errors.error("recording_not_running", status=row["status"])
    await db.run(conn, "SELECT FROM recording_give_up(%s)", (recording_id,))
    await closing.close_with_gaps(conn, at, recording_id)
    await commands.enqueue(conn, at, recording_id, "stop")
    return await _changed(conn, actor, at, recording_id, "recording.discard", reason=reason)


async def cancel_recording(
    conn: Connection, actor: Actor, at: datetime, recording_id: UUID
) -> dict[str, Any]:
    """Take back a start: nothing of it is read, and the decision frees the device.

    What the device still holds is stored and acknowledged all the same, so that its buffer empties.
    """
    row = await _locked(conn, actor, at, recording_id, "recording.end")
    if not _is_cancellable(row, at):
        raise errors.error("recording_not_requested", status=row["status"])
    await db.run(
        conn,
        "UPDATE recording SET status = 'discarded', ended_at = %s, end_reason = 'cancelled' WHERE id = %s",
        (at, recording_id),
    )
    await closing.unpair(conn, at, row["device_id"], row["patient_id"])
    await commands.enqueue(conn, at, recording_id, "stop")
    return await _changed(conn, actor, at, recording_id, "recording.cancel")


def _is_cancellable(row: Row, at: datetime) -> bool:
    if row["status"] == "recording":
        return bool(at - row["started_at"] < CANCELLED_WITHIN)
    return bool(row["status"] == "requested")


async def _locked(conn: Connection, actor: Actor, at: datetime, recording_id: UUID, action: str) -> Row:
    row = await db.one(
        conn,
        "SELECT patient_id, device_id, status, started_at FROM recording WHERE id = %s FOR UPDATE",
        (recording_id,),
    )
    await access.require(conn, actor, at, action, patient_id=row["patient_id"])
    return row


async def _changed(
    conn: Connection, actor: Actor, at: datetime, recording_id: UUID, action: str, reason: str | None = None
) -> dict[str, Any]:
    """Tell who listens, write it down, and return the recording as it is now."""
    row = await db.one(conn, "SELECT patient_id, device_id FROM recording WHERE id = %s", (recording_id,))
    await db.notify(conn, closing.CHANNEL, recording_id=str(recording_id), device_id=row["device_id"])
    await audit.record(
        conn, actor, at, action, "recording", recording_id, patient_id=row["patient_id"], reason=reason
    )
    return await _read(conn, at, recording_id)


async def recordings(
    conn: Connection, actor: Actor, at: datetime, *, status: str | None, request_id: UUID | None
) -> list[dict[str, Any]]:
    """The newest recordings of the patients within the actor's reach."""
    await access.require(conn, actor, at, "recording.read")
    found = await db.rows(
        conn,
        f"{_COLUMNS} WHERE (%(status)s::text IS NULL OR r.status = %(status)s)"
        " AND (%(request)s::uuid IS NULL OR r.service_request_id = %(request)s)"
        " ORDER BY r.requested_at DESC LIMIT %(limit)s",
        {"status": status, "request": request_id, "limit": LISTED},
    )
    return [await _shown(conn, at, row) for row in found]


async def read_recording(conn: Connection, actor: Actor, at: datetime, recording_id: UUID) -> dict[str, Any]:
    """One recording with its ledger."""
    row = await db.one(conn, "SELECT patient_id FROM recording WHERE id = %s", (recording_id,))
    await access.require(conn, actor, at, "recording.read", patient_id=row["patient_id"])
    return await _read(conn, at, recording_id)


async def read_boots(conn: Connection, recording_id: UUID, fs_hz: int) -> list[ledger.Boot]:
    """The boots of a recording the caller may see, in order of time."""
    boot_rows = await db.rows(conn, "SELECT * FROM recording_boots(%s)", (recording_id,))
    clock_rows = await db.rows(conn, "SELECT * FROM recording_clocks(%s)", (recording_id,))
    return ledger.boots_of(boot_rows, clock_rows)


async def _read(conn: Connection, at: datetime, recording_id: UUID) -> dict[str, Any]:
    return await _shown(conn, at, await db.one(conn, f"{_COLUMNS} WHERE r.id = %s", (recording_id,)))


_PLAIN: Final = (
    "id", "device_id", "service_request_id", "status", "fs_hz", "leads", "uv_per_lsb", "paced", "requested_at",
    "started_at", "stop_requested_at", "ended_at", "end_reason", "refusal",
)  # fmt: skip
_OF_DEVICE: Final = (
    "connected", "last_seen_at", "battery_percent", "backlog_s", "clock_offset_s", "clock_drift_ppm",
)  # fmt: skip
HEARD_WITHIN: Final = timedelta(seconds=20)  # a rate of arrival is of now


async def _shown(conn: Connection, at: datetime, row: Row) -> dict[str, Any]:
    """A recording as docs/protocol/http.md has it."""
    boots = await read_boots(conn, row["id"], row["fs_hz"])
    newest = ledger.newest_at(boots, row["fs_hz"])
    planned, stopped_at = None, row["stop_requested_at"]
    if row["planned_hours"] is not None:
        planned = (row["started_at"] or row["requested_at"]) + timedelta(hours=row["planned_hours"])
    return {
        **{name: row[name] for name in _PLAIN},
        "patient": {
            "id": row["patient_id"],
            "name": row["patient_name"],
            "sex": row["sex"],
            "age_years": age_years(row["birth_date"], at),
        },
        "organisation": {
            "id": row["organisation_id"],
            "name": row["organisation_name"],
            "name_en": row["organisation_name_en"],
        },
        "planned_end_at": planned,
        "newest_at": newest,
        "clock_offset_s": ledger.clock_offset_s(boots),
        "clock": ledger.clock_json(boots),
        "backlog": _backlog(boots, row, at),
        "device": {name: row[name] for name in _OF_DEVICE},
        "drain_ends_at": stopped_at + closing.DRAIN_TIMEOUT if row["status"] == "stopping" else None,
        "ledger": ledger.ledger_json(boots, row["fs_hz"]),
    }


def _backlog(boots: list[ledger.Boot], row: Row, at: datetime) -> dict[str, float | None]:
    """What the device is known to hold back, and how long that takes at the rate it comes now; None if nobody can
    say: nothing comes, or too little has come to tell a rate.
    """
    waiting_s = ledger.waiting(boots) / row["fs_hz"]
    heard = row["connected"] and row["last_seen_at"] is not None and at - row["last_seen_at"] < HEARD_WITHIN
    rate = row["backlog_per_s"] if heard else None
    return {"waiting_s": round(waiting_s, 1), "left_s": round(waiting_s / rate) if rate else None}
