"""What happened during a recording: what the device told, and the diary of the desk."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core import db, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit
from hub.telemetry import closing
from hub.telemetry.recordings import read_boots

DIARY = "diary"


async def events(conn: Connection, actor: Actor, at: datetime, recording_id: UUID) -> list[Row]:
    """Events and diary entries in order of time; what names its sample lies where that lies."""
    recording = await db.one(conn, "SELECT patient_id, fs_hz FROM recording WHERE id = %s", (recording_id,))
    await access.require(conn, actor, at, "recording.read", patient_id=recording["patient_id"])
    found = await db.rows(
        conn,
        "SELECT id, kind, at, boot, sample, detail, device_id FROM recording_event WHERE recording_id = %s",
        (recording_id,),
    )
    boots = {boot.boot: boot for boot in await read_boots(conn, recording_id, recording["fs_hz"])}
    for row in found:
        boot = boots.get(row["boot"])
        if boot is not None and boot.clock is not None and row["sample"] is not None:
            row["at"] = boot.at(row["sample"], recording["fs_hz"])
    return sorted(found, key=lambda row: (row["at"], row["id"]))


async def add_diary(
    conn: Connection, actor: Actor, at: datetime, recording_id: UUID, happened_at: datetime, text: str
) -> dict[str, Any]:
    """What the patient did or felt, and when."""
    recording = await db.one(conn, "SELECT patient_id FROM recording WHERE id = %s", (recording_id,))
    patient_id = recording["patient_id"]
    await access.require(conn, actor, at, "diary.add", patient_id=patient_id)
    entry_id = str(ids.new(at))
    await db.run(
        conn,
        "INSERT INTO recording_event (id, recording_id, kind, at, detail, received_at) VALUES (%s, %s, %s, %s, %s, %s)",
        (entry_id, recording_id, DIARY, happened_at, Jsonb({"text": text}), at),
    )
    await db.notify(conn, closing.CHANNEL, recording_id=str(recording_id))
    await audit.record(conn, actor, at, "diary.add", "recording", recording_id, patient_id=patient_id)
    return {"id": entry_id, "kind": DIARY, "at": happened_at, "detail": {"text": text}}
