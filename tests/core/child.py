"""A child for the supervisor's tests: beats, and behaves as its first argument says."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from hub.core import supervisor


async def main(how: str, folder: Path, fd: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if how == "broken":
        sys.exit(3)
    (folder / f"{time.monotonic_ns()}.pid").write_text(f"{how} {os.getpid()}")
    async with supervisor.beating(fd):
        if how == "stuck":
            time.sleep(600)  # noqa: ASYNC251 - an event loop that stands still is what is tested
        await stop.wait()
    (folder / f"{time.monotonic_ns()}.end").write_text(how)


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[4])))
