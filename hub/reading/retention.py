"""What is removed of recordings and of what hangs on them. Always a whole recording, never a piece of its time.

A recording that belongs to a request, a study or an alarm is clinical data, and everything about it counts: the rule
looks at the newest of its dates. Values of patients go with the day they were measured, unless they were measured
around something that is kept. A DICOM study is clinical data, whether anybody has read it or not, and goes as a whole:
its objects and their files, marks, copies for screens, and what was read of it. A reading study whose images turned
out to be another patient's is bound to neither, and goes by its own dates.
"""

from datetime import datetime
from functools import partial
from typing import Final, LiteralString

from hub.core import db
from hub.core.db import Connection
from hub.core.retention import Due, Removed, Sweeper, Sweepers

VALUES_AT_ONCE: Final = 20_000
DAYS_LOOKED_AT: Final = 400  # of a dry run over values
COMMITMENTS_AT_ONCE: Final = 1_000

_BOUND: Final[LiteralString] = """(r.service_request_id IS NOT NULL
    OR EXISTS (SELECT FROM study s WHERE s.recording_id = r.id)
    OR EXISTS (SELECT FROM alarm a WHERE a.recording_id = r.id))"""
# The newest date of anything about a recording.
_NEWEST: Final[LiteralString] = """greatest(coalesce(r.ended_at, r.requested_at),
    (SELECT max(q.created_at) FROM service_request q WHERE q.id = r.service_request_id),
    (SELECT max(n.analysed_at) FROM analysis n WHERE n.recording_id = r.id),
    (SELECT max(coalesce(a.resolved_at, a.raised_at)) FROM alarm a WHERE a.recording_id = r.id),
    (SELECT max(greatest(t.created_at, t.completed_at)) FROM study s JOIN task t ON t.study_id = s.id
     WHERE s.recording_id = r.id),
    (SELECT max(f.signed_at) FROM study s JOIN report f ON f.study_id = s.id WHERE s.recording_id = r.id))"""
_OVER: Final[LiteralString] = "r.status IN ('ended', 'discarded')"
_DUE: Final[dict[str, LiteralString]] = {
    "study": f"{_OVER} AND {_BOUND} AND {_NEWEST} < %(before)s",
    "monitoring": f"{_OVER} AND NOT {_BOUND} AND {_NEWEST} < %(before)s",
}

# The newest date of anything about a DICOM study.
_IMAGES_NEWEST: Final[LiteralString] = """greatest(d.first_at, d.completed_at,
    (SELECT max(i.received_at) FROM dicom_instance i WHERE i.dicom_study_id = d.id),
    (SELECT max(n.changed_at) FROM image_annotation n WHERE n.dicom_study_id = d.id),
    (SELECT max(k.at) FROM key_image k WHERE k.dicom_study_id = d.id),
    (SELECT max(q.created_at) FROM service_request q WHERE q.id = d.service_request_id),
    (SELECT max(u.received_at) FROM upload u WHERE u.service_request_id = d.service_request_id),
    (SELECT max(greatest(t.created_at, t.completed_at)) FROM study s JOIN task t ON t.study_id = s.id
     WHERE s.dicom_study_id = d.id),
    (SELECT max(f.signed_at) FROM study s JOIN report f ON f.study_id = s.id WHERE s.dicom_study_id = d.id))"""
_IMAGES_DUE: Final[LiteralString] = f"d.first_at < %(before)s AND {_IMAGES_NEWEST} < %(before)s"

# The newest date of anything about a reading study that is bound to nothing.
_READING_DUE: Final[LiteralString] = """s.recording_id IS NULL AND s.dicom_study_id IS NULL
    AND s.created_at < %(before)s AND greatest(s.created_at,
    (SELECT max(q.created_at) FROM service_request q WHERE q.id = s.service_request_id),
    (SELECT max(u.received_at) FROM upload u WHERE u.service_request_id = s.service_request_id),
    (SELECT max(greatest(t.created_at, t.completed_at)) FROM task t WHERE t.study_id = s.id),
    (SELECT max(f.signed_at) FROM report f WHERE f.study_id = s.id)) < %(before)s"""


async def _due_recordings(rule: str, conn: Connection, before: datetime) -> Due:
    row = await db.one(
        conn,
        f"SELECT count(*) AS number, min(coalesce(r.ended_at, r.requested_at)) AS oldest FROM recording r"
        f" WHERE {_DUE[rule]}",
        {"before": before},
    )
    return Due(row["number"], row["oldest"])


async def _remove_recording(rule: str, conn: Connection, before: datetime) -> Removed:
    """The oldest that is due; its row is held, so that nothing can be bound to it meanwhile."""
    found = await db.maybe(
        conn,
        f"SELECT r.id, r.service_request_id FROM recording r WHERE {_DUE[rule]}"
        " ORDER BY coalesce(r.ended_at, r.requested_at) LIMIT 1 FOR UPDATE SKIP LOCKED",
        {"before": before},
    )
    if found is None or not await _still_due(rule, conn, before, found):
        return Removed(0)
    files = await db.rows(conn, "SELECT * FROM hub_remove_recording(%s) AS sha256", (found["id"],))
    if found["service_request_id"] is not None:
        await db.run(conn, "SELECT hub_remove_request(%s, %s)", (found["service_request_id"], before))
    return Removed(1, [str(found["id"])], [row["sha256"] for row in files], more=True)


async def _still_due(rule: str, conn: Connection, before: datetime, found: db.Row) -> bool:
    """Asked again now that the row is held: something may have been bound to it while we waited."""
    query = f"SELECT FROM recording r WHERE r.id = %(id)s AND {_DUE[rule]}"
    return await db.maybe(conn, query, {"id": found["id"], "before": before}) is not None


async def _due_images(conn: Connection, before: datetime) -> Due:
    row = await db.one(
        conn,
        f"SELECT count(*) AS number, min(d.first_at) AS oldest FROM dicom_study d WHERE {_IMAGES_DUE}",
        {"before": before},
    )
    return Due(row["number"], row["oldest"])


async def _remove_images(conn: Connection, before: datetime) -> Removed:
    """The oldest that is due; its row is held, so that no instance can join it meanwhile."""
    found = await db.maybe(
        conn,
        f"SELECT d.id, d.service_request_id FROM dicom_study d WHERE {_IMAGES_DUE}"
        " ORDER BY d.first_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        {"before": before},
    )
    if found is None:
        return Removed(0)
    again = f"SELECT FROM dicom_study d WHERE d.id = %(id)s AND {_IMAGES_DUE}"  # something may have come meanwhile
    if await db.maybe(conn, again, {"id": found["id"], "before": before}) is None:
        return Removed(0)
    files = await db.rows(conn, "SELECT * FROM hub_remove_images(%s) AS sha256", (found["id"],))
    if found["service_request_id"] is not None:
        await db.run(conn, "SELECT hub_remove_request(%s, %s)", (found["service_request_id"], before))
    return Removed(1, [str(found["id"])], [row["sha256"] for row in files], more=True)


async def _due_readings(conn: Connection, before: datetime) -> Due:
    row = await db.one(
        conn,
        f"SELECT count(*) AS number, min(s.created_at) AS oldest FROM study s WHERE {_READING_DUE}",
        {"before": before},
    )
    return Due(row["number"], row["oldest"])


async def _remove_reading(conn: Connection, before: datetime) -> Removed:
    """The oldest that is due; nothing is added to it any more, as its task is over or has no images to read."""
    found = await db.maybe(
        conn,
        f"SELECT s.id, s.service_request_id FROM study s WHERE {_READING_DUE}"
        " ORDER BY s.created_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        {"before": before},
    )
    if found is None:
        return Removed(0)
    files = await db.rows(conn, "SELECT * FROM hub_remove_reading(%s) AS sha256", (found["id"],))
    if found["service_request_id"] is not None:
        await db.run(conn, "SELECT hub_remove_request(%s, %s)", (found["service_request_id"], before))
    return Removed(1, [str(found["id"])], [row["sha256"] for row in files], more=True)


async def _due_commitments(conn: Connection, before: datetime) -> Due:
    row = await db.one(
        conn,
        "SELECT count(*) AS number, min(asked_at) AS oldest FROM dicom_commitment WHERE asked_at < %s",
        (before,),
    )
    return Due(row["number"], row["oldest"])


async def _remove_commitments(conn: Connection, before: datetime) -> Removed:
    """Whether the node was told or not: the hub tries for a day."""
    gone = await db.run(
        conn,
        "DELETE FROM dicom_commitment WHERE id IN"
        " (SELECT id FROM dicom_commitment WHERE asked_at < %s ORDER BY asked_at LIMIT %s)",
        (before, COMMITMENTS_AT_ONCE),
    )
    return Removed(gone, more=gone == COMMITMENTS_AT_ONCE)


async def _due_values(rule: str, conn: Connection, before: datetime) -> Due:
    row = await db.one(conn, "SELECT * FROM hub_due_values(%s, %s, %s)", (rule, before, DAYS_LOOKED_AT))
    return Due(row["number"], row["oldest_at"])


async def _remove_values(rule: str, conn: Connection, before: datetime) -> Removed:
    row = await db.one(conn, "SELECT hub_remove_values(%s, %s, %s) AS gone", (rule, before, VALUES_AT_ONCE))
    return Removed(row["gone"] or 0, more=row["gone"] is not None)


def _sweepers(rule: str) -> tuple[Sweeper, ...]:
    return (
        Sweeper("recording", partial(_due_recordings, rule), partial(_remove_recording, rule)),
        Sweeper("vital-signs", partial(_due_values, rule), partial(_remove_values, rule)),
    )


_IMAGES: Final = Sweeper("dicom-study", _due_images, _remove_images)
_READINGS: Final = Sweeper("study", _due_readings, _remove_reading)
RETENTION: Final[Sweepers] = {
    "study": (*_sweepers("study"), _IMAGES, _READINGS),
    "log": (Sweeper("dicom-commitment", _due_commitments, _remove_commitments),),
    "monitoring": _sweepers("monitoring"),
}
