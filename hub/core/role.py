"""One process of the hub, from its first breath to its last: signals, metrics, and the end it comes to by a bug."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hub.core import lifecycle, memory, metrics
from hub.core.logging import failure_place, log
from hub.core.settings import Settings

Role = Callable[[Settings, asyncio.Event, int | None], Awaitable[None]]


async def run_role(settings: Settings, run: Role, name: str, fd: int | None) -> None:
    """Run until told to stop; a bug in a background task ends it, and the supervisor starts it again."""
    stop, broken = lifecycle.stop_on_signals(), asyncio.Event()
    memory.settle()

    def on_exception(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        failure = context.get("exception")
        log("hub.failed", error=failure_place(failure) if failure else str(context["message"]))
        if not isinstance(failure, OSError):  # a line that broke is no bug
            broken.set()
            stop.set()

    asyncio.get_running_loop().set_exception_handler(on_exception)
    async with metrics.offered(settings.data_dir, name):
        await run(settings, stop, fd)
    if broken.is_set():
        raise SystemExit(1)
