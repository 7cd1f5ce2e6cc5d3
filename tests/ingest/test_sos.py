"""The SOS key: one high alarm for each press, told with its age, however often the device sends it."""

from datetime import datetime, timedelta
from typing import Any

from devices import event
from devices.event import Event
from hub.alarms import services
from hub.core import actor
from tests.ingest.conftest import Town
from tests.monitoring import ingest, message

JOB = actor.job("test")


async def alarms(town: Town, at: datetime) -> list[dict[str, Any]]:
    async with town.databases.app.transaction(JOB, at) as conn:
        return await services.alarms(conn, JOB, at, only_open=True, recording_id=town.worn.recording_id)


def press(town: Town, number: int, pressed_at: datetime, sent_at: datetime) -> bytes:
    recording = town.worn.recording_id.bytes
    one = Event(
        f"sos-{number}",
        "sos",
        pressed_at.timestamp(),
        sent_at.timestamp(),
        recording=recording,
        boot=1,
        sample=9,
    )
    return event.encode(one)


async def test_a_press_sent_twice_is_one_high_alarm(town: Town, at: datetime) -> None:
    sent = message(town.worn, "event", press(town, 1, at, at), at)
    await ingest(town.engine, [sent], at)
    await ingest(town.engine, [sent, sent], at + timedelta(seconds=9))
    (alarm,) = await alarms(town, at)
    assert (alarm["rule"], alarm["priority"], alarm["late"]) == ("sos", "high", False)


async def test_a_press_from_a_dead_spot_comes_late_and_says_so(town: Town, at: datetime) -> None:
    """The device's clock may be years off: the age is the difference of its own two times."""
    wrong = at.replace(year=2001)
    await ingest(
        town.engine, [message(town.worn, "event", press(town, 2, wrong, wrong + timedelta(hours=1)), at)], at
    )
    (alarm,) = await alarms(town, at)
    assert (alarm["onset_at"], alarm["late"]) == (at - timedelta(hours=1), True)
