"""A line can be clear, cut, orphaned, refusing, silent, late and slow; what it carries arrives whole and in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests import parts
from tests.ingest.test_from_the_broker import until
from tests.nemesis.proxy import CLEAR, Condition, Link, links

BYTES = bytes(range(256)) * 256


@dataclass
class Echo:
    """A server that says back what it hears."""

    address: tuple[str, int]
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    ended: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
        self.ended += 1
        writer.close()


@dataclass
class Talk:
    echo: Echo
    link: Link

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.link.address)


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    echo = Echo(("127.0.0.1", parts.free_port()))
    async with await asyncio.start_server(echo.serve, *echo.address), links(echo.address, 1) as made:
        yield Talk(echo, made[0])


@pytest.mark.parametrize("condition", [CLEAR, Condition(delay_s=0.05), Condition(0.01, 8_000.0, 8_000.0)])
async def test_all_bytes_come_through_in_order(talk: Talk, condition: Condition) -> None:
    talk.link.set(condition)
    reader, writer = await talk.connect()
    writer.write(BYTES * 4)
    async with asyncio.timeout(60):
        assert await reader.readexactly(4 * len(BYTES)) == BYTES * 4
    writer.close()
    await until(lambda: talk.echo.ended == 1)


async def test_a_slow_line_is_as_slow_as_said_and_quick_again_at_once(talk: Talk) -> None:
    loop = asyncio.get_running_loop()
    talk.link.set(Condition(up_kbit_s=80.0))
    reader, writer = await talk.connect()
    begun_s = loop.time()
    writer.write(BYTES[:5_000])
    async with asyncio.timeout(60):
        await reader.readexactly(5_000)
        assert loop.time() - begun_s >= 0.49  # 40 kbit at 80 kbit/s: never sooner
        writer.write(BYTES)
        await asyncio.sleep(0)
        talk.link.set(CLEAR)
        await reader.readexactly(len(BYTES))
    writer.close()


async def test_a_silent_line_carries_nothing_not_even_an_end_and_then_all(talk: Talk) -> None:
    reader, writer = await talk.connect()
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    talk.link.set(Condition(is_silent=True))
    writer.write(b"b")
    later = await talk.connect()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            assert await reader.read(1) == b"never"
    assert talk.echo.ended == 0 and len(talk.echo.writers) == 1
    talk.link.set(CLEAR)
    assert await reader.readexactly(1) == b"b"
    await until(lambda: len(talk.echo.writers) == 2)
    for one in (writer, later[1]):
        one.close()
    await until(lambda: talk.echo.ended == 2)


async def test_a_cut_is_felt_at_both_ends_an_orphan_at_one(talk: Talk) -> None:
    for cut, ended in ((Link.orphan, 0), (Link.cut, 2)):
        reader, writer = await talk.connect()
        writer.write(b"a")
        await reader.readexactly(1)
        cut(talk.link)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        if ended:
            await until(lambda: talk.echo.ended == 2)
        assert talk.echo.ended == ended


async def test_a_line_that_refuses_resets(talk: Talk) -> None:
    talk.link.set(Condition(refuses=True))
    with pytest.raises(ConnectionError):
        reader, writer = await talk.connect()
        writer.write(b"a")
        if await reader.read(1) == b"":
            raise ConnectionError
    assert talk.echo.writers == []
