"""Which reading centre gets a study: the rules kept as rows, applied under the agreements in force.

No agreement or no consent, no reading: the task then stands on hold with its reason, the clinic sees it at its desk,
and it is routed again by itself once an agreement or a rule makes it possible. Patient data never goes to
a centre without agreement.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from ecg.rhythms import RULES
from hub.core import errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row, maybe, notify, one, rows, run
from hub.imaging.index.instances import HUB
from hub.people import access, audit, consents
from hub.people.patients import age_years
from hub.reading.rules import DUE, Condition, Match, Rule, Words, fault, match, prioritise

CONSENT = "remote-reading"  # what the patient must have agreed to before a centre sees anything
HOLD_NO_RULE: Words = {"zh-CN": "没有适用的送检规则", "en": "No routing rule applies"}
HOLD_NO_CONSENT: Words = {
    "zh-CN": "患者未同意远程阅片（或已撤回）",
    "en": "The patient has not agreed to remote reading (or took it back)",
}
HOLD_NO_AGREEMENT: Words = {
    "zh-CN": "与该阅片中心没有有效协议",
    "en": "No valid agreement with the reading centre",
}


async def read_rules(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """All rules in order, the disabled ones too."""
    await access.require(conn, actor, at, "routing.read")
    return await rows(
        conn,
        "SELECT r.*, o.name AS to_name, o.name_en AS to_name_en FROM routing_rule r"
        " JOIN organisation o ON o.id = r.to_organisation_id ORDER BY r.position",
    )


async def replace_rules(
    conn: Connection, actor: Actor, at: datetime, rules: Sequence[Mapping[str, Any]]
) -> None:
    """Put a new list in place of the old one. Rules hold for the whole tree, so its administrator edits
    them.
    """
    root_id = await require_edit(conn, actor, at)
    require_usable(rules)
    _require_fallback(rules)
    before = await rows(conn, "DELETE FROM routing_rule RETURNING id")
    for position, rule in enumerate(rules):
        await run(
            conn,
            "INSERT INTO routing_rule (id, position, name, conditions, to_organisation_id, enabled)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                ids.new(at), position, rule["name"], json.dumps(rule["conditions"]),
                rule["to_organisation_id"], rule["enabled"],
            ),
        )  # fmt: skip
    await audit.record(
        conn, actor, at, "routing.edit", "routing", root_id,
        organisation_id=root_id, rules_before=len(before), rules_after=len(rules),
    )  # fmt: skip


async def require_edit(conn: Connection, actor: Actor, at: datetime) -> UUID:
    """Lists of rules are edited at the root of the tree; its id."""
    root = await one(conn, "SELECT id FROM organisation WHERE parent_id IS NULL ORDER BY created_at LIMIT 1")
    await access.require(conn, actor, at, "routing.edit", organisation_id=root["id"])
    return UUID(str(root["id"]))


def require_usable(rules: Sequence[Mapping[str, Any]]) -> None:
    """Every condition can be asked; `bad_field` says which rule's can't."""
    for number, rule in enumerate(rules):
        for condition in rule["conditions"]:
            field = fault(Condition(condition["keyword"], condition["operator"], condition["value"]))
            if field is not None:
                raise errors.error("bad_field", field=f"rules[{number}].conditions.{field}")


def _require_fallback(rules: Sequence[Mapping[str, Any]]) -> None:
    """One true fallback: the last enabled rule, and only that, has no condition."""
    bare = [not rule["conditions"] for rule in rules if rule["enabled"]]
    if not bare or bare != [False] * (len(bare) - 1) + [True]:
        raise errors.error("routing_fallback")


async def dry_run(
    conn: Connection,
    actor: Actor,
    at: datetime,
    facts: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]] | None = None,
) -> Match:
    """What routing would decide for such a study, condition by condition; changes nothing.

    `rules`: by these, which nobody has put in force yet, as `replace_rules` would take them.
    """
    await access.require(conn, actor, at, "routing.read")
    above = await _with_ancestors(conn, facts["from_organisation_id"])
    if rules is None:
        tried = await _enabled_rules(conn)
    else:
        require_usable(rules)
        _require_fallback(rules)
        tried = [_rule({**rule, "id": ids.new(at)}) for rule in rules if rule["enabled"]]
    return match(tried, {**facts, "organisations": above})


async def route_study(
    conn: Connection, actor: Actor, at: datetime, study_id: UUID, extra: Sequence[Words] = ()
) -> Row:
    """Give a study its task, or bring its waiting one up to date; `extra` are reasons shown first."""
    study = await one(conn, "SELECT * FROM study WHERE id = %s FOR UPDATE", (study_id,))
    facts = await study_facts(conn, at, study)
    found = match(await _enabled_rules(conn), facts)
    centre, hold = await _centre(conn, at, study, found)
    await run(
        conn,
        "UPDATE study s SET reading_organisation_id = %s, routed_by = %s WHERE s.id = %s AND NOT EXISTS"
        " (SELECT FROM task t WHERE t.study_id = s.id AND t.status = 'in-progress')",
        (centre["id"] if centre else None, found.rule.name if found.rule else None, study_id),
    )
    task = await _put_task(conn, at, study, facts, centre, hold, extra)
    await notify(conn, "hub_task", task_id=str(task["id"]))
    await audit.record(
        conn, actor, at, "study.route", "study", study_id,
        organisation_id=study["organisation_id"], patient_id=study["patient_id"],
        rule=str(found.rule.id) if found.rule else None, on_hold=hold is not None,
    )  # fmt: skip
    return task


async def call_back(conn: Connection, actor: Actor, at: datetime) -> int:
    """Take waiting tasks out of the queue whose patient has taken the consent back (timer); how many."""
    refused = await rows(
        conn,
        "SELECT t.study_id FROM task t WHERE t.status = 'requested' AND NOT EXISTS (SELECT FROM consent c"
        " WHERE c.patient_id = t.patient_id AND c.kind = %s AND c.withdrawn_at IS NULL) LIMIT 100",
        (CONSENT,),
    )
    for task in refused:
        await route_study(conn, actor, at, task["study_id"])
    return len(refused)


async def route_on_hold(conn: Connection, actor: Actor, at: datetime) -> int:
    """Try tasks on hold again (timer of the jobs process); how many found their centre."""
    held = await rows(
        conn, "SELECT study_id FROM task WHERE status = 'on-hold' ORDER BY created_at LIMIT 100"
    )
    routed = 0
    for task in held:
        study = await one(conn, "SELECT * FROM study WHERE id = %s", (task["study_id"],))
        found = match(await _enabled_rules(conn), await study_facts(conn, at, study))
        if (await _centre(conn, at, study, found))[0] is not None:
            await route_study(conn, actor, at, study["id"])
            routed += 1
    return routed


async def _enabled_rules(conn: Connection) -> list[Rule]:
    found = await rows(conn, "SELECT * FROM routing_rule WHERE enabled ORDER BY position")
    return [_rule(row) for row in found]


def _rule(row: Mapping[str, Any]) -> Rule:
    conditions = tuple(Condition(**condition) for condition in row["conditions"])
    return Rule(row["id"], row["name"], conditions, row["to_organisation_id"])


async def study_facts(conn: Connection, at: datetime, study: Row) -> dict[str, Any]:
    """What the rules may ask about a study (rules.KEYWORDS), and what its task shows before the claim."""
    row = await one(
        conn,
        "SELECT p.sex, p.birth_date, q.priority, q.question, q.pacemaker, r.started_at, r.ended_at, d.description,"
        " coalesce(q.body_part, i.body_part, '') AS body_part, coalesce(i.modalities, ARRAY[q.modality]) AS modalities,"
        " coalesce(a.time_zone, 'UTC') AS time_zone"
        " FROM study s JOIN patient p ON p.id = s.patient_id"
        " LEFT JOIN service_request q ON q.id = s.service_request_id"
        " LEFT JOIN account a ON a.id = q.requester_id"
        " LEFT JOIN recording r ON r.id = s.recording_id LEFT JOIN dicom_study d ON d.id = s.dicom_study_id"
        " LEFT JOIN LATERAL (SELECT array_agg(DISTINCT e.modality) AS modalities,"
        "   min(nullif(e.body_part, '')) AS body_part FROM dicom_series e WHERE e.dicom_study_id = d.id"
        "   AND EXISTS (SELECT FROM dicom_instance n WHERE n.dicom_series_id = e.id AND n.sent_by <> %s)) i ON true"
        " WHERE s.id = %s",
        (HUB, study["id"]),
    )
    findings = await rows(
        conn,
        "SELECT rule, priority FROM finding WHERE recording_id = %s AND pass = 'record' ORDER BY onset_at",
        (study["recording_id"],),
    )
    newest = await maybe(
        conn,
        "SELECT summary -> 'twelve_lead' -> 'statements' AS statements FROM analysis WHERE recording_id = %s"
        " ORDER BY version DESC LIMIT 1",
        (study["recording_id"],),
    )
    started, ended = row["started_at"], row["ended_at"]
    return {
        "study_kind": study["kind"],
        "priority": row["priority"] or "routine",
        "organisations": await _with_ancestors(conn, study["organisation_id"]),
        "sex": row["sex"],
        "age_years": age_years(row["birth_date"], at),
        "recorded_hours": int((ended - started).total_seconds() // 3600) if started and ended else 0,
        "pacemaker": bool(row["pacemaker"]),
        "findings": sorted({f["rule"] for f in findings}),
        "found": findings,
        "statements": (newest["statements"] if newest else None) or [],
        "question": row["question"] or row["description"] or "",
        "modalities": [modality for modality in row["modalities"] if modality],
        "body_part": row["body_part"].upper(),
        "hour": at.astimezone(ZoneInfo(row["time_zone"])).hour,
    }


async def _with_ancestors(conn: Connection, organisation_id: UUID) -> list[str]:
    found = await rows(
        conn,
        "SELECT ancestor FROM organisation_closure WHERE descendant = %s ORDER BY depth",
        (organisation_id,),
    )
    return [str(row["ancestor"]) for row in found]


async def _centre(
    conn: Connection, at: datetime, study: Row, found: Match
) -> tuple[Row | None, Words | None]:
    """The reading centre the rule names, if an agreement of the clinic (or of one above it) is in force."""
    if found.rule is None:
        return None, HOLD_NO_RULE
    if not await consents.has_consent(conn, study["patient_id"], CONSENT):
        return None, HOLD_NO_CONSENT
    centre = await maybe(
        conn,
        "SELECT o.* FROM organisation o WHERE o.id = %(to)s AND EXISTS ("
        " SELECT FROM agreement a JOIN organisation_closure c ON c.ancestor = a.from_organisation_id"
        " WHERE c.descendant = %(clinic)s AND a.to_organisation_id = o.id AND a.study_kind = %(kind)s"
        " AND a.valid_from <= %(at)s AND (a.valid_until IS NULL OR a.valid_until > %(at)s))",
        {
            "to": found.rule.to_organisation_id,
            "clinic": study["organisation_id"],
            "kind": study["kind"],
            "at": at,
        },
    )
    return centre, None if centre else HOLD_NO_AGREEMENT


async def _put_task(
    conn: Connection,
    at: datetime,
    study: Row,
    facts: Mapping[str, Any],
    centre: Row | None,
    hold: Words | None,
    extra: Sequence[Words],
) -> Row:
    """Insert the study's open task, or bring the waiting one up to date; a claimed one is left to its
    reader.
    """
    rhythm = [f for f in facts["found"] if f["rule"] in RULES and RULES[f["rule"]].kind == "rhythm"]
    priority, reasons = prioritise(
        facts["priority"], rhythm, {name: rule.words for name, rule in RULES.items()}, facts["statements"]
    )
    values = {
        "id": ids.new(at), "study": study["id"], "patient": study["patient_id"],
        "clinic": study["organisation_id"], "centre": centre["id"] if centre else None,
        "kind": study["kind"], "tier": (centre["tier"] if centre else None) or "district",
        "status": "on-hold" if hold else "requested", "priority": priority,
        "reasons": json.dumps([*extra, *reasons]), "hold": json.dumps(hold) if hold else None,
        "sex": facts["sex"], "age": facts["age_years"], "question": facts["question"],
        "due": at + DUE[priority], "at": at,
    }  # fmt: skip
    await run(conn, _PUT_TASK, values)
    return await one(
        conn,
        f"SELECT * FROM task WHERE study_id = %s AND {_OPEN}",
        (study["id"],),
    )


_OPEN = "status IN ('requested', 'accepted', 'in-progress', 'on-hold')"
_PUT_TASK = f"""
    INSERT INTO task (id, study_id, patient_id, organisation_id, from_organisation_id, kind, tier, status,
        priority, reasons, hold_reason, sex, age_years, question, due_at, created_at)
    VALUES (%(id)s, %(study)s, %(patient)s, %(centre)s, %(clinic)s, %(kind)s, %(tier)s, %(status)s,
        %(priority)s, %(reasons)s, %(hold)s, %(sex)s, %(age)s, %(question)s, %(due)s, %(at)s)
    ON CONFLICT (study_id) WHERE {_OPEN} DO UPDATE SET
        organisation_id = excluded.organisation_id, tier = excluded.tier, status = excluded.status,
        priority = excluded.priority, reasons = excluded.reasons, hold_reason = excluded.hold_reason,
        due_at = least(task.due_at, excluded.due_at)
    WHERE task.status IN ('requested', 'on-hold')
"""


def rule_view(rule: Row) -> dict[str, Any]:
    """A rule as the admin page shows it."""
    return {
        **{key: rule[key] for key in ("id", "position", "name", "conditions", "enabled")},
        "to_organisation": {
            "id": rule["to_organisation_id"],
            "name": rule["to_name"],
            "name_en": rule["to_name_en"],
        },
    }


def match_view(found: Match) -> dict[str, Any]:
    """A decision with every condition looked at on the way."""
    return {
        "matched": {
            "id": found.rule.id,
            "name": found.rule.name,
            "to_organisation_id": found.rule.to_organisation_id,
        }
        if found.rule
        else None,
        "explanation": [
            {
                "rule": step.rule,
                "condition": asdict(step.condition) if step.condition else None,
                "matched": step.matched,
            }
            for step in found.steps
        ],
    }
