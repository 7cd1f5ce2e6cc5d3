"""PostgreSQL: the pool, the one way to a connection, and listening.

`Database.transaction(actor, at)` is the way to touch a table: it tells PostgreSQL who acts and when, which the
row-level policies read. A transaction is the unit of work; services take the connection. `Database.call` is a
transaction of one statement.
"""

import asyncio
import contextlib
import json
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from hub.core import errors
from hub.core.actor import Actor

Connection = AsyncConnection[DictRow]
Row = dict[str, Any]
Role = Literal["hub_owner", "hub_app", "hub_ingest"]

POOL_SIZE = 8  # connections per process; a waiting request times out after POOL_TIMEOUT_S
POOL_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_MS = 30_000
# The pool's attempts grow rarer for so long; then every waiting caller makes a new one. The default of five minutes
# would leave the hub asleep for two of them after the database is back.
RECONNECT_TIMEOUT_S = 2.0
# A peer whose machine or line died says nothing: both ends find out within seconds (TCP only).
ALIVE: dict[str, str | int] = {
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 6_000,
    "connect_timeout": 5,
}
ALIVE_OPTIONS = (
    "-c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3 -c tcp_user_timeout=6000"
)


def conninfo(dsn: str, role: Role, more_options: str = "") -> str:
    """The connection string of a role: log in as the DSN says, then act as the role."""
    options = f"-c role={role} -c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS} {ALIVE_OPTIONS}"
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    own = {"options": f"{options} {more_options}", "application_name": role} | ALIVE
    return psycopg.conninfo.make_conninfo(
        dsn, **(own | {name: given[name] for name in ALIVE if name in given})
    )


# SQLSTATE, or its class, of failures that say "not now", whatever was to be stored. Everything else, class 54 (a row
# too wide, a statement too deep) among it, is about the statement or its data: psycopg's classes cut elsewhere.
_AWAY: dict[str, str] = {
    "08": "no-answer",  # connection
    "25006": "read-only",
    "25P03": "no-answer",  # idle in transaction for too long
    "25P04": "no-answer",  # transaction timeout
    "40": "busy",  # serialisation, deadlock
    "53": "no-resources",
    "53100": "disk-full",
    "55006": "busy",
    "55P03": "busy",  # lock timeout
    "57": "no-answer",  # shut down, crashed, cancelled
    "57014": "busy",  # statement timeout
    "58": "disk-failed",
    "XX001": "disk-failed",
    "XX002": "disk-failed",
}
_FILES = {"fd.c", "md.c", "slru.c", "smgr.c", "xlog.c"}  # of PostgreSQL: a file system that became read-only


def why_away(failure: psycopg.Error) -> str | None:
    """Why PostgreSQL can't store anything now; None if the failure is about what it was told to store."""
    state = failure.sqlstate
    if state is None:
        return "no-answer" if isinstance(failure, psycopg.OperationalError) else None
    if state == "42501" and failure.diag.source_file in _FILES:
        return "read-only"
    return _AWAY.get(state) or _AWAY.get(state[:2])


async def _ask_if_it_spoke(conn: Connection) -> None:
    """Leaves out connections that a stopped server has closed. A server says nothing on an idle connection but its last
    word, so the usual case costs no round trip.
    """
    waiting = select.poll()
    waiting.register(conn.fileno(), select.POLLIN)
    if waiting.poll(0):
        await AsyncConnectionPool.check_connection(conn)


class Database:
    """A pool of connections acting as one PostgreSQL role."""

    def __init__(self, dsn: str, role: Role, size: int = POOL_SIZE) -> None:
        self.dsn, self.role = dsn, role
        self._pool = AsyncConnectionPool[Connection](
            conninfo(dsn, role),
            kwargs={"row_factory": dict_row, "autocommit": True},
            min_size=1,
            max_size=size,
            timeout=POOL_TIMEOUT_S,
            reconnect_timeout=RECONNECT_TIMEOUT_S,
            check=_ask_if_it_spoke,
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
            async with self._pool.connection() as conn:
                await _begin(conn, actor, at)
                try:
                    yield conn
                except BaseException:
                    await _roll_back(conn)
                    raise
                await _commit(conn)
        except psycopg.Error as failure:
            why = why_away(failure)
            if why is None:
                raise
            raise errors.error("database_away", why=why) from failure

    async def call(self, actor: Actor, at: datetime, query: str, parameters: Mapping[str, Any]) -> list[Row]:
        """One statement, a transaction of its own, in one round trip instead of four: for what is done for every image.

        It calls a function that tells PostgreSQL itself who acts, from `actor_kind`, `actor_id` and `at`, before it
        touches a table.
        """
        given = {"actor_kind": actor.kind, "actor_id": actor.id, "at": at, **parameters}
        try:
            async with self._pool.connection() as conn:
                return await rows(conn, query, given)
        except psycopg.Error as failure:
            why = why_away(failure)
            if why is None:
                raise
            raise errors.error("database_away", why=why) from failure

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


async def _begin(conn: Connection, actor: Actor, at: datetime) -> None:
    """Begin, and tell PostgreSQL who acts, in one round trip: every call of a page or a machine does this twice."""
    escaping = psycopg.pq.Escaping(conn.pgconn)
    kind, who, when = (
        escaping.escape_literal(value.encode()).decode() for value in (actor.kind, actor.id, at.isoformat())
    )
    command = (
        f"BEGIN; SELECT set_config('hub.actor_kind', {kind}, true), set_config('hub.actor_id', {who}, true),"
        f" set_config('hub.at', {when}, true)"
    )
    await conn.execute(command.encode(), prepare=False)


async def _commit(conn: Connection) -> None:
    """PostgreSQL answers ROLLBACK if a statement failed before and somebody passed over it: nothing is stored then."""
    cursor = await conn.execute("COMMIT", prepare=False)
    if cursor.statusmessage != "COMMIT":
        raise psycopg.errors.InFailedSqlTransaction("a statement had failed before the commit")


async def _roll_back(conn: Connection) -> None:
    """As far as the connection still listens; the pool gives up one that does not."""
    if conn.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        with contextlib.suppress(psycopg.Error):
            await conn.execute("ROLLBACK", prepare=False)


async def act_as(conn: Connection, actor: Actor, at: datetime) -> None:
    """Tell PostgreSQL who acts from now on in this transaction: it may just have been found out."""
    await conn.execute(
        "SELECT set_config('hub.actor_kind', %s, true), set_config('hub.actor_id', %s, true),"
        " set_config('hub.at', %s, true)",
        (actor.kind, actor.id, at.isoformat()),
    )


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
