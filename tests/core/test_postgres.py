"""The hub's own PostgreSQL: durable, closed to others, refused when there is none that fits."""

import asyncio
import signal
from pathlib import Path

import psutil
import psycopg
import pytest

from hub.core import postgres


@pytest.fixture(params=postgres.candidates(), ids=lambda path: path.parts[3])
def binaries(request: pytest.FixtureRequest) -> Path:
    """Each server found: Debian's and the one of the wheel."""
    found: Path = request.param
    return found


async def test_data_survives_a_restart(tmp_path: Path, binaries: Path) -> None:
    for _ in range(2):
        async with postgres.running(tmp_path / "pg", binaries) as cluster:
            async with await psycopg.AsyncConnection.connect(cluster.admin_dsn) as conn:
                await conn.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
                await conn.execute("INSERT INTO kept VALUES (1)")
                kept = await (await conn.execute("SELECT count(*) FROM kept")).fetchone()
    assert kept == (2,)


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
async def test_a_server_that_does_not_go_is_made_to_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    """As PostgreSQL 15 does when told to shut down in the middle of recovering from the crash of a backend."""
    monkeypatch.setattr(postgres, "HARDER", ((0.2, how),))
    async with postgres.running(tmp_path / "pg") as cluster:
        async with await psycopg.AsyncConnection.connect(cluster.admin_dsn) as conn:
            await conn.execute("CREATE TABLE kept (id int)")
        await postgres.wait_gone(cluster)
    async with (
        postgres.running(tmp_path / "pg") as cluster,
        await psycopg.AsyncConnection.connect(cluster.admin_dsn) as conn,
    ):
        await conn.execute("INSERT INTO kept VALUES (1)")


def _suspended(process: psutil.Process) -> bool:
    """Whether it could be stopped; a worker of the server's own may have ended meanwhile."""
    try:
        process.suspend()
    except psutil.NoSuchProcess:
        return False
    return True


async def test_what_is_left_of_a_killed_server_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that does not notice the death of its server holds the memory that the next one needs."""
    monkeypatch.setattr(postgres, "HARDER", ((0.2, signal.SIGKILL),))
    async with postgres.running(tmp_path / "pg") as cluster:
        server = psutil.Process(int((cluster.folder / "postmaster.pid").read_text().split()[0]))
        left = [one for one in server.children() if _suspended(one)]
        server.kill()
        await asyncio.to_thread(psutil.wait_procs, [server], 30)
        assert all(one.is_running() for one in left)
        await postgres.wait_gone(cluster)
    async with postgres.running(tmp_path / "pg") as cluster:
        await (await psycopg.AsyncConnection.connect(cluster.admin_dsn)).close()


async def test_acknowledged_is_on_disk_and_nobody_else_reaches_it(tmp_path: Path) -> None:
    async with postgres.running(tmp_path / "pg") as cluster:
        async with await psycopg.AsyncConnection.connect(cluster.admin_dsn) as conn:
            settings = await conn.execute("SELECT name, setting FROM pg_settings")
            now = dict(await settings.fetchall())
            superuser = await conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            assert await superuser.fetchone() == (False,)
    assert (now["fsync"], now["synchronous_commit"], now["full_page_writes"]) == ("on", "on", "on")
    assert now["listen_addresses"] == ""
    assert cluster.folder.stat().st_mode & 0o077 == 0
    assert cluster.socket_dir.stat().st_mode & 0o077 == 0


async def test_refused_row_is_not_in_the_log(tmp_path: Path) -> None:
    async with postgres.running(tmp_path / "pg") as cluster:
        async with await psycopg.AsyncConnection.connect(cluster.admin_dsn, autocommit=True) as conn:
            await conn.execute("CREATE TABLE patient (name text CHECK (name = ''))")
            with pytest.raises(psycopg.errors.CheckViolation):
                await conn.execute("INSERT INTO patient VALUES (%s)", ("Zhang San",))
        log = (tmp_path / "log" / "postgres.log").read_text()
    assert "violates check constraint" in log and "Zhang" not in log


async def test_long_path_still_gets_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "pg"
    async with postgres.running(deep) as cluster:
        assert len(str(cluster.socket_dir)) <= postgres.SOCKET_PATH_MAX


def test_data_of_another_version_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("9\n")
    with pytest.raises(postgres.PostgresMissing, match="PostgreSQL 9"):
        postgres.find_binaries(tmp_path)
