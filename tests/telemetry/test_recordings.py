"""A recording from the desk's request to its end, and any window of it, as the pages read them."""

import json
import struct
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices import control, event, senml
from devices.event import Event
from devices.senml import Measurement
from hub.core import actor
from hub.core.db import one, rows
from hub.telemetry import blocks, closing, commands, windows
from tests import world
from tests.ingest.conftest import Town
from tests.monitoring import FS_HZ, ingest, message, noise, send, waveform
from tests.serving import Client, Serving

DESK = actor.job("test")
PATH = "/api/recordings"


async def request_of(town: Town, at: datetime) -> UUID:
    made = uuid4()
    async with await world.connect(town.databases.admin_dsn) as admin:
        await world.insert(
            admin, "service_request", id=made, patient_id=await world.patient(admin, town.world.own), kind="holter",
            organisation_id=town.world.own.organisations["village"], status="active", question="晕厥",
            requester_id=town.world.own.accounts["village_doctor"], priority="routine", pacemaker=True, created_at=at,
        )  # fmt: skip
    return made


async def provisioned(town: Town, pages: Serving, device_id: str) -> dict[str, Any]:
    manager = pages.as_(town.world.own, "device_manager")
    body = {
        "id": device_id,
        "kind": "holter",
        "name": "H",
        "organisation_id": str(town.world.own.organisations["town"]),
    }
    made: dict[str, Any] = await manager.json("POST", "/api/devices", body)
    return made


async def started(town: Town, pages: Serving, at: datetime) -> tuple[Client, dict[str, Any]]:
    await provisioned(town, pages, "holter-new")
    desk = pages.as_(town.world.own, "township_doctor")
    path = f"/api/requests/{await request_of(town, at)}/recordings"
    answer = await desk.json("POST", path, {"device_id": "holter-new"})
    return desk, answer["recording"]


async def test_devices_are_shared_out_to_shards_and_their_password_is_shown_once(
    town: Town, pages: Serving
) -> None:
    made = [await provisioned(town, pages, f"holter-{name}") for name in "abc"]
    assert [one["device"]["shard"] for one in made] == ["02", "03", "04"]
    listed = (await pages.as_(town.world.own, "device_manager").json("GET", "/api/devices"))["devices"]
    assert {one["id"] for one in listed} >= {"holter-a", "holter-b", "holter-c"}
    assert made[0]["password"] not in json.dumps(listed)


async def test_a_started_recording_is_commanded_until_the_device_answers(
    town: Town, pages: Serving, at: datetime
) -> None:
    _, recording = await started(town, pages, at)
    assert (recording["status"], recording["paced"]) == ("requested", True)
    recording_id = UUID(recording["id"])
    async with town.databases.app.transaction(DESK, at) as conn:
        sending = await commands.next_sending(conn, at, recording_id, "start", 1)
    assert sending is not None
    command = control.decode_command(sending.payload)
    assert (command.recording, command.fs_hz) == (recording_id.bytes, FS_HZ)
    answer = Event(
        "c1", "command", at.timestamp(), recording=recording_id.bytes, command_id=command.id, detail="done"
    )
    topic = sending.topic.replace("cmd/", "ingest/") + "/event"
    told = message(town.worn, "event", event.encode(answer), at)
    await ingest(town.engine, [told.__class__(topic.split("/")[1], topic, told.payload, told.received_s)], at)
    async with town.databases.app.transaction(DESK, at) as conn:
        assert await commands.next_sending(conn, at, recording_id, "start", 2) is None


async def test_a_device_measures_one_patient_at_a_time(town: Town, pages: Serving, at: datetime) -> None:
    desk, _ = await started(town, pages, at)
    path = f"/api/requests/{await request_of(town, at)}/recordings"
    busy = await desk.json("POST", path, {"device_id": "holter-new"}, status=409)
    assert busy["error"]["code"] == "device_busy"
    manager = pages.as_(town.world.own, "device_manager")
    busy = await manager.json("POST", "/api/devices/holter-new/retire", {}, status=409)
    assert busy["error"]["code"] == "device_busy"


async def test_a_start_nobody_answered_can_be_taken_back_and_frees_the_device(
    town: Town, pages: Serving, at: datetime
) -> None:
    desk, recording = await started(town, pages, at)
    cancelled = await desk.json("POST", f"{PATH}/{recording['id']}/cancel", {})
    assert cancelled["recording"]["status"] == "discarded"
    path = f"/api/requests/{await request_of(town, at)}/recordings"
    await desk.json("POST", path, {"device_id": "holter-new"})


async def test_stopped_at_the_signal_check_nothing_is_read_and_the_device_is_free(
    town: Town, pages: Serving, at: datetime
) -> None:
    """What the device still holds is stored and acknowledged; the manager sees the device in use, but not by whom."""
    worn, desk = town.worn, pages.as_(town.world.own, "township_doctor")
    manager = pages.as_(town.world.own, "device_manager")

    async def use() -> tuple[bool, object, object]:
        listed = (await manager.json("GET", "/api/devices"))["devices"]
        (found,) = [one for one in listed if one["id"] == worn.device_id]
        return found["in_use"], found["recording"], found["patient_name"]

    await send(town.engine, worn, [waveform(worn, at, noise(300))], at)
    assert await use() == (True, None, None)
    cancelled = (await desk.json("POST", f"{PATH}/{worn.recording_id}/cancel", {}))["recording"]
    assert (cancelled["status"], cancelled["end_reason"], cancelled["ledger"]["stored"]) == (
        "discarded",
        "cancelled",
        300,
    )
    assert await use() == (False, None, None)
    town.engine.forget_changed(None, None)  # as NOTIFY makes a running worker do
    town.engine.acknowledgements(at.timestamp() + 10)
    rest = await send(town.engine, worn, [waveform(worn, at, noise(200), first=300)], at)
    assert (rest.samples, rest.refused, len(town.engine.acknowledgements(at.timestamp() + 20))) == (
        200,
        (),
        1,
    )
    over = Event("e1", "end", at.timestamp(), recording=worn.recording_id.bytes, boot=1, counts=((1, 500),))
    await ingest(town.engine, [message(worn, "event", event.encode(over), at)], at)
    shown = (await desk.json("GET", f"{PATH}/{worn.recording_id}"))["recording"]
    assert (shown["status"], shown["ledger"]["stored"], shown["ledger"]["not_known_since"]) == (
        "discarded",
        500,
        None,
    )
    async with town.databases.app.transaction(DESK, at) as conn:
        assert await rows(conn, "SELECT FROM job WHERE kind = 'recording.ended'") == []
    path = f"/api/requests/{await request_of(town, at)}/recordings"
    await desk.json("POST", path, {"device_id": worn.device_id})


@pytest.mark.parametrize("status", ["old", "stopping", "ended"])
async def test_what_is_more_than_a_signal_check_is_not_cancelled(
    town: Town, pages: Serving, at: datetime, status: str
) -> None:
    worn, desk = town.worn, pages.as_(town.world.own, "township_doctor")
    begun_at = at - timedelta(minutes=16 if status == "old" else 1)
    await send(town.engine, worn, [waveform(worn, begun_at, noise(300))], begun_at)
    if status == "stopping":
        await desk.json("POST", f"{PATH}/{worn.recording_id}/end", {})
    if status == "ended":
        await desk.json("POST", f"{PATH}/{worn.recording_id}/discard-rest", {"reason": "设备丢失"})
    refused = await desk.json("POST", f"{PATH}/{worn.recording_id}/cancel", {}, status=409)
    assert refused["error"]["code"] == "recording_not_requested"


async def test_the_rest_can_be_given_up_with_a_reason(town: Town, pages: Serving, at: datetime) -> None:
    """300 samples stored of 500 known: after giving up 200 are lost, none is waited for, and reading begins."""
    worn = town.worn
    await send(town.engine, worn, [waveform(worn, at, noise(300), first=200)], at)
    desk = pages.as_(town.world.own, "township_doctor")
    ended = (await desk.json("POST", f"{PATH}/{worn.recording_id}/discard-rest", {"reason": "设备丢失"}))[
        "recording"
    ]
    counts = [ended["ledger"][name] for name in ("produced", "stored", "declared_lost", "waiting")]
    assert (ended["status"], ended["end_reason"], counts) == ("ended", "discard-rest", [500, 300, 200, 0])
    async with town.databases.app.transaction(DESK, at) as conn:
        await one(conn, "SELECT FROM job WHERE kind = 'recording.ended'")


async def test_ended_by_the_desk_it_waits_for_the_device(town: Town, pages: Serving, at: datetime) -> None:
    worn = town.worn
    await send(town.engine, worn, [waveform(worn, at, noise(300))], at)
    desk = pages.as_(town.world.own, "township_doctor")
    ended = await desk.json("POST", f"{PATH}/{worn.recording_id}/end", {})
    assert (ended["recording"]["status"], ended["recording"]["ledger"]["not_known_since"] is None) == (
        "stopping",
        False,
    )


@pytest.mark.parametrize("told", [{}, {"previous_boot": 1}, {"previous_boot": 1, "previous_count": 500}])
async def test_what_a_boot_made_at_last_is_not_known_until_the_device_says_so(
    town: Town, pages: Serving, at: datetime, told: dict[str, int]
) -> None:
    """The device was cut off (its process killed) and restarted a minute later; its `end` knows the second boot."""
    worn, desk, minute = town.worn, pages.as_(town.world.own, "township_doctor"), timedelta(minutes=1)
    name, later = worn.recording_id.bytes, at + timedelta(minutes=1)

    async def happens(**fields: Any) -> None:
        told_by_device = Event(device_time_s=later.timestamp(), recording=name, **fields)
        await ingest(town.engine, [message(worn, "event", event.encode(told_by_device), later)], later)

    await send(town.engine, worn, [waveform(worn, at, noise(500))], at + timedelta(seconds=2))
    await happens(id="2.1", kind="boot", boot=2, **told)
    await send(town.engine, worn, [waveform(worn, later, noise(250), boot=2)], later + timedelta(seconds=1))
    await desk.json("POST", f"{PATH}/{worn.recording_id}/end", {})
    await happens(id="2.2", kind="end", boot=2, counts=((2, 250),), oldest=((2, 250),))
    shown = (await desk.json("GET", f"{PATH}/{worn.recording_id}"))["recording"]
    if "previous_count" in told:
        assert (shown["status"], shown["ledger"]["not_known"], shown["drain_ends_at"]) == ("ended", [], None)
        return
    assert (shown["status"], shown["ledger"]["waiting"]) == ("stopping", 0)
    ((since, until),) = [(gap["from"], gap["to"]) for gap in shown["ledger"]["not_known"]]
    assert shown["ledger"]["not_known_since"] == since
    assert datetime.fromisoformat(since) == at + timedelta(seconds=2)
    assert datetime.fromisoformat(until) == at + minute
    patience = datetime.fromisoformat(shown["drain_ends_at"])
    async with town.databases.app.transaction(DESK, at) as conn:
        assert await closing.close_overdue(conn, patience - minute) == []
        assert await closing.close_overdue(conn, patience + minute) == [worn.recording_id]
        await one(conn, "SELECT FROM job WHERE kind = 'recording.ended'")


def parsed(data: bytes) -> tuple[dict[str, Any], NDArray[np.int16]]:
    magic, length = struct.unpack_from("<4sI", data)
    assert magic == b"TLH1"
    header = json.loads(data[8 : 8 + length])
    return header, np.frombuffer(data, "<i2", offset=8 + length).reshape(len(header["leads"]), -1)


SIGNAL = noise(2_000)
HELD = ((0, 300), (300, 450), (700, 1_200), (1_500, 2_000))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2_300), st.integers(1, 1_500))
async def test_any_window_is_the_stored_samples_and_says_what_is_missing(
    town: Town, at: datetime, first: int, count: int
) -> None:
    worn = town.worn
    await send(town.engine, worn, [waveform(worn, at, SIGNAL[:, low:high], low) for low, high in HELD], at)
    async with town.databases.app.transaction(DESK, at) as conn:
        window = await windows.read_window(conn, DESK, at, worn.recording_id, 1, first, count)
    header, samples = parsed(window.to_bytes())
    truth = np.full((3, 4_000), blocks.MISSING, np.int16)
    for low, high in HELD:
        truth[:, low:high] = SIGNAL[:, low:high]
    assert np.array_equal(samples, truth[:, first : first + count])
    missing = {sample for low, high in header["gaps"] for sample in range(low, high)}
    assert missing == {first + k for k in np.flatnonzero(samples[0] == blocks.MISSING)}


async def test_a_window_is_found_by_time_across_boots_and_a_clock_that_is_off(
    town: Town, at: datetime
) -> None:
    """The device's clock is 5 minutes slow: the hub's time finds the sample all the same."""
    worn, slow, minute = town.worn, timedelta(minutes=5), timedelta(minutes=1)
    signal = noise(10 * FS_HZ, 4)
    for boot, start in ((1, at), (2, at + minute)):
        packet = waveform(worn, start - slow, signal, boot=boot)
        await send(town.engine, worn, [packet], start + timedelta(seconds=10))
    for boot, start in ((1, at), (2, at + minute)):
        asked = start + timedelta(seconds=4)
        async with town.databases.app.transaction(DESK, at) as conn:
            window = await windows.read_window_at(conn, DESK, at, worn.recording_id, asked, 2)
        assert (window.boot, window.first_sample, window.start_at) == (boot, 4 * FS_HZ, asked)
        assert np.array_equal(window.samples, signal[:, 4 * FS_HZ : 6 * FS_HZ])


async def test_what_a_family_member_without_consent_asks_for_is_not_there(
    town: Town, pages: Serving, at: datetime
) -> None:
    await send(town.engine, town.worn, [waveform(town.worn, at, noise(300))], at)
    stranger = pages.as_(town.world.own, "family_member")
    for path in ("", "/samples?boot=1&first=0&count=10", "/events", "/findings"):
        response = await stranger.call("GET", f"{PATH}/{town.worn.recording_id}{path}")
        assert response.status in (403, 404)


async def test_the_diary_and_the_button_stand_in_order_of_time(
    town: Town, pages: Serving, at: datetime
) -> None:
    worn, desk = town.worn, pages.as_(town.world.own, "township_doctor")
    button = Event(
        "b1", "button", at.timestamp(), at.timestamp(), recording=worn.recording_id.bytes, sample=12
    )
    await ingest(town.engine, [message(worn, "event", event.encode(button), at)], at)
    entry = {"at": (at - timedelta(minutes=3)).isoformat(), "text": "上楼，心慌"}
    await desk.json("POST", f"{PATH}/{worn.recording_id}/diary", entry)
    found = (await desk.json("GET", f"{PATH}/{worn.recording_id}/events"))["events"]
    assert [(row["kind"], row["sample"]) for row in found] == [("diary", None), ("button", 12)]


async def test_vitals_of_a_day_are_read_by_time(town: Town, pages: Serving, at: datetime) -> None:
    values = [Measurement("MDC_TEMP_BODY", 36.5 + k / 10, "Cel", at.timestamp() + 60 * k) for k in range(4)]
    await ingest(
        town.engine, [message(town.worn, "vitals", senml.encode_json(values), at)], at + timedelta(hours=1)
    )
    query = f"from={(at + timedelta(minutes=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    desk = pages.as_(town.world.own, "village_doctor")
    found = (await desk.json("GET", f"/api/patients/{town.worn.patient_id}/vitals?{query}"))["vitals"]
    assert [row["value"] for row in found] == [pytest.approx(36.6), pytest.approx(36.7), pytest.approx(36.8)]


async def test_set_aside_messages_are_seen_by_their_manager_and_put_away(
    town: Town, pages: Serving, at: datetime
) -> None:
    await ingest(town.engine, [message(town.worn, "ecg", b"garbage", at)], at)
    manager = pages.as_(town.world.own, "device_manager")
    (item,) = (await manager.json("GET", "/api/set-aside"))["items"]
    whole = await manager.json("GET", f"/api/set-aside/{item['id']}")
    assert bytes.fromhex(whole["payload_hex"]) == b"garbage"
    await manager.json("POST", f"/api/set-aside/{item['id']}/discard", {})
    assert (await manager.json("GET", "/api/set-aside"))["items"] == []
    foreign = pages.as_(town.world.foreign, "device_manager")
    await foreign.json("GET", f"/api/set-aside/{item['id']}", status=404)
