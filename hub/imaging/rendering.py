"""Frames as a screen shows them, for pages and DICOMweb (PS3.18 8.3.5, 10.4.1.1.3): what is asked for, and who may.

The picture itself is made by one confined child (`hub.imaging.looking_at_frames`), outside any transaction.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.core.resident import Resident
from hub.core.sandbox import SandboxFailed
from hub.core.store import Store
from hub.imaging import pixel_reasons
from hub.people import access

FUNCTION: Final = "hub.imaging.looking_at_frames:picture"
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


def resident() -> Resident:
    """The child that makes pictures."""
    return Resident(FUNCTION, MEMORY_MB, TIMEOUT_S)


_FRAME: Final = """
    SELECT p.state, p.fault, p.media_type, p.file_sha256, p.native, i.file_sha256 AS original_sha256,
      p.layout - '{frames,overlays,regions}'::text[] AS layout, p.layout->'frames'->(%(frame)s - 1) AS frame,
      s.patient_id, s.organisation_id
    FROM dicom_study s JOIN dicom_instance i ON i.dicom_study_id = s.id
    LEFT JOIN dicom_pixels p ON p.dicom_instance_id = i.id"""
# In the middle of the first series that shows anything.
_MIDDLE: Final = """
    SELECT id FROM (
      SELECT i.id, e.number, e.id AS series_id, count(*) OVER (PARTITION BY e.id) AS images,
        row_number() OVER (PARTITION BY e.id ORDER BY i.number NULLS LAST, i.id) AS place
      FROM dicom_study s JOIN dicom_series e ON e.dicom_study_id = s.id
      JOIN dicom_instance i ON i.dicom_series_id = e.id
      WHERE s.study_uid = %(study)s AND (%(series)s::text IS NULL OR e.series_uid = %(series)s) AND i.rows IS NOT NULL
    ) AS numbered ORDER BY number NULLS LAST, series_id, abs(2 * place - images - 1) LIMIT 1"""


async def frame_of_instance(
    conn: Connection, actor: Actor, at: datetime, dicom_instance_id: UUID, frame: int
) -> Row:
    """The frame (from 1) of an image that the actor may look at."""
    row = await db.one(conn, f"{_FRAME} WHERE i.id = %(id)s", {"frame": frame, "id": dicom_instance_id})
    return await _require(conn, actor, at, "images.read", row)


async def frame_of_uids(conn: Connection, actor: Actor, at: datetime, wanted: Uids, frame: int) -> Row:
    """The same by UIDs; of a study or series the image in its middle."""
    await access.require(conn, actor, at, "dicom.query")
    named = {"study": wanted.study, "series": wanted.series, "instance": wanted.instance, "frame": frame}
    if wanted.instance is None:
        middle = await db.one(conn, _MIDDLE, named)
        row = await db.one(conn, f"{_FRAME} WHERE i.id = %(id)s", {"frame": frame, "id": middle["id"]})
    else:
        row = await db.one(
            conn,
            f"""{_FRAME} JOIN dicom_series e ON e.id = i.dicom_series_id
                WHERE s.study_uid = %(study)s AND i.organisation_id = s.organisation_id AND i.sop_uid = %(instance)s
                  AND e.series_uid = %(series)s ORDER BY s.id LIMIT 1""",
            named,
        )
    return await _require(conn, actor, at, "dicom.query", row)


async def _require(conn: Connection, actor: Actor, at: datetime, action: str, row: Row) -> Row:
    """The row, if the actor may and there is a picture; else why there is none."""
    await access.require(
        conn, actor, at, action, patient_id=row["patient_id"], organisation_id=row["organisation_id"]
    )
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
    return row


async def picture(renderer: Resident, store: Store, row: Row, frame: int, wanted: Picture) -> bytes:
    """The picture of a frame that one of the above has found."""
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
