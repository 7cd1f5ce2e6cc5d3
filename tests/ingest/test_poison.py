"""What the hub fails on costs the device that sent it, and no other: it is set aside, the rest is stored."""

import json
from datetime import datetime

import numpy as np
import pytest

from devices import drivers, event
from devices.drivers import Decoded, Driver
from devices.event import Event
from devices.packet import encode
from ecg.synthetic import Segment, Synthesiser
from hub.ingest.decoding import Received
from hub.ingest.engine import Engine
from hub.ingest.tick import Sorted
from tests import world
from tests.ingest.conftest import Town
from tests.ingest.test_storing import reasons, rows
from tests.monitoring import FS_HZ, LEADS, Worn, cut, ingest, message, noise, send, stored_signal, waveform


def broken(_tail: str, payload: bytes, _received_s: float) -> Decoded:
    raise ZeroDivisionError(payload)


async def change(town: Town, statement: str) -> None:
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute(statement)  # type: ignore[call-overload]


async def test_a_driver_with_a_bug_stops_its_own_devices_only(
    town: Town, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(drivers.DRIVERS, "broken", Driver("broken", ("vitals",), broken))
    await change(town, "UPDATE device SET driver = 'broken' WHERE id = 'holter-1'")
    samples = noise(500)
    batch = [
        message(town.worn, "vitals", b"x", at),
        message(town.other, "ecg", encode(waveform(town.other, at, samples)), at),
    ]
    await ingest(town.engine, batch, at)
    assert await reasons(town) == [("hub-failure", 1)]
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, town.other.recording_id), samples)


async def test_one_message_in_many_is_found_by_halving(town: Town, at: datetime) -> None:
    """A constraint nobody thought of stands for a bug; the other 200 messages are stored, in few transactions."""
    await change(town, "ALTER TABLE recording_event ADD CHECK (kind <> 'sos')")
    samples, worn = noise(200 * 25), town.worn
    packets = cut(town.other, at, samples, range(25, 200 * 25 + 1, 25))
    messages = [message(town.other, "ecg", encode(packet), at) for packet in packets]
    sos = Event("s1", "sos", at.timestamp(), at.timestamp(), recording=worn.recording_id.bytes)
    messages.insert(77, message(worn, "event", event.encode(sos), at))
    batch, _ = await town.engine.take(messages, at, may_load=True)
    done = await town.engine.commit_singly(batch, at)
    assert (await reasons(town), len(done) < 12) == ([("hub-failure", 1)], True)
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, town.other.recording_id), samples)


def fluttering(worn: Worn, at: datetime) -> list[Received]:
    """A minute with a run of ventricular beats, a second to each message."""
    heart = Synthesiser(5, FS_HZ, LEADS, (Segment("sinus", 25.0, 70.0), Segment("vt", 8.0, 170.0)))
    signal = heart.samples(0, 60 * FS_HZ)
    bounds = range(FS_HZ, 60 * FS_HZ + 1, FS_HZ)
    return [
        message(worn, "ecg", encode(packet), at)
        for packet in cut(worn, at, signal, bounds, uv_per_lsb=heart.uv_per_lsb)
    ]


async def test_a_finding_that_cannot_be_stored_holds_up_nothing_else(town: Town, at: datetime) -> None:
    worn, other = town.worn, town.other
    await change(town, f"ALTER TABLE finding ADD CHECK (recording_id <> '{worn.recording_id}')")
    await ingest(town.engine, [*fluttering(worn, at), *fluttering(other, at)], at)
    found = await rows(town, "SELECT DISTINCT recording_id FROM finding")
    assert [row["recording_id"] for row in found] == [other.recording_id]
    for one in (worn, other):
        assert (await stored_signal(town.databases.admin_dsn, one.recording_id)).shape[1] == 60 * FS_HZ
    assert not town.engine.has_unwritten


@pytest.mark.parametrize(
    "damage", ["'\\x00'", "overlay(state placing '\\xffffff' from 60)", "substr(state, 1, 900)"]
)
async def test_a_damaged_analyser_state_begins_anew(town: Town, at: datetime, damage: str) -> None:
    messages = fluttering(town.worn, at)
    await ingest(town.engine, messages[:40], at)
    await town.engine.commit(Sorted([]), at, leaving={town.worn.shard})
    await change(town, f"UPDATE analyser_state SET state = {damage}")
    other = fluttering(town.other, at)
    await ingest(Engine(town.databases.ingest), [*messages[40:], *other], at)
    assert await rows(town, "SELECT FROM finding WHERE recording_id = %s", town.other.recording_id)
    assert (await stored_signal(town.databases.admin_dsn, town.worn.recording_id)).shape[1] == 60 * FS_HZ


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
async def test_text_that_no_table_takes_is_set_aside(town: Town, at: datetime, name: str) -> None:
    pack = json.dumps([{"n": name, "u": name, "v": 1, "t": at.timestamp()}]).encode()
    pressed = Event(
        "b1", "button", at.timestamp(), at.timestamp(), recording=town.worn.recording_id.bytes, detail="\0"
    )
    batch = [message(town.worn, "vitals", pack, at), message(town.worn, "event", event.encode(pressed), at)]
    sorted_out, _ = await town.engine.take(batch, at, may_load=True)
    await town.engine.commit_singly(sorted_out, at)
    await send(town.engine, town.other, [waveform(town.other, at, noise(100))], at)
    assert len(await reasons(town)) == 2
    nobodys = message(town.other, "ecg", b"", at)._replace(topic="ingest/00/\0/ecg")
    await ingest(town.engine, [nobodys], at)
    assert len(await reasons(town)) == 3


async def test_what_a_person_closes_is_closed_for_the_analysis_too(town: Town, at: datetime) -> None:
    """An alarm that is active when the rest is discarded does not stay active for ever."""
    await ingest(town.engine, fluttering(town.worn, at)[:30], at)
    assert [row["condition"] for row in await rows(town, "SELECT condition FROM alarm")] == ["active"]
    await change(town, "UPDATE recording SET status = 'ended' WHERE device_id = 'holter-1'")
    town.engine.forget_changed("holter-1", town.worn.recording_id)
    await send(town.engine, town.other, [waveform(town.other, at, noise(100))], at)
    assert [row["condition"] for row in await rows(town, "SELECT condition FROM alarm")] == ["gone"]
