"""Live pages: one patient's signal with its findings and alarms, and the board (docs/protocol/websocket.md).

A page is fed at the pace it acknowledges; the newest sample's age is always told, since silence says nothing.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from hub.alarms import board, services
from hub.alarms.raising import CHANNEL
from hub.core import clock, errors
from hub.core.http import Listener, Request, Route
from hub.core.streams import Socket
from hub.telemetry import recordings, vitals
from hub.telemetry.feed import FEED, Feed, Viewer, Watched
from hub.telemetry.pace import NewBoot, Skipped

STATUS_EVERY_S: Final = 2.0
ALARM_EVERY_S: Final = 0.25
WORDS_MAX: Final = 100
BOARD_EVERY_S: Final = 1.0
BOARD_READ_EVERY_S: Final = 2.0
CLOSE_TOO_SLOW: Final = 4408
COUNTS: Final = ("produced", "stored", "declared_lost", "waiting")


async def watch_recording(request: Request) -> None:
    """One patient, until the page leaves, falls behind for good, or loses its right."""
    recording_id = request.uuid("recording_id")
    async with request.transaction() as conn:
        watched = await board.watched(conn, request.actor, request.at, recording_id)
        await board.record_look(conn, request.actor, request.at, watched, begins=True)
    viewer = Viewer(watched)
    async with request.socket("patient", watched.patient_id) as socket:
        try:
            with request.resource(FEED).viewing(viewer):
                await socket.send_json(await _hello(request, watched))
                await _feed(request, socket, viewer)
        finally:
            await _record_end(request, watched)


async def _record_end(request: Request, watched: Watched) -> None:
    at = request.now()
    with contextlib.suppress(errors.Unavailable):
        async with request.transaction(at) as conn:
            await board.record_look(conn, request.actor, at, watched, begins=False)


async def _hello(request: Request, watched: Watched) -> dict[str, Any]:
    actor, at = request.actor, request.now()
    async with request.transaction(at) as conn:
        return {
            "type": "hello",
            "recording": await recordings.read_recording(conn, actor, at, watched.recording_id),
            "vitals": await vitals.newest_vitals(conn, actor, at, watched.patient_id),
            "alarms": await services.open_alarms(conn, actor, at, watched.recording_id),
        }


async def _feed(request: Request, socket: Socket, viewer: Viewer) -> None:
    """Send what there is, as fast as the page takes it; the database is asked beside, and may be away."""
    storing: dict[str, Any] = {}
    words: deque[dict[str, Any]] = deque(maxlen=WORDS_MAX)
    beside = [
        asyncio.create_task(_listen(socket, viewer)),
        asyncio.create_task(_ask(request, viewer, words)),
    ]
    try:
        while not viewer.pace.is_silent(clock.monotonic_s()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_EVERY_S):
                    await viewer.wake.wait()
            viewer.wake.clear()
            for task in beside:
                if task.done():
                    task.result()  # the right to see alarms has ended, or a bug: no page goes on without them
            await _tell(request, socket, viewer)
            storing = await _tell_storing(request, socket, storing)
            while words:
                await socket.send_json(words.popleft())
        await socket.close(CLOSE_TOO_SLOW, "the page does not keep up")
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)


async def _ask(request: Request, viewer: Viewer, words: "deque[dict[str, Any]]") -> None:
    """State of device and ledger every two seconds, alarms as they change."""
    status_s = clock.monotonic_s()
    while True:
        await asyncio.sleep(ALARM_EVERY_S)
        alarms, viewer.alarms = viewer.alarms, set()
        missed, viewer.has_missed = viewer.has_missed, False
        try:
            if missed:
                words.append({"type": "alarms", "alarms": await _open_alarms(request, viewer.watched)})
            for alarm_id in alarms:
                words.append({"type": "alarm", "alarm": await _alarm(request, alarm_id)})
            if clock.monotonic_s() - status_s >= STATUS_EVERY_S:
                status_s = clock.monotonic_s()
                words.append(await _status(request, viewer.watched))
        except errors.Unavailable:  # the signal goes on; ask again
            viewer.alarms |= alarms
            viewer.has_missed |= missed
        viewer.wake.set()


async def _listen(socket: Socket, viewer: Viewer) -> None:
    """What the page has shown; anything else it says is not understood and not answered."""
    while True:
        text = await socket.receive()
        with contextlib.suppress(ValueError, TypeError, KeyError):
            said = json.loads(text)
            if said["type"] == "ack":
                viewer.pace.acknowledge(int(said["sample"]), clock.monotonic_s())
                viewer.wake.set()


async def _tell(request: Request, socket: Socket, viewer: Viewer) -> None:
    """Everything new, samples first."""
    for one in viewer.pace.take(clock.monotonic_s()):
        if isinstance(one, bytes):
            await socket.send_bytes(one)
        else:
            await socket.send_json(_word(one))
    if viewer.unstored is not None:
        alarms, viewer.unstored = viewer.unstored, None
        await socket.send_json({"type": "unstored", "alarms": [_unstored(viewer, one) for one in alarms]})
    while viewer.seconds:
        await _tell_second(request, socket, viewer.seconds.popleft())
    while viewer.vitals:
        await socket.send_json({"type": "vitals", "vitals": viewer.vitals.popleft()})


async def _tell_storing(request: Request, socket: Socket, before: dict[str, Any]) -> dict[str, Any]:
    """How the hub stores, when that has changed; what is told now."""
    now = request.resource(FEED).storing()
    if now != before and not (not before and now["state"] == "ok"):
        await socket.send_json({"type": "storing", **now})
    return now


def _unstored(viewer: Viewer, alarm: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm from memory, in the shape of a stored one; nobody can have taken it yet."""
    nobody = {"owner": None, "owned_at": None, "resolved_at": None, "outcome": None, "gone_at": None}
    patient = {"id": viewer.watched.patient_id, "name": None}
    return {**alarm, **nobody, "patient": patient, "handling": "raised", "stored": False}


def _word(one: NewBoot | Skipped) -> dict[str, Any]:
    if isinstance(one, NewBoot):
        anchor_at = datetime.fromtimestamp(one.anchor_s, UTC)
        signal = {"fs_hz": one.fs_hz, "leads": one.leads}
        return {"type": "boot", "boot": one.boot, "anchor_at": anchor_at, **signal}
    return {"type": "skipped", "from_sample": one.from_sample, "to_sample": one.to_sample}


async def _tell_second(request: Request, socket: Socket, second: Mapping[str, Any]) -> None:
    shown = {name: second[name] for name in ("at", "boot", "sample", "rate_bpm", "beats", "quality")}
    await socket.send_json({"type": "second", **shown, "age_s": age_s(second, request.now())})
    for finding in second["findings"]:
        await socket.send_json({"type": "finding", "finding": finding})


async def _alarm(request: Request, alarm_id: UUID) -> dict[str, Any]:
    at = request.now()
    async with request.transaction(at) as conn:
        return await services.alarm(conn, request.actor, at, alarm_id)


async def _open_alarms(request: Request, watched: Watched) -> list[dict[str, Any]]:
    at = request.now()
    async with request.transaction(at) as conn:
        return await services.open_alarms(conn, request.actor, at, watched.recording_id)


async def _status(request: Request, watched: Watched) -> dict[str, Any]:
    at = request.now()
    async with request.transaction(at) as conn:
        recording = await recordings.read_recording(conn, request.actor, at, watched.recording_id)
    ledger = {name: recording["ledger"][name] for name in COUNTS}
    told = {"ledger": ledger, "backlog": recording["backlog"], "clock": recording["clock"]}
    return {"type": "status", "status": recording["status"], **recording["device"], **told}


def age_s(second: Mapping[str, Any], at: datetime) -> float:
    """The age of the newest sample by the corrected clock."""
    return round(max(0.0, (at - datetime.fromisoformat(second["at"])).total_seconds()), 3)


@dataclass(slots=True)
class _Board:
    """What the database said last; it may be away, or hang."""

    rows: list[dict[str, Any]]
    vitals: dict[UUID, dict[str, Any]] = field(default_factory=dict)


async def watch_board(request: Request) -> None:
    """Everybody within reach, each second; the database is asked beside."""
    feed = request.resource(FEED)
    async with request.transaction() as conn:
        known = _Board(await board.running(conn, request.actor, request.at))
    await _learn_vitals(request, known.rows, known.vitals)
    async with request.socket() as socket:
        reading = asyncio.create_task(_keep_board(request, known))
        try:
            while not reading.done():
                patients = [_board_row(row, feed, known.vitals, request.now()) for row in known.rows]
                await socket.send_json({"type": "board", "patients": patients, "storing": feed.storing()})
                await asyncio.wait({reading}, timeout=BOARD_EVERY_S)
            reading.result()
        finally:
            reading.cancel()
            await asyncio.wait({reading})


async def _keep_board(request: Request, known: _Board) -> None:
    while True:
        await asyncio.sleep(BOARD_READ_EVERY_S)
        at = request.now()
        with contextlib.suppress(errors.Unavailable):  # the rates go on; ask again
            async with request.transaction(at) as conn:
                known.rows = await board.running(conn, request.actor, at)
            await _learn_vitals(request, known.rows, known.vitals)


async def _learn_vitals(
    request: Request, rows: list[dict[str, Any]], known: dict[UUID, dict[str, Any]]
) -> None:
    """What was measured before this board was opened; later values come with the feed."""
    new = [row["patient"]["id"] for row in rows if row["patient"]["id"] not in known]
    if not new:
        return
    at = request.now()
    async with request.transaction(at) as conn:
        for patient_id in new:
            found = await vitals.newest_vitals(conn, request.actor, at, patient_id)
            known[patient_id] = {row["code"]: row for row in found}


def _board_row(
    row: dict[str, Any], feed: Feed, known_vitals: Mapping[UUID, dict[str, Any]], at: datetime
) -> dict[str, Any]:
    second = feed.newest.get(row["recording_id"])
    patient_id = row["patient"]["id"]
    values = known_vitals.get(patient_id, {}) | feed.vitals.get(patient_id, {})
    shown = ("value", "text_value", "unit", "at")
    known = {str(alarm["id"]) for alarm in row["open_alarms"]}
    unstored = [_brief(one) for one in feed.unstored(row["recording_id"]) if one["id"] not in known]
    return row | {
        "open_alarms": [*row["open_alarms"], *unstored],
        "rate_bpm": second["rate_bpm"] if second else None,
        "quality": second["quality"] if second else None,
        "age_s": age_s(second, at) if second else None,
        "vitals": {code: {name: value[name] for name in shown} for code, value in values.items()},
    }


def _brief(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm from memory, on the board."""
    shown = {name: alarm[name] for name in ("id", "rule", "priority")}
    return shown | {"handling": "raised", "owner_name": None, "stored": False}


async def on_alarm(app: web.Application, _channel: str, payload: str) -> None:
    """NOTIFY hub_alarm; after an interruption, pages are told all their alarms anew."""
    if not payload:
        app[FEED].on_interruption()
    else:
        said = json.loads(payload)
        recording_id = said.get("recording_id")
        app[FEED].on_alarm(UUID(said["alarm_id"]), UUID(recording_id) if recording_id else None)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/recordings/{recording_id}/live", watch_recording, "recording.live", kind="socket"),
    Route("GET", "/api/board", watch_board, "board.live", kind="socket"),
)
LISTENERS: Mapping[str, Listener] = {CHANNEL: on_alarm}
