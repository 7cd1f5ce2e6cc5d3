"""The commands that keep data: `hub backup`, `hub restore`, `hub retention`. What they do stands in the domains."""

import argparse
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from hub.core import actor, backup_folder, backup_job, clock, lifecycle, restore, supervisor
from hub.core.backup_folder import Point
from hub.core.db import Database
from hub.core.jobs import Context
from hub.core.restore import Check, Wanted
from hub.core.settings import Settings
from hub.core.store import Store

ACTOR = actor.job("cli")
Arguments = argparse.Namespace
Command = Callable[[Settings, Arguments], Coroutine[Any, Any, int | None]]
Add = Callable[[Any, str, Command, str], argparse.ArgumentParser]


def add_commands(commands: Any, add: Add) -> None:
    """The parsers of these commands."""
    back = add(
        commands, "backup", back_up, "back up database, files and keys; what is there already is not copied"
    )
    back.add_argument("target", type=Path, metavar="FOLDER")
    back.add_argument("--base", action="store_true", help="begin anew, instead of adding to the newest base")
    back.add_argument("--list", action="store_true", help="only say what is there")
    put = add(
        commands,
        "restore",
        put_back,
        "restore a backup into a scratch folder and prove it, or put it in place",
    )
    put.add_argument("backups", type=Path, metavar="FOLDER")
    where = put.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--into", type=Path, metavar="SCRATCH", help="a new folder, which becomes a data folder"
    )
    where.add_argument(
        "--replace", action="store_true", help="the data folder of a stopped hub; the old one is kept"
    )
    put.add_argument(
        "--until", type=_instant, metavar="TIME", help="the state of then, instead of the newest"
    )
    put.add_argument(
        "--full", action="store_true", help="look at every recording and report, not at the newest"
    )
    put.add_argument(
        "--accept-damage", action="store_true", help="with --replace: even if the proof finds faults"
    )
    keep = add(
        commands, "retention", sweep, "remove what the rules that are switched on say; see the admin page"
    )
    keep.add_argument("--dry-run", action="store_true", help="only say what would go, by every rule")


def _instant(text: str) -> datetime:
    """ISO 8601; without a zone that of this machine."""
    return datetime.fromisoformat(text).astimezone()


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


async def back_up(settings: Settings, arguments: Arguments) -> int:
    """A running hub goes on; of a stopped one the database is started for as long as it takes."""
    target = arguments.target.expanduser().resolve()
    if arguments.list:
        _say(*(_line(point) for chain in backup_folder.chains(target) for point in chain.points))
        return 0
    from hub import background  # all domains: only when needed

    async with lifecycle.database_server(settings) as own:
        assert own.dsn is not None
        async with Database(own.dsn, "hub_app", size=1) as database:
            await _seal_audit(database)
            point = await backup_job.take(own, background.FACTS, target, arguments.base)
            async with database.transaction(ACTOR, clock.now()) as conn:
                await backup_job.note(conn, clock.now(), point)
    _say(
        _line(point), *(f"BAD file {name}: its bytes no longer fit its name" for name in point.damaged_files)
    )
    return 1 if point.damaged_files else 0


async def _seal_audit(database: Database) -> None:
    """A stopped hub has nobody who seals what commands wrote."""
    from hub.people import audit

    async with database.transaction(ACTOR, clock.now()) as conn:
        await audit.seal(conn, clock.now())


def _line(point: Point) -> str:
    rows = "rows not counted" if point.facts is None else f"{sum(point.facts['rows'].values())} rows"
    size = f"{point.added_bytes / 1e6:.1f} MB added"
    return f"{point.id}\t{point.kind}\t{point.at.isoformat()}\t{rows}\t{point.file_count} files\t{size}"


async def put_back(settings: Settings, arguments: Arguments) -> int:
    """Prints the table of the proof; 1 when anything is wrong."""
    backups = arguments.backups.expanduser().resolve()
    if arguments.into is not None:
        wanted = Wanted(backups, arguments.into.expanduser().resolve(), arguments.until, arguments.full)
        return 0 if await _proved(settings, wanted) else 1
    if settings.dsn is not None:
        raise backup_folder.BackupError(
            "HUB_DSN: a given PostgreSQL is restored by hand; see docs/operations.md"
        )
    with supervisor.locked(settings.data_dir):
        stamp = backup_folder.stamp(clock.now())
        into, aside = settings.data_dir / f"restoring-{stamp}", settings.data_dir / f"before-{stamp}"
        wanted = Wanted(backups, into, arguments.until, arguments.full)
        if not await _proved(settings, wanted) and not arguments.accept_damage:
            _say(f"nothing was replaced; what was restored is in {into}")
            return 1
        restore.swap(settings.data_dir, into, aside)
    _say(f"restored; what was there before is in {aside}")
    return 0


async def _proved(settings: Settings, wanted: Wanted) -> bool:
    from hub import background

    report = await restore.restore(wanted, background.FACTS, background.PROOFS, settings.postgres_bin, _show)
    return report.well


def _show(check: Check) -> None:
    _say(
        f"{'BAD' if check.faults else 'ok ':<4}{check.name:<18}{check.words}",
        *(f"      {f}" for f in check.faults),
    )


async def sweep(settings: Settings, arguments: Arguments) -> None:
    """Apply the rules now, or say what they would remove."""
    from hub import app
    from hub.people import retention

    async with lifecycle.database_server(settings) as own:
        assert own.dsn is not None
        async with Database(own.dsn, "hub_app", size=2) as database:
            async with database.transaction(ACTOR, clock.now()) as conn:
                due = await retention.preview(conn, ACTOR, clock.now(), app.RETENTION)
            _say(*map(_due_line, due))
            if not arguments.dry_run:
                store = Store(settings.data_dir / "files")
                await retention.sweep(app.RETENTION, Context(database, store, own, clock.now()), {})


def _due_line(row: dict[str, Any]) -> str:
    state = "on" if row["enabled"] else "off"
    oldest = f"oldest {row['oldest_at']:%Y-%m-%d}" if row["oldest_at"] else ""
    return f"{row['kind']}\t{state}\t{row['object_kind']}\t{row['number']} before {row['before']:%Y-%m-%d}\t{oldest}"
