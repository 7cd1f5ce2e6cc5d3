"""A file that comes in pieces, over any number of calls, processes and days, until the whole is there.

How much of it counts as received is a number in the database; the bytes below it are on disk for good before it is
told. Bytes are written at their place and nothing is ever cut off: if an old line is not dead yet while a new one
already sends, both write the same bytes at the same places.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from hub.core import clock

# When what has come is made durable: a killed server loses no more than that.
SYNC_BYTES, SYNC_S = 1 << 16, 0.5


class WrongChecksum(ValueError):
    """A piece is not what its sender says it is."""


class Partial:
    """The bytes of one unfinished file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self) -> int:
        """How far bytes have been written; 0 if there are none."""
        return self.path.stat().st_size if self.path.exists() else 0

    async def receive(
        self, offset: int, content: AsyncIterator[bytes], most: int, sha256: bytes | None = None
    ) -> AsyncIterator[int]:
        """Write what comes at `offset`, at most `most` bytes; yields each end below which all is durable.

        A piece that comes whole and does not have the hash its sender gave raises WrongChecksum at its end. One that
        is cut short is kept as far as it came: whether the file is right is seen when it is whole.
        """
        file = await asyncio.to_thread(self._open)
        digest, end, durable = hashlib.sha256(), offset, offset
        synced_s = clock.monotonic_s()
        try:
            file.seek(offset)
            async for piece in _sliced(content, most):
                digest.update(piece)
                await asyncio.to_thread(_put, file, piece)
                end += len(piece)
                if _is_due(end - durable, clock.monotonic_s() - synced_s):
                    await asyncio.to_thread(_sync, file)
                    durable, synced_s = end, clock.monotonic_s()
                    yield durable
        except (ConnectionError, TimeoutError):
            sha256 = None  # the line was cut
        finally:
            if end > durable:
                await asyncio.to_thread(_sync, file)
            file.close()
        if sha256 is not None and digest.digest() != sha256:
            raise WrongChecksum
        if end > durable:
            yield end

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _open(self) -> BinaryIO:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return os.fdopen(handle, "r+b")


async def _sliced(content: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """The first `most` bytes, in slices that are made durable one by one however much comes at once."""
    async for chunk in content:
        for first in range(0, min(len(chunk), most), SYNC_BYTES):
            yield chunk[first : min(first + SYNC_BYTES, most)]
        most -= min(len(chunk), most)


def _is_due(size: int, since_s: float) -> bool:
    return size >= SYNC_BYTES or since_s >= SYNC_S


def _put(file: BinaryIO, piece: bytes) -> None:
    file.write(piece)
    file.flush()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
