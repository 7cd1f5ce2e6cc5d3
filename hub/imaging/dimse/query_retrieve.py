"""C-MOVE and C-GET (PS3.4 C.4.2, C.4.3): files go out as they are; counts are of what the receiver answered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final

from dicom import commands, identifiers, part10, recoding, services, uids
from dicom.commands import Counts
from dicom.errors import InvalidInstance
from dicom.identifiers import Document
from dicom.pdus import Context
from dicom.services import Level
from hub.imaging.dimse import moving, query_nodes, sending
from hub.imaging.dimse.moving import Wanted
from hub.imaging.dimse.query_request import Asked, Refused, bound

FAILED_UIDS_MAX: Final = 1000  # that a response lists
CHUNK_BYTES: Final = 1 << 18
RECODED_BYTES_MAX: Final = 128 << 20
_OTHER: Final = {
    uids.EXPLICIT_LITTLE: uids.IMPLICIT_LITTLE,
    uids.IMPLICIT_LITTLE: uids.EXPLICIT_LITTLE,
}


@dataclass
class Progress:
    """How far the sub-operations have come."""

    wanted: Sequence[Wanted]
    completed: int = 0
    warned: int = 0
    failed: list[str] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)

    def note(self, sop_uid: str, status: int) -> None:
        self._done.add(sop_uid)
        if status == commands.SUCCESS:
            self.completed += 1
        elif 0xB000 <= status < 0xC000:  # stored, with a remark (PS3.4 B.2.3)
            self.warned += 1
        else:
            self.failed.append(sop_uid)

    @property
    def left(self) -> list[str]:
        """Of what nobody has answered for."""
        return [one.sop_uid for one in self.wanted if one.sop_uid not in self._done]

    @property
    def counts(self) -> Counts:
        left = len(self.wanted) - len(self._done)
        return Counts(left, self.completed, len(self.failed), self.warned)


async def _wanted(asked: Asked, operation: str) -> list[Wanted]:
    identifier = asked.identifier()
    level = asked.level(identifier)
    keys: dict[Level, list[str]] = {}
    for above, tag in services.UNIQUE_KEYS.items():
        values = identifiers.texts(identifier, tag)
        if values and (above != "PATIENT" or asked.command.sop_class_uid in services.PATIENT_ROOT):
            keys[above] = values
        if above == level:
            break
    named = [uid for above, values in keys.items() if above != "PATIENT" for uid in values]
    if level not in keys or not all(map(uids.is_valid_uid, named)):
        raise Refused(commands.DATA_SET_DOES_NOT_MATCH, "unique keys missing, or no UIDs")
    hub, actor, at = asked.hub, asked.caller.actor, asked.hub.clock()
    async with hub.database.transaction(actor, at) as conn:
        await bound(conn)
        found = await moving.wanted(conn, actor, at, keys, operation)
    if len(found) > moving.INSTANCES_MAX:
        raise Refused(commands.OUT_OF_RESOURCES, f"more than {moving.INSTANCES_MAX}: ask for fewer")
    return found


async def _finish(asked: Asked, progress: Progress, was_cancelled: bool) -> None:
    """The last response: what was done, and what failed."""
    counts = progress.counts
    if was_cancelled:
        status = commands.CANCELLED
    elif not counts.failed and not counts.warned:
        status = commands.SUCCESS
    elif counts.completed or counts.warned:
        status = commands.SUBOPERATIONS_WITH_FAILURES
    else:
        status = commands.CANNOT_PERFORM_SUBOPERATIONS
    failed: Document | None = None
    if progress.failed:
        failed = {"00080058": {"vr": "UI", "Value": progress.failed[:FAILED_UIDS_MAX]}}
    await asked.respond(status, counts=counts, document=failed)


async def get(asked: Asked) -> None:
    """C-GET: over the association itself."""
    progress, was_cancelled = Progress(await _wanted(asked, "C-GET")), False
    contexts = {(one.abstract_syntax, one.transfer_syntax): one for one in asked.line.contexts}
    for one in progress.wanted:
        if asked.line.is_cancelled:
            was_cancelled = True
            break
        context = contexts.get((one.sop_class_uid, one.transfer_syntax)) or contexts.get(
            (one.sop_class_uid, _OTHER.get(one.transfer_syntax, ""))
        )
        progress.note(one.sop_uid, await _store_back(asked, context, one))
        await asked.respond(commands.PENDING, counts=progress.counts)
    await _finish(asked, progress, was_cancelled)


async def _store_back(asked: Asked, context: Context | None, one: Wanted) -> int:
    """The status of one C-STORE to the peer itself."""
    if context is None:
        return commands.SOP_CLASS_NOT_SUPPORTED
    try:
        parts = _parts(asked, one, context.transfer_syntax)
        first = await anext(parts)
    except (OSError, InvalidInstance):
        return commands.PROCESSING_FAILURE
    written = partial(commands.write_store, sop_class_uid=one.sop_class_uid, sop_instance_uid=one.sop_uid)
    return await asked.line.ask(context, written, _chained(first, parts))


async def _chained(
    first: tuple[bytes, bool], rest: AsyncIterator[tuple[bytes, bool]]
) -> AsyncIterator[tuple[bytes, bool]]:
    yield first
    async for part in rest:
        yield part


async def _parts(asked: Asked, one: Wanted, syntax: str) -> AsyncIterator[tuple[bytes, bool]]:
    """The data set of a stored file, piece by piece; each with whether it is the last.

    As it is, unless the peer has taken only the other uncompressed syntax.
    """
    file = await asyncio.to_thread(asked.hub.store.open, one.file_sha256)
    try:
        beginning = await asyncio.to_thread(file.read, part10.META_BYTES_MAX)
        position = part10.read_meta(beginning).data_set_at
        await asyncio.to_thread(file.seek, position)
        if syntax != one.transfer_syntax:
            yield await asyncio.to_thread(_recoded, file, one, syntax), True
            return
        while True:
            part = await asyncio.to_thread(file.read, CHUNK_BYTES)
            position += len(part)
            is_last = position >= one.size_bytes
            if not part and not is_last:
                raise OSError("a stored file is shorter than it was")
            yield part, is_last
            if is_last:
                return
    finally:
        file.close()


def _recoded(file: BinaryIO, one: Wanted, syntax: str) -> bytes:
    if one.size_bytes > RECODED_BYTES_MAX:
        raise InvalidInstance("too large to be written anew")
    return b"".join(recoding.recoded(memoryview(file.read()), syntax == uids.EXPLICIT_LITTLE))


async def move(asked: Asked) -> None:
    """C-MOVE: to a node of the asker's clinic."""
    hub, line, at = asked.hub, asked.line, asked.hub.clock()
    async with hub.database.transaction(asked.caller.actor, at) as conn:
        to = await query_nodes.destination(conn, asked.caller, asked.command.destination)
    if to is None:
        raise Refused(commands.DESTINATION_UNKNOWN, "no node of your clinic that receives")
    progress = Progress(await _wanted(asked, "C-MOVE"))
    origin = moving.Origin(line.calling_ae, asked.command.message_id)
    ours = hub.settings.dimse_ae_title
    work = sending.send(progress.wanted, to, ours, origin, hub.store, lambda: line.is_cancelled)
    async with contextlib.aclosing(work):
        async for sop_uid, status in work:
            progress.note(sop_uid, status)
            if progress.counts.remaining:
                await asked.respond(commands.PENDING, counts=progress.counts)
    was_cancelled = line.is_cancelled and progress.counts.remaining > 0
    if not was_cancelled:  # the destination is not reached, or went away
        for unsent in progress.left:
            progress.note(unsent, commands.PROCESSING_FAILURE)
    await _finish(asked, progress, was_cancelled)
