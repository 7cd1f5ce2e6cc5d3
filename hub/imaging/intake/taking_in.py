"""What becomes of a file that was received: an ECG becomes a recording that is read, a DICOM image an instance of its
study, a zip what is in it.

ECG files and zips are looked at in the sandbox only. Every step may be done again: the same file for the same request
is the same recording or instance.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import actor, db, sandbox
from hub.core.jobs import Context
from hub.core.sandbox import SandboxFailed
from hub.core.store import StoredFile
from hub.imaging.index import instances, set_asides
from hub.imaging.index.framing import answered, cut
from hub.imaging.index.set_asides import SetAside
from hub.imaging.intake import uploads
from hub.imaging.intake.ecg_files import is_dicom
from hub.imaging.intake.reasons import Words, reason
from hub.telemetry import file_recordings
from hub.telemetry.file_recordings import FileRecording
from hub.telemetry.packing import Block

ECG_JOB: Final = "intake.ecg"
ECG_CLASSES: Final = "1.2.840.10008.5.1.4.1.1.9.1."  # PS3.4 B.5: 12-lead, general, ambulatory, general 32-bit
TIMEOUT_S: Final = 120.0
MEMORY_MB: Final = 512  # and for every byte of the file so many more ...
MEMORY_TIMES: Final = 8
MEMORY_MAX_MB: Final = 4096
UNPACKED_AT_ONCE: Final = 64 << 20  # of a zip
ACTOR = actor.job(uploads.TAKE_IN_JOB)

Content = dict[
    str, Any
]  # what the sender is told of one thing found: {"name", "kind", ...} or {"name", "reason"}


@dataclass(frozen=True)
class Sent:
    """A stored file, by whom and for which request, and how its times are meant."""

    file: StoredFile
    name: str
    request_id: UUID
    organisation_id: UUID
    sent_by: str
    zone: str
    part: str = ""  # of the file, that is meant: the name of one of several WFDB records of a zip
    is_member: bool = False  # of a zip


class NotUsable(Exception):
    """A file that is set aside, with the words for its sender."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self.words = words


async def take_in(context: Context, upload_id: UUID) -> None:
    """Look at a received upload and settle it."""
    async with context.db.transaction(ACTOR, context.at) as conn:
        upload = await uploads.waiting(conn, upload_id)
    if upload is None:
        return
    file = StoredFile(upload["sha256"], upload["size_bytes"], uploads.MEDIA_TYPE)
    sent = Sent(
        file, upload["file_name"], upload["service_request_id"], upload["organisation_id"],
        f"node {upload['node_id']}" if upload["node_id"] else f"person {upload['account_id']}", upload["time_zone"],
    )  # fmt: skip
    contents = await take_file(context, sent)
    usable = [content for content in contents if "reason" not in content]
    why = None if usable else contents[0]["reason"]
    async with context.db.transaction(ACTOR, context.at) as conn:
        await uploads.settle(conn, ACTOR, context.at, upload, contents, why)


async def take_ecg(context: Context, request_id: UUID, sha256: str, name: str) -> None:
    """Make a recording of an ECG object that came as DICOM, for a request; one that can't be read is set aside."""
    async with context.db.transaction(ACTOR, context.at) as conn:
        row = await db.one(
            conn,
            "SELECT q.organisation_id, f.size_bytes, a.time_zone FROM service_request q"
            " JOIN account a ON a.id = q.requester_id, stored_file f WHERE q.id = %s AND f.sha256 = %s",
            (request_id, sha256),
        )
    file = StoredFile(sha256, row["size_bytes"], instances.MEDIA_TYPE)
    sent = Sent(file, name, request_id, row["organisation_id"], "", row["time_zone"])
    try:
        await _ecg(context, sent, *await _looked(context, file, {"zone": sent.zone}))
    except NotUsable as fault:
        aside = SetAside(row["organisation_id"], "unreadable", fault.words["en"], file, "", ECG_JOB)
        async with context.db.transaction(ACTOR, context.at) as conn:
            await set_asides.put_aside(conn, context.at, aside)


async def take_file(context: Context, sent: Sent) -> list[Content]:
    """What was found in a file, each taken in or with its reason; never nothing."""
    try:
        if is_dicom(context.store.path(sent.file.sha256)):
            return [await _dicom(context, sent)]
        head, rest = await _looked(context, sent.file, {"zone": sent.zone})
        if head["kind"] == "ecg":
            return [await _ecg(context, sent, head, rest)]
        if sent.is_member:
            raise NotUsable(reason("nested"))
        return await _zip(context, sent, head["members"])
    except NotUsable as fault:
        return [{"name": sent.name, "reason": fault.words}]


async def _dicom(context: Context, sent: Sent) -> Content:
    """An instance of its study; an ECG object is read as an ECG beside that."""
    sender = instances.Sender(sent.organisation_id, sent.sent_by, sent.request_id)
    stored = await instances.store_file(context.db, context.store, ACTOR, context.at, sender, sent.file)
    if stored.reason is not None:
        raise NotUsable(reason(stored.reason, stored.detail))
    if stored.sop_class_uid.startswith(ECG_CLASSES):
        return await _ecg(context, sent, *await _looked(context, sent.file, {"zone": sent.zone}))
    return {"name": sent.name, "kind": "image", "dicom_study_id": str(stored.dicom_study_id)}


async def _ecg(context: Context, sent: Sent, head: Mapping[str, Any], rest: memoryview) -> Content:
    start_at = datetime.fromisoformat(head["start_at"]) if head["start_at"] else None
    new = FileRecording(
        sent.file.sha256, sent.part, f"{head['format']} {head['device']}".strip(), head["fs_hz"], head["leads"],
        head["uv_per_lsb"], head["samples"], [(a, b) for a, b in head["gaps"]], start_at, head["filters"],
    )  # fmt: skip
    parts = cut(rest, head["sizes"])
    blocks = [
        Block(first, count, *parts[3 * k : 3 * k + 3]) for k, (first, count) in enumerate(head["blocks"])
    ]
    async with context.db.transaction(ACTOR, context.at) as conn:
        await uploads.keep_file(conn, context.at, sent.file)
        made = await file_recordings.store_recording(conn, ACTOR, context.at, sent.request_id, new, blocks)
    return {
        "name": sent.name, "kind": "ecg", "format": head["format"], "leads": len(new.leads), "fs_hz": new.fs_hz,
        "seconds": round(new.samples / new.fs_hz), "recording_id": str(made),
    }  # fmt: skip


async def _zip(context: Context, sent: Sent, members: Sequence[Mapping[str, Any]]) -> list[Content]:
    """Every member on its own; the parts of a WFDB record together."""
    if not members:
        raise NotUsable(reason("empty"))
    found = [await _record(context, sent, one) for one in members if "record" in one]
    for batch in _batches([one for one in members if "record" not in one]):
        found += await _batch(context, sent, batch)
    return found


async def _record(context: Context, sent: Sent, member: Mapping[str, Any]) -> Content:
    """A WFDB record of a zip: its recording is made of the zip."""
    inside = replace(sent, name=member["name"], part=member["name"])
    try:
        found = await _looked(context, sent.file, {"zone": sent.zone, "record": member["record"]})
        return await _ecg(context, inside, *found)
    except NotUsable as fault:
        return {"name": member["name"], "reason": fault.words}


def _batches(members: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    batches: list[list[str]] = [[]]
    size = 0
    for member in members:
        if batches[-1] and size + member["size"] > UNPACKED_AT_ONCE:
            batches.append([])
            size = 0
        batches[-1].append(member["name"])
        size += member["size"]
    return [batch for batch in batches if batch]


async def _batch(context: Context, sent: Sent, names: Sequence[str]) -> list[Content]:
    """Members unpacked together; if one of them spoils that, each for itself."""
    asked = {"path": str(context.store.path(sent.file.sha256)), "names": names}
    try:
        head, rest = await _answer("unpack", asked, UNPACKED_AT_ONCE)
    except NotUsable as fault:
        if len(names) == 1:
            return [{"name": names[0], "reason": fault.words}]
        return [content for name in names for content in await _batch(context, sent, [name])]
    found: list[Content] = []
    for name, data in zip(names, cut(rest, head["sizes"]), strict=True):
        file = await context.store.put(data, uploads.MEDIA_TYPE)
        found += await take_file(context, replace(sent, file=file, name=name, is_member=True))
    return found


async def _looked(
    context: Context, file: StoredFile, asked: Mapping[str, Any]
) -> tuple[dict[str, Any], memoryview]:
    path = context.store.path(file.sha256)
    return await _answer("look", {"path": str(path), **asked}, file.size_bytes)


async def _answer(
    function: str, asked: Mapping[str, Any], size_bytes: int
) -> tuple[dict[str, Any], memoryview]:
    memory_mb = min(MEMORY_MB + MEMORY_TIMES * size_bytes // (1 << 20), MEMORY_MAX_MB)
    try:
        said = await sandbox.run(
            f"hub.imaging.intake.looking:{function}", json.dumps(asked).encode(), TIMEOUT_S, memory_mb
        )
    except SandboxFailed as failure:
        if failure.reason == "refused":
            key, _, detail = failure.words.partition(": ")
            raise NotUsable(reason(key, detail)) from None
        raise NotUsable(reason("too-hard", failure.reason)) from None
    return answered(said)
