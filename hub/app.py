"""The composer: settings -> pool -> domains -> edges, up in order, down in reverse.

What each domain exports is put together here (routes, listeners), in hub/background.py (job kinds, timers) and nowhere
else; a job kind that somebody enqueues and nobody handles, an undeclared action or a path declared twice stop the
start. Nothing here may bring the engine, the decoders or the paper: the process of the pages would hold them for ever.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import Gauge

from hub.alarms import live as alarm_live
from hub.alarms import routes as alarm_routes
from hub.core import (
    actor,
    changes,
    clock,
    db,
    http,
    lifecycle,
    memory,
    metrics,
    pages,
    retention,
    supervisor,
)
from hub.core.db import Database
from hub.core.http import Bytes, Request, Route
from hub.core.lifecycle import Part
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.dicomweb import routes as dicomweb
from hub.imaging.index import nodes
from hub.imaging.intake import routes as imaging_routes
from hub.imaging.pictures import image_routes, mark_routes, rendering
from hub.operations import live as operations_live
from hub.operations import routes as operations_routes
from hub.orders import routes as order_routes
from hub.people import access, identity, sessions
from hub.people import retention as people_retention
from hub.people import routes as people_routes
from hub.reading import retention as reading_retention
from hub.reading import routes as reading_routes
from hub.telemetry import devices
from hub.telemetry import feed as live_feed
from hub.telemetry import retention as telemetry_retention
from hub.telemetry import routes as telemetry_routes

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
    *mark_routes.ROUTES,
    *image_routes.ROUTES,
    *alarm_routes.ROUTES,
    *alarm_live.ROUTES,
    *reading_routes.ROUTES,
    *operations_routes.ROUTES,
    *operations_live.ROUTES,
)
RETENTION = retention.merged(
    (people_retention.RETENTION, telemetry_retention.RETENTION, reading_retention.RETENTION)
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
        image_routes.RENDERER: rendering.resident(),
    }
    application = http.application(
        (*ROUTES, changes_route, *pages.routes(WEB_FOLDER)),
        GUARD,
        db=database,
        settings=settings,
        store=store,
        clock=clock.now,
        listeners=[changes_listeners, alarm_live.LISTENERS],
        resources=resources,
    )
    application.on_cleanup.append(image_routes.close)
    return application


def require_dsn(settings: Settings) -> str:
    """Where the database of a single role is."""
    if settings.dsn is None:
        raise ValueError("a single role needs HUB_DSN; `hub serve` without --role brings its own database")
    return settings.dsn


def file_store(settings: Settings) -> Store:
    """The files of this installation."""
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
        Database(require_dsn(settings), "hub_app", size=12) as database,
        Database(
            require_dsn(settings), "hub_app", size=2
        ) as own,  # a crowd of callers must not blind the watch
        live_feed.running(settings, clock.now) as feed,
        operations_live.running(settings, own, feed, clock.now) as watch,
    ):
        async with database.transaction(ACTOR, clock.now()) as conn:
            await identity.require_own_keys(conn, identity.load_keys(settings.data_dir))
        application = web_application(settings, database, file_store(settings), feed, watch)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.http_host, settings.http_port, ssl_context=_tls(settings))
            await site.start()
            async with supervisor.beating(fd):
                await stop.wait()
        finally:
            await runner.cleanup()


def plan(settings: Settings) -> lifecycle.Plan:
    """All children of `hub serve`, in the order in which they start."""
    ingest = [Part(f"ingest-{number}", "ingest") for number in range(1, settings.ingest_processes + 1)]
    # Not ingest, whose ticks need the same large arrays again and again.
    jobs_part, web_part = (Part(name, name, memory.GIVES_BACK) for name in ("jobs", "web"))
    images = [Part("dimse", "dimse")] if settings.dimse_port or settings.dimse_tls_port else []
    images += [Part("query", "query")] if settings.dimse_query_port or settings.dimse_query_tls_port else []
    return lifecycle.Plan((jobs_part, *ingest, *images, web_part), devices.broker_accounts)
