"""Devices, recordings and what they hold, over HTTP (docs/protocol/http.md)."""

import re
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from devices.leads import CODE_BY_LEAD
from devices.packet import MAX_LEADS
from hub.core.answers import Bytes
from hub.core.fields import Fields
from hub.core.http import Request, Route
from hub.telemetry import device_list, devices, events, overview, recordings, set_asides, vitals, windows
from hub.telemetry.device_list import Asked
from hub.telemetry.devices import NewDevice
from hub.telemetry.feed import FEED
from hub.telemetry.recordings import Wanted

NAME_MAX_CHARS: Final = 80
TEXT_MAX_CHARS: Final = 500
FS_RANGE_HZ: Final = (50, 2000)  # what the analysis can follow
NO_DATA_RANGE_S: Final = (10, 3600)
QUALITY_WITHIN: Final = timedelta(seconds=30)
WINDOW_TYPE: Final = "application/octet-stream"


async def list_devices(request: Request) -> Any:
    """All devices in one answer, for choosing one; with `filter` a page of them, for who runs them."""
    query = request.query
    if not query.has("filter"):
        async with request.transaction() as conn:
            return {"devices": await devices.devices(conn, request.actor, request.at)}
    asked = Asked(
        query.choice("filter", device_list.FILTERS),
        query.text("q", NAME_MAX_CHARS, required=False),
        query.optional_choice("kind", devices.KINDS),
        query.optional_choice("sort", device_list.SORTS) or "id",
        query.boolean("down", default=False),
        query.optional_text("after"),
        query.integer("limit", 1, device_list.PAGE_MAX, default=device_list.PAGE),
    )
    async with request.transaction() as conn:
        return await device_list.device_page(conn, request.actor, request.at, asked, _qualities(request))


def _qualities(request: Request) -> dict[UUID, list[str]]:
    """The quality of each lead by recording, where a live result of the last seconds tells it."""
    since = request.at - QUALITY_WITHIN
    newest = request.resource(FEED).newest
    return {
        of: second["quality"]
        for of, second in newest.items()
        if second.get("at") and datetime.fromisoformat(second["at"]) > since
    }


async def read_device(request: Request) -> Any:
    async with request.transaction() as conn:
        return {
            "device": await device_list.device(
                conn, request.actor, request.at, request.text("device_id"), _qualities(request)
            )
        }


async def pair_device(request: Request) -> Any:
    patient_id = (await request.body()).uuid("patient_id")
    async with request.transaction() as conn:
        await devices.pair_device(conn, request.actor, request.at, request.text("device_id"), patient_id)


async def unpair_device(request: Request) -> Any:
    async with request.transaction() as conn:
        await devices.unpair_device(conn, request.actor, request.at, request.text("device_id"))


async def ask_device(request: Request) -> Any:
    async with request.transaction() as conn:
        await devices.ask_again(conn, request.actor, request.at, request.text("device_id"))


async def provision_device(request: Request) -> Any:
    body = await request.body()
    new = NewDevice(
        _device_id(body),
        body.choice("kind", devices.KINDS),
        body.text("name", NAME_MAX_CHARS),
        body.uuid("organisation_id"),
        body.optional_choice("driver", devices.DRIVER_NAMES) or devices.OWN_DRIVER,
    )
    async with request.transaction() as conn:
        made = await devices.provision_device(conn, request.actor, request.at, request.settings.shards, new)
    return {
        "device": {"id": new.id, "shard": made.shard, "kind": new.kind, "name": new.name},
        "username": made.username,
        "password": made.password,
    }


def _device_id(body: Fields) -> str:
    device_id = body.text("id", NAME_MAX_CHARS)
    if re.fullmatch(devices.ID_PATTERN, device_id) is None:
        raise body.bad("id", "3 to 41 of a-z, 0-9 and -, not - first")
    return device_id


async def retire_device(request: Request) -> Any:
    async with request.transaction() as conn:
        await devices.retire_device(conn, request.actor, request.at, request.text("device_id"))


async def list_set_aside(request: Request) -> Any:
    query = request.query
    async with request.transaction() as conn:
        return {
            "items": await set_asides.set_asides(
                conn, request.actor, request.at, query.optional_instant("before"),
                reason=query.optional_text("reason"), device_id=query.optional_text("device_id"),
                handled=query.boolean("handled", default=False),
            ),
            "reasons": await set_asides.reasons(conn, request.actor, request.at),
        }  # fmt: skip


async def read_set_aside(request: Request) -> Any:
    set_aside_id = request.uuid("set_aside_id")
    async with request.transaction() as conn:
        return await set_asides.set_aside(conn, request.actor, request.at, set_aside_id)


async def replay_set_aside(request: Request) -> Any:
    set_aside_id = request.uuid("set_aside_id")
    async with request.transaction() as conn:
        asked = await set_asides.ask_replay(conn, request.actor, request.at, set_aside_id=set_aside_id)
    return {"asked": asked}


async def replay_set_asides(request: Request) -> Any:
    body = await request.body()
    reason, device_id = body.text("reason", NAME_MAX_CHARS), body.optional_text("device_id")
    async with request.transaction() as conn:
        asked = await set_asides.ask_replay(
            conn, request.actor, request.at, reason=reason, device_id=device_id
        )
    return {"asked": asked}


async def discard_set_aside(request: Request) -> Any:
    set_aside_id = request.uuid("set_aside_id")
    why = (await request.body()).text("why", TEXT_MAX_CHARS, required=False)
    async with request.transaction() as conn:
        await set_asides.discard_set_aside(conn, request.actor, request.at, set_aside_id, why)


async def start_recording(request: Request) -> Any:
    body = await request.body()
    default = Wanted()
    wanted = Wanted(
        body.integer("fs_hz", *FS_RANGE_HZ, default=default.fs_hz),
        _leads(body.texts("leads", MAX_LEADS)) if body.has("leads") else default.leads,
        body.integer("no_data_after_s", *NO_DATA_RANGE_S, default=default.no_data_after_s),
    )
    if not wanted.leads or not set(wanted.leads) <= CODE_BY_LEAD.keys():
        raise body.bad("leads", "1 to 16 different lead codes (MDC_ECG_LEAD_...)")
    request_id, device_id = request.uuid("request_id"), body.text("device_id", NAME_MAX_CHARS)
    async with request.transaction() as conn:
        recording = await recordings.start_recording(
            conn, request.actor, request.at, request_id, device_id, wanted
        )
    return {"recording": recording}


def _leads(codes: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(codes))


async def list_recordings(request: Request) -> Any:
    status = request.query.optional_choice("status", recordings.STATUSES)
    request_id = request.query.optional_uuid("request_id")
    async with request.transaction() as conn:
        found = await recordings.recordings(
            conn, request.actor, request.at, status=status, request_id=request_id
        )
    return {"recordings": found}


async def read_recording(request: Request) -> Any:
    recording_id = request.uuid("recording_id")
    async with request.transaction() as conn:
        return {"recording": await recordings.read_recording(conn, request.actor, request.at, recording_id)}


async def end_recording(request: Request) -> Any:
    recording_id = request.uuid("recording_id")
    async with request.transaction() as conn:
        return {"recording": await recordings.end_recording(conn, request.actor, request.at, recording_id)}


async def discard_rest(request: Request) -> Any:
    reason, recording_id = (await request.body()).text("reason", TEXT_MAX_CHARS), request.uuid("recording_id")
    async with request.transaction() as conn:
        found = await recordings.discard_rest(conn, request.actor, request.at, recording_id, reason)
    return {"recording": found}


async def cancel_recording(request: Request) -> Any:
    recording_id = request.uuid("recording_id")
    async with request.transaction() as conn:
        return {"recording": await recordings.cancel_recording(conn, request.actor, request.at, recording_id)}


async def read_samples(request: Request) -> Bytes:
    query, recording_id = request.query, request.uuid("recording_id")
    async with request.transaction() as conn:
        if query.has("from"):
            window = await windows.read_window_at(
                conn, request.actor, request.at, recording_id, query.instant("from"),
                query.number("seconds", 0.01, windows.LONGEST_S),
            )  # fmt: skip
        else:
            window = await windows.read_window(
                conn, request.actor, request.at, recording_id, query.integer("boot", 0, 2**31 - 1),
                query.integer("first", 0, 2**62), query.integer("count", 1, 2**31 - 1),
            )  # fmt: skip
    return Bytes(window.to_bytes(), WINDOW_TYPE)


async def read_overview(request: Request) -> Bytes:
    query, recording_id = request.query, request.uuid("recording_id")
    columns = query.integer("columns", *overview.COLUMNS, default=overview.DEFAULT_COLUMNS)
    from_at, to_at = query.optional_instant("from"), query.optional_instant("to")
    async with request.transaction() as conn:
        found = await overview.read_overview(
            conn, request.actor, request.at, recording_id, from_at, to_at, columns
        )
    return Bytes(found.to_bytes(), WINDOW_TYPE)


async def list_events(request: Request) -> Any:
    recording_id = request.uuid("recording_id")
    async with request.transaction() as conn:
        return {"events": await events.events(conn, request.actor, request.at, recording_id)}


async def add_diary(request: Request) -> Any:
    body, recording_id = await request.body(), request.uuid("recording_id")
    happened_at, text = body.instant("at"), body.text("text", TEXT_MAX_CHARS)
    async with request.transaction() as conn:
        entry = await events.add_diary(conn, request.actor, request.at, recording_id, happened_at, text)
    return {"event": entry}


async def list_vitals(request: Request) -> Any:
    patient_id, query = request.uuid("patient_id"), request.query
    to_at = query.optional_instant("to") or request.at + vitals.AHEAD
    from_at = query.optional_instant("from") or to_at - timedelta(days=1)
    async with request.transaction() as conn:
        return {"vitals": await vitals.vitals(conn, request.actor, request.at, patient_id, from_at, to_at)}


_DEVICE: Final = "/api/devices/{device_id}"
_RECORDING: Final = "/api/recordings/{recording_id}"
ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/devices", list_devices, "device.read"),
    Route("POST", "/api/devices", provision_device, "device.provision"),
    Route("GET", _DEVICE, read_device, "device.read"),
    Route("POST", f"{_DEVICE}/retire", retire_device, "device.retire"),
    Route("POST", f"{_DEVICE}/pair", pair_device, "device.pair"),
    Route("POST", f"{_DEVICE}/unpair", unpair_device, "device.pair"),
    Route("POST", f"{_DEVICE}/ask", ask_device, "device.ask"),
    Route("GET", "/api/set-aside", list_set_aside, "set-aside.read"),
    Route("GET", "/api/set-aside/{set_aside_id}", read_set_aside, "set-aside.read"),
    Route("POST", "/api/set-aside/replay", replay_set_asides, "set-aside.replay"),
    Route("POST", "/api/set-aside/{set_aside_id}/replay", replay_set_aside, "set-aside.replay"),
    Route("POST", "/api/set-aside/{set_aside_id}/discard", discard_set_aside, "set-aside.discard"),
    Route("POST", "/api/requests/{request_id}/recordings", start_recording, "recording.start"),
    Route("GET", "/api/recordings", list_recordings, "recording.read"),
    Route("GET", _RECORDING, read_recording, "recording.read"),
    Route("POST", f"{_RECORDING}/end", end_recording, "recording.end"),
    Route("POST", f"{_RECORDING}/discard-rest", discard_rest, "recording.discard"),
    Route("POST", f"{_RECORDING}/cancel", cancel_recording, "recording.end"),
    Route("GET", f"{_RECORDING}/samples", read_samples, "recording.read", kind="bytes"),
    Route("GET", f"{_RECORDING}/overview", read_overview, "recording.read", kind="bytes"),
    Route("GET", f"{_RECORDING}/events", list_events, "recording.read"),
    Route("POST", f"{_RECORDING}/diary", add_diary, "diary.add"),
    Route("GET", "/api/patients/{patient_id}/vitals", list_vitals, "vitals.read"),
)
