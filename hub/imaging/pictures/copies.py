"""Serving copies: which instances wait for theirs, and what became of them (`dicom_pixels`)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import db
from hub.core.db import Connection, Row
from hub.core.store import StoredFile

CHANNEL: Final = "hub_dicom_pixels"
FILE_TYPE: Final = "application/x-telehub-frames"  # of the stored file: frames one after another


async def waiting(conn: Connection, instance_ids: Sequence[UUID]) -> list[Row]:
    """Those of them that have not been looked at since they were indexed, in the order in which a reader meets them."""
    return await db.rows(
        conn,
        """SELECT i.id, i.file_sha256, i.size_bytes, i.rows, i.columns, i.frames FROM dicom_instance i
           WHERE i.id = ANY(%s) AND NOT EXISTS (SELECT FROM dicom_pixels p
             WHERE p.dicom_instance_id = i.id AND p.made_at >= i.indexed_at)
           ORDER BY i.number, i.received_at, i.id""",
        (list(instance_ids),),
    )


async def keep(
    conn: Connection, at: datetime, made: Sequence[tuple[UUID, Mapping[str, Any], StoredFile | None]]
) -> None:
    """What the sandbox said of each instance, and the file of those that are ready; the same twice changes nothing."""
    files = {file.sha256: file for _, _, file in made if file is not None}
    await db.run(
        conn,
        """INSERT INTO stored_file (sha256, size_bytes, media_type, stored_at)
           SELECT sha256, size, %s, %s FROM unnest(%s::text[], %s::bigint[]) AS f (sha256, size) ORDER BY sha256
           ON CONFLICT DO NOTHING""",
        (FILE_TYPE, at, list(files), [file.size_bytes for file in files.values()]),
    )
    rows = [
        {
            "id": str(instance_id),
            "state": told["state"],
            "fault": told.get("fault"),
            "file": file.sha256 if file is not None else None,
            "media_type": told.get("media_type"),
            "layout": told.get("layout"),
            "native": told.get("native"),
        }
        for instance_id, told, file in made
    ]
    await db.run(
        conn,
        """INSERT INTO dicom_pixels (dicom_instance_id, state, fault, file_sha256, media_type, layout, native, made_at)
           SELECT id, state, fault, file, media_type, layout, native, %s FROM json_to_recordset(%s::json) AS f
             (id uuid, state text, fault text, file text, media_type text, layout jsonb, native jsonb) ORDER BY id
           ON CONFLICT (dicom_instance_id) DO UPDATE SET state = excluded.state, fault = excluded.fault,
             file_sha256 = excluded.file_sha256, media_type = excluded.media_type, layout = excluded.layout,
             native = excluded.native, made_at = excluded.made_at""",
        (at, json.dumps(rows)),
    )
    await db.notify(conn, CHANNEL)
