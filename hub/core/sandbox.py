"""Runs a function on foreign bytes in a child without network, database or much of anything.

For every file that strangers made (ECG formats, DICOM, zip) and for drawing paper: a crash, an endless loop or a
bomb of memory ends the child, not the hub. Bytes in, bytes out. The calls that reach a socket, a program or another
process are taken away (`seccomp`), the network once more where the kernel lets an ordinary process do so (user
namespaces); the limits hold everywhere. It can still read what the hub's user can, and tell it to nobody.
"""

import asyncio
import contextlib
import ctypes
import importlib
import os
import resource
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Literal, cast

from hub.core import process, seccomp

MAX_OPEN_FILES = 64
MAX_FILE_BYTES = 256 << 20
MAX_RESULT_BYTES = 256 << 20
MAX_WORDS_BYTES = 1 << 20  # on stderr
CHUNK_BYTES = 1 << 16
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_REFUSED = 65  # EX_DATAERR: the function raised ValueError, so the bytes are at fault

Reason = Literal["refused", "timeout", "crashed"]


class SandboxFailed(Exception):
    """The function gave no value: it refused the bytes, took too long, or its process died."""

    def __init__(self, reason: Reason, words: str = "") -> None:
        super().__init__(f"{reason}: {words}" if words else reason)
        self.reason, self.words = reason, words


async def run(function_path: str, payload: bytes, timeout_s: float, memory_mb: int) -> bytes:
    """What `module:function` makes of the payload, in a fresh process within these limits."""
    limits = (str(int(timeout_s) + 1), str(memory_mb))
    with tempfile.TemporaryDirectory(prefix="telehub-sandbox-") as empty:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub.core.sandbox", function_path, *limits),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=empty,
            env=environ(),
            preexec_fn=process.tied_to_us(),
        )
        try:
            async with asyncio.timeout(timeout_s):
                result, words = await _exchange(child, payload)
        except TimeoutError:
            raise SandboxFailed("timeout", f"more than {timeout_s} s") from None
        finally:
            process.send(child, signal.SIGKILL)
            await child.communicate()  # what is still in the pipes; asyncio sees no end before
    if child.returncode == 0:
        return result
    reason: Reason = "refused" if child.returncode == _REFUSED else "crashed"
    raise SandboxFailed(reason, words.decode(errors="replace").strip().rpartition("\n")[2][:200])


async def _exchange(child: Process, payload: bytes) -> tuple[bytes, bytes]:
    """What the child answers and complains; one that says too much has failed."""
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None  # all are pipes
    _, result, words = await asyncio.gather(
        _feed(child.stdin, payload),
        _read(child, child.stdout, MAX_RESULT_BYTES),
        _read(child, child.stderr, MAX_WORDS_BYTES),
    )
    await child.wait()
    if len(result) > MAX_RESULT_BYTES:
        raise SandboxFailed("crashed", f"said more than {MAX_RESULT_BYTES} bytes")
    return result, words


async def _feed(pipe: asyncio.StreamWriter, payload: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it died; its exit code tells
        pipe.write(payload)
        await pipe.drain()
    pipe.close()


async def _read(child: Process, pipe: asyncio.StreamReader, max_bytes: int) -> bytes:
    """All it says; who says too much is ended, and what comes after that is not kept."""
    said = bytearray()
    while chunk := await pipe.read(CHUNK_BYTES):
        if len(said) > max_bytes:
            process.send(child, signal.SIGKILL)
        else:
            said += chunk
    return bytes(said)


def environ() -> dict[str, str]:
    """Of a confined child: nothing of ours."""
    root = Path(__file__).parents[2]
    return {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"}


def confine(cpu_s: int, memory_mb: int) -> None:
    """Take network, calls and room away from this process, for good."""
    libc = ctypes.CDLL(None)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWNET)  # as root without user namespaces
    for limit, value in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_mb << 20),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    seccomp.confine()


def main() -> None:
    """In the child: confine, read, run, write."""
    function_path, cpu_s, memory_mb = sys.argv[1:]
    confine(int(cpu_s), int(memory_mb))
    payload = sys.stdin.buffer.read()
    module, _, name = function_path.partition(":")
    try:
        result = cast(bytes, getattr(importlib.import_module(module), name)(payload))
    except ValueError as refusal:
        sys.stderr.write(str(refusal))
        sys.stderr.flush()
        os._exit(_REFUSED)
    sys.stdout.buffer.write(result)


if __name__ == "__main__":
    main()
