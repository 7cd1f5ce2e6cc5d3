"""The only composer: settings -> pool -> domains -> edges, up in order, down in reverse.

What each domain exports (routes, job kinds, timers, listeners) is put together here and nowhere else; a job kind
that somebody enqueues and nobody handles, an undeclared action or a path declared twice stop the start.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import Gauge

from hub import receiver
from hub.alarms import live as alarm_live
from hub.alarms import routes as alarm_routes
from hub.alarms import worker as alarm_worker
from hub.core import (
    actor,
    backup_job,
    changes,
    clock,
    db,
    http,
    jobs,
    lifecycle,
    memory,
    metrics,
    pages,
    proofs,
    retention,
    supervisor,
)
from hub.core.db import Database
from hub.core.http import Bytes, Request, Route
from hub.core.jobs import JobKind, Worker
from hub.core.lifecycle import Part
from hub.core.role import Role
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging import dicom_studies, dicomweb, indexing, nodes, reconciling, uploads
from hub.imaging import routes as imaging_routes
from hub.imaging import worker as imaging_worker
from hub.ingest import record_pass, replay
from hub.ingest import worker as ingest_worker
from hub.operations import live as operations_live
from hub.operations import routes as operations_routes
from hub.orders import routes as order_routes
from hub.people import access, identity, sessions
from hub.people import proofs as people_proofs
from hub.people import retention as people_retention
from hub.people import routes as people_routes
from hub.people import worker as people_worker
from hub.reading import proofs as reading_proofs
from hub.reading import retention as reading_retention
from hub.reading import routes as reading_routes
from hub.reading import worker as reading_worker
from hub.telemetry import closing, commands, devices, set_asides
from hub.telemetry import feed as live_feed
from hub.telemetry import proofs as telemetry_proofs
from hub.telemetry import retention as telemetry_retention
from hub.telemetry import routes as telemetry_routes
from hub.telemetry import worker as telemetry_worker

WEB_FOLDER = Path(__file__).parent / "web"
SHUTDOWN_S = 4.0  # for answers on their way; below the supervisor's patience
ACTOR = actor.job("hub")


async def read_health(request: Request) -> dict[str, object]:
    """For a probe and the admin page: this process and the database answer; which others do."""
    async with request.transaction() as conn:
        await db.one(conn, "SELECT 1 AS one")
    processes = await metrics.answering(request.settings.data_dir)
    return {"status": "ready", "database": "ok", "processes": processes}


async def read_metrics(request: Request) -> Bytes:
    OPEN_SOCKETS.set(len(request.resource(http.STREAMS)))
    return Bytes(await metrics.gathered(request.settings.data_dir), metrics.MEDIA_TYPE)


OPEN_SOCKETS = Gauge("hub_web_open_sockets", "WebSockets open to pages")
OWN_ROUTES = (
    Route("GET", "/healthz", read_health, "health.read"),
    Route("GET", "/metrics", read_metrics, "metrics.read", kind="bytes", loopback_only=True),
)
ROUTES: tuple[Route, ...] = (
    *OWN_ROUTES,
    *people_routes.ROUTES,
    *order_routes.ROUTES,
    *telemetry_routes.ROUTES,
    *imaging_routes.ROUTES,
    *dicomweb.ROUTES,
    *alarm_routes.ROUTES,
    *alarm_live.ROUTES,
    *reading_routes.ROUTES,
    *operations_routes.ROUTES,
    *operations_live.ROUTES,
)
# What a backup keeps of the database's own word, and what is proved of a restored one.
FACTS = {**proofs.FACTS, **telemetry_proofs.FACTS, **people_proofs.FACTS, **reading_proofs.FACTS}
PROOFS = {**telemetry_proofs.PROOFS, **reading_proofs.PROOFS, **people_proofs.PROOFS}
RETENTION = retention.merged(
    (people_retention.RETENTION, telemetry_retention.RETENTION, reading_retention.RETENTION)
)
JOBS: Mapping[str, JobKind] = {
    **people_retention.kinds(RETENTION),
    **backup_job.kinds(FACTS),
    **people_worker.JOBS,
    **telemetry_worker.JOBS,
    **imaging_worker.JOBS,
    **indexing.JOBS,
    **alarm_worker.JOBS,
    **record_pass.JOBS,
    **replay.JOBS,
    **reading_worker.JOBS,
}
EVERY: jobs.Every = {
    "jobs.count": (jobs.COUNT_EVERY_S, jobs.count),
    **backup_job.EVERY,
    **people_retention.EVERY,
    **people_worker.EVERY,
    **telemetry_worker.EVERY,
    **imaging_worker.EVERY,
    **indexing.EVERY,
    **alarm_worker.EVERY,
    **reading_worker.EVERY,
}
# What a lower domain asks of a higher one, by name only.
ENQUEUED = (
    uploads.TAKE_IN_JOB,
    indexing.INDEX_JOB,
    dicom_studies.COMPLETE_JOB,
    reconciling.ECG_JOB,
    reconciling.TAKEN_BACK_JOB,
    commands.JOB,
    devices.ASK_JOB,
    set_asides.REPLAY_JOB,
    record_pass.JOB,
    closing.ENDED_JOB,
)
GUARD = http.Guard(access.ACTIONS, access.PUBLIC, sessions.authenticate, sessions.admit, nodes.authenticate)


def web_application(
    settings: Settings, database: Database, store: Store, feed: live_feed.Feed, watch: operations_live.Watch
) -> web.Application:
    """Pages and API of one web process."""
    changes_route, changes_listeners = changes.parts()
    resources: dict[web.AppKey[Any], Any] = {
        people_routes.KEYS: identity.load_keys(settings.data_dir),
        people_routes.SWEEPERS: RETENTION,
        live_feed.FEED: feed,
        operations_live.WATCH: watch,
    }
    return http.application(
        (*ROUTES, changes_route, *pages.routes(WEB_FOLDER)),
        GUARD,
        db=database,
        settings=settings,
        store=store,
        clock=clock.now,
        listeners=[changes_listeners, alarm_live.LISTENERS],
        resources=resources,
    )


def _dsn(settings: Settings) -> str:
    if settings.dsn is None:
        raise ValueError("a single role needs HUB_DSN; `hub serve` without --role brings its own database")
    return settings.dsn


def _store(settings: Settings) -> Store:
    return Store(settings.data_dir / "files")


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


async def run_web(settings: Settings, stop: asyncio.Event, fd: int | None) -> None:
    """Pages, API and live sockets."""
    async with (
        Database(_dsn(settings), "hub_app", size=12) as database,
        Database(_dsn(settings), "hub_app", size=2) as own,  # a crowd of callers must not blind the watch
        live_feed.running(settings, clock.now) as feed,
        operations_live.running(settings, own, feed, clock.now) as watch,
    ):
        async with database.transaction(ACTOR, clock.now()) as conn:
            await identity.require_own_keys(conn, identity.load_keys(settings.data_dir))
        application = web_application(settings, database, _store(settings), feed, watch)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.http_host, settings.http_port, ssl_context=_tls(settings))
            await site.start()
            async with supervisor.beating(fd):
                await stop.wait()
        finally:
            await runner.cleanup()


async def run_ingest(settings: Settings, stop: asyncio.Event, fd: int | None) -> None:
    """One of the processes that store what devices send; they share out the shards by locks."""
    async with Database(_dsn(settings), "hub_ingest", size=4) as database, supervisor.beating(fd) as beat:
        await ingest_worker.run(settings, database, clock.now, stop, beat)


async def run_jobs(settings: Settings, stop: asyncio.Event, fd: int | None) -> None:
    """The queue and the timers."""
    jobs.check(JOBS, ENQUEUED)
    size = jobs.connections(EVERY)
    async with Database(_dsn(settings), "hub_app", size) as database, supervisor.beating(fd):
        owner = lifecycle.job_owner(os.getpid())
        worker = Worker(database, _store(settings), settings, JOBS, clock.now, owner)
        await jobs.run_worker(worker, EVERY, stop)


ROLES: Mapping[str, Role] = {
    "web": run_web,
    "ingest": run_ingest,
    "jobs": run_jobs,
    "dimse": receiver.run_dimse,
}


def plan(settings: Settings) -> lifecycle.Plan:
    """All children of `hub serve`, in the order in which they start."""
    ingest = [Part(f"ingest-{number}", "ingest") for number in range(1, settings.ingest_processes + 1)]
    # Not ingest, whose ticks need the same large arrays again and again.
    jobs_part, web_part = (Part(name, name, memory.GIVES_BACK) for name in ("jobs", "web"))
    images = [Part("dimse", "dimse")] if settings.dimse_port or settings.dimse_tls_port else []
    return lifecycle.Plan((jobs_part, *ingest, *images, web_part), devices.broker_accounts)
