"""From real devices over a real broker into a real database, and back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from devices import control, packet
from devices.control import Ack
from hub.ingest import worker
from hub.ingest.worker import Worker
from tests.ingest.conftest import Town
from tests.ingest.devices import Device, connected
from tests.monitoring import cut, noise, stored_signal
from tests.parts import Broker


def now() -> datetime:
    return datetime.now(UTC)


async def until(holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for something that happens in another thread or process."""
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.fixture
async def ingesting(town: Town, broker: Broker) -> AsyncIterator[Worker]:
    broker.set_devices({w.username: w.password for w in (town.worn, town.other)})
    async with worker.running(broker.settings, town.databases.ingest, now) as running:
        yield running


def acks(device: Device) -> list[Ack]:
    return [control.decode_ack(payload) for topic, payload in device.heard if topic.startswith("ack/")]


async def test_a_device_is_told_what_is_committed(town: Town, broker: Broker, ingesting: Worker) -> None:
    samples = noise(1000)
    with connected(broker, town.worn) as device:
        for one in cut(town.worn, now(), samples, (250, 500, 750, 1000)):
            await device.publish(f"{town.worn.topic}/ecg", packet.encode(one))
        await until(lambda: any(ack.next_sample == 1000 for ack in acks(device)))
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, town.worn.recording_id), samples)
