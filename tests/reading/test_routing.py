"""Routing of real studies: under an agreement, else on hold and seen at the desk; the dry run decides alike."""

import json

import pytest

from hub.core import db, errors, ids
from hub.core.db import Row
from hub.reading import routing, studies
from tests.reading.world import SEEDER, World, agree, ended_recording, route_to


async def make_study(world: World, priority: str = "routine") -> Row:
    recording = await ended_recording(world, seconds=2, priority=priority)
    async with world.transaction(SEEDER) as conn:
        await studies.make_study(conn, SEEDER, world.at, recording)
        return await db.one(conn, "SELECT * FROM study WHERE recording_id = %s", (recording,))


async def route(world: World, study: Row) -> Row:
    async with world.transaction(SEEDER) as conn:
        return await routing.route_study(conn, SEEDER, world.at, study["id"])


async def desk(world: World) -> Row:
    async with world.transaction(world.doctor) as conn:
        (line,) = await studies.list_studies(conn, world.doctor, world.at)
    return line


async def test_a_study_is_made_once(world: World) -> None:
    recording = await ended_recording(world, seconds=2)
    async with world.transaction(SEEDER) as conn:
        first = await studies.make_study(conn, SEEDER, world.at, recording)
        again = await studies.make_study(conn, SEEDER, world.at, recording)
        jobs = await db.rows(conn, "SELECT payload FROM job WHERE kind = 'reading.analyse'")
    assert first == again and [job["payload"]["study_id"] for job in jobs] == [str(first)]


async def test_no_agreement_means_on_hold_and_the_desk_says_why(world: World) -> None:
    async with world.transaction(SEEDER) as conn:
        await route_to(world, conn, world.centre)
    task = await route(world, await make_study(world))
    line = await desk(world)
    assert (task["status"], task["organisation_id"]) == ("on-hold", None)
    assert line["state"]["word"] == "on-hold" and line["state"]["reason"] == routing.HOLD_NO_AGREEMENT


async def test_a_task_on_hold_is_routed_once_there_is_an_agreement(world: World) -> None:
    await route(world, await make_study(world))
    await agree(world)
    async with world.transaction(SEEDER) as conn:
        assert await routing.route_on_hold(conn, SEEDER, world.at) == 1
    assert (await desk(world))["state"]["word"] == "in-queue"


async def test_a_centre_without_agreement_sees_no_task(world: World) -> None:
    await route(world, await make_study(world))
    async with world.transaction(world.reader) as conn:
        assert await db.rows(conn, "SELECT * FROM task") == []


async def test_without_consent_a_study_waits_at_home_until_it_is_given(agreed: World) -> None:
    study = await make_study(agreed)
    assert (await route(agreed, study))["status"] == "requested"
    async with agreed.transaction(SEEDER) as conn:
        await db.run(conn, "UPDATE consent SET withdrawn_at = given_at")
        assert await routing.call_back(conn, SEEDER, agreed.at) == 1
    async with agreed.transaction(agreed.reader) as conn:
        assert await db.rows(conn, "SELECT FROM task") == []
    assert (await desk(agreed))["state"]["reason"] == routing.HOLD_NO_CONSENT
    async with agreed.transaction(SEEDER) as conn:
        await db.run(conn, "UPDATE consent SET withdrawn_at = NULL")
        assert await routing.route_on_hold(conn, SEEDER, agreed.at) == 1


@pytest.mark.parametrize("priority", ["routine", "stat"])
async def test_dry_run_equals_routing(agreed: World, priority: str) -> None:
    async with agreed.transaction(SEEDER) as conn:
        await db.run(conn, "UPDATE routing_rule SET position = 9")
        await db.run(
            conn,
            "INSERT INTO routing_rule VALUES (%s, 0, 'immediate to the province', %s, %s)",
            (
                ids.new(agreed.at),
                json.dumps([{"keyword": "priority", "operator": "equals", "value": "stat"}]),
                agreed.other_centre,
            ),
        )
    study = await make_study(agreed, priority)
    await route(agreed, study)
    facts = {"study_kind": "holter", "priority": priority, "from_organisation_id": agreed.clinic}
    async with agreed.transaction(agreed.admin) as conn:
        dry = await routing.dry_run(conn, agreed.admin, agreed.at, facts)
    async with agreed.transaction(SEEDER) as conn:
        routed = await db.one(conn, "SELECT routed_by FROM study WHERE id = %s", (study["id"],))
    assert dry.rule is not None and routed["routed_by"] == dry.rule.name


@pytest.mark.parametrize("priority", ["routine", "stat"])
async def test_rules_that_are_not_saved_are_tried_as_they_would_be_applied(
    agreed: World, priority: str
) -> None:
    stat = {"keyword": "priority", "operator": "equals", "value": "stat"}
    rules = [
        {"name": "immediate", "conditions": [stat], "to_organisation_id": agreed.other_centre, "enabled": True},
        {"name": "off", "conditions": [stat | {"value": "routine"}], "to_organisation_id": agreed.other_centre,
         "enabled": False},
        {"name": "rest", "conditions": [], "to_organisation_id": agreed.centre, "enabled": True},
    ]  # fmt: skip
    facts = {"study_kind": "holter", "priority": priority, "from_organisation_id": agreed.clinic}
    async with agreed.transaction(agreed.admin) as conn:
        before = await routing.dry_run(conn, agreed.admin, agreed.at, facts)
        tried = await routing.dry_run(conn, agreed.admin, agreed.at, facts, rules)
        assert await routing.dry_run(conn, agreed.admin, agreed.at, facts) == before
        with pytest.raises(errors.BadInput, match="routing_fallback"):
            await routing.dry_run(conn, agreed.admin, agreed.at, facts, rules[:1])
    async with agreed.transaction(SEEDER) as conn:
        await db.run(conn, "DELETE FROM routing_rule")
        for place, rule in enumerate(rules):
            await db.run(
                conn,
                "INSERT INTO routing_rule VALUES (%s, %s, %s, %s, %s, %s)",
                (ids.new(agreed.at), place, rule["name"], json.dumps(rule["conditions"]), rule["to_organisation_id"],
                 rule["enabled"]),
            )  # fmt: skip
    async with agreed.transaction(agreed.admin) as conn:
        saved = await routing.dry_run(conn, agreed.admin, agreed.at, facts)
    assert tried.rule is not None and saved.rule is not None
    assert (tried.rule.name, tried.rule.to_organisation_id) == (
        saved.rule.name,
        saved.rule.to_organisation_id,
    )
    assert [step.matched for step in tried.steps] == [step.matched for step in saved.steps]


async def test_rules_need_one_true_fallback(world: World) -> None:
    bad = {"name": "only old", "enabled": True, "to_organisation_id": world.centre} | {
        "conditions": [{"keyword": "age_years", "operator": "at-least", "value": 80}]
    }
    async with world.transaction(world.admin) as conn:
        with pytest.raises(errors.BadInput) as refused:
            await routing.replace_rules(conn, world.admin, world.at, [bad])
    assert refused.value.code == "routing_fallback"


async def test_only_the_administrator_of_the_tree_edits_rules(world: World) -> None:
    async with world.transaction(world.reader) as conn:
        with pytest.raises(errors.NotAllowed):
            await routing.replace_rules(conn, world.reader, world.at, [])
