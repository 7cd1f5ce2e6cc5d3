"""Jobs and timers of reading: study, analysis, paper, delivery; leases that ran out, tasks on hold."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from hub.core import actor, sandbox
from hub.core.jobs import Context, JobKind, TimerHandler
from hub.reading import paper_data, paper_pictures, report_objects, reports, routing, studies, tasks
from hub.reading.analyses import analyse_study

PDF = "application/pdf"
PAPER_TIMEOUT_S = 60
PAPER_MEMORY_MB = 1024


async def on_recording_ended(context: Context, payload: dict[str, Any]) -> None:
    """`recording.ended`: make the study; its analysis is the next job."""
    job = actor.job("recording.ended")
    async with context.db.transaction(job, context.at) as conn:
        await studies.make_study(conn, job, context.at, UUID(payload["recording_id"]))


async def on_images_complete(context: Context, payload: dict[str, Any]) -> None:
    """`dicom.study-complete`: images whose patient is known stand in a reader's queue."""
    job = actor.job("dicom.study-complete")
    async with context.db.transaction(job, context.at) as conn:
        await studies.make_imaging_study(conn, job, context.at, UUID(payload["dicom_study_id"]))


async def on_taken_back(context: Context, payload: dict[str, Any]) -> None:
    """`dicom.taken-back`: what was sent was another patient's."""
    job = actor.job("dicom.taken-back")
    async with context.db.transaction(job, context.at) as conn:
        await studies.take_back(
            conn, job, context.at, UUID(payload["dicom_study_id"]), UUID(payload["patient_id"])
        )


async def analyse(context: Context, payload: dict[str, Any]) -> None:
    """`reading.analyse`: the record pass over a whole study, then its routing."""
    await analyse_study(context.db, actor.job("reading.analyse"), context.at, UUID(payload["study_id"]))


async def make_pdf(context: Context, payload: dict[str, Any]) -> None:
    """`reading.pdf`: draw the paper in the sandbox, keep it, send it on."""
    job, report_id = actor.job("reading.pdf"), UUID(payload["report_id"])
    async with context.db.transaction(job, context.at) as conn:
        chosen, signed_at = await paper_data.signed_key_images(conn, report_id)
    pictures = await paper_pictures.pictures(context, job, chosen, signed_at) if chosen else []
    async with context.db.transaction(job, context.at) as conn:
        drawing = await paper_data.pack_report(conn, report_id, pictures=pictures)
    pdf = await sandbox.run("hub.reading.paper:draw", drawing, PAPER_TIMEOUT_S, PAPER_MEMORY_MB)
    file = await context.store.put(pdf, PDF)
    async with context.db.transaction(job, context.at) as conn:
        await reports.store_pdf(conn, job, context.at, report_id, file)


async def deliver(context: Context, payload: dict[str, Any]) -> None:
    """`reading.deliver`: hand the report to the clinic."""
    job = actor.job("reading.deliver")
    async with context.db.transaction(job, context.at) as conn:
        await reports.deliver_report(conn, job, context.at, UUID(payload["report_id"]))


async def free_leases(context: Context) -> None:
    job = actor.job("reading.leases")
    async with context.db.transaction(job, context.at) as conn:
        await tasks.free_expired(conn, job, context.at)


async def queue_late(context: Context) -> None:
    async with context.db.transaction(actor.job("reading.late"), context.at) as conn:
        await studies.queue_late(conn, context.at)


async def route_on_hold(context: Context) -> None:
    job = actor.job("reading.on-hold")
    async with context.db.transaction(job, context.at) as conn:
        await routing.call_back(conn, job, context.at)
        await routing.route_on_hold(conn, job, context.at)


JOBS: Mapping[str, JobKind] = {
    "recording.ended": JobKind(on_recording_ended),
    "dicom.study-complete": JobKind(on_images_complete),
    "dicom.taken-back": JobKind(on_taken_back),
    "reading.analyse": JobKind(analyse, lease_s=300, max_attempts=5),
    "reading.pdf": JobKind(make_pdf),
    "reading.deliver": JobKind(deliver),
    report_objects.JOB: JobKind(report_objects.put_back, lease_s=300, max_attempts=5),
}
EVERY: Mapping[str, tuple[float, TimerHandler]] = {
    "reading.leases": (2.0, free_leases),
    "reading.on-hold": (15.0, route_on_hold),
    "reading.late": (20.0, queue_late),
}
