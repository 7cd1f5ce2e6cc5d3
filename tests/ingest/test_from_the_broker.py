"""From real devices over a real broker into a real database, and back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import paho.mqtt.client as paho
import psycopg
import pytest
from psycopg import sql

from devices import control, packet
from devices.control import Ack
from devices.packet import WaveformPacket
from hub.ingest.worker import Worker
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.ingest.devices import Device, connected
from tests.monitoring import Worn, cut, noise, stored_signal, waveform
from tests.parts import Broker


def now() -> datetime:
    return datetime.now(UTC)


async def until(holds: Callable[[], Any], timeout_s: float = 20.0) -> None:
    """Wait for something that happens in another thread or process; `holds` may have to be awaited."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = holds()
            if await held if asyncio.iscoroutine(held) else held:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
async def ingesting(town: Town, broker: Broker) -> AsyncIterator[Worker]:
    broker.set_devices({w.username: w.password for w in (town.worn, town.other)})
    async with monitoring.ingesting(broker.settings, town.databases.ingest, now) as running:
        yield running


def acks(device: Device) -> list[Ack]:
    return [control.decode_ack(payload) for topic, payload in device.heard if topic.startswith("ack/")]


def committed(device: Device) -> int:
    """What the device has been told is committed."""
    return max((ack.next_sample for ack in acks(device)), default=0)


async def publish(device: Device, worn: Worn, packets: Iterable[WaveformPacket]) -> None:
    for one in packets:
        await device.publish(f"{worn.topic}/ecg", packet.encode(one))


async def set_aside(town: Town) -> dict[str, int]:
    async with await world.connect(town.databases.admin_dsn) as admin:
        found = await (await admin.execute("SELECT reason, times FROM set_aside")).fetchall()
    return {row["reason"]: row["times"] for row in found}


async def test_a_device_is_told_what_is_committed(town: Town, broker: Broker, ingesting: Worker) -> None:
    samples = noise(1000)
    with connected(broker, town.worn) as device:
        await publish(device, town.worn, cut(town.worn, now(), samples, (250, 500, 750, 1000)))
        await until(lambda: committed(device) == 1000)
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, town.worn.recording_id), samples)


def bad_messages(town: Town) -> list[tuple[str, str, bytes]]:
    """(reason, topic, payload) of everything a broken or foreign device can send with its own account."""
    worn, other, at = town.worn, town.other, now()
    good = packet.encode(waveform(worn, at, noise(100)))
    unknown = waveform(replace(worn, recording_id=uuid4()), at, noise(100))
    foreign = waveform(replace(worn, recording_id=other.recording_id), at, noise(100))
    return [
        ("truncated", "ecg", good[:-20]),
        ("not-cbor", "ecg", b"\xff\x00garbage"),
        ("wrong-version", "ecg", b"\xa1\x00\x09"),
        ("unknown-recording", "ecg", packet.encode(unknown)),
        ("foreign-recording", "ecg", packet.encode(foreign)),
        ("not-json", "vitals", b"[oops"),
        ("missing-field", "event", b"\xa1\x00\x01"),
    ]


async def test_bad_messages_are_set_aside_with_a_reason_and_disturb_nobody(
    town: Town, broker: Broker, ingesting: Worker
) -> None:
    bad, samples = bad_messages(town), noise(500)
    with connected(broker, town.worn) as device, connected(broker, town.other) as other:
        for _, kind, payload in bad:
            await device.publish(f"{town.worn.topic}/{kind}", payload)
        await publish(other, town.other, cut(town.other, now(), samples, (250, 500)))
        await until(lambda: committed(other) == 500)

        async def all_kept() -> bool:
            return await set_aside(town) == {reason: 1 for reason, _, _ in bad}

        await until(all_kept)
        assert acks(device) == []
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, town.other.recording_id), samples)


async def test_a_device_can_neither_speak_as_another_nor_hear_it(
    town: Town, broker: Broker, ingesting: Worker
) -> None:
    """The broker binds shard and device: what is sent elsewhere, or is too large, never arrives."""
    with connected(broker, town.worn) as device, connected(broker, town.other) as other:
        device.client.subscribe([("#", 1), (f"ingest/{town.other.username}/ecg", 1), ("live/#", 0)])
        stolen = packet.encode(waveform(town.other, now(), noise(100)))
        for topic in (
            f"{town.other.topic}/ecg",
            f"ingest/01/{town.worn.device_id}/ecg",
            "live/x",
            "elsewhere",
        ):
            await device.publish(topic, stolen)
        await publish(other, town.other, [waveform(town.other, now(), noise(100, 5))])
        await until(lambda: committed(other) == 100)
        assert {topic for topic, _ in device.heard} <= {
            f"ack/{town.worn.username}",
            f"cmd/{town.worn.username}",
        }
    assert await set_aside(town) == {}


async def test_an_oversize_message_costs_its_sender_the_connection_and_nobody_else_anything(
    town: Town, broker: Broker, ingesting: Worker
) -> None:
    with connected(broker, town.worn) as device, connected(broker, town.other) as other:
        device.client.publish(f"{town.worn.topic}/ecg", bytes(200_000), qos=1)
        await publish(other, town.other, [waveform(town.other, now(), noise(100))])
        await until(lambda: committed(other) == 100)
    assert await set_aside(town) == {}


async def test_a_wrong_password_or_an_unknown_device_is_not_let_in(town: Town, broker: Broker) -> None:
    broker.set_devices({town.worn.username: town.worn.password})
    for worn, password in ((town.worn, "guess"), (town.other, town.other.password)):
        refused: list[Any] = []
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.username_pw_set(worn.username, password)
        client.on_connect = lambda _c, _d, _f, reason, _p, said=refused: said.append(reason.is_failure)
        client.connect(broker.settings.mqtt_devices_host, broker.settings.mqtt_devices_port)
        client.loop_start()
        await until(lambda said=refused: said[:1] == [True])
        client.disconnect()
        client.loop_stop()


@contextlib.asynccontextmanager
async def database_away(town: Town) -> AsyncIterator[None]:
    """Every connection is cut and none is let in."""
    parts = psycopg.conninfo.conninfo_to_dict(town.databases.admin_dsn)
    name = sql.Identifier(str(parts["dbname"]))
    elsewhere = psycopg.conninfo.make_conninfo(town.databases.admin_dsn, dbname="template1")
    async with await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as admin:
        await admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (parts["dbname"],)
        )
        try:
            yield
        finally:
            await admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


async def test_while_the_database_is_away_nothing_is_acknowledged_and_then_all_is_there(
    town: Town, broker: Broker, ingesting: Worker
) -> None:
    worn, samples = town.worn, noise(5_000)
    packets = cut(worn, now(), samples, range(100, 5_001, 100))
    with connected(broker, worn) as device:
        await publish(device, worn, packets[:10])
        await until(lambda: committed(device) == 1_000)
        async with database_away(town):
            await publish(device, worn, packets[10:40])
            await until(lambda: ingesting.is_away)
            heard = len(acks(device))
            await publish(device, worn, packets[40:])
            assert committed(device) <= 1_000
            assert len(acks(device)) == heard
        await until(lambda: committed(device) == 5_000, 30)
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, worn.recording_id), samples)


async def test_a_worker_that_stops_leaves_nothing_unsaid(town: Town, broker: Broker) -> None:
    """What it has read is stored and acknowledged; what comes while nobody reads waits at the broker."""
    broker.set_devices({town.worn.username: town.worn.password})
    worn, samples = town.worn, noise(2_000)
    packets = cut(worn, now(), samples, range(100, 2_001, 100))
    with connected(broker, worn) as device:
        async with monitoring.ingesting(broker.settings, town.databases.ingest, now):
            await publish(device, worn, packets[:10])
        await publish(device, worn, packets[10:])
        async with monitoring.ingesting(broker.settings, town.databases.ingest, now):
            await until(lambda: committed(device) == 2_000)
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, worn.recording_id), samples)
    assert await set_aside(town) == {}
