"""Rights that come and go: consents, broken glass, roles, merges; and the open streams that stood on them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from hub.core import http, streams
from hub.core.actor import Actor
from hub.core.db import Database
from hub.people import access, grants, merges
from tests import serving, world
from tests.parts import Databases
from tests.people.conftest import Clock
from tests.serving import Serving
from tests.world import World


async def _watch(request: http.Request) -> None:
    """A stream of one patient, as live pages have it."""
    patient_id = request.uuid("patient_id")
    async with request.transaction() as conn:
        await access.require(conn, request.actor, request.at, "recording.live", patient_id=patient_id)
    async with request.socket("patient", patient_id) as socket:
        while True:
            await socket.send_json({"echo": await socket.receive()})


async def _break(request: http.Request) -> None:
    async with request.socket() as socket:
        await socket.send_json({"lines": len(str(1 / 0))})


BREAK = http.Route("GET", "/break", _break, "me.read", kind="socket")
WATCH = http.Route("GET", "/watch/{patient_id}", _watch, "recording.live", kind="socket")


@pytest.fixture
async def live(two: World, database: Databases, clock: Clock, tmp_path: Path) -> AsyncIterator[Serving]:
    from hub.people.routes import ROUTES

    async with serving.serve(database.app, tmp_path, clock, [*ROUTES, WATCH, BREAK]) as served:
        yield served


@pytest.fixture
async def patient_id(two: World) -> UUID:
    async with await world.connect(two.admin_dsn) as admin:
        return await world.patient(admin, two.own)


async def _allowed(
    db: Database, actor: Actor, at: datetime, patient_id: UUID, action: str = "patient.read"
) -> bool:
    async with db.transaction(actor, at) as conn:
        return await access.allows(conn, actor, at, action, patient_id=patient_id)


async def test_a_family_sees_what_the_patient_opened_until_it_is_taken_back(
    two: World, live: Serving, patient_id: UUID
) -> None:
    family, desk = live.as_(two.own, "family_member"), live.as_(two.own, "village_doctor")
    await family.json("GET", f"/api/patients/{patient_id}", status=403)
    body = {"kind": "family", "given_how": "paper", "given_by": "本人"}
    to = {"to_account_id": str(two.own.accounts["family_member"])}
    consent = await desk.json("POST", f"/api/patients/{patient_id}/consents", body | to)
    await family.json("GET", f"/api/patients/{patient_id}")
    socket = await family.socket(f"/watch/{patient_id}")
    await socket.send_str("hello")
    assert await socket.receive_json() == {"echo": "hello"}
    await desk.json("POST", f"/api/consents/{consent['id']}/withdraw")
    async with asyncio.timeout(5):
        assert (await socket.receive()).data == streams.CLOSE_NOT_ALLOWED
    await family.json("GET", f"/api/patients/{patient_id}", status=403)
    assert len(live.app[http.STREAMS]) == 0


async def test_signing_out_closes_the_streams(two: World, live: Serving, patient_id: UUID) -> None:
    client = live.as_(two.own, "technician")
    socket = await client.socket(f"/watch/{patient_id}")
    await client.json("DELETE", "/api/session")
    async with asyncio.timeout(5):
        assert (await socket.receive()).data == streams.CLOSE_NOT_SIGNED_IN


async def test_a_role_that_ends_closes_the_streams(two: World, live: Serving, patient_id: UUID) -> None:
    admin = live.as_(two.own, "organisation_admin")
    listed = (await admin.json("GET", "/api/accounts"))["accounts"]
    role = next(a["roles"][0]["id"] for a in listed if a["login"] == "own.technician")
    socket = await live.as_(two.own, "technician").socket(f"/watch/{patient_id}")
    await admin.json("DELETE", f"/api/roles/{role}")
    async with asyncio.timeout(5):
        assert (await socket.receive()).data == streams.CLOSE_NOT_ALLOWED


async def test_a_foreign_page_opens_no_stream(two: World, live: Serving, patient_id: UUID) -> None:
    for tenant, role, headers in [
        (two.foreign, "technician", {}),
        (two.own, "auditor", {}),
        (two.own, "technician", {"Origin": "https://elsewhere.example"}),
    ]:
        client = live.as_(tenant, role)
        client.headers |= headers
        async with await client.call("GET", f"/watch/{patient_id}") as response:
            assert response.status in (403, 404)


async def test_a_stream_that_breaks_is_closed_with_a_code(two: World, live: Serving) -> None:
    client = live.as_(two.own, "technician")
    socket = await client.socket("/break")
    async with asyncio.timeout(5):
        assert (await socket.receive()).data == streams.CLOSE_FAILED
    await client.json("GET", "/api/me")


async def test_nobody_opens_streams_without_end(two: World, live: Serving, patient_id: UUID) -> None:
    client = live.as_(two.own, "technician")
    opened = [await client.socket(f"/watch/{patient_id}") for _ in range(streams.STREAMS_PER_ACCOUNT)]
    async with await client.call("GET", f"/watch/{patient_id}") as response:
        assert response.status == 409
    await asyncio.gather(*(socket.close() for socket in opened))


async def test_broken_glass_opens_for_an_hour_and_everybody_concerned_can_see_it(
    two: World, live: Serving, clock: Clock, patient_id: UUID
) -> None:
    reader, desk = live.as_(two.own, "reader"), live.as_(two.own, "village_doctor")
    await reader.json("GET", f"/api/patients/{patient_id}", status=403)
    await reader.json("POST", f"/api/patients/{patient_id}/break-glass", {}, status=400)
    await reader.json("POST", f"/api/patients/{patient_id}/break-glass", {"reason": "胸痛急诊"})
    await reader.json("GET", f"/api/patients/{patient_id}")
    clock.at += timedelta(hours=1)
    await reader.json("GET", f"/api/patients/{patient_id}", status=403)
    log = (await desk.json("GET", f"/api/patients/{patient_id}/access-log"))["entries"]
    assert ("patient.break-glass", "own.reader", "胸痛急诊") in [
        (e["action"], e["actor_name"], e["reason"]) for e in log
    ]


async def test_glass_is_broken_only_inside_the_own_network(
    two: World, live: Serving, database: Databases, patient_id: UUID
) -> None:
    abroad = live.as_(two.foreign, "reader")
    body = {"reason": "curious"}
    await abroad.json("POST", f"/api/patients/{patient_id}/break-glass", body, status=403)
    async with await world.connect(two.admin_dsn) as admin:
        agreement = {
            "from_organisation_id": two.own.organisations["town"],
            "to_organisation_id": two.foreign.organisations["hospital"],
        }
        await world.insert(
            admin, "agreement", id=patient_id, study_kind="holter", valid_from=world.AT, **agreement
        )
    await abroad.json("POST", f"/api/patients/{patient_id}/break-glass", {"reason": "agreed"})


async def test_a_grant_on_one_record_opens_the_merged_one_until_it_is_unmerged(
    two: World, database: Databases, at: datetime
) -> None:
    async with await world.connect(two.admin_dsn) as admin:
        first, second = [await world.patient(admin, two.own) for _ in range(2)]
    doctor, reader = two.own.actor("township_doctor"), two.own.actor("reader")
    async with database.app.transaction(doctor, at) as conn:
        await grants.grant(
            conn, at, reader.account_id, "patient.read", "patient", first,
            reason="test", source_kind="task", source_id=None,
        )  # fmt: skip
    assert not await _allowed(database.app, reader, at, second)
    async with database.app.transaction(doctor, at) as conn:
        await merges.merge_patients(conn, doctor, at, second, first)
    assert await _allowed(database.app, reader, at, second)
    async with database.app.transaction(doctor, at) as conn:
        await merges.unmerge_patient(conn, doctor, at, second)
    assert not await _allowed(database.app, reader, at, second)


async def test_a_grant_opens_only_what_its_action_says(
    two: World, database: Databases, at: datetime, patient_id: UUID
) -> None:
    reader = two.own.actor("reader")
    async with database.app.transaction(reader, at) as conn:
        await grants.grant(
            conn, at, reader.account_id, "alarm.own", "patient", patient_id,
            reason="duty", source_kind="roster", source_id=None,
        )  # fmt: skip
    assert await _allowed(database.app, reader, at, patient_id, "alarm.own")
    assert not await _allowed(database.app, reader, at, patient_id, "recording.read")


async def test_an_administrator_reaches_no_account_with_a_role_above(two: World, live: Serving) -> None:
    town_admin = two.own.accounts["resident"]  # becomes administrator of the town only
    async with await world.connect(two.admin_dsn) as admin:
        await world.give(admin, town_admin, two.own.organisations["town"], "organisation_admin")
        both = two.own.accounts["auditor"]  # auditor of the district, and something in the town
        await world.give(admin, both, two.own.organisations["town"], "technician")
    client, body = live.as_(two.own, "resident"), {"password": "taken over 1"}
    await client.json("POST", f"/api/accounts/{both}/password", body, status=403)
    await client.json("POST", f"/api/accounts/{two.foreign.accounts['reader']}/password", body, status=404)
    await client.json("POST", f"/api/accounts/{two.own.accounts['technician']}/password", body)
