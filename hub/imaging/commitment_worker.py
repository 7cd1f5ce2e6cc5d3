"""The job that tells a node what it asked of storage commitment, when the association it asked on has gone."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from hub.core import clock
from hub.core.jobs import Context, JobKind
from hub.core.logging import log
from hub.imaging import commitment
from hub.imaging.forwarding import Forward


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
    from hub.imaging import scu  # its library takes half a second to load, which no other process needs

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
    commitment.JOB: JobKind(tell, max_attempts=30, first_pause_s=15.0),  # some twenty hours
}
