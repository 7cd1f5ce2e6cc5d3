"""A faithful virtual Holter on a line that breaks: what is stored is what was produced, bit for bit."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.simulator import Holter
from hub.core import actor
from hub.core.jobs import Worker as JobWorker
from hub.core.jobs import run_due
from hub.core.store import Store
from hub.simulate import Line, Virtual, make_device
from hub.telemetry import recordings
from hub.telemetry.worker import JOBS
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.ingest.test_from_the_broker import until
from tests.monitoring import Worn, stored_signal
from tests.parts import Broker

DESK = actor.job("test")


def now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def playing(line: Line) -> AsyncIterator[None]:
    """The device lives on while the block runs."""

    async def play() -> None:
        while True:
            line.step()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        line.close()


@pytest.fixture
async def commands(town: Town, broker: Broker, tmp_path: Path) -> JobWorker:
    """Sends what the desk asks of devices."""
    return JobWorker(town.databases.app, Store(tmp_path / "files"), broker.settings, JOBS, now, "test")


async def status(town: Town, recording_id: UUID) -> str:
    async with town.databases.app.transaction(DESK, now()) as conn:
        recording = await recordings.read_recording(conn, DESK, now(), recording_id)
    return str(recording["status"])


async def ask(town: Town, worn: Worn, what: str) -> None:
    """The desk's start or end."""
    async with town.databases.app.transaction(DESK, now()) as conn:
        if what == "start":
            await recordings.commands.enqueue(conn, now(), worn.recording_id, "start")
        else:
            await recordings.end_recording(conn, DESK, now(), worn.recording_id)


class Memory:
    """What the electrodes gave the device, boot by boot: the truth to compare with."""

    def __init__(self, device: Holter) -> None:
        self.made: dict[int, list[NDArray[np.int16]]] = defaultdict(list)
        self._device, self._signal = device, device.signal
        device.signal = self.signal

    def signal(self, first: int, count: int) -> NDArray[np.int16]:
        samples = self._signal(first, count)
        self.made[self._device.boot].append(samples)
        return samples

    @property
    def seconds(self) -> float:
        return sum(part.shape[1] for parts in self.made.values() for part in parts) / self._device.fs_hz


async def test_over_a_line_that_breaks_and_restarts_every_sample_made_is_stored(
    town: Town, broker: Broker, commands: JobWorker
) -> None:
    worn = town.worn
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute("UPDATE recording SET requested_at = %s", (now(),))
    broker.set_devices({worn.username: worn.password})
    virtual = Virtual(
        worn.device_id, worn.shard, worn.password, heart="ectopic", seed=3, flap_s=(1.5, 0.5), reboot_s=2.0,
        error_s=95.0,
    )  # fmt: skip
    device = make_device(virtual, boot=1)
    assert isinstance(device, Holter)
    memory, settings = Memory(device), broker.settings
    line = Line(virtual, device, (settings.mqtt_devices_host, settings.mqtt_devices_port))
    async with monitoring.ingesting(settings, town.databases.ingest, now), playing(line):
        await ask(town, worn, "start")
        await run_due(commands)
        await until(lambda: memory.seconds >= 6 and len(memory.made) >= 2, 60)
        await ask(town, worn, "end")
        await run_due(commands)

        async def ended() -> bool:
            return await status(town, worn.recording_id) == "ended"

        await until(ended, 60)
    for boot, parts in memory.made.items():
        stored = await stored_signal(town.databases.admin_dsn, worn.recording_id, boot)
        assert np.array_equal(stored, np.concatenate(parts, axis=1))
