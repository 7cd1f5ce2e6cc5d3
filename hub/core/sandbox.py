"""Runs a function on foreign bytes in a child without network, database or much of anything.

For every file that strangers made (ECG formats, DICOM, zip) and for drawing paper: a crash, an endless loop or a
bomb of memory ends the child, not the hub. Bytes in, bytes out. The network is taken away where the kernel lets
an ordinary process do so (user namespaces); the limits hold everywhere.
"""

import asyncio
import ctypes
import importlib
import os
import resource
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Literal, cast

from hub.core import process

MAX_OPEN_FILES = 64
MAX_FILE_BYTES = 256 << 20
MAX_RESULT_BYTES = 256 << 20
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
            env=_environ(),
            preexec_fn=process.tied_to_us(),
        )
        try:
            async with asyncio.timeout(timeout_s):
                result, words = await child.communicate(payload)
        except TimeoutError:
            raise SandboxFailed("timeout", f"more than {timeout_s} s") from None
        finally:
            process.send(child, signal.SIGKILL)
            await child.wait()
    if child.returncode == 0:
        return result
    reason: Reason = "refused" if child.returncode == _REFUSED else "crashed"
    raise SandboxFailed(reason, words.decode(errors="replace").strip().rpartition("\n")[2][:200])


def _environ() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"}


def _confine(cpu_s: int, memory_mb: int) -> None:
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


def main() -> None:
    """In the child: confine, read, run, write."""
    function_path, cpu_s, memory_mb = sys.argv[1:]
    _confine(int(cpu_s), int(memory_mb))
    payload = sys.stdin.buffer.read()
    module, _, name = function_path.partition(":")
    try:
        result = cast(bytes, getattr(importlib.import_module(module), name)(payload))
    except ValueError as refusal:
        sys.stderr.write(str(refusal))
        sys.stderr.flush()
        os._exit(_REFUSED)
    if len(result) > MAX_RESULT_BYTES:
        raise MemoryError(f"a result of {len(result)} bytes")
    sys.stdout.buffer.write(result)


if __name__ == "__main__":
    main()
