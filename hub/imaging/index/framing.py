"""What the sandbox answers where it hands files out: a head of JSON, and the bytes behind it."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

_SIZE: Final = struct.Struct("<I")


def answer(head: Mapping[str, Any], parts: Iterable[bytes] = ()) -> bytes:
    """An answer's bytes."""
    words = json.dumps(head).encode()
    return b"".join((_SIZE.pack(len(words)), words, *parts))


def answered(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """An answer's head, and the bytes after it; ValueError if it is none."""
    if len(data) < _SIZE.size:
        raise ValueError("no answer")
    end = _SIZE.size + _SIZE.unpack_from(data)[0]
    head = json.loads(data[_SIZE.size : end])
    if not isinstance(head, dict):
        raise ValueError("no answer")
    return head, memoryview(data)[end:]


def cut(rest: memoryview, sizes: Sequence[int]) -> list[bytes]:
    """The parts behind a head; ValueError if their sizes are not theirs."""
    ends = list(accumulate(sizes, initial=0))
    if ends[-1] != len(rest) or min(sizes, default=0) < 0:
        raise ValueError("parts that do not fit")
    return [bytes(rest[a:b]) for a, b in pairwise(ends)]
