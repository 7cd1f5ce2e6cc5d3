"""The one queue: work that outlives a transaction, enqueued inside it, done at least once, never for ever.

A worker claims a row with SKIP LOCKED and a lease, renews the lease while the handler runs, and deletes the
row when it is done. A handler that fails is tried again with growing pauses, then the row stays for operators.
Handlers must bear being run twice: a worker may die between finishing and deleting.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from prometheus_client import Gauge

from hub.core import actor, db
from hub.core.db import Connection, Database
from hub.core.errors import HubError
from hub.core.logging import failure_place, log
from hub.core.settings import Settings
from hub.core.store import Store

CHANNEL = "hub_job"
POLL_S = 5.0  # NOTIFY wakes a worker at once; polling finds what became due, or a lost notification
CONCURRENT = 4  # jobs of one worker at the same time
ERROR_CHARS = 500
COUNT_EVERY_S = 10.0
WORKER = actor.job("worker")
JOBS = Gauge("hub_jobs", "rows of the queue", ["state"])

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Context:
    """What a handler may use. It opens its own transactions, in the name of its kind."""

    db: Database
    store: Store
    settings: Settings
    at: datetime


Handler = Callable[[Context, dict[str, Any]], Awaitable[None]]
TimerHandler = Callable[[Context], Awaitable[None]]


@dataclass(frozen=True)
class JobKind:
    """How a kind of job is run."""

    handler: Handler
    lease_s: float = 120.0
    timeout_s: float = 900.0  # one attempt; a handler that hangs is ended and tried again
    max_attempts: int = 8
    first_pause_s: float = 5.0  # doubles with each attempt
    longest_pause_s: float = 3600.0
    at_once: int = (
        CONCURRENT  # of one worker: what comes in thousands leaves places to what somebody waits for
    )

    def pause_s(self, attempts: int) -> float:
        return min(self.first_pause_s * 2.0 ** (attempts - 1), self.longest_pause_s)


Every = Mapping[str, tuple[float, TimerHandler]]


def check(kinds: Mapping[str, JobKind], enqueued: Iterable[str]) -> None:
    """Fail at start if somebody enqueues a kind that nobody handles."""
    missing = sorted(set(enqueued) - set(kinds))
    if missing:
        raise LookupError(f"job kinds without a handler: {', '.join(missing)}")


async def enqueue(
    conn: Connection,
    at: datetime,
    kind: str,
    unique_key: str,
    payload: Mapping[str, Any],
    run_at: datetime | None = None,
) -> None:
    """Add a job to the caller's transaction; one of the same kind and key that waits or runs stays as it is."""
    added = await db.run(
        conn,
        "INSERT INTO job (kind, unique_key, payload, run_at, created_at) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (kind, unique_key) WHERE failed_at IS NULL DO NOTHING",
        (kind, unique_key, json.dumps(payload), run_at or at, at),
    )
    if added:
        await db.notify(conn, CHANNEL, kind=kind)


async def release(database: Database, at: datetime, owner: str) -> int:
    """Free the leases of a worker that died; the number of jobs somebody else may take now."""
    async with database.transaction(WORKER, at) as conn:
        freed = await db.run(
            conn, "UPDATE job SET lease_until = NULL, lease_owner = NULL WHERE lease_owner = %s", (owner,)
        )
        if freed:
            await db.notify(conn, CHANNEL)
    return freed


def connections(every: Every) -> int:
    """How many a jobs process needs at once: a timer holds one for its lock while its work takes another, and a job
    one for its lease. Fewer, and timers that begin together wait for one another until they give up.
    """
    return 2 * len(every) + 2 * CONCURRENT


@dataclass(frozen=True)
class Worker:
    """What one jobs process works with."""

    db: Database
    store: Store
    settings: Settings
    kinds: Mapping[str, JobKind]
    clock: Clock
    owner: str

    def context(self, at: datetime) -> Context:
        return Context(self.db, self.store, self.settings, at)


async def run_worker(worker: Worker, every: Every, stop: asyncio.Event) -> None:
    """Run due jobs and timers until told to stop; then let the running ones finish."""
    wake = asyncio.Event()

    async def on_notify(_channel: str, _payload: str) -> None:
        wake.set()

    async with asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(worker.db.listen([CHANNEL], on_notify)),
            *(tasks.create_task(_repeat(worker, name, *row)) for name, row in every.items()),
        ]
        await _work(worker, wake, stop)
        for task in background:
            task.cancel()


async def _work(worker: Worker, wake: asyncio.Event, stop: asyncio.Event) -> None:
    free, at_work = asyncio.Semaphore(CONCURRENT), Counter[str]()

    async def run(job: db.Row) -> None:
        try:
            await _run(worker, job)
        finally:
            at_work[job["kind"]] -= 1
            free.release()
            if worker.kinds[job["kind"]].at_once < CONCURRENT:
                wake.set()  # the next of its kind may be due: nobody has looked at it

    async with asyncio.TaskGroup() as running:
        while not stop.is_set():
            wake.clear()
            await free.acquire()
            job = await _claim_or_none(worker, at_work)
            if job is None:
                free.release()
                await _first_of(wake, stop, timeout_s=POLL_S)
                continue
            at_work[job["kind"]] += 1
            running.create_task(run(job))


async def _first_of(*events: asyncio.Event, timeout_s: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()


async def _claim_or_none(worker: Worker, at_work: Mapping[str, int]) -> db.Row | None:
    try:
        return await claim(worker, at_work)
    except HubError as failure:  # the database is away: the poll tries again
        log("job.database-away", code=failure.code)
        return None


async def claim(worker: Worker, at_work: Mapping[str, int] = MappingProxyType({})) -> db.Row | None:
    """Take the job that has been due longest, if any; none of a kind of which as many as may be are at work."""
    at = worker.clock()
    kinds = [name for name, kind in worker.kinds.items() if at_work.get(name, 0) < kind.at_once]
    async with worker.db.transaction(WORKER, at) as conn:
        job = await db.maybe(
            conn,
            "SELECT id, kind, unique_key, payload, attempts FROM job"
            " WHERE failed_at IS NULL AND run_at <= %s AND (lease_until IS NULL OR lease_until < %s)"
            " AND kind = ANY(%s) ORDER BY run_at, id LIMIT 1 FOR UPDATE SKIP LOCKED",
            (at, at, kinds),
        )
        if job is None:
            return None
        kind = worker.kinds[job["kind"]]
        job["attempts"] += 1
        if job["attempts"] > kind.max_attempts:  # each attempt took its worker down with it
            await _fail(conn, job, at, "no worker survived it")
            return None
        await db.run(
            conn,
            "UPDATE job SET attempts = %s, lease_owner = %s, lease_until = %s WHERE id = %s",
            (job["attempts"], worker.owner, at + timedelta(seconds=kind.lease_s), job["id"]),
        )
    return job


async def run_due(worker: Worker) -> int:
    """Run what is due now, one after the other; how many. For tests and commands that wait for the work."""
    count = 0
    while (job := await claim(worker)) is not None:
        await _run(worker, job)
        count += 1
    return count


async def _run(worker: Worker, job: db.Row) -> None:
    kind = worker.kinds[job["kind"]]
    context = worker.context(worker.clock())
    try:
        async with _lease_kept(worker, job, kind), asyncio.timeout(kind.timeout_s):
            await kind.handler(context, job["payload"])
    except Exception as failure:  # whatever it is: this job is set back, the others go on
        await _settle(worker, job, kind, failure)
    else:
        await _settle(worker, job, kind, None)


@contextlib.asynccontextmanager
async def _lease_kept(worker: Worker, job: db.Row, kind: JobKind) -> AsyncIterator[None]:
    keeper = asyncio.create_task(_renew(worker, job, kind))
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])


async def _renew(worker: Worker, job: db.Row, kind: JobKind) -> None:
    while True:
        await asyncio.sleep(kind.lease_s / 4)
        at = worker.clock()
        with contextlib.suppress(
            HubError
        ):  # the database is away: the lease may run out, which is its purpose
            async with worker.db.transaction(WORKER, at) as conn:
                await db.run(
                    conn,
                    "UPDATE job SET lease_until = %s WHERE id = %s AND lease_owner = %s",
                    (at + timedelta(seconds=kind.lease_s), job["id"], worker.owner),
                )


async def _settle(worker: Worker, job: db.Row, kind: JobKind, failure: Exception | None) -> None:
    """Write down how it went; if the database is away the lease runs out and the job is done again."""
    at = worker.clock()
    with contextlib.suppress(HubError):
        async with worker.db.transaction(WORKER, at) as conn:
            if failure is None:
                await db.run(
                    conn, "DELETE FROM job WHERE id = %s AND lease_owner = %s", (job["id"], worker.owner)
                )
            elif job["attempts"] >= kind.max_attempts:
                await _fail(conn, job, at, failure_place(failure))
            else:
                await _set_back(conn, job, at, kind.pause_s(job["attempts"]), failure_place(failure))
    if failure is not None:
        log(
            "job.failed",
            kind=job["kind"],
            job=job["id"],
            attempt=job["attempts"],
            error=failure_place(failure),
        )


async def _fail(conn: Connection, job: db.Row, at: datetime, error: str) -> None:
    await db.run(
        conn,
        "UPDATE job SET failed_at = %s, error = %s, lease_until = NULL, lease_owner = NULL WHERE id = %s",
        (at, error[:ERROR_CHARS], job["id"]),
    )


async def _set_back(conn: Connection, job: db.Row, at: datetime, pause_s: float, error: str) -> None:
    await db.run(
        conn,
        "UPDATE job SET run_at = %s, error = %s, lease_until = NULL, lease_owner = NULL WHERE id = %s",
        (at + timedelta(seconds=pause_s), error[:ERROR_CHARS], job["id"]),
    )


async def count(context: Context) -> None:
    """A timer: how many jobs wait, and how many are kept because they never worked."""
    async with context.db.transaction(WORKER, context.at) as conn:
        row = await db.one(
            conn,
            "SELECT count(*) FILTER (WHERE failed_at IS NULL) AS waiting,"
            " count(*) FILTER (WHERE failed_at IS NOT NULL) AS failed FROM job",
        )
    for state, number in row.items():
        JOBS.labels(state).set(number)


async def _repeat(worker: Worker, name: str, seconds: float, handler: TimerHandler) -> None:
    """Run a timer for ever; of several jobs processes one at a time does it."""
    while True:
        at = worker.clock()
        try:
            async with worker.db.transaction(WORKER, at) as conn:
                lock = await db.one(
                    conn, "SELECT pg_try_advisory_xact_lock(hashtext(%s)) AS taken", (f"timer {name}",)
                )
                if lock["taken"]:
                    await handler(worker.context(at))
        except Exception as failure:  # a timer goes on whatever one round did
            log("timer.failed", name=name, error=failure_place(failure))
        await asyncio.sleep(seconds)
