"""`hub dicom ...`: studies out of the hub, and the index made anew."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from hub.core import actor, clock, db, lifecycle
from hub.core.db import Database
from hub.core.settings import Settings
from hub.core.store import Store

Arguments = argparse.Namespace
Add = Callable[..., argparse.ArgumentParser]  # of hub.cli: a command with what it runs and its words
ACTOR = actor.job("operator")


async def export(settings: Settings, arguments: Arguments) -> None:
    from dicom.deidentify import Options
    from hub.imaging.index.exporting import Asked, export_study

    options = Options(
        "modified" if arguments.move_dates else "removed",
        arguments.keep_characteristics,
        arguments.keep_device,
        arguments.keep_institution,
    )
    async with lifecycle.database_server(settings) as own:
        assert own.dsn is not None
        async with Database(own.dsn, "hub_app", size=2) as database:
            study_id = await _study(database, arguments.study)
            asked = Asked(study_id, arguments.reason, options, arguments.possibly_burned_in)
            store = Store(settings.data_dir / "files")
            done = await export_study(
                database, store, settings.data_dir, ACTOR, clock.now(), asked, arguments.out
            )
    left = ", ".join(f"{count} {why}" for why, count in sorted(done.left_out.items())) or "none"
    sys.stdout.write(f"{done.instances} instances in {arguments.out}; left out: {left}\n")


async def reindex(settings: Settings, arguments: Arguments) -> None:
    from hub.imaging.index import reindexing

    async with lifecycle.database_server(settings) as own:
        assert own.dsn is not None
        async with Database(own.dsn, "hub_app", size=2) as database:
            store, organisation_id = Store(settings.data_dir / "files"), UUID(arguments.organisation)
            found = await reindexing.reindex(database, store, ACTOR, clock.now(), organisation_id)
    sys.stdout.write(
        f"{found.stored} instances that no row spoke of, {found.set_aside} set aside;"
        f" {found.documents} documents are made anew\n"
    )


async def _study(database: Database, wanted: str) -> UUID:
    """By id or by StudyInstanceUID."""
    async with database.transaction(ACTOR, clock.now()) as conn:
        row = await db.one(
            conn, "SELECT id FROM dicom_study WHERE id::text = %s OR study_uid = %s", (wanted, wanted)
        )
    return UUID(str(row["id"]))


def add_commands(commands: Any, add: Add) -> None:
    """`hub dicom export` and `hub dicom reindex`."""
    dicom = commands.add_parser("dicom", help="DICOM studies").add_subparsers(
        required=True, metavar="COMMAND"
    )
    anew = add(dicom, "reindex", reindex, "make the index anew from the stored files")
    anew.add_argument("--organisation", required=True, help="id of whom unknown files belong to")
    out = add(dicom, "export", export, "a study without identity (PS3.15 basic profile), as a zip")
    out.add_argument("study", help="id or StudyInstanceUID")
    out.add_argument("--out", type=Path, required=True, metavar="FILE.zip")
    out.add_argument("--reason", required=True, help="kept in the audit")
    out.add_argument(
        "--move-dates", action="store_true", help="by one distance per patient, instead of removing them"
    )
    out.add_argument("--keep-characteristics", action="store_true", help="sex, age, size and weight")
    out.add_argument("--keep-device", action="store_true")
    out.add_argument("--keep-institution", action="store_true")
    out.add_argument(
        "--possibly-burned-in", action="store_true",
        help="somebody has looked: images whose kind often shows a name go along",
    )  # fmt: skip
