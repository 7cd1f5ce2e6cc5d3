"""What telemetry removes by a rule: set-aside messages that an operator has discarded."""

from datetime import datetime
from typing import Final

from hub.core import db
from hub.core.db import Connection
from hub.core.retention import Due, Removed, Sweeper, Sweepers

AT_ONCE: Final = 100


async def _discarded(conn: Connection, before: datetime) -> Due:
    row = await db.one(
        conn,
        "SELECT count(*) AS number, min(discarded_at) AS oldest FROM set_aside WHERE discarded_at < %s",
        (before,),
    )
    return Due(row["number"], row["oldest"])


async def _remove_discarded(conn: Connection, before: datetime) -> Removed:
    gone = await db.rows(
        conn,
        "DELETE FROM set_aside WHERE id IN"
        " (SELECT id FROM set_aside WHERE discarded_at < %s ORDER BY discarded_at LIMIT %s) RETURNING id",
        (before, AT_ONCE),
    )
    return Removed(len(gone), [str(row["id"]) for row in gone], more=len(gone) == AT_ONCE)


RETENTION: Final[Sweepers] = {"log": (Sweeper("set-aside", _discarded, _remove_discarded),)}
