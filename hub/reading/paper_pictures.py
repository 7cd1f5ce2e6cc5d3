"""The key images of a report as its paper shows them: made by the confined child that makes screen images."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hub.core import errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row, one
from hub.core.jobs import Context
from hub.core.resident import Resident
from hub.imaging.pictures import rendering
from hub.imaging.pictures.rendering import JPEG, Picture
from hub.reading.paper_images import KEY_IMAGES_MAX

EDGE_PIXELS: Final = 1_000  # 86 mm at 300 points an inch
QUALITY: Final = 90
PATIENCE: Final = timedelta(minutes=5)  # with pictures that are still being prepared


async def pictures(
    context: Context, actor: Actor, key_images: Sequence[Mapping[str, Any]], signed_at: datetime
) -> list[dict[str, Any]]:
    """As strips of the paper; one that can't be drawn says why, in both languages."""
    async with rendering.resident() as renderer:
        return [
            await _picture(context, actor, renderer, number, key, signed_at)
            for number, key in enumerate(key_images[:KEY_IMAGES_MAX])
        ]


async def _picture(
    context: Context,
    actor: Actor,
    renderer: Resident,
    number: int,
    key: Mapping[str, Any],
    signed_at: datetime,
) -> dict[str, Any]:
    window = key["window"]
    wanted = Picture(
        JPEG, QUALITY, window and (window["center"], window["width"], "LINEAR"), edge=EDGE_PIXELS
    )
    instance_id, frame = UUID(key["instance_id"]), key["frame"]
    async with context.db.transaction(actor, context.at) as conn:
        made = {"section": "key-image", "item": number, "image": None, "reason": None}
        made |= await _place(conn, instance_id)
        try:
            row = await rendering.frame_of_instance(conn, actor, context.at, instance_id, frame)
        except errors.HubError as refusal:
            return made | _not_drawn(context, refusal, signed_at)
    try:
        return made | {"image": await rendering.picture(renderer, context.store, row, frame, wanted)}
    except errors.HubError as refusal:
        return made | _not_drawn(context, refusal, signed_at)


def _not_drawn(context: Context, refusal: errors.HubError, signed_at: datetime) -> dict[str, Any]:
    """Why; a hitch that may pass is no reason for a while: the job is tried again, and the paper is made once."""
    if isinstance(refusal, errors.Unavailable) and context.at - signed_at < PATIENCE:
        raise refusal
    return {"reason": {"zh-CN": refusal.zh, "en": refusal.en}}


async def _place(conn: Connection, instance_id: UUID) -> Row:
    return await one(
        conn,
        "SELECT coalesce(e.number::text, '') AS series, coalesce(i.number::text, '') AS number,"
        " coalesce(i.frames, 1) AS frames FROM dicom_instance i JOIN dicom_series e ON e.id = i.dicom_series_id"
        " WHERE i.id = %s",
        (instance_id,),
    )
