"""DICOM instances: whether what came in is one, and its place in the index; idempotent by SOP instance UID and digest.

Whatever was received has its bytes in the store before this is asked. The same instance twice is one; another content
under a UID that is taken, or bytes that can't be an instance, are set aside with their reason.
"""

import asyncio
import hashlib
import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

from dicom import InvalidInstance, part10, uids
from dicom.header import Header, scan
from hub.core import db, ids, sandbox
from hub.core.actor import Actor
from hub.core.db import Connection, Database
from hub.core.store import Store, StoredFile
from hub.imaging import dicom_studies, set_asides
from hub.imaging.dicom_studies import Place, Places
from hub.imaging.set_asides import Reason, SetAside
from hub.people import access

MEDIA_TYPE: Final = "application/dicom"
HASH_CHUNK: Final = 1 << 20
DEFLATED_TIMEOUT_S: Final = 20.0
DEFLATED_MEMORY_MB: Final = 512


@dataclass(frozen=True)
class Sender:
    """Who sent something, and for which clinic; `request_id` if it was sent for a request."""

    organisation_id: UUID
    name: str  # `node ID` or `person ID`
    request_id: UUID | None = None


@dataclass(frozen=True)
class Received:
    """A file in the store, and what its beginning says; `reason` if that can't be an instance."""

    sender: Sender
    file: StoredFile
    data_set_sha256: str
    transfer_syntax: str
    header: Header
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of it: a new instance, one that was there already, or set aside with a reason."""

    kind: Literal["stored", "known", "set-aside"]
    sop_class_uid: str = ""
    sop_uid: str = ""
    study_uid: str = ""
    dicom_study_id: UUID | None = None
    reason: Reason | None = None
    detail: str = ""


def judged(received: Received, sop_class_uid: str = "", sop_uid: str = "") -> Received:
    """The same with its reason, if it can't be an instance, or is not the one that was announced."""
    try:
        received.header.require_identity()
    except InvalidInstance as failure:
        return replace(received, reason="no-identity", detail=str(failure))
    found = (received.header.uid("SOPClassUID"), received.header.uid("SOPInstanceUID"))
    if (sop_class_uid and sop_class_uid != found[0]) or (sop_uid and sop_uid != found[1]):
        return replace(received, reason="class-differs", detail="announced as another class or instance")
    return received


async def store_file(
    database: Database, store: Store, actor: Actor, at: datetime, sender: Sender, file: StoredFile
) -> Outcome:
    """Index a DICOM file that lies in the store, however it came; commits. Idempotent."""
    received = await look(store, sender, file)
    async with database.transaction(actor, at) as conn:
        (outcome,), _ = await store_instances(conn, actor, at, [received], {})
    return outcome


async def look(store: Store, sender: Sender, file: StoredFile) -> Received:
    """What a stored file is; its bytes are read once, and a deflated one in the sandbox."""
    path = store.path(file.sha256)
    try:
        meta, digest, header = await asyncio.to_thread(_read_file, path)
    except InvalidInstance as failure:
        reason: Reason = "no-file" if failure.cause == "no DICOM file" else "no-meta"
        return Received(sender, file, file.sha256, "", Header(), reason, str(failure))
    received = Received(sender, file, digest, meta.transfer_syntax, header)
    encoding = uids.TRANSFER_SYNTAXES.get(meta.transfer_syntax)
    if encoding is None:
        return replace(received, reason="unknown-syntax", detail=meta.transfer_syntax)
    if encoding.is_deflated:
        received = replace(received, header=await deflated_header(path))
    return judged(received, meta.sop_class_uid, meta.sop_instance_uid)


def _read_file(path: Path) -> tuple[part10.Meta, str, Header]:
    with path.open("rb") as file:
        meta = part10.read_meta(file.read(part10.PREAMBLE_BYTES + 4 + part10.META_BYTES_MAX))
        file.seek(meta.data_set_at)
        digest = hashlib.sha256()
        while chunk := file.read(HASH_CHUNK):
            digest.update(chunk)
        return meta, digest.hexdigest(), header_of(path, meta.transfer_syntax, meta.data_set_at)


def header_of(path: Path, transfer_syntax: str, data_set_at: int) -> Header:
    """The header of a file's data set, wherever in it its keys stand; empty if it is deflated."""
    encoding = uids.TRANSFER_SYNTAXES.get(transfer_syntax)
    if encoding is None or encoding.is_deflated or path.stat().st_size <= data_set_at:
        return Header()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        with memoryview(mapped) as whole, whole[data_set_at:] as data_set:
            return scan(data_set, encoding)


async def deflated_header(path: Path) -> Header:
    """The header of a file whose data set is deflated."""
    try:
        asked = json.dumps({"path": str(path)}).encode()
        said = await sandbox.run(
            "hub.imaging.looking_at_dicom:deflated", asked, DEFLATED_TIMEOUT_S, DEFLATED_MEMORY_MB
        )
        values = json.loads(said)
    except (sandbox.SandboxFailed, ValueError):
        return Header(fault="a deflated data set that can't be inflated")
    return Header(
        {keyword: bytes.fromhex(value) for keyword, value in values["raw"].items()}, fault=values["fault"]
    )


async def store_instances(
    conn: Connection, actor: Actor, at: datetime, items: Sequence[Received], places: Places
) -> tuple[list[Outcome], Places]:
    """Index what was received, or set it aside: outcomes in the same order, and places to remember after the commit."""
    for organisation_id in {item.sender.organisation_id for item in items}:
        await access.require(conn, actor, at, "dicom.store", organisation_id=organisation_id)
    await _keep_files(conn, at, items)
    outcomes: dict[int, Outcome] = {}
    rows: list[dict[str, Any]] = []
    found: dict[dicom_studies.Key, Place] = {}
    for number, item in enumerate(items):
        if item.reason is not None:
            outcomes[number] = await _put_aside(conn, at, item, item.reason, item.detail)
            continue
        sender = item.sender
        place = await dicom_studies.place(
            conn, actor, at, item.header, sender.organisation_id, sender.request_id, {**places, **found}
        )
        found[place.key] = place
        rows.append(_row(item, place, at) | {"item": number, "id": ids.new(at)})
    rows.sort(
        key=lambda row: (row["organisation_id"], row["sop_uid"])
    )  # two that store the same don't lock crosswise
    stored = await _insert(conn, rows)
    for row in rows:
        new = row["id"] in stored
        outcomes[row["item"]] = (
            _outcome(row, "stored") if new else await _compare(conn, at, items[row["item"]], row)
        )
    return [outcomes[number] for number in range(len(items))], found


def _outcome(row: Mapping[str, Any], kind: Literal["stored", "known"]) -> Outcome:
    return Outcome(kind, row["sop_class_uid"], row["sop_uid"], row["study_uid"], row["study_id"])


def _row(item: Received, place: Place, at: datetime) -> dict[str, Any]:
    header = item.header
    return {
        "organisation_id": item.sender.organisation_id,
        "study_id": place.study_id,
        "series_id": place.series_id,
        "study_uid": header.uid("StudyInstanceUID"),
        "sop_uid": header.uid("SOPInstanceUID"),
        "sop_class_uid": header.uid("SOPClassUID"),
        "transfer_syntax": item.transfer_syntax,
        "number": header.number("InstanceNumber"),
        "rows": header.number("Rows"),
        "columns": header.number("Columns"),
        "frames": header.number("NumberOfFrames"),
        "data_set_sha256": item.data_set_sha256,
        "file_sha256": item.file.sha256,
        "size_bytes": item.file.size_bytes,
        "sent_by": item.sender.name,
        "received_at": at,
    }


_COLUMNS: Final = (
    ("id", "uuid"), ("organisation_id", "uuid"), ("study_id", "uuid"), ("series_id", "uuid"), ("sop_uid", "text"),
    ("sop_class_uid", "text"), ("transfer_syntax", "text"), ("number", "bigint"), ("rows", "int"), ("columns", "int"),
    ("frames", "bigint"), ("data_set_sha256", "text"), ("file_sha256", "text"), ("size_bytes", "bigint"),
    ("sent_by", "text"), ("received_at", "timestamptz"),
)  # fmt: skip
_ARRAYS: Final = ", ".join(f"%({name})s::{kind}[]" for name, kind in _COLUMNS)


async def _insert(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """The ids of those that were new; their studies are open again, if they were complete."""
    if not rows:
        return set()
    values = {name: [row[name] for row in rows] for name, _ in _COLUMNS}
    made = await db.rows(
        conn,
        f"""INSERT INTO dicom_instance (id, organisation_id, dicom_study_id, dicom_series_id, sop_uid, sop_class_uid,
              transfer_syntax, number, rows, columns, frames, data_set_sha256, file_sha256, size_bytes, sent_by,
              received_at)
            SELECT * FROM unnest({_ARRAYS}) ON CONFLICT (organisation_id, sop_uid) DO NOTHING RETURNING id""",
        values,
    )
    # After the insert, whose foreign key has locked the study against a completion that does not see it.
    studies = sorted({row["study_id"] for row in rows})
    await db.run(conn, "UPDATE dicom_study SET is_open = true WHERE id = ANY(%s) AND NOT is_open", (studies,))
    return {row["id"] for row in made}


async def _keep_files(conn: Connection, at: datetime, items: Sequence[Received]) -> None:
    """The rows of the files; in one order, so that two that store the same don't wait for one another."""
    files = sorted({item.file.sha256: item.file for item in items}.values(), key=lambda file: file.sha256)
    await db.run(
        conn,
        """INSERT INTO stored_file (sha256, size_bytes, media_type, stored_at)
           SELECT f.sha256, f.size_bytes, %s, %s FROM unnest(%s::text[], %s::bigint[]) AS f (sha256, size_bytes)
           ON CONFLICT DO NOTHING""",
        (MEDIA_TYPE, at, [f.sha256 for f in files], [f.size_bytes for f in files]),
    )


async def _compare(conn: Connection, at: datetime, item: Received, row: Mapping[str, Any]) -> Outcome:
    """The UID is taken: by the same content, or by another, which is set aside."""
    there = await db.one(
        conn,
        "SELECT data_set_sha256, transfer_syntax FROM dicom_instance WHERE organisation_id = %s AND sop_uid = %s",
        (row["organisation_id"], row["sop_uid"]),
    )
    if (there["data_set_sha256"], there["transfer_syntax"]) == (item.data_set_sha256, item.transfer_syntax):
        return _outcome(row, "known")
    return await _put_aside(conn, at, item, "other-content", "this UID is taken by another content")


async def _put_aside(conn: Connection, at: datetime, item: Received, reason: Reason, detail: str) -> Outcome:
    sop_uid, sop_class = (
        uids.uid_text(item.header.raw.get(name, b""))[: uids.UID_CHARS_MAX]
        for name in ("SOPInstanceUID", "SOPClassUID")
    )
    new = SetAside(item.sender.organisation_id, reason, detail, item.file, sop_uid, item.sender.name)
    await set_asides.put_aside(conn, at, new)
    return Outcome("set-aside", sop_class, sop_uid, reason=reason, detail=detail)
