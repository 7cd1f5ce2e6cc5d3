"""Background work of intake: what was received is looked at, what nobody goes on sending is given up."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from hub.core import actor, clock
from hub.core.jobs import Context, Every, JobKind
from hub.imaging import forwarding, taking_in, uploads

EXPIRE_EVERY_S = 600.0
FORWARDER = actor.job(forwarding.JOB)


async def take_in(context: Context, payload: dict[str, Any]) -> None:
    """`intake.take-in`: look at an upload."""
    await taking_in.take_in(context, UUID(payload["upload_id"]))


async def take_ecg(context: Context, payload: dict[str, Any]) -> None:
    """`intake.ecg`: an ECG object of a DICOM study becomes a recording."""
    request_id = UUID(payload["service_request_id"])
    await taking_in.take_ecg(context, request_id, payload["sha256"], payload["file_name"])


async def forward(context: Context, payload: dict[str, Any]) -> None:
    """`dicom.forward`: what a node has not got of a study, until it has answered for all; else tried again."""
    from hub.imaging import scu  # its library takes half a second to load, which no other process needs

    forward_id = UUID(payload["forward_id"])
    while True:
        at = clock.now()
        async with context.db.transaction(FORWARDER, at) as conn:
            due = await forwarding.waiting(conn, at, forward_id)
            if due is not None and due.not_before is not None:
                await forwarding.postpone(conn, at, due)
                return
        if due is None:
            return
        batch = scu.batch_of(due.instances)
        paths = {one.id: context.store.path(one.file_sha256) for one in batch}
        sent = await asyncio.to_thread(scu.send, due, batch, paths, context.settings.dimse_ae_title)
        async with context.db.transaction(FORWARDER, clock.now()) as conn:
            await forwarding.answered(conn, clock.now(), forward_id, sent.statuses, sent.fault)
        if sent.fault or any(status in forwarding.TRY_AGAIN for _, status in sent.statuses):
            raise ConnectionError(sent.fault or "the node is out of resources")


async def expire(context: Context) -> None:
    async with context.db.transaction(actor.job("intake.expire"), context.at) as conn:
        gone = await uploads.expire(conn, context.at)
    for upload_id in gone:
        context.store.partial(upload_id).remove()


JOBS: Mapping[str, JobKind] = {
    uploads.TAKE_IN_JOB: JobKind(take_in, lease_s=300, timeout_s=3600.0, max_attempts=5),
    forwarding.JOB: JobKind(
        forward, lease_s=300, timeout_s=7200.0, max_attempts=30, first_pause_s=15.0
    ),  # some twenty hours
    taking_in.ECG_JOB: JobKind(take_ecg, lease_s=300, max_attempts=3),
}
EVERY: Every = {"intake.expire": (EXPIRE_EVERY_S, expire)}
