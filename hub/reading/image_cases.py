"""Images that are read: what the case shows of them, what a report binds of them.

The images themselves are looked at in the viewer (hub/imaging); here stands which they are, what came before, and one
hash over all of them, so that nobody signs what has changed since it was shown.
"""

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row, one, rows
from hub.imaging.index.instances import HUB
from hub.imaging.pictures import marks
from hub.reading.signing import canonical

PRIORS_MAX: Final = 50
_STUDY: Final = "id", "study_uid", "description", "study_date", "study_time", "accession", "is_open"


async def case_parts(conn: Connection, _actor: Actor, _at: datetime, task: Row) -> dict[str, Any]:
    """What the reader's page needs besides what every case has."""
    return {"images": await read_images(conn, task["dicom_study_id"]), "priors": await _priors(conn, task)}


async def read_images(conn: Connection, dicom_study_id: UUID) -> dict[str, Any]:
    """The study of images as it is now; `sha256` binds every instance that was sent."""
    study = await one(conn, "SELECT * FROM dicom_study WHERE id = %s", (dicom_study_id,))
    series = await rows(
        conn,
        "SELECT e.series_uid, e.modality, e.description, e.body_part, count(*) AS instances FROM dicom_series e"
        " JOIN dicom_instance i ON i.dicom_series_id = e.id WHERE e.dicom_study_id = %s AND i.sent_by <> %s"
        " GROUP BY e.id ORDER BY e.number, e.series_uid",
        (dicom_study_id, HUB),
    )
    return {
        **{name: study[name] for name in _STUDY},
        "series": series,
        "modalities": sorted({one["modality"] for one in series}),
        "instances": sum(one["instances"] for one in series),
        "sha256": await images_sha256(conn, dicom_study_id),
    }


async def images_sha256(conn: Connection, dicom_study_id: UUID) -> str:
    """One hash over the UIDs and files of all instances that were sent; what the hub added itself is not read."""
    return hash_of(await _listed(conn, dicom_study_id))


async def _listed(conn: Connection, dicom_study_id: UUID) -> list[list[str]]:
    found = await rows(
        conn,
        "SELECT sop_uid, file_sha256 FROM dicom_instance"
        ' WHERE dicom_study_id = %s AND sent_by <> %s ORDER BY sop_uid COLLATE "C"',
        (dicom_study_id, HUB),
    )
    return [[row["sop_uid"], row["file_sha256"]] for row in found]


def hash_of(listed: Sequence[Sequence[str]]) -> str:
    """One hash over a list of instances."""
    return hashlib.sha256(canonical({"instances": listed})).hexdigest()


async def document_parts(conn: Connection, actor: Actor, task: Row, shown_sha256: str) -> dict[str, Any]:
    """What a report says of the images it is about; `images_stale` if they are not those that were shown.

    Key images and marks are those of the signer: nobody signs what somebody else has chosen meanwhile.
    """
    study_id, me = task["dicom_study_id"], actor.account_id
    images, listed = await read_images(conn, study_id), await _listed(conn, study_id)
    if hash_of(listed) != shown_sha256:
        raise errors.error("images_stale")
    chosen = await marks.key_images(conn, study_id, me)
    marked = await marks.annotations_of_key_images(conn, study_id, me)
    return {
        "images": {**images, "sha256": shown_sha256, "listed": listed},
        "key_images": [_key_image(row, marked) for row in chosen],
    }


def _key_image(row: Row, marked: Sequence[Row]) -> dict[str, Any]:
    place = (row["dicom_instance_id"], row["frame"])
    window = None if row["center"] is None else {"center": row["center"], "width": row["width"]}
    return {
        "instance_id": row["dicom_instance_id"],
        "sop_uid": row["sop_uid"],
        "sha256": row["data_set_sha256"],
        "frame": row["frame"],
        "note": row["note"],
        "window": window,
        "marks": [_mark(mark) for mark in marked if (mark["dicom_instance_id"], mark["frame"]) == place],
    }


def _mark(mark: Row) -> dict[str, Any]:
    """Points as shares of the picture's width and height; what it measures, in words that need no language."""
    points = [[x / mark["columns"], y / mark["rows"]] for x, y in mark["points"]]
    return {"kind": mark["kind"], "points": points, "text": mark["text"], "value": measured(mark)}


def measured(mark: Row) -> str:
    """The length of a length; nothing where only the detector's spacing is known, or none, or one for each region."""
    spacing = mark["spacing_mm"]
    if mark["kind"] != "length" or spacing is None or mark["spacing_source"] != "PixelSpacing":
        return ""
    (x1, y1), (x2, y2) = mark["points"]
    return f"{math.hypot((x2 - x1) * spacing[1], (y2 - y1) * spacing[0]):.1f} mm"


async def _priors(conn: Connection, task: Row) -> list[Row]:
    """The patient's other studies that were read or can be, newest first, with their newest report."""
    return await rows(
        conn,
        "SELECT s.id, s.kind, s.dicom_study_id, coalesce(d.description, '') AS description, d.study_date,"
        " s.created_at, f.id AS report_id, f.status AS report_status, f.signed_at,"
        " f.content -> 'content' ->> 'conclusion' AS conclusion"
        " FROM study s LEFT JOIN dicom_study d ON d.id = s.dicom_study_id"
        " LEFT JOIN LATERAL (SELECT * FROM report f WHERE f.study_id = s.id ORDER BY f.version DESC LIMIT 1) f ON true"
        " WHERE s.patient_id = %s AND s.id <> %s ORDER BY s.created_at DESC LIMIT %s",
        (task["patient_id"], task["study_id"], PRIORS_MAX),
    )
