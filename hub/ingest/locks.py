"""Who owns which shard: a PostgreSQL advisory lock for each, held by one connection of the process.

Two clients with one id would take over from each other at the broker for ever. So a process connects a shard's
session only while it holds the lock, and after losing this connection it does not reconnect any before it holds
the lock again; a session it still has open goes on reading, for live signals never wait for storage, and is thrown
out by the broker the moment another owner connects.
"""

import secrets
from typing import Final

import psycopg

from hub.core import clock, db
from hub.core.db import Connection, Database, conninfo

LOCK_CLASS: Final = 0x7368_6472  # "shdr": first key of the advisory locks
GRACE_S: Final = 5.0  # shards beyond the fair share are taken when nobody wanted them for so long
CONNECT_TIMEOUT_S: Final = 2
SECRET_KEY: Final = "ingest-session-secret"


async def session_secret(conn: Connection) -> str:
    """Part of the sessions' client ids, so that nobody else can name one and throw us out; made once."""
    await db.run(
        conn,
        "INSERT INTO installation (key, value) VALUES (%s, to_jsonb(%s::text)) ON CONFLICT DO NOTHING",
        (SECRET_KEY, secrets.token_hex(8)),
    )
    row = await db.one(conn, "SELECT value FROM installation WHERE key = %s", (SECRET_KEY,))
    return str(row["value"])


class ShardLocks:
    """The locks of one process."""

    def __init__(self, database: Database, shards: int, processes: int) -> None:
        self.held: set[int] = set()
        self._database, self._shards = database, shards
        self._fair = -(-shards // processes)
        self._conn: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._fair_since_s = 0.0

    @property
    def others_may_own(self) -> bool:
        """Whether shards we don't hold are somebody else's; unknown while the database does not answer."""
        return self._conn is not None

    async def refresh(self) -> None:
        """Take what is free, up to the fair share at once, more after a while; `held` is empty if that fails."""
        try:
            if self._conn is None or self._conn.closed:
                self.held = set()
                self._conn = await self._connect()
            await self._conn.execute("SELECT")
            await self._take(self._conn)
        except psycopg.Error:
            self.held = set()
            await self.release()

    async def release(self) -> None:
        """Give all up."""
        conn, self._conn, self.held = self._conn, None, set()
        if conn is not None:
            await conn.close()

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        text = conninfo(self._database.dsn, self._database.role)
        return await psycopg.AsyncConnection.connect(text, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)

    async def _take(self, conn: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        now_s = clock.monotonic_s()
        for shard in range(self._shards):
            if len(self.held) < self._fair:
                self._fair_since_s = now_s
            elif now_s - self._fair_since_s < GRACE_S:
                return
            if shard not in self.held and await self._try(conn, shard):
                self.held.add(shard)

    async def _try(self, conn: psycopg.AsyncConnection[tuple[object, ...]], shard: int) -> bool:
        cursor = await conn.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, shard))
        row = await cursor.fetchone()
        return row is not None and bool(row[0])
