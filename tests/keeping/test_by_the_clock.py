"""Backups by the clock, with a given server's login, and by the commands an operator types."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from hub import background
from hub.core import backup_job, db, doctor, jobs, metrics, postgres, restore
from hub.core.jobs import Worker
from hub.core.restore import Check, Wanted
from hub.core.store import Store
from tests.core.test_serve import answer, environ, serving
from tests.core.test_supervisor import until
from tests.keeping.conftest import FULL_COUNTS, Hub, with_target
from tests.reading.world import SEEDER


def worker(hub: Hub, at: datetime) -> Worker:
    world = hub.world
    kinds = backup_job.kinds(background.FACTS)
    return Worker(
        world.databases.app, Store(world.data_dir / "files"), hub.settings, kinds, lambda: at, "test"
    )


async def by_the_clock(hub: Hub, at: datetime) -> int:
    """One round of the timer and what it asked for; how many backups there are then."""
    hand = worker(hub, at)
    await backup_job.watch(hand.context(at))
    await jobs.run_due(hand)
    async with hub.world.transaction(SEEDER) as conn:
        assert await db.rows(conn, "SELECT kind, error FROM job WHERE kind = 'backup.run'") == []
        return len(await db.rows(conn, "SELECT FROM backup WHERE failure IS NULL"))


async def incidents(hub: Hub) -> list[str]:
    async with hub.world.transaction(SEEDER) as conn:
        return [row["kind"] for row in await db.rows(conn, "SELECT kind FROM incident WHERE gone_at IS NULL")]


async def test_backups_come_by_the_clock_and_staff_are_told_when_they_stop(hub: Hub, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert await by_the_clock(hub, now) == 0  # no folder is set; installed long ago
    assert await incidents(hub) == ["backup-old"]
    hub = with_target(hub, tmp_path / "backup")
    assert await by_the_clock(hub, now) == 1
    assert await by_the_clock(hub, now + timedelta(minutes=59)) == 1
    assert await incidents(hub) == []
    assert "hub_backup_age_seconds" in str(metrics.generate_latest())
    assert await by_the_clock(hub, now + timedelta(minutes=61)) == 2
    assert [r.well for r in await doctor.examine(hub.settings) if r.check == "backup"] == [True]

    (tmp_path / "backup" / "repository.json").write_text("[]")
    later = now + timedelta(hours=27)
    assert await by_the_clock(hub, later) == 2
    assert await incidents(hub) == ["backup-old"]
    async with hub.world.transaction(SEEDER) as conn:
        (failed,) = await db.rows(conn, "SELECT failure FROM backup WHERE failure IS NOT NULL")
    assert "repository.json" in failed["failure"]


async def test_a_given_server_is_backed_up_by_a_login_that_may_only_that(hub: Hub, tmp_path: Path) -> None:
    """Not a superuser: REPLICATION, a member of hub_owner, and one function; the proof is the same."""
    dsn = psycopg.conninfo.make_conninfo(hub.cluster.superuser_dsn, dbname=postgres.DATABASE)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute("CREATE ROLE saver LOGIN REPLICATION")
        await conn.execute("GRANT hub_owner TO saver")
        await conn.execute("GRANT EXECUTE ON FUNCTION pg_switch_wal() TO saver")
    given = psycopg.conninfo.make_conninfo(dsn, user="saver")
    elsewhere = replace(hub.settings, data_dir=tmp_path / "elsewhere", dsn=given)
    await hub.seal()
    point = await backup_job.take(elsewhere, background.FACTS, tmp_path / "backup")
    assert point.facts is not None
    shown: list[Check] = []
    wanted = Wanted(tmp_path / "backup", tmp_path / "scratch")
    proofs = {
        name: background.PROOFS[name] for name in ("samples", "Merkle roots", "audit chain")
    }  # the keys stay elsewhere
    await restore.restore(wanted, background.FACTS, proofs, hub.cluster.binaries, shown.append)
    assert [check for check in shown if check.faults] == []


@FULL_COUNTS
async def test_the_commands_of_a_drill(tmp_path: Path) -> None:
    """A serving hub: backup, a change, kill -9, restore in place; it serves again and the change is gone."""
    env, target = environ(tmp_path / "hub"), tmp_path / "backup"
    assert (await answer(env, "user", "add-organisation", "省", "--level", "province"))[0] == 0
    async with serving(env) as process:
        assert (await answer(env, "backup", str(target)))[0] == 0
        assert (await answer(env, "user", "add-organisation", "错", "--level", "province"))[0] == 0
        code, words = await answer(env, "backup", "--list", str(target))
        assert (code, len(words.splitlines())) == (0, 1)
        code, words = await answer(env, "restore", str(target), "--replace")
        assert (code, "is in use" in words) == (1, True)
        process.kill()
        await process.wait()
    await until(lambda: not (tmp_path / "hub" / "postgres" / "postmaster.pid").exists())
    code, words = await answer(env, "restore", str(target), "--replace")
    assert code == 0, words
    assert all(line.startswith(("ok ", "restored")) for line in words.splitlines()), words
    async with serving(env):
        code, words = await answer(env, "user", "organisations")
        assert ("省" in words, "错" in words) == (True, False)
        code, words = await answer(env, "backup", str(target))  # the restored database has another history
        assert (code, words.split("\t")[1]) == (0, "base"), words
    (kept,) = (tmp_path / "hub").glob("before-*")
    assert {path.name for path in kept.iterdir()} >= {"postgres", "secret"}


@FULL_COUNTS
async def test_a_broken_backup_replaces_nothing(tmp_path: Path) -> None:
    env, target = environ(tmp_path / "hub"), tmp_path / "backup"
    assert (await answer(env, "user", "add-organisation", "省", "--level", "province"))[0] == 0
    assert (await answer(env, "backup", str(target)))[0] == 0
    segment = sorted(target.glob("*Z/wal/*.zst"))[-1]
    segment.write_bytes(segment.read_bytes()[:-1] + b"x")
    code, words = await answer(env, "restore", str(target), "--replace")
    assert (code, "nothing was replaced" in words) == (1, True)
    assert f"segment {segment.name.split('.')[0]} was changed" in words
    assert "省" in (await answer(env, "user", "organisations"))[1]
    code, words = await answer(env, "retention", "--dry-run")
    assert (code, {line.split("\t")[1] for line in words.splitlines()}) == (0, {"off"})
