"""HTTP of intake: resumable uploads as tus 1.0 has them (core, creation, checksum, expiration, termination)."""

import base64
import binascii
import errno
import hashlib
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from uuid import UUID

from hub.core import disk, errors
from hub.core.actor import job
from hub.core.db import Row
from hub.core.fields import Fields
from hub.core.http import Empty, Request, Route
from hub.core.partial import WrongChecksum
from hub.core.store import TooLarge
from hub.imaging.intake import uploads

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,checksum,expiration,termination"
PIECE: Final = "application/offset+octet-stream"
NAME_MAX_CHARS: Final = 500
METADATA_MAX_CHARS: Final = 4096
ACCESSION_CHARS: Final = 16  # DICOM SH
PUSHED_MAX_BYTES: Final = 256 << 20  # a call that is cut begins anew; larger files come by resumable upload
PUSHER: Final = job("intake.push")  # the sender's right has been asked before
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


async def options(_request: Request) -> Empty:
    return _empty(
        204,
        {
            "Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(uploads.MAX_BYTES),
            "Tus-Checksum-Algorithm": "sha256",
        },
    )  # fmt: skip


async def create(request: Request) -> Empty:
    """Begin, or find what was begun: 201 with the place and how far it is."""
    new = _announced(request)
    if disk.free_bytes(request.settings.data_dir) - new.size_bytes < _floor(request):
        raise errors.error("no_room")
    async with request.transaction() as conn:
        upload = await uploads.create_upload(conn, request.actor, request.at, new)
    offset = _offset(request, upload)
    return _empty(201, {"Location": f"/api/uploads/{upload['id']}", **_where(upload, offset)})


async def stand(request: Request) -> Empty:
    """How far it is."""
    upload = await _read(request)
    length = {"Upload-Length": str(upload["size_bytes"])}
    return _empty(200, {**length, **_where(upload, _offset(request, upload))})


async def receive(request: Request) -> Empty:
    """A piece. Every part of it that is on disk is written down at once, so that a cut costs little."""
    upload = await _read(request)
    begin = _whole_number(request, "Upload-Offset")
    if request.raw.content_type != PIECE:
        raise errors.error("bad_field", field="Content-Type", expected=PIECE)
    if begin != _offset(request, upload):
        raise errors.error("upload_offset", offset=_offset(request, upload))
    left = upload["size_bytes"] - begin
    if (request.raw.content_length or 0) > left:
        raise errors.error("too_large", limit_bytes=left)
    if disk.free_bytes(request.settings.data_dir) < _floor(request):
        raise errors.error("no_room")
    if upload["state"] == "receiving":
        if begin != upload["offset_bytes"]:  # the file was lost, as after a restored backup
            await _rewind(request, upload, upload["offset_bytes"], begin)
        end = await _written(request, upload, begin)
        if end == upload["size_bytes"]:
            await _finish(request, upload)
    else:
        end = upload["size_bytes"]
    return _empty(204, _where(upload, end))


async def _written(request: Request, upload: Row, begin: int) -> int:
    end, partial = begin, request.store.partial(upload["id"])
    try:
        async for durable in partial.receive(
            begin, request.chunks(), upload["size_bytes"] - begin, _checksum(request)
        ):
            async with request.transaction(request.now()) as conn:
                await uploads.advance(conn, request.actor, request.now(), upload["id"], end, durable)
            end = durable
    except WrongChecksum:
        await _rewind(request, upload, end, begin)
        raise errors.error("upload_damaged", offset=begin) from None
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.error("no_room") from failure
        raise
    return end


async def _rewind(request: Request, upload: Row, end: int, to: int) -> None:
    async with request.transaction(request.now()) as conn:
        await uploads.rewind(conn, request.actor, request.now(), upload["id"], end, to)


async def _finish(request: Request, upload: Row) -> None:
    """Only the hash of the whole says that it has been received; if it is another, all of it is asked for again."""
    partial, size = request.store.partial(upload["id"]), upload["size_bytes"]
    file = await request.store.adopt(partial, uploads.MEDIA_TYPE, upload["declared_sha256"])
    if file is None:
        await _rewind(request, upload, size, 0)
        partial.remove()
        raise errors.error("upload_not_whole", offset=0)
    async with request.transaction(request.now()) as conn:
        await uploads.receive(conn, request.actor, request.now(), upload["id"], file)


async def give_up(request: Request) -> Empty:
    async with request.transaction() as conn:
        await uploads.give_up(conn, request.actor, request.at, request.uuid("upload_id"))
    request.store.partial(request.uuid("upload_id")).remove()
    return _empty(204, {})


async def list_uploads(request: Request) -> dict[str, Any]:
    query = request.query
    request_id, after = query.uuid("request_id"), query.optional_uuid("after")
    async with request.transaction() as conn:
        found, goes_on = await uploads.list_uploads(conn, request.actor, request.at, request_id, after)
    return {"uploads": found, "next": goes_on}


async def push(request: Request) -> dict[str, Any]:
    """A whole ECG in one call, as a cart sends it; stored when this answers."""
    async with request.transaction() as conn:
        accession = request.query.text("accession", ACCESSION_CHARS)
        request_id = await uploads.request_of(conn, request.actor, request.at, accession)
    if disk.free_bytes(request.settings.data_dir) < _floor(request):
        raise errors.error("no_room")
    name = request.query.optional_text("filename", NAME_MAX_CHARS) or "ecg"
    try:
        file = await request.store.put(request.chunks(), uploads.MEDIA_TYPE, PUSHED_MAX_BYTES)
    except TooLarge:
        raise errors.error("too_large", limit_bytes=PUSHED_MAX_BYTES) from None
    except (ConnectionError, TimeoutError):
        raise errors.error("upload_damaged") from None
    if not file.size_bytes:
        raise errors.error("bad_field", field="body", expected="the bytes of a file")
    async with request.db.transaction(PUSHER, request.now()) as conn:
        upload_id = await uploads.take_pushed(
            conn, PUSHER, request.now(), request.actor, request_id, name, file
        )
    request.store.partial(upload_id).remove()  # the same file may have been on its way piece by piece, too
    return {"upload_id": upload_id, "sha256": file.sha256}


async def _read(request: Request) -> Row:
    async with request.transaction() as conn:
        return await uploads.read_upload(conn, request.actor, request.at, request.uuid("upload_id"))


def _offset(request: Request, upload: Row) -> int:
    """What counts as received: never more than is on this disk."""
    if upload["state"] != "receiving":
        return int(upload["size_bytes"])
    return min(int(upload["offset_bytes"]), request.store.partial(upload["id"]).size())


def _floor(request: Request) -> int:
    return request.settings.disk_floor_mb * disk.MEGABYTE


def _empty(status: int, headers: dict[str, str]) -> Empty:
    return Empty(status, {"Tus-Resumable": VERSION, **headers})


def _where(upload: Row, offset: int) -> dict[str, str]:
    expires: datetime = upload["expires_at"]
    return {
        "Upload-Offset": str(offset),
        "Upload-Expires": format_datetime(expires.astimezone(UTC), usegmt=True),
        "Cache-Control": "no-store",
    }


def _announced(request: Request) -> uploads.NewUpload:
    """The headers of a creation."""
    told = _metadata(request.raw.headers.get("Upload-Metadata", ""))
    size = _whole_number(request, "Upload-Length")
    if not 1 <= size <= uploads.MAX_BYTES:
        raise errors.error("too_large", limit_bytes=uploads.MAX_BYTES)
    sha256 = told.text("sha256", 64).lower()
    if not _SHA256.fullmatch(sha256):
        raise told.bad("sha256", "SHA-256 of the file, 64 hexadecimal digits")
    return uploads.NewUpload(
        UUID(str(told.uuid("request_id"))), told.text("filename", NAME_MAX_CHARS), size, sha256
    )


def _metadata(header: str) -> Fields:
    """`key base64,key base64` as fields."""
    values: dict[str, str] = {}
    try:
        for pair in header[:METADATA_MAX_CHARS].split(","):
            key, _, value = pair.strip().partition(" ")
            values[key] = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise errors.error(
            "bad_field", field="Upload-Metadata", expected="pairs `key base64` with commas"
        ) from None
    return Fields(values)


def _whole_number(request: Request, header: str) -> int:
    value = request.raw.headers.get(header, "")
    if not value.isascii() or not value.isdecimal() or len(value) > 15:
        raise errors.error("bad_field", field=header, expected="a whole number")
    return int(value)


def _checksum(request: Request) -> bytes | None:
    header = request.raw.headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    if algorithm != "sha256" or len(digest) != hashlib.sha256().digest_size:
        raise errors.error("bad_field", field="Upload-Checksum", expected="sha256 and its base64")
    return digest


_UPLOAD: Final = "/api/uploads/{upload_id}"
ROUTES = [
    Route("OPTIONS", "/api/uploads", options, "upload.options"),
    Route("POST", "/api/uploads", create, "upload.create"),
    Route("GET", "/api/uploads", list_uploads, "upload.read"),
    Route("HEAD", _UPLOAD, stand, "upload.create"),
    Route("PATCH", _UPLOAD, receive, "upload.create"),
    Route("POST", "/api/ecg", push, "upload.push"),
    Route("DELETE", _UPLOAD, give_up, "upload.create"),
]
