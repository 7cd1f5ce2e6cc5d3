"""The file store: whole files only, the same bytes once."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core.store import Store, TooLarge


async def _stream(*chunks: bytes, fails: bool = False) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if fails:
        raise ConnectionResetError


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(chunks=st.lists(st.binary(max_size=100), max_size=6))
def test_what_was_put_comes_back(tmp_path: Path, chunks: list[bytes]) -> None:
    store = Store(tmp_path)
    stored = asyncio.run(store.put(_stream(*chunks), "application/octet-stream"))
    body = b"".join(chunks)
    assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    with store.open(stored.sha256) as file:
        assert file.read() == body


async def test_same_bytes_are_one_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = await store.put(b"page", "application/pdf")
    second = await store.put(_stream(b"pa", b"ge"), "application/pdf")
    assert first == second
    assert _files(tmp_path) == [store.path(first.sha256)]


async def test_broken_stream_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        await Store(tmp_path).put(_stream(b"half", fails=True), "application/pdf")
    assert _files(tmp_path) == []


async def test_too_large_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        await Store(tmp_path).put(b"12345", "text/plain", max_bytes=4)
    assert _files(tmp_path) == []


async def test_half_file_of_a_crash_is_swept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = await store.put(b"kept", "text/plain")
    (tmp_path / "incoming" / "left").write_bytes(b"half")
    assert store.sweep() == 1
    assert _files(tmp_path) == [store.path(kept.sha256)]


@pytest.mark.parametrize("name", ["../secret", "A" * 64, "", "0" * 63])
def test_only_hashes_name_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        Store(tmp_path).path(name)
