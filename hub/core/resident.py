"""A confined child that stays: the sandbox for what is asked too often to begin a process for each.

As confined as `hub.core.sandbox` makes a child. It answers one call at a time; one that dies, or does not answer in
time, is ended and another begun with the next call, and so is one that has served its share: what a hostile file may
have left behind in it does not live for long.
"""

import asyncio
import contextlib
import fcntl
import importlib
import os
import signal
import struct
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final

from hub.core import process, sandbox
from hub.core.sandbox import SandboxFailed

CALLS: Final = 5_000  # of one child
WAITING_MAX: Final = 100  # callers
START_S: Final = 20.0  # with the decoders loaded on a busy machine
CPU_S: Final = 3_600
ANSWER_MAX: Final = 256 << 20
PIPE_BYTES: Final = (
    1 << 20
)  # a picture goes through at once, not in pieces for each of which two processes wake
_HEAD: Final = struct.Struct("<BI")  # 0: an answer, 1: the function refused; bytes that follow
_READY: Final = b"\0"


class Resident:
    """One child for `module:function`, begun with the first call."""

    def __init__(self, function_path: str, memory_mb: int, timeout_s: float, calls: int = CALLS) -> None:
        self._function, self._memory_mb, self._timeout_s, self._calls = (
            function_path, memory_mb, timeout_s, calls,
        )  # fmt: skip
        self._child: Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._served = self._waiting = 0
        self._turn = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Resident":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the child, if there is one."""
        if self._warming is not None:
            await asyncio.wait([self._warming])
        await self._end()

    def warm(self) -> None:
        """Begin the child now, if there is none, since somebody will soon call; nobody waits for it."""
        if self._child is None and self._warming is None:
            self._warming = asyncio.create_task(self._warm())

    async def _warm(self) -> None:
        async with self._turn:
            with contextlib.suppress(SandboxFailed, OSError):  # the call will tell
                if self._child is None:
                    await self._begin()
        self._warming = None

    async def call(self, payload: bytes) -> bytes:
        """What the function makes of the payload; `SandboxFailed` if it refuses, takes too long, or dies."""
        if self._waiting >= WAITING_MAX:
            raise SandboxFailed("timeout", "too many wait")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._ask(payload)
        finally:
            self._waiting -= 1

    async def _ask(self, payload: bytes) -> bytes:
        if self._child is None or self._child.returncode is not None or self._served >= self._calls:
            await self._begin()
        self._served += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                refused, answer = await self._exchange(payload)
        except TimeoutError:
            await self._end()
            raise SandboxFailed("timeout", f"more than {self._timeout_s} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._end()
            raise SandboxFailed("crashed") from None
        except BaseException:  # nobody waits for the answer any more: the next caller must not get it
            await self._end()
            raise
        if refused:
            raise SandboxFailed("refused", answer.decode(errors="replace")[:200])
        return answer

    async def _exchange(self, payload: bytes) -> tuple[int, bytes]:
        child = self._child
        assert child is not None and child.stdin is not None and child.stdout is not None  # both are pipes
        child.stdin.write(struct.pack("<I", len(payload)) + payload)
        await child.stdin.drain()
        refused, size = _HEAD.unpack(await child.stdout.readexactly(_HEAD.size))
        if size > ANSWER_MAX:
            raise ConnectionError("it says too much")
        return refused, await child.stdout.readexactly(size)

    async def _begin(self) -> None:
        await self._end()
        self._folder = tempfile.TemporaryDirectory(prefix="telehub-resident-")
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub.core.resident", self._function, str(self._memory_mb)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=1 << 20,
            cwd=self._folder.name,
            env=sandbox.environ(),
            preexec_fn=process.tied_to_us(),
        )
        self._served = 0
        assert self._child.stdout is not None  # it is a pipe
        try:
            async with asyncio.timeout(START_S):
                await self._child.stdout.readexactly(len(_READY))
        except (TimeoutError, asyncio.IncompleteReadError):
            await self._end()
            raise SandboxFailed("crashed", "it did not begin") from None
        except BaseException:  # its first word is not read: the next caller must not take it for an answer
            await self._end()
            raise

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            process.send(child, signal.SIGKILL)
            await child.communicate()  # what is still in the pipes; asyncio sees no end before
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def main() -> None:
    """In the child: confine, load, then answer until nobody asks any more."""
    function_path, memory_mb = sys.argv[1:]
    module, _, name = function_path.partition(":")
    function = getattr(importlib.import_module(module), name)
    sandbox.confine(CPU_S, int(memory_mb))
    asked, answers = sys.stdin.buffer, sys.stdout.fileno()
    with contextlib.suppress(OSError):  # what a user may have of pipes is used up: it is slower, no more
        fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    _write(answers, _READY)
    while head := asked.read(4):
        payload = asked.read(int.from_bytes(head, "little"))
        try:
            refused, answer = 0, function(payload)
        except (ValueError, MemoryError) as refusal:
            refused, answer = 1, f"{type(refusal).__name__}: {refusal}".encode()
        _write(answers, _HEAD.pack(refused, len(answer)) + answer)


def _write(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


if __name__ == "__main__":
    main()
