"""The sandbox: a value for good bytes, a named failure for everything a hostile file can do."""

import asyncio
from pathlib import Path

import pytest

from hub.core import sandbox


async def sandboxed(name: str, payload: bytes = b"", timeout_s: float = 20, memory_mb: int = 512) -> bytes:
    return await sandbox.run(f"tests.core.sandboxed:{name}", payload, timeout_s, memory_mb)


async def test_bytes_in_bytes_out() -> None:
    payload = bytes(range(256)) * 5000
    assert await sandboxed("reverse", payload) == payload[::-1]


@pytest.mark.parametrize(
    ("name", "reason"), [("refuse", "refused"), ("bug", "crashed"), ("die", "crashed"), ("devour", "crashed")]
)
async def test_failure_is_named(name: str, reason: str) -> None:
    with pytest.raises(sandbox.SandboxFailed) as failure:
        await sandboxed(name)
    assert failure.value.reason == reason


async def test_refusal_says_why() -> None:
    with pytest.raises(sandbox.SandboxFailed, match="not a record"):
        await sandboxed("refuse")


@pytest.mark.parametrize("name", ["sleep", "loop"])
async def test_endless_work_is_ended(name: str) -> None:
    with pytest.raises(sandbox.SandboxFailed, match="timeout"):
        await sandboxed(name, timeout_s=0.5)


async def test_child_knows_nothing_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DSN", "postgresql://secret")
    assert b"HUB_" not in await sandboxed("environ")


async def test_child_that_says_too_much_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_RESULT_BYTES", 1 << 20)
    with pytest.raises(sandbox.SandboxFailed, match="more than 1048576 bytes"):
        await sandboxed("flood")


async def test_no_way_leads_out(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(lambda _r, w: w.close(), tmp_path / "database")
    async with server:
        assert await sandboxed("escape", str(tmp_path / "database").encode()) == b""


async def test_child_has_no_network() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await sandboxed("connect", str(port).encode()) == b"unreachable"
