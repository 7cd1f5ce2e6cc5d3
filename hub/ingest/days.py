"""Day partitions of samples and vitals: made in the transaction that needs one, remembered once it has committed."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from hub.core import db
from hub.core.db import Connection

DAY_S: Final = 86_400
DAY_US: Final = DAY_S * 1_000_000
# A day this far behind the newest one is asked for every time: an old one may lose its partition when it is empty
# (hub_forget_days, after 75 days; an anchor lies at most 45 days behind).
TRUSTED_DAYS: Final = 25
_EPOCH: Final = date(1970, 1, 1)


class Days:
    """UTC days, counted from 1970, that have their partitions."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._made: set[int] = set()

    async def ensure(self, conn: Connection, days: Iterable[int]) -> None:
        """Make what is missing, within the caller's transaction."""
        newest = max(self._known, default=0)
        trusted = {day for day in self._known if day > newest - TRUSTED_DAYS}
        for day in sorted(set(days) - trusted - self._made):
            await db.run(conn, "SELECT hub_ensure_day(%s)", (_EPOCH + timedelta(days=day),))
            self._made.add(day)

    def settle(self, committed: bool) -> None:
        """The transaction is over."""
        if committed:
            self._known |= self._made
        self._made = set()
