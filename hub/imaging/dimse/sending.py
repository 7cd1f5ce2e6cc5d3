"""Instances on their way to a node for a C-MOVE: the SCU in a thread, its statuses as they come, its end if wanted."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import UUID

from dicom import commands
from hub.core.logging import log
from hub.core.store import Store
from hub.imaging.dimse.forwarding import Forward, Waiting
from hub.imaging.dimse.moving import Origin, Wanted
from hub.imaging.dimse.query_nodes import Destination

MOVES: Final = 8  # at once; more wait, and their askers with them
_THREADS: Final = ThreadPoolExecutor(MOVES, "move")


async def send(
    wanted: Sequence[Wanted], to: Destination, calling_ae: str, origin: Origin, store: Store,
    is_cancelled: Callable[[], bool],
) -> AsyncGenerator[tuple[str, int], None]:  # fmt: skip
    """SOP instance UID and status; ends early if the node is not reached or goes away."""
    from hub.imaging.dimse import scu

    forward = Forward(to.id, to.ae_title, to.address, to.port, (), None)
    paths = {one.id: store.path(one.file_sha256) for one in wanted}
    there = await asyncio.to_thread(lambda: {one for one, path in paths.items() if path.is_file()})
    for lost in (one for one in wanted if one.id not in there):
        yield lost.sop_uid, commands.PROCESSING_FAILURE
    left, stop = [one for one in wanted if one.id in there], threading.Event()
    told: asyncio.Queue[int | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def on_status(_id: UUID, status: int) -> bool:
        loop.call_soon_threadsafe(told.put_nowait, status)
        return not stop.is_set() and not is_cancelled()

    try:
        while left and not is_cancelled():
            waiting = [Waiting(o.id, o.sop_class_uid, o.transfer_syntax, o.file_sha256) for o in left]
            batch, before = scu.batch_of(waiting), len(left)
            work = loop.run_in_executor(
                _THREADS, scu.send, forward, batch, paths, calling_ae, on_status, origin
            )
            work.add_done_callback(lambda _: told.put_nowait(None))
            while (status := await told.get()) is not None:  # in the order of the batch
                yield left.pop(0).sop_uid, status
            fault = (await work).fault
            if fault is not None:
                log("dicom.move", node=str(to.id), fault=fault, left=len(left))
            if len(left) == before:
                return
    finally:
        stop.set()
