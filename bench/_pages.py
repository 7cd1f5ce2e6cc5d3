"""The hub's own processes beside a bench, and a real browser to look at its pages."""

import asyncio
import contextlib
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientSession
from playwright.async_api import Browser, async_playwright

from bench._installation import Installation
from tests.journeys.conftest import BROWSER
from tests.parts import free_port

READY_S = 60.0
ROOT = Path(__file__).parents[1]


@contextlib.asynccontextmanager
async def hub(installation: Installation) -> AsyncIterator[str]:
    """The web and ingest processes as `hub serve` runs them."""
    settings, port = installation.settings, free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
        "HUB_DSN": installation.dsn,
        "HUB_DATA_DIR": str(settings.data_dir),
        "HUB_MQTT_PORT": str(settings.mqtt_port),
        "HUB_MQTT_DEVICES_PORT": str(settings.mqtt_devices_port),
        "HUB_HTTP_PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    processes = [await _role(role, env) for role in ("web", "ingest", "jobs")]
    try:
        await _answering(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in processes:
            process.terminate()
        await asyncio.gather(*(process.wait() for process in processes))


async def _role(role: str, env: dict[str, str]) -> Process:
    command = (sys.executable, "-m", "hub.cli", "serve", "--role", role)
    return await asyncio.create_subprocess_exec(*command, env=env, stdout=DEVNULL, stderr=PIPE)


async def _answering(base: str) -> None:
    async with asyncio.timeout(READY_S), ClientSession() as client:
        while True:
            with contextlib.suppress(OSError):
                async with client.get(f"{base}/healthz"):
                    return
            await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, args=BROWSER)
        yield running
        await running.close()
