"""Answers in pieces: every byte in its order over plain and encrypted lines, slow readers, and lines that end early."""

import asyncio
import random
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from hub.core import sending
from hub.core.store import Slice
from tests.imaging.senders import certificate


async def sent(
    pieces: Sequence[bytes | Slice], context: ssl.SSLContext | None = None, read_bytes: int | None = None
) -> tuple[bytes, BaseException | None]:
    """What a reader gets that reads in small bites, or only so much and then hangs up; and how sending ended."""
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await sending.send(writer.transport, pieces)  # type: ignore[arg-type]
            ended.set_result(None)
        except (OSError, TimeoutError) as failure:
            ended.set_result(failure)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        trusted = None
        if context is not None:
            trusted = ssl.create_default_context()
            trusted.check_hostname, trusted.verify_mode = False, ssl.CERT_NONE
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted, limit=1 << 17)
        found = bytearray()
        while read_bytes is None or len(found) < read_bytes:
            piece = await reader.read(50_000)
            if not piece:
                break
            found += piece
        writer.transport.abort() if read_bytes is not None else writer.close()
        return bytes(found), await asyncio.wait_for(ended, 20)


def some(folder: Path, dice: random.Random, size: int) -> tuple[list[bytes | Slice], bytes]:
    content = dice.randbytes(size)
    (folder / "file").write_bytes(content)
    pieces: list[bytes | Slice] = []
    whole = bytearray()
    for _ in range(dice.randrange(1, 40)):
        start = dice.randrange(size)
        count = dice.choice((0, 1, 7, size)) if dice.random() < 0.5 else dice.randrange(size)
        part = content[start : start + count]
        pieces.append(part if dice.random() < 0.4 else Slice(folder / "file", start, len(part)))
        whole += part
    return pieces, bytes(whole)


async def test_every_byte_comes_in_its_order(tmp_path: Path) -> None:
    dice = random.Random(1)
    for size in (10, 3000, 200_000):
        pieces, whole = some(tmp_path, dice, size)
        assert await sent(pieces) == (whole, None)
    shown, key, _ = certificate(tmp_path, "hub")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, key)
    pieces, whole = some(tmp_path, dice, 90_000)
    assert await sent(pieces, context) == (whole, None)


async def test_a_reader_that_goes_or_stalls_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(bytes(16 << 20))
    pieces = [Slice(tmp_path / "file", 0, 16 << 20)]
    _, failure = await sent(pieces, read_bytes=100_000)
    assert isinstance(failure, ConnectionError)
    _, failure = await sent([Slice(tmp_path / "file", 10, 16 << 20)])
    assert isinstance(failure, OSError) and "shorter" in str(failure)
    monkeypatch.setattr(sending, "STALLED_S", 0.2)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises(TimeoutError):
            await sending.send(writer.transport, pieces)  # type: ignore[arg-type]
        ended.set()
        writer.transport.abort()

    ended = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", server.sockets[0].getsockname()[1], limit=1 << 10
        )
        await asyncio.wait_for(ended.wait(), 20)
        writer.close()
