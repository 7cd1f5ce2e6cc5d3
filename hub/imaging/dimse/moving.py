"""Which instances a C-MOVE or C-GET asks for: those of the asker's own organisation, in the order they are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from dicom.services import Level
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.people import access, audit

INSTANCES_MAX: Final = 20_000  # of one request; a long CT has two thousand
_COLUMN: Final[Mapping[Level, str]] = {
    "PATIENT": "s.sent_patient_id", "STUDY": "s.study_uid", "SERIES": "e.series_uid", "IMAGE": "i.sop_uid",
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """An instance that is to be sent."""

    id: UUID
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    file_sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Origin:
    """The C-MOVE an instance is sent for: who asked, under which message id (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


async def wanted(
    conn: Connection, actor: Actor, at: datetime, keys: Mapping[Level, Sequence[str]], operation: str
) -> list[Wanted]:
    """Instances whose unique keys are among these, at most one more than `INSTANCES_MAX`."""
    await access.require(conn, actor, at, "dicom.query")
    conditions = [f"{_COLUMN[level]} = ANY(%({level})s)" for level in keys]
    found = await db.rows(
        conn,
        f"""SELECT i.id, i.sop_uid, i.sop_class_uid, i.transfer_syntax, i.file_sha256, i.size_bytes
            FROM dicom_study s JOIN dicom_series e ON e.dicom_study_id = s.id
            JOIN dicom_instance i ON i.dicom_series_id = e.id
            WHERE s.organisation_id = (SELECT hub_node_organisation('query')) AND {" AND ".join(conditions)}
            ORDER BY s.first_at, e.number, e.series_uid, i.number, i.sop_uid LIMIT %(limit)s""",
        {level: list(values) for level, values in keys.items()} | {"limit": INSTANCES_MAX + 1},
    )
    await audit.record(
        conn, actor, at, "dicom.query", "dicom-node", actor.id, operation=operation, instances=len(found)
    )
    return [Wanted(**row) for row in found]
