"""Files by the hash of their bytes: PDFs, uploads, images. A file is there whole and durable, or not at all.

stream -> SHA-256 -> fsync -> rename -> fsync of the folder. Whose it is stands in the row that names its hash.
"""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from hub.core import incoming
from hub.core.incoming import Incoming
from hub.core.partial import Partial

CHUNK_BYTES = 1 << 20
MAX_FILE_BYTES = 4 << 30
_HASH = re.compile(r"[0-9a-f]{64}")


class TooLarge(ValueError):
    """More bytes than a stored file may have."""


@dataclass(frozen=True)
class StoredFile:
    """What a row needs to know of a file."""

    sha256: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True)
class Slice:
    """Bytes of a stored file, which go from the disk to the line without passing through memory."""

    path: Path
    offset: int
    size: int


class Store:
    """A folder of files; later perhaps a bucket, behind the same three functions."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / incoming.FOLDER

    async def put(
        self, content: bytes | AsyncIterable[bytes], media_type: str, max_bytes: int = MAX_FILE_BYTES
    ) -> StoredFile:
        """Keep these bytes; the same bytes twice are one file."""
        file, part = await asyncio.to_thread(self._begin)
        digest, size = hashlib.sha256(), 0
        try:
            async for chunk in _chunks(content):
                size += len(chunk)
                if size > max_bytes:
                    raise TooLarge(f"more than {max_bytes} bytes")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(self._finish, file, part, digest.hexdigest())
        finally:
            file.close()
            part.unlink(missing_ok=True)
        return StoredFile(digest.hexdigest(), size, media_type)

    def incoming(self) -> Incoming:
        """A new file to be written as it is received."""
        return Incoming(self._root)

    def keep(self, files: Sequence[Incoming], media_type: str) -> list[StoredFile]:
        """Make received files durable, together; waits for the disk."""
        incoming.keep(files, self.path)
        return [StoredFile(file.sha256, file.size_bytes, media_type) for file in files]

    def partial(self, name: UUID) -> Partial:
        """The bytes of a file that comes in pieces."""
        return Partial(self._root / "partial" / str(name))

    async def adopt(self, partial: Partial, media_type: str, sha256: str) -> StoredFile | None:
        """Keep a file that has come in pieces, if it has this hash; None if it has another."""
        return await asyncio.to_thread(self._adopt, partial.path, media_type, sha256)

    def _adopt(self, path: Path, media_type: str, sha256: str) -> StoredFile | None:
        target = self.path(sha256)
        if not path.exists() and target.exists():  # somebody was faster, or the answer was lost
            return StoredFile(sha256, target.stat().st_size, media_type)
        with path.open("r+b") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return None
            size = file.tell()
            self._finish(file, path, sha256)
        path.unlink(missing_ok=True)
        return StoredFile(sha256, size, media_type)

    def path(self, sha256: str) -> Path:
        """Where a file is or would be."""
        if not _HASH.fullmatch(sha256):
            raise ValueError("not a SHA-256")
        return self._root / sha256[:2] / sha256

    def open(self, sha256: str) -> BinaryIO:
        """The file for reading; FileNotFoundError if it was never stored."""
        return self.path(sha256).open("rb")

    def names(self) -> Iterator[str]:
        """The SHA-256 of every stored file."""
        for path in self._root.glob("[0-9a-f][0-9a-f]/*"):
            if _HASH.fullmatch(path.name):
                yield path.name

    def remove(self, sha256: str) -> None:
        """Forget a file that no row speaks of any more."""
        self.path(sha256).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what a crash left half-received; only at start, before anything is put."""
        left = list(self._incoming.glob("*")) if self._incoming.exists() else []
        for part in left:
            part.unlink(missing_ok=True)
        return len(left)

    def _begin(self) -> tuple[BinaryIO, Path]:
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._incoming / secrets.token_hex(16)
        return part.open("xb"), part

    def _finish(self, file: BinaryIO, part: Path, sha256: str) -> None:
        file.flush()
        os.fsync(file.fileno())
        target = self.path(sha256)
        if target.exists():
            return
        target.parent.mkdir(mode=0o700, exist_ok=True)
        part.rename(target)
        for folder in (target.parent, self._root):
            _sync_folder(folder)


async def _chunks(content: bytes | AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    if isinstance(content, bytes):
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]
        return
    async for chunk in content:
        yield chunk


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
