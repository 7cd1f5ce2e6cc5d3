"""HTTP of orders: what the township desk asks for."""

from typing import Any

from hub.core.fields import Fields
from hub.core.http import Request, Route
from hub.orders import requests

TEXT_CHARS = 1000
HOURS_MAX = 336
BODY_PART_CHARS = 64
INSTANCES_MAX = 100_000


async def _create(request: Request) -> dict[str, Any]:
    new = _new_request(await request.body())
    async with request.transaction() as conn:
        request_id = await requests.create_request(conn, request.actor, request.at, new)
        return {"request": await requests.request(conn, request.actor, request.at, request_id)}


def _new_request(body: Fields) -> requests.NewRequest:
    return requests.NewRequest(
        patient_id=body.uuid("patient_id"),
        kind=body.choice("kind", requests.KINDS),
        question=body.text("question", TEXT_CHARS),
        symptoms=body.text("symptoms", TEXT_CHARS, required=False),
        drugs=body.text("drugs", TEXT_CHARS, required=False),
        pacemaker=body.boolean("pacemaker", default=False),
        priority=body.optional_choice("priority", requests.PRIORITIES) or "routine",
        planned_hours=body.integer("planned_hours", 1, HOURS_MAX, default=24),
        modality=body.optional_choice("modality", requests.MODALITIES),
        body_part=body.optional_text("body_part", BODY_PART_CHARS),
        expected_instances=body.optional_integer("expected_instances", 1, INSTANCES_MAX),
    )


async def _list(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        found = await requests.requests(
            conn,
            request.actor,
            request.at,
            status=request.query.optional_choice("status", requests.STATUSES),
            patient_id=request.query.optional_uuid("patient_id"),
            organisation_id=request.query.optional_uuid("organisation_id"),
        )
    return {"requests": found}


async def _one(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        found = await requests.request(conn, request.actor, request.at, request.uuid("request_id"))
    return {"request": found}


async def _cancel(request: Request) -> None:
    reason = (await request.body()).text("reason", TEXT_CHARS)
    async with request.transaction() as conn:
        await requests.cancel_request(conn, request.actor, request.at, request.uuid("request_id"), reason)


ROUTES = [
    Route("POST", "/api/requests", _create, "request.create"),
    Route("GET", "/api/requests", _list, "request.read"),
    Route("GET", "/api/requests/{request_id}", _one, "request.read"),
    Route("POST", "/api/requests/{request_id}/cancel", _cancel, "request.cancel"),
]
