"""The life of one hub on one machine: database, schema, broker, roles; up in this order, down in reverse.

With a given database or broker that step only waits for it. The commands that need a database while no hub runs
get the same server for as long as they take.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from hub.core import actor, broker, clock, disk, jobs, metrics, migrate, postgres, supervisor
from hub.core.broker import Account
from hub.core.db import Connection, Database
from hub.core.errors import HubError, Unavailable
from hub.core.logging import log
from hub.core.settings import Settings
from hub.core.store import Store
from hub.core.supervisor import Child, Supervisor

GIVEN_DATABASE_TIMEOUT_S = 60.0
PORT_TIMEOUT_S = 5.0
RETRY_S = 0.5
DISK_EVERY_S = 1.0
ACTOR = actor.job("hub")

ReadAccounts = Callable[[Connection], Awaitable[Sequence[Account]]]
Seed = Callable[[Settings, Database], Awaitable[Sequence[str]]]


class PortInUse(RuntimeError):
    """Something else listens where the hub wants to."""


class DatabaseAway(RuntimeError):
    """The given PostgreSQL does not answer."""


@dataclass(frozen=True)
class Part:
    """One of the hub's own processes: `hub serve --role ROLE`."""

    name: str
    role: str
    environ: Mapping[str, str] = field(default_factory=dict)  # what an operator set wins


@dataclass(frozen=True)
class Plan:
    """What the composer wants to run."""

    parts: Sequence[Part]  # in the order in which they start
    accounts: ReadAccounts  # of the devices, for the broker
    seed: Seed | None = None  # fills a new database; its lines are printed after `ready`


def job_owner(pid: int) -> str:
    """How the jobs process with this id signs its leases."""
    return f"{socket.gethostname()}-{pid}"


async def serve(settings: Settings, plan: Plan) -> None:
    """Run the whole hub until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    with supervisor.locked(settings.data_dir):
        log("hub.started", port=settings.http_port)
        Store(settings.data_dir / "files").sweep()
        async with metrics.offered(settings.data_dir, "hub"), Supervisor(settings.data_dir / "log") as parent:
            pages = (settings.http_host, settings.http_port)
            await _ports_free(pages, *_broker_ports(settings), *_dicom_ports(settings))
            settings = await _database(parent, settings)
            await migrated(settings)
            assert settings.dsn is not None
            async with Database(settings.dsn, "hub_app", size=2) as database:
                await _until(stop, parent, _run(parent, settings, plan, database))
            log("hub.stopping")
    log("hub.stopped")


async def _until(stop: asyncio.Event, parent: Supervisor, work: Awaitable[None]) -> None:
    """Until told to stop, or until the work fails."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (working, stopping):
        task.cancel()
    await asyncio.wait([working, stopping])
    if not working.cancelled():
        working.result()


async def _run(parent: Supervisor, settings: Settings, plan: Plan, database: Database) -> None:
    lines = await plan.seed(settings, database) if plan.seed else ()
    await _broker(parent, settings, plan, database)
    await _start_parts(parent, settings, plan, database)
    scheme = "https" if settings.tls_cert else "http"
    _say(f"ready {scheme}://{settings.http_host}:{settings.http_port}", *lines)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(parent.watch())
        tasks.create_task(_keep_accounts(parent, settings, plan, database))
        if disk.holds_database(settings):
            tasks.create_task(_keep_disk(settings))


async def _keep_disk(settings: Settings) -> None:
    """Hold the reserve, and give it up when the disk is full."""
    was: disk.State = "ok"
    while True:
        now = await asyncio.to_thread(disk.keep, settings)
        if now != was:
            log("disk.reserve", state=now, free_bytes=disk.free_bytes(settings.data_dir))
        was = now
        await asyncio.sleep(DISK_EVERY_S)


async def _start_parts(parent: Supervisor, settings: Settings, plan: Plan, database: Database) -> None:
    """Side by side: importing takes each of them longest, and they wait for one another where they must."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for part in plan.parts:
                tasks.create_task(parent.start(_child(settings, part, database)))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def stop_on_signals() -> asyncio.Event:
    """Set when this process is asked to end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def migrated(settings: Settings) -> None:
    """Bring the database to this program's schema."""
    assert settings.dsn is not None
    for name in await migrate.migrate(settings.dsn, clock.now(), timescaledb=settings.timescaledb):
        log("migration.applied", name=name)


async def _database(parent: Supervisor, settings: Settings) -> Settings:
    """Start our server, or wait for the given one; the settings with its address."""
    if settings.dsn is not None:
        await _wait_given(settings.dsn)
        return settings
    cluster = await asyncio.to_thread(postgres.prepare, _cluster_folder(settings), settings.postgres_bin)

    async def command() -> Sequence[str]:
        await postgres.wait_gone(cluster)
        return cluster.command

    async def ready(server: Process) -> None:
        await postgres.wait_ready(cluster, server)

    await parent.start(
        Child("postgres", command, ready, signal.SIGINT, postgres.STOP_TIMEOUT_S, environ=_plain_environ())
    )
    return replace(settings, dsn=cluster.admin_dsn)


def _cluster_folder(settings: Settings) -> Path:
    return settings.data_dir / "postgres"


async def _wait_given(dsn: str) -> None:
    until_s = clock.monotonic_s() + GIVEN_DATABASE_TIMEOUT_S
    while True:
        try:
            return await (await psycopg.AsyncConnection.connect(dsn, connect_timeout=5)).close()
        except psycopg.OperationalError as failure:
            if clock.monotonic_s() > until_s:
                words = str(failure).partition("\n")[0]
                raise DatabaseAway(f"HUB_DSN: PostgreSQL does not answer: {words}") from None
        await asyncio.sleep(RETRY_S)


async def _broker(parent: Supervisor, settings: Settings, plan: Plan, database: Database) -> None:
    if settings.mqtt_external is not None:
        broker.prepare_files(settings, await _accounts(plan, database))
        return await broker.wait_ready(settings)

    async def command() -> Sequence[str]:
        await _ports_free(*_broker_ports(settings))
        return broker.prepare(settings, await _accounts(plan, database))

    async def ready(process: Process) -> None:
        await broker.wait_ready(settings, process)

    await parent.start(
        Child("mosquitto", command, ready, signal.SIGTERM, broker.STOP_TIMEOUT_S, environ=_plain_environ())
    )


async def _accounts(plan: Plan, database: Database) -> Sequence[Account]:
    """The devices' accounts, as soon as the database answers."""
    while True:
        try:
            async with database.transaction(ACTOR, clock.now()) as conn:
                return await plan.accounts(conn)
        except Unavailable:
            await asyncio.sleep(RETRY_S)


async def _keep_accounts(parent: Supervisor, settings: Settings, plan: Plan, database: Database) -> None:
    """Bring devices that come and go to the broker."""

    async def on_notify(_channel: str, _payload: str) -> None:
        while True:
            accounts = await _accounts(plan, database)
            try:
                await asyncio.to_thread(broker.write_accounts, settings, accounts)
                break
            except OSError:  # a full disk
                await asyncio.sleep(RETRY_S)
        running = parent.process("mosquitto")
        if running is not None:
            broker.reload(running)
        log("broker.reloaded", devices=len(accounts))

    await database.listen([broker.DEVICES_CHANGED], on_notify)


def _broker_ports(settings: Settings) -> list[tuple[str, int]]:
    """Where our own broker will listen."""
    if settings.mqtt_external is not None:
        return []
    own, devices = settings.mqtt_port, settings.mqtt_devices_port
    return [(settings.mqtt_host, own), (settings.mqtt_devices_host, devices)]


def _dicom_ports(settings: Settings) -> list[tuple[str, int]]:
    """Where images will come in, and be asked for, if they may."""
    ports = (
        settings.dimse_port, settings.dimse_tls_port, settings.dimse_query_port, settings.dimse_query_tls_port,
    )  # fmt: skip
    return [(settings.dimse_host, port) for port in ports if port]


async def _ports_free(*addresses: tuple[str, int]) -> None:
    """Wait until the ports can be taken: a process that was killed may hold one for a moment."""
    until_s = clock.monotonic_s() + PORT_TIMEOUT_S
    for host, port in addresses:
        while (failure := why_taken(host, port)) is not None:
            if clock.monotonic_s() > until_s:
                raise PortInUse(f"port {port} on {host}: {failure.strerror}")
            await asyncio.sleep(0.1)


def why_taken(host: str, port: int) -> OSError | None:
    """What keeps us from listening there, if anything does."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            return failure
    return None


def _child(settings: Settings, part: Part, database: Database) -> Child:
    async def command() -> Sequence[str]:
        return sys.executable, "-m", "hub.cli", "serve", "--role", part.role, "--name", part.name

    async def free_leases(pid: int) -> None:
        with contextlib.suppress(HubError):  # the database is away, too: the leases run out by themselves
            await jobs.release(database, clock.now(), job_owner(pid))

    environ = {**part.environ, **_plain_environ(), **settings.environ()}
    return Child(part.name, command, environ=environ, on_end=free_leases if part.role == "jobs" else None)


def _plain_environ() -> dict[str, str]:
    """Our environment without any setting of ours, with this very program on the path."""
    root = str(Path(__file__).parents[2])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return kept | {"PYTHONPATH": root}


@contextlib.asynccontextmanager
async def database_server(settings: Settings) -> AsyncIterator[Settings]:
    """For commands: the given database, that of the running hub, or our own started for the moment."""
    if settings.dsn is not None:
        yield settings
        return
    folder = _cluster_folder(settings)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(supervisor.locked(settings.data_dir))
        except supervisor.DataFolderInUse:
            cluster = await asyncio.to_thread(postgres.existing, folder, settings.postgres_bin)
            await postgres.wait_ready(cluster)
            yield replace(settings, dsn=cluster.admin_dsn)
            return
        async with postgres.running(folder, settings.postgres_bin) as cluster:
            own = replace(settings, dsn=cluster.admin_dsn)
            await migrated(own)
            yield own
