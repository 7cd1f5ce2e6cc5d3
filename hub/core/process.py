"""Starting and stopping child processes so that none outlives the hub: the kernel ends them with it."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

PR_SET_PDEATHSIG = 1  # prctl(2)
LOG_ROTATE_BYTES = 10_000_000

_libc = ctypes.CDLL(None)


def tied_to_us(number: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """A preexec_fn: the kernel sends this signal to the child when this process dies."""
    parent = os.getpid()

    def tie() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return tie


def shorten_log(path: Path) -> None:
    """Set a long log aside; at most two are kept. Its writer goes on, since it appends."""
    if path.stat().st_size > LOG_ROTATE_BYTES:
        shutil.copyfile(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("ab")


async def start(
    command: Sequence[str],
    log_file: Path,
    environ: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a child in a session of its own (so Ctrl-C reaches only the supervisor, which stops in order)."""
    with _open_log(log_file) as output:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            env=environ,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=tied_to_us(death_signal),
        )


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to a child that may just have ended.

    `Process.send_signal` looks first whether the child has ended and so takes its exit code away from asyncio,
    which then reports 255.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def stop(process: Process, number: signal.Signals, timeout_s: float) -> int:
    """Ask a child to end, wait, kill it if it doesn't; its exit code."""
    send(process, number)
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    except TimeoutError:
        send(process, signal.SIGKILL)
        return await process.wait()
