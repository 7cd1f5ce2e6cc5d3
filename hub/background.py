"""Composes the processes that nobody calls: the queue with its timers, and ingest.

Apart from hub/app.py, since they need the engine, the decoders and the paper, and a process that only answers pages
must not hold those: half of its memory was scipy.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Final

from hub import app
from hub.alarms import worker as alarm_worker
from hub.core import backup_job, clock, jobs, lifecycle, proofs, supervisor
from hub.core.db import Database
from hub.core.jobs import JobKind, Worker
from hub.core.role import Role
from hub.core.settings import Settings
from hub.imaging.dimse import commitment
from hub.imaging.dimse import worker as node_worker
from hub.imaging.index import dicom_studies, indexing, reconciling
from hub.imaging.intake import uploads
from hub.imaging.intake import worker as imaging_worker
from hub.imaging.pictures import copying
from hub.ingest import record_pass, replay
from hub.ingest import worker as ingest_worker
from hub.people import proofs as people_proofs
from hub.people import retention as people_retention
from hub.people import worker as people_worker
from hub.reading import proofs as reading_proofs
from hub.reading import worker as reading_worker
from hub.telemetry import closing, commands, devices, set_asides
from hub.telemetry import proofs as telemetry_proofs
from hub.telemetry import worker as telemetry_worker

# What a backup keeps of the database's own word, and what is proved of a restored one.
FACTS = {**proofs.FACTS, **telemetry_proofs.FACTS, **people_proofs.FACTS, **reading_proofs.FACTS}
PROOFS = {**telemetry_proofs.PROOFS, **reading_proofs.PROOFS, **people_proofs.PROOFS}
JOBS: Mapping[str, JobKind] = {
    **people_retention.kinds(app.RETENTION),
    **backup_job.kinds(FACTS),
    **people_worker.JOBS,
    **telemetry_worker.JOBS,
    **imaging_worker.JOBS,
    **indexing.JOBS,
    **node_worker.JOBS,
    **copying.JOBS,
    **alarm_worker.JOBS,
    **record_pass.JOBS,
    **replay.JOBS,
    **reading_worker.JOBS,
}
EVERY: jobs.Every = {
    "jobs.count": (jobs.COUNT_EVERY_S, jobs.count),
    **backup_job.EVERY,
    **people_retention.EVERY,
    **people_worker.EVERY,
    **telemetry_worker.EVERY,
    **imaging_worker.EVERY,
    **indexing.EVERY,
    **alarm_worker.EVERY,
    **reading_worker.EVERY,
}
# What a lower domain asks of a higher one, by name only.
ENQUEUED = (
    uploads.TAKE_IN_JOB,
    indexing.INDEX_JOB,
    indexing.COPIES_JOB,
    dicom_studies.COMPLETE_JOB,
    reconciling.ECG_JOB,
    reconciling.TAKEN_BACK_JOB,
    commitment.JOB,
    commands.JOB,
    devices.ASK_JOB,
    set_asides.REPLAY_JOB,
    record_pass.JOB,
    closing.ENDED_JOB,
)


async def run_ingest(settings: Settings, stop: asyncio.Event, fd: int | None) -> None:
    """One of the processes that store what devices send; they share out the shards by locks."""
    async with (
        Database(app.require_dsn(settings), "hub_ingest", size=4) as database,
        supervisor.beating(fd) as beat,
    ):
        await ingest_worker.run(settings, database, clock.now, stop, beat)


async def run_jobs(settings: Settings, stop: asyncio.Event, fd: int | None) -> None:
    """The queue and the timers."""
    jobs.check(JOBS, ENQUEUED)
    size = jobs.connections(EVERY)
    async with Database(app.require_dsn(settings), "hub_app", size) as database, supervisor.beating(fd):
        owner = lifecycle.job_owner(os.getpid())
        worker = Worker(database, app.file_store(settings), settings, JOBS, clock.now, owner)
        await jobs.run_worker(worker, EVERY, stop)


ROLES: Final[Mapping[str, Role]] = {"ingest": run_ingest, "jobs": run_jobs}
