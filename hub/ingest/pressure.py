"""How storing goes, in one place: does it, since when not, why not, how fast.

*Away*: the database does not take anything in. *Blocked*: it, or we, must not: disk full or nearly, read-only, too
much memory, a broker session at the limit of its ids. Either way what is read is seen and forgotten. *Slow*: storing
works and has to catch up.
"""

import os
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from hub.ingest.links import MAX_IDS

State = Literal["ok", "slow", "away", "blocked"]

BLOCKING: Final = frozenset({"disk-full", "read-only", "disk-failed", "disk-floor", "memory", "session-ids"})
COMMITS_S: Final = 60.0  # of the shown percentile
SLOW_S: Final = 1.0  # a percentile of commits above this is slow
AIM_S: Final = 0.4  # of one commit: half of what counts as away would be too near
BATCH_LEAST, BATCH_MOST = 250, 4_000  # messages of one transaction
IDS_MARGIN: Final = 35


@dataclass(slots=True)
class Pressure:
    """The state of one process's storing."""

    away_why: str | None = None
    since_at: datetime | None = None  # of what keeps it from storing
    held_why: str | None = None  # we hold it back ourselves: disk-floor, memory
    is_trying: bool = False  # storage answers again; one shard tries
    batch_messages: int = BATCH_MOST
    forgotten: int = 0
    _commits: deque[tuple[float, float]] = field(default_factory=deque)  # of the last minute
    _took_s: list[float] = field(default_factory=list)  # the same, ascending

    @property
    def may_store(self) -> bool:
        return self.away_why is None and self.held_why is None

    @property
    def why(self) -> str | None:
        return self.held_why or self.away_why

    def committed(self, now_s: float, took_s: float, messages: int) -> None:
        """A transaction is done; the next takes as many messages as should fit the time aimed at."""
        self._commits.append((now_s, took_s))
        insort(self._took_s, took_s)
        if took_s > AIM_S or messages >= self.batch_messages:
            fitting = round(messages * AIM_S / max(took_s, 0.001))
            grown = min(fitting, 2 * self.batch_messages)
            self.batch_messages = max(BATCH_LEAST, min(BATCH_MOST, grown))

    def p99_s(self, now_s: float) -> float:
        """Of the commits of the last minute."""
        while self._commits and now_s - self._commits[0][0] > COMMITS_S:
            _, took_s = self._commits.popleft()
            del self._took_s[bisect_left(self._took_s, took_s)]
        return self._took_s[int(0.99 * (len(self._took_s) - 1))] if self._took_s else 0.0

    def state(self, now_s: float, unacknowledged: int, is_behind: bool) -> tuple[State, str | None]:
        """What to tell, and why."""
        if unacknowledged >= MAX_IDS - IDS_MARGIN:
            return "blocked", "session-ids"
        if self.why is not None:
            return ("blocked" if self.why in BLOCKING else "away"), self.why
        if self.is_trying or is_behind or self.p99_s(now_s) > SLOW_S:
            return "slow", None
        return "ok", None


def memory_bytes() -> int:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * PAGE_BYTES


PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
