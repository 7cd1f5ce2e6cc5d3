"""Open streams: each WebSocket stands here as (actor, action, object); a lost right closes it within 1 s.

A grant, role or session that changes is told by NOTIFY `hub_grant`; rights that run out by themselves (a
break-glass hour, an idle session) are found by a sweep. Whether a stream may go on is asked of `Allow`, given
by the composer.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from aiohttp import WSMsgType, web
from prometheus_client import Gauge

from hub.core import clock, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Database
from hub.core.fields import to_json

RECHECK_CHANNEL = "hub_grant"
SWEEP_S = 5.0
STREAMS_PER_ACCOUNT = 24
# While the database is away no right can be asked for, nor taken back by anybody: who looks goes on looking. But a
# right may run out by itself meanwhile, and we alone may be cut off, so not for ever.
UNCHECKED_MAX_S = 1_800.0
SEND_TIMEOUT_S = 10.0  # a page that takes nothing for this long is gone (design section 9)
PING_S = 20.0
MESSAGE_MAX_BYTES = 65_536
INBOX_MESSAGES = 64

# Close codes of our own (RFC 6455 7.4.2), named in docs/protocol.
CLOSE_GOING_AWAY = 1001
CLOSE_TOO_MUCH = 1008
CLOSE_FAILED = 1011
CLOSE_NOT_SIGNED_IN = 4401
CLOSE_NOT_ALLOWED = 4403

OPEN = Gauge("hub_http_streams", "open WebSockets of pages")

Allow = Callable[[Connection, Actor, datetime, str, str | None, UUID | None], Awaitable[None]]


class SocketClosed(Exception):
    """The page is gone; ends the handler quietly."""


class Socket:
    """One page's WebSocket: sends wait for the page to take them, what it says waits in a bounded inbox."""

    def __init__(self, ws: web.WebSocketResponse) -> None:
        self._ws = ws
        self._inbox: asyncio.Queue[str | bytes] = asyncio.Queue(INBOX_MESSAGES)
        self._closing: set[asyncio.Task[None]] = set()  # a task nobody holds may vanish

    @property
    def closed(self) -> bool:
        return self._ws.closed

    async def send_json(self, value: Any) -> None:
        await self._send(self._ws.send_str(to_json(value)))

    async def send_bytes(self, value: bytes) -> None:
        await self._send(self._ws.send_bytes(value))

    async def receive(self) -> str | bytes:
        """The next message of the page; a stream that closes cancels whoever waits here."""
        return await self._inbox.get()

    async def close(self, code: int = CLOSE_GOING_AWAY, reason: str = "") -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._ws.close(code=code, message=reason.encode())

    def end(self, code: int, reason: str) -> None:
        """Close without waiting for a page that may never answer."""
        closing = asyncio.create_task(self.close(code, reason))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def read_until_closed(self) -> None:
        """Fill the inbox until the page leaves or says more than anybody reads."""
        async for message in self._ws:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            try:
                self._inbox.put_nowait(message.data)
            except asyncio.QueueFull:
                await self.close(CLOSE_TOO_MUCH, "too many messages")

    async def _send(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await sending
        except (ConnectionError, TimeoutError) as failure:
            raise SocketClosed from failure


@dataclass(eq=False)
class Stream:
    """An open socket and the right it stands on."""

    actor: Actor
    action: str
    object_kind: str | None
    object_id: UUID | None
    socket: Socket
    checked_s: float = field(default_factory=clock.monotonic_s)  # its right was last confirmed


class Streams:
    """All open sockets of this process."""

    def __init__(self, db: Database, allow: Allow, clock: Callable[[], datetime]) -> None:
        self._db, self._allow, self._clock = db, allow, clock
        self._open: set[Stream] = set()

    def __len__(self) -> int:
        return len(self._open)

    def require_room(self, actor: Actor) -> None:
        """A person has only so many pages; asked before the upgrade, so the answer is an ordinary error."""
        if sum(stream.actor.id == actor.id for stream in self._open) >= STREAMS_PER_ACCOUNT:
            raise errors.error("too_many_streams", limit=STREAMS_PER_ACCOUNT)

    @contextlib.asynccontextmanager
    async def opened(self, stream: Stream) -> AsyncIterator[Socket]:
        """Registered while the body runs; the body is cancelled when either side closes the socket."""
        self._open.add(stream)
        OPEN.inc()
        try:
            await self._close_if_refused(stream)  # the right may have ended before it was registered here
            async with _ended_by(stream.socket.read_until_closed()):
                yield stream.socket
        except SocketClosed:
            pass
        except Exception as failure:
            await stream.socket.close(_close_code(failure), "ended by an error")
            raise
        finally:
            self._open.discard(stream)
            OPEN.dec()
            await stream.socket.close()

    async def on_notify(self, payload: str) -> None:
        """A change of rights; an empty payload (listening was interrupted) or no account means: anybody's."""
        account = json.loads(payload).get("account_id") if payload else None
        await self.recheck(account)

    async def recheck(self, account: str | None = None) -> None:
        """Close every stream (of one account) whose right is gone."""
        concerned = [stream for stream in self._open if account in (None, stream.actor.id)]
        unknown = 0
        for stream in concerned:
            unknown += not await self._close_if_refused(stream)
            if unknown > 1:  # not a hiccup: the others would only wait as long each
                return self._close_long_unchecked()

    async def sweep(self) -> None:
        """Find rights that ran out by themselves, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.recheck()

    async def close_all(self) -> None:
        await asyncio.gather(*(s.socket.close(CLOSE_GOING_AWAY, "hub stops") for s in list(self._open)))

    async def _close_if_refused(self, stream: Stream) -> bool:
        """Whether the right could be asked for."""
        try:
            code = await self._refusal(stream)
        except errors.Unavailable:
            return False  # nothing is known while the database is away; the next sweep asks again
        if code is not None:
            stream.socket.end(code, "right ended")
        stream.checked_s = clock.monotonic_s()
        return True

    def _close_long_unchecked(self) -> None:
        before_s = clock.monotonic_s() - UNCHECKED_MAX_S
        for stream in [one for one in self._open if one.checked_s < before_s]:
            stream.socket.end(CLOSE_NOT_ALLOWED, "right could not be confirmed for too long")

    async def _refusal(self, stream: Stream) -> int | None:
        at = self._clock()
        try:
            async with self._db.transaction(stream.actor, at) as conn:
                await self._allow(conn, stream.actor, at, stream.action, stream.object_kind, stream.object_id)
        except errors.Unavailable:
            raise
        except errors.HubError as refusal:
            return _close_code(refusal)
        return None


def _close_code(failure: Exception) -> int:
    if isinstance(failure, errors.NotAuthenticated):
        return CLOSE_NOT_SIGNED_IN
    if isinstance(failure, (errors.NotAllowed, errors.NotFound)):
        return CLOSE_NOT_ALLOWED
    return CLOSE_FAILED


@contextlib.asynccontextmanager
async def _ended_by(reading: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the body beside the reader of its socket; when the reader ends, the body is cancelled, quietly."""
    body = asyncio.current_task()
    assert body is not None  # the event loop runs us
    reader = asyncio.create_task(reading)

    def end_body(_: asyncio.Task[None]) -> None:
        body.cancel()

    reader.add_done_callback(end_body)
    try:
        try:
            yield
        finally:
            reader.remove_done_callback(end_body)
            reader.cancel()
            await asyncio.wait([reader])
    except asyncio.CancelledError:
        if reader.cancelled() or body.uncancel() > 0:
            raise  # somebody else cancelled the body: the server stops
