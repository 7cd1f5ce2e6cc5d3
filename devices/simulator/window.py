"""How much a device sends ahead of the line: backlog only while nothing waits long for it, so that live stays live.

The line's own queues can't be seen, only how long a packet takes until the broker has it (PUBACK). The window grows
while that is quick and halves when it is not, as TCP Vegas and LEDBAT do.
"""

from __future__ import annotations

from collections import deque
from typing import Final

LONG_S: Final = 0.5  # a packet that takes longer stands in a queue
FEWEST: Final = 2.0
MOST: Final = 256.0


class Window:
    """The packets of one connection that the broker has not confirmed yet, in order of sending."""

    def __init__(self) -> None:
        self._sent_s: deque[float] = deque()
        self._limit = 2 * FEWEST
        self._halved_s = float("-inf")

    def sent(self, packets: int, now_s: float) -> None:
        """So many were handed to the line."""
        self._sent_s.extend([now_s] * packets)

    def room(self, unconfirmed: int, now_s: float) -> int:
        """How many more the line may take beside live ones, when so many are not confirmed."""
        while len(self._sent_s) > unconfirmed:
            self._confirmed(now_s - self._sent_s.popleft(), now_s)
        if self._sent_s and now_s - self._sent_s[0] > LONG_S:
            self._halve(now_s)
            return 0
        return max(0, int(self._limit) - unconfirmed)

    def _confirmed(self, took_s: float, now_s: float) -> None:
        if took_s > LONG_S:
            self._halve(now_s)
        else:
            self._limit = min(MOST, self._limit + 1.0 / self._limit)

    def _halve(self, now_s: float) -> None:
        """Once for each time a packet takes; what is under way tells of the old window."""
        if now_s - self._halved_s > LONG_S:
            self._limit, self._halved_s = max(FEWEST, self._limit / 2), now_s
