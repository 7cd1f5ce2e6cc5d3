"""Composes the process that modalities and workstations ask: the index, the worklist, whether all is safe."""

import asyncio

from hub.core import clock, supervisor
from hub.core.db import Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.dimse import query_listening
from hub.imaging.dimse.query_request import Hub

CONNECTIONS = 4


async def run_query(settings: Settings, stop: asyncio.Event, fd: int | None) -> None:
    """What is asked by DICOM, until told to stop."""
    if settings.dsn is None:
        raise ValueError("a single role needs HUB_DSN; `hub serve` without --role brings its own database")
    store = Store(settings.data_dir / "files")
    async with Database(settings.dsn, "hub_app", CONNECTIONS) as database, supervisor.beating(fd):
        await query_listening.run(Hub(settings, database, store, clock.now), stop)
