"""PostgreSQL: the pool, the one way to a connection, and listening.

`Database.transaction(actor, at)` is the only way to touch a table: it tells PostgreSQL who acts and when, which the
row-level policies read. A transaction is the unit of work; services take the connection.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Literal, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from hub.core import errors
from hub.core.actor import Actor

Connection = AsyncConnection[DictRow]
Row = dict[str, Any]
Role = Literal["hub_owner", "hub_app", "hub_ingest"]

POOL_SIZE = 8  # connections per process; a waiting request times out after POOL_TIMEOUT_S
POOL_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_MS = 30_000


def conninfo(dsn: str, role: Role) -> str:
    """The connection string of a role: log in as the DSN says, then act as the role."""
    options = f"-c role={role} -c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS}"
    return psycopg.conninfo.make_conninfo(dsn, options=options, application_name=role)


class Database:
    """A pool of connections acting as one PostgreSQL role."""

    def __init__(self, dsn: str, role: Role, size: int = POOL_SIZE) -> None:
        self.dsn, self.role = dsn, role
        self._pool = AsyncConnectionPool[Connection](
            conninfo(dsn, role),
            kwargs={"row_factory": dict_row},
            min_size=1,
            max_size=size,
            timeout=POOL_TIMEOUT_S,
            open=False,
        )

    async def __aenter__(self) -> "Database":
        await self._pool.open(wait=True, timeout=30)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @contextlib.asynccontextmanager
    async def transaction(self, actor: Actor, at: datetime) -> AsyncIterator[Connection]:
        """One transaction in the name of an actor; commits at the end, rolls back on any error."""
        try:
            async with self._pool.connection() as conn, conn.transaction():
                await conn.execute(
                    "SELECT set_config('hub.actor_kind', %s, true), set_config('hub.actor_id', %s, true),"
                    " set_config('hub.at', %s, true)",
                    (actor.kind, actor.id, at.isoformat()),
                )
                yield conn
        except (psycopg.OperationalError, PoolTimeout) as failure:
            raise errors.error("database_away") from failure

    async def listen(self, channels: Sequence[str], on_notify: Callable[[str, str], Awaitable[None]]) -> None:
        """Call `on_notify(channel, payload)` for ever; reconnects, and calls it with ('', '') after each connect."""
        while True:
            try:
                await self._listen_once(channels, on_notify)
            except psycopg.OperationalError:
                await asyncio.sleep(1)

    async def _listen_once(
        self, channels: Sequence[str], on_notify: Callable[[str, str], Awaitable[None]]
    ) -> None:
        conn = await psycopg.AsyncConnection.connect(conninfo(self.dsn, self.role), autocommit=True)
        async with conn:
            for channel in channels:
                await conn.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
            await on_notify("", "")
            async for notification in conn.notifies():
                await on_notify(notification.channel, notification.payload)


async def notify(conn: Connection, channel: str, **payload: str | int | None) -> None:
    """Tell the listening processes once this transaction commits; ids only, never patient data."""
    await conn.execute("SELECT pg_notify(%s, %s)", (channel, json.dumps(payload)))


async def one(conn: Connection, query: str, parameters: Any = ()) -> Row:
    """The single row of a query; `not_found` if there is none (or none that the actor may see)."""
    row = await maybe(conn, query, parameters)
    if row is None:
        raise errors.error("not_found")
    return row


async def maybe(conn: Connection, query: str, parameters: Any = ()) -> Row | None:
    """The first row of a query, or None."""
    cursor = await conn.execute(cast(Any, query), parameters)
    return await cursor.fetchone()


async def rows(conn: Connection, query: str, parameters: Any = ()) -> list[Row]:
    """All rows of a query."""
    cursor = await conn.execute(cast(Any, query), parameters)
    return await cursor.fetchall()


async def run(conn: Connection, query: str, parameters: Any = ()) -> int:
    """Run a statement; the number of rows it touched."""
    cursor = await conn.execute(cast(Any, query), parameters)
    return cursor.rowcount
