"""Backup and restore on a real server: exact while the hub writes, whole after `kill -9`, and honest about damage."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from hub import background
from hub.core import backup_folder, clock, db, postgres, restore
from hub.core.backup_folder import BackupError, Damaged
from hub.core.restore import Check, Wanted
from tests.core.test_supervisor import until
from tests.keeping.conftest import FULL_COUNTS, Hub
from tests.reading.world import SEEDER, World


async def restored(hub: Hub, wanted: Wanted) -> dict[str, Check]:
    shown: list[Check] = []
    binaries = hub.settings.postgres_bin
    report = await restore.restore(wanted, background.FACTS, background.PROOFS, binaries, shown.append)
    assert shown == report.checks
    return {check.name: check for check in report.checks}


def faults(checks: dict[str, Check]) -> dict[str, tuple[str, ...]]:
    return {name: check.faults for name, check in checks.items() if check.faults}


KILLS = 12
ROOT = Path(__file__).parents[2]
EVERY_CHECK = {"backup", "base", "log", "keys", "files", "recovery", *background.FACTS, *background.PROOFS}


async def keep_writing(world: World, written: list[int]) -> None:
    """Several writers at once, each transaction a few rows, until cancelled."""

    async def one(writer: int) -> None:
        while True:
            async with world.transaction(SEEDER) as conn:
                for _ in range(3):
                    await db.run(
                        conn,
                        "INSERT INTO job (kind, unique_key, payload, run_at, created_at)"
                        " VALUES ('test.load', gen_random_uuid()::text, '{}', %s, %s)",
                        (world.at, world.at),
                    )
            written[writer] += 3

    async with asyncio.TaskGroup() as tasks:
        for writer in range(len(written)):
            tasks.create_task(one(writer))


async def test_what_is_backed_up_while_the_hub_writes_comes_back_exactly(hub: Hub, tmp_path: Path) -> None:
    """Base, increment, kill -9; the restored rows are those of the quiet instant, none more, none less."""
    target, written = tmp_path / "backup", [0, 0]
    writers = asyncio.create_task(keep_writing(hub.world, written))
    base = await hub.back_up(target)
    assert base.facts is not None
    during = sum(written)
    await hub.read_and_sign()
    point = await hub.back_up(target)
    assert point.facts is not None
    assert (base.kind, point.kind) == ("base", "increment")
    assert 0 < during < sum(written)
    assert base.facts["rows"]["job"] < point.facts["rows"]["job"] <= sum(written)
    assert point.added_bytes < base.added_bytes
    os.kill(int((hub.cluster.folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    writers.cancel()
    await asyncio.wait([writers])

    checks = await restored(hub, Wanted(target, tmp_path / "scratch", full=True))
    assert faults(checks) == {}
    assert checks.keys() == EVERY_CHECK
    assert "2 recordings" in checks["samples"].words
    assert "2 reports" in checks["report signatures"].words
    assert "2 files" in checks["files"].words


@FULL_COUNTS
async def test_backups_killed_at_any_moment_leave_only_whole_ones(hub: Hub, tmp_path: Path) -> None:
    """`kill -9` of `hub backup` after a random time, while the hub writes; what is listed can be restored, exactly."""
    target, written, chance = tmp_path / "backup", [0, 0], random.Random(7)
    env = os.environ | {"HUB_DATA_DIR": str(hub.settings.data_dir), "HUB_DSN": hub.cluster.admin_dsn}
    writers = asyncio.create_task(keep_writing(hub.world, written))
    took_s, ended = 0.0, 0
    for number in range(KILLS):
        more = chance.choice([(), ("--base",)]) if number else ()
        begun_s = clock.monotonic_s()
        command = (sys.executable, "-m", "hub.cli", "backup", str(target), *more)
        process = await asyncio.create_subprocess_exec(
            *command, env=env, cwd=ROOT, stdout=DEVNULL, stderr=DEVNULL
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), chance.uniform(0.1, 1.2) * took_s if number else 60)
        if process.returncode is None:
            process.kill()
        ended += await process.wait() == 0
        took_s = took_s or clock.monotonic_s() - begun_s
    last = await hub.back_up(target)
    writers.cancel()
    await asyncio.wait([writers])
    points = [point for chain in backup_folder.chains(target) for point in chain.points]
    assert len(points) >= 1
    assert points[-1] == last
    sys.stdout.write(f"{KILLS} backups, {KILLS - ended} killed, {len(points)} points kept\n")
    for number, point in enumerate(points[-3:]):
        checks = await restored(hub, Wanted(target, tmp_path / f"scratch-{number}", until=point.at))
        assert faults(checks) == {}
    assert faults(await restored(hub, Wanted(target, tmp_path / "scratch"))) == {}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def segment(target: Path) -> Path:
    return sorted(target.glob("*Z/wal/*.zst"))[-1]


def base_file(target: Path) -> Path:
    return max(target.glob("*Z/base/base/*/*"), key=lambda path: path.stat().st_size)


def stored_file(target: Path) -> Path:
    return next(target.glob("files/*/*"))


def key(target: Path) -> Path:
    return sorted(target.glob("*Z/secret/*/secret/report-signing"))[-1]


def description(target: Path) -> Path:
    return sorted(target.glob("*Z/points/*.json"))[-1]


DAMAGE: dict[str, tuple[Callable[[Path], Path], set[str]]] = {
    "log": (segment, {"log"}),
    "base": (base_file, {"base"}),
    "files": (stored_file, {"files", "report signatures"}),
    "keys": (key, {"keys", "report signatures"}),
    "backup": (description, {"backup"}),
}


async def test_one_wrong_byte_anywhere_is_named(hub: Hub, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    await hub.back_up(target)
    for name, (find, wrong) in DAMAGE.items():
        path, whole = find(target), find(target).read_bytes()
        flip(path)
        found = faults(await restored(hub, Wanted(target, tmp_path / name)))
        assert found.keys() == wrong, (name, found)
        assert any(path.name.split(".")[0] in fault for fault in found[name]), found
        path.write_bytes(whole)


async def test_what_was_changed_behind_the_hubs_back_is_named(hub: Hub, tmp_path: Path) -> None:
    """The backup is whole; what is wrong was wrong in the hub already, and the proof says what."""
    target, files = tmp_path / "backup", hub.settings.data_dir / "files"
    await hub.back_up(target)
    saved = set(files.glob("*/*"))
    await hub.read_and_sign()
    (rotten,) = set(files.glob("??/*")) - saved
    flip(rotten)
    await hub.tamper("UPDATE audit SET object_id = 'another' WHERE id = (SELECT min(id) FROM audit)")
    await hub.tamper(
        "UPDATE ecg_packet SET samples = overlay(samples PLACING '\\x0101' FROM 5) WHERE first_sample = 250"
    )
    await hub.tamper("DELETE FROM ecg_packet WHERE first_sample = 500")
    assert (await hub.back_up(target)).damaged_files == (rotten.name,)
    found = faults(await restored(hub, Wanted(target, tmp_path / "scratch")))
    assert found.keys() == {"files", "samples", "Merkle roots", "report signatures", "audit chain"}
    assert found["files"] == (f"{rotten.name} was already damaged in the hub",)
    assert "seal 1 of" in found["audit chain"][0]
    assert "250 samples are missing" in found["samples"][0]


@FULL_COUNTS
async def test_a_state_between_two_backups_can_be_had(hub: Hub, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    await hub.back_up(target)
    await hub.tamper("INSERT INTO installation VALUES ('before', '1')")
    between = datetime.now(UTC)
    await hub.tamper("INSERT INTO installation VALUES ('after', '1')")
    await hub.back_up(target)
    assert faults(await restored(hub, Wanted(target, tmp_path / "scratch", until=between))) == {}
    async with postgres.running(tmp_path / "scratch" / "postgres", hub.cluster.binaries) as cluster:
        async with await psycopg.AsyncConnection.connect(cluster.admin_dsn) as conn:
            await conn.execute("SET ROLE hub_owner")
            keys = await conn.execute("SELECT key FROM installation WHERE key IN ('before', 'after')")
            assert await keys.fetchall() == [("before",)]
    with pytest.raises(BackupError, match="oldest backup is of"):
        restore.choose(target, between - timedelta(days=1))


async def test_a_backup_that_was_cut_off_is_not_there(hub: Hub, tmp_path: Path) -> None:
    """Ended in the middle of the base, and of an increment; the next one goes on and leaves no slot behind."""
    target = tmp_path / "backup"
    cut = asyncio.create_task(hub.back_up(target))
    await until(lambda: list(target.glob(".unfinished-*/base/global")))
    cut.cancel()
    await asyncio.wait([cut])
    assert cut.cancelled()
    with pytest.raises(BackupError, match="no finished backup"):
        restore.choose(target, None)

    base = await hub.back_up(target)
    point = await hub.back_up(target)
    newest = sorted(target.glob("*Z/points/*.json"))[-1]
    newest.rename(newest.with_name(f".{newest.name}.part"))  # as if it had ended before the last step
    assert restore.choose(target, None)[1] == base
    again = await hub.back_up(target)
    assert again.kind == "increment"
    assert point.segments.items() <= again.segments.items()
    async with hub.world.transaction(SEEDER) as conn:
        slots = await db.rows(conn, "SELECT slot_name FROM pg_replication_slots")
    assert len(slots) == 1
    assert faults(await restored(hub, Wanted(target, tmp_path / "scratch"))) == {}


@FULL_COUNTS
async def test_log_that_the_server_gave_up_means_a_new_base_and_old_ones_go(hub: Hub, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    first = await hub.back_up(target)
    await hub.tamper("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    second = await hub.back_up(target)
    assert (second.kind, second.timeline) == ("base", first.timeline)
    shutil.rmtree(hub.settings.data_dir / "files")
    third = await hub.back_up(target, new_base=True)
    assert (third.kind, third.file_count) == ("base", 0)
    assert backup_folder.remove_old(target, keep=1) == 2
    assert [chain.points for chain in backup_folder.chains(target)] == [(third,)]
    assert list(target.glob("files/*/*")) == []


async def test_a_place_in_use_or_of_something_else_is_refused(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").touch()
    with pytest.raises(BackupError, match="something else"):
        await hub.back_up(tmp_path / "photos")
    with backup_folder.opened(tmp_path / "backup"), pytest.raises(BackupError, match="another backup"):
        await hub.back_up(tmp_path / "backup")
    with pytest.raises(Damaged, match="can't be read"):
        backup_folder.read_point(tmp_path / "photos" / "1.jpg")
    (tmp_path / "backup" / "repository.json").unlink()
    with pytest.raises(BackupError, match="is no backup of a hub"):
        restore.choose(tmp_path / "backup", None)
