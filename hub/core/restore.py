"""Putting a backup back: into a scratch place, where it is proved, or in place of a stopped hub's data folder.

The scratch place becomes a data folder like any other: a server of its own, files, keys. Base and log are checked
before the server starts; then it recovers to the exact position of the backup (or to an instant between two), and what
it holds is held against what the running hub said of itself then, and against the hub's own checks.
"""

import asyncio
import contextlib
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg
import zstandard
from psycopg.rows import dict_row

from hub.core import backup_folder as place
from hub.core import db, postgres, process
from hub.core.backup import KEY_FOLDERS
from hub.core.backup_folder import BackupError, Chain, Damaged, Point
from hub.core.postgres import Cluster
from hub.core.proofs import Fact, Proof, Restored
from hub.core.store import Store

SHOWN: Final = 5  # faults named per check; the rest is counted
PAUSE_S: Final = 0.1
RECOVERED_WITHIN_S: Final = 6 * 3600.0
REPLACED: Final = ("files", *KEY_FOLDERS, "postgres")
PROMOTED: Final = "SELECT pg_is_in_recovery() AS recovering"


@dataclass(frozen=True)
class Check:
    """One line of the table; without faults it is well."""

    name: str
    words: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What to restore, and how hard to look at it."""

    backups: Path
    into: Path
    until: datetime | None = None  # None: the newest point
    full: bool = False


@dataclass
class Report:
    """The table as it grows; `show` is told each line when it comes."""

    show: Callable[[Check], None]
    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, words: str, faults: Sequence[str] = ()) -> bool:
        """Whether it was well."""
        shown = [*faults[:SHOWN], *([f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else [])]
        self.checks.append(Check(name, words, tuple(shown)))
        self.show(self.checks[-1])
        return not faults

    @property
    def well(self) -> bool:
        return not any(check.faults for check in self.checks)


async def restore(
    wanted: Wanted,
    facts: Mapping[str, Fact],
    proofs: Mapping[str, Proof],
    binaries: Path | None,
    show: Callable[[Check], None],
) -> Report:
    """Restore into a folder that is empty or not there, and prove it; a damaged base or log ends it early."""
    report = Report(show)
    try:
        chain, point = choose(wanted.backups, wanted.until)
    except Damaged as damage:
        report.add("backup", "description", [str(damage)])
        return report
    _empty(wanted.into)
    report.add("backup", _about(point, wanted.until))
    cluster_folder = wanted.into / "postgres"
    given = postgres.binaries_of(point.major, "postgres", binaries)
    if not await asyncio.to_thread(_check_database_files, report, chain, point, given):
        return report
    await asyncio.to_thread(_copy_database, chain, point, cluster_folder)
    await asyncio.to_thread(_copy_keys, report, chain, point, wanted.into)
    await asyncio.to_thread(_copy_files, report, wanted.backups, chain, point, wanted.into)
    recovery = _recovery(point, wanted.until)
    cluster = await asyncio.to_thread(postgres.prepare, cluster_folder, given, recovery)
    await asyncio.to_thread(postgres.give_restored, cluster)
    async with _recovered(report, cluster, point) as dsn:
        if dsn is not None:
            await _compare(report, dsn, {} if wanted.until else facts, point)
            await _prove(report, dsn, wanted, point, proofs)
    await asyncio.to_thread(postgres.prepare, cluster_folder, given)  # without the words about recovery
    return report


def swap(data_dir: Path, restored: Path, aside: Path) -> None:
    """Put what was restored in the place of what is there, which is kept; the database last.

    The broker's queue stays: devices sent it, and the restored hub may not have it. Renames only, so that a data folder
    that is a mount point can be replaced, too.
    """
    place.made(aside)
    for name in [path.name for path in restored.iterdir() if path.name in REPLACED[:-1]] + [REPLACED[-1]]:
        if (data_dir / name).exists():
            (data_dir / name).rename(aside / name)
        (restored / name).rename(data_dir / name)
    place.sync_folder(data_dir)
    shutil.rmtree(restored)


def choose(backups: Path, until: datetime | None) -> tuple[Chain, Point]:
    """The newest point; with an instant, the first point behind it, whose log leads there."""
    found = place.chains(backups)
    if not found:
        raise BackupError(f"{backups} holds no finished backup")
    if until is None:
        return found[-1], found[-1].points[-1]
    for chain in reversed(found):
        if chain.points[0].at <= until:
            behind = [point for point in chain.points if point.at >= until]
            if behind:
                return chain, behind[0]
            raise BackupError(
                f"the newest backup before the next base is of {chain.points[-1].at.isoformat()}"
            )
    raise BackupError(f"the oldest backup is of {found[0].points[0].at.isoformat()}")


def _empty(folder: Path) -> None:
    place.made(folder)
    if any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty; name a new folder")


def _about(point: Point, until: datetime | None) -> str:
    at = (
        f"the state of {until.isoformat()}" if until else f"the state of {point.at.isoformat()} ({point.lsn})"
    )
    return f"{point.kind} {point.id}, PostgreSQL {point.major}: {at}"


def _check_database_files(report: Report, chain: Chain, point: Point, binaries: Path) -> bool:
    """Base against its manifest, the manifest against the point, each segment of the log against its hash."""
    faults = list(_base_faults(chain, point, binaries))
    well = report.add("base", f"{chain.base}", faults)
    segments = _segments(chain, point)
    faults = list(_log_faults(chain, segments, point.segment_bytes))
    return report.add("log", f"{len(segments)} segments", faults) and well


def _base_faults(chain: Chain, point: Point, binaries: Path) -> Iterator[str]:
    manifest = chain.base / "backup_manifest"
    if not manifest.exists() or place.file_sha256(manifest) != point.base_sha256:
        yield f"{manifest} is missing or was changed"
        return
    command = (binaries / "pg_verifybackup", "--no-parse-wal", "--quiet", chain.base)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line.split("error: ", 1)[-1] for line in done.stderr.splitlines() if line]
        yield from lines or [f"pg_verifybackup ended with {done.returncode}"]


def _segments(chain: Chain, point: Point) -> dict[str, str]:
    return {name: sha256 for step in chain.up_to(point) for name, sha256 in step.segments.items()}


def _log_faults(chain: Chain, segments: Mapping[str, str], segment_bytes: int) -> Iterator[str]:
    for name, sha256 in segments.items():
        path = chain.wal / f"{name}.zst"
        if not path.exists():
            yield f"segment {name} is missing"
        elif place.file_sha256(path) != sha256:
            yield f"segment {name} was changed"
    for name in place.missing_segments(segments, min(segments), segment_bytes):
        yield f"segment {name} was never there"


def _copy_database(chain: Chain, point: Point, folder: Path) -> None:
    """The base, and the log where the server looks for it. Copies: the server writes into both."""
    shutil.copytree(chain.base, folder, symlinks=True)
    folder.chmod(0o700)
    for name in _segments(chain, point):
        with (chain.wal / f"{name}.zst").open("rb") as read, (folder / "pg_wal" / name).open("wb") as write:
            zstandard.ZstdDecompressor().copy_stream(read, write)
    (folder / "recovery.signal").touch()


def _copy_keys(report: Report, chain: Chain, point: Point, into: Path) -> None:
    faults = []
    for name, sha256 in point.keys.items():
        source, target = chain.folder / "secret" / point.id / name, into / name
        place.made(target.parent)
        if not source.exists():
            faults.append(f"{name} is missing")
        elif place.copy_hashed(source, target) != sha256:
            faults.append(f"{name} was changed")
        if target.exists():
            target.chmod(0o600)
    report.add("keys", f"{len(point.keys)} files", faults)


def _copy_files(report: Report, backups: Path, chain: Chain, point: Point, into: Path) -> None:
    """Every stored file of the point, under its hash; a file with wrong bytes is not taken over."""
    try:
        names = place.listed_files(chain, point)
    except Damaged as damage:
        report.add("files", "list", [str(damage)])
        return
    store = Store(into / "files")
    faults = [f"{name} was already damaged in the hub" for name in point.damaged_files]
    for name in sorted(names):
        source, target = backups / "files" / name[:2] / name, store.path(name)
        if not source.exists():
            faults.append(f"{name} is missing")
        elif place.copy_hashed(source, target) != name:
            target.unlink()
            faults.append(f"{name} was changed")
    report.add("files", f"{len(names)} files, each by its SHA-256", faults)


def _recovery(point: Point, until: datetime | None) -> dict[str, str]:
    """To the position of the point, before anything behind it; or to an instant. The log is in its place already."""
    target = (
        {"recovery_target_time": f"'{until.isoformat()}'"}
        if until
        else {"recovery_target_lsn": f"'{point.lsn}'", "recovery_target_inclusive": "off"}
    )
    fixed = {"restore_command": "'false'", "recovery_target_action": "'promote'", "hot_standby": "off"}
    preload = {"shared_preload_libraries": f"'{point.preload}'"} if point.preload else {}
    return target | fixed | preload


@contextlib.asynccontextmanager
async def _recovered(report: Report, cluster: Cluster, point: Point) -> AsyncIterator[str | None]:
    """The recovered server's address while the block lasts; None if it did not come up."""
    log = cluster.folder.parent / "log" / "postgres.log"
    server = await postgres.start(cluster, log)
    dsn = psycopg.conninfo.make_conninfo(
        host=str(cluster.socket_dir), dbname=point.database, user=point.superuser
    )
    try:
        up = await _wait_recovered(server, dsn)
        report.add("recovery", "the server is up", [] if up else [f"the server did not come up; see {log}"])
        yield dsn if up else None
    finally:
        await process.stop(server, signal.SIGINT, postgres.STOP_TIMEOUT_S)


async def _wait_recovered(server: asyncio.subprocess.Process, dsn: str) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RECOVERED_WITHIN_S):
            while server.returncode is None:
                with contextlib.suppress(psycopg.OperationalError):
                    async with await psycopg.AsyncConnection.connect(dsn, row_factory=dict_row) as conn:
                        if not (await db.one(conn, PROMOTED))["recovering"]:
                            return True
                await asyncio.sleep(PAUSE_S)
    return False


async def _compare(report: Report, dsn: str, facts: Mapping[str, Fact], point: Point) -> None:
    """What the database says now against what it said at the backup."""
    if point.facts is None:
        report.add("facts", "not known: the hub wrote without a pause when this backup was made")
        return
    for name, fact in facts.items():
        if name in point.facts:
            async with _as_hub(dsn, "hub_owner", point.at) as conn:
                now = await fact(conn)
            report.add(name, _summary(point.facts[name]), list(_differences(point.facts[name], now)))


def _summary(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    numbers = [number for number in value.values() if isinstance(number, int)]
    if len(value) > SHOWN:
        return f"{sum(numbers)} in {len(value)}, as in the manifest"
    return ", ".join(f"{name} {number}" for name, number in value.items())


def _differences(before: Any, now: Any) -> Iterator[str]:
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        if before != now:
            yield f"was {before}, is {now}"
        return
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            yield f"{name}: was {before.get(name, 'absent')}, is {now.get(name, 'absent')}"


async def _prove(report: Report, dsn: str, wanted: Wanted, point: Point, proofs: Mapping[str, Proof]) -> None:
    for name, proof in proofs.items():
        async with _as_hub(dsn, "hub_app", point.at) as conn:
            at = wanted.until or point.at
            restored = Restored(conn, Store(wanted.into / "files"), wanted.into, at, wanted.full)
            try:
                verdict = await proof(restored)
            except psycopg.Error as failure:  # a page that can't be read, for one
                report.add(
                    name, "can't be read", [f"PostgreSQL: {failure.sqlstate or type(failure).__name__}"]
                )
            else:
                report.add(name, verdict.words, verdict.faults)


@contextlib.asynccontextmanager
async def _as_hub(dsn: str, role: db.Role, at: datetime) -> AsyncIterator[db.Connection]:
    """A transaction in the name of the hub that changes nothing."""
    conn = await psycopg.AsyncConnection.connect(db.conninfo(dsn, role), row_factory=dict_row)
    async with conn:
        await conn.execute("SET statement_timeout = 0")
        await conn.execute(
            "SELECT set_config('hub.actor_kind', 'job', true), set_config('hub.actor_id', 'restore', true),"
            " set_config('hub.at', %s, true)",
            (at.isoformat(),),
        )
        yield conn
        await conn.rollback()
