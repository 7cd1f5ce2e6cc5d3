"""A town whose devices are ingested, and its pages served, all on one clock that starts at `at`."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hub.alarms import live
from hub.alarms import routes as alarm_routes
from hub.core import clock
from hub.ingest.engine import Engine
from hub.ingest.worker import Worker
from hub.telemetry import feed
from hub.telemetry import routes as telemetry_routes
from tests import monitoring, serving, world
from tests.ingest.conftest import Town
from tests.parts import Broker, Databases
from tests.serving import Serving

Now = Callable[[], datetime]


@pytest.fixture
def now(at: datetime) -> Now:
    """A clock that goes on from `at`."""
    since_s = clock.monotonic_s()
    return lambda: at + timedelta(seconds=clock.monotonic_s() - since_s)


@pytest.fixture
async def town(database: Databases, at: datetime) -> Town:
    built = await world.build(database.admin_dsn)
    async with await world.connect(database.admin_dsn) as admin:
        worn = await monitoring.wear(admin, built.own, at, "holter-1")
        other = await monitoring.wear(admin, built.own, at, "holter-2", "01")
    return Town(database, built, worn, other, Engine(database.ingest))


@pytest.fixture
async def pages(town: Town, broker: Broker, now: Now, tmp_path: Path) -> AsyncIterator[Serving]:
    """Telemetry's and alarms' routes, live ones included."""
    routes = [*telemetry_routes.ROUTES, *alarm_routes.ROUTES, *live.ROUTES]
    async with (
        feed.running(broker.settings, now) as running,
        serving.serve(
            town.databases.app, tmp_path, now, routes, [live.LISTENERS], {feed.FEED: running}
        ) as served,
    ):
        yield served


@pytest.fixture
async def ingesting(town: Town, broker: Broker, now: Now) -> AsyncIterator[Worker]:
    broker.set_devices({w.username: w.password for w in (town.worn, town.other)})
    async with monitoring.ingesting(broker.settings, town.databases.ingest, now) as running:
        yield running
