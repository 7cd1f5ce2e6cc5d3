"""A world of two districts, and the people and orders routes served on it."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from hub.core import changes
from hub.orders import routes as orders
from hub.people import routes as people
from tests import serving, world
from tests.parts import Databases


@pytest.fixture
async def two(database: Databases) -> world.World:
    return await world.build(database.admin_dsn)


class Clock:
    """An instant that a test may move."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock(world.AT)


@pytest.fixture
async def hub(
    two: world.World, database: Databases, clock: Clock, tmp_path: Path
) -> AsyncIterator[serving.Serving]:
    route, listeners = changes.parts()
    routes = [*people.ROUTES, *orders.ROUTES, route]
    async with serving.serve(database.app, tmp_path, clock, routes, [listeners]) as served:
        yield served
