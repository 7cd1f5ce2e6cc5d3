"""Background work: serving copies of what has been indexed, made in the sandbox.

In batches, whose answers the hub holds in memory; if one instance spoils its batch, each for itself. An instance of
which no copy can be made stays, with the reason written down: its bytes are what counts.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from hub.core import actor, sandbox
from hub.core.db import Row
from hub.core.jobs import Context, JobKind
from hub.core.sandbox import SandboxFailed
from hub.core.store import Store, StoredFile
from hub.imaging.index.indexing import COPIES_JOB
from hub.imaging.pictures import copies
from hub.imaging.pictures.copy_records import unpacked

ACTOR: Final = actor.job(COPIES_JOB)
BATCH_BYTES: Final = 32 << 20
MEMORY_MB: Final = 448  # of code, a batch as it was sent and its copies
LARGEST_BYTES: Final = 128 << 20
LARGE_MB: Final = 8  # a frame from which on the limit grows
FRAME_TIMES: Final = 10  # as much memory as a decoded frame, decoding and encoding take at most
START_S: Final = 20.0  # with the decoders loaded on a busy machine
BYTES_A_SECOND: Final = 4 << 20  # decoded, encoded; a tenth of what one processor does

Told = tuple[Mapping[str, Any], bytes | memoryview]


async def make(context: Context, payload: dict[str, Any]) -> None:
    """`imaging.copies`: of these instances, what has none yet."""
    wanted = [UUID(one) for one in payload["instance_ids"]]
    async with context.db.transaction(ACTOR, context.at) as conn:
        waiting = await copies.waiting(conn, wanted)
    for batch in _batches(waiting):
        told = await looked_at(context.store, batch)
        files = await asyncio.to_thread(_stored, context.store, told)
        made = [(row["id"], one, file) for row, (one, _), file in zip(batch, told, files, strict=True)]
        async with context.db.transaction(ACTOR, context.at) as conn:
            await copies.keep(conn, context.at, made)


def _batches(waiting: Sequence[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in waiting:
        if batch and sum(one["size_bytes"] for one in batch) + row["size_bytes"] > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


async def looked_at(store: Store, batch: Sequence[Row]) -> list[Told]:
    """What the sandbox says of each, with its copy."""
    asked = json.dumps({"paths": [str(store.path(row["file_sha256"])) for row in batch]}).encode()
    try:
        answer = await sandbox.run(
            "hub.imaging.pictures.looking_at_pixels:copies", asked, _timeout_s(batch), _memory_mb(batch)
        )
        found = unpacked(answer)
    except (SandboxFailed, ValueError) as failure:
        if len(batch) == 1:
            return [({"state": "failed", "fault": _fault(failure)}, b"")]
        return [(await looked_at(store, [row]))[0] for row in batch]
    if len(found) != len(batch):
        return [({"state": "failed", "fault": "damaged"}, b"")] * len(batch)
    return [(told, copy) for told, copy in found]


def _fault(failure: Exception) -> str:
    """A process that was ended or that died: too much of something; one that answered nonsense: damaged."""
    return "too-hard" if isinstance(failure, SandboxFailed) else "damaged"


def _frame_bytes(row: Row) -> int:
    """Of a decoded frame, at most: three samples of two bytes, or one of eight."""
    size: int = (row["rows"] or 0) * (row["columns"] or 0) * 8
    return min(size, LARGEST_BYTES)


def _memory_mb(batch: Sequence[Row]) -> int:
    largest = max(_frame_bytes(row) for row in batch) >> 20
    sent: int = sum(row["size_bytes"] for row in batch) >> 20
    extra = largest * FRAME_TIMES if largest > LARGE_MB else 0
    return MEMORY_MB + extra + max(0, 2 * sent - (BATCH_BYTES >> 20))


def _timeout_s(batch: Sequence[Row]) -> float:
    """By what they tell of themselves, bounded like the decoder's work (`dicom.pixels.shape`)."""
    decoded = sum(min(_frame_bytes(row) * max(1, row["frames"] or 1), 4 << 30) for row in batch)
    return START_S + decoded / BYTES_A_SECOND


def _stored(store: Store, told: Sequence[Told]) -> list[StoredFile | None]:
    """The copies, durable; None where there is none."""
    incoming = [store.incoming() if one["state"] == "ready" else None for one, _ in told]
    new = [file for file in incoming if file is not None]
    try:
        for file, (_, copy) in zip(incoming, told, strict=True):
            if file is not None:
                file.write(copy)
        kept = iter(store.keep(new, copies.FILE_TYPE))
    finally:
        for file in new:
            file.close()
    return [next(kept) if file is not None else None for file in incoming]


JOBS: Mapping[str, JobKind] = {
    COPIES_JOB: JobKind(make, lease_s=300, timeout_s=7200.0, max_attempts=5, at_once=2),
}
