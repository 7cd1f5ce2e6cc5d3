"""What a reader writes while reading: the draft text with its revision, and edits of the analysis,
append-only.

The analysis itself is never changed: what is seen is `ecg.holter.apply(analysis, edits)` (DESIGN.md
section 7).
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ecg import holter
from ecg.analysis import OPERATIONS
from hub.core import errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row, maybe, one, rows, run
from hub.people import access, audit
from hub.reading.tasks import claimed_task, read_task

EDITS_MAX = 20_000  # per analysis; a reader who needs more has the wrong analysis


async def save_draft(
    conn: Connection, actor: Actor, at: datetime, task_id: UUID, content: Mapping[str, Any], revision: int
) -> Row:
    """Keep the text. `revision` is the one the page started from (0: none yet); an older one is refused."""
    task = await read_task(conn, task_id)
    await access.require(conn, actor, at, "report.write", organisation_id=task["organisation_id"])
    await claimed_task(conn, actor, at, task_id)
    saved = await maybe(
        conn,
        "INSERT INTO report_draft (task_id, account_id, content, revision, saved_at)"
        " VALUES (%(task)s, %(me)s, %(content)s, 1, %(at)s)"
        " ON CONFLICT (task_id) DO NOTHING RETURNING revision, saved_at"
        if revision == 0
        else "UPDATE report_draft SET account_id = %(me)s, content = %(content)s, saved_at = %(at)s,"
        " revision = revision + 1 WHERE task_id = %(task)s AND revision = %(revision)s"
        " RETURNING revision, saved_at",
        {
            "task": task_id,
            "me": actor.account_id,
            "content": json.dumps(content),
            "at": at,
            "revision": revision,
        },
    )
    if saved is None:
        raise errors.error("draft_stale")
    return saved


async def read_draft(conn: Connection, task_id: UUID) -> Row | None:
    """The draft of a task, whoever of the centre began it."""
    return await maybe(
        conn, "SELECT content, revision, saved_at FROM report_draft WHERE task_id = %s", (task_id,)
    )


async def newest_analysis(conn: Connection, recording_id: UUID) -> Row:
    """The analysis a reader works on; none yet is `not_found`."""
    return await one(
        conn,
        "SELECT * FROM analysis WHERE recording_id = %s ORDER BY version DESC LIMIT 1",
        (recording_id,),
    )


async def read_edits(conn: Connection, analysis_id: UUID, up_to: int | None = None) -> list[Row]:
    """The edits of an analysis in order, with who made them."""
    return await rows(
        conn,
        "SELECT e.sequence, e.at, e.operation, e.account_id, a.name AS by_name FROM analysis_edit e"
        " JOIN account a ON a.id = e.account_id WHERE e.analysis_id = %s"
        " AND (%s::int IS NULL OR e.sequence <= %s) ORDER BY e.sequence",
        (analysis_id, up_to, up_to),
    )


async def add_edit(
    conn: Connection, actor: Actor, at: datetime, analysis_id: UUID, operation: dict[str, Any]
) -> dict[str, Any]:
    """Append one edit by the reader who holds the claim; the new summary is what the whole list then
    gives.
    """
    task = await _open_task(conn, analysis_id)
    await access.require(conn, actor, at, "report.write", organisation_id=task["organisation_id"])
    await claimed_task(conn, actor, at, task["id"])
    _require_usable(operation)
    analysis = await one(conn, "SELECT * FROM analysis WHERE id = %s", (analysis_id,))
    if (await newest_analysis(conn, analysis["recording_id"]))["id"] != analysis_id:
        raise errors.error("analysis_stale")
    edits = [row["operation"] for row in await read_edits(conn, analysis_id)]
    if len(edits) >= EDITS_MAX:
        raise errors.error("too_large", limit=EDITS_MAX)
    seen = await edited(analysis, [*edits, operation])
    if len(seen.unmatched) > len((await edited(analysis, edits)).unmatched):
        raise errors.error("bad_field", field="operation", expected="a beat or finding that is there")
    sequence = len(edits) + 1
    await run(
        conn,
        "INSERT INTO analysis_edit (analysis_id, sequence, account_id, at, operation)"
        " VALUES (%s, %s, %s, %s, %s)",
        (analysis_id, sequence, actor.account_id, at, json.dumps(operation)),
    )
    await audit.record(
        conn, actor, at, "analysis.edit", "analysis", analysis_id,
        organisation_id=task["organisation_id"], patient_id=task["patient_id"], sequence=sequence,
    )  # fmt: skip
    return {"sequence": sequence, "summary": await asyncio.to_thread(holter.summary, seen)}


def _require_usable(operation: dict[str, Any]) -> None:
    """Whether it is an edit the ECG package knows; its own JSON form is what is stored."""
    try:
        edit = holter.edit_from_dict(operation)
        known = edit.operation in OPERATIONS and isinstance(edit.sample, int) and isinstance(edit.text, str)
    except (TypeError, KeyError, ValueError):
        known = False
    if not known:
        raise errors.error("bad_field", field="operation", expected="one of " + ", ".join(OPERATIONS))


async def carry_over_edits(conn: Connection, analysis_id: UUID, recording_id: UUID, version: int) -> None:
    """A new analysis starts with the edits of the one before; those that match nothing are listed with
    the case.
    """
    await run(
        conn,
        "INSERT INTO analysis_edit (analysis_id, sequence, account_id, at, operation)"
        " SELECT %s, e.sequence, e.account_id, e.at, e.operation FROM analysis_edit e"
        " JOIN analysis a ON a.id = e.analysis_id WHERE a.recording_id = %s AND a.version = %s",
        (analysis_id, recording_id, version - 1),
    )


async def _open_task(conn: Connection, analysis_id: UUID) -> Row:
    return await one(
        conn,
        "SELECT t.* FROM analysis a JOIN study s ON s.recording_id = a.recording_id"
        " JOIN task t ON t.study_id = s.id AND t.status = 'in-progress' WHERE a.id = %s",
        (analysis_id,),
    )


async def edited(analysis: Row, operations: Sequence[Mapping[str, Any]]) -> holter.Analysis:
    """What a reader sees: the stored analysis with edits applied. A day has 100,000 beats, so not on the
    loop.
    """
    return await asyncio.to_thread(_apply, bytes(analysis["packed"]), operations)


def _apply(packed: bytes, operations: Sequence[Mapping[str, Any]]) -> holter.Analysis:
    edits = [holter.edit_from_dict(operation) for operation in operations]
    return holter.apply(holter.Analysis.from_bytes(packed), edits)
