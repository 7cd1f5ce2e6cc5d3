"""Keeps the hub's processes alive: up in order, down in reverse, started again after a crash.

A child of our own beats through a pipe: the first beat says it is ready, and one that stays silent for five
seconds is killed, since a stuck event loop serves nobody. PostgreSQL and mosquitto are asked instead.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from prometheus_client import Counter

from hub.core import clock, memory, process
from hub.core.logging import failure_place, log

BEAT_EVERY_S = 1.0
SILENT_AFTER_S = 5.0
START_TIMEOUT_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
SHORTEN_EVERY_S = 60.0
SETTLED_AFTER_S = 60.0  # a child that lived this long starts again without a pause


ENDED = Counter("hub_child_ended_total", "processes that ended by themselves or were killed", ["child"])


class StartFailed(RuntimeError):
    """A child did not come up the first time; the words name its log."""


class DataFolderInUse(RuntimeError):
    """Another hub runs on this data folder."""


class DataFolderUnusable(RuntimeError):
    """The data folder can't be made or written."""


@dataclass(frozen=True)
class Child:
    """One process to keep alive."""

    name: str
    command: Callable[[], Awaitable[Sequence[str]]]  # asked before each start; may prepare files
    ready: Callable[[Process], Awaitable[None]] | None = None  # None: it beats through the pipe
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    environ: Mapping[str, str] | None = None
    on_end: Callable[[int], Awaitable[None]] | None = None  # told the process id of one that died

    @property
    def beats(self) -> bool:
        return self.ready is None


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data folder; a second hub on it is refused. The kernel lets go when we die."""
    with _lock_file(data_dir) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise DataFolderInUse(f"{data_dir} is in use by the hub with process id {holder}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock_file(data_dir: Path) -> TextIO:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (data_dir / "hub.lock").open("a+", encoding="ascii")
    except OSError as failure:
        raise DataFolderUnusable(
            f"{data_dir}: {failure.strerror}; choose another HUB_DATA_DIR, or let user id {os.geteuid()} write it"
        ) from None


class Supervisor:
    """The children of one hub. Leaving the block stops them, last started first."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._keepers: list[_Keeper] = []

    async def __aenter__(self) -> "Supervisor":
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._keepers:
            await self._keepers.pop().stop()

    async def start(self, child: Child) -> None:
        """Start a child and return once it is ready; from then on it is kept alive."""
        keeper = _Keeper(child, self._log_dir / f"{child.name}.log")
        self._keepers.append(keeper)
        await keeper.start()

    def process(self, name: str) -> Process | None:
        """The running process of a child."""
        return next((k.process for k in self._keepers if k.child.name == name), None)

    async def watch(self) -> None:
        """Keep logs short, for ever; raises when keeping a child alive itself fails, which is a bug."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._shorten_logs())
            for keeper in self._keepers:
                tasks.create_task(keeper.watch())

    async def _shorten_logs(self) -> None:
        while True:
            for path in self._log_dir.glob("*.log"):
                with contextlib.suppress(OSError):  # a full disk: later, then
                    process.shorten_log(path)
            await asyncio.sleep(SHORTEN_EVERY_S)


class _Keeper:
    """Keeps one child alive."""

    def __init__(self, child: Child, log_file: Path) -> None:
        self.child, self._log_file = child, log_file
        self.process: Process | None = None
        self.task: asyncio.Task[None] | None = None
        self._pipe: _Pipe | None = None

    async def start(self) -> None:
        if not await self._spawn():
            raise StartFailed(f"{self.child.name} did not start; see {self._log_file}")
        self.task = asyncio.create_task(self._keep(), name=f"keep {self.child.name}")

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        if self.process is not None:
            code = await process.stop(self.process, self.child.stop_signal, self.child.stop_timeout_s)
            log("child.stopped", child=self.child.name, child_pid=self.process.pid, code=code)
        self._close_pipe()

    async def watch(self) -> None:
        assert self.task is not None
        await asyncio.shield(self.task)

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            started_s = clock.monotonic_s()
            await self._until_ended()
            if clock.monotonic_s() - started_s > SETTLED_AFTER_S:
                pause_s = FIRST_PAUSE_S
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                if await self._spawn_again():
                    break

    async def _spawn_again(self) -> bool:
        try:
            if await self._spawn():
                return True
        except (OSError, RuntimeError, TimeoutError) as failure:  # a port not free yet, and the like
            log("child.failed", child=self.child.name, error=failure_place(failure))
            return False
        await self._reap()
        return False

    async def _spawn(self) -> bool:
        """Start the process; whether it became ready."""
        command = await self.child.command()
        self._close_pipe()
        self._pipe = _Pipe() if self.child.beats else None
        extra = ("--supervised-fd", str(self._pipe.write_fd)) if self._pipe else ()
        self.process = await process.start(
            (*command, *extra),
            self._log_file,
            self.child.environ,
            death_signal=self.child.stop_signal,
            pass_fds=(self._pipe.write_fd,) if self._pipe else (),
        )
        log("child.started", child=self.child.name, child_pid=self.process.pid)
        ready = await self._became_ready(self.process)
        if ready:
            log("child.ready", child=self.child.name, child_pid=self.process.pid)
        return ready

    async def _became_ready(self, started: Process) -> bool:
        if self._pipe is not None:
            await self._pipe.open()
            return await self._pipe.beat_within(START_TIMEOUT_S)
        assert self.child.ready is not None
        try:
            await self.child.ready(started)
        except (TimeoutError, RuntimeError, OSError):
            return False
        return True

    async def _until_ended(self) -> None:
        """Wait for the end of the process, or make it end when it falls silent."""
        assert self.process is not None
        if self._pipe is not None:
            while await self._pipe.beat_within(SILENT_AFTER_S):
                pass
            if not self._pipe.at_end and self.process.returncode is None:
                log("child.silent", child=self.child.name, child_pid=self.process.pid)
        else:
            await self.process.wait()
        await self._reap()

    async def _reap(self) -> None:
        assert self.process is not None
        code = await process.stop(self.process, signal.SIGKILL, self.child.stop_timeout_s)
        ENDED.labels(self.child.name).inc()
        log("child.ended", child=self.child.name, child_pid=self.process.pid, code=code)
        if self.child.on_end is not None:
            await self.child.on_end(self.process.pid)

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


class _Pipe:
    """The reading end of a child's heartbeat."""

    def __init__(self) -> None:
        self._read_fd, self.write_fd = os.pipe()
        self._reader = asyncio.StreamReader()
        self._transport: asyncio.ReadTransport | None = None

    @property
    def at_end(self) -> bool:
        return self._reader.at_eof()

    async def open(self) -> None:
        """Begin to listen; from here on only the child holds the writing end."""
        os.close(self.write_fd)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(self._read_fd, "rb", 0)
        )

    async def beat_within(self, seconds: float) -> bool:
        """Whether a beat came; False after the time, or at once when the child ended."""
        try:
            async with asyncio.timeout(seconds):
                return bool(await self._reader.read(64))
        except TimeoutError:
            return False

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@contextlib.asynccontextmanager
async def beating(fd: int | None) -> AsyncIterator[Callable[[], None]]:
    """In the child: say that it is ready, then beat while its event loop turns. No supervisor, no beat.

    Hands out the beat itself, for a loop that had better beat in its own name.
    """
    beat = _beat_of(fd)
    beat()
    task = asyncio.create_task(_keep_beating(beat))
    try:
        yield beat
    finally:
        task.cancel()
        await asyncio.wait([task])


def _beat_of(fd: int | None) -> Callable[[], None]:
    if fd is None:
        return lambda: None
    os.set_blocking(fd, False)

    def beat() -> None:
        with contextlib.suppress(BlockingIOError):  # the supervisor is slow; the beats it has will do
            os.write(fd, b".")

    return beat


async def _keep_beating(beat: Callable[[], None]) -> None:
    collected_s = clock.monotonic_s()
    while True:
        await asyncio.sleep(BEAT_EVERY_S)
        beat()
        if clock.monotonic_s() - collected_s >= memory.COLLECT_EVERY_S:
            memory.collect()
            collected_s = clock.monotonic_s()
