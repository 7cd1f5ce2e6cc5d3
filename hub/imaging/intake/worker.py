"""Background work of intake: what was received is looked at, what nobody goes on sending is given up."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from hub.core import actor
from hub.core.jobs import Context, Every, JobKind
from hub.imaging.intake import taking_in, uploads

EXPIRE_EVERY_S = 600.0


async def take_in(context: Context, payload: dict[str, Any]) -> None:
    """`intake.take-in`: look at an upload."""
    await taking_in.take_in(context, UUID(payload["upload_id"]))


async def take_ecg(context: Context, payload: dict[str, Any]) -> None:
    """`intake.ecg`: an ECG object of a DICOM study becomes a recording."""
    request_id = UUID(payload["service_request_id"])
    await taking_in.take_ecg(context, request_id, payload["sha256"], payload["file_name"])


async def expire(context: Context) -> None:
    async with context.db.transaction(actor.job("intake.expire"), context.at) as conn:
        gone = await uploads.expire(conn, context.at)
    for upload_id in gone:
        context.store.partial(upload_id).remove()


JOBS: Mapping[str, JobKind] = {
    uploads.TAKE_IN_JOB: JobKind(take_in, lease_s=300, timeout_s=3600.0, max_attempts=5),
    taking_in.ECG_JOB: JobKind(take_ecg, lease_s=300, max_attempts=3),
}
EVERY: Every = {"intake.expire": (EXPIRE_EVERY_S, expire)}
