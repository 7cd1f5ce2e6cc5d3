"""HTTP at its edges: a caller may be slow or make things up, and the process stays as small as it was."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from hub.core import http
from hub.core.http import Request, Route
from tests.parts import Databases
from tests.serving import Serving, serve


async def _take(request: Request) -> dict[str, int]:
    return {"fields": len((await request.body()).values)}


@pytest.fixture
async def hub(database: Databases, tmp_path: Path, at: datetime) -> AsyncIterator[Serving]:
    route = Route("POST", "/take", _take, "session.open")
    async with serve(database.app, tmp_path, lambda: at, [route]) as serving:
        yield serving


async def test_caller_that_never_sends_its_body_is_not_waited_for(
    hub: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.base.rpartition(":")[2]))
    writer.write(b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    async with asyncio.timeout(10):
        assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_made_up_methods_make_no_new_numbers(hub: Serving) -> None:
    async with await hub.anybody().call("PROPFIND", "/take") as response:
        assert response.status == 404
    labels = {
        sample.labels["method"]
        for family in REGISTRY.collect()
        if family.name == "hub_http_calls"
        for sample in family.samples
    }
    assert "other" in labels and "PROPFIND" not in labels


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"[]", b"{", b'{"a": "\xff"}']
)
async def test_odd_json_is_refused(hub: Serving, body: bytes) -> None:
    async with hub.http.post(f"{hub.base}/take", data=body) as response:
        assert (await response.json())["error"]["code"] == "bad_json"


async def test_a_body_without_end_is_cut(hub: Serving) -> None:
    async with hub.http.post(f"{hub.base}/take", data=BytesIO(b" " * (http.BODY_MAX_BYTES + 1))) as response:
        assert (await response.json())["error"]["code"] == "too_large"
