"""Alarms from memory: told while nothing can be stored, and the very same once it can, however late that is."""

from datetime import datetime, timedelta
from typing import Any

from devices.packet import encode
from ecg.synthetic import Segment, Synthesiser
from hub.ingest.tick import Sorted
from tests.ingest.conftest import Town
from tests.ingest.test_sos import alarms, press
from tests.monitoring import FS_HZ, LEADS, cut, ingest, message

OUTAGE = timedelta(minutes=5)


def told(town: Town, at: datetime, *, is_away: bool) -> list[list[dict[str, Any]]]:
    return [words for _, _, words in town.engine.unstored.due(at.timestamp(), is_away)]


async def test_a_press_seen_while_nothing_is_stored_is_the_alarm_stored_later(
    town: Town, at: datetime
) -> None:
    """The broker brings the message again minutes later; the key was pressed when it came first."""
    sent = press(town, 1, at, at)
    await town.engine.take([message(town.worn, "event", sent, at)], at, may_load=True)
    assert told(town, at, is_away=False) == []  # storing has its time
    ((word,),) = told(town, at, is_away=True)
    assert (word["rule"], word["priority"], word["onset_at"]) == ("sos", "high", at)
    back_at = at + OUTAGE
    await ingest(town.engine, [message(town.worn, "event", sent, back_at)], back_at)
    (alarm,) = await alarms(town, back_at)
    assert (alarm["id"], alarm["onset_at"], alarm["late"]) == (word["id"], at, False)
    assert told(town, back_at + timedelta(seconds=1), is_away=False) == [[word]]  # until pages have heard
    assert told(town, back_at + timedelta(seconds=9), is_away=False) == [[]]
    assert told(town, back_at + timedelta(seconds=10), is_away=False) == []
    await town.engine.take([message(town.worn, "event", sent, back_at)], back_at, may_load=False)
    assert told(town, back_at + timedelta(seconds=20), is_away=True) == []  # it is in the database


async def test_what_was_found_in_time_is_not_late_because_storing_was(town: Town, at: datetime) -> None:
    heart = Synthesiser(5, FS_HZ, LEADS, (Segment("sinus", 25.0, 70.0), Segment("vt", 8.0, 170.0)))
    signal, bounds = heart.samples(0, 60 * FS_HZ), range(FS_HZ, 60 * FS_HZ + 1, FS_HZ)
    for second, packet in enumerate(cut(town.worn, at, signal, bounds, uv_per_lsb=heart.uv_per_lsb), 1):
        now = at + timedelta(seconds=second)
        await town.engine.take([message(town.worn, "ecg", encode(packet), now)], now, may_load=True)
    (words,) = told(town, now, is_away=True)
    assert "high" in {word["priority"] for word in words}
    await town.engine.commit(Sorted([]), now + OUTAGE)
    stored = {one["id"]: (one["late"], one["onset_at"]) for one in await alarms(town, now + OUTAGE)}
    assert all(
        stored[word["id"]] == (False, word["onset_at"]) for word in words if word["priority"] == "high"
    )
    assert told(town, now + OUTAGE + timedelta(seconds=9), is_away=True) == [[]]
