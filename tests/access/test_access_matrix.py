"""Every role x every route x own and foreign objects, through the real server, against the table of actions."""

import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from aiohttp import ClientResponse, WSServerHandshakeError, web

from hub.app import RETENTION, web_application
from hub.core import http
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.pictures import rendering
from hub.imaging.pictures.image_routes import RENDERER
from hub.operations.live import WATCH, Watch
from hub.people import access
from hub.people.routes import SWEEPERS
from hub.telemetry.feed import FEED, Feed
from tests import serving, world
from tests.access import objects
from tests.access.expectations import CALLS, ROOT_ONLY, Call, expected, has_object, key, names, routes
from tests.parts import Databases
from tests.serving import Client, Serving
from tests.world import Admin, Tenant, World

REFUSED = {401, 403, 404}
ROLES = (None, *access.ROLES)
# Ends the session it is called with: called last.
LAST = "DELETE /api/session"


@pytest.fixture
async def two(database: Databases) -> World:
    return await world.build(database.admin_dsn)


@pytest.fixture
async def hub(two: World, database: Databases, tmp_path: Path) -> AsyncIterator[Serving]:
    settings = Settings(data_dir=tmp_path)
    feed = Feed(settings, lambda: world.AT)  # without a broker: nothing comes
    watch = Watch(settings, database.app, feed, lambda: world.AT)
    async with rendering.resident() as renderer:
        parts = routes(), (), {FEED: feed, WATCH: watch, SWEEPERS: RETENTION, RENDERER: renderer}
        async with serving.serve(database.app, tmp_path, lambda: world.AT, *parts) as served:
            yield served


@pytest.fixture
async def admin(two: World) -> AsyncIterator[Admin]:
    async with await world.connect(two.admin_dsn) as connection:
        yield connection


@pytest.fixture
def files(tmp_path: Path) -> Store:
    return Store(tmp_path / "files")


def _client(hub: Serving, tenant: Tenant, role: str | None) -> Client:
    return hub.anybody() if role is None else hub.as_(tenant, role)


async def _call(admin: Admin, client: Client, route: http.Route, case: objects.Case) -> int:
    """The status of a call that is right in everything but perhaps the caller."""
    for name in ("patient_id", *names(route)):
        await objects.make(admin, case, name)
    call = CALLS.get(key(route), Call())
    if call.prepare:
        await admin.execute(call.prepare, case.ids | case.tenant.accounts)  # type: ignore[call-overload]
    path = re.sub(r":[^}]*}", "}", route.path)
    for name, value in case.ids.items():
        path = path.replace(f"{{{name}}}", str(value))
    assert "{" not in path, f"say in MAKERS how to make what {route.path} names"
    if route.kind == "socket":
        return await _upgrade(client, path + call.query(case))
    body = None if route.method == "GET" else call.body(case)
    async with await client.call(route.method, path + call.query(case), body, call.headers(case)) as response:
        return await _status(response)


async def _upgrade(client: Client, path: str) -> int:
    try:
        socket = await client.socket(path)
    except WSServerHandshakeError as refused:
        return refused.status
    await socket.close()
    return 200


async def _status(response: ClientResponse) -> int:
    await response.read()
    return response.status


async def test_nobody_gets_what_the_table_does_not_give(
    two: World, hub: Serving, admin: Admin, files: Store
) -> None:
    unexpected = []
    for route in routes():
        cases = {True: objects.Case(two.own, files), False: objects.Case(two.foreign, files)}
        for role in ROLES:
            for own, case in cases.items():
                if expected(route, role, own) == "refuse" and (own or has_object(route)):
                    status = await _call(admin, _client(hub, two.own, role), route, case)
                    if status not in REFUSED:
                        unexpected.append(f"{role} {key(route)} {'own' if own else 'foreign'}: {status}")
    assert unexpected == []


async def test_who_may_gets_through(two: World, hub: Serving, admin: Admin, files: Store) -> None:
    """Else the test above would praise a hub that refuses everybody."""
    refused, answered = [], set()
    for route in sorted(routes(), key=lambda route: key(route) == LAST):
        for role in ROLES:
            if expected(route, role, own=True) == "pass":
                status = await _call(admin, _client(hub, two.own, role), route, objects.Case(two.own, files))
                if status in REFUSED or status >= 500:
                    refused.append(f"{role} {key(route)}: {status}")
                if 200 <= status < 300:
                    answered.add(key(route))
    assert refused == []
    assert {key(route) for route in routes()} - answered == ROOT_ONLY


async def test_a_foreign_device_is_not_paired(two: World, hub: Serving, admin: Admin) -> None:
    own, foreign = objects.Case(two.own), objects.Case(two.foreign)
    request = await objects.make(admin, own, "request_id")
    body = {"device_id": str(await objects.make(admin, foreign, "device_id"))}
    client = hub.as_(two.own, "technician")
    await client.json("POST", f"/api/requests/{request}/recordings", body, status=404)


async def test_lists_hold_nothing_of_a_foreign_tenant(
    two: World, hub: Serving, admin: Admin, files: Store
) -> None:
    own = objects.Case(two.own, files)
    for name in objects.MAKERS:
        await objects.make(admin, own, name)
    told = {str(value) for value in own.ids.values()}
    asked = "&".join(f"{name}={value}" for name, value in own.ids.items())
    for route in routes():
        if route.method != "GET" or route.kind == "socket" or has_object(route):
            continue
        for role in access.ROLES:
            for path in (route.path, f"{route.path}?{asked}"):
                async with await hub.as_(two.foreign, role).call("GET", path) as response:
                    text = await response.text()
                assert not [value for value in told if value in text], f"{role} {path}"


def _registered(app: web.Application) -> set[tuple[str, str]]:
    return {(r.method, r.resource.canonical) for r in app.router.routes() if r.resource is not None}


def _declared(declared: Iterable[http.Route]) -> set[tuple[str, str]]:
    return {(route.method, re.sub(r":[^}]*}", "}", route.path)) for route in declared}


async def test_the_hub_serves_what_its_domains_declare_and_pages(
    two: World, database: Databases, tmp_path: Path, files: Store
) -> None:
    settings = Settings(data_dir=tmp_path)
    feed = Feed(settings, lambda: world.AT)
    watch = Watch(settings, database.app, feed, lambda: world.AT)
    served = web_application(settings, database.app, files, feed, watch)
    pages = [route for route in served[http.ROUTES] if route.action == "page.read"]
    assert _registered(served) == _declared([*routes(), *pages])


async def test_a_handler_put_past_the_declarations_is_found(
    hub: Serving, tmp_path: Path, files: Store
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    app = http.application(
        routes(), serving.GUARD, db=hub.app[http.DB], settings=Settings(data_dir=tmp_path), store=files,
        clock=lambda: world.AT,
    )  # fmt: skip
    app.router.add_post("/api/everything", answer)
    assert _registered(app) - _declared(routes()) == {("POST", "/api/everything")}


async def test_a_route_without_a_known_action_does_not_start(database: Databases, tmp_path: Path) -> None:
    async def handler(_request: http.Request) -> None: ...

    with pytest.raises(ValueError, match="unknown action"):
        http.application(
            [http.Route("GET", "/api/new", handler, "new.read")], serving.GUARD, db=database.app,
            settings=Settings(data_dir=tmp_path), store=Store(tmp_path), clock=lambda: world.AT,
        )  # fmt: skip
