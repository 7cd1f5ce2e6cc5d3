"""Sessions through the real server: what lets in, what locks out, what ends."""

import asyncio
from datetime import timedelta

import pytest

from hub.core import http
from hub.people import passwords
from hub.people import routes as people_routes
from tests.people.conftest import Clock
from tests.serving import Serving
from tests.world import PASSWORD, World

LOGIN = "own.technician"


async def _try(hub: Serving, password: str, login: str = LOGIN) -> tuple[int, str]:
    body = {"login": login, "password": password}
    async with await hub.anybody().call("POST", "/api/session", body) as response:
        answer = await response.json()
        return response.status, answer.get("error", {}).get("code", "")


async def test_signing_in_gives_a_cookie_that_pages_cannot_read(two: World, hub: Serving) -> None:
    body = {"login": LOGIN.upper(), "password": PASSWORD}
    async with await hub.anybody().call("POST", "/api/session", body) as response:
        me = (await response.json())["me"]
        cookie = response.headers["Set-Cookie"]
    assert me["pages"] == ["desk", "live"] and me["csrf"]
    assert [r["organisation"]["level"] for r in me["roles"]] == ["town"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    token = cookie.split(";")[0]
    async with await hub.http.get(hub.base + "/api/me", headers={"Cookie": token}) as response:
        assert (await response.json())["account"]["login"] == LOGIN


async def test_five_wrong_passwords_lock_for_a_quarter_of_an_hour(
    two: World, hub: Serving, clock: Clock
) -> None:
    outcomes = [await _try(hub, "wrong password 1") for _ in range(5)]
    assert outcomes == [(401, "wrong_credentials")] * 4 + [(401, "locked_out")]
    assert await _try(hub, PASSWORD) == (401, "locked_out")
    clock.at += timedelta(minutes=15)
    assert (await _try(hub, PASSWORD))[0] == 200


async def test_unknown_login_is_answered_like_a_wrong_password(two: World, hub: Serving) -> None:
    assert await _try(hub, PASSWORD, "nobody-here") == await _try(hub, "wrong password 1")


@pytest.mark.parametrize("later", [timedelta(hours=12), timedelta(days=7)])
async def test_a_session_ends_when_idle_and_at_the_latest_after_a_week(
    two: World, hub: Serving, clock: Clock, later: timedelta
) -> None:
    client, end = hub.as_(two.own, "technician"), clock.at + later
    steps = 1 if later <= timedelta(hours=12) else 20  # seen often enough not to be idle
    for _ in range(steps):
        await client.json("GET", "/api/me")
        clock.at += later / steps
    assert clock.at >= end - timedelta(seconds=1)
    clock.at = end
    await client.json("GET", "/api/me", status=401)


async def test_many_who_sign_in_at_once_leave_the_database_to_the_others(
    two: World, hub: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight connections: a crowd that waits for its passwords must not hold them all."""
    held, go_on = 0, asyncio.Event()

    async def slow(_hash: str | None, _password: str) -> bool:
        nonlocal held
        held += 1
        await go_on.wait()
        return False

    monkeypatch.setattr(passwords, "matches", slow)
    crowd = [asyncio.create_task(_try(hub, "wrong password 1", f"nobody-{n}")) for n in range(30)]
    await hub.as_(two.own, "technician").json("GET", "/api/me")
    assert held <= people_routes.SIGN_INS_AT_ONCE
    go_on.set()
    assert {status for status, _ in await asyncio.gather(*crowd)} == {401}


async def test_signing_out_ends_the_session_itself(two: World, hub: Serving) -> None:
    client = hub.as_(two.own, "technician")
    async with await client.call("DELETE", "/api/session") as response:
        assert response.status == 200 and f'{http.SESSION_COOKIE}=""' in response.headers["Set-Cookie"]
    await client.json("GET", "/api/me", status=401)


async def test_writing_needs_the_csrf_token_and_our_own_origin(two: World, hub: Serving) -> None:
    client = hub.as_(two.own, "technician")
    for broken in ({http.CSRF_HEADER: "guess"}, {"Origin": "https://elsewhere.example"}):
        client.headers |= broken
        answer = await client.json("PUT", "/api/me", {"locale": "en"}, status=403)
        assert answer["error"]["code"] == "csrf"
        client = hub.as_(two.own, "technician")
    client.headers["Origin"] = hub.base
    await client.json("PUT", "/api/me", {"locale": "en", "time_zone": "Asia/Urumqi"})
    assert (await client.json("GET", "/api/me"))["account"]["time_zone"] == "Asia/Urumqi"


async def test_odd_bytes_in_cookie_and_token_are_just_wrong(two: World, hub: Serving) -> None:
    for header in ({"Cookie": f"{http.SESSION_COOKIE}=\udce4"}, {http.CSRF_HEADER: "\udce4"}):
        client = hub.as_(two.own, "technician")
        client.headers |= header
        async with await client.call("PUT", "/api/me", {}) as response:
            assert response.status in (401, 403)


async def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(two: World, hub: Serving) -> None:
    async with await hub.anybody().call(
        "POST", "/api/session", {"login": LOGIN, "password": PASSWORD}
    ) as other:
        cookie = {"Cookie": other.headers["Set-Cookie"].split(";")[0]}
    client = hub.as_(two.own, "technician")
    await client.json(
        "POST", "/api/me/password", {"old_password": "no", "new_password": "fresh 2 horses"}, 401
    )
    weak = {"old_password": PASSWORD, "new_password": "short1"}
    assert (await client.json("POST", "/api/me/password", weak, 400))["error"]["code"] == "weak_password"
    await client.json(
        "POST", "/api/me/password", {"old_password": PASSWORD, "new_password": "fresh 2 horses"}
    )
    await client.json("GET", "/api/me")
    async with await hub.http.get(hub.base + "/api/me", headers=cookie) as response:
        assert response.status == 401
    assert (await _try(hub, "fresh 2 horses"))[0] == 200


async def test_disabling_an_account_ends_its_sessions(two: World, hub: Serving) -> None:
    technician = two.own.accounts["technician"]
    await hub.as_(two.own, "organisation_admin").json("POST", f"/api/accounts/{technician}/disable")
    await hub.as_(two.own, "technician").json("GET", "/api/me", status=401)
    assert await _try(hub, PASSWORD) == (401, "wrong_credentials")
