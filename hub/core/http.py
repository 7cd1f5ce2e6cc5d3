"""HTTP for the domains: declared routes in, one guarded aiohttp application out. Knows no domain.

A domain's `routes.py` lists `Route`s; each names its action, and a route without a known action does not
start. What may be done is asked of the `Guard` the composer hands in: who is calling (session cookie), and
may they do this at all; the service behind the handler then checks the object itself. Errors are translated
here and nowhere else (design section 12).
"""

import asyncio
import contextlib
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from aiohttp import web

from hub.core import answers, errors
from hub.core.actor import ANONYMOUS, Actor
from hub.core.answers import Bytes as Bytes
from hub.core.answers import Empty as Empty
from hub.core.answers import Streamed as Streamed
from hub.core.db import Connection, Database, act_as
from hub.core.fields import Fields
from hub.core.settings import Settings
from hub.core.store import Store
from hub.core.streams import (
    MESSAGE_MAX_BYTES,
    PING_S,
    RECHECK_CHANNEL,
    Allow,
    Socket,
    Stream,
    Streams,
)

T = TypeVar("T")

BODY_MAX_BYTES = 1_048_576
BODY_TIMEOUT_S = 30.0  # a caller that sends slower is not waited for
SESSION_COOKIE = "hub_session"
CSRF_HEADER = "X-CSRF-Token"
CLOSE_WAIT_S = 2.0  # how long a page may take to answer our close frame
SAFE_METHODS = frozenset({"GET", "HEAD"})

Authenticate = Callable[[Connection, str, datetime], Awaitable[tuple[Actor, str] | None]]
AuthenticateToken = Callable[[Connection, str, datetime], Awaitable[Actor | None]]
Handler = Callable[["Request"], Awaitable[Any]]
Listener = Callable[[web.Application, str, str], Awaitable[None]]


@dataclass(frozen=True)
class Route:
    """One declared way in. A "json" handler returns a value, a "bytes" one `Bytes`, a "socket" opens one."""

    method: str
    path: str
    handler: Handler
    action: str
    kind: Literal["json", "bytes", "socket"] = "json"
    loopback_only: bool = False


@dataclass(frozen=True)
class Guard:
    """The access rules, as far as HTTP must know them."""

    actions: Collection[str]  # every action there is
    public: Collection[str]  # those that need nobody signed in
    authenticate: Authenticate  # session token -> (actor, CSRF token)
    allow: Allow  # raises unless the actor may do this action (on this object)
    by_token: AuthenticateToken | None = None  # bearer token of a machine -> actor


DB = web.AppKey("db", Database)
SETTINGS = web.AppKey("settings", Settings)
STORE = web.AppKey("store", Store)
CLOCK: web.AppKey[Callable[[], datetime]] = web.AppKey("clock")
GUARD = web.AppKey("guard", Guard)
STREAMS = web.AppKey("streams", Streams)
ROUTES = web.AppKey("routes", tuple[Route, ...])


class Request:
    """One call: who, when, what they sent, and the hub's resources."""

    def __init__(self, raw: web.Request, route: Route, actor: Actor, csrf: str, at: datetime) -> None:
        self.raw, self.route, self.actor, self.csrf, self.at = raw, route, actor, csrf, at
        self.db = raw.app[DB]
        self.settings = raw.app[SETTINGS]
        self.store = raw.app[STORE]
        self.query = Fields(raw.query, textual=True)
        self.session_token: str | None = None  # set by sign-in; "" by sign-out

    def now(self) -> datetime:
        """The present instant, for sockets, whose `at` grows old."""
        return self.raw.app[CLOCK]()

    def resource(self, key: web.AppKey[T]) -> T:
        """Something the composer put into the application."""
        return self.raw.app[key]

    def transaction(self, at: datetime | None = None) -> AbstractAsyncContextManager[Connection]:
        """A transaction in the caller's name; a socket hands in `request.now()`."""
        return self.db.transaction(self.actor, at or self.at)

    def text(self, name: str) -> str:
        """A path parameter."""
        return self.raw.match_info[name]

    def uuid(self, name: str) -> UUID:
        """A path parameter that is an id."""
        return Fields(self.raw.match_info).uuid(name)

    async def body(self) -> Fields:
        """The JSON object sent; an empty body is an empty object."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                data = await self.raw.read()
        except TimeoutError:
            raise errors.error("bad_json") from None
        if not data:
            return Fields({})
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise errors.error("bad_json") from None
        if not isinstance(value, dict):
            raise errors.error("bad_json")
        return Fields(value)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; ConnectionError or TimeoutError where it ends too early."""
        while True:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                try:
                    chunk = await self.raw.content.readany()
                except web.RequestPayloadError as cut:
                    raise ConnectionError("the line was cut") from cut
            if not chunk:
                return
            yield chunk

    @contextlib.asynccontextmanager
    async def socket(
        self, object_kind: str | None = None, object_id: UUID | None = None
    ) -> AsyncIterator[Socket]:
        """Open the WebSocket, after the access check; the body ends when the page or its right does."""
        streams = self.raw.app[STREAMS]
        streams.require_room(self.actor)
        ws = web.WebSocketResponse(
            timeout=CLOSE_WAIT_S, heartbeat=PING_S, compress=False, max_msg_size=MESSAGE_MAX_BYTES
        )
        await ws.prepare(self.raw)
        self.raw[_UPGRADED] = ws
        stream = Stream(self.actor, self.route.action, object_kind, object_id, Socket(ws))
        async with streams.opened(stream) as socket:
            yield socket


_UPGRADED = web.RequestKey("upgraded", web.WebSocketResponse)


def application(
    routes: Iterable[Route],
    guard: Guard,
    *,
    db: Database,
    settings: Settings,
    store: Store,
    clock: Callable[[], datetime],
    listeners: Iterable[Mapping[str, Listener]] = (),
    resources: Mapping[web.AppKey[Any], Any] | None = None,
) -> web.Application:
    """The guarded application; refuses undeclared actions and a path declared twice."""
    declared = tuple(routes)
    _require_sound(declared, guard)
    app = web.Application(
        client_max_size=BODY_MAX_BYTES, middlewares=[answers.counted, answers.translate_errors]
    )
    app[DB], app[SETTINGS], app[STORE], app[CLOCK], app[GUARD] = db, settings, store, clock, guard
    app[STREAMS] = Streams(db, guard.allow, clock)
    app[ROUTES] = declared
    for key, value in (resources or {}).items():
        app[key] = value
    for route in declared:
        app.router.add_route(route.method, route.path, partial(_serve, route))
    app.on_response_prepare.append(answers.add_security_headers)
    app.cleanup_ctx.append(partial(_background, _by_channel([{RECHECK_CHANNEL: _recheck}, *listeners])))
    app.on_shutdown.append(_close_streams)
    return app


def _require_sound(routes: tuple[Route, ...], guard: Guard) -> None:
    seen: set[tuple[str, str]] = set()
    for route in routes:
        if route.action not in guard.actions:
            raise ValueError(f"{route.method} {route.path}: unknown action {route.action!r}")
        if (route.method, route.path) in seen:
            raise ValueError(f"{route.method} {route.path} is declared twice")
        seen.add((route.method, route.path))


async def _serve(route: Route, raw: web.Request) -> web.StreamResponse:
    _require_same_origin(route, raw)
    if route.loopback_only:
        _require_loopback(raw)
    request = await _admit(route, raw)
    if route.kind == "socket":
        return await _serve_socket(request)
    value = await route.handler(request)
    if isinstance(value, Streamed):
        return await answers.stream(raw, value)
    response = answers.response(value)
    if request.session_token is not None:
        _set_session(response, request)
    return response


async def _serve_socket(request: Request) -> web.StreamResponse:
    """Before the upgrade an error is answered like any other; after it the socket has been closed with a code."""
    try:
        await request.route.handler(request)
    except Exception as failure:
        if _UPGRADED not in request.raw:
            raise
        if not isinstance(failure, errors.HubError):
            answers.log_bug(request.raw, failure)
    return request.raw[_UPGRADED]


async def _admit(route: Route, raw: web.Request) -> Request:
    """Who is calling, and may they do this at all."""
    at, guard = raw.app[CLOCK](), raw.app[GUARD]
    if route.action in guard.public:
        return Request(raw, route, ANONYMOUS, "", at)
    token = raw.cookies.get(SESSION_COOKIE)
    bearer = raw.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token and bearer and guard.by_token is not None:
        return Request(raw, route, await _machine(guard, guard.by_token, raw, route, bearer), "", at)
    if not token:
        raise errors.error("not_signed_in")
    async with raw.app[DB].transaction(ANONYMOUS, at) as conn:
        caller = await guard.authenticate(conn, token, at)
        if caller is None:
            raise errors.error("not_signed_in")
        actor, csrf = caller
        if raw.method not in SAFE_METHODS:
            _require_csrf(raw, csrf)
        await guard.allow(conn, actor, at, route.action, None, None)
    return Request(raw, route, actor, csrf, at)


async def _machine(
    guard: Guard, by_token: AuthenticateToken, raw: web.Request, route: Route, token: str
) -> Actor:
    """A machine that shows a token: no cookie, so no page can make a browser send it."""
    at = raw.app[CLOCK]()
    async with raw.app[DB].transaction(ANONYMOUS, at) as conn:
        actor = await by_token(conn, token, at)
        if actor is None:
            raise errors.error("not_signed_in")
        await act_as(conn, actor, at)
        await guard.allow(conn, actor, at, route.action, None, None)
    return actor


def _require_csrf(raw: web.Request, csrf: str) -> None:
    sent = raw.headers.get(CSRF_HEADER, "").encode("utf-8", "replace")
    if not hmac.compare_digest(sent, csrf.encode()):
        raise errors.error("csrf")


def _require_same_origin(route: Route, raw: web.Request) -> None:
    """A browser names the page that asks; one from elsewhere neither writes nor opens a socket."""
    origin = raw.headers.get("Origin")
    if origin is None or (raw.method in SAFE_METHODS and route.kind != "socket"):
        return
    public_url = raw.app[SETTINGS].public_url
    ours = {raw.host, urlsplit(public_url).netloc if public_url else raw.host}
    if urlsplit(origin).netloc not in ours:
        raise errors.error("csrf")


def _require_loopback(raw: web.Request) -> None:
    """For this machine only; a request a proxy forwarded comes from elsewhere."""
    try:
        near = ipaddress.ip_address(raw.remote or "").is_loopback
    except ValueError:
        near = False
    if not near or "X-Forwarded-For" in raw.headers or "Forwarded" in raw.headers:
        raise errors.error("not_found")


def _set_session(response: web.StreamResponse, request: Request) -> None:
    settings = request.settings
    public_url = settings.public_url or ""
    attributes: dict[str, Any] = {
        "httponly": True,
        "samesite": "Strict",
        "path": "/",
        "secure": request.raw.secure or public_url.startswith("https:") or bool(settings.trusted_proxies),
    }
    if request.session_token:
        response.set_cookie(SESSION_COOKIE, request.session_token, **attributes)
    else:
        response.del_cookie(SESSION_COOKIE, **attributes)


def _by_channel(listeners: Iterable[Mapping[str, Listener]]) -> dict[str, list[Listener]]:
    channels: dict[str, list[Listener]] = {}
    for table in listeners:
        for channel, listener in table.items():
            channels.setdefault(channel, []).append(listener)
    return channels


async def _background(channels: dict[str, list[Listener]], app: web.Application) -> AsyncIterator[None]:
    """The process's one LISTEN session and the sweep of rights, while the application runs."""

    async def on_notify(channel: str, payload: str) -> None:
        heard = channels[channel] if channel else {f: None for fs in channels.values() for f in fs}
        for listener in heard:
            await listener(app, channel, payload)

    running = [
        asyncio.create_task(app[DB].listen(sorted(channels), on_notify)),
        asyncio.create_task(app[STREAMS].sweep()),
    ]
    for task in running:
        task.add_done_callback(_report_end)
    yield
    for task in running:
        task.cancel()
    await asyncio.wait(running)


def _report_end(task: asyncio.Task[None]) -> None:
    """A task that should run for ever ended by a bug: tell the loop's handler, which ends the process."""
    if not task.cancelled():
        context = {"message": "a background task of the web process ended", "exception": task.exception()}
        task.get_loop().call_exception_handler(context)


async def _recheck(app: web.Application, _channel: str, payload: str) -> None:
    await app[STREAMS].on_notify(payload)


async def _close_streams(app: web.Application) -> None:
    await app[STREAMS].close_all()
