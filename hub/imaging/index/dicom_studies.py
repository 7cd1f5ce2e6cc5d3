"""DICOM studies and series: made by their first instance, complete when no more comes, and open again if one does.

A study is complete when it has been quiet for a while, sooner if it has as many instances as the request expects,
later if it has fewer. Each completion, and each assignment of a complete study to its patient, is told to reading by
a job; one that gets a late instance is completed, and told, again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from dicom import uids
from dicom.header import Header
from hub.core import db, ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.imaging.index import senders, summaries
from hub.people import access, audit

COMPLETE_JOB: Final = "dicom.study-complete"
CHANNEL: Final = "hub_dicom_study"
QUIET: Final = timedelta(seconds=60)  # no instance for so long; senders pause seconds between two series
QUIET_EXPECTED: Final = timedelta(seconds=5)  # every expected instance is there
QUIET_FEWER: Final = timedelta(minutes=30)  # fewer than expected: the sender may try again
COMPLETED_AT_ONCE: Final = 50


Key = tuple[UUID, str, str]  # organisation, study UID, series UID


@dataclass(frozen=True)
class Place:
    """Where instances of a series go, and of which patient the study's first one said it is."""

    key: Key
    study_id: UUID
    series_id: UUID
    identity: tuple[str, str]


Places = Mapping[Key, Place]
"""What a process that stores many remembers of committed rows."""


def _key(header: Header, organisation_id: UUID) -> Key:
    return organisation_id, header.uid("StudyInstanceUID"), header.uid("SeriesInstanceUID")


def _identity(header: Header) -> tuple[str, str]:
    return header.text("IssuerOfPatientID"), header.text("PatientID")


def known_place(
    header: Header, organisation_id: UUID, request_id: UUID | None, known: Places
) -> Place | None:
    """Where an instance goes, if nothing but the instance itself has to be written."""
    found = None if request_id is not None else known.get(_key(header, organisation_id))
    return found if found is not None and found.identity == _identity(header) else None


async def place(
    conn: Connection,
    actor: Actor,
    at: datetime,
    header: Header,
    organisation_id: UUID,
    request_id: UUID | None,
    known: Places,
) -> Place:
    """The study and series an instance belongs to, made if it is the first; the caller has asked for access."""
    key = _key(header, organisation_id)
    found = known.get(key)
    if found is None or request_id is not None:
        study = await _study(conn, actor, at, header, organisation_id)
        if request_id is not None and study["patient_id"] is None:
            await _belongs_to_request(conn, study["id"], request_id)
        series_id = await _series(conn, at, header, study["id"])
        found = Place(key, study["id"], series_id, (study["sent_issuer"], study["sent_patient_id"]))
    if found.identity != _identity(header):
        await db.run(
            conn,
            "UPDATE dicom_study SET identity_differs = true WHERE id = %s AND NOT identity_differs",
            (found.study_id,),
        )
    return found


async def _study(conn: Connection, actor: Actor, at: datetime, header: Header, organisation_id: UUID) -> Row:
    values = {
        "id": ids.new(at),
        "organisation": organisation_id,
        "study_uid": header.uid("StudyInstanceUID"),
        "patient_id": header.text("PatientID"),
        "issuer": header.text("IssuerOfPatientID"),
        "name": header.text("PatientName"),
        "birth_date": header.text("PatientBirthDate"),
        "sex": header.text("PatientSex"),
        "accession": header.text("AccessionNumber"),
        "description": header.text("StudyDescription"),
        "date": header.text("StudyDate"),
        "time": header.text("StudyTime"),
        "at": at,
    }
    made = await db.maybe(
        conn,
        """INSERT INTO dicom_study (id, organisation_id, study_uid, sent_patient_id, sent_issuer, sent_name,
             sent_birth_date, sent_sex, accession, description, study_date, study_time, first_at)
           VALUES (%(id)s, %(organisation)s, %(study_uid)s, %(patient_id)s, %(issuer)s, %(name)s, %(birth_date)s,
             %(sex)s, %(accession)s, %(description)s, %(date)s, %(time)s, %(at)s)
           ON CONFLICT (organisation_id, study_uid) DO NOTHING
           RETURNING id, patient_id, sent_issuer, sent_patient_id""",
        values,
    )
    if made is None:
        return await db.one(
            conn,
            """SELECT id, patient_id, sent_issuer, sent_patient_id FROM dicom_study
               WHERE organisation_id = %(organisation)s AND study_uid = %(study_uid)s""",
            values,
        )
    await db.notify(conn, CHANNEL)
    await audit.record(
        conn, actor, at, "dicom.store", "dicom-study", made["id"], organisation_id=organisation_id
    )
    return made


async def _belongs_to_request(conn: Connection, study_id: UUID, request_id: UUID) -> None:
    """Sent for a request by somebody who chose it."""
    await db.run(
        conn,
        """UPDATE dicom_study SET patient_id = q.patient_id, service_request_id = q.id, resolved_by = 'person'
           FROM service_request q WHERE q.id = %s AND dicom_study.id = %s AND dicom_study.patient_id IS NULL""",
        (request_id, study_id),
    )


async def _series(conn: Connection, at: datetime, header: Header, study_id: UUID) -> UUID:
    values = {
        "id": ids.new(at),
        "study": study_id,
        "series_uid": header.uid("SeriesInstanceUID"),
        "modality": header.text("Modality"),
        "number": header.number("SeriesNumber"),
        "description": header.text("SeriesDescription"),
        "body_part": header.text("BodyPartExamined"),
    }
    made = await db.maybe(
        conn,
        """INSERT INTO dicom_series (id, dicom_study_id, series_uid, modality, number, description, body_part)
           VALUES (%(id)s, %(study)s, %(series_uid)s, %(modality)s, %(number)s, %(description)s, %(body_part)s)
           ON CONFLICT (dicom_study_id, series_uid) DO NOTHING RETURNING id""",
        values,
    )
    if made is None:
        made = await db.one(
            conn,
            "SELECT id FROM dicom_series WHERE dicom_study_id = %(study)s AND series_uid = %(series_uid)s",
            values,
        )
    series_id: UUID = made["id"]
    return series_id


async def complete_quiet(conn: Connection, actor: Actor, at: datetime) -> int:
    """Complete the studies from which no more is to be expected now (timer); how many."""
    quiet = await db.rows(
        conn,
        """SELECT s.id FROM dicom_study s LEFT JOIN service_request q ON q.id = s.service_request_id
           CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE i.sent_by <> 'hub') AS instances,
               max(i.received_at) AS last_at, bool_or(i.indexed_at IS NULL) AS waiting
             FROM dicom_instance i WHERE i.dicom_study_id = s.id) c
           WHERE s.is_open AND NOT c.waiting AND c.last_at <= %(at)s - CASE
               WHEN q.expected_instances IS NULL THEN %(quiet)s
               WHEN c.instances >= q.expected_instances THEN %(expected)s ELSE %(fewer)s END
           ORDER BY s.first_at LIMIT %(limit)s""",
        {
            "at": at,
            "quiet": QUIET,
            "expected": QUIET_EXPECTED,
            "fewer": QUIET_FEWER,
            "limit": COMPLETED_AT_ONCE,
        },
    )
    for row in quiet:
        await _complete(conn, actor, at, row["id"])
    return len(quiet)


async def _complete(conn: Connection, actor: Actor, at: datetime, study_id: UUID) -> None:
    """Locked against instances on their way, whose foreign key holds the row; counted after that."""
    study = await db.one(conn, "SELECT * FROM dicom_study WHERE id = %s FOR UPDATE", (study_id,))
    count = await db.one(
        conn, "SELECT count(*) AS instances FROM dicom_instance WHERE dicom_study_id = %s", (study_id,)
    )
    await db.run(
        conn,
        "UPDATE dicom_study SET is_open = false, completed_at = %s, completed_instances = %s WHERE id = %s",
        (at, count["instances"], study_id),
    )
    await tell_complete(conn, at, study_id)
    await db.notify(conn, CHANNEL)
    await audit.record(
        conn, actor, at, "dicom.complete", "dicom-study", study_id, organisation_id=study["organisation_id"],
        instances=count["instances"], late=study["completed_at"] is not None,
    )  # fmt: skip


async def tell_complete(conn: Connection, at: datetime, study_id: UUID) -> None:
    """Tell reading of a complete study whose patient is known and that holds images; once for each completion."""
    study = await db.one(
        conn,
        """SELECT s.patient_id IS NOT NULL AND s.completed_at IS NOT NULL AND NOT s.is_open AND EXISTS (
               SELECT FROM dicom_instance i WHERE i.dicom_study_id = s.id AND NOT i.sop_class_uid = ANY(%s)) AS told,
             s.completed_instances FROM dicom_study s WHERE s.id = %s""",
        (sorted(uids.ECG_CLASSES), study_id),
    )
    if study["told"]:
        key = f"{study_id}:{study['completed_instances']}"
        await jobs.enqueue(conn, at, COMPLETE_JOB, key, {"dicom_study_id": str(study_id)})


async def remove_own_objects(conn: Connection, study_id: UUID) -> int:
    """What the hub has added to a study (reports, selections) goes, and what was marked on it; how many objects."""
    row = await db.one(conn, "SELECT hub_remove_own_objects(%s) AS removed", (study_id,))
    for series in await db.rows(
        conn, "SELECT id FROM dicom_series WHERE dicom_study_id = %s LIMIT 1", (study_id,)
    ):
        await summaries.refresh(conn, series["id"])
    return int(row["removed"])


async def studies(
    conn: Connection, actor: Actor, at: datetime, *, unresolved: bool = False, limit: int = 200
) -> list[Row]:
    """The newest studies the actor may see, with who sent the first image and whose they are."""
    await access.require(conn, actor, at, "dicom.read")
    return await db.rows(
        conn,
        f"""SELECT s.id, s.study_uid, s.organisation_id, s.patient_id, p.name AS patient_name, s.service_request_id,
             s.resolved_by, s.sent_patient_id, s.sent_issuer, s.sent_name, s.sent_birth_date, s.sent_sex, s.accession,
             s.description, s.study_date, s.identity_differs, s.first_at, s.completed_at, s.is_open,
             {senders.name_of("f.sent_by")} AS sender_name,
             (SELECT count(*) FROM dicom_instance i WHERE i.dicom_study_id = s.id) AS instances,
             (SELECT array_agg(DISTINCT e.modality) FROM dicom_series e WHERE e.dicom_study_id = s.id) AS modalities
           FROM dicom_study s LEFT JOIN patient p ON p.id = s.patient_id
           LEFT JOIN LATERAL (SELECT i.sent_by FROM dicom_instance i WHERE i.dicom_study_id = s.id
             ORDER BY i.received_at LIMIT 1) f ON true
           WHERE s.patient_id IS NULL OR NOT %(unresolved)s
           ORDER BY s.first_at DESC LIMIT %(limit)s""",
        {"unresolved": unresolved, "limit": limit},
    )
