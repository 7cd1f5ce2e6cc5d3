"""A whole hub as an operator starts it: up, crashes mended, second start refused, nothing left, data kept."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiohttp import ClientError, ClientSession

from hub import app
from hub.core import lifecycle, supervisor
from hub.core.settings import Settings
from tests import parts
from tests.core.test_supervisor import until

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 60


def environ(data_dir: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    ports = {
        name: str(parts.free_port()) for name in ("HUB_HTTP_PORT", "HUB_MQTT_PORT", "HUB_MQTT_DEVICES_PORT")
    }
    return kept | ports | {"HUB_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}


async def hub(env: dict[str, str], *arguments: str) -> Process:
    command = (sys.executable, "-m", "hub.cli", *arguments)
    return await asyncio.create_subprocess_exec(*command, env=env, stdout=PIPE, stderr=PIPE)


async def answer(env: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Exit code and all that a command said."""
    command = await hub(env, *arguments)
    out, err = await command.communicate()
    assert command.returncode is not None
    return command.returncode, (out + err).decode()


@contextlib.asynccontextmanager
async def serving(env: dict[str, str]) -> AsyncIterator[Process]:
    process = await hub(env, "serve")
    assert process.stdout is not None
    assert process.stderr is not None
    drain = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            line = (await process.stdout.readline()).decode()
        assert line.strip() == f"ready http://127.0.0.1:{env['HUB_HTTP_PORT']}", (await drain).decode()
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)
        await drain


def children(process: Process) -> dict[str, psutil.Process]:
    """The hub's processes by name."""
    found = {}
    for child in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            words = child.cmdline()
            if words:  # a dead one has none left
                name = words[words.index("--name") + 1] if "--name" in words else Path(words[0]).name
                found[name] = child
    return found


def is_replaced(before: dict[str, psutil.Process], now: dict[str, psutil.Process]) -> bool:
    return before.keys() == now.keys() and all(now[name].pid != child.pid for name, child in before.items())


async def healthy(env: dict[str, str]) -> dict[str, str]:
    """What /healthz says of the processes, once it answers."""
    async with asyncio.timeout(READY_WITHIN_S), ClientSession() as http:
        while True:
            with contextlib.suppress(ClientError):
                async with http.get(f"http://127.0.0.1:{env['HUB_HTTP_PORT']}/healthz") as response:
                    if response.status == 200:
                        return dict((await response.json())["processes"])
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One data folder for all: what is tried here holds of a new one and of one that was in use."""
    return environ(tmp_path_factory.mktemp("hub") / "data")


async def test_starts_in_order_stops_clean_and_keeps_its_data(env: dict[str, str]) -> None:
    async with serving(env) as process:
        assert await healthy(env) == dict.fromkeys(["hub", "ingest-1", "jobs", "web"], "running")
        family = psutil.Process(process.pid).children(recursive=True)
        code, made = await answer(env, "user", "add-organisation", "市一院", "--level", "hospital")
        assert code == 0, made
        code, doctor = await answer(env, "doctor")
        assert "BAD database" not in doctor and "BAD broker" not in doctor, doctor
    assert process.returncode == 0
    assert not any(child.is_running() for child in family)
    code, listed = await answer(env, "user", "organisations")  # on its own short-lived server
    assert code == 0 and "市一院" in listed


async def test_second_start_on_the_same_folder_is_refused(env: dict[str, str]) -> None:
    with supervisor.locked(Path(env["HUB_DATA_DIR"])):
        code, said = await answer(env, "serve")
    assert code == 1
    assert re.search(rf"in use by the hub with process id {os.getpid()}\b", said), said


async def test_any_killed_part_comes_back(env: dict[str, str]) -> None:
    async with serving(env) as process:
        before = children(process)
        assert set(before) == {"postgres", "mosquitto", "jobs", "ingest-1", "web"}
        for child in before.values():
            child.kill()
        await until(lambda: is_replaced(before, children(process)))
        assert set(await healthy(env)) == {"hub", "ingest-1", "jobs", "web"}


async def test_killed_hub_leaves_nothing_and_starts_again(env: dict[str, str]) -> None:
    async with serving(env) as process:
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        await process.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, family, 30)
        assert alive == []
    async with serving(env):
        await healthy(env)


@pytest.mark.parametrize("port", ["HUB_MQTT_DEVICES_PORT", "HUB_HTTP_PORT"])
async def test_port_in_use_is_told(env: dict[str, str], port: str) -> None:
    blocker = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", int(env[port]))
    async with blocker:
        code, said = await answer(env, "serve")
    assert code == 1
    assert f"hub: port {env[port]} on 127.0.0.1: Address already in use" in said


async def test_data_folder_that_can_not_be_is_told(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = env | {"HUB_DATA_DIR": str(tmp_path / "file")}
    code, said = await answer(env, "serve")
    assert (code, said.count("\n")) == (1, 1) and f"hub: {tmp_path}/file: File exists;" in said
    code, said = await answer(env, "doctor")
    assert code == 1 and f"BAD data folder: {tmp_path}/file is not a folder" in said


async def test_given_database_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "GIVEN_DATABASE_TIMEOUT_S", 0)
    dsn = f"postgresql://x@127.0.0.1:{parts.free_port()}/x"
    with pytest.raises(lifecycle.DatabaseAway, match=r"HUB_DSN: .* does not answer"):
        await lifecycle.serve(Settings(data_dir=tmp_path, dsn=dsn), app.plan(Settings()))
