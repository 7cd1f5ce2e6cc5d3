"""Real parts for every test: PostgreSQL (own, or the one of `DSN`), mosquitto, a fresh database each."""

import contextlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from hub.core import broker as core_broker
from hub.core import migrate, postgres
from hub.core.db import Database
from hub.core.settings import Settings
from tests import parts
from tests.parts import Broker, Databases

# How long an example takes on a loaded machine says nothing about the code under test.
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", **PATIENT)
settings.register_profile("prove", max_examples=2_000, print_blob=True, **PATIENT)
settings.load_profile(os.environ.get("TELEHUB_PROFILE", "suite"))

# Tests may lose their data with the machine; they ask for speed instead.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal"} | {
    "max_wal_senders": "0",
    "autovacuum": "off",
    "max_connections": "100",
}
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30


@pytest.fixture
def at() -> datetime:
    """The instant at which most tests play."""
    return datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def free_port() -> Callable[[], int]:
    return parts.free_port


@pytest.fixture(scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """DSN of a running server whose login may create databases and roles."""
    if given := os.environ.get("DSN"):
        yield given
        return
    binaries = os.environ.get("HUB_POSTGRES_BIN")
    with _memory_folder() as memory:
        folder = (memory or tmp_path_factory.mktemp("pg")) / "data"
        async with postgres.running(folder, Path(binaries) if binaries else None, FAST) as server:
            yield server.admin_dsn


@contextlib.contextmanager
def _memory_folder() -> Iterator[Path | None]:
    """A folder in memory, where a database is copied ten times sooner than on a disk; None where there is no room."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield None
        return
    for left in MEMORY.glob("telehub-tests-*"):  # by a run that was killed
        if not psutil.pid_exists(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    folder = MEMORY / f"telehub-tests-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _as_admin(dsn: str, statement: sql.Composed) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(statement)


async def _new_database(cluster: str, template: str | None = None) -> tuple[str, str]:
    name = f"test_{secrets.token_hex(6)}"
    # template0: in a server with TimescaleDB its workers sit in template1, which then can't be copied.
    await _as_admin(
        cluster,
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        ),
    )
    return name, psycopg.conninfo.make_conninfo(cluster, dbname=name)


async def _drop(cluster: str, name: str) -> None:
    await _as_admin(cluster, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def empty_database(cluster: str) -> AsyncIterator[str]:
    """DSN of a database without a schema."""
    name, dsn = await _new_database(cluster)
    yield dsn
    await _drop(cluster, name)


@pytest.fixture(scope="session")
async def template(cluster: str) -> AsyncIterator[str]:
    """Name of a migrated database that others are cloned from."""
    name, dsn = await _new_database(cluster)
    await migrate.migrate(dsn, datetime(2026, 1, 1, tzinfo=UTC))
    # Nobody sits in it while it is copied, not even a worker of an extension.
    await _as_admin(
        cluster, sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name))
    )
    await _as_admin(
        cluster,
        sql.SQL("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = {}").format(
            sql.Literal(name)
        ),
    )
    yield name
    await _drop(cluster, name)


@pytest.fixture
async def database(cluster: str, template: str) -> AsyncIterator[Databases]:
    """A fresh database, migrated and empty."""
    name, dsn = await _new_database(cluster, template)
    async with Database(dsn, "hub_app") as app, Database(dsn, "hub_ingest") as ingest:
        yield Databases(app, ingest, dsn)
    await _drop(cluster, name)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """A real mosquitto as the hub runs it, on free ports, without devices."""
    ports = {"mqtt_port": parts.free_port(), "mqtt_devices_port": parts.free_port()}
    installation = Settings(data_dir=tmp_path / "hub", **ports)
    async with core_broker.running(installation) as process:
        yield Broker(installation, process)
