"""Reading studies: made when a recording ends, followed at the clinic's desk by honest states (DESIGN.md
section 8).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hub.core import ids, jobs
from hub.core.actor import Actor
from hub.core.db import Connection, Row, maybe, notify, one, rows, run
from hub.people import access, audit, grants
from hub.reading.forwarding import forward_study
from hub.reading.routing import route_study
from hub.reading.tasks import GRANT_SOURCE

LIST_MAX = 500
LATE_WORDS = {
    "zh-CN": "报告签发后又收到数据，需复核",
    "en": "Data came in after the report was signed: review it",
}
LATE_FOR = timedelta(days=30)  # how long after its end a recording may still get samples
LATE_PAUSE = timedelta(minutes=1)  # doubles with each version, for a device that goes on sending for hours
LATE_PAUSE_MAX = timedelta(minutes=30)


async def make_study(conn: Connection, actor: Actor, at: datetime, recording_id: UUID) -> UUID | None:
    """The study of an ended recording and the job that analyses it; however often it is asked, one study.

    A discarded recording, one nobody asked to have read, or one that ended without a sample makes none.
    """
    recording = await one(conn, "SELECT * FROM recording WHERE id = %s", (recording_id,))
    no_reading = recording["started_at"] is None or recording["service_request_id"] is None
    if recording["status"] != "ended" or no_reading:
        return None
    await run(
        conn,
        "INSERT INTO study (id, kind, patient_id, organisation_id, service_request_id, recording_id,"
        " created_at) SELECT %s, CASE WHEN q.kind = 'ecg-12-lead' THEN q.kind ELSE 'holter' END, r.patient_id,"
        " r.organisation_id, r.service_request_id, r.id, %s FROM recording r JOIN service_request q"
        " ON q.id = r.service_request_id WHERE r.id = %s ON CONFLICT (recording_id) DO NOTHING",
        (ids.new(at), at, recording_id),
    )
    study = await one(conn, "SELECT id FROM study WHERE recording_id = %s", (recording_id,))
    have = await one(
        conn,
        "SELECT coalesce(sum(upper(r) - lower(r)), 0) AS samples"
        " FROM recording_boots(%s) b, unnest(b.have) r",
        (recording_id,),
    )
    if await _read_again(conn, study["id"]):
        await route_study(conn, actor, at, study["id"])
    # The key holds how much was there, so that samples that come during an analysis queue the next one.
    key = f"{study['id']}:{have['samples']}"
    await jobs.enqueue(conn, at, "reading.analyse", key, {"study_id": str(study["id"])})
    await notify(conn, "hub_recording", recording_id=str(recording_id))
    await audit.record(
        conn, actor, at, "study.create", "study", study["id"],
        organisation_id=recording["organisation_id"], patient_id=recording["patient_id"],
    )  # fmt: skip
    return UUID(str(study["id"]))


async def _read_again(conn: Connection, study_id: UUID) -> bool:
    """Whether it was taken back once and has come back: its analysis is there already."""
    row = await one(
        conn,
        "SELECT EXISTS (SELECT FROM task WHERE study_id = %(id)s) AND NOT EXISTS (SELECT FROM task"
        "  WHERE study_id = %(id)s AND status <> 'cancelled') AS again",
        {"id": study_id},
    )
    return bool(row["again"])


async def make_imaging_study(conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID) -> None:
    """The study of a complete DICOM study, in a reader's queue; images that come later ask for a second look."""
    images = await one(conn, "SELECT * FROM dicom_study WHERE id = %s", (dicom_study_id,))
    if images["patient_id"] is None:
        return  # taken back meanwhile; it is told again when a person has decided whose it is
    other = await maybe(
        conn,
        "SELECT patient_id FROM study WHERE dicom_study_id = %s AND patient_id <> %s",
        (dicom_study_id, images["patient_id"]),
    )
    if other is not None:  # decided anew before the first decision was told to have been taken back
        await take_back(conn, actor, at, dicom_study_id, other["patient_id"])
    made = await run(
        conn,
        "INSERT INTO study (id, kind, patient_id, organisation_id, service_request_id, dicom_study_id, created_at)"
        " SELECT %s, 'imaging', d.patient_id, d.organisation_id, d.service_request_id, d.id, %s"
        " FROM dicom_study d WHERE d.id = %s ON CONFLICT (dicom_study_id) DO NOTHING",
        (ids.new(at), at, dicom_study_id),
    )
    study = await one(conn, "SELECT id FROM study WHERE dicom_study_id = %s", (dicom_study_id,))
    await ask_reader(conn, actor, at, study["id"])
    await forward_study(conn, at, study["id"])
    if made:
        await audit.record(
            conn, actor, at, "study.create", "study", study["id"],
            organisation_id=images["organisation_id"], patient_id=images["patient_id"],
        )  # fmt: skip


async def take_back(
    conn: Connection, actor: Actor, at: datetime, dicom_study_id: UUID, patient_id: UUID
) -> int:
    """What was sent was not this patient's: nobody goes on reading it as such; how many studies that were.

    Images may become another patient's study; an ECG's recording is kept, unread. What was signed stays signed: its
    reader must withdraw it.
    """
    found = await rows(
        conn,
        "SELECT s.id, s.organisation_id, s.recording_id FROM study s LEFT JOIN recording r ON r.id = s.recording_id"
        " WHERE s.patient_id = %s AND (s.dicom_study_id = %s OR r.file_sha256 IN"
        "  (SELECT file_sha256 FROM dicom_instance WHERE dicom_study_id = %s))",
        (patient_id, dicom_study_id, dicom_study_id),
    )
    for study in found:
        ended = await rows(
            conn,
            "UPDATE task SET status = 'cancelled', claimed_by = NULL, lease_until = NULL, completed_at = %s"
            " WHERE study_id = %s AND status IN ('requested', 'accepted', 'in-progress', 'on-hold') RETURNING id",
            (at, study["id"]),
        )
        for task in ended:
            await grants.revoke(conn, at, GRANT_SOURCE, task["id"])
            await notify(conn, "hub_task", task_id=str(task["id"]))
        await run(conn, "UPDATE study SET dicom_study_id = NULL WHERE id = %s", (study["id"],))
        await run(
            conn,
            "UPDATE recording SET status = 'discarded', end_reason = 'taken-back' WHERE id = %s",
            (study["recording_id"],),
        )
        await audit.record(
            conn, actor, at, "study.take-back", "study", study["id"],
            organisation_id=study["organisation_id"], patient_id=patient_id, tasks=len(ended),
        )  # fmt: skip
    return len(found)


async def ask_reader(conn: Connection, actor: Actor, at: datetime, study_id: UUID) -> None:
    """A task for what came first; for what came later a new task if the study was already signed."""
    signed = await maybe(
        conn, "SELECT status FROM report WHERE study_id = %s ORDER BY version DESC LIMIT 1", (study_id,)
    )
    if signed is None or signed["status"] != "entered-in-error":
        await route_study(conn, actor, at, study_id, extra=[LATE_WORDS] if signed else [])


async def queue_late(conn: Connection, at: datetime) -> int:
    """Analyse anew what got samples after its analysis (timer); not at once, since more of them may follow."""
    late = await rows(
        conn,
        "SELECT s.id, a.version FROM study s JOIN recording r ON r.id = s.recording_id AND r.ended_at > %s"
        " JOIN LATERAL (SELECT a.version, (a.completeness ->> 'stored')::bigint AS stored FROM analysis a"
        "   WHERE a.recording_id = r.id ORDER BY a.version DESC LIMIT 1) a ON true"
        " WHERE a.stored <> (SELECT coalesce(sum(upper(x) - lower(x)), 0)"
        "   FROM recording_boots(r.id) b, unnest(b.have) x) LIMIT 50",
        (at - LATE_FOR,),
    )
    for study in late:
        payload = {"study_id": str(study["id"])}
        pause = min(LATE_PAUSE * 2 ** min(study["version"] - 1, 10), LATE_PAUSE_MAX)
        await jobs.enqueue(conn, at, "reading.analyse", f"{study['id']}:late", payload, at + pause)
    return len(late)


# One line per request: its latest recording that was not discarded, that one's study, task, newest
# report, delivery.
_DESK = """
    SELECT q.id AS request_id, q.status AS request_status, q.created_at, q.kind,
        p.id AS patient_id, p.name AS patient_name,
        o.id AS organisation_id, o.name AS organisation_name, o.name_en AS organisation_name_en,
        r.id AS recording_id, r.status AS recording_status, r.requested_at, r.started_at,
        r.stop_requested_at, r.ended_at, u.sending_at, u.received_at, u.set_aside_at, u.files, u.sent_bytes,
        u.all_bytes, s.id AS study_id, s.created_at AS study_at,
        c.id AS centre_id, c.name AS centre_name, c.name_en AS centre_name_en,
        t.status AS task_status, coalesce(t.priority, q.priority) AS priority, t.created_at AS task_at, t.hold_reason,
        t.lease_until, (SELECT max(j.failed_at) FROM job j WHERE j.failed_at IS NOT NULL
            AND (j.kind = 'reading.analyse' AND j.payload ->> 'study_id' = s.id::text
                 OR j.kind IN ('reading.pdf', 'reading.deliver')
                    AND j.payload ->> 'report_id' = f.id::text)) AS failed_at,
        f.id AS report_id, f.version AS report_version, f.status AS report_status, f.signed_at,
        a.name AS signed_by_name, d.delivered_at, d.opened_at
    FROM service_request q
    JOIN patient p ON p.id = q.patient_id
    JOIN organisation o ON o.id = q.organisation_id
    LEFT JOIN LATERAL (SELECT * FROM recording r WHERE r.service_request_id = q.id AND r.status <> 'discarded'
        ORDER BY r.requested_at DESC LIMIT 1) r ON true
    LEFT JOIN LATERAL (SELECT * FROM study s WHERE s.recording_id = r.id OR s.service_request_id = q.id
        AND s.dicom_study_id IS NOT NULL ORDER BY s.created_at DESC LIMIT 1) s ON true
    LEFT JOIN LATERAL (SELECT min(u.created_at) AS since_at, sum(u.offset_bytes) AS sent_bytes,
            sum(u.size_bytes) AS all_bytes, count(*) AS files,
            max(u.created_at) FILTER (WHERE u.state = 'receiving') AS sending_at,
            max(u.received_at) FILTER (WHERE u.state IN ('received', 'taken-in')) AS received_at,
            max(u.settled_at) FILTER (WHERE u.state = 'set-aside') AS set_aside_at
        FROM upload u WHERE u.service_request_id = q.id AND u.state <> 'expired') u ON true
    LEFT JOIN organisation c ON c.id = s.reading_organisation_id
    LEFT JOIN LATERAL (SELECT * FROM task t WHERE t.study_id = s.id
        ORDER BY t.created_at DESC LIMIT 1) t ON true
    LEFT JOIN LATERAL (SELECT * FROM report f WHERE f.study_id = s.id
        ORDER BY f.version DESC LIMIT 1) f ON true
    LEFT JOIN account a ON a.id = f.signed_by
    LEFT JOIN report_delivery d ON d.report_id = f.id AND d.recipient_kind = 'organisation'
        AND d.recipient_id = q.organisation_id
    WHERE q.kind IN ('holter', 'ecg-12-lead', 'imaging') AND q.organisation_id IN (SELECT hub_care_organisations())
    ORDER BY q.created_at DESC LIMIT %s
"""


async def list_studies(
    conn: Connection, actor: Actor, at: datetime, word: str | None = None
) -> list[dict[str, Any]]:
    """The desk: every request and how far it has come; `word` keeps one state only."""
    await access.require(conn, actor, at, "study.list")
    lines = [desk_view(row, at) for row in await rows(conn, _DESK, (LIST_MAX,))]
    return [line for line in lines if word is None or line["state"]["word"] == word]


def _claimed(row: Row, at: datetime) -> bool:
    return bool(row["task_status"] == "in-progress" and row["lease_until"] > at)


# The first row that holds is the state: its word, when it holds, and the column with the instant it began.
# "report-back" only once the clinic has it: signed but not yet delivered is still "being-read".
STATES: tuple[tuple[str, Callable[[Row, datetime], bool], str], ...] = (
    ("failed", lambda r, at: r["failed_at"] is not None, "failed_at"),
    ("withdrawn", lambda r, at: r["report_status"] == "entered-in-error", "signed_at"),
    ("withdrawn", lambda r, at: r["request_status"] == "revoked", "created_at"),
    ("opened", lambda r, at: r["opened_at"] is not None, "opened_at"),
    ("report-back", lambda r, at: r["delivered_at"] is not None, "delivered_at"),
    ("being-read", lambda r, at: r["report_id"] is not None, "signed_at"),
    ("being-read", _claimed, "task_at"),
    ("on-hold", lambda r, at: r["task_status"] == "on-hold", "task_at"),
    ("in-queue", lambda r, at: r["task_status"] is not None, "task_at"),
    ("analysing", lambda r, at: r["study_id"] is not None, "study_at"),
    ("analysing", lambda r, at: r["recording_status"] == "ended" and r["started_at"] is not None, "ended_at"),
    ("failed", lambda r, at: r["recording_status"] == "ended", "ended_at"),
    ("ending", lambda r, at: r["recording_status"] == "stopping", "stop_requested_at"),
    ("recording", lambda r, at: r["recording_status"] == "recording", "started_at"),
    ("sending", lambda r, at: r["sending_at"] is not None, "sending_at"),
    ("received", lambda r, at: r["received_at"] is not None, "received_at"),
    ("set-aside", lambda r, at: r["set_aside_at"] is not None, "set_aside_at"),
    ("requested", lambda r, at: True, "created_at"),
)  # fmt: skip


def desk_view(row: Row, at: datetime) -> dict[str, Any]:
    """One line of the desk."""
    word, since = next((word, since) for word, holds, since in STATES if holds(row, at))
    report = {
        "id": row["report_id"], "version": row["report_version"], "status": row["report_status"],
        "signed_at": row["signed_at"], "signed_by_name": row["signed_by_name"],
        "delivered_at": row["delivered_at"], "opened_at": row["opened_at"],
    }  # fmt: skip
    return {
        "id": row["study_id"] or row["request_id"],
        "kind": row["kind"],
        "patient": {"id": row["patient_id"], "name": row["patient_name"]},
        "organisation": _organisation(row, "organisation"),
        "reading_organisation": _organisation(row, "centre") if row["centre_id"] else None,
        "created_at": row["created_at"],
        "state": {
            "word": word,
            "at": row[since],
            "reason": row["hold_reason"] if word == "on-hold" else None,
        },
        "priority": row["priority"],
        "report": report if row["report_id"] else None,
        "recording_id": row["recording_id"],
        "sent": _sent(row),
        "request_id": row["request_id"],
    }


def _sent(row: Row) -> dict[str, int] | None:
    """How much of the files of a request is safe here; None if none was begun."""
    if not row["files"]:
        return None
    return {name: int(row[name]) for name in ("files", "sent_bytes", "all_bytes")}


def _organisation(row: Row, prefix: str) -> dict[str, Any]:
    return {
        "id": row[f"{prefix}_id"],
        "name": row[f"{prefix}_name"],
        "name_en": row[f"{prefix}_name_en"],
    }


async def study_of_recording(conn: Connection, recording_id: UUID) -> Row | None:
    """The reading study of a recording, if it has one."""
    return await maybe(conn, "SELECT * FROM study WHERE recording_id = %s", (recording_id,))
