"""One address in front of several nodes, as a cluster has for its devices: a connection goes to a node that answers."""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Final

from tests import parts

READ_BYTES: Final = 1 << 16


@contextlib.asynccontextmanager
async def standing(nodes: Sequence[tuple[str, int]]) -> AsyncIterator[tuple[str, int]]:
    """The address, for as long as the block lasts."""
    turn, writers = count(), set[StreamWriter]()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        first = next(turn)
        for number in range(len(nodes)):
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(*nodes[(first + number) % len(nodes)])
                ends = {writer, far_writer}
                writers.update(ends)
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
                writers.difference_update(ends)
                return
        writer.close()

    address = "127.0.0.1", parts.free_port()
    server = await asyncio.start_server(serve, *address)
    try:
        yield address
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)  # they close in the next turn of the loop


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    """Until one end is gone; then the other goes, too."""
    with contextlib.suppress(OSError):
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
