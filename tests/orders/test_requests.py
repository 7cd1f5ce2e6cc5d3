"""Requests of the desk: a Holter needs a consent, a request ends once, and a page hears that the list changed."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from hub.orders import requests
from tests import world
from tests.parts import Databases
from tests.serving import Client, Serving
from tests.world import World

CONSENT = {"kind": "monitoring", "given_how": "paper", "given_by": "本人"}


@pytest.fixture
async def patient_id(two: World) -> UUID:
    async with await world.connect(two.admin_dsn) as admin:
        return await world.patient(admin, two.own)


@pytest.fixture
def desk(two: World, hub: Serving) -> Client:
    return hub.as_(two.own, "technician")


async def _ask(desk: Client, patient_id: UUID, status: int = 200, **more: Any) -> Any:
    body = {"patient_id": str(patient_id), "kind": "holter", "question": "心悸待查"} | more
    return await desk.json("POST", "/api/requests", body, status)


async def _consented(desk: Client, patient_id: UUID) -> str:
    return str((await desk.json("POST", f"/api/patients/{patient_id}/consents", CONSENT))["id"])


async def test_a_holter_needs_a_consent_that_still_stands(desk: Client, patient_id: UUID) -> None:
    assert (await _ask(desk, patient_id, 409))["error"]["code"] == "consent_needed"
    await _ask(desk, patient_id, kind="ecg-12-lead")
    consent = await _consented(desk, patient_id)
    made = (await _ask(desk, patient_id, pacemaker=True, priority="urgent"))["request"]
    assert made["status"] == "active" and made["pacemaker"] and made["patient"]["name"] == "王建国"
    await desk.json("POST", f"/api/consents/{consent}/withdraw")
    await _ask(desk, patient_id, 409)


async def test_lists_are_of_the_own_patients_only(
    two: World, hub: Serving, desk: Client, patient_id: UUID
) -> None:
    await _consented(desk, patient_id)
    made = (await _ask(desk, patient_id))["request"]
    queries = [
        "",
        "?status=active",
        f"?patient_id={patient_id}",
        f"?organisation_id={two.own.organisations['town']}",
    ]
    for query in queries:
        listed = (await desk.json("GET", f"/api/requests{query}"))["requests"]
        assert [r["id"] for r in listed] == [made["id"]], query
    assert (await desk.json("GET", "/api/requests?status=revoked"))["requests"] == []
    assert (await hub.as_(two.foreign, "technician").json("GET", "/api/requests"))["requests"] == []


async def test_a_request_ends_once(two: World, database: Databases, desk: Client, patient_id: UUID) -> None:
    await _consented(desk, patient_id)
    made = (await _ask(desk, patient_id))["request"]["id"]
    await desk.json("POST", f"/api/requests/{made}/cancel", {"reason": "患者转院"})
    shown = (await desk.json("GET", f"/api/requests/{made}"))["request"]
    assert (shown["status"], shown["revoked_reason"]) == ("revoked", "患者转院")
    await desk.json("POST", f"/api/requests/{made}/cancel", {"reason": "again"}, status=409)
    actor = two.own.actor("technician")
    async with database.app.transaction(actor, world.AT) as conn:
        await requests.complete_request(conn, actor, world.AT, UUID(made))
    assert (await desk.json("GET", f"/api/requests/{made}"))["request"]["status"] == "revoked"


async def test_an_open_page_hears_that_requests_changed(hub: Serving, desk: Client, patient_id: UUID) -> None:
    await _consented(desk, patient_id)
    socket = await desk.socket("/api/changes")
    await _ask(desk, patient_id)
    async with asyncio.timeout(5):
        while "requests" not in (await socket.receive_json())["changed"]:
            pass
    await socket.close()
