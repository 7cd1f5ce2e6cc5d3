"""What is fetched by UIDs (WADO-RS): which instances an address names, as far as the caller sees them; their metadata.

Where two clinics have sent one study and the caller sees both, the one that came first is given.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import zstandard

from dicom import uids
from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Database, Row
from hub.imaging.index import summaries
from hub.people import access, audit

ROOT: Final = "/dicom-web"
AT_ONCE: Final = 100  # documents of one statement
LEVEL: Final = 3  # of compression
PACKED_CHARS_MAX: Final = 64 << 20  # of a series' metadata: ten thousand slices
_BULK: Final = (
    b'"BulkDataURI": "bulkdata/'  # as PostgreSQL writes it; within a text the quotes would be escaped
)


@dataclass(frozen=True)
class Address:
    """A study, one of its series, or one instance of that."""

    study_uid: str
    series_uid: str | None = None
    sop_uid: str | None = None

    def require_valid(self) -> None:
        for name, uid in (("study", self.study_uid), ("series", self.series_uid), ("instance", self.sop_uid)):
            if uid is not None and not uids.is_valid_uid(uid):
                raise errors.error("bad_field", field=name, expected="a UID")


@dataclass(frozen=True)
class Series:
    """A series, and how many of its instances are meant."""

    id: UUID
    series_uid: str
    instances: int


@dataclass(frozen=True)
class Stored:
    """An instance and its file."""

    id: UUID
    series_id: UUID
    study_uid: str
    series_uid: str
    sop_uid: str
    file_sha256: str
    size_bytes: int
    transfer_syntax: str


_STUDY: Final = """(SELECT id, organisation_id, patient_id FROM dicom_study WHERE study_uid = %(study)s
    ORDER BY first_at, id LIMIT 1) s"""
_WITHIN: Final = """(%(series)s::text IS NULL OR e.series_uid = %(series)s)
    AND (%(sop)s::text IS NULL OR i.sop_uid = %(sop)s)"""
_INSTANCES: Final = f"""SELECT s.id AS study_id, s.organisation_id, s.patient_id, i.id, e.id AS series_id, e.series_uid,
      i.sop_uid, i.file_sha256, i.size_bytes, i.transfer_syntax
    FROM {_STUDY} JOIN dicom_instance i ON i.dicom_study_id = s.id JOIN dicom_series e ON e.id = i.dicom_series_id
    WHERE {_WITHIN} ORDER BY e.number NULLS LAST, e.id, i.number NULLS LAST, i.id"""
_ALL_SERIES: Final = f"""SELECT s.id AS study_id, s.organisation_id, s.patient_id, e.id AS series_id, e.series_uid,
      count(*)::int AS instances
    FROM {_STUDY} JOIN dicom_instance i ON i.dicom_study_id = s.id JOIN dicom_series e ON e.id = i.dicom_series_id
    WHERE {_WITHIN} GROUP BY s.id, s.organisation_id, s.patient_id, e.id, e.series_uid, e.number
    ORDER BY e.number NULLS LAST, e.id"""


async def instances(
    conn: Connection, actor: Actor, at: datetime, address: Address, what: str
) -> list[Stored]:
    """The instances of an address in their order; `not_found` if there are none that the actor may see."""
    rows = await _named(conn, actor, at, address, _INSTANCES)
    await _record(conn, actor, at, rows[0], what, len(rows))
    kept = Stored.__dataclass_fields__.keys() - {"study_uid"}
    return [Stored(study_uid=address.study_uid, **{name: row[name] for name in kept}) for row in rows]


async def all_series(
    conn: Connection, actor: Actor, at: datetime, address: Address, what: str
) -> list[Series]:
    """The series of an address in their order, with how many instances of each it names."""
    rows = await _named(conn, actor, at, address, _ALL_SERIES)
    await _record(conn, actor, at, rows[0], what, sum(row["instances"] for row in rows))
    return [Series(row["series_id"], row["series_uid"], row["instances"]) for row in rows]


async def _named(conn: Connection, actor: Actor, at: datetime, address: Address, query: str) -> list[Row]:
    address.require_valid()
    await access.require(conn, actor, at, "dicom.query")
    asked = {"study": address.study_uid, "series": address.series_uid, "sop": address.sop_uid}
    rows = await db.rows(conn, query, asked)
    if not rows:
        raise errors.error("not_found")
    return rows


async def _record(conn: Connection, actor: Actor, at: datetime, row: Row, what: str, count: int) -> None:
    await audit.record(
        conn, actor, at, "dicom.retrieve", "dicom-study", row["study_id"], organisation_id=row["organisation_id"],
        patient_id=row["patient_id"] if actor.kind == "person" else None, what=what, instances=count,
    )  # fmt: skip


async def require_series(conn: Connection, study_uid: str, series_uid: str | None) -> None:
    """Raise `not_found` unless the actor sees this study, and in it this series if one is named."""
    await db.one(
        conn,
        """SELECT FROM dicom_study s WHERE s.study_uid = %(study)s AND (%(series)s::text IS NULL OR EXISTS (
             SELECT FROM dicom_series e WHERE e.dicom_study_id = s.id AND e.series_uid = %(series)s)) LIMIT 1""",
        {"study": study_uid, "series": series_uid},
    )


async def bodies(
    database: Database, actor: Actor, at: datetime, address: Address, found: Sequence[Series], base_url: str
) -> AsyncIterator[bytes]:
    """Metadata of instances as one list of DICOM JSON, in pieces: ready-made for whole series, else put together.

    `base_url` is where studies are fetched from; metadata point to their bulk data by it.
    """
    for number, series in enumerate(found):
        yield b"," if number else b"["
        url = f"{base_url}/studies/{address.study_uid}/series/{series.series_uid}"
        async for piece in _of_series(database, actor, at, address, series, url):
            yield piece
    yield b"]"


async def _of_series(
    database: Database, actor: Actor, at: datetime, address: Address, series: Series, url: str
) -> AsyncIterator[bytes]:
    async with database.transaction(actor, at) as conn:
        packed = None if address.sop_uid is not None else await db.maybe(
            conn,
            "SELECT body FROM dicom_series_metadata WHERE dicom_series_id = %s AND instances = %s",
            (series.id, series.instances),
        )  # fmt: skip
        asked = {"study": address.study_uid, "series": series.series_uid, "sop": address.sop_uid}
        rows = [] if packed is not None else await db.rows(conn, _INSTANCES, asked)
    if packed is not None:
        yield await asyncio.to_thread(_unpacked, packed["body"], url)
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        async with database.transaction(actor, at) as conn:
            documents = await _documents(conn, [row["id"] for row in part])
        pieces = [_pointing(documents[row["id"]], f"{url}/instances/{row['sop_uid']}") for row in part]
        yield (b"," if start else b"") + b",".join(pieces)


def _unpacked(body: bytes, series_url: str) -> bytes:
    words = zstandard.ZstdDecompressor().decompress(body)
    return words.replace(_BULK, f'"BulkDataURI": "{series_url}/instances/'.encode())


def _pointing(document: bytes, instance_url: str) -> bytes:
    return document.replace(_BULK, f'"BulkDataURI": "{instance_url}/bulkdata/'.encode())


async def _documents(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The text of each one's document; of one that has none, what its header told."""
    rows = await db.rows(
        conn,
        """SELECT i.id, m.document::text AS document, CASE WHEN m.document IS NULL THEN to_jsonb(i) END AS of_instance,
             CASE WHEN m.document IS NULL THEN to_jsonb(e) - 'document' - 'listed' END AS of_series,
             CASE WHEN m.document IS NULL THEN to_jsonb(s) - 'document' - 'listed' END AS of_study
           FROM dicom_instance i JOIN dicom_series e ON e.id = i.dicom_series_id
           JOIN dicom_study s ON s.id = i.dicom_study_id LEFT JOIN dicom_metadata m ON m.dicom_instance_id = i.id
           WHERE i.id = ANY (%s)""",
        (list(ids),),
    )
    return {row["id"]: (row["document"] or _told(row)).encode() for row in rows}


def _told(row: Row) -> str:
    told: dict[str, Any] = {
        **summaries.told_of_study(row["of_study"]),
        **summaries.told_of_series(row["of_series"]),
        **summaries.told_of_instance(row["of_instance"]),
    }
    return json.dumps(told, ensure_ascii=False)


async def pack_one(conn: Connection, series: Row) -> None:
    """Make a series' metadata ready, which is complete; the actor is a job.

    A single instance's are as quick without; those of which there are too many to be held stay to be put together.
    """
    await db.run(conn, "UPDATE dicom_series SET is_packed = true WHERE id = %s", (series["id"],))
    rows = await db.rows(conn, _INSTANCES_OF_SERIES, (series["dicom_study_id"], series["id"]))
    if len(rows) < 2 or await _chars(conn, [row["id"] for row in rows]) > PACKED_CHARS_MAX:
        return
    documents = await _documents(conn, [row["id"] for row in rows])
    # `bulkdata/` becomes `bulkdata/UID/bulkdata/`, whose beginning is the address of the series when it is sent.
    texts = [
        documents[row["id"]].replace(_BULK, _BULK + f"{row['sop_uid']}/bulkdata/".encode()) for row in rows
    ]
    body = await asyncio.to_thread(zstandard.ZstdCompressor(LEVEL).compress, b",".join(texts))
    await db.run(
        conn,
        """INSERT INTO dicom_series_metadata (dicom_series_id, instances, body) VALUES (%s, %s, %s)
           ON CONFLICT (dicom_series_id) DO NOTHING""",
        (series["id"], len(rows), body),
    )


async def _chars(conn: Connection, ids: Sequence[UUID]) -> int:
    found = await db.one(
        conn,
        """SELECT coalesce(sum(length(document::text)), 0)::bigint AS chars FROM dicom_metadata
           WHERE dicom_instance_id = ANY (%s)""",
        (list(ids),),
    )
    return int(found["chars"])


_INSTANCES_OF_SERIES: Final = """SELECT id, sop_uid FROM dicom_instance
    WHERE dicom_study_id = %s AND dicom_series_id = %s ORDER BY number NULLS LAST, id"""


async def series_to_pack(conn: Connection, at_most: int) -> list[Row]:
    """Series of complete studies whose metadata are not ready; locked until the transaction ends."""
    return await db.rows(
        conn,
        """SELECT e.id, e.dicom_study_id FROM dicom_series e JOIN dicom_study s ON s.id = e.dicom_study_id
           WHERE NOT e.is_packed AND NOT s.is_open AND e.document IS NOT NULL
             AND NOT EXISTS (SELECT FROM dicom_instance i WHERE i.dicom_series_id = e.id AND i.indexed_at IS NULL)
           LIMIT %s FOR UPDATE OF e SKIP LOCKED""",
        (at_most,),
    )


async def unpack(conn: Connection, series_id: UUID) -> None:
    """Other instances have come: what is ready is no longer all."""
    packed = await db.run(
        conn, "UPDATE dicom_series SET is_packed = false WHERE id = %s AND is_packed", (series_id,)
    )
    if packed:
        await db.run(conn, "DELETE FROM dicom_series_metadata WHERE dicom_series_id = %s", (series_id,))
