"""Storing over the web (STOW-RS, PS3.18 10.5): parts to files as they stream in, each with its own result.

Instances are committed in groups while the rest still comes; nothing is told before all of it is settled, and sending
the same once more is always right.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from dicom.multipart import InvalidMultipart, PartBegun, PartBytes, Reader
from hub.core import errors, sandbox
from hub.core.actor import Actor
from hub.core.db import Database
from hub.core.incoming import Incoming
from hub.core.sandbox import SandboxFailed
from hub.core.store import Store, StoredFile
from hub.imaging.index import instances
from hub.imaging.index.instances import Outcome, Received, Sender
from hub.imaging.index.statuses import status_of

INSTANCE_BYTES_MAX: Final = 2 << 30
METADATA_BYTES_MAX: Final = 64 << 20
PARTS_MAX: Final = 20_000
BULK_PARTS_MAX: Final = 200  # each holds a file open until all is there
GROUP: Final = 32  # instances of one commit
ASSEMBLING_S: Final = 60.0
ASSEMBLING_MB: Final = 1024
JSON: Final = "application/dicom+json"
FILE: Final = "application/dicom"

_CLASS, _INSTANCE, _URL, _FAILURE = "00081150", "00081155", "00081190", "00081197"
_FAILED, _REFERENCED = "00081198", "00081199"


@dataclass(eq=False)
class Part:
    """One part of a body, in a file of its own."""

    headers: Mapping[str, str]
    file: Incoming
    beginning: bytearray = field(default_factory=bytearray)

    def write(self, piece: bytes | memoryview) -> None:
        if self.file.size_bytes + len(piece) > INSTANCE_BYTES_MAX:
            raise errors.error("too_large", limit_bytes=INSTANCE_BYTES_MAX)
        if len(self.beginning) < instances.BEGINNING_BYTES:
            self.beginning += piece[: instances.BEGINNING_BYTES - len(self.beginning)]
        self.file.write(piece)


class Parts:
    """The parts of a body as they come. Close it, whatever happens: what was not kept goes."""

    def __init__(self, incoming: Callable[[], Incoming], boundary: str) -> None:
        try:
            self._reader = Reader(boundary)
        except InvalidMultipart as fault:
            raise _unreadable(fault) from None
        self._incoming, self._open, self._count = incoming, list[Part](), 0

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """The parts that this chunk completes."""
        try:
            for event in self._reader.feed(chunk):
                if isinstance(event, PartBegun):
                    self._count += 1
                    if self._count > PARTS_MAX:
                        raise errors.error("too_large", limit_parts=PARTS_MAX)
                    self._open.append(Part(event.headers, self._incoming()))
                elif isinstance(event, PartBytes):
                    self._open[-1].write(event.view)
                else:
                    yield self._open[-1]
        except InvalidMultipart as fault:
            raise _unreadable(fault) from None

    def require_complete(self) -> None:
        """Raise unless the last delimiter has come."""
        if not self._reader.is_complete:
            raise errors.error("bad_field", field="body", expected="all parts and the last delimiter")

    def taken(self, parts: Sequence[Part]) -> None:
        """Others see to these from now on."""
        self._open = [part for part in self._open if part not in parts]

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *_: object) -> None:
        for part in self._open:
            part.file.close()


def _unreadable(fault: InvalidMultipart) -> errors.HubError:
    return errors.error("bad_field", field="body", expected="multipart/related", cause=str(fault))


@dataclass(frozen=True)
class Target:
    """Where instances go, and in whose name."""

    database: Database
    store: Store
    actor: Actor
    sender: Sender
    study_uid: str | None = None  # only instances of this study, if the address names one

    async def commit(self, at: datetime, parts: Sequence[Part]) -> list[Outcome]:
        """Make these files durable and index them."""
        try:
            received = [await self._received(part) for part in parts]
            files = [part.file for part in parts]
            await asyncio.to_thread(self.store.keep, files, instances.MEDIA_TYPE)
            async with self.database.transaction(self.actor, at) as conn:
                outcomes, _ = await instances.store_instances(conn, self.store, self.actor, at, received, {})
            return outcomes
        finally:
            for part in parts:
                part.file.close()

    async def _received(self, part: Part) -> Received:
        file = StoredFile(part.file.sha256, part.file.size_bytes, instances.MEDIA_TYPE)
        found = await instances.look_at(part.file.path, part.beginning, self.sender, file)
        if found.reason is None and self.study_uid not in (None, found.header.uid("StudyInstanceUID")):
            return replace(found, reason="class-differs", detail="of another study than the address names")
        return found


async def store_files(
    target: Target, now: Callable[[], datetime], boundary: str, chunks: AsyncIterator[bytes]
) -> list[Outcome]:
    """A body whose parts are DICOM files. One group is committed while the next comes in; not more, so memory stays."""
    outcomes: list[Outcome] = []
    committing: asyncio.Task[list[Outcome]] | None = None
    try:
        with Parts(target.store.incoming, boundary) as parts:
            waiting: list[Part] = []
            async for chunk in chunks:
                for part in parts.feed(chunk):
                    waiting.append(part)
                    if len(waiting) == GROUP:
                        outcomes += await committing if committing is not None else []
                        parts.taken(waiting)
                        committing = asyncio.create_task(target.commit(now(), waiting))
                        waiting = []
            parts.require_complete()
            outcomes += await committing if committing is not None else []
            return outcomes + await target.commit(now(), waiting)
    finally:
        if committing is not None:
            await asyncio.gather(committing, return_exceptions=True)


async def store_one(
    target: Target, now: Callable[[], datetime], chunks: AsyncIterator[bytes]
) -> list[Outcome]:
    """A body that is one DICOM file."""
    part = Part({}, target.store.incoming())
    try:
        async for chunk in chunks:
            part.write(chunk)
        return await target.commit(now(), [part])
    finally:
        part.file.close()


async def store_metadata(
    target: Target, now: Callable[[], datetime], boundary: str, chunks: AsyncIterator[bytes]
) -> list[Outcome]:
    """A body of DICOM JSON and its bulk data; put together in the sandbox."""
    with Parts(target.store.incoming, boundary) as parts:
        found: list[Part] = []
        async for chunk in chunks:
            found += parts.feed(chunk)
            if len(found) > BULK_PARTS_MAX:
                raise errors.error("too_large", limit_parts=BULK_PARTS_MAX)
        parts.require_complete()
        if not found or found[0].file.size_bytes > METADATA_BYTES_MAX:
            raise errors.error("too_large", limit_bytes=METADATA_BYTES_MAX)
        return [outcome async for outcome in _assembled(target, now, found[0], found[1:])]


async def _assembled(
    target: Target, now: Callable[[], datetime], metadata: Part, bulk: Sequence[Part]
) -> AsyncIterator[Outcome]:
    where = {part.headers.get("content-location", ""): str(part.file.path) for part in bulk}
    for number in range(PARTS_MAX):
        asked = json.dumps({"metadata": str(metadata.file.path), "bulk": where, "number": number}).encode()
        try:
            made = await sandbox.run(
                "hub.imaging.index.looking_at_dicom:assembled", asked, ASSEMBLING_S, ASSEMBLING_MB
            )
        except SandboxFailed as failure:
            if failure.words.startswith("metadata") or number == PARTS_MAX - 1:
                raise errors.error("bad_field", field="body", expected="DICOM JSON") from None
            yield Outcome("refused", reason="unreadable", detail=failure.words)
            continue
        if not made:
            return
        part = Part({}, target.store.incoming())
        try:
            part.write(made)
            (outcome,) = await target.commit(now(), [part])
            yield outcome
        finally:
            part.file.close()


def response(outcomes: Sequence[Outcome], base_url: str) -> tuple[int, dict[str, Any]]:
    """Status and Store Instances Response Module (PS3.18 10.5.3): what was stored, and what not and why."""
    referenced = [_reference(outcome, base_url) for outcome in outcomes if outcome.reason is None]
    failed = [_failure(outcome) for outcome in outcomes if outcome.reason is not None]
    studies = {outcome.study_uid for outcome in outcomes if outcome.reason is None}
    document: dict[str, Any] = {}
    if len(studies) == 1:
        document[_URL] = {"vr": "UR", "Value": [f"{base_url}/studies/{studies.pop()}"]}
    if failed:
        document[_FAILED] = {"vr": "SQ", "Value": failed}
    if referenced:
        document[_REFERENCED] = {"vr": "SQ", "Value": referenced}
    status = 200 if not failed else 202 if referenced else 409
    return status, document


def _names(outcome: Outcome) -> dict[str, Any]:
    pairs = ((_CLASS, outcome.sop_class_uid), (_INSTANCE, outcome.sop_uid))
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in pairs if uid}


def _reference(outcome: Outcome, base_url: str) -> dict[str, Any]:
    url = f"{base_url}/studies/{outcome.study_uid}/series/{outcome.series_uid}/instances/{outcome.sop_uid}"
    return _names(outcome) | {_URL: {"vr": "UR", "Value": [url]}}


def _failure(outcome: Outcome) -> dict[str, Any]:
    return _names(outcome) | {_FAILURE: {"vr": "US", "Value": [status_of(outcome)]}}
