"""Whose images these are: a sender's patient and accession numbers held against our patients and requests.

By itself only what is certain: our own accession number, the study UID of our worklist, or an issuer's patient id that
a person has assigned before; never against birth date or sex, never when instances of one study name several patients.
Everything else waits for a person, who sees candidates, decides, and can take it back.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from dicom import uids
from hub.core import db, errors, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.imaging.index import dicom_studies, worklist_uids
from hub.people import access, audit

ECG_JOB: Final = "intake.ecg"
TAKEN_BACK_JOB: Final = "dicom.taken-back"
CANDIDATES: Final = 20
IDENTITIES: Final = 10
REASON_CHARS: Final = 500
_SEXES: Final = {"M": "male", "F": "female"}  # PS3.3 C.7.1.1; anything else says nothing

# A request of the sender's clinic or one below it, or of one that has an agreement with the sender for images.
_REACHED: Final = """(
    EXISTS (SELECT FROM organisation_closure c WHERE c.ancestor = %(organisation)s AND c.descendant = q.organisation_id)
    OR EXISTS (SELECT FROM agreement g JOIN organisation_closure c ON c.ancestor = g.from_organisation_id
        WHERE c.descendant = q.organisation_id AND g.to_organisation_id = %(organisation)s AND g.study_kind = 'imaging'
          AND g.valid_from <= %(at)s AND (g.valid_until IS NULL OR g.valid_until > %(at)s)))"""
_OPEN: Final = "q.status IN ('active', 'on-hold') AND q.kind <> 'consultation'"


async def resolve(conn: Connection, actor: Actor, at: datetime, study_id: UUID) -> bool:
    """Give a study its patient, if that is certain (job); whether it has one now."""
    study = await db.one(conn, "SELECT * FROM dicom_study WHERE id = %s FOR UPDATE", (study_id,))
    if study["patient_id"] is None and not study["identity_differs"]:
        ways = (("accession", _by_accession), ("worklist", _by_study_uid), ("identifier", _by_identifier))
        for how, find in ways:
            found = await find(conn, at, study)
            if found is not None and _agrees(study, found):
                await _set(conn, study_id, found["patient_id"], found["request_id"], how)
                await audit.record(
                    conn, actor, at, "dicom.assign", "dicom-study", study_id,
                    patient_id=found["patient_id"], how=how,
                )  # fmt: skip
                await dicom_studies.tell_complete(conn, at, study_id)
                break
    await queue_ecg(conn, at, study_id)
    row = await db.one(
        conn, "SELECT patient_id IS NOT NULL AS known FROM dicom_study WHERE id = %s", (study_id,)
    )
    return bool(row["known"])


async def _by_accession(conn: Connection, at: datetime, study: Row) -> Row | None:
    if not study["accession"]:
        return None
    return await db.maybe(
        conn,
        f"""SELECT q.id AS request_id, p.id AS patient_id, p.birth_date, p.sex
            FROM service_request q JOIN patient p ON p.id = q.patient_id
            WHERE q.accession = %(accession)s AND {_OPEN} AND {_REACHED}""",
        {"accession": study["accession"], "organisation": study["organisation_id"], "at": at},
    )


async def _by_study_uid(conn: Connection, at: datetime, study: Row) -> Row | None:
    """The UID our worklist gave: a machine that lost the accession number may have kept it."""
    request_id = worklist_uids.request_of(study["study_uid"])
    if request_id is None:
        return None
    return await db.maybe(
        conn,
        f"""SELECT q.id AS request_id, p.id AS patient_id, p.birth_date, p.sex
            FROM service_request q JOIN patient p ON p.id = q.patient_id
            WHERE q.id = %(request)s AND {_OPEN} AND {_REACHED}""",
        {"request": request_id, "organisation": study["organisation_id"], "at": at},
    )


async def _by_identifier(conn: Connection, at: datetime, study: Row) -> Row | None:
    """The patient, and the request if exactly one of images is open."""
    if not study["sent_patient_id"]:
        return None
    return await db.maybe(
        conn,
        f"""SELECT p.id AS patient_id, p.birth_date, p.sex, CASE WHEN count(q.id) = 1 THEN min(q.id::text)::uuid END
              AS request_id
            FROM patient_identifier i JOIN patient p ON p.id = i.patient_id
            LEFT JOIN service_request q ON q.patient_id = p.id AND q.kind = 'imaging' AND {_OPEN} AND {_REACHED}
            WHERE i.organisation_id = %(organisation)s AND i.issuer = %(issuer)s AND i.value = %(value)s
            GROUP BY p.id""",
        {
            "organisation": study["organisation_id"],
            "issuer": study["sent_issuer"],
            "value": study["sent_patient_id"],
            "at": at,
        },
    )


def _agrees(study: Row, patient: Row) -> bool:
    """Whether nothing that was sent speaks against this patient."""
    born, sex = study["sent_birth_date"], _SEXES.get(study["sent_sex"])
    if born and born != patient["birth_date"].strftime("%Y%m%d"):
        return False
    return sex is None or patient["sex"] not in _SEXES.values() or sex == patient["sex"]


async def _set(
    conn: Connection, study_id: UUID, patient_id: UUID | None, request_id: UUID | None, how: str | None
) -> None:
    await db.run(
        conn,
        "UPDATE dicom_study SET patient_id = %s, service_request_id = %s, resolved_by = %s WHERE id = %s",
        (patient_id, request_id, how, study_id),
    )
    await db.notify(conn, dicom_studies.CHANNEL)


async def assign_study(
    conn: Connection,
    actor: Actor,
    at: datetime,
    study_id: UUID,
    patient_id: UUID,
    request_id: UUID | None,
    remember: bool = False,
) -> None:
    """A person says whose a study is; `remember`: the sender's patient id means this patient from now on."""
    study = await db.one(conn, "SELECT * FROM dicom_study WHERE id = %s FOR UPDATE", (study_id,))
    await access.require(conn, actor, at, "dicom.assign", organisation_id=study["organisation_id"])
    await access.require(conn, actor, at, "dicom.assign", patient_id=patient_id)
    if study["patient_id"] is not None:
        raise errors.error("conflict")
    if request_id is not None:
        asked = await db.one(conn, "SELECT patient_id FROM service_request WHERE id = %s", (request_id,))
        if asked["patient_id"] != patient_id:
            raise errors.error("bad_field", field="request_id", expected="a request of this patient")
    await _set(conn, study_id, patient_id, request_id, "person")
    if remember and study["sent_patient_id"]:
        await _remember(conn, actor, at, study, patient_id)
    await audit.record(
        conn, actor, at, "dicom.assign", "dicom-study", study_id, patient_id=patient_id, how="person",
        remembered=remember, identity_differs=study["identity_differs"],
    )  # fmt: skip
    await dicom_studies.tell_complete(conn, at, study_id)
    await queue_ecg(conn, at, study_id)


async def _remember(conn: Connection, actor: Actor, at: datetime, study: Row, patient_id: UUID) -> None:
    await db.run(
        conn,
        """INSERT INTO patient_identifier (organisation_id, issuer, value, patient_id, assigned_by, assigned_at)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (organisation_id, issuer, value)
           DO UPDATE SET patient_id = excluded.patient_id, assigned_by = excluded.assigned_by,
             assigned_at = excluded.assigned_at""",
        (
            study["organisation_id"],
            study["sent_issuer"],
            study["sent_patient_id"],
            patient_id,
            actor.account_id,
            at,
        ),
    )


async def unassign_study(conn: Connection, actor: Actor, at: datetime, study_id: UUID, reason: str) -> None:
    """Take an assignment back, and what was remembered of it; reading is told, so that nobody goes on reading."""
    study = await db.one(conn, "SELECT * FROM dicom_study WHERE id = %s FOR UPDATE", (study_id,))
    await access.require(conn, actor, at, "dicom.assign", organisation_id=study["organisation_id"])
    patient_id = study["patient_id"]
    if patient_id is None:
        raise errors.error("conflict")
    await access.require(conn, actor, at, "dicom.assign", patient_id=patient_id)
    await db.run(
        conn,
        """DELETE FROM patient_identifier WHERE organisation_id = %s AND issuer = %s AND value = %s
             AND patient_id = %s""",
        (study["organisation_id"], study["sent_issuer"], study["sent_patient_id"], patient_id),
    )
    told = await _told_of_reports(conn, study_id)
    removed = await dicom_studies.remove_own_objects(conn, study_id)
    await _set(conn, study_id, None, None, None)
    await audit.record(
        conn, actor, at, "dicom.unassign", "dicom-study", study_id, patient_id=patient_id,
        reason=reason[:REASON_CHARS], objects_removed=removed, nodes_that_have_them=told,
    )  # fmt: skip
    payload = {"dicom_study_id": str(study_id), "patient_id": str(patient_id)}
    await jobs.enqueue(conn, at, TAKEN_BACK_JOB, f"{study_id}:{at.isoformat()}", payload)


async def _told_of_reports(conn: Connection, study_id: UUID) -> str:
    """Nodes that were sent a report of a study: somebody must tell them that it was taken back."""
    found = await db.rows(
        conn,
        """SELECT DISTINCT n.name FROM dicom_forward f JOIN dicom_node n ON n.id = f.dicom_node_id
           JOIN dicom_forwarded d ON d.dicom_forward_id = f.id JOIN dicom_instance i ON i.id = d.dicom_instance_id
           WHERE f.dicom_study_id = %s AND i.sent_by = 'hub' ORDER BY n.name""",
        (study_id,),
    )
    return ", ".join(row["name"] for row in found)


async def candidates(conn: Connection, actor: Actor, at: datetime, study_id: UUID) -> dict[str, Any]:
    """Patients the actor reaches whom the study may be of, best first, each with open requests; and whom it names."""
    study = await db.one(conn, "SELECT * FROM dicom_study WHERE id = %s", (study_id,))
    await access.require(conn, actor, at, "dicom.assign", organisation_id=study["organisation_id"])
    found = await db.rows(
        conn,
        """SELECT p.id, p.name, p.sex, p.birth_date,
             coalesce(q.accession = nullif(%(accession)s, ''), false) AS same_accession,
             p.birth_date = to_date(nullif(%(born)s, ''), 'YYYYMMDD') AS same_birth_date,
             p.name = ANY(%(names)s) OR strpos(%(sent)s, p.name) > 0 AS same_name,
             q.id AS request_id, q.kind, q.modality, q.question, q.created_at
           FROM patient p LEFT JOIN service_request q ON q.patient_id = p.id AND q.status IN ('active', 'on-hold')
             AND q.kind <> 'consultation'
           WHERE q.accession = nullif(%(accession)s, '') OR p.birth_date = to_date(nullif(%(born)s, ''), 'YYYYMMDD')
             OR p.name = ANY(%(names)s) OR strpos(%(sent)s, p.name) > 0
           ORDER BY same_accession DESC, same_birth_date DESC NULLS LAST, same_name DESC, q.created_at DESC NULLS LAST
           LIMIT %(limit)s""",
        {
            "accession": study["accession"],
            "born": study["sent_birth_date"] if _is_date(study["sent_birth_date"]) else "",
            "names": _names(study["sent_name"]),
            "sent": study["sent_name"],
            "limit": CANDIDATES,
        },
    )
    await audit.record(
        conn, actor, at, "dicom.candidates", "dicom-study", study_id, organisation_id=study["organisation_id"],
        found=len(found),
    )  # fmt: skip
    return {"candidates": found, "identities": await _identities(conn, study_id)}


def _names(sent: str) -> list[str]:
    """As our names are written, of each group of a PN (PS3.5 6.2.1.1: alphabetic, ideographic, phonetic)."""
    return [name for group in sent.split("=") if (name := group.replace("^", "").replace(" ", ""))]


async def _identities(conn: Connection, study_id: UUID) -> list[Row]:
    """Whom the instances themselves name, the most frequent first: several, where `identity_differs`."""
    return await db.rows(
        conn,
        """SELECT coalesce(m.document #>> '{00100020,Value,0}', '') AS patient_id,
             coalesce(m.document #>> '{00100010,Value,0,Ideographic}', m.document #>> '{00100010,Value,0,Alphabetic}',
               '') AS name,
             coalesce(m.document #>> '{00100030,Value,0}', '') AS birth_date,
             coalesce(m.document #>> '{00100040,Value,0}', '') AS sex, count(*) AS instances
           FROM dicom_metadata m JOIN dicom_instance i ON i.id = m.dicom_instance_id
           WHERE i.dicom_study_id = %s GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1 LIMIT %s""",
        (study_id, IDENTITIES),
    )


def _is_date(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007  a date, no instant
    except ValueError:
        return False
    return True


async def queue_ecg(conn: Connection, at: datetime, study_id: UUID) -> None:
    """ECG objects of a study whose request is known become recordings that are read; the same one twice is one."""
    found = await db.rows(
        conn,
        """SELECT i.file_sha256, i.sop_uid, s.service_request_id FROM dicom_instance i
           JOIN dicom_study s ON s.id = i.dicom_study_id
           WHERE s.id = %s AND s.service_request_id IS NOT NULL AND i.sop_class_uid = ANY(%s)""",
        (study_id, sorted(uids.ECG_CLASSES)),
    )
    for row in found:
        request_id = str(row["service_request_id"])
        payload = {"sha256": row["file_sha256"], "service_request_id": request_id, "account_id": None}
        payload["file_name"] = f"{row['sop_uid']}.dcm"
        await jobs.enqueue(conn, at, ECG_JOB, f"{row['file_sha256']}:{request_id}", payload)
