"""Devices page by page: sorted, filtered, what needs a hand; one device with its story, for who sees no patient."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devices.control import decode_command
from devices.event import Event, encode
from hub.core import jobs
from hub.core.settings import Settings
from hub.core.store import Store
from hub.telemetry import routes as telemetry_routes
from hub.telemetry import worker
from hub.telemetry.feed import FEED, Feed
from tests import serving, world
from tests.ingest.conftest import Town
from tests.ingest.devices import connected
from tests.monitoring import ingest, message, noise, send, waveform
from tests.parts import Broker
from tests.serving import Serving

SECOND = timedelta(seconds=1)


@pytest.fixture
def feed(at: datetime, tmp_path: Path) -> Feed:
    return Feed(Settings(data_dir=tmp_path), lambda: at)


@pytest.fixture
async def operators(town: Town, at: datetime, feed: Feed, tmp_path: Path) -> AsyncIterator[Serving]:
    parts = telemetry_routes.ROUTES, (), {FEED: feed}
    async with serving.serve(town.databases.app, tmp_path, lambda: at + 10 * SECOND, *parts) as served:
        yield served


async def fleet(town: Town, at: datetime, count: int) -> None:
    """Devices dev-000... with batteries 0, 7, 14 ... mod 101, all seen just now."""
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute(
            "INSERT INTO device (id, shard, kind, name, password_hash, created_at, organisation_id)"
            " SELECT 'dev-' || lpad(n::text, 3, '0'), '00', 'holter', 'D', 'x', %s, %s FROM generate_series(0, %s) n",
            (at, town.world.own.organisations["town"], count - 1),
        )
        await admin.execute(
            "INSERT INTO device_state (device_id, connected, last_seen_at, battery_percent)"
            " SELECT id, true, %s, (substr(id, 5)::int * 7) %% 101 FROM device WHERE id LIKE 'dev-%%'",
            (at,),
        )


async def test_pages_by_any_order_hold_every_device_once(
    town: Town, operators: Serving, at: datetime
) -> None:
    await fleet(town, at, 120)
    manager = operators.as_(town.world.own, "device_manager")
    for sort, down in (
        ("id", False),
        ("battery", False),
        ("battery", True),
        ("seen", True),
        ("clock", False),
    ):
        seen: list[dict[str, Any]] = []
        after = ""
        while True:
            query = f"filter=all&sort={sort}&down={'true' if down else 'false'}&limit=50{after}"
            page = await manager.json("GET", f"/api/devices?{query}")
            seen += page["devices"]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert len({one["id"] for one in seen}) == len(seen) == 122
        if sort == "battery":
            known = [one["battery_percent"] for one in seen if one["battery_percent"] is not None]
            assert known == sorted(known, reverse=down)
    low = await manager.json("GET", "/api/devices?filter=hand&q=dev-")
    assert {"battery"} == {why for one in low["devices"] for why in one["hand"]}
    assert low["counts"]["hand"] == sum((k * 7) % 101 < 20 for k in range(120))
    foreign = operators.as_(town.world.foreign, "device_manager")
    assert (await foreign.json("GET", "/api/devices?filter=all"))["devices"] == []
    await foreign.json("GET", "/api/devices/dev-001", status=403)


async def test_who_sees_no_patient_sees_what_a_device_holds_lost_and_was_told(
    town: Town, operators: Serving, at: datetime, feed: Feed
) -> None:
    """And a lead without contact needs a hand; the desk sees whose it is."""
    worn, signal = town.worn, noise(2_500)
    packets = [
        waveform(worn, at, signal[:, :500]),
        waveform(worn, at, signal[:, 1_000:1_500], 1_000, oldest=750),
        waveform(worn, at, signal[:, 2_000:], 2_000, oldest=750),
    ]
    await send(town.engine, worn, packets, at + 10 * SECOND)
    done = Event(
        "c1",
        "command",
        at.timestamp(),
        recording=worn.recording_id.bytes,
        command_id="start.x.1",
        detail="done",
    )
    await ingest(town.engine, [message(worn, "event", encode(done), at)], at + 10 * SECOND)
    feed.newest[worn.recording_id] = {"at": at.isoformat(), "quality": ["good", "off", "noisy"]}
    manager = operators.as_(town.world.own, "device_manager")
    row, never_came = (await manager.json("GET", "/api/devices?filter=hand"))["devices"]
    assert (never_came["id"], never_came["hand"]) == ("holter-2", ["offline"])
    assert (row["id"], row["hand"], row["quality"]) == ("holter-1", ["electrodes"], ["good", "off", "noisy"])
    held = {
        name: row["recording"][name]
        for name in ("produced_s", "stored_s", "lost_s", "waiting_s", "lost_ranges")
    }
    assert held == {"produced_s": 10, "stored_s": 6, "lost_s": 1, "waiting_s": 3, "lost_ranges": 1}

    one = (await manager.json("GET", "/api/devices/holter-1"))["device"]
    assert [(c["command"], c["answer"]) for c in one["commands"]] == [("start", "done")]
    assert [h["what"] for h in one["history"]] == ["battery", "connected"]
    (recording,) = one["recordings"]
    assert (recording["stored_s"], recording["recording_id"], recording["patient_name"]) == (6, None, None)
    assert one["worn_by"] is None
    desk = operators.as_(town.world.own, "township_doctor")
    seen = (await desk.json("GET", "/api/devices/holter-1"))["device"]
    assert seen["recordings"][0]["recording_id"] == str(worn.recording_id)
    assert seen["worn_by"]["id"] == str(worn.patient_id)


async def test_a_device_is_asked_for_exactly_what_is_missing(
    town: Town, operators: Serving, broker: Broker, at: datetime, tmp_path: Path
) -> None:
    worn, signal = town.worn, noise(1_500)
    packets = [waveform(worn, at, signal[:, :500]), waveform(worn, at, signal[:, 1_000:], 1_000, oldest=0)]
    await send(town.engine, worn, packets, at)
    broker.set_devices({worn.username: worn.password})
    manager = operators.as_(town.world.own, "device_manager")
    await fleet(town, at, 1)
    idle = await manager.json("POST", "/api/devices/dev-000/ask", {}, status=409)
    assert idle["error"]["code"] == "device_not_running"
    for device_id in ("holter-1", "holter-2"):  # the second owes nothing and is left alone
        await manager.json("POST", f"/api/devices/{device_id}/ask", {})
    store = Store(tmp_path / "files")
    runner = jobs.Worker(
        town.databases.app, store, broker.settings, worker.JOBS, lambda: at + 10 * SECOND, "x"
    )
    with connected(broker, worn) as device:
        assert await jobs.run_due(runner) == 2
        async with asyncio.timeout(60):
            while not device.heard:  # noqa: ASYNC110 - another thread hears
                await asyncio.sleep(0.02)
    command = decode_command(device.heard[0][1])
    assert (command.kind, command.recording, command.boot) == ("ask", worn.recording_id.bytes, 1)
    assert command.ranges == ((500, 1_000),)


async def test_a_wearable_is_paired_with_a_resident_and_freed_again(
    town: Town, operators: Serving, at: datetime
) -> None:
    """Not a device that records: its recording is ended instead."""
    await fleet(town, at, 1)
    desk = operators.as_(town.world.own, "technician")
    body = {"patient_id": str(town.worn.patient_id)}
    await desk.json("POST", "/api/devices/dev-000/pair", body)
    busy = await desk.json("POST", "/api/devices/dev-000/pair", body, status=409)
    assert busy["error"]["code"] == "device_busy"
    assert (await desk.json("GET", "/api/devices/dev-000"))["device"]["worn_by"]["id"] == body["patient_id"]
    await desk.json("POST", "/api/devices/dev-000/unpair", {})
    assert not (await desk.json("GET", "/api/devices/dev-000"))["device"]["in_use"]
    records = await desk.json("POST", "/api/devices/holter-1/unpair", {}, status=409)
    assert records["error"]["code"] == "device_busy"


async def test_the_history_of_a_device_that_comes_and_goes_stays_short(
    town: Town, operators: Serving, at: datetime
) -> None:
    """A row for each change and none for each sign of life; the newest 200 are kept."""
    await fleet(town, at, 1)
    async with await world.connect(town.databases.admin_dsn) as admin:
        for n in range(250):
            await admin.execute(
                "UPDATE device_state SET connected = NOT connected, last_seen_at = %s WHERE device_id = 'dev-000'",
                (at + n * SECOND,),
            )
            await admin.execute("UPDATE device_state SET last_seen_at = last_seen_at + interval '1 ms'")
        found = await admin.execute("SELECT count(*) AS kept, max(at) AS newest FROM device_history")
        assert await found.fetchone() == {"kept": 200, "newest": at + 249 * SECOND}
