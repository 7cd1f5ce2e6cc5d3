"""The index made anew from the files: what lies in the store and no row speaks of, and the documents of all instances.

For a database that was restored from before its newest files, or whose documents a newer program makes better.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from dicom import part10
from dicom.objects.writing import SERIES_NUMBERS
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Database
from hub.core.store import Store, StoredFile
from hub.imaging.index import instances
from hub.people import access, audit


@dataclass(frozen=True)
class Found:
    """DICOM files no row spoke of: how many are instances now, how many were set aside; documents to be made anew."""

    stored: int
    set_aside: int
    documents: int


async def reindex(
    database: Database, store: Store, actor: Actor, at: datetime, organisation_id: UUID
) -> Found:
    """Take in what lies in the store unknown, for this organisation, since a file does not tell who sent it."""
    async with database.transaction(actor, at) as conn:
        await access.require(conn, actor, at, "dicom.export", organisation_id=organisation_id)
        known = {row["sha256"] for row in await db.rows(conn, _KNOWN)}
        documents = await db.run(conn, "UPDATE dicom_instance SET indexed_at = NULL, index_fault = NULL")
        await audit.record(
            conn, actor, at, "dicom.reindex", "organisation", organisation_id, organisation_id=organisation_id
        )
    counts = {"stored": 0, "known": 0, "set-aside": 0}
    sender = instances.Sender(organisation_id, "operator")
    for name in store.names():
        path = store.path(name)
        if name in known or not _is_dicom(path):
            continue
        file = StoredFile(name, path.stat().st_size, instances.MEDIA_TYPE)
        own = instances.Sender(organisation_id, instances.HUB)
        who = own if await _is_own(store, sender, file) else sender
        outcome = await instances.store_file(database, store, actor, at, who, file)
        counts[outcome.kind] += 1
    return Found(counts["stored"], counts["set-aside"], documents)


async def _is_own(store: Store, sender: instances.Sender, file: StoredFile) -> bool:
    """Whether the hub made it itself, which alone numbers its series so: a report or a selection of key images."""
    header = (await instances.look(store, sender, file)).header
    return SERIES_NUMBERS.get(header.uid("SOPClassUID"), -1) == header.number("SeriesNumber")


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return part10.is_file(file.read(part10.PREAMBLE_BYTES + len(part10.MAGIC)))


_KNOWN = "SELECT file_sha256 AS sha256 FROM dicom_instance UNION SELECT sha256 FROM dicom_set_aside"
