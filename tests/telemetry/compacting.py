"""Compacting as the jobs process does it; as a program, in small steps, to be killed at any moment."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from uuid import UUID

from hub.core.db import Database
from hub.core.jobs import Context
from hub.core.settings import Settings
from hub.core.store import Store
from hub.telemetry import compaction, worker


async def compact(database: Database, at: datetime, recording_id: UUID) -> None:
    """The job of one recording."""
    nowhere = Path("/nonexistent")
    context = Context(database, Store(nowhere), Settings(data_dir=nowhere), at)
    await worker.compact(context, {"recording_id": str(recording_id)})


async def _main(dsn: str, at: str, recording_id: str) -> None:
    compaction.PACKETS = 20  # type: ignore[misc]
    async with Database(dsn, "hub_app", 1) as database:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await compact(database, datetime.fromisoformat(at), UUID(recording_id))
    sys.stdout.write("done\n")


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
