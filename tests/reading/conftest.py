"""The district of `world.py`, fresh for each test."""

from datetime import datetime
from pathlib import Path

import pytest

from tests.parts import Databases
from tests.reading import world as districts
from tests.reading.world import World


@pytest.fixture
async def world(database: Databases, tmp_path: Path, at: datetime) -> World:
    """A clinic without an agreement yet."""
    return await districts.build(database, tmp_path, at)


@pytest.fixture
async def agreed(world: World) -> World:
    """The same with an agreement and a routing rule to the reading centre."""
    await districts.agree(world)
    return world
