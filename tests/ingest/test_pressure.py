"""Storage that refuses for now: nothing is set aside or lost for it, devices slow down, and it recovers alone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from devices import control, event
from devices.event import Event
from hub.core import errors, mqtt
from hub.core.mqtt import Message, Session
from hub.ingest.decoding import Received
from hub.ingest.pressure import AIM_S, BATCH_LEAST, BATCH_MOST, Pressure
from hub.ingest.slowing import LIFT_AFTER_S, PER_S, SLOW_FOR_S, Slowing
from hub.ingest.worker import Worker
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.ingest.devices import Device, connected
from tests.ingest.test_from_the_broker import committed, now, publish, set_aside, until
from tests.monitoring import cut, message, noise, stored_signal
from tests.parts import Broker


@contextlib.asynccontextmanager
async def refusing(town: Town, table: str, sqlstate: str) -> AsyncIterator[None]:
    """Every row of a table is refused with this SQLSTATE."""
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END $$"
        )
        await admin.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        yield
        await admin.execute("DROP FUNCTION refuse CASCADE")


FOR_NOW = {
    "53100": "disk-full",
    "25006": "read-only",
    "57014": "busy",
    "53300": "no-resources",
    "57P01": "no-answer",
    "55P03": "busy",
    "58030": "disk-failed",
}
OF_THE_MESSAGE = (
    "54000",
    "22003",
    "XX000",
)  # 54, a program limit, is no lack of resources, whatever psycopg's classes say


def button(town: Town, at: datetime, name: str) -> Received:
    pressed = Event(name, "button", at.timestamp(), at.timestamp(), recording=town.worn.recording_id.bytes)
    return message(town.worn, "event", event.encode(pressed), at)


async def test_what_the_database_refuses_for_now_is_no_fault_of_the_message(town: Town, at: datetime) -> None:
    for sqlstate, why in FOR_NOW.items():
        batch, _ = await town.engine.take([button(town, at, sqlstate)], at, may_load=True)
        async with refusing(town, "recording_event", sqlstate):
            with pytest.raises(errors.Unavailable) as refused:
                await town.engine.commit(batch, at)
            assert refused.value.detail["why"] == why
        await town.engine.commit(batch, at)
    assert await set_aside(town) == {}


async def test_what_the_database_refuses_of_a_message_costs_that_message_only(
    town: Town, at: datetime
) -> None:
    for sqlstate in OF_THE_MESSAGE:
        batch, _ = await town.engine.take([button(town, at, sqlstate)], at, may_load=True)
        async with refusing(town, "recording_event", sqlstate):
            await town.engine.commit_singly(batch, at)
    async with await world.connect(town.databases.admin_dsn) as admin:
        kept = await (await admin.execute("SELECT reason FROM set_aside")).fetchall()
    assert [row["reason"] for row in kept] == ["hub-failure"] * len(OF_THE_MESSAGE)


@contextlib.asynccontextmanager
async def hearing(broker: Broker) -> AsyncIterator[list[dict[str, Any]]]:
    """The health words, as a page's server hears them."""
    words: list[dict[str, Any]] = []
    user, password = broker.login
    session = Session.connect(broker.settings.mqtt_host, broker.settings.mqtt_port, "ear", user, password)
    session.subscribe(["live/hub/ingest/+"], qos=0)
    await mqtt.opened(session)

    def hear(messages: list[Message]) -> None:
        words.extend(json.loads(one.payload) for one in messages)

    async def listen() -> None:
        while True:
            hear(session.poll())
            await mqtt.wait(session, 1.0)

    task = asyncio.create_task(listen())
    try:
        yield words
    finally:
        task.cancel()
        session.disconnect()


def slowed_for(device: Device) -> list[float | None]:
    commands = [control.decode_command(data) for topic, data in device.heard if topic.startswith("cmd/")]
    return [one.seconds for one in commands if one.kind == "slow-down"]


@pytest.fixture
async def ingesting(town: Town, broker: Broker) -> AsyncIterator[Worker]:
    broker.set_devices({w.username: w.password for w in (town.worn, town.other)})
    async with monitoring.ingesting(broker.settings, town.databases.ingest, now) as running:
        yield running


async def test_a_full_disk_stops_acknowledging_slows_devices_down_and_is_over_by_itself(
    town: Town, broker: Broker, ingesting: Worker
) -> None:
    worn, samples = town.worn, noise(6_000)
    packets = cut(worn, now(), samples, range(100, 6_001, 100))
    with connected(broker, worn) as device, connected(broker, town.other) as other:
        async with hearing(broker) as words:
            await publish(device, worn, packets[:10])
            await until(lambda: committed(device) == 1_000)
            await until(lambda: words and words[-1]["state"] == "ok")
            async with refusing(town, "ecg_packet", "53100"):
                await publish(device, worn, packets[10:30])
                await until(lambda: words[-1]["state"] == "blocked")
                assert (words[-1]["why"], words[-1]["shards"]) == ("disk-full", list(range(16)))
                await until(lambda: slowed_for(device)[-1:] == [SLOW_FOR_S])
                await publish(device, worn, packets[30:])
                assert committed(device) <= 1_000
                assert slowed_for(other) == []  # nothing was heard of it
            await until(lambda: committed(device) == 6_000, 30)
            await until(lambda: words[-1]["state"] == "ok")
            await until(lambda: slowed_for(device)[-1] == 0.0)
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, worn.recording_id), samples)
    assert await set_aside(town) == {}


async def test_more_than_can_be_stored_soon_is_seen_forgotten_and_stored_in_the_end(
    town: Town, broker: Broker, ingesting: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a commit hangs, everything is still read; each shard's share of it comes again afterwards."""
    monkeypatch.setattr("hub.ingest.worker.PENDING_MESSAGES", 20)
    mine, others = noise(4_000, 1), noise(4_000, 2)
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute("BEGIN")
        await admin.execute("LOCK TABLE recording_boot IN ACCESS EXCLUSIVE MODE")
        with connected(broker, town.worn) as device, connected(broker, town.other) as other:
            await publish(device, town.worn, cut(town.worn, now(), mine, range(100, 4_001, 100)))
            await publish(other, town.other, cut(town.other, now(), others, range(100, 4_001, 100)))
            await until(lambda: ingesting.pressure.forgotten > 0)
            assert committed(device) == 0
            await admin.execute("ROLLBACK")
            await until(lambda: committed(device) == committed(other) == 4_000, 30)
    for worn, samples in ((town.worn, mine), (town.other, others)):
        assert np.array_equal(await stored_signal(town.databases.admin_dsn, worn.recording_id), samples)


def test_devices_are_slowed_a_few_at_a_time_renewed_and_let_go_when_storing_has_been_well() -> None:
    slowing, here = Slowing(), [("00", f"d{number}") for number in range(600)]
    told: dict[str, list[tuple[float, float]]] = {}

    def run(from_s: float, to_s: float, is_well: bool) -> None:
        for step in range(round(from_s * 10), round(to_s * 10)):
            due = slowing.due(step / 10, is_well, lambda: here)
            assert len(due) <= PER_S
            for (_, device), seconds in due:
                told.setdefault(device, []).append((step / 10, seconds))

    run(1, 5, False)
    assert len(told) == 600 and all(len(words) == 1 for words in told.values())
    run(5, 200, False)
    for words in told.values():  # nobody's time has run out, nobody was told without need
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(words)]
        assert gaps and max(gaps) < SLOW_FOR_S and min(gaps) > SLOW_FOR_S / 3
    run(200, 200 + LIFT_AFTER_S, True)
    assert all(words[-1][1] == SLOW_FOR_S for words in told.values())
    run(200 + LIFT_AFTER_S, 210, True)
    assert all(words[-1][1] == 0.0 for words in told.values()) and slowing.slowed == 0


def test_devices_slowed_by_an_owner_that_was_killed_are_let_go_by_the_next() -> None:
    slowing, device = Slowing(), ("00", "d1")
    slowing.gained(["00"], 10.0)
    told = [due for step in range(101, 2_000) for due in slowing.due(step / 10, True, lambda: [device])]
    assert told == [(device, 0.0)]
    assert slowing.due(300.0, True, lambda: [("00", "d2")]) == []  # nobody slowed this one so long ago


def test_batches_shrink_until_a_commit_takes_the_time_aimed_at_and_grow_again() -> None:
    pressure = Pressure()
    for message_s, least, most in (
        (0.001, 300, 500),
        (0.01, BATCH_LEAST, BATCH_LEAST),
        (1e-5, BATCH_MOST, BATCH_MOST),
    ):
        for _ in range(10):
            pressure.committed(0.0, pressure.batch_messages * message_s, pressure.batch_messages)
        assert least <= pressure.batch_messages <= most
    assert AIM_S < 2.0
