"""What a reader writes while reading: the draft text with its revision, and edits of the analysis,
append-only.

The analysis itself is never changed: what is seen is `ecg.holter.apply(analysis, edits)` (DESIGN.md
section 7). The engine is loaded where it is called: a process of pages in which nobody reads an ECG does not hold it.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ecg.analysis import CLASSES
from ecg.analysis import OPERATIONS as BEAT_OPERATIONS
from ecg.findings import Finding
from ecg.rhythms import RULES
from hub.core import errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row, maybe, one, rows, run
from hub.core.fields import Fields
from hub.people import access, audit
from hub.reading.tasks import claimed_task, read_task

if TYPE_CHECKING:
    from ecg.edits import GroupEdit, Seen

LINE_MAX = 2**53  # the largest index a page can name exactly
NOTE_MAX_CHARS, NAME_MAX_CHARS, LEADS_MAX = 2_000, 40, 16
EDITS_MAX = 1_000  # per analysis; each look applies all of them anew


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
    analysis = await one(conn, "SELECT * FROM analysis WHERE id = %s", (analysis_id,))
    if (await newest_analysis(conn, analysis["recording_id"]))["id"] != analysis_id:
        raise errors.error("analysis_stale")
    edits = [row["operation"] for row in await read_edits(conn, analysis_id)]
    if len(edits) >= EDITS_MAX:
        raise errors.error("too_large", limit=EDITS_MAX)
    seen = await edited(analysis, [*edits, operation])
    unmatched = seen.analysis.unmatched
    if unmatched and len(unmatched) > len((await edited(analysis, edits)).analysis.unmatched):
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
    return {"sequence": sequence, "summary": await asyncio.to_thread(_figures, seen)}


def _figures(seen: "Seen") -> dict[str, Any]:
    from ecg import holter

    return holter.summary(seen.analysis, None, seen.measured)


def usable_edit(sent: Fields) -> dict[str, Any]:
    """What a page sent, checked field by field, in the form that is stored (`ecg.holter.edit_to_dict`).

    Not on the loop: it may load the engine.
    """
    from ecg import holter
    from ecg.edits import OPERATIONS

    operation = sent.choice("operation", OPERATIONS)
    if operation not in BEAT_OPERATIONS:
        return holter.edit_to_dict(_of_templates(sent, operation))
    edit = holter.Edit(
        operation,
        sent.integer("sample", 0, LINE_MAX, default=0),
        sent.optional_choice("beat_class", CLASSES) or "N",
        sent.optional_choice("rule", RULES) or "",
        _inserted(sent.mapping("finding")) if operation == "insert" else None,
        sent.text("text", NOTE_MAX_CHARS, required=operation == "note"),
    )
    return holter.edit_to_dict(edit)


def _of_templates(sent: Fields, operation: str) -> "GroupEdit":
    """An edit of whole templates, each named by one of its beats; or one that takes another edit back."""
    from ecg.edits import GroupEdit

    return GroupEdit(
        operation,
        sent.integer("sample", 0, LINE_MAX, default=0),
        sent.optional_choice("beat_class", CLASSES) or "N",
        into=sent.integer("into", 0, LINE_MAX, default=0),
        sequence=sent.integer("sequence", 0, EDITS_MAX, default=0),
    )


def _inserted(sent: Fields) -> Finding:
    """A finding a reader puts in, or puts back: what the machine knew of it stays with it."""
    from ecg.fusion import QUALITIES

    rule, onset = sent.choice("rule", RULES), sent.integer("onset_sample", 0, LINE_MAX)
    offset = sent.integer("offset_sample", onset, LINE_MAX) if sent.has("offset_sample") else None
    numbers = sent.mapping("numbers") if sent.has("numbers") else Fields({})
    return Finding(
        rule,
        RULES[rule].version,
        onset,
        offset,
        "offset",
        sent.optional_choice("priority", ("high", "medium")),  # type: ignore[arg-type]
        tuple(sent.texts("leads", LEADS_MAX)) if sent.has("leads") else (),
        {name[:NAME_MAX_CHARS]: numbers.number(name, -1e9, 1e9) for name in list(numbers.values)[:LEADS_MAX]},
        sent.optional_choice("quality", QUALITIES) or "good",
        sent.text("note", NOTE_MAX_CHARS, required=False),
    )


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


async def edited(
    analysis: Row, operations: Sequence[Mapping[str, Any]], *, beats_only: bool = False
) -> "Seen":
    """What a reader sees: the stored analysis with edits applied; beats_only: its findings may be the older ones.

    A day has 100,000 beats, so not on the loop.
    """
    return await asyncio.to_thread(
        _apply, bytes(analysis["packed"]), analysis["measured"], operations, beats_only
    )


def _apply(
    packed: bytes, measured: bytes | None, operations: Sequence[Mapping[str, Any]], beats_only: bool
) -> "Seen":
    from ecg import holter
    from ecg.measured import from_bytes as unpack_measured

    edits = [holter.edit_from_dict(operation) for operation in operations]
    found = None if measured is None else unpack_measured(bytes(measured))
    return holter.seen(holter.Analysis.from_bytes(packed), found, edits, retell=not beats_only)
