"""Files made ahead for what comes next, in another thread, so that nobody on the loop waits for the file system.

Making one takes a fifth to two thirds of a millisecond, more while a journal is being committed: as long as hashing
half a megabyte.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from hub.core.incoming import Incoming

READY: Final = 8  # files; made anew when half of them are taken


class Spares:
    """New files, of which some are there already. Close it: what nobody took goes."""

    def __init__(self, make: Callable[[], Incoming]) -> None:
        self._make = make
        self._files = deque[Incoming]()
        self._making: asyncio.Future[None] | None = None

    def take(self) -> Incoming:
        """One to be written now; OSError if there is no room."""
        if self._making is None and len(self._files) <= READY // 2:
            self._making = asyncio.get_running_loop().run_in_executor(None, self._fill)
            self._making.add_done_callback(self._made)
        return self._files.popleft() if self._files else self._make()

    def _fill(self) -> None:
        while len(self._files) < READY:
            self._files.append(self._make())

    def _made(self, making: asyncio.Future[None]) -> None:
        self._making = None
        if not making.cancelled():
            making.exception()  # no room: whoever finds no spare is told so by the file they want

    async def aclose(self) -> None:
        """Throw away what nobody took."""
        if self._making is not None:
            await asyncio.wait([self._making])
        while self._files:
            self._files.popleft().close()
