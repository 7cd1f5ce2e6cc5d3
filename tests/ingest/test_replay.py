"""Set aside, mended, taken once more: stored as if it had come again, once; or set aside again with the new reason."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import event, senml
from devices.event import Event
from devices.packet import encode
from devices.senml import Measurement
from hub.core import jobs
from hub.core.settings import Settings
from hub.core.store import Store
from hub.ingest import replay
from hub.telemetry import routes as telemetry_routes
from hub.telemetry.feed import FEED, Feed
from tests import monitoring, serving, world
from tests.ingest.conftest import Town
from tests.monitoring import ingest, message, noise, stored_signal, waveform
from tests.serving import Serving

HOUR = timedelta(hours=1)


@pytest.fixture
async def pages(town: Town, at: datetime, tmp_path: Path) -> AsyncIterator[Serving]:
    feed = Feed(Settings(data_dir=tmp_path), lambda: at)
    parts = telemetry_routes.ROUTES, (), {FEED: feed}
    async with serving.serve(town.databases.app, tmp_path, lambda: at + HOUR, *parts) as served:
        yield served


async def run_jobs(town: Town, at: datetime, tmp_path: Path) -> int:
    """What the jobs process does with what was asked for."""
    settings = Settings(data_dir=tmp_path)
    worker = jobs.Worker(
        town.databases.app, Store(tmp_path / "files"), settings, replay.JOBS, lambda: at + HOUR, "x"
    )
    return await jobs.run_due(worker)


async def rows(town: Town) -> dict[str, dict[str, Any]]:
    async with await world.connect(town.databases.admin_dsn) as admin:
        found = await admin.execute("SELECT * FROM set_aside")
        return {str(row["topic"].split("/")[2]): row for row in await found.fetchall()}


async def test_what_was_refused_is_stored_once_the_cause_is_mended(
    town: Town, pages: Serving, at: datetime, tmp_path: Path
) -> None:
    """ECG, an event and vitals of a device retired by mistake; asking twice changes nothing."""
    async with await world.connect(town.databases.admin_dsn) as admin:
        await world.give(
            admin, town.world.own.accounts["device_manager"], town.world.province, "device_manager"
        )
        await admin.execute("UPDATE device SET retired_at = %s WHERE id = 'holter-1'", (at,))
    signal, worn = noise(500), town.worn
    button = Event(
        "b1", "button", at.timestamp(), at.timestamp(), recording=worn.recording_id.bytes, sample=12
    )
    kept = [
        message(worn, "ecg", encode(waveform(worn, at, signal[:, :250])), at),
        message(worn, "ecg", encode(waveform(worn, at, signal[:, 250:], 250)), at),
        message(worn, "event", event.encode(button), at),
        message(
            worn, "vitals", senml.encode_json([Measurement("MDC_TEMP_BODY", 36.5, "Cel", at.timestamp())]), at
        ),
    ]
    await ingest(town.engine, kept, at)
    manager = pages.as_(town.world.own, "device_manager")
    listed = await manager.json("GET", "/api/set-aside")
    assert [(one["reason"], one["messages"]) for one in listed["reasons"]] == [("retired-device", 4)]

    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute("UPDATE device SET retired_at = NULL")
    asked = await manager.json("POST", "/api/set-aside/replay", {"reason": "retired-device"})
    assert asked == {"asked": 4}
    again = await manager.json("POST", "/api/set-aside/replay", {"reason": "retired-device"})
    assert again == {"asked": 4}  # a second click before anything was done
    await run_jobs(town, at, tmp_path)
    np.testing.assert_array_equal(await stored_signal(town.databases.admin_dsn, worn.recording_id), signal)
    handled = (await manager.json("GET", "/api/set-aside?handled=true"))["items"]
    assert sorted(one["replay_result"] for one in handled) == ["stored"] * 4
    assert (await manager.json("GET", "/api/set-aside"))["reasons"] == []
    async with await world.connect(town.databases.admin_dsn) as admin:
        found = await admin.execute(
            "SELECT (SELECT count(*) FROM vital) AS vitals, (SELECT count(*) FROM recording_event) AS events,"
            " (SELECT count(*) FROM audit WHERE action = 'set-aside.replay') AS audited"
        )
        assert await found.fetchone() == {"vitals": 1, "events": 1, "audited": 2}


async def test_what_is_stored_already_is_a_duplicate_and_garbage_stays_with_its_reason(
    town: Town, pages: Serving, at: datetime, tmp_path: Path
) -> None:
    worn, other = town.worn, town.other
    samples = noise(250)
    foreign = encode(waveform(worn, at, samples))
    await ingest(town.engine, [message(worn, "ecg", foreign, at), message(other, "ecg", b"garbage", at)], at)
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute(
            "INSERT INTO set_aside (id, sha256, topic, device_id, organisation_id, reason, payload, first_at, last_at)"
            " SELECT gen_random_uuid(), 'x', %s, d.id, d.organisation_id, 'hub-failure', %s, %s, %s FROM device d"
            " WHERE d.id = 'holter-1'",
            (f"{worn.topic}/ecg", foreign, at, at),
        )
    manager = pages.as_(town.world.own, "device_manager")
    for one in (await manager.json("GET", "/api/set-aside"))["items"]:
        assert await manager.json("POST", f"/api/set-aside/{one['id']}/replay", {}) == {"asked": 1}
    await run_jobs(town, at, tmp_path)
    found = await rows(town)
    assert (found["holter-1"]["replay_result"], found["holter-1"]["replayed_at"]) == ("duplicate", at + HOUR)
    garbage = found["holter-2"]
    assert (garbage["replay_result"], garbage["replay_reason"], garbage["reason"]) == (
        "set-aside", "truncated", "truncated"
    )  # fmt: skip
    assert (garbage["times"], garbage["last_at"]) == (1, at)  # it did not come again
    (still,) = (await manager.json("GET", "/api/set-aside"))["items"]
    await manager.json("POST", f"/api/set-aside/{still['id']}/discard", {"why": "坏包，设备已送修"})
    (put_away,) = [row for row in (await rows(town)).values() if row["discarded_at"]]
    assert (put_away["discard_reason"], bytes(put_away["payload"])) == ("坏包，设备已送修", b"garbage")
    foreign_manager = pages.as_(town.world.foreign, "device_manager")
    assert await foreign_manager.json("POST", "/api/set-aside/replay", {"reason": "truncated"}) == {
        "asked": 0
    }


async def test_a_message_may_be_opened_as_far_as_it_can_be_read(
    town: Town, pages: Serving, at: datetime
) -> None:
    unknown = waveform(town.worn, at, noise(250), recording=b"\1" * 16)
    await ingest(town.engine, [message(town.worn, "ecg", encode(unknown), at)], at)
    manager = pages.as_(town.world.own, "device_manager")
    (item,) = (await manager.json("GET", "/api/set-aside"))["items"]
    whole = await manager.json("GET", f"/api/set-aside/{item['id']}")
    assert (item["reason"], whole["decoded"]["fs_hz"], whole["decoded"]["samples"]) == (
        "unknown-recording", monitoring.FS_HZ, 250
    )  # fmt: skip
