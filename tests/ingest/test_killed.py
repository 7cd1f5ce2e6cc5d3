"""`kill -9` of the ingest process while Holters stream, again and again: stored is what was made, bit for bit."""

import asyncio
import contextlib
import os
import random
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

from tests import monitoring, world
from tests.ingest import holters
from tests.ingest.conftest import Town
from tests.ingest.holters import Ward
from tests.ingest.test_from_the_broker import until
from tests.parts import Broker

ROOT = Path(__file__).parents[2]
HOLTERS = 5
KILLS = int(os.environ.get("TELEHUB_KILLS", "2"))
LIVES_S = (0.1, 1.5)  # from the first message it stores to its death


@contextlib.asynccontextmanager
async def ingesting(town: Town, broker: Broker) -> AsyncIterator[Process]:
    """The ingest role as `hub serve` runs it; killed at the end of the block, wherever it is."""
    settings = broker.settings
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
        "HUB_DSN": town.databases.admin_dsn,
        "HUB_DATA_DIR": str(settings.data_dir),
        "HUB_MQTT_PORT": str(settings.mqtt_port),
        "HUB_MQTT_DEVICES_PORT": str(settings.mqtt_devices_port),
        "PYTHONPATH": str(ROOT),
    }
    command = (sys.executable, "-m", "hub.cli", "serve", "--role", "ingest")
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=DEVNULL)
    try:
        yield process
        assert process.returncode is None  # nothing but the kill has ended it
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def stored(town: Town) -> int:
    async with await world.connect(town.databases.admin_dsn) as admin:
        row = await (await admin.execute("SELECT count(*) AS packets FROM ecg_packet")).fetchone()
    return int(row["packets"]) if row else 0


async def worn_by_many(town: Town, at: datetime) -> list[monitoring.Worn]:
    async with await world.connect(town.databases.admin_dsn) as admin:
        return [
            await monitoring.wear(admin, town.world.own, at, f"holter-k{number}", f"0{number}")
            for number in range(HOLTERS)
        ]


async def live_and_die(town: Town, broker: Broker) -> None:
    before = await stored(town)

    async def stores() -> bool:
        return await stored(town) > before

    async with ingesting(town, broker):
        await until(stores, 20)
        await asyncio.sleep(random.uniform(*LIVES_S))


async def all_ended(ward: Ward) -> bool:
    return all([(await ward.status(one.recording_id))[0] == "ended" for one in ward.worn])


async def test_an_ingest_process_killed_again_and_again_loses_nothing(
    town: Town, broker: Broker, at: datetime
) -> None:
    worn = await worn_by_many(town, at)
    async with holters.ward(town.databases, broker, worn) as ward:
        await ward.each(ward.start)
        for _ in range(KILLS):
            await live_and_die(town, broker)
        async with ingesting(town, broker):
            await until(lambda: all_started(ward), 20)
            await ward.each(ward.end)
            await until(lambda: all_ended(ward), 30)
    await ward.assert_all_stored()


async def all_started(ward: Ward) -> bool:
    return all([(await ward.status(one.recording_id))[0] == "recording" for one in ward.worn])
