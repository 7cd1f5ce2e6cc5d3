"""Migrations: once, in order, unchanged."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from hub.core import migrate


async def test_second_migration_does_nothing(empty_database: str, at: datetime) -> None:
    first = await migrate.migrate(empty_database, at)
    assert first == sorted(path.name for path in migrate.MIGRATIONS.glob("*.sql"))
    assert await migrate.migrate(empty_database, at) == []
    assert await migrate.pending(empty_database) == []


def _edit(path: Path) -> None:
    path.write_text(path.read_text() + "-- later thought\n")


async def test_changed_file_is_refused(empty_database: str, at: datetime, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(migrate.MIGRATIONS, tmp_path / "migrations"))
    await migrate.migrate(empty_database, at, folder)
    _edit(folder / "0001_core.sql")
    with pytest.raises(migrate.MigrationError, match=r"0001_core\.sql"):
        await migrate.migrate(empty_database, at, folder)


def _before(name: str, folder: Path) -> Path:
    """The files of a program of then."""
    folder.mkdir()
    for path in migrate.MIGRATIONS.glob("*.sql"):
        if path.name < name:
            shutil.copy(path, folder)
    return folder


async def test_copies_of_an_old_archive_wait_behind_what_is_due(
    empty_database: str, at: datetime, tmp_path: Path
) -> None:
    """They were queued as of when their images came (0021): years ago."""
    await migrate.migrate(empty_database, at, _before("0029", tmp_path / "migrations"))
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as conn:
        for kind in ("imaging.copies", "imaging.index"):
            await conn.execute(
                "INSERT INTO job (kind, unique_key, payload, run_at, created_at) VALUES (%s, '', '{}', %s, %s)",
                (kind, at - timedelta(days=900), at),
            )
        await migrate.migrate(empty_database, at + timedelta(days=1))
        found = await conn.execute("SELECT kind FROM job ORDER BY run_at")
        assert await found.fetchall() == [("imaging.index",), ("imaging.copies",)]


async def test_failed_file_leaves_nothing(empty_database: str, at: datetime, tmp_path: Path) -> None:
    (tmp_path / "0001_half.sql").write_text("CREATE TABLE half (id int); SELECT 1/0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate.migrate(empty_database, at, tmp_path)
    assert await migrate.pending(empty_database, tmp_path) == ["0001_half.sql"]
    async with await psycopg.AsyncConnection.connect(empty_database) as conn:
        assert (await conn.execute("SELECT FROM pg_tables WHERE tablename = 'half'")).rowcount == 0


async def test_older_program_is_refused(empty_database: str, at: datetime, tmp_path: Path) -> None:
    await migrate.migrate(empty_database, at)
    with pytest.raises(migrate.MigrationError, match="newer"):
        await migrate.migrate(empty_database, at, tmp_path)
