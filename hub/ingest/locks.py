"""Who owns which shard: a PostgreSQL advisory lock for each, held by one connection of the process.

Two clients with one id would take over from each other at the broker for ever, so a process connects a shard's
session only while it holds the lock. Everybody sees in `pg_locks` who takes part and who holds what: nobody has to be
told how many processes there are. Each owns an even share, gives up what is beyond it once that is drained, and takes
what is free up to it.

Losing this connection tells nothing about the others: PostgreSQL may be away for all of them, and then reading goes
on, for live signals never wait for storage. Nothing is connected anew without the lock; a session that is still open
is left when the lock turns out to be another's, or is thrown out by the broker the moment another owner connects.
The connection is a lease, too: PostgreSQL ends it when it hears nothing for some seconds, so that the shards of a
process that hangs, or whose machine is cut off, become free.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from hub.core import clock, db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Database, conninfo

LOCK_CLASS: Final = 0x7368_6472  # "shdr": first key of the advisory locks of shards
MEMBER_CLASS: Final = 0x6D65_6D62  # "memb": held shared by every process that takes part
LEASE_S: Final = 5  # a process that is silent for so long has lost its shards
RETURN_S: Final = 2.0  # after an outage everybody first takes back what was theirs
SECRET_KEY: Final = "ingest-session-secret"
ASKED_FOR_S, PAUSE_S = 2.0, 0.5

_LEASE: Final = f"-c idle_session_timeout={LEASE_S}s"
_SEEN: Final = """
    SELECT classid::bigint, objid::int, pid, pid = pg_backend_pid() FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid::bigint = ANY(%s)
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


async def session_secret(conn: Connection) -> str:
    """Part of the sessions' client ids, so that nobody else can name one and throw us out; made once."""
    await db.run(
        conn,
        "INSERT INTO installation (key, value) VALUES (%s, to_jsonb(%s::text)) ON CONFLICT DO NOTHING",
        (SECRET_KEY, secrets.token_hex(8)),
    )
    row = await db.one(conn, "SELECT value FROM installation WHERE key = %s", (SECRET_KEY,))
    return str(row["value"])


async def known_secret(
    database: Database, actor: Actor, now: Callable[[], datetime], beat: Callable[[], None]
) -> str:
    """The same as soon as the database tells it: a process may begin while it is away."""
    while True:
        beat()
        with contextlib.suppress(errors.Unavailable, TimeoutError):
            async with asyncio.timeout(ASKED_FOR_S), database.transaction(actor, now()) as conn:
                return await session_secret(conn)
        await asyncio.sleep(PAUSE_S)


@dataclass(frozen=True, slots=True)
class _View:
    """What `pg_locks` says."""

    members: tuple[int, ...]
    own_pid: int
    taken: frozenset[int]  # shards, by anybody
    own: frozenset[int]


def fair_share(members: tuple[int, ...], own: int, shards: int) -> int:
    """How many shards are ours: everybody counts alike, and the shares add up to all of them."""
    rank = sorted(members).index(own)
    return shards // len(members) + (rank < shards % len(members))


class ShardLocks:
    """The locks of one process."""

    def __init__(self, database: Database, shards: int) -> None:
        self.held: frozenset[int] = frozenset()  # to be read
        self.leaving: frozenset[int] = frozenset()  # still locked, to be given up once they are drained
        self.others_may_own = (
            False  # whether what we don't hold may be another's; unknown while nothing answers
        )
        self.members = 0
        self._database, self._shards = database, shards
        self._conn: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._formerly: frozenset[int] = frozenset()
        self._connected_s = 0.0

    async def refresh(self) -> None:
        """One look, and one step towards the even share; `held` is empty if that fails."""
        try:
            if self._conn is None or self._conn.closed:
                self._lose()
                self._conn = await self._connect()
                self._connected_s = clock.monotonic_s()
            view = await self._look(self._conn)
            self.members = len(view.members)
            fair = fair_share(view.members, view.own_pid, self._shards)
            held = view.own - self.leaving
            if len(held) > fair:
                self.leaving |= frozenset(sorted(held)[fair:])
            elif not self.leaving:
                held |= await self._take(self._conn, view, fair - len(held))
            self.held, self.others_may_own = held - self.leaving, True
        except psycopg.Error:
            await self.release()

    async def give_up(self, shards: frozenset[int]) -> None:
        """These are drained: the others may have them."""
        self.leaving -= shards
        if self._conn is None:
            return
        try:
            for shard in shards:
                await self._conn.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK_CLASS, shard))
        except psycopg.Error:
            await self.release()

    async def release(self) -> None:
        """Give all up, or learn that it is lost."""
        self._lose()
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()

    def _lose(self) -> None:
        self._formerly |= self.held | self.leaving
        self.held = self.leaving = frozenset()
        self.others_may_own = False

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        text = conninfo(self._database.dsn, self._database.role, _LEASE)
        conn = await psycopg.AsyncConnection.connect(text, autocommit=True)
        await conn.execute("SELECT pg_advisory_lock_shared(%s, 0)", (MEMBER_CLASS,))
        return conn

    async def _look(self, conn: psycopg.AsyncConnection[tuple[object, ...]]) -> _View:
        cursor = await conn.execute(_SEEN, ([LOCK_CLASS, MEMBER_CLASS],))
        rows = await cursor.fetchall()
        members = {pid: own for kind, _, pid, own in rows if kind == MEMBER_CLASS}
        shards = {int(str(shard)): own for kind, shard, _, own in rows if kind == LOCK_CLASS}
        own_pid = next(int(str(pid)) for pid, own in members.items() if own)
        return _View(
            tuple(int(str(pid)) for pid in members),
            own_pid,
            frozenset(shards),
            frozenset(shard for shard, own in shards.items() if own),
        )

    async def _take(
        self, conn: psycopg.AsyncConnection[tuple[object, ...]], view: _View, wanted: int
    ) -> set[int]:
        """Free shards, those that were ours first: what we remember of them may still be good."""
        taken: set[int] = set()
        free = [shard for shard in range(self._shards) if shard not in view.taken]
        if clock.monotonic_s() - self._connected_s < RETURN_S and self._formerly:
            free = [shard for shard in free if shard in self._formerly]
        else:
            self._formerly = frozenset()
        for shard in free:
            if len(taken) < wanted and await self._try(conn, shard):
                taken.add(shard)
        return taken

    async def _try(self, conn: psycopg.AsyncConnection[tuple[object, ...]], shard: int) -> bool:
        cursor = await conn.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, shard))
        row = await cursor.fetchone()
        return row is not None and bool(row[0])
