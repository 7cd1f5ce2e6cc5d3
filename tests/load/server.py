"""A PostgreSQL of its own beside the hub, durable as the hub's own, that can be stopped, killed and started again."""

import asyncio
import contextlib
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from hub.core import clock, migrate, postgres, process
from hub.core.postgres import Cluster
from tests.load import witness


class Server:
    """The server's folder and process."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._process: Process | None = None

    @property
    def dsn(self) -> str:
        return self.cluster.admin_dsn

    @property
    def superuser_dsn(self) -> str:
        return witness.superuser_dsn(self.cluster)

    async def start(self) -> None:
        """Return when it answers."""
        await postgres.wait_gone(self.cluster)
        self._process = await postgres.start(
            self.cluster, self.cluster.folder.parent / "log" / "postgres.log"
        )
        await postgres.wait_ready(self.cluster, self._process)

    async def kill(self) -> None:
        """kill -9 of the server and all its backends: what is left is what was written."""
        for one in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        if self._process is not None:
            await self._process.wait()
        (self.cluster.folder / "postmaster.pid").unlink(missing_ok=True)

    async def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    async def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def stop(self) -> None:
        if self._process is not None:
            await self.resume()
            await process.stop(self._process, signal.SIGINT, postgres.STOP_TIMEOUT_S)

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def _signal(self, number: signal.Signals) -> None:
        for one in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Server]:
    """Up, migrated and witnessed, for as long as the block lasts."""
    cluster = await asyncio.to_thread(postgres.prepare, folder / "data")
    witness.allow(cluster)
    server = Server(cluster)
    try:
        await server.start()
        await migrate.migrate(server.dsn, clock.now())
        await witness.install(server.superuser_dsn)
        yield server
    finally:
        await server.stop()
