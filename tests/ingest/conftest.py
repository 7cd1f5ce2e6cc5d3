"""Two devices on two patients of one town, and an engine that stores what they send."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from hub.ingest.engine import Engine
from tests import monitoring, world
from tests.monitoring import Worn
from tests.parts import Databases
from tests.world import World


@dataclass(frozen=True)
class Town:
    databases: Databases
    world: World
    worn: Worn
    other: Worn
    engine: Engine


@pytest.fixture
async def town(database: Databases, at: datetime) -> AsyncIterator[Town]:
    built = await world.build(database.admin_dsn)
    async with await world.connect(database.admin_dsn) as admin:
        worn = await monitoring.wear(admin, built.own, at, "holter-1")
        other = await monitoring.wear(admin, built.own, at, "holter-2", "01")
    yield Town(database, built, worn, other, Engine(database.ingest))
