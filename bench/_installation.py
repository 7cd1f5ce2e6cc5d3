"""A real installation to measure: PostgreSQL with the hub's own durable settings, mosquitto, a town, many Holters."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psutil

from hub.core import broker, migrate, postgres
from hub.core.mqtt import Session
from hub.core.settings import Settings
from tests import monitoring, parts, world
from tests.monitoring import Worn


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Installation:
    dsn: str
    settings: Settings
    worn: tuple[Worn, ...]
    town: world.World

    def session(self, name: str) -> Session:
        """The hub's own account at the broker."""
        settings = self.settings
        password = broker.hub_password(settings)
        return Session.connect(*settings.broker_address, name, settings.mqtt_username, password)

    @property
    def database_cpu_s(self) -> float:
        """User and system time of all processes of the server, those included that are gone."""
        return _cpu_s("postgres", str(self.settings.data_dir.parent / "pg"))

    @property
    def broker_cpu_s(self) -> float:
        return _cpu_s("mosquitto", str(broker.folder(self.settings)))


@contextlib.asynccontextmanager
async def running(folder: Path, devices: int, status: str = "requested") -> AsyncIterator[Installation]:
    """Up while the block lasts; `devices` Holters on as many patients, spread over all shards."""
    settings = Settings(
        data_dir=folder / "hub", mqtt_port=parts.free_port(), mqtt_devices_port=parts.free_port(), shards=16
    )
    async with postgres.running(folder / "pg" / "data") as server, broker.running(settings) as mosquitto:
        await migrate.migrate(server.admin_dsn, now())
        town = await world.build(server.admin_dsn)
        async with await world.connect(server.admin_dsn) as admin:
            worn = [
                await monitoring.wear(
                    admin, town.own, now(), f"holter-{n}", f"{n % settings.shards:02x}", status
                )
                for n in range(devices)
            ]
        broker.write_accounts(
            settings, (broker.Account(one.username, broker.password_hash(one.password)) for one in worn)
        )
        broker.reload(mosquitto)
        yield Installation(server.admin_dsn, settings, tuple(worn), town)


async def wear_many(
    installation: Installation, prefix: str, count: int, fs_hz: int, leads: tuple[str, ...], status: str
) -> tuple[Worn, ...]:
    """Further Holters, thousands in a second: what `monitoring.wear` does, in one statement for each table."""
    settings, tenant, at = installation.settings, installation.town.own, now()
    made = tuple(
        Worn(f"{prefix}-{n}", f"{n % settings.shards:02x}", "", uuid4(), uuid4()) for n in range(count)
    )
    names = [worn.device_id for worn in made]
    people, recordings = [w.patient_id for w in made], [w.recording_id for w in made]
    town, village = tenant.organisations["town"], tenant.organisations["village"]
    async with await world.connect(installation.dsn) as admin, admin.transaction():
        await admin.execute(
            "INSERT INTO patient (id, organisation_id, name, sex, birth_date, id_type, created_by, created_at)"
            " SELECT k, %s, '王建国', 'male', '1950-05-01', 'none', %s, %s FROM unnest(%s::uuid[]) AS k",
            (village, tenant.accounts["village_doctor"], at, people),
        )
        await admin.execute(
            "INSERT INTO device (id, shard, kind, name, organisation_id, password_hash, created_at)"
            " SELECT k, s, 'holter', k, %s, '', %s FROM unnest(%s::text[], %s::text[]) AS of (k, s)",
            (town, at, names, [w.shard for w in made]),
        )
        await admin.execute(
            "INSERT INTO recording (id, patient_id, organisation_id, device_id, status, fs_hz, leads, requested_at)"
            " SELECT k, p, %s, d, %s, %s, %s, %s FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS of (k, p, d)",
            (town, status, fs_hz, list(leads), at, recordings, people, names),
        )
        await admin.execute(
            "INSERT INTO device_pairing (id, device_number, patient_id, during)"
            " SELECT gen_random_uuid(), d.number, k.p, tstzrange(%s, NULL)"
            " FROM unnest(%s::uuid[], %s::text[]) AS k (p, d) JOIN device d ON d.id = k.d",
            (at, people, names),
        )
    return made


def _cpu_s(name: str, argument: str) -> float:
    """Of the processes of this name whose command line says `argument`, and of their children."""
    told = [p for p in psutil.process_iter(["name", "cmdline"]) if name in (p.info["name"] or "")]
    roots = [p for p in told if argument in " ".join(p.info["cmdline"] or ())]
    family = {p.pid: p for root in roots for p in (root, *root.children(recursive=True))}
    total = 0.0
    for process in family.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    # A server counts the children it has waited for.
    for root in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = root.cpu_times()
            total += times.children_user + times.children_system
    return total
