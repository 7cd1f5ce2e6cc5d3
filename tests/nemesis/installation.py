"""A whole hub as an operator starts it, that may be killed at any moment and is then started again."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import psutil

from hub.core import clock, postgres
from hub.core.db import Database
from tests import parts

ROOT: Final = Path(__file__).parents[2]
READY_WITHIN_S: Final = 240.0  # a guard only: a loaded machine may take its time
STOP_WITHIN_S: Final = 60.0
PORTS: Final = ("HUB_HTTP_PORT", "HUB_MQTT_PORT", "HUB_MQTT_DEVICES_PORT")


class Hub:
    """`hub serve` on a data folder of its own; `settings` are HUB_... names."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str] = {}) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        ports = {name: str(parts.free_port()) for name in PORTS}
        self.env = kept | ports | {"HUB_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)} | dict(settings)
        self.data_dir = data_dir
        self.start_s: list[float] = []
        self.failed_starts: list[str] = []
        self.process: Process | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.env['HUB_HTTP_PORT']}"

    @property
    def broker(self) -> tuple[str, int]:
        """Where devices connect."""
        return "127.0.0.1", int(self.env["HUB_MQTT_DEVICES_PORT"])

    @property
    def admin_dsn(self) -> str:
        return self.env.get("HUB_DSN") or postgres.existing(self.data_dir / "postgres").admin_dsn

    def database(self) -> Database:
        """As the pages see it."""
        return Database(self.admin_dsn, "hub_app", size=2)

    async def start(self) -> None:
        """Return once it says `ready`; started again if it ends before, as a service manager would."""
        begun_s = clock.monotonic_s()
        while not await self._try_to_start():
            if clock.monotonic_s() - begun_s > READY_WITHIN_S:
                raise RuntimeError(f"the hub does not start: {self.failed_starts[-1]}")
            await asyncio.sleep(0.2)
        self.start_s.append(clock.monotonic_s() - begun_s)

    async def _try_to_start(self) -> bool:
        command = (sys.executable, "-m", "hub.cli", "serve")
        with (self.data_dir.parent / "hub.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, env=self.env, stdout=PIPE, stderr=log
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(READY_WITHIN_S):
            line = (await self.process.stdout.readline()).decode()
        if line.startswith("ready "):
            return True
        await self.process.wait()
        self.failed_starts.append(self._last_words())
        return False

    def _last_words(self) -> str:
        lines = (self.data_dir.parent / "hub.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def kill(self) -> None:
        """kill -9 of the supervisor; its children learn of it by themselves."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> None:
        """As an operator does."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_WITHIN_S):
                await self.process.wait()

    def children(self) -> dict[str, psutil.Process]:
        """The hub's processes by name: postgres, mosquitto, ingest-1, jobs, web ..."""
        found: dict[str, psutil.Process] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid if self.process else 0).children():
                name = _name(child)
                if name:
                    found[name] = child
        return found

    def family(self, name: str) -> list[psutil.Process]:
        """A process of the hub and all that it started (the backends of PostgreSQL)."""
        child = self.children().get(name)
        if child is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child, *child.children(recursive=True)]
        return []


def _name(child: psutil.Process) -> str | None:
    """None: dead, or one that has not become what it will be."""
    with contextlib.suppress(psutil.Error):
        words = child.cmdline()
        if "--name" in words:
            return words[words.index("--name") + 1]
        program = Path(words[0]).name if words else ""
        return program if program in ("postgres", "mosquitto") else None
    return None


def send(processes: list[psutil.Process], number: signal.Signals) -> int:
    """Send a signal to those that are still there; how many got it."""
    got = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            got += 1
    return got


@contextlib.asynccontextmanager
async def installed(folder: Path, settings: Mapping[str, str] = {}) -> AsyncIterator[Hub]:
    """A running hub; whatever of it is left at the end of the block ends."""
    hub = Hub(folder / "data", settings)
    hub.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        await hub.start()
        yield hub
        await hub.stop()
    finally:
        for child in hub.children().values():
            send([child], signal.SIGCONT)
        await hub.kill()
