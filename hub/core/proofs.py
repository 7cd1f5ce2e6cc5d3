"""What a backup is held against: facts asked of the database twice, and proofs of what was restored.

A *fact* is asked at the instant of the backup and again of the restored database; both answers must be equal. A
*proof* looks only at what was restored, with the checks that the hub itself works with. Domains export theirs and
hub/app.py puts them together. Both run in the name of the hub, and say nothing of a patient but ids.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from psycopg import sql

from hub.core import db
from hub.core.db import Connection
from hub.core.store import Store

COUNTED_UP_TO: Final = (
    5_000_000  # rows of one table or partition; a larger one is held against the ledger only
)
SAMPLE: Final = 20  # recordings or reports looked at without --full

Fact = Callable[[Connection], Awaitable[Any]]


@dataclass(frozen=True)
class Restored:
    """What a proof looks at."""

    conn: Connection
    store: Store
    data_dir: Path  # holds the keys
    at: datetime  # of the restored state
    full: bool  # everything, not a sample

    @property
    def limit(self) -> int | None:
        return None if self.full else SAMPLE


@dataclass(frozen=True)
class Verdict:
    """What a proof found; `faults` name what is wrong."""

    words: str
    faults: tuple[str, ...] = ()


Proof = Callable[[Restored], Awaitable[Verdict]]


async def row_counts(conn: Connection) -> Mapping[str, int]:
    """Rows of each table and partition that is not too large to count."""
    tables = await db.rows(
        conn,
        "SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.reltuples <= %s ORDER BY c.relname",
        (COUNTED_UP_TO,),
    )
    counts = {}
    for table in tables:
        query = sql.SQL("SELECT count(*) AS rows FROM {}").format(sql.Identifier(table["name"]))
        row = await (await conn.execute(query)).fetchone()
        assert row is not None
        counts[table["name"]] = row["rows"]
    return counts


FACTS: Final[Mapping[str, Fact]] = {"rows": row_counts}
