"""The queue: claimed once, given back when the worker dies, retried with pauses, kept when it never works."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.core import db, jobs
from hub.core.jobs import Context, JobKind, Worker
from hub.core.settings import Settings
from hub.core.store import Store
from tests.parts import Databases


class Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock(at: datetime) -> Clock:
    return Clock(at)


@pytest.fixture
def worker(database: Databases, clock: Clock, tmp_path: Path) -> Callable[..., Worker]:
    def make(handler: jobs.Handler, owner: str = "one", **how: Any) -> Worker:
        kinds = {"count": JobKind(handler, **how)}
        return Worker(database.app, Store(tmp_path), Settings(), kinds, clock, owner)

    return make


async def _enqueue(database: Databases, at: datetime, *keys: str) -> None:
    async with database.app.transaction(jobs.WORKER, at) as conn:
        for key in keys:
            await jobs.enqueue(conn, at, "count", key, {"key": key})


async def _all(database: Databases, at: datetime) -> list[db.Row]:
    async with database.app.transaction(jobs.WORKER, at) as conn:
        return await db.rows(conn, "SELECT * FROM job ORDER BY id")


async def _idle(_context: Context, _payload: dict[str, Any]) -> None:
    pass


async def _broken(_context: Context, _payload: dict[str, Any]) -> None:
    raise ZeroDivisionError("Zhang San, 3.2 mmol/l")


async def test_handler_that_hangs_is_ended_and_set_back(
    database: Databases, worker: Callable[..., Worker], at: datetime
) -> None:
    async def hangs(_context: Context, _payload: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    await _enqueue(database, at, "k")
    async with asyncio.timeout(20):
        await jobs.run_due(worker(hangs, timeout_s=0.05))
    [job] = await _all(database, at)
    assert job["error"].startswith("TimeoutError") and job["run_at"] > at and job["lease_owner"] is None


async def test_two_workers_do_each_job_once(
    database: Databases, worker: Callable[..., Worker], at: datetime
) -> None:
    done: list[str] = []
    stop = asyncio.Event()

    async def handler(_context: Context, payload: dict[str, Any]) -> None:
        done.append(payload["key"])
        if len(done) == 40:
            stop.set()

    keys = [f"k{i}" for i in range(40)]
    both = [asyncio.create_task(jobs.run_worker(worker(handler, name), {}, stop)) for name in ("one", "two")]
    await _enqueue(database, at, *keys)
    async with asyncio.timeout(20):
        await asyncio.gather(*both)
    assert sorted(done) == sorted(keys)
    assert await _all(database, at) == []


async def test_a_kind_that_comes_in_thousands_leaves_places_to_others(
    database: Databases, clock: Clock, tmp_path: Path
) -> None:
    """However many are due before; and all of them are done, without waiting for the poll."""
    at_work, most, done, stop = 0, 0, 0, asyncio.Event()
    other, count = asyncio.Event(), 9

    async def many(_context: Context, _payload: dict[str, Any]) -> None:
        nonlocal at_work, most, done
        at_work, most = at_work + 1, max(most, at_work + 1)
        await other.wait()
        await asyncio.sleep(0)
        at_work, done = at_work - 1, done + 1
        if done == count:
            stop.set()

    async def one(_context: Context, _payload: dict[str, Any]) -> None:
        other.set()

    kinds = {"count": JobKind(many, at_once=2), "other": JobKind(one)}
    await _enqueue(database, clock(), *map(str, range(count)))
    async with database.app.transaction(jobs.WORKER, clock()) as conn:
        await jobs.enqueue(conn, clock(), "other", "", {})
    own = Worker(database.app, Store(tmp_path), Settings(), kinds, clock, "one")
    async with asyncio.timeout(jobs.POLL_S):
        await jobs.run_worker(own, {}, stop)
    assert (most, done) == (2, count)


async def test_same_key_is_one_job(database: Databases, at: datetime) -> None:
    await _enqueue(database, at, "a", "a", "b")
    assert [job["unique_key"] for job in await _all(database, at)] == ["a", "b"]


async def test_lease_of_a_dead_worker_runs_out(
    database: Databases, worker: Callable[..., Worker], clock: Clock
) -> None:
    await _enqueue(database, clock(), "a")
    assert await jobs.claim(worker(_idle, "dead", lease_s=60)) is not None
    heir = worker(_idle, "heir", lease_s=60)
    clock.pass_s(59)
    assert await jobs.claim(heir) is None
    clock.pass_s(2)
    again = await jobs.claim(heir)
    assert again is not None
    assert again["attempts"] == 2


async def test_supervisor_frees_leases_at_once(
    database: Databases, worker: Callable[..., Worker], clock: Clock
) -> None:
    await _enqueue(database, clock(), "a")
    await jobs.claim(worker(_idle, "dead"))
    assert await jobs.release(database.app, clock(), "dead") == 1
    assert await jobs.claim(worker(_idle, "heir")) is not None


async def test_failing_job_is_retried_later_then_kept(
    database: Databases, worker: Callable[..., Worker], clock: Clock
) -> None:
    broken = worker(_broken, max_attempts=3, first_pause_s=10)
    await _enqueue(database, clock(), "a")
    for pause_s in (10, 20):
        await jobs.run_due(broken)
        assert await jobs.claim(broken) is None
        [job] = await _all(database, clock())
        assert job["run_at"] - clock() == timedelta(seconds=pause_s)
        clock.pass_s(pause_s)
    await jobs.run_due(broken)
    [job] = await _all(database, clock())
    assert job["failed_at"] == clock()
    assert "ZeroDivisionError" in job["error"]
    assert "Zhang" not in job["error"]


async def test_job_that_kills_its_workers_is_kept(
    database: Databases, worker: Callable[..., Worker], clock: Clock
) -> None:
    await _enqueue(database, clock(), "a")
    deadly = worker(_idle, lease_s=1, max_attempts=2)
    for _ in range(2):
        assert await jobs.claim(deadly) is not None
        clock.pass_s(2)
    assert await jobs.claim(deadly) is None
    [job] = await _all(database, clock())
    assert job["failed_at"] is not None


async def test_timer_runs_and_survives_a_failure(worker: Callable[..., Worker]) -> None:
    rounds, stop = [0], asyncio.Event()

    async def tick(_context: Context) -> None:
        rounds[0] += 1
        if rounds[0] == 3:
            stop.set()
        raise ZeroDivisionError

    async with asyncio.timeout(20):
        await jobs.run_worker(worker(_idle), {"tick": (0.01, tick)}, stop)
    assert rounds[0] >= 3


def test_kind_without_handler_is_refused() -> None:
    with pytest.raises(LookupError, match="lost"):
        jobs.check({"kept": JobKind(_idle)}, ["kept", "lost"])


async def test_timers_that_begin_together_all_find_a_connection_for_their_work(
    database: Databases, clock: Clock, tmp_path: Path
) -> None:
    """Each holds one for its lock while it works with another: with fewer they wait for one another."""
    together, stop = asyncio.Barrier(12), asyncio.Event()

    async def tick(context: Context) -> None:
        async with context.db.transaction(jobs.WORKER, context.at):
            await together.wait()
        stop.set()

    every: dict[str, tuple[float, jobs.TimerHandler]] = {f"timer {n}": (60.0, tick) for n in range(12)}
    async with db.Database(database.app.dsn, "hub_app", jobs.connections(every)) as pool, asyncio.timeout(20):
        own = Worker(pool, Store(tmp_path), Settings(), {"count": JobKind(_idle)}, clock, "one")
        await jobs.run_worker(own, every, stop)
