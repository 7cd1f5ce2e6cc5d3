"""Topics: what a device may say and hear at a real mosquitto, whatever it asks for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from hub.core import mqtt
from hub.core.mqtt import Session
from tests.parts import Broker

OWN, FOREIGN = "0a/holter-own", "0b/holter-foreign"
PASSWORDS = {OWN: "own word", FOREIGN: "foreign word"}
KINDS = ("ecg", "vitals", "event")
INGEST = [f"ingest/{device}/{kind}" for device in (OWN, FOREIGN) for kind in KINDS]
DOWN = [f"{name}/{device}" for name in ("ack", "cmd") for device in (OWN, FOREIGN)]
LIVE = ["live/0198f5a0-0000-7000-8000-000000000000"]
WRITABLE = [topic for topic in INGEST if OWN in topic]
READABLE = [topic for topic in DOWN if OWN in topic]


@contextlib.asynccontextmanager
async def _session(
    port: int, name: str, login: tuple[str, str], filters: list[str]
) -> AsyncIterator[Session]:
    session = Session.connect("127.0.0.1", port, name, *login)
    if filters:
        session.subscribe(filters)
    try:
        yield await mqtt.opened(session)
    finally:
        session.close()


async def _heard_until(session: Session, last: str) -> list[str]:
    topics: list[str] = []
    async with asyncio.timeout(20):
        while last not in topics:
            await mqtt.wait(session, 1.0)
            topics += [message.topic for message in session.poll()]
            assert session.closed is None, session.closed
    return topics


@pytest.fixture
async def hub_session(broker: Broker) -> AsyncIterator[Session]:
    broker.set_devices(PASSWORDS)
    filters = ["ingest/#", "ack/#", "cmd/#", "live/#"]
    async with _session(broker.settings.mqtt_port, "hub-test", broker.login, filters) as session:
        yield session


async def test_a_device_writes_its_own_topics_only(broker: Broker, hub_session: Session) -> None:
    port, last = broker.settings.mqtt_devices_port, WRITABLE[-1]
    async with _session(port, "x", (OWN, PASSWORDS[OWN]), []) as device:
        odd = [
            "ingest/0a/holter-own",
            f"ingest/{OWN}/ecg/more",
            f"ingest/0b/{OWN.split('/')[1]}/ecg",
            "$SYS/x",
        ]
        for topic in [*DOWN, *LIVE, *odd, *(t for t in INGEST if t not in WRITABLE), *WRITABLE]:
            device.publish(topic, b"from own", qos=1)
        device.flush()
        heard = asyncio.create_task(_heard_until(hub_session, last))
        while not heard.done():  # a device keeps reading while it writes
            await asyncio.sleep(0.01)
            device.poll()
        assert sorted(await heard) == sorted(WRITABLE)


@pytest.mark.parametrize(
    "filters", [["#"], [*INGEST, *DOWN, *LIVE], ["+/0b/+", "+/0b/+/+", "+/+/+", "live/+"]]
)
async def test_a_device_hears_its_own_topics_only(
    broker: Broker, hub_session: Session, filters: list[str]
) -> None:
    port, last = broker.settings.mqtt_devices_port, READABLE[-1]
    async with _session(port, "x", (OWN, PASSWORDS[OWN]), filters) as device:
        for topic in [*INGEST, *LIVE, *(t for t in DOWN if t not in READABLE), *READABLE]:
            hub_session.publish(topic, b"from the hub", qos=1)
        hub_session.flush()
        assert set(await _heard_until(device, last)) == set(READABLE)


@pytest.mark.parametrize(
    "login", [(OWN, "foreign word"), ("0b/holter-own", "own word"), ("nobody", ""), ("", "")]
)
async def test_nobody_comes_in_with_a_wrong_name_or_password(
    broker: Broker, hub_session: Session, login: tuple[str, str]
) -> None:
    with pytest.raises(ConnectionError):
        async with _session(broker.settings.mqtt_devices_port, "x", login, []):
            pass
