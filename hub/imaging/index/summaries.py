"""Ready-made DICOM JSON of studies, series and instances for lists: made by the job that indexes, once for a series.

A study's attributes are those of the first instance that came; what the index knows by columns (date, time, accession
number, patient id) is told as the columns have it, since by them it is found.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from dicom import levels, matching
from dicom.levels import Document, element
from dicom.text import SHOWN_CHARS
from hub.core import db
from hub.core.db import Connection, Row

ONLINE: Final = "ONLINE"


def told_of_study(row: Mapping[str, Any]) -> dict[str, Any]:
    """A study as its row has it, from the header of its first instance."""
    alphabetic, *others = row["sent_name"].split("=")
    name = {
        group: words for group, words in zip(matching.GROUPS, (alphabetic, *others), strict=False) if words
    }
    return {
        **_columns_of_study(row),
        **element("StudyDescription", row["description"]),
        **element("PatientName", name or None),
        **element("PatientBirthDate", row["sent_birth_date"]),
        **element("PatientSex", row["sent_sex"]),
        **element("InstanceAvailability", ONLINE),
    }


def _columns_of_study(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **element("StudyDate", row["study_date"]),
        **element("StudyTime", row["study_time"]),
        **element("AccessionNumber", row["accession"]),
        **element("PatientID", row["sent_patient_id"]),
        **element("StudyInstanceUID", row["study_uid"]),
    }


def told_of_series(row: Mapping[str, Any]) -> dict[str, Any]:
    """A series as its row has it."""
    return {
        **element("Modality", row["modality"]),
        **element("SeriesInstanceUID", row["series_uid"]),
        **element("SeriesNumber", row["number"]),
        **element("SeriesDescription", row["description"]),
        **element("BodyPartExamined", row["body_part"]),
        **element("InstanceAvailability", ONLINE),
    }


def told_of_instance(row: Mapping[str, Any]) -> dict[str, Any]:
    """An instance as its row has it; all there is of one that can't be parsed."""
    return {
        **element("SOPClassUID", row["sop_class_uid"]),
        **element("SOPInstanceUID", row["sop_uid"]),
        **element("InstanceNumber", row["number"]),
        **element("Rows", row["rows"]),
        **element("Columns", row["columns"]),
        **element("NumberOfFrames", row["frames"]),
        **element("InstanceAvailability", ONLINE),
    }


def listed(document: Document, level: levels.Level) -> str:
    """What of a document is told in a list, as it is sent."""
    return json.dumps(levels.only(document, levels.LISTED[level]), ensure_ascii=False, separators=(",", ":"))


def of_instance(document: Document) -> str:
    """The list's text of an instance whose document was made."""
    return listed({**document, **element("InstanceAvailability", ONLINE)}, "instance")


async def refresh(conn: Connection, series_id: UUID) -> None:
    """Make the documents of a series and its study anew; they count what was received, also what can't be parsed."""
    series = await db.one(conn, "SELECT * FROM dicom_series WHERE id = %s", (series_id,))
    study = await db.one(conn, "SELECT * FROM dicom_study WHERE id = %s", (series["dicom_study_id"],))
    # The row first: of two jobs of one study the later one counts what the earlier has counted, and more.
    await db.run(conn, "SELECT FROM dicom_study WHERE id = %s FOR NO KEY UPDATE", (study["id"],))
    counts = await db.rows(conn, _COUNTS, (study["id"],))
    of_series = await _first_document(conn, study["id"], series_id)
    of_study = await _first_document(conn, study["id"], None)
    document = _series_document(series, study["study_uid"], of_series, counts)
    await db.run(
        conn,
        "UPDATE dicom_series SET document = %s, listed = %s WHERE id = %s",
        (json.dumps(document), listed(document, "series"), series_id),
    )
    document = _study_document(study, of_study, counts)
    names = names_of(document)
    await db.run(
        conn,
        """UPDATE dicom_study SET document = %s, listed = %s, name_alphabetic = %s, name_ideographic = %s,
             name_phonetic = %s WHERE id = %s""",
        (json.dumps(document), listed(document, "study"), *names, study["id"]),
    )


_COUNTS: Final = """SELECT i.dicom_series_id AS id, e.modality, count(*) AS instances,
    array_agg(DISTINCT i.sop_class_uid) AS classes
    FROM dicom_instance i JOIN dicom_series e ON e.id = i.dicom_series_id
    WHERE i.dicom_study_id = %s GROUP BY 1, 2"""


async def _first_document(conn: Connection, study_id: UUID, series_id: UUID | None) -> Document:
    """Of the instance that came first, of those that could be parsed."""
    row = await db.maybe(
        conn,
        """SELECT m.document FROM dicom_instance i JOIN dicom_metadata m ON m.dicom_instance_id = i.id
           WHERE i.dicom_study_id = %s AND (%s::uuid IS NULL OR i.dicom_series_id = %s)
           ORDER BY i.received_at, i.id LIMIT 1""",
        (study_id, series_id, series_id),
    )
    return row["document"] if row is not None else {}


def _series_document(row: Row, study_uid: str, parsed: Document, counts: Sequence[Row]) -> dict[str, Any]:
    (instances,) = (count["instances"] for count in counts if count["id"] == row["id"])
    found = told_of_series(row) | levels.only(parsed, levels.SERIES_TAGS)
    return {
        **found,
        **levels.only(parsed, {"00080201"}),
        **element("StudyInstanceUID", study_uid),
        **element("SeriesInstanceUID", row["series_uid"]),
        **element("NumberOfSeriesRelatedInstances", instances),
        **element("InstanceAvailability", ONLINE),
    }


def _study_document(row: Row, parsed: Document, counts: Sequence[Row]) -> dict[str, Any]:
    modalities = sorted({count["modality"] for count in counts})
    classes = sorted({one for count in counts for one in count["classes"]})
    return {
        **told_of_study(row),
        **levels.only(parsed, levels.STUDY_TAGS),
        **_columns_of_study(row),
        **element("ModalitiesInStudy", *modalities),
        **element("SOPClassesInStudy", *classes),
        **element("NumberOfStudyRelatedSeries", len(counts)),
        **element("NumberOfStudyRelatedInstances", sum(count["instances"] for count in counts)),
        **element("InstanceAvailability", ONLINE),
    }


def names_of(document: Document) -> tuple[str, str, str]:
    """The groups of the patient's name, folded, as they are matched; no longer than a name may be, as indexes ask."""
    values = document.get("00100010", {}).get("Value", [{}])
    first = values[0] if values and isinstance(values[0], dict) else {}
    groups = (str(first.get(group, "")).rstrip("^ ")[:SHOWN_CHARS] for group in matching.GROUPS)
    one, two, three = map(matching.fold, groups)
    return one, two, three
