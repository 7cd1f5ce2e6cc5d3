"""A TCP proxy that spoils lines: cut, refuse, silence, delay, throttle; one link per line, many connections on each.

A link listens on a port of its own and forwards to one target. Its `Condition` holds for all its connections, those
that come later too. Everything happens on the event loop of the caller; a clear link costs two copies a message.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from tests import parts

HELD_BYTES: Final = 1 << 16  # of one direction of a connection; then its sender is made to wait
PIECE_BYTES: Final = 1_460  # a slow line carries one of these at a time
RESET_AT_ONCE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Condition:
    """How a line is. Silent: bytes and even ends of connections wait, as when a cell is lost without a word."""

    delay_s: float = 0.0  # each way
    up_kbit_s: float | None = None  # from who connected
    down_kbit_s: float | None = None
    is_silent: bool = False
    refuses: bool = False  # new connections are reset

    @property
    def is_clear(self) -> bool:
        return self == CLEAR


CLEAR: Final = Condition()


class Link:
    """One line: its address, its condition, its connections."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.address = ("", 0)
        self.condition = CLEAR
        self.carried_bytes = [0, 0]  # up, down
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen."""
        while self._server is None:
            self.address = ("127.0.0.1", parts.free_port())
            with contextlib.suppress(OSError):  # somebody else was quicker
                self._server = await asyncio.get_running_loop().create_server(self._accepted, *self.address)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    def set(self, condition: Condition) -> None:
        """From now on the line is like this, also for what is under way."""
        self.condition = condition
        for connection in list(self._connections):
            connection.retime()

    def cut(self) -> None:
        """Reset all connections at both ends; what is under way is lost."""
        for connection in list(self._connections):
            connection.abort()

    def orphan(self) -> None:
        """Reset all connections at the near end only: the far end does not learn of it."""
        for connection in list(self._connections):
            connection.orphan()

    def _accepted(self) -> "_Near":
        connection = _Connection(self)
        self._connections.add(connection)
        return connection.near

    def forget(self, connection: "_Connection") -> None:
        self._connections.discard(connection)


class _Connection:
    """A near end (who connected), a far end (the target), and a pipe each way."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.near, self.far = _Near(self), _Far(self)
        self.up, self.down = _Pipe(self, 0, self.near, self.far), _Pipe(self, 1, self.far, self.near)
        self._connecting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The near end is there: reach the target, once the line carries anything."""
        if self.link.condition.refuses:
            return self.abort()
        if self._connecting is None and not self.link.condition.is_silent:
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, *self.link.target)
        except OSError:
            self.abort()

    def retime(self) -> None:
        if self.near.transport is not None:
            self.begin() if self._connecting is None else None
        for pipe in (self.up, self.down):
            pipe.retime()

    def pipe_from(self, end: "_End") -> "_Pipe":
        return self.up if end is self.near else self.down

    def pipe_to(self, end: "_End") -> "_Pipe":
        return self.down if end is self.near else self.up

    def abort(self) -> None:
        for end in (self.near, self.far):
            end.reset()
        self.settle()

    def orphan(self) -> None:
        self.near.reset()
        self.up.stop()
        self.down.stop()

    def settle(self) -> None:
        """Forget the connection when both ends are gone."""
        if self.near.is_gone and self.far.is_gone:
            self.up.stop()
            self.down.stop()
            self.link.forget(self)


class _End(asyncio.Protocol):
    """One end of a connection."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self.is_gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.is_gone:
            return self.reset()
        self.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.connection.pipe_from(self).feed(data)

    def pause_writing(self) -> None:
        self.connection.pipe_to(self).block(True)

    def resume_writing(self) -> None:
        self.connection.pipe_to(self).block(False)

    def eof_received(self) -> bool:
        return False  # both directions end together

    def connection_lost(self, _: Exception | None) -> None:
        self.is_gone = True
        self.connection.pipe_from(self).end()
        self.connection.settle()

    def reset(self) -> None:
        """End with RST; nothing that waits is sent."""
        self.is_gone = True
        if self.transport is not None:
            with contextlib.suppress(OSError):
                own = self.transport.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
            self.transport.abort()


class _Near(_End):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.connection.begin()


class _Far(_End):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.connection.near.is_gone:
            return self.reset()
        self.connection.up.retime()


class _Pipe:
    """One direction of a connection: what was read waits here until the line has carried it."""

    def __init__(self, connection: _Connection, way: int, source: _End, sink: _End) -> None:
        self._connection, self._way, self._source, self._sink = connection, way, source, sink
        self._waiting: deque[tuple[float, bytes]] = deque()  # when it has arrived
        self._held = 0
        self._free_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_blocked = self._is_ended = self._is_stopped = False

    def feed(self, data: bytes) -> None:
        """Bytes were read at the source."""
        if self._is_stopped:
            return
        condition = self._connection.link.condition
        if condition.is_clear and not self._waiting and self._sink.transport is not None:
            return self._write(data)
        self._put(data)
        self._pump()

    def retime(self) -> None:
        """The condition has changed, or the sink is there: carry what waits anew."""
        waiting = b"".join(data for _, data in self._waiting)
        self._waiting.clear()
        self._held, self._free_at_s = 0, 0.0
        if waiting:
            self._put(waiting)
        self._pump()

    def block(self, is_blocked: bool) -> None:
        """The sink does not take more now, or takes it again."""
        self._is_blocked = is_blocked
        self._pump()

    def end(self) -> None:
        """The source is gone; the sink learns of it behind everything that waits."""
        self._is_ended = True
        self._pump()

    def stop(self) -> None:
        self._is_stopped = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _put(self, data: bytes) -> None:
        condition, now_s = self._connection.link.condition, asyncio.get_running_loop().time()
        kbit_s = (condition.up_kbit_s, condition.down_kbit_s)[self._way]
        step = PIECE_BYTES if kbit_s else max(1, len(data))
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            took_s = len(piece) * 8 / (kbit_s * 1000) if kbit_s else 0.0
            self._free_at_s = max(now_s, self._free_at_s) + took_s
            self._waiting.append((self._free_at_s + condition.delay_s, piece))
        self._held += len(data)

    def _pump(self) -> None:
        now_s, silent = asyncio.get_running_loop().time(), self._connection.link.condition.is_silent
        stuck = silent or self._is_blocked or self._is_stopped or self._sink.transport is None
        while self._waiting and not stuck and not self._is_blocked and self._waiting[0][0] <= now_s:
            _, data = self._waiting.popleft()
            self._held -= len(data)
            self._write(data)
        if self._waiting and not stuck:
            self._wake_at(self._waiting[0][0])
        if self._is_ended and not self._waiting and not silent and not self._is_stopped:
            self._pass_end()
        self._hold_source()

    def _wake_at(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at_s, self._pump)

    def _write(self, data: bytes) -> None:
        self._connection.link.carried_bytes[self._way] += len(data)
        if self._sink.transport is not None and not self._sink.is_gone:
            self._sink.transport.write(data)

    def _pass_end(self) -> None:
        if self._sink.transport is not None:
            self._sink.transport.close()
        elif self._source.is_gone:
            self._sink.is_gone = True
            self._connection.settle()

    def _hold_source(self) -> None:
        transport = self._source.transport
        if transport is None or transport.is_closing():
            return
        if self._held > HELD_BYTES and transport.is_reading():
            transport.pause_reading()
        elif self._held <= HELD_BYTES // 2 and not transport.is_reading():
            transport.resume_reading()


@contextlib.asynccontextmanager
async def links(target: tuple[str, int], count: int) -> AsyncIterator[Sequence[Link]]:
    """So many links to one target, for as long as the block lasts."""
    made = [Link(target) for _ in range(count)]
    try:
        for link in made:
            await link.open()
        yield made
    finally:
        for link in made:
            link.close()
