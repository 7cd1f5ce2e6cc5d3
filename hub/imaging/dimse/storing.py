"""From received bytes to acknowledged instances: durable files first, then one transaction, then the answers.

Many senders share each of the two steps: what arrives while one is under way goes with the next, and files become
durable while the rows of those before them are committed. Nothing is told to a sender before PostgreSQL has the row and
the disk has the file; a failure is told as one, and sending again is always right.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dicom import uids
from dicom.header import Header
from hub.core import actor
from hub.core.db import Database
from hub.core.errors import HubError
from hub.core.incoming import Incoming
from hub.core.logging import failure_place, log
from hub.core.store import Store, StoredFile
from hub.imaging.index import dicom_studies, instances
from hub.imaging.index.dicom_studies import Place
from hub.imaging.index.instances import Outcome, Received, Sender

BATCH: Final = 64
WAITING_MAX: Final = 1024  # more than there are associations
PLACES_MAX: Final = 4096
ACTOR: Final = actor.job("dimse")


@dataclass(frozen=True)
class Arrived:
    """A whole file as it came from a sender, not durable yet; `data_set_at` is where its data set begins."""

    sender: Sender
    file: Incoming
    transfer_syntax: str
    data_set_at: int
    header: Header
    sop_class_uid: str
    sop_uid: str


@dataclass(frozen=True)
class _Waiting:
    file: Incoming
    received: Received
    done: asyncio.Future[Outcome]


Step = Callable[[Sequence[_Waiting]], Awaitable[Sequence[Outcome | None]]]


class Storing:
    """The one way in for what comes by DIMSE."""

    def __init__(self, database: Database, store: Store, clock: Callable[[], datetime]) -> None:
        self._database, self._store, self._clock = database, store, clock
        self._arrived: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_MAX)
        self._durable: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_MAX)
        self._places: dict[dicom_studies.Key, Place] = {}

    async def store(self, arrived: Arrived) -> Outcome:
        """What became of it, once it is for good; HubError or OSError if it could not be stored now."""
        waiting = _Waiting(arrived.file, await _received(arrived), asyncio.get_running_loop().create_future())
        await self._arrived.put(waiting)
        return await waiting.done

    async def run(self) -> None:
        """Store what waits, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve(self._arrived, self._keep))
            tasks.create_task(self._serve(self._durable, self._commit))

    async def _serve(self, waiting: asyncio.Queue[_Waiting], step: Step) -> None:
        while True:
            batch = [await waiting.get()]
            while len(batch) < BATCH and not waiting.empty():
                batch.append(waiting.get_nowait())
            await self._settle(batch, step)

    async def _settle(self, batch: Sequence[_Waiting], step: Step) -> None:
        try:
            outcomes = await step(batch)
        except Exception as failure:  # whatever it is: the others of the batch must not suffer from one
            if len(batch) > 1 and not isinstance(failure, (HubError, OSError)):
                for one in batch:
                    await self._settle([one], step)
                return
            if not isinstance(failure, (HubError, OSError)):
                log("dicom.bug", error=failure_place(failure))
            for waiting in batch:
                if not waiting.done.cancelled():
                    waiting.done.set_exception(failure)
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if outcome is not None and not waiting.done.cancelled():
                    waiting.done.set_result(outcome)

    async def _keep(self, batch: Sequence[_Waiting]) -> Sequence[None]:
        await asyncio.to_thread(self._store.keep, [waiting.file for waiting in batch], instances.MEDIA_TYPE)
        for waiting in batch:
            await self._durable.put(waiting)
        return [None] * len(batch)

    async def _commit(self, batch: Sequence[_Waiting]) -> Sequence[Outcome]:
        at, received = self._clock(), [waiting.received for waiting in batch]
        known = await instances.store_known(self._database, ACTOR, at, received, self._places)
        if known is not None:
            return known
        async with self._database.transaction(ACTOR, at) as conn:
            outcomes, places = await instances.store_instances(
                conn, self._store, ACTOR, at, received, self._places
            )
        if len(self._places) > PLACES_MAX:
            self._places.clear()
        self._places.update(places)
        return outcomes


async def _received(arrived: Arrived) -> Received:
    """What it is; looked at before it waits, so that one that takes long to read keeps nobody waiting."""
    header, syntax, path = arrived.header, arrived.transfer_syntax, arrived.file.path
    if uids.TRANSFER_SYNTAXES[syntax].is_deflated:
        header = await instances.deflated_header(path)
    elif header.is_cut:
        header = await asyncio.to_thread(instances.header_of, path, syntax, arrived.data_set_at)
    file = StoredFile(arrived.file.sha256, arrived.file.size_bytes, instances.MEDIA_TYPE)
    received = Received(arrived.sender, file, syntax, header)
    return instances.judged(received, arrived.sop_class_uid, arrived.sop_uid)


@contextlib.asynccontextmanager
async def running(database: Database, store: Store, clock: Callable[[], datetime]) -> AsyncIterator[Storing]:
    """A way in, as long as it is wanted."""
    storing = Storing(database, store, clock)
    task = asyncio.create_task(storing.run())
    try:
        yield storing
    finally:
        task.cancel()
        await asyncio.wait([task])
