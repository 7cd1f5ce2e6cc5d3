"""DICOM instances: whether what came in is one, and its place in the index; idempotent by SOP instance UID and digest.

Whatever was received has its bytes in the store before this is asked. The same instance twice is one; another content
under a UID that is taken, or bytes that can't be an instance, are set aside with their reason.
"""

import asyncio
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
from hub.core.fields import to_json
from hub.core.store import Store, StoredFile
from hub.imaging.index import dicom_studies, set_asides
from hub.imaging.index.dicom_studies import Place, Places
from hub.imaging.index.set_asides import Reason, SetAside
from hub.people import access

MEDIA_TYPE: Final = "application/dicom"
HUB: Final = "hub"  # who sent what the hub itself adds to a study: `Sender.name`
BEGINNING_BYTES: Final = part10.META_BYTES_MAX + (1 << 16)  # of a file, that hold nearly every header
DEFLATED_TIMEOUT_S: Final = 20.0
DEFLATED_MEMORY_MB: Final = 512


@dataclass(frozen=True)
class Sender:
    """Who sent something, and for which clinic; `request_id` if it was sent for a request."""

    organisation_id: UUID
    name: str  # `node ID`, `person ID` or `hub`
    request_id: UUID | None = None


@dataclass(frozen=True)
class Received:
    """A file in the store, and what its beginning says; `reason` if that can't be an instance."""

    sender: Sender
    file: StoredFile
    transfer_syntax: str
    header: Header
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of it: a new instance, one that was there already, set aside, or not even kept; why, if neither."""

    kind: Literal["stored", "known", "set-aside", "refused"]
    sop_class_uid: str = ""
    sop_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
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
        (outcome,), _ = await store_instances(conn, store, actor, at, [received], {})
    return outcome


async def look(store: Store, sender: Sender, file: StoredFile) -> Received:
    """What a stored file is."""
    path = store.path(file.sha256)
    beginning = await asyncio.to_thread(_read_beginning, path)
    return await look_at(path, beginning, sender, file)


def _read_beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BEGINNING_BYTES)


async def look_at(path: Path, beginning: bytes | bytearray, sender: Sender, file: StoredFile) -> Received:
    """What the file at this path is, whose first bytes are at hand; a deflated one is read in the sandbox."""
    try:
        meta = part10.read_meta(beginning)
    except InvalidInstance as failure:
        reason: Reason = "no-meta" if part10.is_file(beginning) else "no-file"
        return Received(sender, file, "", Header(), reason, str(failure))
    encoding = uids.TRANSFER_SYNTAXES.get(meta.transfer_syntax)
    if encoding is None:
        reason, detail = "unknown-syntax", meta.transfer_syntax
        return Received(sender, file, meta.transfer_syntax, Header(), reason, detail)
    if encoding.is_deflated:
        header = await deflated_header(path)
    else:
        header = scan(memoryview(beginning)[meta.data_set_at :], encoding, file.size_bytes - meta.data_set_at)
        if header.is_cut:
            header = await asyncio.to_thread(header_of, path, meta.transfer_syntax, meta.data_set_at)
    # What the meta group says of class and instance is not held against the data set: many a tool that has changed the
    # one has left the other as it was.
    return judged(Received(sender, file, meta.transfer_syntax, header))


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
            "hub.imaging.index.looking_at_dicom:deflated", asked, DEFLATED_TIMEOUT_S, DEFLATED_MEMORY_MB
        )
        values = json.loads(said)
    except (sandbox.SandboxFailed, ValueError):
        return Header(fault="a deflated data set that can't be inflated")
    return Header(
        {keyword: bytes.fromhex(value) for keyword, value in values["raw"].items()}, fault=values["fault"]
    )


async def store_instances(
    conn: Connection, store: Store, actor: Actor, at: datetime, items: Sequence[Received], places: Places
) -> tuple[list[Outcome], Places]:
    """Index what was received, or set it aside: outcomes in the same order, and places to remember after the commit."""
    for organisation_id in {item.sender.organisation_id for item in items}:
        await access.require(conn, actor, at, "dicom.store", organisation_id=organisation_id)
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
    stored = await _insert(conn, actor, at, rows)
    for row in rows:
        new = row["id"] in stored
        outcomes[row["item"]] = (
            _outcome(row, "stored") if new else await _compare(conn, store, at, items[row["item"]], row)
        )
    return [outcomes[number] for number in range(len(items))], found


def _outcome(row: Mapping[str, Any], kind: Literal["stored", "known"]) -> Outcome:
    return Outcome(
        kind, row["sop_class_uid"], row["sop_uid"], row["study_uid"], row["series_uid"], row["study_id"]
    )


def _row(item: Received, place: Place, at: datetime) -> dict[str, Any]:
    header = item.header
    return {
        "organisation_id": item.sender.organisation_id,
        "study_id": place.study_id,
        "series_id": place.series_id,
        "study_uid": place.key[1],
        "series_uid": place.key[2],
        "sop_uid": header.uid("SOPInstanceUID"),
        "sop_class_uid": header.uid("SOPClassUID"),
        "transfer_syntax": item.transfer_syntax,
        "number": header.number("InstanceNumber"),
        "rows": header.number("Rows"),
        "columns": header.number("Columns"),
        "frames": header.number("NumberOfFrames"),
        "file_sha256": item.file.sha256,
        "size_bytes": item.file.size_bytes,
        "sent_by": item.sender.name,
        "received_at": at,
    }


# Files and instances of one sending, as rows of JSON, by a function of the database; the ids of those that were new.
# A complete study is open again (trigger `goes_on`).
_STORE: Final = "SELECT id FROM dicom_store(%(actor_kind)s, %(actor_id)s, %(at)s, %(rows)s::json) AS id"
_NOT_STORED: Final = ("study_uid", "series_uid", "item")


def _given(rows: Sequence[Mapping[str, Any]]) -> str:
    return to_json([{name: row[name] for name in row if name not in _NOT_STORED} for row in rows])


async def store_known(
    database: Database, actor: Actor, at: datetime, items: Sequence[Received], places: Places
) -> list[Outcome] | None:
    """The same in one round trip, for a job: new instances of known series. None: it takes `store_instances` to say."""
    if actor.kind != "job":  # whose right to store has to be looked at
        return None
    rows = []
    for item in items:
        place = None if item.reason is not None else dicom_studies.known_place(
            item.header, item.sender.organisation_id, item.sender.request_id, places
        )  # fmt: skip
        if place is None:
            return None
        rows.append(_row(item, place, at) | {"id": ids.new(at)})
    in_order = sorted(rows, key=lambda row: (row["organisation_id"], row["sop_uid"]))
    stored = await database.call(actor, at, _STORE, {"rows": _given(in_order)})
    return [_outcome(row, "stored") for row in rows] if len(stored) == len(rows) else None


async def _insert(
    conn: Connection, actor: Actor, at: datetime, rows: Sequence[Mapping[str, Any]]
) -> set[UUID]:
    """The ids of those that were new."""
    if not rows:
        return set()
    who = {"actor_kind": actor.kind, "actor_id": actor.id, "at": at}
    made = await db.rows(conn, _STORE, who | {"rows": _given(rows)})
    return {row["id"] for row in made}


async def _keep_file(conn: Connection, at: datetime, file: StoredFile) -> None:
    await db.run(
        conn,
        """INSERT INTO stored_file (sha256, size_bytes, media_type, stored_at) VALUES (%s, %s, %s, %s)
           ON CONFLICT DO NOTHING""",
        (file.sha256, file.size_bytes, file.media_type, at),
    )


async def _compare(
    conn: Connection, store: Store, at: datetime, item: Received, row: Mapping[str, Any]
) -> Outcome:
    """The UID is taken: by the same content, or by another, which is set aside.

    The same data set in another file (sent by DICOM, then uploaded with its own meta group) is the same; only then are
    data sets read again, which is rare enough to do here.
    """
    there = await db.one(
        conn,
        "SELECT file_sha256, transfer_syntax FROM dicom_instance WHERE organisation_id = %s AND sop_uid = %s",
        (row["organisation_id"], row["sop_uid"]),
    )
    is_same = there["file_sha256"] == item.file.sha256
    if not is_same and there["transfer_syntax"] == item.transfer_syntax:
        paths = (store.path(there["file_sha256"]), store.path(item.file.sha256))
        one, other = [await asyncio.to_thread(part10.data_set_hash, path) for path in paths]
        is_same = one == other
    if is_same:
        return _outcome(row, "known")
    return await _put_aside(conn, at, item, "other-content", "this UID is taken by another content")


async def _put_aside(conn: Connection, at: datetime, item: Received, reason: Reason, detail: str) -> Outcome:
    sent = (uids.uid_text(item.header.raw.get(name, b"")) for name in ("SOPInstanceUID", "SOPClassUID"))
    sop_uid, sop_class = (uid if uids.is_valid_uid(uid) else "" for uid in sent)
    await _keep_file(conn, at, item.file)
    new = SetAside(item.sender.organisation_id, reason, detail, item.file, sop_uid, item.sender.name)
    await set_asides.put_aside(conn, at, new)
    return Outcome("set-aside", sop_class, sop_uid, reason=reason, detail=detail)
