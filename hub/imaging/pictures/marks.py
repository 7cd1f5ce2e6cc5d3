"""What people mark on images: annotations and key images, kept as data beside the study.

Only its maker changes or removes a mark; everybody who may see the images sees all of them. Removed annotations stay
in the table. Each person chooses key images for the own report: one chosen again has another note.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit

POINTS_OF: Final = {
    "length": (2, 2),
    "angle": (3, 4),
    "ellipse": (2, 2),
    "rectangle": (2, 2),
    "arrow": (2, 2),
    "text": (1, 1),
}  # kind: how many points, at least and at most
MARKS_MAX: Final = 2_000  # of a study, removed ones included
KEY_IMAGES_MAX: Final = 200  # of a study


@dataclass(frozen=True)
class Annotation:
    """A mark as the page sends it; points in pixels of the image."""

    id: UUID
    instance_id: UUID
    frame: int
    kind: str
    points: Sequence[Sequence[float]]
    text: str


@dataclass(frozen=True)
class KeyImage:
    """An image a reader chose; `window` (center, width) as it was shown, None: the image's own."""

    instance_id: UUID
    frame: int
    note: str
    window: tuple[float, float] | None


async def read_marks(conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID) -> dict[str, Any]:
    """All marks of a study, oldest first."""
    await _require(conn, actor, at, "images.read", dicom_study_id)
    annotations = await db.rows(
        conn,
        "SELECT m.*, a.name AS by_name FROM image_annotation m JOIN account a ON a.id = m.account_id"
        " WHERE m.dicom_study_id = %s AND m.removed_at IS NULL ORDER BY m.at, m.id",
        (dicom_study_id,),
    )
    chosen = await key_images(conn, dicom_study_id)
    return {
        "annotations": [_annotation_view(row) for row in annotations],
        "key_images": [_key_image_view(row) for row in chosen],
    }


async def key_images(conn: Connection, dicom_study_id: UUID, account_id: UUID | None = None) -> list[Row]:
    """The key images of a study, or one person's, in the order they were chosen; the caller has asked for access."""
    return await db.rows(
        conn,
        "SELECT k.*, a.name AS by_name, i.sop_uid, i.sop_class_uid, i.data_set_sha256 FROM key_image k"
        " JOIN account a ON a.id = k.account_id JOIN dicom_instance i ON i.id = k.dicom_instance_id"
        " WHERE k.dicom_study_id = %s AND (%s::uuid IS NULL OR k.account_id = %s) ORDER BY k.at, i.sop_uid, k.frame",
        (dicom_study_id, account_id, account_id),
    )


async def annotations_of_key_images(conn: Connection, dicom_study_id: UUID, account_id: UUID) -> list[Row]:
    """What a person has marked on the own key images, with what it takes to measure it; the caller has asked."""
    return await db.rows(
        conn,
        "SELECT m.dicom_instance_id, m.frame, m.kind, m.points, m.text, i.rows, i.columns,"
        " p.layout -> 'spacing_mm' AS spacing_mm, p.layout ->> 'spacing_source' AS spacing_source"
        " FROM image_annotation m JOIN key_image k USING (dicom_instance_id, frame, account_id)"
        " JOIN dicom_instance i ON i.id = m.dicom_instance_id"
        " LEFT JOIN dicom_pixels p ON p.dicom_instance_id = m.dicom_instance_id"
        " WHERE m.dicom_study_id = %s AND m.account_id = %s AND m.removed_at IS NULL AND i.rows > 0 AND i.columns > 0"
        " ORDER BY m.at, m.id",
        (dicom_study_id, account_id),
    )


async def put_annotation(
    conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID, new: Annotation
) -> None:
    """Keep a new mark, or move or rename one of one's own; the same call twice changes nothing."""
    study = await _require(conn, actor, at, "images.annotate", dicom_study_id)
    await _require_image(conn, dicom_study_id, new.instance_id, new.frame)
    count = await db.one(
        conn, "SELECT count(*) AS marks FROM image_annotation WHERE dicom_study_id = %s", (dicom_study_id,)
    )
    if count["marks"] >= MARKS_MAX:
        raise errors.error("too_large", limit=MARKS_MAX)
    kept = await db.run(
        conn,
        """INSERT INTO image_annotation AS m
             (id, dicom_study_id, dicom_instance_id, frame, kind, points, text, account_id, at, changed_at)
           VALUES (%(id)s, %(study)s, %(instance)s, %(frame)s, %(kind)s, %(points)s, %(text)s, %(me)s, %(at)s, %(at)s)
           ON CONFLICT (id) DO UPDATE SET points = excluded.points, text = excluded.text, frame = excluded.frame,
             changed_at = excluded.changed_at, removed_at = NULL
           WHERE m.account_id = excluded.account_id AND m.dicom_instance_id = excluded.dicom_instance_id
             AND m.kind = excluded.kind""",
        {
            "id": new.id, "study": dicom_study_id, "instance": new.instance_id, "frame": new.frame,
            "kind": new.kind, "points": json.dumps(new.points), "text": new.text, "me": actor.account_id, "at": at,
        },
    )  # fmt: skip
    if not kept:
        raise errors.error("not_allowed")
    await _record(conn, actor, at, "images.annotate", study)


async def remove_annotation(
    conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID, annotation_id: UUID
) -> None:
    """Take one of one's own marks away; one that is gone already stays so."""
    study = await _require(conn, actor, at, "images.annotate", dicom_study_id)
    mark = await db.one(
        conn,
        "SELECT account_id FROM image_annotation WHERE id = %s AND dicom_study_id = %s",
        (annotation_id, dicom_study_id),
    )
    if mark["account_id"] != actor.account_id:
        raise errors.error("not_allowed")
    removed = await db.run(
        conn,
        "UPDATE image_annotation SET removed_at = %s WHERE id = %s AND removed_at IS NULL",
        (at, annotation_id),
    )
    if removed:
        await _record(conn, actor, at, "images.unmark", study)


async def put_key_image(
    conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID, new: KeyImage
) -> None:
    """Choose an image, or give the one chosen another note."""
    study = await _require(conn, actor, at, "images.annotate", dicom_study_id)
    await _require_image(conn, dicom_study_id, new.instance_id, new.frame)
    count = await db.one(
        conn, "SELECT count(*) AS chosen FROM key_image WHERE dicom_study_id = %s", (dicom_study_id,)
    )
    if count["chosen"] >= KEY_IMAGES_MAX:
        raise errors.error("too_large", limit=KEY_IMAGES_MAX)
    center, width = new.window or (None, None)
    await db.run(
        conn,
        """INSERT INTO key_image (dicom_study_id, dicom_instance_id, frame, note, center, width, account_id, at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (dicom_instance_id, frame, account_id) DO UPDATE
             SET note = excluded.note, center = excluded.center, width = excluded.width""",
        (dicom_study_id, new.instance_id, new.frame, new.note, center, width, actor.account_id, at),
    )
    await _record(conn, actor, at, "images.key", study)


async def remove_key_image(
    conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID, instance_id: UUID, frame: int
) -> None:
    """No key image of one's own any more; one that was none stays so."""
    study = await _require(conn, actor, at, "images.annotate", dicom_study_id)
    removed = await db.run(
        conn,
        "DELETE FROM key_image WHERE dicom_study_id = %s AND dicom_instance_id = %s AND frame = %s AND account_id = %s",
        (dicom_study_id, instance_id, frame, actor.account_id),
    )
    if removed:
        await _record(conn, actor, at, "images.unkey", study)


async def _require(conn: Connection, actor: Actor, at: datetime, action: str, dicom_study_id: UUID) -> Row:
    """The study, if the actor may do this with its images: who marks must be a doctor who may look at them."""
    study = await db.one(
        conn, "SELECT id, patient_id, organisation_id FROM dicom_study WHERE id = %s", (dicom_study_id,)
    )
    await access.require(conn, actor, at, action)
    await access.require(
        conn,
        actor,
        at,
        "images.read",
        patient_id=study["patient_id"],
        organisation_id=study["organisation_id"],
    )
    return study


async def _require_image(conn: Connection, dicom_study_id: UUID, instance_id: UUID, frame: int) -> None:
    image = await db.one(
        conn,
        "SELECT coalesce(frames, 1) AS frames FROM dicom_instance WHERE id = %s AND dicom_study_id = %s",
        (instance_id, dicom_study_id),
    )
    if not 1 <= frame <= image["frames"]:
        raise errors.error("bad_field", field="frame", expected=f"1 to {image['frames']}")


async def _record(conn: Connection, actor: Actor, at: datetime, action: str, study: Row) -> None:
    await audit.record(
        conn, actor, at, action, "dicom-study", study["id"],
        organisation_id=study["organisation_id"], patient_id=study["patient_id"],
    )  # fmt: skip


def _annotation_view(row: Row) -> dict[str, Any]:
    shown = {name: row[name] for name in ("id", "frame", "kind", "points", "text", "at")}
    return {**shown, "instance_id": row["dicom_instance_id"], "by": _by(row)}


def _key_image_view(row: Row) -> dict[str, Any]:
    window = None if row["center"] is None else {"center": row["center"], "width": row["width"]}
    return {
        "instance_id": row["dicom_instance_id"],
        "frame": row["frame"],
        "note": row["note"],
        "window": window,
        "by": _by(row),
        "at": row["at"],
    }


def _by(row: Row) -> dict[str, Any]:
    return {"id": row["account_id"], "name": row["by_name"]}
