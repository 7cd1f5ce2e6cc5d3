"""A small hub on a server of its own, with a signed report, so that it can be backed up, killed and restored."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from hub import background
from hub.core import backup_job, migrate, postgres
from hub.core.backup_folder import Point
from hub.core.db import Database
from hub.core.postgres import Cluster
from hub.core.settings import Settings
from hub.core.store import Store
from hub.people import audit
from hub.reading import reports
from tests.parts import Databases
from tests.reading import world as districts
from tests.reading.test_reports import claimed, sign
from tests.reading.world import SEEDER, World, ended_recording

# The server may lose its data with the machine, not with its own death.
FAST = {"fsync": "off", "synchronous_commit": "off", "autovacuum": "off"}
FULL_COUNTS = pytest.mark.skipif(
    os.environ.get("TELEHUB_PROFILE") != "prove", reason="takes long; `make prove ONLY=backup`"
)
BEGAN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PAPER = b"%PDF-1.4 paper of the signed report"


@dataclass(frozen=True)
class Hub:
    """The hub under test and its data folder."""

    cluster: Cluster
    world: World
    settings: Settings

    async def seal(self) -> None:
        async with self.world.transaction(SEEDER, datetime.now(UTC)) as conn:
            await audit.seal(conn, datetime.now(UTC))

    async def back_up(self, target: Path, new_base: bool = False) -> Point:
        """As the job does, with everything sealed up to now."""
        await self.seal()
        return await backup_job.take(self.settings, background.FACTS, target, new_base)

    async def tamper(self, statement: str, *parameters: object) -> None:
        """Behind the hub's back, as the machine's administrator could."""
        dsn = psycopg.conninfo.make_conninfo(self.cluster.superuser_dsn, dbname=postgres.DATABASE)
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            done = await conn.execute(statement, parameters)
        assert done.rowcount > 0

    async def read_and_sign(self) -> None:
        """One more recording, analysed, read, signed, with its paper in the store."""
        recording = await ended_recording(self.world)
        report = await sign(self.world, await claimed(self.world, recording))
        file = await Store(self.settings.data_dir / "files").put(PAPER + recording.bytes, "application/pdf")
        async with self.world.transaction(SEEDER) as conn:
            await reports.store_pdf(conn, SEEDER, self.world.at, report["id"], file)


def given_binaries() -> Path | None:
    given = os.environ.get("HUB_POSTGRES_BIN")
    return Path(given) if given else None


@pytest.fixture(scope="session")
async def seeded(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """The hub as all tests find it; its server is stopped."""
    data_dir = tmp_path_factory.mktemp("seeded") / "hub"
    async with postgres.running(data_dir / "postgres", given_binaries(), FAST) as cluster:
        dsn = cluster.admin_dsn
        await migrate.migrate(dsn, BEGAN)
        async with Database(dsn, "hub_app") as hub_app, Database(dsn, "hub_ingest") as ingest:
            world = await districts.build(Databases(hub_app, ingest, dsn), data_dir, BEGAN)
            await districts.agree(world)
            made = Hub(cluster, world, Settings(data_dir=data_dir, postgres_bin=cluster.binaries))
            await made.read_and_sign()
            return made


@pytest.fixture
async def hub(seeded: Hub, tmp_path: Path) -> AsyncIterator[Hub]:
    """A copy of it, running."""
    data_dir = tmp_path / "hub"
    shutil.copytree(seeded.settings.data_dir, data_dir, ignore=shutil.ignore_patterns("run"))
    async with postgres.running(data_dir / "postgres", given_binaries(), FAST) as cluster:
        dsn = cluster.admin_dsn
        async with Database(dsn, "hub_app") as hub_app, Database(dsn, "hub_ingest") as ingest:
            world = replace(seeded.world, databases=Databases(hub_app, ingest, dsn), data_dir=data_dir)
            yield Hub(cluster, world, replace(seeded.settings, data_dir=data_dir, dsn=dsn))


def with_target(hub: Hub, target: Path) -> Hub:
    return replace(hub, settings=replace(hub.settings, backup_dir=target))
