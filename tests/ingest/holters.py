"""Virtual Holters on a real broker, played side by side in this process, with the desk's commands to them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from devices.simulator import Holter
from hub.core import actor
from hub.core.jobs import Worker as JobWorker
from hub.core.jobs import run_due
from hub.core.store import Store
from hub.simulate import Line, Virtual, make_device
from hub.telemetry import commands, recordings
from hub.telemetry.worker import JOBS
from tests import world
from tests.monitoring import Worn, stored_signal
from tests.parts import Broker, Databases

DESK = actor.job("test")
BOOT = 1


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Ward:
    """Holters on patients, and who sends them commands."""

    databases: Databases
    worn: Sequence[Worn]
    devices: Sequence[Holter]
    sender: JobWorker

    def produced(self) -> list[int]:
        return [d.truth().get((w.recording_id.bytes, BOOT), (0, 0))[0] for w, d in self._pairs()]

    def are_drained(self) -> bool:
        return all(device.is_drained(worn.recording_id.bytes) for worn, device in self._pairs())

    async def each(self, what: Callable[[Worn], Awaitable[None]]) -> None:
        """Do something for all recordings and send the commands that follow."""
        for worn in self.worn:
            await what(worn)
        await run_due(self.sender)

    async def start(self, worn: Worn) -> None:
        async with self.databases.app.transaction(DESK, now()) as conn:
            await commands.enqueue(conn, now(), worn.recording_id, "start")

    async def end(self, worn: Worn) -> None:
        async with self.databases.app.transaction(DESK, now()) as conn:
            await recordings.end_recording(conn, DESK, now(), worn.recording_id)

    async def cancel(self, worn: Worn) -> None:
        async with self.databases.app.transaction(DESK, now()) as conn:
            await recordings.cancel_recording(conn, DESK, now(), worn.recording_id)

    async def status(self, recording_id: UUID) -> tuple[str, str | None]:
        async with self.databases.app.transaction(DESK, now()) as conn:
            found = await recordings.read_recording(conn, DESK, now(), recording_id)
        return found["status"], found["end_reason"]

    async def assert_all_stored(self) -> None:
        """What is stored is what was produced, bit for bit, and nothing was given up."""
        for worn, device in self._pairs():
            produced, given_up = device.truth()[worn.recording_id.bytes, BOOT]
            stored = await stored_signal(self.databases.admin_dsn, worn.recording_id, BOOT)
            assert (stored.shape[1], given_up) == (produced, 0)
            assert np.array_equal(stored, device.signal(0, produced))

    def _pairs(self) -> list[tuple[Worn, Holter]]:
        return list(zip(self.worn, self.devices, strict=True))


@contextlib.asynccontextmanager
async def ward(
    databases: Databases, broker: Broker, worn: Sequence[Worn], flap_s: tuple[float, float] | None = None
) -> AsyncIterator[Ward]:
    """The devices live on while the block runs."""
    async with await world.connect(databases.admin_dsn) as admin:
        await admin.execute("UPDATE recording SET requested_at = %s", (now(),))
    broker.set_devices({one.username: one.password for one in worn})
    at = (broker.settings.mqtt_devices_host, broker.settings.mqtt_devices_port)
    lines = [
        Line(virtual, make_device(virtual, BOOT), at)
        for virtual in (
            Virtual(one.device_id, one.shard, one.password, heart="ectopic", seed=number, flap_s=flap_s)
            for number, one in enumerate(worn)
        )
    ]
    playing = asyncio.create_task(_play(lines))
    sender = JobWorker(
        databases.app, Store(broker.settings.data_dir / "files"), broker.settings, JOBS, now, "test"
    )
    try:
        yield Ward(
            databases, worn, [line.device for line in lines if isinstance(line.device, Holter)], sender
        )
    finally:
        playing.cancel()
        await asyncio.wait({playing})
        for line in lines:
            line.close()


async def _play(lines: Sequence[Line]) -> None:
    while True:
        for line in lines:
            line.step()
        await asyncio.sleep(0.02)
