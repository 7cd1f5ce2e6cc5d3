"""A real aiohttp server on a fresh database, and clients that are signed in as somebody of the world."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, DummyCookieJar, web

from hub.core import http
from hub.core.db import Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.index import nodes
from hub.people import access, identity, sessions
from hub.people.routes import KEYS
from tests.world import Tenant

GUARD = http.Guard(access.ACTIONS, access.PUBLIC, sessions.authenticate, sessions.admit, nodes.authenticate)
KEY = identity.Keys(b"e" * 32, b"s" * 32)


@dataclass
class Client:
    """Somebody's browser: cookie and CSRF token on every call."""

    http: ClientSession
    base: str
    headers: dict[str, str]

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> ClientResponse:
        more = self.headers | dict(headers or {})
        sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.request(method, self.base + path, **sent, headers=more)

    async def json(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with await self.call(method, path, body) as response:
            text = await response.text()
            assert response.status == status, f"{method} {path}: {response.status} {text}"
            return await response.json()

    async def socket(self, path: str) -> ClientWebSocketResponse:
        return await self.http.ws_connect(self.base + path, headers=self.headers)


@dataclass
class Serving:
    app: web.Application
    http: ClientSession
    base: str

    def anybody(self) -> Client:
        return Client(self.http, self.base, {})

    def as_(self, tenant: Tenant, role: str) -> Client:
        headers = {"Cookie": f"{http.SESSION_COOKIE}={tenant.token(role)}"}
        return Client(self.http, self.base, headers | {http.CSRF_HEADER: tenant.csrf(role)})


@contextlib.asynccontextmanager
async def serve(
    db: Database,
    data_dir: Path,
    clock: Callable[[], datetime],
    routes: Iterable[http.Route],
    listeners: Iterable[Mapping[str, http.Listener]] = (),
    resources: Mapping[web.AppKey[Any], Any] | None = None,
) -> AsyncIterator[Serving]:
    """The routes behind the hub's own guard, on a free port."""
    app = http.application(
        routes,
        GUARD,
        db=db,
        settings=Settings(data_dir=data_dir),
        store=Store(data_dir / "files"),
        clock=clock,
        listeners=listeners,
        resources={KEYS: KEY} | dict(resources or {}),
    )
    async with serve_application(app) as serving:
        yield serving


@contextlib.asynccontextmanager
async def serve_application(app: web.Application) -> AsyncIterator[Serving]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with ClientSession(cookie_jar=DummyCookieJar()) as client:
            yield Serving(app, client, f"http://{host}:{port}")
    finally:
        await runner.cleanup()
