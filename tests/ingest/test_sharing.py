"""Several ingest processes share the shards evenly, whoever joins, leaves, hangs or dies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import psycopg

from hub.ingest.locks import LOCK_CLASS, ShardLocks, fair_share
from tests.ingest.conftest import Town
from tests.ingest.test_from_the_broker import until

SHARDS = 16


def counts(members: list[ShardLocks]) -> list[int]:
    return sorted(len(one.held) for one in members)


async def in_rounds(members: list[ShardLocks], holds: Callable[[], bool]) -> None:
    """Let everybody look and step until it holds; what is to be given up is drained at once."""
    async with asyncio.timeout(60):
        while not holds():
            for one in members:
                await one.refresh()
                await one.give_up(one.leaving)
            owned = [shard for one in members for shard in one.held]
            assert len(owned) == len(set(owned))
            await asyncio.sleep(0)


def evenly(members: list[ShardLocks]) -> Callable[[], bool]:
    def holds() -> bool:
        found = counts(members)
        return sum(found) == SHARDS and found[-1] - found[0] <= 1

    return holds


@contextlib.asynccontextmanager
async def members(town: Town, count: int) -> AsyncIterator[list[ShardLocks]]:
    own = [ShardLocks(town.databases.ingest, SHARDS) for _ in range(count)]
    try:
        yield own
    finally:
        for one in own:
            await one.release()


def test_shares_add_up_to_all_shards() -> None:
    for shards in (1, 5, 16, 256):
        for count in range(1, 9):
            pids = tuple(range(100, 100 + count))
            shares = [fair_share(pids, pid, shards) for pid in pids]
            assert sum(shares) == shards and max(shares) - min(shares) <= 1


async def test_everybody_has_an_even_share_without_knowing_how_many_there_are(town: Town) -> None:
    async with members(town, 5) as own:
        for present in (1, 2, 5):
            await in_rounds(own[:present], evenly(own[:present]))
        kept = own[4].held
        for one in own[:3]:
            await one.release()
        await in_rounds(own[3:], evenly(own[3:]))
        assert kept <= own[4].held  # nothing that could stay has moved


async def test_a_shard_is_nobodys_before_it_is_drained(town: Town) -> None:
    async with members(town, 2) as (first, second):
        await first.refresh()
        assert len(first.held) == SHARDS
        for _ in range(5):
            await second.refresh()
            await first.refresh()
        assert second.held == frozenset() and len(first.leaving) == SHARDS // 2
        await first.give_up(first.leaving)
        await second.refresh()
        assert second.held | first.held == set(range(SHARDS)) and not second.held & first.held


async def test_one_that_hangs_loses_its_shards_and_knows_it_when_it_goes_on(town: Town) -> None:
    async with members(town, 2) as (hung, other):
        await hung.refresh()
        had = hung.held

        async def taken() -> bool:
            await other.refresh()
            return other.held == had

        await until(taken, 60)
        await hung.refresh()
        assert hung.held == frozenset() and not hung.others_may_own
        await in_rounds([hung, other], evenly([hung, other]))


async def test_after_an_outage_of_all_everybody_takes_back_what_was_its_own(town: Town) -> None:
    async with members(town, 2) as own:
        await in_rounds(own, evenly(own))
        had = [one.held for one in own]
        async with await psycopg.AsyncConnection.connect(town.databases.admin_dsn, autocommit=True) as admin:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s::int::oid",
                (LOCK_CLASS,),
            )
        for one in own:
            await one.refresh()
            assert one.held == frozenset()
        await in_rounds(own, evenly(own))
        assert [one.held for one in own] == had
