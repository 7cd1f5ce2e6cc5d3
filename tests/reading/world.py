"""A small district with real rows: a clinic, a reading centre, people, a patient, a recording of synthetic ECG."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from ecg.synthetic import Segment, Synthesiser
from hub.core import db, ids
from hub.core.actor import Actor, job
from hub.core.db import Connection
from hub.people import agreements, organisations
from tests.parts import Databases

SEEDER = job("test")
LEADS = ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1", "MDC_ECG_LEAD_V5")
FS_HZ = 250
UV_PER_LSB = 5.0
PACKET = 250  # samples
ANEW_S = 600


@dataclass(frozen=True)
class World:
    """Ids of everything in the district, and the database it lives in."""

    databases: Databases
    data_dir: Path
    at: datetime
    province: UUID
    centre: UUID
    clinic: UUID
    other_centre: UUID
    doctor: Actor
    reader: Actor
    colleague: Actor
    senior: Actor
    foreigner: Actor  # reads for another centre
    admin: Actor

    def transaction(self, actor: Actor, at: datetime | None = None):
        return self.databases.app.transaction(actor, at or self.at)


async def build(databases: Databases, data_dir: Path, at: datetime) -> World:
    async with databases.app.transaction(SEEDER, at) as conn:
        province = await _organisation(conn, at, None, "province", "示例省卫健委", "Province", None)
        centre = await _organisation(conn, at, province, "hospital", "示例区人民医院", "District", "district")
        other = await _organisation(conn, at, province, "hospital", "示例省人民医院", "Hospital", "province")
        clinic = await _organisation(conn, at, province, "town", "青山镇卫生院", "Qingshan", "township")
        people = {
            name: await _person(conn, at, name, organisation, role)
            for name, organisation, role in (
                ("doctor", clinic, "township_doctor"),
                ("reader", centre, "reader"),
                ("colleague", centre, "reader"),
                ("senior", centre, "senior_reader"),
                ("foreigner", other, "reader"),
                ("admin", province, "organisation_admin"),
            )
        }
    return World(databases, data_dir, at, province, centre, clinic, other, **people)


async def _organisation(
    conn: Connection, at: datetime, parent: UUID | None, level: str, name: str, name_en: str, tier: str | None
) -> UUID:
    return await organisations.create_organisation(
        conn, SEEDER, at, parent_id=parent, level=level, name=name, name_en=name_en, tier=tier
    )


async def _person(conn: Connection, at: datetime, login: str, organisation: UUID, role: str) -> Actor:
    account, session = ids.new(at), f"session-{login}"
    await db.run(
        conn,
        "INSERT INTO account (id, login, name, password_hash, created_at) VALUES (%s, %s, %s, 'x', %s)",
        (account, login, f"王{login}", at),
    )
    await db.run(
        conn,
        "INSERT INTO role_assignment (id, account_id, organisation_id, role, valid_from)"
        " VALUES (%s, %s, %s, %s, %s)",
        (ids.new(at), account, organisation, role, at - timedelta(days=1)),
    )
    await db.run(
        conn,
        "INSERT INTO session (token_sha256, account_id, csrf_token, created_at, last_seen_at, expires_at,"
        " stepped_up_at) VALUES (%s, %s, 'c', %s, %s, %s, %s)",
        (session, account, at, at, at + timedelta(days=9), at),
    )
    return Actor("person", str(account), session)


async def agree(world: World) -> UUID:
    """The clinic may send Holter studies to the centre, and the rules send them there."""
    async with world.transaction(SEEDER) as conn:
        await route_to(world, conn, world.centre)
        return await agreements.create_agreement(
            conn, SEEDER, world.at,
            from_organisation_id=world.clinic, to_organisation_id=world.centre, study_kind="holter",
        )  # fmt: skip


async def route_to(world: World, conn: Connection, centre: UUID) -> None:
    await db.run(
        conn,
        "INSERT INTO routing_rule (id, position, name, conditions, to_organisation_id)"
        " VALUES (%s, (SELECT count(*) FROM routing_rule), 'fallback', '[]', %s)",
        (ids.new(world.at), centre),
    )


async def ended_recording(
    world: World,
    script: Sequence[Segment] = (Segment("sinus", 40.0), Segment("sinus", 20.0, pause_s=3.4)),
    seconds: int = 60,
    lost: tuple[int, int] | None = None,
    priority: str = "routine",
    leads: Sequence[str] = LEADS,
) -> UUID:
    """A recording of `seconds` that ended, with everything the desk would have made before it."""
    recording = ids.new(world.at)
    async with world.transaction(SEEDER) as conn:
        await _order(conn, world, recording, priority, seconds, leads)
    async with world.databases.ingest.transaction(job("ingest"), world.at) as conn:
        await store_ecg(conn, world, recording, script, seconds, lost, leads)
    return recording


async def _order(
    conn: Connection, world: World, recording: UUID, priority: str, seconds: int, leads: Sequence[str]
) -> None:
    at, patient, request = world.at, ids.new(world.at), ids.new(world.at)
    await db.run(
        conn,
        "INSERT INTO patient (id, organisation_id, name, sex, birth_date, id_type, created_by, created_at)"
        " VALUES (%s, %s, '张秀英', 'female', '1951-03-02', 'none', %s, %s)",
        (patient, world.clinic, world.doctor.account_id, at),
    )
    await db.run(
        conn,
        "INSERT INTO consent (id, patient_id, kind, given_how, given_by, recorded_by, given_at)"
        " VALUES (%s, %s, 'remote-reading', 'paper', '张秀英', %s, %s)",
        (ids.new(at), patient, world.doctor.account_id, at),
    )
    await db.run(
        conn,
        "INSERT INTO service_request (id, patient_id, organisation_id, requester_id, kind, status, priority,"
        " question, symptoms, drugs, created_at) VALUES (%s, %s, %s, %s, 'holter', 'active', %s,"
        " '头晕待查', '反复头晕三月', '美托洛尔', %s)",
        (request, patient, world.clinic, world.doctor.account_id, priority, at),
    )
    device = f"holter-{str(recording)[-6:]}"
    await db.run(
        conn,
        "INSERT INTO device (id, shard, kind, name, organisation_id, password_hash, created_at)"
        " VALUES (%s, '00', 'holter', 'Holter 7', %s, 'x', %s)",
        (device, world.clinic, at),
    )
    started = at - timedelta(seconds=seconds)
    await db.run(
        conn,
        "INSERT INTO recording (id, patient_id, organisation_id, device_id, service_request_id, status, fs_hz,"
        " leads, uv_per_lsb, requested_at, started_at, ended_at, end_reason)"
        " VALUES (%s, %s, %s, %s, %s, 'ended', %s, %s, %s, %s, %s, %s, 'complete')",
        (
            recording,
            patient,
            world.clinic,
            device,
            request,
            FS_HZ,
            list(leads),
            UV_PER_LSB,
            started,
            started,
            at,
        ),
    )
    await db.run(
        conn,
        "INSERT INTO recording_event (id, recording_id, device_id, kind, at, boot, sample, detail, received_at)"
        " VALUES (%s, %s, %s, 'button', %s, 1, 2500, '{}', %s)",
        (f"{device}/1", recording, device, started + timedelta(seconds=10), at),
    )


async def store_ecg(
    conn: Connection,
    world: World,
    recording: UUID,
    script: Sequence[Segment],
    seconds: int,
    lost: tuple[int, int] | None,
    leads: Sequence[str] = LEADS,
) -> None:
    """Packets and ledger as the tick leaves them; packets inside `lost` (samples) never came.

    The heart of a long recording begins anew every ten minutes.
    """
    heart, anchor = Synthesiser(7, FS_HZ, leads, script, UV_PER_LSB), world.at - timedelta(seconds=seconds)
    total, have, packets = seconds * FS_HZ, [], []
    signal = heart.samples(0, min(total, ANEW_S * FS_HZ)).astype("<i2")
    await db.run(conn, "SELECT hub_ensure_day(%s)", (anchor.date(),))
    await db.run(conn, "SELECT hub_ensure_day(%s)", (world.at.date(),))
    for first in range(0, total, PACKET):
        if lost and lost[0] <= first < lost[1]:
            continue
        begin = first % signal.shape[1]
        samples = signal[:, begin : begin + PACKET].tobytes()
        packets.append((recording, first, anchor + timedelta(seconds=first / FS_HZ), PACKET, samples))
        have.append(f"[{first},{first + PACKET})")
    await conn.cursor().executemany("INSERT INTO ecg_packet VALUES (%s, 1, %s, %s, %s, 0, %s)", packets)
    await db.run(
        conn,
        "INSERT INTO recording_boot VALUES (%s, 1, %s, %s, %s, %s, true, %s::int8multirange)",
        (recording, anchor, total, lost[1] if lost else 0, total, "{" + ",".join(have) + "}"),
    )


def later(world: World, **delta: float) -> World:
    """The same district at a later instant."""
    return replace(world, at=world.at + timedelta(**delta))
