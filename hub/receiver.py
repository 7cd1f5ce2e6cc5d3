"""Composes the process that receives DICOM of the few parts it needs: half the memory of one that has them all."""

import asyncio

from hub.core import clock, supervisor
from hub.core.db import Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.dimse import listening

CONNECTIONS = 4


async def run_dimse(settings: Settings, stop: asyncio.Event, fd: int | None) -> None:
    """What modalities send, until told to stop."""
    if settings.dsn is None:
        raise ValueError("a single role needs HUB_DSN; `hub serve` without --role brings its own database")
    store = Store(settings.data_dir / "files")
    async with Database(settings.dsn, "hub_app", CONNECTIONS) as database, supervisor.beating(fd):
        await listening.run(settings, database, store, clock.now, stop)
