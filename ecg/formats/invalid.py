"""The one error of all readers, and bounded access to foreign bytes: nothing a file declares is trusted."""

import struct
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 31  # 12 leads of 500 Hz for 48 h are 2.07e9 bytes


class InvalidRecord(ValueError):
    """Bytes that can't be read as a record: `cause`, `offset` of the byte at fault if one is, and how to `mend` it."""

    def __init__(self, cause: str, offset: int | None = None, mend: str = "") -> None:
        place = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{cause}{place}" + (f"; {mend}" if mend else ""))
        self.cause = cause
        self.offset = offset
        self.mend = mend


COPY_AGAIN = "the file is cut or damaged: export or copy it again"


def load(path: Path) -> bytes:
    """All bytes of a file that is not larger than any recording can be."""
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InvalidRecord(f"{size} bytes are more than a recording can have", MAX_BYTES, "split it")
    return path.read_bytes()


def take(data: bytes, offset: int, count: int, what: str) -> bytes:
    """`count` bytes at `offset`, or an error that names what should have been there."""
    if offset < 0 or count < 0 or offset + count > len(data):
        raise InvalidRecord(
            f"{what} needs {count} bytes, {max(0, len(data) - offset)} are left", offset, COPY_AGAIN
        )
    return data[offset : offset + count]


def unpack(layout: str, data: bytes, offset: int, what: str) -> tuple[Any, ...]:
    """`struct.unpack` at an offset that may lie outside."""
    return struct.unpack(layout, take(data, offset, struct.calcsize(layout), what))
