"""Bytes and stretches of files to a line, one after the other; files go from the page cache past our memory.

asyncio's own `sendfile` costs as much for each file as sending half a megabyte; an image series is hundreds of them.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from hub.core.store import Slice

AT_ONCE_BYTES = 4 << 20  # then others have their turn
STALLED_S = 120.0  # a line that takes nothing for so long is given up
EMPTY_WAIT_S = 0.005


async def send(transport: asyncio.Transport, pieces: Sequence[bytes | Slice]) -> None:
    """Send all of it. ConnectionError or TimeoutError if the line is cut or stalled, OSError if a file is too short."""
    pieces = [piece for piece in pieces if _size(piece)]
    if transport.get_extra_info("sslcontext") is not None:
        await _send_encrypted(transport, pieces)
        return
    while transport.get_write_buffer_size():  # noqa: ASYNC110  a transport tells nobody but its protocol
        await asyncio.sleep(EMPTY_WAIT_S)
    if transport.is_closing():
        raise ConnectionResetError("the line was cut")
    line = transport.get_extra_info("socket")
    sender = _Sender(os.dup(line.fileno()), pieces)
    with _corked(line), contextlib.closing(sender):
        await sender.run()


async def _send_encrypted(transport: asyncio.Transport, pieces: Sequence[bytes | Slice]) -> None:
    """Through memory, a megabyte at a time."""
    loop = asyncio.get_running_loop()
    for piece in pieces:
        async with asyncio.timeout(STALLED_S * max(1, _size(piece) >> 20)):
            if isinstance(piece, bytes):
                while transport.get_write_buffer_size() > AT_ONCE_BYTES:  # noqa: ASYNC110  as above
                    await asyncio.sleep(EMPTY_WAIT_S)
                transport.write(piece)
                continue
            with piece.path.open("rb") as file:
                if await loop.sendfile(transport, file, piece.offset, piece.size) != piece.size:
                    raise OSError("a stored file is shorter than it was")


def _size(piece: bytes | Slice) -> int:
    return piece.size if isinstance(piece, Slice) else len(piece)


@contextlib.contextmanager
def _corked(line: socket.socket) -> Iterator[None]:
    """Full packets only, while pieces follow one another."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


class _Sender:
    """Owns a second handle of the line, which the loop watches apart from the transport's."""

    def __init__(self, line: int, pieces: Sequence[bytes | Slice]) -> None:
        self._line, self._pieces, self._number, self._sent = line, pieces, 0, 0
        self._total = 0
        self._file: BinaryIO | None = None
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        self._loop.add_writer(self._line, self._step)
        before = -1
        while not self._done.done():
            if self._total == before:
                raise TimeoutError("the line takes nothing")
            before = self._total
            await asyncio.wait([self._done], timeout=STALLED_S)
        self._done.result()

    def close(self) -> None:
        self._loop.remove_writer(self._line)
        os.close(self._line)
        if self._file is not None:
            self._file.close()

    def _step(self) -> None:
        """The line takes more."""
        if self._done.done():
            return
        try:
            until = self._total + AT_ONCE_BYTES
            while self._total < until:
                if self._number == len(self._pieces):
                    self._done.set_result(None)
                    return
                self._send_some(self._pieces[self._number])
        except BlockingIOError:
            return
        except OSError as failure:
            self._done.set_exception(failure)

    def _send_some(self, piece: bytes | Slice) -> None:
        left = _size(piece) - self._sent
        if left > 0:
            count = self._write(piece, left)
            if count == 0:
                raise OSError("a stored file is shorter than it was")
            self._sent += count
            self._total += count
        if self._sent >= _size(piece):
            self._number, self._sent = self._number + 1, 0
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, piece: bytes | Slice, left: int) -> int:
        if isinstance(piece, bytes):
            return os.write(self._line, memoryview(piece)[self._sent :])
        if self._file is None:
            self._file = piece.path.open("rb")
        return os.sendfile(self._line, self._file.fileno(), piece.offset + self._sent, left)
