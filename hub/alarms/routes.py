"""Alarms, findings and rules over HTTP (docs/protocol/http.md)."""

from typing import Any

from hub.alarms import findings, services
from hub.core.http import Request, Route

OUTCOME_MAX_CHARS = 1000


async def list_alarms(request: Request) -> Any:
    only_open = request.query.optional_choice("open", ("0", "1")) == "1"
    recording_id = request.query.optional_uuid("recording_id")
    async with request.transaction() as conn:
        found = await services.alarms(
            conn, request.actor, request.at, only_open=only_open, recording_id=recording_id
        )
    return {"alarms": found}


async def read_alarm(request: Request) -> Any:
    async with request.transaction() as conn:
        return {"alarm": await services.alarm(conn, request.actor, request.at, request.uuid("alarm_id"))}


async def own_alarm(request: Request) -> Any:
    take_over = (await request.body()).boolean("take_over", default=False)
    alarm_id = request.uuid("alarm_id")
    async with request.transaction() as conn:
        alarm = await services.own_alarm(conn, request.actor, request.at, alarm_id, take_over=take_over)
    return {"alarm": alarm}


async def resolve_alarm(request: Request) -> Any:
    outcome = (await request.body()).text("outcome", OUTCOME_MAX_CHARS)
    alarm_id = request.uuid("alarm_id")
    async with request.transaction() as conn:
        return {"alarm": await services.resolve_alarm(conn, request.actor, request.at, alarm_id, outcome)}


async def list_findings(request: Request) -> Any:
    recording_id = request.uuid("recording_id")
    async with request.transaction() as conn:
        return {"findings": await findings.findings(conn, request.actor, request.at, recording_id)}


async def list_rules(_request: Request) -> Any:
    return {"rules": findings.rules()}


ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/alarms", list_alarms, "alarm.read"),
    Route("GET", "/api/alarms/{alarm_id}", read_alarm, "alarm.read"),
    Route("POST", "/api/alarms/{alarm_id}/own", own_alarm, "alarm.own"),
    Route("POST", "/api/alarms/{alarm_id}/resolve", resolve_alarm, "alarm.resolve"),
    Route("GET", "/api/recordings/{recording_id}/findings", list_findings, "recording.read"),
    Route("GET", "/api/rules", list_rules, "me.read"),
)
