"""What a viewer asks for: a study's images with how to show them, their serving copies, earlier studies.

The answer is there at once, whatever has been prepared yet: an instance that waits says so, and the channel of
`hub.imaging.pictures.copies` tells open pages when to ask again.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from dicom import uids
from hub.core import db, errors, sandbox
from hub.core.actor import Actor
from hub.core.db import Connection, Database, Row
from hub.core.sandbox import SandboxFailed
from hub.core.store import Store
from hub.imaging.pictures import pixel_reasons, stacking
from hub.people import access, audit

PRIORS_MAX: Final = 100
OVERLAY_CHARS_MAX: Final = 64 << 20  # of a study: a plane over each of 1,500 slices
LAYOUT_CHARS_MAX: Final = 32 << 20  # of a study without overlays: 20,000 slices
DOCUMENT: Final = "hub.imaging.pictures.looking_at_pixels:document"
DOCUMENT_S: Final = 20.0
DOCUMENT_MB: Final = 512
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
PDF_CLASS: Final = f"{_STORAGE}104.1"
DOCUMENT_CLASSES: Final = (f"{_STORAGE}104.", f"{_STORAGE}88.")  # encapsulated documents, structured reports


async def require_study(conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID) -> Row:
    """The study, if the actor may look at its images."""
    study = await db.one(conn, "SELECT * FROM dicom_study WHERE id = %s", (dicom_study_id,))
    await access.require(
        conn, actor, at, "images.read",
        patient_id=study["patient_id"], organisation_id=study["organisation_id"],
    )  # fmt: skip
    return study


async def manifest(conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID) -> dict[str, Any]:
    """A study's series and instances, and how each is shown; opening a study is audited."""
    study = await require_study(conn, actor, at, dicom_study_id)
    instances = await db.rows(
        conn,
        _INSTANCES,
        {"study": dicom_study_id, "overlay": OVERLAY_CHARS_MAX, "other": LAYOUT_CHARS_MAX},
    )
    series = await db.rows(
        conn,
        """SELECT id, series_uid, modality, number, description, body_part FROM dicom_series
           WHERE dicom_study_id = %s ORDER BY number NULLS LAST, series_uid""",
        (dicom_study_id,),
    )
    await audit.record(
        conn, actor, at, "images.read", "dicom-study", dicom_study_id,
        organisation_id=study["organisation_id"], patient_id=study["patient_id"],
    )  # fmt: skip
    return {
        "study": await _study_view(conn, study, instances),
        "series": [
            _series_view(one, [row for row in instances if row["series_id"] == one["id"]]) for one in series
        ],
    }


# Layouts up to a sum: a study is one answer, whatever was sent. Overlays are left out first, which is told.
_INSTANCES: Final = """
    WITH of_study AS (
      SELECT i.id, i.dicom_series_id AS series_id, i.sop_uid, i.sop_class_uid, i.number, i.rows, i.received_at,
        p.state, p.fault, p.layout, r.id AS recording_id,
        CASE WHEN p.state IS NULL THEN m.document->'00200032'->'Value' END AS position,
        CASE WHEN p.state IS NULL THEN m.document->'00200037'->'Value' END AS orientation,
        sum(length(p.layout->>'overlays')) OVER w AS overlay_chars,
        sum(length((p.layout - 'overlays')::text)) OVER w AS other_chars
      FROM dicom_instance i LEFT JOIN dicom_pixels p ON p.dicom_instance_id = i.id
      LEFT JOIN dicom_metadata m ON m.dicom_instance_id = i.id AND p.state IS NULL
      LEFT JOIN LATERAL (SELECT id FROM recording WHERE file_sha256 = i.file_sha256 ORDER BY id LIMIT 1) r ON true
      WHERE i.dicom_study_id = %(study)s
      WINDOW w AS (ORDER BY i.number NULLS LAST, i.received_at, i.id ROWS UNBOUNDED PRECEDING))
    SELECT id, series_id, sop_uid, sop_class_uid, number, rows, received_at, recording_id, position, orientation,
      CASE WHEN other_chars > %(other)s AND layout IS NOT NULL THEN 'failed' ELSE state END AS state,
      CASE WHEN other_chars > %(other)s AND layout IS NOT NULL THEN 'too-large' ELSE fault END AS fault,
      CASE WHEN other_chars > %(other)s THEN NULL
        WHEN overlay_chars > %(overlay)s AND layout->'overlays' <> '[]' THEN layout || jsonb_build_object(
          'overlays', '[]'::jsonb, 'overlays_left_out',
          jsonb_array_length(layout->'overlays') + coalesce((layout->>'overlays_left_out')::int, 0))
        ELSE layout END AS layout
    FROM of_study ORDER BY number NULLS LAST, received_at, id"""


async def _study_view(conn: Connection, study: Row, instances: Sequence[Row]) -> dict[str, Any]:
    patient = await db.maybe(
        conn, "SELECT id, name, sex, birth_date FROM patient WHERE id = %s", (study["patient_id"],)
    )
    told = ("id", "study_uid", "sent_name", "description", "study_date", "study_time", "accession", "is_open")
    return {
        **{name: study[name] for name in told},
        "patient": patient,
        "instances": len(instances),
        "ready": sum(row["state"] is not None for row in instances),
    }


def _series_view(series: Row, instances: Sequence[Row]) -> dict[str, Any]:
    """A series in the order in which it is scrolled through; what all its images have in common stands in `common`."""
    in_order = stacking.in_order(instances)
    layouts = [row["layout"] for row in in_order if row["layout"] is not None]
    common = stacking.common(layouts)
    return {
        **series,
        "common": common,
        "instances": [_instance_view(row, common) for row in in_order],
    }


def _instance_view(row: Row, common: Mapping[str, Any]) -> dict[str, Any]:
    layout = row["layout"]
    return {
        "id": row["id"],
        "sop_uid": row["sop_uid"],
        "sop_class_uid": row["sop_class_uid"],
        "number": row["number"],
        "state": row["state"] or "waiting",
        "fault": pixel_reasons.words(row["fault"]),
        "kind": _kind(row),
        "recording_id": row["recording_id"],
        "pixels": None if layout is None else {key: layout[key] for key in layout if key not in common},
    }


def _kind(row: Row) -> str:
    if row["sop_class_uid"] in uids.ECG_CLASSES:
        return "ecg"
    if row["sop_class_uid"].startswith(DOCUMENT_CLASSES):
        return "document"
    return "image" if row["rows"] is not None or row["state"] == "ready" else "other"


async def document(database: Database, actor: Actor, at: datetime, store: Store, instance_id: UUID) -> bytes:
    """The PDF that an instance encapsulates, taken out in the sandbox; audited."""
    async with database.transaction(actor, at) as conn:
        row = await db.one(
            conn,
            """SELECT i.file_sha256, i.sop_class_uid, s.id AS study_id, s.patient_id, s.organisation_id
               FROM dicom_instance i JOIN dicom_study s ON s.id = i.dicom_study_id WHERE i.id = %s""",
            (instance_id,),
        )
        await access.require(
            conn,
            actor,
            at,
            "images.read",
            patient_id=row["patient_id"],
            organisation_id=row["organisation_id"],
        )
        if row["sop_class_uid"] != PDF_CLASS:
            raise errors.error("not_acceptable", expected="an encapsulated PDF")
        await audit.record(
            conn, actor, at, "images.document", "dicom-study", row["study_id"],
            organisation_id=row["organisation_id"], patient_id=row["patient_id"],
        )  # fmt: skip
    asked = json.dumps({"path": str(store.path(row["file_sha256"]))}).encode()
    try:
        return await sandbox.run(DOCUMENT, asked, DOCUMENT_S, DOCUMENT_MB)
    except SandboxFailed as failure:
        raise errors.error("image_unreadable", reason=failure.reason) from failure


async def priors(conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID) -> list[Row]:
    """Other studies of the same patient that hold images, newest first."""
    study = await require_study(conn, actor, at, dicom_study_id)
    if study["patient_id"] is None:
        return []
    return await db.rows(
        conn,
        """SELECT s.id, s.study_date, s.description, e.modalities, e.body_parts,
             (SELECT count(*) FROM dicom_instance i WHERE i.dicom_study_id = s.id) AS instances
           FROM dicom_study s CROSS JOIN LATERAL (
             SELECT array_agg(DISTINCT modality) AS modalities,
               coalesce(array_agg(DISTINCT body_part) FILTER (WHERE body_part <> ''), '{}') AS body_parts
             FROM dicom_series WHERE dicom_study_id = s.id) e
           WHERE s.id <> %(study)s AND s.patient_id IN (
               SELECT %(patient)s UNION SELECT merged_into FROM patient_merge WHERE patient_id = %(patient)s
               UNION SELECT patient_id FROM patient_merge WHERE merged_into = %(patient)s)
             AND EXISTS (SELECT FROM dicom_instance i WHERE i.dicom_study_id = s.id AND i.rows IS NOT NULL)
           ORDER BY s.study_date DESC, s.first_at DESC LIMIT %(limit)s""",
        {"study": dicom_study_id, "patient": study["patient_id"], "limit": PRIORS_MAX},
    )
