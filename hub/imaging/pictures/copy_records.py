"""How copies come out of the sandbox: a row of records, each the length of a JSON text, the text, and the copy."""

import json
import struct
from typing import Any, Final

HEAD: Final = struct.Struct("<II")  # bytes of the text, bytes of the copy


def packed(told: dict[str, Any], copy: bytes | bytearray) -> bytes:
    """One record."""
    text = json.dumps(told, allow_nan=False, separators=(",", ":")).encode()
    return HEAD.pack(len(text), len(copy)) + text + copy


def unpacked(answer: bytes) -> list[tuple[dict[str, Any], memoryview]]:
    """All of them; ValueError if the row is cut."""
    found, position, view = [], 0, memoryview(answer)
    while position < len(answer):
        if position + HEAD.size > len(answer):
            raise ValueError("a record cut off")
        text, copy = HEAD.unpack_from(answer, position)
        begin = position + HEAD.size
        position = begin + text + copy
        if position > len(answer):
            raise ValueError("a record cut off")
        found.append((json.loads(bytes(view[begin : begin + text])), view[begin + text : position]))
    return found
