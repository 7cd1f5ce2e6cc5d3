"""Which nodes get a copy of a complete study: those of every enabled rule whose conditions all hold."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from hub.core import ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row, one, rows, run
from hub.imaging.dimse import forwarding
from hub.people import access, audit
from hub.reading.routing import require_edit, require_usable, study_facts
from hub.reading.rules import Condition


async def read_rules(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """All rules in order, with the names of their nodes."""
    await access.require(conn, actor, at, "routing.read")
    return await rows(
        conn,
        "SELECT r.id, r.name, r.conditions, r.to_node_id, n.name AS to_node_name, r.enabled FROM forward_rule r"
        " JOIN dicom_node n ON n.id = r.to_node_id ORDER BY r.position",
    )


async def replace_rules(
    conn: Connection, actor: Actor, at: datetime, rules: Sequence[Mapping[str, Any]]
) -> None:
    """A new list in place of the old one; a rule without conditions sends everything."""
    root_id = await require_edit(conn, actor, at)
    require_usable(rules)
    for rule in rules:
        await one(conn, "SELECT FROM dicom_node WHERE id = %s AND may_receive", (rule["to_node_id"],))
    before = await rows(conn, "DELETE FROM forward_rule RETURNING id")
    for position, rule in enumerate(rules):
        await run(
            conn,
            "INSERT INTO forward_rule (id, position, name, conditions, to_node_id, enabled)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                ids.new(at), position, rule["name"], json.dumps(rule["conditions"]), rule["to_node_id"],
                rule["enabled"],
            ),
        )  # fmt: skip
    await audit.record(
        conn, actor, at, "forwarding.edit", "routing", root_id,
        organisation_id=root_id, rules_before=len(before), rules_after=len(rules),
    )  # fmt: skip


async def forward_study(
    conn: Connection, at: datetime, study_id: UUID, dicom_study_id: UUID | None = None
) -> int:
    """Queue a study of images for the nodes that are to have it; how many. An ECG's images are told beside it."""
    study = await one(conn, "SELECT * FROM study WHERE id = %s", (study_id,))
    facts = await study_facts(conn, at, study)
    wanted = {
        rule["to_node_id"]
        for rule in await rows(conn, "SELECT * FROM forward_rule WHERE enabled ORDER BY position")
        if all(Condition(**condition).holds(facts) for condition in rule["conditions"])
    }
    for node_id in sorted(wanted):
        await forwarding.queue(conn, at, dicom_study_id or study["dicom_study_id"], node_id)
    return len(wanted)
