"""Devices: provisioned once with a shard and a password, paired with whom they measure, retired at the end.

The shard never changes; a new device gets the one with the fewest devices. The broker learns of accounts by NOTIFY
`hub_devices`. The password is shown once; only its hash is kept, as the broker wants it.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from devices.drivers import DRIVERS
from hub.core import broker, db, errors, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit

KINDS: Final = ("holter", "wearable", "monitor", "fridge")
OWN_DRIVER: Final = "telehub"
ASK_JOB: Final = "device.ask"
DRIVER_NAMES: Final = (OWN_DRIVER, *DRIVERS)
ID_PATTERN: Final = r"[a-z0-9][a-z0-9-]{2,40}"


@dataclass(frozen=True)
class NewDevice:
    """What is asked for a device."""

    id: str
    kind: str
    name: str
    organisation_id: UUID
    driver: str = OWN_DRIVER


@dataclass(frozen=True)
class Provisioned:
    """A new device's account at the broker; the password exists nowhere else."""

    shard: str
    username: str
    password: str


async def provision_device(
    conn: Connection, actor: Actor, at: datetime, shards: int, new: NewDevice
) -> Provisioned:
    """Add a device; its id must be new for ever."""
    await access.require(conn, actor, at, "device.provision", organisation_id=new.organisation_id)
    password, shard = secrets.token_urlsafe(16), await _emptiest_shard(conn, shards)
    added = await db.run(
        conn,
        "INSERT INTO device (id, shard, kind, driver, name, organisation_id, password_hash, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (
            new.id, shard, new.kind, new.driver, new.name, new.organisation_id, broker.password_hash(password), at,
        ),
    )  # fmt: skip
    if not added:
        raise errors.error("device_exists")
    await db.notify(conn, broker.DEVICES_CHANGED, device_id=new.id)
    await audit.record(
        conn,
        actor,
        at,
        "device.provision",
        "device",
        new.id,
        organisation_id=new.organisation_id,
        kind=new.kind,
    )
    return Provisioned(shard, f"{shard}/{new.id}", password)


async def _emptiest_shard(conn: Connection, shards: int) -> str:
    found = await db.rows(
        conn, "SELECT shard, count(*) AS devices FROM device WHERE retired_at IS NULL GROUP BY shard"
    )
    used = {row["shard"]: row["devices"] for row in found}
    return min((f"{number:02x}" for number in range(shards)), key=lambda shard: used.get(shard, 0))


async def broker_accounts(conn: Connection) -> list[broker.Account]:
    """Every device in service, as the broker must know it."""
    found = await db.rows(conn, "SELECT id, shard, password_hash FROM device WHERE retired_at IS NULL")
    return [broker.Account(f"{row['shard']}/{row['id']}", row["password_hash"]) for row in found]


async def retire_device(conn: Connection, actor: Actor, at: datetime, device_id: str) -> None:
    """Take a device out of use; not while it measures somebody."""
    row = await db.one(
        conn, "SELECT number, organisation_id, retired_at FROM device WHERE id = %s FOR UPDATE", (device_id,)
    )
    await access.require(conn, actor, at, "device.retire", organisation_id=row["organisation_id"])
    if row["retired_at"] is None:
        await require_free(conn, row["number"])
        await db.run(conn, "UPDATE device SET retired_at = %s WHERE id = %s", (at, device_id))
        await db.notify(conn, broker.DEVICES_CHANGED, device_id=device_id)
    await audit.record(
        conn, actor, at, "device.retire", "device", device_id, organisation_id=row["organisation_id"]
    )


async def require_free(conn: Connection, device_number: int) -> None:
    """Raise while a device is paired."""
    paired = await db.maybe(
        conn, "SELECT FROM device_pairing WHERE device_number = %s AND upper_inf(during)", (device_number,)
    )
    if paired is not None:
        raise errors.error("device_busy")


async def pair_device(conn: Connection, actor: Actor, at: datetime, device_id: str, patient_id: UUID) -> UUID:
    """From now on what a wearable measures is this patient's."""
    await access.require(conn, actor, at, "device.pair", patient_id=patient_id)
    device = await usable_device(conn, actor, at, device_id)
    await require_free(conn, device["number"])
    pairing_id = ids.new(at)
    await db.run(
        conn,
        "INSERT INTO device_pairing (id, device_number, patient_id, during) VALUES (%s, %s, %s, tstzrange(%s, NULL))",
        (pairing_id, device["number"], patient_id, at),
    )
    await audit.record(conn, actor, at, "device.pair", "device", device_id, patient_id=patient_id)
    return pairing_id


async def unpair_device(conn: Connection, actor: Actor, at: datetime, device_id: str) -> None:
    """From now on what the device measures is nobody's. A recording is ended, not unpaired."""
    row = await db.one(
        conn,
        "SELECT p.id, p.patient_id, EXISTS (SELECT FROM recording r WHERE r.device_id = d.id"
        "   AND r.status IN ('requested', 'recording', 'stopping')) AS records"
        " FROM device d JOIN device_pairing p ON p.device_number = d.number AND upper_inf(p.during)"
        " WHERE d.id = %s FOR UPDATE OF p",
        (device_id,),
    )
    await access.require(conn, actor, at, "device.pair", patient_id=row["patient_id"])
    if row["records"]:
        raise errors.error("device_busy")
    await db.run(
        conn,
        "UPDATE device_pairing SET during = tstzrange(lower(during), greatest(lower(during), %s)) WHERE id = %s",
        (at, row["id"]),
    )
    await audit.record(conn, actor, at, "device.unpair", "device", device_id, patient_id=row["patient_id"])


async def ask_again(conn: Connection, actor: Actor, at: datetime, device_id: str) -> None:
    """Have the device asked for what its running recording lacks; done by a job, answered by an event."""
    row = await db.one(conn, "SELECT organisation_id FROM device WHERE id = %s", (device_id,))
    await access.require(conn, actor, at, "device.ask", organisation_id=row["organisation_id"])
    running = await db.maybe(conn, "SELECT FROM hub_devices_recording() WHERE device_id = %s", (device_id,))
    if running is None:
        raise errors.error("device_not_running")
    await jobs.enqueue(conn, at, ASK_JOB, device_id, {"device_id": device_id})
    await audit.record(
        conn, actor, at, "device.ask", "device", device_id, organisation_id=row["organisation_id"]
    )


async def usable_device(conn: Connection, actor: Actor, at: datetime, device_id: str) -> Row:
    """A device in use, of an organisation the actor cares for."""
    device = await db.one(
        conn, "SELECT number, organisation_id, retired_at FROM device WHERE id = %s FOR UPDATE", (device_id,)
    )
    reached = await _organisations(conn, actor, at, access.CARE)
    if reached is not None and device["organisation_id"] not in reached:
        raise errors.error("not_found")
    if device["retired_at"] is not None:
        raise errors.error("device_retired")
    return device


async def devices(conn: Connection, actor: Actor, at: datetime) -> list[dict[str, Any]]:
    """The devices of the actor's organisations, in use or not; of patients only those the actor may see."""
    await access.require(conn, actor, at, "device.read")
    reached = await reached_organisations(conn, actor, at)
    found = await db.rows(
        conn,
        "SELECT d.id, d.shard, d.kind, d.driver, d.name, d.retired_at, o.id AS organisation_id,"
        "  o.name AS organisation_name, o.name_en AS organisation_name_en, coalesce(s.connected, false) AS connected,"
        "  s.last_seen_at, s.battery_percent, s.backlog_s, s.clock_offset_s, s.clock_drift_ppm,"
        "  q.id IS NOT NULL AS in_use,"
        "  r.id AS recording_id, r.status AS recording_status, p.name AS patient_name"
        " FROM device d JOIN organisation o ON o.id = d.organisation_id"
        " LEFT JOIN device_state s ON s.device_id = d.id"
        " LEFT JOIN recording r ON r.device_id = d.id AND r.status IN ('requested', 'recording', 'stopping')"
        " LEFT JOIN device_pairing q ON q.device_number = d.number AND upper_inf(q.during)"
        " LEFT JOIN patient p ON p.id = q.patient_id"
        " WHERE %(all)s OR d.organisation_id = ANY(%(reached)s) ORDER BY d.id",
        {"all": reached is None, "reached": list(reached or ())},
    )
    return [_device(row) for row in found]


async def reached_organisations(conn: Connection, actor: Actor, at: datetime) -> set[UUID] | None:
    """Whose devices the actor may look at; None: everybody's."""
    roles = [role for rule in access.ACTIONS["device.read"].rules for role in rule.roles]
    return await _organisations(conn, actor, at, roles)


async def _organisations(
    conn: Connection, actor: Actor, at: datetime, roles: tuple[str, ...] | list[str]
) -> set[UUID] | None:
    """Where the actor holds one of the roles, downwards; None: everywhere, for the hub's own jobs."""
    return None if actor.kind == "job" else await access.organisations(conn, actor, at, roles)


def _device(row: Row) -> dict[str, Any]:
    """A device as docs/protocol/http.md has it."""
    recording_id, status = row.pop("recording_id"), row.pop("recording_status")
    organisation = {
        "id": row.pop("organisation_id"),
        "name": row.pop("organisation_name"),
        "name_en": row.pop("organisation_name_en"),
    }
    recording = {"id": recording_id, "status": status} if recording_id is not None else None
    return row | {"organisation": organisation, "recording": recording}
