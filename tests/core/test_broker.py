"""Our session and configuration against a real mosquitto, with paho as the peer and as the judge."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hub.core import mqtt
from hub.core.mqtt import Message, Session
from tests.parts import Broker

DEVICE = "0a/holter-0001"


@contextlib.asynccontextmanager
async def hub_session(
    broker: Broker, name: str = "hub-test", filters: tuple[str, ...] = (), clean: bool = True
) -> AsyncIterator[Session]:
    session = Session.connect("127.0.0.1", broker.settings.mqtt_port, name, *broker.login, clean=clean)
    if filters:
        session.subscribe(filters)
    try:
        yield await mqtt.opened(session)
    finally:
        session.close()


async def received(session: Session, count: int) -> list[Message]:
    messages: list[Message] = []
    async with asyncio.timeout(20):
        while len(messages) < count:
            await mqtt.wait(session, 1.0)
            messages += session.poll()
            assert session.closed is None
    return messages


@contextlib.contextmanager
def paho_device(broker: Broker, username: str, password: str) -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="anything")
    client.username_pw_set(username, password)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", broker.settings.mqtt_devices_port)
    client.loop_start()
    try:
        assert connected.wait(10)
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


async def test_messages_of_a_device_arrive_in_order(broker: Broker) -> None:
    broker.set_devices({DEVICE: "word"})
    sent = [bytes([i % 256]) * (i * 37 % 3000) for i in range(300)]
    async with hub_session(broker, filters=("ingest/0a/+/+",)) as session:
        with paho_device(broker, DEVICE, "word") as device:
            for payload in sent:
                device.publish(f"ingest/{DEVICE}/ecg", payload, qos=1)
            messages = await received(session, len(sent))
            session.ack([m.packet_id for m in messages])
    assert [m.payload for m in messages] == sent


async def test_unacknowledged_come_again_and_acknowledged_do_not(broker: Broker) -> None:
    broker.set_devices({DEVICE: "word"})
    async with hub_session(broker, "keeper", ("ingest/0a/+/+",), clean=False) as session:
        with paho_device(broker, DEVICE, "word") as device:
            for i in range(10):
                device.publish(f"ingest/{DEVICE}/ecg", bytes([i]), qos=1)
            messages = await received(session, 10)
        session.ack([m.packet_id for m in messages[:4]])
        session.publish("live/mark", b"", qos=1)  # answered once what was sent before has been read
        async with asyncio.timeout(10):
            while session.unacknowledged:
                await mqtt.wait(session, 0.05)
                session.poll()
    async with hub_session(broker, "keeper", clean=False) as session:
        assert session.session_present
        again = await received(session, 6)
    assert [m.payload for m in again] == [bytes([i]) for i in range(4, 10)]
    assert all(m.dup for m in again)


async def test_hub_reaches_a_device_and_hears_its_puback(broker: Broker) -> None:
    broker.set_devices({DEVICE: "word"})
    heard, got = threading.Event(), []
    async with hub_session(broker) as session:
        with paho_device(broker, DEVICE, "word") as device:
            device.on_message = lambda _c, _u, message: (got.append(message.payload), heard.set())
            device.on_subscribe = lambda *_: session.publish(f"cmd/{DEVICE}", b"start", qos=1)
            device.subscribe(f"cmd/{DEVICE}", qos=1)
            async with asyncio.timeout(10):
                while not heard.is_set() or session.unacknowledged:
                    await mqtt.wait(session, 0.05)
                    session.poll()
    assert got == [b"start"]


@pytest.mark.parametrize("wrong", [(DEVICE, "guess"), ("0a/nobody", "word"), ("", "")])
async def test_wrong_login_is_refused(broker: Broker, wrong: tuple[str, str]) -> None:
    broker.set_devices({DEVICE: "word"})
    session = Session.connect("127.0.0.1", broker.settings.mqtt_devices_port, "x", *wrong)
    with pytest.raises(ConnectionError, match="refused"):
        await mqtt.opened(session)


async def test_device_is_held_to_its_own_topics(broker: Broker) -> None:
    broker.set_devices({DEVICE: "word", "0a/other": "word"})
    async with hub_session(broker, filters=("ingest/#", "live/#")) as hub:
        with paho_device(broker, "0a/other", "word") as other, paho_device(broker, DEVICE, "word") as spy:
            overheard: list[str] = []
            spy.on_message = lambda _c, _u, message: overheard.append(message.topic)
            spy.subscribe([("#", 1), ("ack/0a/other", 1), (f"ack/{DEVICE}", 1)])
            for topic in (f"ingest/{DEVICE}/ecg", "live/x", "ack/0a/other", "ingest/0a/other/firmware"):
                other.publish(topic, b"forged", qos=1)
            other.publish("ingest/0a/other/ecg", b"own", qos=1).wait_for_publish(10)
            messages = await received(hub, 1)
            hub.publish("ack/0a/other", b"for the other", 1)
            hub.publish(f"ack/{DEVICE}", b"for the spy", 1)
            async with asyncio.timeout(10):
                while not overheard:
                    await mqtt.wait(hub, 0.05)
                    messages += hub.poll()
    assert [(m.topic, m.payload) for m in messages] == [("ingest/0a/other/ecg", b"own")]
    assert set(overheard) == {f"ack/{DEVICE}"}


async def test_new_accounts_work_without_disturbing_connections(broker: Broker) -> None:
    broker.set_devices({DEVICE: "word"})
    async with hub_session(broker, filters=("ingest/0a/+/+",)) as session:
        with paho_device(broker, DEVICE, "word") as first:
            broker.set_devices({DEVICE: "word", "0a/new": "word"})
            with paho_device(broker, "0a/new", "word") as second:
                second.publish("ingest/0a/new/event", b"2", qos=1)
                first.publish(f"ingest/{DEVICE}/event", b"1", qos=1)
                messages = await received(session, 2)
    assert {m.payload for m in messages} == {b"1", b"2"}


async def test_keepalive_holds_a_silent_session(broker: Broker) -> None:
    session = Session.connect("127.0.0.1", broker.settings.mqtt_port, "quiet", *broker.login, keepalive_s=1)
    await mqtt.opened(session)
    for _ in range(8):  # the broker drops a client silent for 1.5 s
        await mqtt.wait(session, 0.3)
        session.poll()
    assert session.closed is None
    session.close()


async def test_broker_that_goes_away_is_noticed(broker: Broker) -> None:
    async with hub_session(broker) as session:
        broker.process.kill()
        await broker.process.wait()
        async with asyncio.timeout(10):
            while session.closed is None:
                await mqtt.wait(session, 1.0)
                session.poll()
        assert not session.publish("live/x", b"")
