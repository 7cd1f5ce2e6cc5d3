"""Residents at the desk: registered once, found again, never across a border."""

from typing import Any

import pytest

from tests.serving import Client, Serving
from tests.world import World

ID = "11010519491231002X"
LI = {
    "name": "李秀英",
    "sex": "female",
    "birth_date": "1949-12-31",
    "id_type": "resident-id",
    "id_number": ID,
}
CHILD = {"name": "小明", "sex": "male", "birth_date": "2015-01-01", "id_type": "none"}


@pytest.fixture
def desk(two: World, hub: Serving) -> Client:
    return hub.as_(two.own, "village_doctor")


@pytest.fixture
def abroad(two: World, hub: Serving) -> Client:
    return hub.as_(two.foreign, "village_doctor")


async def _found(client: Client, query: str) -> list[str]:
    return [p["id"] for p in (await client.json("GET", f"/api/patients?q={query}"))["patients"]]


async def _refused(client: Client, body: dict[str, Any], status: int) -> dict[str, Any]:
    error: dict[str, Any] = (await client.json("POST", "/api/patients", body, status))["error"]
    return error


async def test_registered_and_found_by_name_number_and_hash(desk: Client) -> None:
    patient = (await desk.json("POST", "/api/patients", LI))["patient"]
    assert patient["age_years"] == 76 and patient["id_number_masked"] == "110*************2X"
    for query in ("李秀", "李秀英", ID, ID.lower(), "110105 19491231 002x", ""):
        assert await _found(desk, query) == [patient["id"]], query
    for query in ("秀英", "11010519491231", "%25", "_"):
        assert await _found(desk, query) == []


async def test_the_same_document_is_a_conflict_that_names_the_record(desk: Client) -> None:
    patient = (await desk.json("POST", "/api/patients", LI))["patient"]
    error = await _refused(desk, LI | {"name": "李秀珍", "confirm_duplicate": True}, 409)
    assert error["code"] == "patient_exists" and error["detail"]["patient_id"] == patient["id"]


async def test_a_namesake_of_the_same_day_is_a_warning_until_confirmed(desk: Client) -> None:
    first = (await desk.json("POST", "/api/patients", LI))["patient"]
    again = LI | {"id_type": "none", "id_number": ""}
    answer = await desk.json("POST", "/api/patients", again)
    assert answer["patient"] is None and [w["id"] for w in answer["warnings"]] == [first["id"]]
    confirmed = await desk.json("POST", "/api/patients", again | {"confirm_duplicate": True})
    assert confirmed["patient"]["id"] != first["id"]


async def test_nobody_learns_who_is_registered_elsewhere(desk: Client, abroad: Client) -> None:
    patient = (await desk.json("POST", "/api/patients", LI))["patient"]
    for query in ("李", ID, ""):
        assert await _found(abroad, query) == []
    await abroad.json("GET", f"/api/patients/{patient['id']}", status=404)
    theirs = await abroad.json("POST", "/api/patients", LI)
    assert theirs["patient"]["id"] != patient["id"] and theirs["warnings"] == []


async def test_a_child_needs_a_guardian(desk: Client) -> None:
    assert (await _refused(desk, CHILD, 400))["code"] == "guardian_needed"
    guardian = {"guardian_name": "王芳", "guardian_phone": "13800000000"}
    patient = (await desk.json("POST", "/api/patients", CHILD | guardian))["patient"]
    assert (await desk.json("GET", f"/api/patients/{patient['id']}"))["patient"]["guardian_name"] == "王芳"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": " "}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"sex": "f"}, "sex"),
    ({"birth_date": "2049-12-31"}, "birth_date"),
    ({"birth_date": "31.12.1949"}, "birth_date"),
    ({"id_number": ""}, "id_number"),
    ({"id_number": ID[:-1] + "1"}, "id_number"),
    ({"confirm_duplicate": "yes"}, "confirm_duplicate"),
]


async def test_the_error_names_the_field(desk: Client) -> None:
    for change, field in WRONG:
        assert (await _refused(desk, LI | change, 400))["detail"]["field"] == field, change


async def test_who_works_in_several_places_says_for_which(two: World, hub: Serving) -> None:
    doctor = two.own.accounts["township_doctor"]
    admin = hub.as_(two.own, "organisation_admin")
    village = str(two.own.organisations["village"])
    await admin.json(
        "POST", f"/api/accounts/{doctor}/roles", {"role": "village_doctor", "organisation_id": village}
    )
    desk = hub.as_(two.own, "township_doctor")
    assert (await _refused(desk, LI, 400))["detail"]["field"] == "organisation_id"
    answer = await desk.json("POST", "/api/patients", LI | {"organisation_id": village})
    assert answer["patient"]["organisation"]["id"] == village


async def test_the_access_log_tells_who_looked(two: World, hub: Serving, desk: Client) -> None:
    patient = (await desk.json("POST", "/api/patients", LI))["patient"]
    await hub.as_(two.own, "technician").json("GET", f"/api/patients/{patient['id']}")
    log = (await desk.json("GET", f"/api/patients/{patient['id']}/access-log"))["entries"]
    assert [(e["action"], e["actor_name"]) for e in log] == [
        ("patient.read", "own.technician"),
        ("patient.read", "own.village-doctor"),
        ("patient.register", "own.village-doctor"),
    ]
