"""Frames as a screen shows them, for pages and DICOMweb (PS3.18 8.3.5, 10.4.1.1.3): what is asked for, and who may.

The picture itself is made by one confined child (`hub.imaging.pictures.looking_at_frames`), outside any transaction.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Database, Row
from hub.core.resident import Resident
from hub.core.sandbox import SandboxFailed
from hub.core.store import Store
from hub.imaging.pictures import pixel_reasons
from hub.imaging.pictures.looks import Looks
from hub.people import access

FUNCTION: Final = "hub.imaging.pictures.looking_at_frames:picture"
MEMORY_MB: Final = 512
TIMEOUT_S: Final = 5.0
JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
THUMBNAIL_EDGE: Final = 256
THUMBNAIL_QUALITY: Final = 80


@dataclass(frozen=True)
class Picture:
    """What is wanted: of `window` (center, width, function) and `viewport` (PS3.18 8.3.5.1.3) each may be none."""

    media: str = JPEG
    quality: int = 85
    window: tuple[float, float, str] | None = None
    viewport: tuple[float, ...] | None = None
    edge: int | None = None  # fit into a square, as a thumbnail does


@dataclass(frozen=True)
class Uids:
    """An object of DICOMweb; what is left out is any."""

    study: str
    series: str | None = None
    instance: str | None = None


class Renderer(Resident):
    """The child that makes pictures, and who may look at which study."""

    def __init__(self) -> None:
        super().__init__(FUNCTION, MEMORY_MB, TIMEOUT_S)
        self.looks = Looks()


def resident() -> Renderer:
    """One for each process that shows pictures."""
    return Renderer()


_FRAME: Final = """SELECT * FROM dicom_frame(%(actor_kind)s, %(actor_id)s, %(at)s, %(id)s, %(study)s, %(series)s,
    %(instance)s, %(frame)s)"""


async def find_frame(
    database: Database,
    looks: Looks,
    actor: Actor,
    at: datetime,
    action: str,
    wanted: UUID | Uids,
    frame: int = 1,
) -> Row:
    """The frame (from 1) of an image, by its id or its UIDs; of a study or series the image in its middle.

    `not_found` unless the actor sees the study and may do this; else why there is no picture.
    """
    rows = await database.call(actor, at, _FRAME, _named(wanted, frame))
    if not rows:
        raise errors.error("not_found")
    await looks.require(database, actor, at, action, rows[0])
    return rows[0]


async def frame_of_instance(
    conn: Connection, actor: Actor, at: datetime, instance_id: UUID, frame: int
) -> Row:
    """The same by its id, within a transaction, if there is a picture."""
    who = {"actor_kind": actor.kind, "actor_id": actor.id, "at": at}
    row = await db.one(conn, _FRAME, who | _named(instance_id, frame))
    await access.require(
        conn, actor, at, "images.read", patient_id=row["patient_id"], organisation_id=row["organisation_id"]
    )
    require_picture(row)
    return row


def _named(wanted: UUID | Uids, frame: int) -> dict[str, Any]:
    if isinstance(wanted, UUID):
        return {"id": wanted, "study": None, "series": None, "instance": None, "frame": frame}
    return {"id": None, "frame": frame, **asdict(wanted)}


def require_picture(row: Row) -> None:
    """Raise why there is none, if there is none."""
    if row["state"] is None:
        raise errors.error("image_waiting")
    if row["state"] == "none":
        raise errors.error("no_picture")
    if row["state"] == "failed":
        words = pixel_reasons.words(row["fault"]) or {}
        raise errors.error(
            "image_unreadable", reason=row["fault"], words_zh=words.get("zh-CN"), words_en=words.get("en")
        )
    if row["frame"] is None:
        raise errors.error("not_found")


async def picture(renderer: Resident, store: Store, row: Row, frame: int, wanted: Picture) -> bytes:
    """The picture of a frame that `find_frame` has found."""
    require_picture(row)
    asked = {
        **_place(store, row, frame, wanted),
        "layout": row["layout"] | {key: row["frame"][key] for key in row["frame"] if key in row["layout"]},
        "edge": wanted.edge,
        "window": wanted.window,
        "viewport": wanted.viewport,
        "media": wanted.media,
        "quality": wanted.quality,
    }
    try:
        return await renderer.call(json.dumps(asked).encode())
    except SandboxFailed as failure:
        raise errors.error("image_too_hard", reason=failure.reason) from failure


def _place(store: Store, row: Row, frame: int, wanted: Picture) -> dict[str, Any]:
    """Plain words of the file that was sent, for a whole picture; else the serving copy."""
    native, layout = row["native"], row["layout"]
    if native is not None and wanted.edge is None:
        length = layout["rows"] * layout["columns"] * native["bits"] // 8
        path = store.path(row["original_sha256"])
        return {
            "path": str(path),
            "offset": native["at"] + (frame - 1) * length,
            "length": length,
            "source": native,
        }
    return {
        "path": str(store.path(row["file_sha256"])),
        "offset": row["frame"]["offset"],
        "length": row["frame"]["length"],
        "source": row["media_type"],
    }
