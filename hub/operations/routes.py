"""Incidents and failed jobs over HTTP (docs/protocol/http.md)."""

from typing import Any, Final

from hub.core.fields import Fields
from hub.core.http import Request, Route
from hub.operations import incidents, kept_jobs

OUTCOME_MAX_CHARS: Final = 500
JOB_ID_MAX: Final = 2**63 - 1


async def list_incidents(request: Request) -> Any:
    async with request.transaction() as conn:
        return {"incidents": await incidents.read_incidents(conn, request.actor, request.at)}


async def take_incident(request: Request) -> Any:
    body, incident_id = await request.body(), request.uuid("incident_id")
    take_over = body.boolean("take_over", default=False)
    async with request.transaction() as conn:
        return {
            "incident": await incidents.take_incident(
                conn, request.actor, request.at, incident_id, take_over=take_over
            )
        }


async def resolve_incident(request: Request) -> Any:
    body, incident_id = await request.body(), request.uuid("incident_id")
    outcome = body.text("outcome", OUTCOME_MAX_CHARS)
    async with request.transaction() as conn:
        return {
            "incident": await incidents.resolve_incident(
                conn, request.actor, request.at, incident_id, outcome
            )
        }


async def list_failed_jobs(request: Request) -> Any:
    async with request.transaction() as conn:
        return {"jobs": await kept_jobs.failed_jobs(conn, request.actor, request.at)}


async def retry_job(request: Request) -> Any:
    job_id = Fields(request.raw.match_info, textual=True).integer("job_id", 1, JOB_ID_MAX)
    async with request.transaction() as conn:
        await kept_jobs.retry_job(conn, request.actor, request.at, job_id)


_INCIDENT: Final = "/api/incidents/{incident_id}"
ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/incidents", list_incidents, "incident.read"),
    Route("POST", f"{_INCIDENT}/take", take_incident, "incident.take"),
    Route("POST", f"{_INCIDENT}/resolve", resolve_incident, "incident.resolve"),
    Route("GET", "/api/jobs/failed", list_failed_jobs, "job.read"),
    Route("POST", "/api/jobs/{job_id}/retry", retry_job, "job.retry"),
)
