"""The hub's disk is nearly full, full to the last byte, read-only: nothing unsaved is acknowledged, alarms and audit
are still written where the disk takes anything, and the hub goes on by itself when there is room.

The data folder is a small tmpfs in a mount namespace of this process, so the scenario needs root.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import ClientError

from hub.core import clock, postgres
from hub.core.disk import MEGABYTE, free_bytes
from tests.load import outage, ward, witness
from tests.load.figures import Figure, say
from tests.load.outage import Scene
from tests.load.ward import TAPE_S
from tests.nemesis import installation, store, telling
from tests.nemesis.fleet import Setup
from tests.nemesis.tape import Tape

SIZE_MB: Final = 1_000
FLOOR_MB: Final = 160
RESERVE_MB: Final = 96
PIECE_BYTES: Final = 1 << 20
ALARMS_S: Final = 20.0  # in a time shorter than this it may be that no heart gives cause

CLONE_NEWNS: Final = 0x0002_0000  # linux/sched.h, sys/mount.h
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
MNT_DETACH: Final = 2

_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Plan:
    """How long, how many."""

    devices: int = 50
    trouble_s: float = 60.0
    calm_s: float = 15.0
    seed: int = 20_260_104
    troubles: tuple[str, ...] = ("below the floor", "full", "read-only")


SHORT: Final = Plan(devices=3, trouble_s=4.0, calm_s=0.5, troubles=("full",))


class NotPermitted(RuntimeError):
    """This process may not make a mount namespace."""


async def run(folder: Path, plan: Plan) -> list[Figure]:
    with small_disk(folder / "data") as data_dir:
        return await _run(folder, data_dir, plan)


async def _run(folder: Path, data_dir: Path, plan: Plan) -> list[Figure]:
    cluster = await asyncio.to_thread(postgres.prepare, data_dir / "postgres")
    witness.allow(cluster)
    settings = {"HUB_DISK_FLOOR_MB": str(FLOOR_MB), "HUB_DISK_RESERVE_MB": str(RESERVE_MB)}
    async with installation.installed(folder, settings) as hub:
        witness_dsn = witness.superuser_dsn(cluster)
        await witness.install(witness_dsn)
        async with ward.populated(hub, plan.devices) as (database, worn):
            setup = Setup(ward.make_wearers(worn), hub.broker, Tape(plan.seed, TAPE_S), plan.seed, links=0)
            async with ward.streaming(hub, witness_dsn, setup, database, worn, folder) as watched:
                figures = [Figure("devices", plan.devices), Figure("each trouble", plan.trouble_s, "s")]
                async with outage.watching(watched, plan.calm_s, plan.trouble_s) as scene:
                    for trouble in plan.troubles:
                        figures += await TROUBLES[trouble](scene)
                truths, drained_s = await ward.end(watched)
                figures.append(Figure("drained after the end", drained_s, "s"))
                return figures + await ward.examined(watched, truths)


async def _nearly_full(scene: Scene) -> list[Figure]:
    """Half of the floor is left."""
    return await _filled(scene, "disk below the floor", FLOOR_MB * MEGABYTE // 2)


async def _full(scene: Scene) -> list[Figure]:
    """Not a byte is left, but for the reserve."""
    return await _filled(scene, "disk full to the last byte", 0)


async def _filled(scene: Scene, how: str, left_bytes: int) -> list[Figure]:
    filler = scene.watched.hub.data_dir / "filler"
    since_s = clock.now().timestamp()
    looking: list[asyncio.Task[None]] = []

    async def begin() -> None:
        await asyncio.to_thread(fill, filler, left_bytes)
        looking.append(asyncio.create_task(_keep_signing_in(scene)))

    async def finish() -> None:
        looking[0].cancel()
        await asyncio.wait(looking)
        written.extend(await _written(scene, since_s + scene.calm_s))
        filler.unlink()

    written: list[int] = []
    figures = await outage.trouble(scene, how, begin, finish)
    audit, alarms = written
    return [
        *figures,
        Figure(f"{how}: audit entries written meanwhile", audit, at_least=1),
        Figure(f"{how}: alarms written meanwhile", alarms, at_least=1 if scene.outage_s > ALARMS_S else 0),
    ]


async def _read_only(scene: Scene) -> list[Figure]:
    """As after a fault of the disk: nothing can be opened for writing, and PostgreSQL has died of it."""
    data_dir = scene.watched.hub.data_dir

    async def begin() -> None:
        mount(data_dir, data_dir, None, MS_BIND)
        mount(data_dir, data_dir, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
        installation.send(scene.watched.hub.family("postgres"), signal.SIGKILL)

    async def finish() -> None:
        unmount(data_dir)

    return await outage.trouble(scene, "disk read-only", begin, finish)


TROUBLES: Final[Mapping[str, Callable[[Scene], Awaitable[list[Figure]]]]] = {
    "below the floor": _nearly_full,
    "full": _full,
    "read-only": _read_only,
}


async def _keep_signing_in(scene: Scene) -> None:
    """People go on working: each sign-in is an entry of the audit."""
    while True:
        with contextlib.suppress(OSError, ClientError):
            async with telling.session(scene.watched.hub) as http:
                await telling.sign_in(http, "doctor")
        await asyncio.sleep(1.0)


async def _written(scene: Scene, since_s: float) -> tuple[int, int]:
    """Entries of the audit, and alarms, since an instant."""
    async with await store.connect(scene.watched.witness_dsn) as admin:
        counts = []
        for table, column in (("audit", "at"), ("alarm", "raised_at")):
            cursor = await admin.execute(
                f"SELECT count(*) AS rows FROM {table} WHERE {column} > to_timestamp(%s)", (since_s,)
            )
            row = await cursor.fetchone()
            counts.append(int(str(row["rows"])) if row else 0)
    return counts[0], counts[1]


def fill(path: Path, left_bytes: int) -> None:
    """Write until so little is left; with nothing to be left, until the disk takes no more."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while (room := free_bytes(path.parent) - left_bytes) > 0 or not left_bytes:
            file.write(b"\1" * max(1, min(PIECE_BYTES, room)))


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A tmpfs that only this process and its children see."""
    if _libc.unshare(CLONE_NEWNS) != 0:
        raise NotPermitted(f"a mount namespace of its own: {os.strerror(ctypes.get_errno())}; run as root")
    mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    path.mkdir(mode=0o700)
    mount("none", path, "tmpfs", 0, f"size={SIZE_MB}m,mode=700")
    say(f"  data folder of {SIZE_MB} MB")
    try:
        yield path
    finally:
        unmount(path)


def mount(source: Path | str, target: Path, kind: str | None, flags: int, options: str = "") -> None:
    words = (
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        flags,
        options.encode(),
    )
    if _libc.mount(*words) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}: {os.strerror(ctypes.get_errno())}")


def unmount(target: Path) -> None:
    """Even if somebody still looks at it."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), f"umount {target}: {os.strerror(ctypes.get_errno())}")
