"""The rest of the index, made after the acknowledgement: DICOM JSON of each instance, and whose study it is.

Foreign files are parsed in the sandbox, in batches of a series; if one spoils its batch, each for itself. An instance
that can't be parsed stays, with the fault written down: its bytes are what counts.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import actor, db, jobs, sandbox
from hub.core.db import Row
from hub.core.jobs import Context, Every, JobKind
from hub.core.sandbox import SandboxFailed
from hub.imaging.index import dicom_studies, reconciling, retrieving, summaries

COPIES_JOB: Final = "imaging.copies"  # of `pictures`, which stand above
INDEX_JOB: Final = "imaging.index"
BATCH: Final = 100
SERIES_AT_ONCE: Final = 200
TIMEOUT_S: Final = 120.0
TIMEOUT_ALONE_S: Final = 20.0
MEMORY_MB: Final = 512
FAULT_CHARS: Final = 100
PACKED_AT_ONCE: Final = 20
ACTOR: Final = actor.job(INDEX_JOB)

Result = Mapping[str, Any]  # {"document"} or {"fault"}; and {"data_set_sha256"} if it has a data set


async def queue_waiting(context: Context) -> None:
    """A timer: a job for each series with instances that are not indexed. Receiving has better things to do."""
    async with context.db.transaction(ACTOR, context.at) as conn:
        waiting = await db.rows(
            conn,
            "SELECT DISTINCT dicom_series_id AS id FROM dicom_instance WHERE indexed_at IS NULL LIMIT %s",
            (SERIES_AT_ONCE,),
        )
        for row in waiting:
            await jobs.enqueue(conn, context.at, INDEX_JOB, str(row["id"]), {"series_id": str(row["id"])})


async def index(context: Context, payload: dict[str, Any]) -> None:
    """`imaging.index`: what of a series is not indexed yet, then whose study it is."""
    series_id = UUID(payload["series_id"])
    while waiting := await _waiting(context, series_id):
        results = await _documents(context, waiting)
        async with context.db.transaction(ACTOR, context.at) as conn:
            await _keep(conn, context, waiting, results)
            await _queue_copies(conn, context.at, [row["id"] for row in waiting])
    async with context.db.transaction(ACTOR, context.at) as conn:
        await retrieving.unpack(conn, series_id)
        series = await db.one(conn, "SELECT dicom_study_id FROM dicom_series WHERE id = %s", (series_id,))
        await reconciling.resolve(conn, ACTOR, context.at, series["dicom_study_id"])
    # Apart: a study that can't be told in lists, whatever was sent in it, still gets its patient and its reader.
    async with context.db.transaction(ACTOR, context.at) as conn:
        await summaries.refresh(conn, series_id)


async def _waiting(context: Context, series_id: UUID) -> list[Row]:
    async with context.db.transaction(ACTOR, context.at) as conn:
        return await db.rows(
            conn,
            "SELECT id, file_sha256 FROM dicom_instance WHERE dicom_series_id = %s AND indexed_at IS NULL"
            " ORDER BY received_at LIMIT %s",
            (series_id, BATCH),
        )


async def _queue_copies(conn: db.Connection, at: datetime, instance_ids: Sequence[UUID]) -> None:
    """Have serving copies made of what has just been indexed."""
    payload = {"instance_ids": [str(one) for one in instance_ids]}
    await jobs.enqueue(conn, at, COPIES_JOB, str(min(instance_ids)), payload)


async def _documents(context: Context, waiting: Sequence[Row], timeout_s: float = TIMEOUT_S) -> list[Result]:
    paths = [str(context.store.path(row["file_sha256"])) for row in waiting]
    try:
        said = await sandbox.run(
            "hub.imaging.index.looking_at_dicom:documents",
            json.dumps({"paths": paths}).encode(),
            timeout_s,
            MEMORY_MB,
        )
        results: list[Result] = json.loads(said)
    except (SandboxFailed, ValueError) as failure:
        if len(waiting) == 1:
            return [{"fault": f"sandbox: {getattr(failure, 'reason', 'no answer')}"}]
        return [(await _documents(context, [row], TIMEOUT_ALONE_S))[0] for row in waiting]
    return results


async def _keep(
    conn: db.Connection, context: Context, waiting: Sequence[Row], results: Sequence[Result]
) -> None:
    made = [(row["id"], result) for row, result in zip(waiting, results, strict=True)]
    documents = [(one, result["document"]) for one, result in made if "document" in result]
    await db.run(
        conn,
        """INSERT INTO dicom_metadata (dicom_instance_id, document, listed)
           SELECT * FROM unnest(%s::uuid[], %s::jsonb[], %s::text[])
           ON CONFLICT (dicom_instance_id) DO UPDATE SET document = excluded.document, listed = excluded.listed""",
        (
            [one for one, _ in documents],
            [json.dumps(document) for _, document in documents],
            [summaries.of_instance(document) for _, document in documents],
        ),
    )
    hashes = [result.get("data_set_sha256") for _, result in made]
    faults = [str(result["fault"])[:FAULT_CHARS] if "fault" in result else None for _, result in made]
    await db.run(
        conn,
        """UPDATE dicom_instance i SET indexed_at = %s, index_fault = f.fault, data_set_sha256 = f.sha256
           FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS f (id, fault, sha256) WHERE i.id = f.id""",
        (context.at, [one for one, _ in made], faults, hashes),
    )


async def pack(context: Context) -> None:
    """A timer: metadata of the series of complete studies are made ready to be sent."""
    for _ in range(PACKED_AT_ONCE):
        async with context.db.transaction(ACTOR, context.at) as conn:
            waiting = await retrieving.series_to_pack(conn, 1)
            if not waiting:
                return
            await retrieving.pack_one(conn, waiting[0])


async def complete(context: Context) -> None:
    """A timer: studies from which no more is to be expected now."""
    job = actor.job("dicom.complete")
    async with context.db.transaction(job, context.at) as conn:
        await dicom_studies.complete_quiet(conn, job, context.at)


JOBS: Mapping[str, JobKind] = {INDEX_JOB: JobKind(index, lease_s=300, max_attempts=5)}
EVERY: Every = {
    "imaging.index": (2.0, queue_waiting),
    "dicom.complete": (5.0, complete),
    "imaging.pack": (5.0, pack),
}
