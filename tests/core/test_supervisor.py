"""The supervisor with real processes: order, restart, silence, and nothing left behind."""

import asyncio
import dataclasses
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hub.core import process, supervisor
from hub.core.supervisor import Child, Supervisor

CHILD = Path(__file__).parent / "child.py"
ROOT = Path(__file__).parents[2]


def child(how: str, folder: Path, name: str | None = None) -> Child:
    async def command() -> list[str]:
        return [sys.executable, str(CHILD), how, str(folder)]

    return Child(name or how, command, environ=os.environ | {"PYTHONPATH": str(ROOT)})


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what other processes do sets no event of ours
            await asyncio.sleep(0.02)


def written(folder: Path, kind: str) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob(f"*.{kind}"))]


async def test_up_in_order_and_down_in_reverse(tmp_path: Path) -> None:
    async with Supervisor(tmp_path / "log") as parent:
        for name in ("first", "second", "third"):
            await parent.start(child(name, tmp_path))
        started = written(tmp_path, "pid")
    assert [line.split()[0] for line in started] == ["first", "second", "third"]
    assert written(tmp_path, "end") == ["third", "second", "first"]
    assert not any(psutil.pid_exists(int(line.split()[1])) for line in started)


async def test_killed_child_is_started_again(tmp_path: Path) -> None:
    ended: list[int] = []

    async def on_end(pid: int) -> None:
        ended.append(pid)

    async with Supervisor(tmp_path / "log") as parent:
        await parent.start(dataclasses.replace(child("worker", tmp_path), on_end=on_end))
        first = parent.process("worker")
        assert first is not None
        first.kill()
        await until(lambda: len(written(tmp_path, "pid")) == 2)
    assert ended == [first.pid]


async def test_exit_code_is_the_childs_own_whenever_it_is_stopped(tmp_path: Path) -> None:
    codes = []
    for turns in range(0, 2000, 40):  # around the moment at which the child ends by itself
        ended = await process.start(("/bin/sh", "-c", "exit 7"), tmp_path / "log")
        for _ in range(turns):
            await asyncio.sleep(0)
        codes.append(await process.stop(ended, signal.SIGKILL, 5))
    assert set(codes) <= {7, -signal.SIGKILL}


async def test_silent_child_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "SILENT_AFTER_S", 0.5)
    async with Supervisor(tmp_path / "log") as parent:
        await parent.start(dataclasses.replace(child("stuck", tmp_path), stop_timeout_s=0.1))
        await until(lambda: len(written(tmp_path, "pid")) >= 2)
        first = int(written(tmp_path, "pid")[0].split()[1])
        assert not psutil.pid_exists(first)


async def test_child_that_never_starts_is_told_with_its_log(tmp_path: Path) -> None:
    async with Supervisor(tmp_path / "log") as parent:
        with pytest.raises(supervisor.StartFailed, match=r"broken\.log"):
            await parent.start(child("broken", tmp_path))


async def test_second_hub_on_a_folder_is_refused_with_the_first_ones_id(tmp_path: Path) -> None:
    with supervisor.locked(tmp_path):
        with pytest.raises(supervisor.DataFolderInUse, match=str(os.getpid())):
            with supervisor.locked(tmp_path):
                pass
    with supervisor.locked(tmp_path):
        pass


PARENT = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.core.test_supervisor import child
from hub.core.supervisor import Supervisor

async def main():
    async with Supervisor(Path({folder!r}) / "log") as parent:
        await parent.start(child("orphan", Path({folder!r})))
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_killed_supervisor_leaves_no_child(tmp_path: Path) -> None:
    source = PARENT.format(root=str(ROOT), folder=str(tmp_path))
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", source)
    await until(lambda: written(tmp_path, "pid") != [])
    orphan = int(written(tmp_path, "pid")[0].split()[1])
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await until(lambda: not psutil.pid_exists(orphan))
