"""The one way to a connection."""

from datetime import datetime

from hub.core import actor, db
from hub.core.db import Database
from tests import world
from tests.parts import Databases

CLERK = actor.job("test")


async def own_pid(database: Database, at: datetime) -> int:
    async with database.transaction(CLERK, at) as conn:
        return int((await db.one(conn, "SELECT pg_backend_pid() AS pid"))["pid"])


async def test_connections_that_the_server_has_closed_fail_nobody(database: Databases, at: datetime) -> None:
    """As after a crash of PostgreSQL: whoever comes first finds the database there."""
    before = await own_pid(database.app, at)
    async with await world.connect(database.admin_dsn) as admin:
        # It waits until the backend is gone, so that its last word is on the way.
        await admin.execute("SELECT pg_terminate_backend(%s, 10000)", (before,))
    assert await own_pid(database.app, at) != before
