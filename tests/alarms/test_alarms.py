"""Alarms: one for each episode, one owner; high ones latch; silence is an alarm."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ecg.findings import Finding
from hub.alarms import board, services, silence
from hub.alarms.findings import Found, store_findings
from hub.alarms.raising import raise_from_finding
from hub.core import actor
from hub.core.actor import Actor
from hub.core.errors import HubError
from tests import monitoring, world
from tests.parts import Databases
from tests.world import World

TICK = actor.job("ingest")
EPISODE = Finding(
    "ventricular-run", 1, 5_000, None, "onset", "medium", ("MDC_ECG_LEAD_II",), {"beats": 5, "rate_bpm": 130},
    "good",
)  # fmt: skip
HIGH = replace(EPISODE, priority="high")


@dataclass(frozen=True)
class Of:
    """What an alarm has to know of a recording."""

    id: UUID
    patient_id: UUID
    organisation_id: UUID


@dataclass(frozen=True)
class Ward:
    """A patient who wears a Holter, and the people of the town."""

    databases: Databases
    world: World
    at: datetime
    of: Of

    def doctors(self) -> tuple[Actor, Actor]:
        return self.world.own.actor("township_doctor"), self.world.own.actor("technician")

    async def tell(self, *told: Finding, at: datetime | None = None) -> None:
        """What the tick does with findings."""
        at = at or self.at
        async with self.databases.ingest.transaction(TICK, at) as conn:
            for finding in told:
                found = self.found(finding)
                await store_findings(conn, at, [found])
                await raise_from_finding(conn, TICK, at, self.of, found)

    def found(self, finding: Finding) -> Found:
        end = finding.offset_sample
        return Found(
            self.of.id, self.of.patient_id, self.of.organisation_id, "live", 1, self.when(finding.onset_sample),
            None if end is None else self.when(end), finding,
        )  # fmt: skip

    def when(self, sample: int) -> datetime:
        return self.at + timedelta(seconds=(sample - 5_000) / 250)

    async def open(self) -> Sequence[dict[str, Any]]:
        doctor = self.doctors()[0]
        async with self.databases.app.transaction(doctor, self.at) as conn:
            return await services.open_alarms(conn, doctor, self.at, self.of.id)

    async def own(self, who: Actor, alarm_id: UUID, take_over: bool = False) -> dict[str, Any]:
        async with self.databases.app.transaction(who, self.at) as conn:
            return await services.own_alarm(conn, who, self.at, alarm_id, take_over=take_over)


@pytest.fixture
async def ward(database: Databases, at: datetime) -> Ward:
    built = await world.build(database.admin_dsn)
    async with await world.connect(database.admin_dsn) as admin:
        worn = await monitoring.wear(admin, built.own, at, "holter-1", status="recording")
        await admin.execute("UPDATE recording SET started_at = %s", (at,))
    of = Of(worn.recording_id, worn.patient_id, built.own.organisations["town"])
    return Ward(database, built, at, of)


async def test_an_episode_told_again_is_one_alarm(ward: Ward) -> None:
    await ward.tell(EPISODE)
    await ward.tell(EPISODE, EPISODE)
    assert [alarm["rule"] for alarm in await ward.open()] == ["ventricular-run"]


async def test_a_worse_episode_raises_the_priority_and_never_lowers_it(ward: Ward) -> None:
    await ward.tell(EPISODE, replace(HIGH, numbers={"beats": 40}), EPISODE)
    (alarm,) = await ward.open()
    assert alarm["priority"] == "high"


async def test_a_high_alarm_stays_open_when_its_condition_is_gone(ward: Ward) -> None:
    await ward.tell(HIGH, replace(HIGH, phase="offset", offset_sample=9_000))
    (alarm,) = await ward.open()
    assert (alarm["condition"], alarm["handling"]) == ("gone", "raised")


async def test_a_medium_alarm_nobody_took_is_closed_with_its_condition(ward: Ward) -> None:
    await ward.tell(EPISODE, replace(EPISODE, phase="offset", offset_sample=9_000))
    assert await ward.open() == []


async def test_a_finding_without_priority_is_no_alarm(ward: Ward) -> None:
    await ward.tell(replace(EPISODE, priority=None))
    assert await ward.open() == []


async def test_of_two_who_take_it_at_once_one_owns_it(ward: Ward) -> None:
    await ward.tell(EPISODE)
    (alarm,) = await ward.open()
    results = await asyncio.gather(
        *(ward.own(doctor, alarm["id"]) for doctor in ward.doctors()), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, HubError)]
    assert [refusal.code for refusal in refused] == ["alarm_owned"]


async def test_only_the_owner_resolves_it_and_the_log_tells_all(ward: Ward) -> None:
    await ward.tell(EPISODE)
    (alarm,) = await ward.open()
    first, second = ward.doctors()
    await ward.own(first, alarm["id"])
    async with ward.databases.app.transaction(second, ward.at) as conn:
        with pytest.raises(HubError, match="alarm_not_owner"):
            await services.resolve_alarm(conn, second, ward.at, alarm["id"], "seen")
        await services.own_alarm(conn, second, ward.at, alarm["id"], take_over=True)
        resolved = await services.resolve_alarm(conn, second, ward.at, alarm["id"], "called the patient")
    assert [step["step"] for step in resolved["log"]] == ["raised", "owned", "taken-over", "resolved"]


async def test_a_late_finding_is_an_alarm_only_if_it_is_high(ward: Ward) -> None:
    later = ward.at + timedelta(hours=1)
    await ward.tell(EPISODE, replace(HIGH, onset_sample=6_000), at=later)
    assert [(alarm["priority"], alarm["late"]) for alarm in await ward.open()] == [("high", True)]


async def test_silence_is_one_alarm_until_data_come_again(ward: Ward) -> None:
    heard = (
        "INSERT INTO device_state (device_id, last_seen_at) VALUES ('holter-1', %s) ON CONFLICT (device_id)"
    )
    heard += " DO UPDATE SET last_seen_at = excluded.last_seen_at"
    silent_at = ward.at + timedelta(seconds=61)
    async with await world.connect(ward.databases.admin_dsn) as admin:
        await admin.execute(heard, (ward.at,))
        async with ward.databases.app.transaction(silence.ACTOR, silent_at) as conn:
            assert await silence.raise_no_data(conn, silent_at) == 1
            assert await silence.raise_no_data(conn, silent_at + timedelta(seconds=2)) == 0
        assert [alarm["rule"] for alarm in await ward.open()] == ["no-data"]
        await admin.execute(heard, (silent_at,))
    async with ward.databases.app.transaction(silence.ACTOR, silent_at) as conn:
        await silence.end_no_data(conn, silent_at)
    assert await ward.open() == []


@pytest.mark.parametrize("status", ["ended", "discarded"])
async def test_no_condition_outlives_its_recording(ward: Ward, status: str) -> None:
    """Ingest was restarted in between and knows nothing of it; a high one still waits for somebody to look."""
    await ward.tell(HIGH)
    async with await world.connect(ward.databases.admin_dsn) as admin:
        await admin.execute("UPDATE recording SET status = %s, ended_at = %s", (status, ward.at))
    async with ward.databases.app.transaction(silence.ACTOR, ward.at) as conn:
        assert await silence.end_with_recordings(conn, ward.at) == 1
        assert await silence.end_with_recordings(conn, ward.at) == 0
    assert [alarm["condition"] for alarm in await ward.open()] == ["gone"]


async def test_a_foreign_doctor_takes_no_alarm(ward: Ward) -> None:
    await ward.tell(EPISODE)
    (alarm,) = await ward.open()
    with pytest.raises(HubError, match="not_found"):
        await ward.own(ward.world.foreign.actor("township_doctor"), alarm["id"])


async def test_a_board_shows_of_many_open_alarms_those_nobody_has(ward: Ward) -> None:
    count = board.ALARMS_SHOWN + 3
    episodes = [replace(HIGH, onset_sample=5_000 + number * 2_500) for number in range(count)]
    for onset in episodes:
        await ward.tell(onset, replace(onset, phase="offset", offset_sample=onset.onset_sample + 500))
    doctor, _ = ward.doctors()
    newest = (await ward.open())[0]["id"]
    await ward.own(doctor, newest)
    async with ward.databases.app.transaction(doctor, ward.at) as conn:
        (row,) = await board.running(conn, doctor, ward.at)
    shown = [alarm["id"] for alarm in row["open_alarms"]]
    assert (len(shown), row["alarms_left_out"]) == (board.ALARMS_SHOWN, 3)
    assert str(newest) not in shown
