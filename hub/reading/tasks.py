"""The reading queue: a task is claimed by one reader at a time, under a lease the page keeps alive
(DESIGN.md section 8).

The claim opens the patient to the claimer by a grant written in the same transaction; release, the
lease's end and the signature take it away again. A lease that has run out frees the task by itself: the
grant ends at that instant, and the sweep only tidies up.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hub.core import errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row, maybe, notify, one, rows, run
from hub.people import access, audit, grants

LEASE = timedelta(minutes=5)
QUEUE_MAX = 500  # rows a page is shown; the most urgent come first
GRANT_SOURCE = "task"
GRANTED_ACTION = "patient.read"

_WHERE: dict[str, str] = {
    "open": "t.status IN ('requested', 'in-progress')",
    "mine": "t.status = 'in-progress' AND t.claimed_by = hub_account() AND t.lease_until > hub_at()",
    "done": "t.status = 'completed'",
}
VIEWS = tuple(_WHERE)
_ORDER: dict[str, str] = {
    "open": "array_position(ARRAY['stat', 'urgent', 'asap', 'routine'], t.priority), t.due_at, t.id",
    "mine": "t.due_at, t.id",
    "done": "t.completed_at DESC, t.id",
}
_TASK = """
    SELECT t.*, o.name AS from_name, o.name_en AS from_name_en, a.name AS claimed_name, s.recording_id,
        s.dicom_study_id
    FROM task t JOIN study s ON s.id = t.study_id JOIN organisation o ON o.id = t.from_organisation_id
    LEFT JOIN account a ON a.id = t.claimed_by
"""


async def list_tasks(conn: Connection, actor: Actor, at: datetime, view: str) -> list[Row]:
    """The queue of the reading centres the actor reads for: by priority, then by the time they are due."""
    await access.require(conn, actor, at, "task.list")
    return await rows(
        conn,
        f"{_TASK} WHERE {_WHERE[view]} AND t.organisation_id IN (SELECT hub_reading_organisations())"
        f" ORDER BY {_ORDER[view]} LIMIT {QUEUE_MAX}",
    )


async def read_task(conn: Connection, task_id: UUID) -> Row:
    """One task with the names a page shows; `not_found` if it is none of the actor's centres'."""
    return await one(conn, f"{_TASK} WHERE t.id = %s", (task_id,))


async def claim_task(conn: Connection, actor: Actor, at: datetime, task_id: UUID) -> Row:
    """Take a task for five minutes. Of two who ask at once one gets it; asking again for one's own renews
    it.
    """
    task = await read_task(conn, task_id)
    await access.require(conn, actor, at, "task.claim", organisation_id=task["organisation_id"])
    taken = await maybe(
        conn,
        "UPDATE task SET status = 'in-progress', claimed_by = %(me)s, lease_until = %(until)s"
        " WHERE id = %(id)s AND (status = 'requested'"
        " OR status = 'in-progress' AND (claimed_by = %(me)s OR lease_until <= %(at)s))"
        " RETURNING patient_id",
        {"me": actor.account_id, "until": at + LEASE, "id": task_id, "at": at},
    )
    if taken is None:
        raise await _why_not(conn, task_id)
    await grants.revoke(conn, at, GRANT_SOURCE, task_id)  # of an earlier claim that ran out
    await _open_patient(conn, actor, at, task_id, taken["patient_id"])
    await notify(conn, "hub_task", task_id=str(task_id))
    await _record(conn, actor, at, "task.claim", task)
    return await read_task(conn, task_id)


async def _open_patient(
    conn: Connection, actor: Actor, at: datetime, task_id: UUID, patient_id: UUID
) -> None:
    await grants.grant(
        conn, at, actor.account_id, GRANTED_ACTION, "patient", patient_id,
        reason="reading task claimed", source_kind=GRANT_SOURCE, source_id=task_id, until=at + LEASE,
    )  # fmt: skip


async def _why_not(conn: Connection, task_id: UUID) -> errors.HubError:
    task = await read_task(conn, task_id)
    if task["status"] == "in-progress":
        return errors.error("task_already_claimed", by=task["claimed_name"])
    return errors.error("task_not_open", status=task["status"])


async def claimed_task(conn: Connection, actor: Actor, at: datetime, task_id: UUID) -> Row:
    """A task whose claim the actor holds now, locked for the rest of the transaction; else
    `task_not_yours`.
    """
    task = await maybe(
        conn,
        "SELECT t.*, s.recording_id, s.dicom_study_id FROM task t JOIN study s ON s.id = t.study_id WHERE t.id = %s"
        " AND t.status = 'in-progress' AND t.claimed_by = %s AND t.lease_until > %s FOR UPDATE OF t",
        (task_id, actor.account_id, at),
    )
    if task is None:
        raise errors.error("task_not_yours")
    return task


async def extend_lease(conn: Connection, actor: Actor, at: datetime, task_id: UUID) -> datetime:
    """The page's heartbeat: five more minutes, for the claim and for its grant."""
    task = await read_task(conn, task_id)
    await access.require(conn, actor, at, "task.claim", organisation_id=task["organisation_id"])
    await claimed_task(conn, actor, at, task_id)
    await run(conn, "UPDATE task SET lease_until = %s WHERE id = %s", (at + LEASE, task_id))
    await grants.extend(conn, at, GRANT_SOURCE, task_id, at + LEASE)
    return at + LEASE


async def release_task(conn: Connection, actor: Actor, at: datetime, task_id: UUID) -> None:
    """Give a task back to the queue; the draft stays for whoever takes it next."""
    task = await read_task(conn, task_id)
    await access.require(conn, actor, at, "task.release", organisation_id=task["organisation_id"])
    await claimed_task(conn, actor, at, task_id)
    await _free(conn, at, task_id)
    await _record(conn, actor, at, "task.release", task)


async def free_expired(conn: Connection, actor: Actor, at: datetime) -> int:
    """Put tasks whose lease has run out back into the queue (timer of the jobs process)."""
    expired = await rows(
        conn,
        "SELECT * FROM task WHERE status = 'in-progress' AND lease_until <= %s FOR UPDATE SKIP LOCKED",
        (at,),
    )
    for task in expired:
        await _free(conn, at, task["id"])
        await _record(conn, actor, at, "task.lease-end", task)
    return len(expired)


async def _free(conn: Connection, at: datetime, task_id: UUID) -> None:
    await run(
        conn,
        "UPDATE task SET status = 'requested', claimed_by = NULL, lease_until = NULL WHERE id = %s",
        (task_id,),
    )
    await grants.revoke(conn, at, GRANT_SOURCE, task_id)
    await notify(conn, "hub_task", task_id=str(task_id))


async def _record(conn: Connection, actor: Actor, at: datetime, action: str, task: Row) -> None:
    await audit.record(
        conn, actor, at, action, "task", task["id"],
        organisation_id=task["organisation_id"], patient_id=task["patient_id"],
    )  # fmt: skip


def task_view(task: Row) -> dict[str, Any]:
    """A task as the queue shows it: no name of the patient before the claim."""
    claimed = task["claimed_by"] is not None
    return {
        **{key: task[key] for key in _SHOWN},
        "from_organisation": {
            "id": task["from_organisation_id"],
            "name": task["from_name"],
            "name_en": task["from_name_en"],
        },
        "claimed_by": {"id": task["claimed_by"], "name": task["claimed_name"]} if claimed else None,
    }


_SHOWN = (
    "id", "study_id", "kind", "tier", "status", "priority", "reasons", "sex", "age_years", "question",
    "due_at", "created_at", "completed_at", "lease_until",
)  # fmt: skip
