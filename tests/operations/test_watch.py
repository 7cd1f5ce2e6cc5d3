"""The watch with real faults: a database that refuses, a broker that is stopped; and what people do with incidents."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import ClientWebSocketResponse
from psycopg import sql

from hub.core import actor, clock, db, process
from hub.core.db import Database
from hub.core.incidents import raise_incident
from hub.core.settings import Settings
from hub.operations import live, routes
from hub.operations.live import WATCH, Watch
from hub.telemetry import feed
from tests import serving, world
from tests.parts import Broker, Databases
from tests.world import World

JOB = actor.job("test")


@pytest.fixture
def now(at: datetime) -> Callable[[], datetime]:
    since_s = clock.monotonic_s()
    return lambda: at + timedelta(seconds=clock.monotonic_s() - since_s)


@pytest.fixture
async def two(database: Databases) -> World:
    return await world.build(database.admin_dsn)


@contextlib.asynccontextmanager
async def watching(
    settings: Settings, databases: Databases, now: Callable[[], datetime]
) -> AsyncIterator[Watch]:
    async with (
        Database(databases.admin_dsn, "hub_app", size=2) as own,
        feed.running(settings, now) as running,
        live.running(settings, own, running, now) as watch,
    ):
        yield watch


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    """Wait for what the watch does at its own pace; a minute is for ever."""
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - the table sets no event of ours
            await asyncio.sleep(0.05)


async def told(socket: ClientWebSocketResponse, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first thing pages are told that has an incident of this kind, and the incident."""
    async with asyncio.timeout(60):
        while True:
            said = await socket.receive_json()
            for one in said["incidents"]:
                if one["kind"] == kind:
                    return said, one


async def written(databases: Databases, kind: str) -> list[db.Row]:
    async with await world.connect(databases.admin_dsn) as admin:
        found = await admin.execute("SELECT * FROM incident WHERE kind = %s", (kind,))
        return await found.fetchall()


async def written_and_gone(databases: Databases, kind: str) -> bool:
    return any(row["gone_at"] for row in await written(databases, kind))


async def allow_connections(admin_dsn: str, allowed: bool) -> None:
    """Refuse everybody, as a server that starts up or is full does, and throw out who is in."""
    name = psycopg.conninfo.conninfo_to_dict(admin_dsn)["dbname"]
    elsewhere = psycopg.conninfo.make_conninfo(admin_dsn, dbname="postgres")
    async with await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as conn:
        await conn.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                sql.Identifier(str(name)), sql.Literal(allowed)
            )
        )
        if not allowed:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )


async def test_a_database_that_is_away_is_told_from_memory_and_written_once_it_is_back(
    database: Databases, two: World, broker: Broker, now: Callable[[], datetime], tmp_path: Path
) -> None:
    """A page that is open goes on; what it was told stands in the table later, with the time at which it began."""
    async with (
        watching(broker.settings, database, now) as watch,
        serving.serve(database.app, tmp_path, now, live.ROUTES, resources={WATCH: watch}) as pages,
    ):
        page = await pages.as_(two.own, "device_manager").socket("/api/operations/watch")
        assert (await page.receive_json())["database"]
        begun_at = now()
        await allow_connections(database.admin_dsn, False)
        said, seen = await told(page, "database-away")
        assert (said["database"], seen["priority"], seen["stored"]) == (False, "high", False)
        await allow_connections(database.admin_dsn, True)
        await until(lambda: written_and_gone(database, "database-away"))
        await page.close()
    (row,) = await written(database, "database-away")
    assert begun_at - timedelta(seconds=live.PROBE_EVERY_S) < row["since_at"] < row["gone_at"]


async def test_a_broker_that_is_away_becomes_an_incident_with_its_owner_and_outcome(
    database: Databases, two: World, broker: Broker, now: Callable[[], datetime], tmp_path: Path
) -> None:
    """Also that pages are told by their socket, and that only who runs the whole hub handles its hops."""
    declared = [*routes.ROUTES, *live.ROUTES]
    async with await world.connect(two.admin_dsn) as admin:
        await world.give(admin, two.own.accounts["organisation_admin"], two.province, "organisation_admin")
    async with (
        watching(broker.settings, database, now) as watch,
        serving.serve(database.app, tmp_path, now, declared, resources={WATCH: watch}) as pages,
    ):
        root, manager = pages.as_(two.own, "organisation_admin"), pages.as_(two.foreign, "device_manager")
        await process.stop(broker.process, signal.SIGKILL, 10)
        page = await root.socket("/api/operations/watch")
        said, _ = await told(page, "broker-away")
        await page.close()
        assert next(hop for hop in said["hops"] if hop["hop"] == "broker")["state"] == "broken"
        await until(lambda: written(database, "broker-away"))
        listed = (await manager.json("GET", "/api/incidents"))["incidents"]
        path = f"/api/incidents/{next(one['id'] for one in listed if one['kind'] == 'broker-away')}"
        assert not any(one["may_handle"] for one in listed)
        await manager.json("POST", f"{path}/take", {}, status=403)
        taken = (await root.json("POST", f"{path}/take", {}))["incident"]
        assert taken["owner"]["name"] == "own.organisation-admin"
        done = (await root.json("POST", f"{path}/resolve", {"outcome": "换了网线"}))["incident"]
        assert (done["outcome"], done["gone_at"]) == ("换了网线", None)
        again = await root.json("POST", f"{path}/resolve", {"outcome": "x"}, status=409)
        assert again["error"]["code"] == "incident_resolved"


async def test_a_device_s_incident_is_its_managers_and_a_failed_job_is_tried_again(
    database: Databases, two: World, at: datetime, tmp_path: Path
) -> None:
    async with await world.connect(two.admin_dsn) as admin:
        await world.insert(
            admin, "device", id="holter-1", shard="00", kind="holter", name="x", password_hash="x", created_at=at,
            organisation_id=two.own.organisations["town"],
        )  # fmt: skip
        await world.give(admin, two.own.accounts["device_manager"], two.province, "device_manager")
        for key, failed_at in (("a", at), ("b", at), ("b", None)):
            await world.insert(
                admin, "job", kind="reading.pdf", unique_key=key, payload={}, run_at=at, created_at=at,
                failed_at=failed_at, attempts=8,
            )  # fmt: skip
    async with database.app.transaction(JOB, at) as conn:
        await raise_incident(conn, at, "device-clock", "holter-1", {"offset_s": 7200})
    async with serving.serve(database.app, tmp_path, lambda: at, routes.ROUTES) as pages:
        own, foreign = pages.as_(two.own, "device_manager"), pages.as_(two.foreign, "device_manager")
        (one,) = (await own.json("GET", "/api/incidents"))["incidents"]
        assert (one["subject"], one["facts"][0]["value"], one["may_handle"]) == ("holter-1", 7200, True)
        assert (await foreign.json("GET", "/api/incidents"))["incidents"] == []
        failed = (await own.json("GET", "/api/jobs/failed"))["jobs"]
        for job in failed:
            await own.json("POST", f"/api/jobs/{job['id']}/retry", {})
        assert (await own.json("GET", "/api/jobs/failed"))["jobs"] == []
    async with database.app.transaction(JOB, at) as conn:
        kept = await db.rows(conn, "SELECT unique_key, attempts FROM job ORDER BY unique_key")
    assert kept == [{"unique_key": "a", "attempts": 0}, {"unique_key": "b", "attempts": 8}]
