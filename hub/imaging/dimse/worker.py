"""Jobs that go out to nodes: studies on their way, and answers of storage commitment whose association has gone."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from hub.core import actor, clock
from hub.core.jobs import Context, JobKind
from hub.core.logging import log
from hub.imaging.dimse import commitment, forwarding
from hub.imaging.dimse.forwarding import Forward

FORWARDER = actor.job(forwarding.JOB)


async def forward(context: Context, payload: dict[str, Any]) -> None:
    """`dicom.forward`: what a node has not got of a study, until it has answered for all; else tried again."""
    from hub.imaging.dimse import scu

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


async def tell(context: Context, payload: dict[str, Any]) -> None:
    """`dicom.commitment`: done when the node has confirmed; raises to be tried again."""
    commitment_id = UUID(payload["commitment_id"])
    async with context.db.transaction(commitment.ACTOR, context.at) as conn:
        said = await commitment.report(conn, commitment_id, context.store)
        to = await commitment.way_back(conn, commitment_id)
    if said is None:
        return
    if to is None:  # it asks again, and is told on that association
        log("dicom.not-told", commitment=str(commitment_id), error="nobody knows where the node listens")
        return
    from hub.imaging.dimse import scu

    document = commitment.document(said, context.settings.dimse_ae_title)
    way = Forward(to.id, to.ae_title, to.address, to.port, (), None)
    fault = await asyncio.to_thread(
        scu.report, way, said.event_type, document, context.settings.dimse_ae_title
    )
    if fault is not None:
        log("dicom.not-told", commitment=str(commitment_id), error=fault)
        raise ConnectionError(fault)
    async with context.db.transaction(commitment.ACTOR, clock.now()) as conn:
        await commitment.told(conn, clock.now(), commitment_id, said)


JOBS: Mapping[str, JobKind] = {
    forwarding.JOB: JobKind(
        forward, lease_s=300, timeout_s=7200.0, max_attempts=30, first_pause_s=15.0
    ),  # some twenty hours
    commitment.JOB: JobKind(tell, max_attempts=30, first_pause_s=15.0),  # some twenty hours
}
