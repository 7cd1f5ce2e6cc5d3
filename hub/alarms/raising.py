"""How an alarm begins and how its condition ends; by the tick and by timers, in the transaction of their cause.

Condition is active or gone; priorities are those of IEC 60601-1-8. One alarm for each episode: told again it is
the same. A high one latches: it stays open after its condition is gone, until somebody resolves it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol
from uuid import UUID, uuid5

from ecg.rhythms import RULES
from hub.alarms.findings import Found
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection

CHANNEL: Final = "hub_alarm"
LATE_AFTER: Final = timedelta(seconds=120)  # design section 7: no bedside alarm for what is this old
_ALARMS: Final = UUID("5f9d7a52-3c0e-5b1e-9a57-6b1c2e8d4f10")  # name space of the ids
URGENCY: Final = {"low": 0, "medium": 1, "high": 2}

Category = Literal["physiological", "technical"]


class OfPatient(Protocol):
    """What an alarm needs to know of a recording."""

    @property
    def id(self) -> UUID: ...
    @property
    def patient_id(self) -> UUID: ...
    @property
    def organisation_id(self) -> UUID: ...


@dataclass(frozen=True, slots=True)
class Cause:
    """What an alarm is about; `source_key` names the episode."""

    source_key: str
    rule: str
    category: Category
    priority: str
    onset_at: datetime
    numbers: dict[str, Any]
    note: str = ""
    late: bool = False


async def raise_from_finding(
    conn: Connection, actor: Actor, at: datetime, recording: OfPatient, found: Found
) -> None:
    """Raise, worsen or end the alarm of a finding; one without priority only enters the list."""
    cause = cause_of(recording.id, found, at)
    if cause is not None:
        await _raise_or_worsen(conn, actor, at, recording, cause)
    if found.finding.phase == "offset":
        await end_condition(conn, actor, at, source_key(recording.id, found), found.offset_at or at)


async def with_alarm(conn: Connection, keys: Sequence[str]) -> set[str]:
    """Which of these episodes have an alarm."""
    found = await db.rows(conn, "SELECT source_key FROM alarm WHERE source_key = ANY(%s)", (list(keys),))
    return {row["source_key"] for row in found}


def source_key(recording_id: UUID, found: Found) -> str:
    """The name of the episode a finding tells of."""
    finding = found.finding
    return f"{found.pass_name}:{recording_id}:{finding.rule}:{found.boot}:{finding.onset_sample}"


def cause_of(recording_id: UUID, found: Found, at: datetime) -> Cause | None:
    """What alarm a finding makes; late if it was so old when it was seen first, however long storing took then."""
    finding = found.finding
    if finding.priority is None:
        return None
    return Cause(
        source_key(recording_id, found),
        finding.rule,
        "technical" if RULES[finding.rule].kind == "technical" else "physiological",
        finding.priority,
        found.onset_at,
        dict(finding.numbers),
        finding.note,
        (found.seen_at or at) - found.onset_at > LATE_AFTER,
    )


def is_alarm(cause: Cause) -> bool:
    """Nobody is called to the bedside for what is long past, unless it is critical."""
    return not cause.late or cause.priority == "high"


def alarm_id(key: str) -> UUID:
    """The id of an episode's alarm, the same whoever asks and whether or not it is stored."""
    return uuid5(_ALARMS, key)


async def raise_late_finding(
    conn: Connection, actor: Actor, at: datetime, recording: OfPatient, found: Found
) -> None:
    """Raise the alarm of a finding of record that nobody was told of: neither by a live finding of the rule that
    overlaps it, nor by an alarm of this episode.
    """
    finding = found.finding
    end = finding.onset_sample if finding.offset_sample is None else finding.offset_sample
    known = await db.maybe(
        conn,
        "SELECT 1 AS one WHERE EXISTS (SELECT FROM finding f WHERE f.recording_id = %(id)s AND f.pass = 'live'"
        "  AND f.rule = %(rule)s AND f.boot = %(boot)s AND f.onset_sample <= %(end)s"
        "  AND (f.offset_sample IS NULL OR f.offset_sample >= %(onset)s))"
        " OR EXISTS (SELECT FROM alarm a WHERE a.recording_id = %(id)s AND a.rule = %(rule)s"
        "  AND a.onset_at <= %(end_at)s AND coalesce(a.gone_at, a.onset_at) >= %(onset_at)s)",
        {
            "id": recording.id, "rule": finding.rule, "boot": found.boot, "onset": finding.onset_sample, "end": end,
            "onset_at": found.onset_at, "end_at": found.offset_at or found.onset_at,
        },
    )  # fmt: skip
    if known is None:
        await raise_from_finding(conn, actor, at, recording, found)


async def _has_alarm(conn: Connection, recording: OfPatient, cause: Cause) -> bool:
    """Whether somebody was told of this late episode already, whichever pass saw it."""
    found = await db.maybe(
        conn,
        "SELECT 1 AS one FROM alarm WHERE recording_id = %s AND rule = %s AND onset_at <= %s"
        " AND coalesce(gone_at, onset_at) >= %s LIMIT 1",
        (recording.id, cause.rule, cause.onset_at, cause.onset_at),
    )
    return found is not None


async def _raise_or_worsen(
    conn: Connection, actor: Actor, at: datetime, recording: OfPatient, cause: Cause
) -> None:
    known = await db.maybe(
        conn,
        "SELECT id, priority, recording_id FROM alarm WHERE source_key = %s FOR UPDATE",
        (cause.source_key,),
    )
    if known is None:
        if is_alarm(cause) and not (cause.late and await _has_alarm(conn, recording, cause)):
            await raise_alarm(conn, actor, at, recording, cause)
        return
    await db.run(
        conn, "UPDATE alarm SET numbers = %s WHERE id = %s", (json.dumps(cause.numbers), known["id"])
    )
    if URGENCY[cause.priority] > URGENCY[known["priority"]]:
        await db.run(conn, "UPDATE alarm SET priority = %s WHERE id = %s", (cause.priority, known["id"]))
        await log_step(conn, actor, at, known["id"], "worse", cause.priority)
        await tell(conn, known["id"], recording.id)


async def raise_alarm(
    conn: Connection, actor: Actor, at: datetime, recording: OfPatient, cause: Cause
) -> UUID | None:
    """Raise it, unless this very episode has its alarm already."""
    new_id = alarm_id(cause.source_key)
    added = await db.run(
        conn,
        "INSERT INTO alarm (id, patient_id, organisation_id, recording_id, source_key, rule, category, priority,"
        "  condition, handling, late, numbers, note, onset_at, raised_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'active', 'raised', %s, %s, %s, %s, %s)"
        " ON CONFLICT (source_key) DO NOTHING",
        (
            new_id, recording.patient_id, recording.organisation_id, recording.id, cause.source_key, cause.rule,
            cause.category, cause.priority, cause.late, json.dumps(cause.numbers), cause.note, cause.onset_at, at,
        ),
    )  # fmt: skip
    if not added:
        return None
    if cause.late:  # nobody stands at the bed any more: it is for who asked for the recording
        await db.run(
            conn,
            "UPDATE alarm SET addressee_id = hub_alarm_addressee(recording_id, %s) WHERE id = %s",
            (at, new_id),
        )
    await log_step(conn, actor, at, new_id, "raised", cause.priority)
    await tell(conn, new_id, recording.id)
    return new_id


async def end_condition(
    conn: Connection, actor: Actor, at: datetime, source_key: str, gone_at: datetime
) -> None:
    """The condition is gone. Nobody needs to resolve what nobody took and what is not high."""
    gone = await db.maybe(
        conn,
        "UPDATE alarm SET condition = 'gone', gone_at = greatest(onset_at, %(gone)s),"
        "  handling = CASE WHEN handling = 'raised' AND priority <> 'high' THEN 'resolved' ELSE handling END,"
        "  resolved_at = CASE WHEN handling = 'raised' AND priority <> 'high' THEN %(at)s ELSE resolved_at END"
        " WHERE source_key = %(key)s AND condition = 'active' RETURNING id, recording_id, handling",
        {"gone": gone_at, "at": at, "key": source_key},
    )
    if gone is not None:
        await log_step(conn, actor, at, gone["id"], "gone", "")
        if gone["handling"] == "resolved":
            await log_step(conn, actor, at, gone["id"], "closed", "")
        await tell(conn, gone["id"], gone["recording_id"])


async def log_step(
    conn: Connection, actor: Actor, at: datetime, alarm_id: UUID, step: str, detail: str
) -> None:
    """Write down a step, for the people who share the alarm."""
    await db.run(
        conn,
        "INSERT INTO alarm_log (alarm_id, sequence, at, step, account_id, detail)"
        " SELECT %(alarm)s, coalesce(max(sequence), 0) + 1, %(at)s, %(step)s, %(account)s, %(detail)s"
        " FROM alarm_log WHERE alarm_id = %(alarm)s",
        {
            "alarm": alarm_id,
            "at": at,
            "step": step,
            "account": actor.account_id if actor.kind == "person" else None,
            "detail": detail,
        },
    )


async def tell(conn: Connection, alarm_id: UUID, recording_id: UUID | None) -> None:
    """Tell open pages, once this is committed."""
    await db.notify(
        conn, CHANNEL, alarm_id=str(alarm_id), recording_id=str(recording_id) if recording_id else None
    )
