"""The queue: one claimer at a time, under a lease, with a grant that lives and dies with it."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from hub.core import db, errors
from hub.core.actor import Actor
from hub.reading import routing, studies, tasks
from tests.reading.world import SEEDER, World, ended_recording, later


@pytest.fixture
async def task(agreed: World) -> UUID:
    """One waiting task."""
    return await waiting(agreed)


async def waiting(world: World, priority: str = "routine") -> UUID:
    recording = await ended_recording(world, seconds=2, priority=priority)
    async with world.transaction(SEEDER) as conn:
        study = await studies.make_study(conn, SEEDER, world.at, recording)
        assert study is not None
        made = await routing.route_study(conn, SEEDER, world.at, study)
    return UUID(str(made["id"]))


async def claim(world: World, actor: Actor, task: UUID) -> db.Row:
    async with world.transaction(actor) as conn:
        return await tasks.claim_task(conn, actor, world.at, task)


async def sees_patient(world: World, actor: Actor) -> bool:
    async with world.transaction(actor) as conn:
        return bool(await db.rows(conn, "SELECT FROM patient"))


async def test_of_two_who_claim_at_once_one_wins(agreed: World, task: UUID) -> None:
    both = await asyncio.gather(
        claim(agreed, agreed.reader, task), claim(agreed, agreed.colleague, task), return_exceptions=True
    )
    refused = [outcome for outcome in both if isinstance(outcome, errors.Conflict)]
    assert len(refused) == 1 and refused[0].code == "task_already_claimed"
    assert await sees_patient(agreed, agreed.reader) != await sees_patient(agreed, agreed.colleague)


async def test_claim_opens_the_patient_and_release_closes_it(agreed: World, task: UUID) -> None:
    assert not await sees_patient(agreed, agreed.reader)
    await claim(agreed, agreed.reader, task)
    assert await sees_patient(agreed, agreed.reader)
    async with agreed.transaction(agreed.reader) as conn:
        await tasks.release_task(conn, agreed.reader, agreed.at, task)
    assert not await sees_patient(agreed, agreed.reader)


async def test_a_lease_that_ran_out_closes_the_patient_even_before_the_sweep(
    agreed: World, task: UUID
) -> None:
    await claim(agreed, agreed.reader, task)
    assert not await sees_patient(later(agreed, minutes=5), agreed.reader)


async def test_the_sweep_frees_what_ran_out(agreed: World, task: UUID) -> None:
    await claim(agreed, agreed.reader, task)
    after = later(agreed, minutes=5)
    async with after.transaction(SEEDER) as conn:
        assert await tasks.free_expired(conn, SEEDER, after.at) == 1
        row = await db.one(conn, "SELECT status, claimed_by FROM task WHERE id = %s", (task,))
    assert row == {"status": "requested", "claimed_by": None}
    await claim(after, agreed.colleague, task)


async def test_a_heartbeat_keeps_claim_and_grant(agreed: World, task: UUID) -> None:
    await claim(agreed, agreed.reader, task)
    middle = later(agreed, minutes=4)
    async with middle.transaction(agreed.reader) as conn:
        until = await tasks.extend_lease(conn, agreed.reader, middle.at, task)
    assert until == middle.at + tasks.LEASE
    assert await sees_patient(later(agreed, minutes=8), agreed.reader)


async def test_a_heartbeat_after_the_lease_is_refused(agreed: World, task: UUID) -> None:
    await claim(agreed, agreed.reader, task)
    after = later(agreed, minutes=6)
    async with after.transaction(agreed.reader) as conn:
        with pytest.raises(errors.Conflict) as refused:
            await tasks.extend_lease(conn, agreed.reader, after.at, task)
    assert refused.value.code == "task_not_yours"


async def test_claiming_an_expired_task_takes_the_grant_from_the_first(agreed: World, task: UUID) -> None:
    await claim(agreed, agreed.reader, task)
    after = later(agreed, minutes=6)
    await claim(after, agreed.colleague, task)
    assert [await sees_patient(after, who) for who in (agreed.reader, agreed.colleague)] == [False, True]


async def test_a_reader_of_another_centre_finds_nothing(agreed: World, task: UUID) -> None:
    with pytest.raises(errors.NotFound):
        await claim(agreed, agreed.foreigner, task)


async def test_the_queue_is_by_priority_then_due(agreed: World) -> None:
    made = {priority: await waiting(agreed, priority) for priority in ("routine", "asap", "stat", "urgent")}
    async with agreed.transaction(agreed.reader) as conn:
        queue = await tasks.list_tasks(conn, agreed.reader, agreed.at, "open")
    assert [row["id"] for row in queue] == [made[p] for p in ("stat", "urgent", "asap", "routine")]
    assert queue[0]["due_at"] - agreed.at == timedelta(minutes=30)


async def test_the_queue_names_no_patient(agreed: World, task: UUID) -> None:
    async with agreed.transaction(agreed.reader) as conn:
        (row,) = await tasks.list_tasks(conn, agreed.reader, agreed.at, "open")
    assert "张秀英" not in str(tasks.task_view(row)) and "patient_id" not in tasks.task_view(row)
