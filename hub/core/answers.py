"""What goes back over HTTP: JSON, bytes and files, errors in both languages, headers that keep pages safe."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import psycopg
from aiohttp import web
from prometheus_client import Counter, Histogram

from hub.core import clock, errors, sending
from hub.core.fields import to_json
from hub.core.logging import failure_place, log
from hub.core.store import Slice

# Pages load only what the hub itself serves; `blob:` for images and workers made by the page. 'wasm-unsafe-eval' lets a
# page compile WebAssembly that the hub served (the decoder of images); strings stay no code.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; worker-src 'self' blob:;"
    " media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PIECE_BYTES = 1 << 20  # of a line that has to take something within a time
SWITCHING = 101  # status of an upgrade to a WebSocket
CALLS = Counter("hub_http_calls_total", "calls answered", ["method", "status"])
SECONDS = Histogram(
    "hub_http_seconds",
    "time to answer a call",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
Handling = Callable[[web.Request], Awaitable[web.StreamResponse]]

CACHE_CONTROL = {
    "no-store": "no-store",
    "revalidate": "no-cache",
    "immutable": "public, max-age=31536000, immutable",
}


@dataclass(frozen=True)
class Bytes:
    """An answer that isn't JSON; a path is streamed from disk with ETag and ranges."""

    body: bytes | Path
    media_type: str
    filename: str | None = None
    cache: Literal["no-store", "revalidate", "immutable"] = "no-store"
    download: bool = False
    status: int = 200
    compress: bool = (
        False  # as the caller accepts it; never of what holds a secret beside what a caller chose
    )


@dataclass(frozen=True)
class Empty:
    """An answer that is all status and headers."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Streamed:
    """An answer in pieces; its makers hold no connection meanwhile.

    Of a size that is known before the first; or None, if the pieces are made one by one while they go out (chunked).
    """

    pieces: Sequence[bytes | Slice] | AsyncIterator[bytes]
    size_bytes: int | None
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


async def stream(raw: web.Request, value: Streamed) -> web.StreamResponse:
    """Send it; once it has begun, a failure can only be told by cutting the line."""
    answer = web.StreamResponse(headers={"Content-Type": value.media_type, **value.headers})
    if value.size_bytes is not None:
        answer.content_length = value.size_bytes
    await answer.prepare(raw)
    try:
        if isinstance(value.pieces, AsyncIterator):
            await _write(answer, value.pieces)
        elif raw.transport is not None:
            await sending.send(raw.transport, value.pieces)
        await answer.write_eof()
    except Exception as cut:
        if not isinstance(cut, (ConnectionError, TimeoutError)):
            log_bug(raw, cut)
        if raw.transport is not None:
            raw.transport.abort()
    return answer


async def _write(answer: web.StreamResponse, pieces: AsyncIterator[bytes]) -> None:
    async for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), PIECE_BYTES):
            async with asyncio.timeout(sending.STALLED_S):
                await answer.write(view[start : start + PIECE_BYTES])


def response(value: Any) -> web.StreamResponse:
    if isinstance(value, Empty):
        return web.Response(status=value.status, headers=value.headers)
    if not isinstance(value, Bytes):
        return web.Response(text=to_json({} if value is None else value), content_type="application/json")
    headers = {"Content-Type": value.media_type, "Cache-Control": CACHE_CONTROL[value.cache]}
    if value.filename is not None:
        how = "attachment" if value.download else "inline"
        headers["Content-Disposition"] = f"{how}; filename*=UTF-8''{quote(value.filename, safe='')}"
    if isinstance(value.body, Path):
        return web.FileResponse(value.body, headers=headers)
    answer = web.Response(body=value.body, headers=headers, status=value.status)
    if value.compress:
        answer.enable_compression()
    return answer


@web.middleware
async def counted(request: web.Request, handler: Handling) -> web.StreamResponse:
    """How many calls were answered how, and how long those took that end (a socket's time says nothing)."""
    begun_s = clock.monotonic_s()
    response = await handler(request)
    method = (
        request.method if request.method in METHODS else "other"
    )  # a caller may make up any number of them
    CALLS.labels(method, str(response.status)).inc()
    if response.status != SWITCHING:
        SECONDS.observe(clock.monotonic_s() - begun_s)
    return response


@web.middleware
async def translate_errors(request: web.Request, handler: Handling) -> web.StreamResponse:
    try:
        return await handler(request)
    except errors.HubError as failure:
        return _error_response(failure)
    except web.HTTPRequestEntityTooLarge:
        return _error_response(errors.error("too_large", limit_bytes=request.client_max_size))
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _error_response(errors.error("not_found"))
    except psycopg.errors.InsufficientPrivilege:
        # Row-level security, the second fence, refused what a service let pass.
        return _error_response(errors.error("not_allowed"))
    except (psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation):
        return _error_response(errors.error("conflict"))
    except (web.HTTPException, asyncio.CancelledError, ConnectionError):
        raise
    except Exception as bug:
        log_bug(request, bug)
        return _error_response(errors.error("internal"))


def log_bug(request: web.Request, bug: Exception) -> None:
    """Where it happened, not what with: a path holds ids, messages of the database quote rows."""
    resource = request.match_info.route.resource
    log("http.bug", path=resource.canonical if resource else "", error=failure_place(bug))


def _error_response(failure: errors.HubError) -> web.Response:
    message = {"zh-CN": failure.zh, "en": failure.en}
    body = {"error": {"code": failure.code, "message": message, "detail": failure.detail}}
    return web.Response(text=to_json(body), status=failure.status, content_type="application/json")


async def add_security_headers(raw: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if headers.get("Content-Type", "").startswith("application/pdf"):
        # The browser's own viewer may frame a report on our page, and brings its own scripts.
        headers["Content-Security-Policy"] = "frame-ancestors 'self'"
        headers["X-Frame-Options"] = "SAMEORIGIN"
    else:
        headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        headers["X-Frame-Options"] = "DENY"
    headers.setdefault("Cache-Control", "no-store")
    if raw.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
