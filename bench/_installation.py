"""A real installation to measure: PostgreSQL with the hub's own durable settings, mosquitto, a town, many Holters."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hub.core import broker, migrate, mqtt, postgres
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


@contextlib.asynccontextmanager
async def running(folder: Path, devices: int, status: str = "requested") -> AsyncIterator[Installation]:
    """Up while the block lasts; `devices` Holters on as many patients, spread over all shards."""
    settings = Settings(
        data_dir=folder / "hub", mqtt_port=parts.free_port(), mqtt_devices_port=parts.free_port(), shards=16
    )
    async with postgres.running(folder / "pg" / "data") as server, broker.running(settings) as process:
        await migrate.migrate(server.admin_dsn, now())
        town = await world.build(server.admin_dsn)
        async with await world.connect(server.admin_dsn) as admin:
            worn = [
                await monitoring.wear(
                    admin, town.own, now(), f"holter-{n}", f"{n % settings.shards:02x}", status
                )
                for n in range(devices)
            ]
        accounts = [broker.Account(one.username, broker.password_hash(one.password)) for one in worn]
        broker.write_accounts(settings, accounts)
        broker.reload(process)
        yield Installation(server.admin_dsn, settings, tuple(worn), town)


async def publish_all(session: Session, messages: Iterator[tuple[str, bytes]]) -> None:
    """QoS 1, as fast as the broker takes them, all taken at the end."""
    await mqtt.opened(session)
    for topic, payload in messages:
        while not session.publish(topic, payload, qos=1):
            await _next(session)
    while session.unacknowledged:
        await _next(session)


async def _next(session: Session) -> None:
    session.flush()
    await mqtt.wait(session, 0.2)
    session.poll()
    if session.closed is not None:
        raise ConnectionError(session.closed)
    await asyncio.sleep(0)
