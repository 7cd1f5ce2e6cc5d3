"""The people, patients and devices of a run: a clinic, a hospital that reads, and as many Holters as wanted.

People come by the services, so that they can sign in; devices and recordings are written as rows, so that thousands
cost seconds. Those with a request are read in the end: their recordings become studies with a report.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from hub.core import actor, broker, db
from hub.core.actor import Actor
from hub.core.db import Connection, Database
from hub.orders import requests
from hub.orders.requests import NewRequest
from hub.people import accounts, agreements, consents, organisations
from hub.reading import routing
from hub.telemetry import commands, recordings
from tests.nemesis.fleet import Wearer
from tests.nemesis.tape import FS_HZ, LEADS

DESK: Final = actor.job("test")
PASSWORD: Final = "correct horse 7"
QUESTION: Final = "心悸待查"


@dataclass(frozen=True)
class Town:
    """Who is there."""

    clinic: UUID
    hospital: UUID
    doctor: Actor  # login `doctor`, at the clinic
    reader: Actor  # login `reader`, at the hospital


@dataclass(frozen=True)
class Worn:
    """A Holter on a patient."""

    number: int
    device_id: str
    shard: str
    password: str
    patient_id: UUID
    recording_id: UUID
    request_id: UUID | None


async def found_town(database: Database, at: datetime) -> Town:
    """Organisations, people, who reads for whom."""
    async with database.transaction(DESK, at) as conn:
        province = await _organisation(conn, at, None, "province", None, "示例省卫健委", "Province")
        hospital = await _organisation(
            conn, at, province, "hospital", "district", "示例区人民医院", "Hospital"
        )
        clinic = await _organisation(conn, at, province, "town", "township", "青山镇卫生院", "Clinic")
        doctor = await _person(conn, at, "doctor", "township_doctor", clinic)
        reader = await _person(conn, at, "reader", "reader", hospital)
        await agreements.create_agreement(
            conn, DESK, at, from_organisation_id=clinic, to_organisation_id=hospital, study_kind="holter"
        )
        rule = {"name": "all", "conditions": [], "to_organisation_id": hospital, "enabled": True}
        await routing.replace_rules(conn, DESK, at, [rule])
    return Town(clinic, hospital, doctor, reader)


async def _organisation(
    conn: Connection, at: datetime, above: UUID | None, level: str, tier: str | None, name: str, name_en: str
) -> UUID:
    return await organisations.create_organisation(
        conn, DESK, at, parent_id=above, level=level, name=name, name_en=name_en, tier=tier
    )


async def _person(conn: Connection, at: datetime, login: str, role: str, place: UUID) -> Actor:
    made = await accounts.create_account(
        conn, DESK, at, login=login, name=f"王{login}", password=PASSWORD, organisation_id=place, role=role
    )
    return Actor("person", str(made))


def make_worn(count: int, shards: int = 16) -> list[Worn]:
    """Devices, patients and recordings that nobody knows yet."""
    return [
        Worn(n, f"holter-{n:04d}", f"{n % shards:02x}", f"secret of {n:04d}", uuid4(), uuid4(), None)
        for n in range(count)
    ]


async def wear(
    database: Database, town: Town, at: datetime, count: int, requested: Sequence[int] = (), shards: int = 16
) -> list[Worn]:
    """New devices on new patients with recordings asked for; those numbered in `requested` by a request."""
    worn = make_worn(count, shards)
    patients = [(w.patient_id, town.clinic, f"患者{w.number:04d}", town.doctor.account_id, at) for w in worn]
    devices = [
        (w.device_id, w.shard, w.device_id, town.clinic, broker.password_hash(w.password), at) for w in worn
    ]
    async with database.transaction(DESK, at) as conn, conn.cursor() as cursor:
        await cursor.executemany(_PATIENT, patients)
        await cursor.executemany(_DEVICE, devices)
        await db.notify(conn, broker.DEVICES_CHANGED)
    async with database.transaction(town.doctor, at) as conn:
        worn = [await _ask(conn, town, at, w) if w.number in requested else w for w in worn]
    running = [
        (w.recording_id, w.patient_id, town.clinic, w.device_id, w.request_id, FS_HZ, list(LEADS), at)
        for w in worn
    ]
    async with database.transaction(DESK, at) as conn, conn.cursor() as cursor:
        await cursor.executemany(_RECORDING, running)
        await cursor.executemany(_PAIRING, [(uuid4(), w.patient_id, at, w.device_id) for w in worn])
    return worn


_PATIENT: Final = (
    "INSERT INTO patient (id, organisation_id, name, sex, birth_date, id_type, created_by, created_at)"
    " VALUES (%s, %s, %s, 'male', '1950-05-01', 'none', %s, %s)"
)
_DEVICE: Final = (
    "INSERT INTO device (id, shard, kind, name, organisation_id, password_hash, created_at)"
    " VALUES (%s, %s, 'holter', %s, %s, %s, %s)"
)
_RECORDING: Final = (
    "INSERT INTO recording (id, patient_id, organisation_id, device_id, service_request_id, status, fs_hz, leads,"
    " requested_at) VALUES (%s, %s, %s, %s, %s, 'requested', %s, %s, %s)"
)
_PAIRING: Final = (
    "INSERT INTO device_pairing (id, device_number, patient_id, during)"
    " SELECT %s, number, %s, tstzrange(%s, NULL) FROM device WHERE id = %s"
)


async def _ask(conn: Connection, town: Town, at: datetime, worn: Worn) -> Worn:
    for kind in ("monitoring", "remote-reading"):
        await consents.record_consent(
            conn, town.doctor, at, worn.patient_id, kind=kind, given_how="paper", given_by="患者"
        )
    new = NewRequest(worn.patient_id, "holter", QUESTION)
    return replace(worn, request_id=await requests.create_request(conn, town.doctor, at, new))


async def start_all(database: Database, at: datetime, worn: Sequence[Worn]) -> None:
    """Tell all devices to begin."""
    async with database.transaction(DESK, at) as conn:
        for one in worn:
            await commands.enqueue(conn, at, one.recording_id, "start")


async def end_all(database: Database, at: datetime, worn: Sequence[Worn]) -> None:
    """End all recordings that run."""
    async with database.transaction(DESK, at) as conn:
        for one in worn:
            await recordings.end_recording(conn, DESK, at, one.recording_id)


async def not_ended(database: Database, at: datetime) -> list[tuple[str, str]]:
    """(device, status) of recordings that are not over."""
    async with database.transaction(DESK, at) as conn:
        found = await db.rows(
            conn, "SELECT device_id, status FROM recording WHERE status <> 'ended' ORDER BY 1"
        )
    return [(row["device_id"], row["status"]) for row in found]


def wearer(worn: Worn, **other: object) -> Wearer:
    """The device of the fleet that this Holter is."""
    return Wearer(worn.device_id, worn.shard, worn.password, **other)  # type: ignore[arg-type]
