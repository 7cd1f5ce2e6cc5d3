"""Reading CBOR messages of devices field by field, with every value bounded (RFC 8949).

All messages are CBOR maps with small integer keys; key 0 is the format version. A message layout is a
table of `Field` rows which both encoder and decoder follow. Unknown keys are ignored, so that a device
may send a field which this hub does not know yet.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cbor2

from devices.errors import DecodeError

VERSION: Final = 1
MAX_PAYLOAD_BYTES: Final = 65536  # the broker's message_size_limit
MAX_INDEX: Final = 2**62  # sample indices and counts; leaves head room in a signed 64-bit column
MAX_BOOT: Final = 2**31 - 1
MAX_TIME_S: Final = 4102444800.0  # 2100-01-01: a device clock beyond it is broken, not slow
MAX_DEPTH: Final = 5
MAX_RANGES: Final = 256
RECORDING_BYTES: Final = 16

_ID: Final = re.compile(r"[!-~]{1,64}")

Range = tuple[int, int]


def _refuse_tag(_decoder: object, _immutable: bool) -> object:
    raise ValueError("this tag has no place in a device message")


# Tags which cbor2 would turn into rich objects (dates, big rationals, regular expressions, shared
# references ...): no message uses them and some are costly to build, so a payload cannot ask for one.
_REFUSED_TAGS: Final[dict[int, Callable[[Any, bool], Any]]] = dict.fromkeys(
    (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799),
    _refuse_tag,
)


def read_cbor(payload: bytes) -> Any:
    """Decode exactly one CBOR item, or raise DecodeError."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise DecodeError("oversize", f"payload of {len(payload)} bytes")
    stream = io.BytesIO(payload)
    decoder = cbor2.CBORDecoder(
        stream, semantic_decoders=_REFUSED_TAGS, max_depth=MAX_DEPTH, allow_duplicate_keys=False
    )
    try:
        value = decoder.decode()
    except cbor2.CBORDecodeEOF as error:
        raise DecodeError("truncated", "ends inside a value") from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise DecodeError("not-cbor", "no well-formed CBOR") from error
    if stream.tell() != len(payload):
        raise DecodeError("not-cbor", f"{len(payload) - stream.tell()} bytes after the end")
    return value


def read_map(payload: bytes) -> dict[Any, Any]:
    """Decode one message and check its version."""
    value = read_cbor(payload)
    if type(value) is not dict:
        raise DecodeError("not-cbor", "the message is no map")
    version = value.get(0)
    if type(version) is not int or version != VERSION:
        raise DecodeError("wrong-version", "version is missing or is not 1")
    return value


def whole(value: Any, name: str, low: int, high: int) -> int:
    """An integer with low <= value <= high."""
    if type(value) is not int or not low <= value <= high:
        raise bad(value, name, f"no integer from {low} to {high}")
    return value


def real(value: Any, name: str, low: float, high: float) -> float:
    """A finite number with low <= value <= high (an integer will do); NaN fails the comparison."""
    if type(value) not in (float, int) or not low <= value <= high:
        raise bad(value, name, f"no number from {low} to {high}")
    return float(value)


def time_s(value: Any, name: str) -> float:
    return real(value, name, 0.0, MAX_TIME_S)


def index(value: Any, name: str) -> int:
    return whole(value, name, 0, MAX_INDEX)


def boot(value: Any, name: str) -> int:
    return whole(value, name, 0, MAX_BOOT)


def recording(value: Any, name: str) -> bytes:
    if type(value) is not bytes or len(value) != RECORDING_BYTES:
        raise bad(value, name, "not 16 bytes")
    return value


def identifier(value: Any, name: str) -> str:
    """1 to 64 visible ASCII characters."""
    if type(value) is not str or _ID.fullmatch(value) is None:
        raise bad(value, name, "not 1 to 64 visible ASCII characters")
    return value


def identifiers(value: Any, name: str) -> tuple[str, ...]:
    return tuple(identifier(item, name) for item in items(value, name, 0, 256))


def text(value: Any, name: str) -> str:
    """Up to 256 printable characters; this also keeps NUL and lone surrogates out of the database."""
    if type(value) is not str or len(value) > 256 or not value.isprintable():
        raise bad(value, name, "not up to 256 printable characters")
    return value


def ranges(value: Any, name: str) -> tuple[Range, ...]:
    """Half-open sample ranges [from, to), none empty."""
    found = []
    for item in items(value, name, 0, MAX_RANGES):
        first, to = (index(end, name) for end in items(item, name, 2, 2))
        if first >= to:
            raise DecodeError("bad-field", f"{name}: an empty range")
        found.append((first, to))
    return tuple(found)


def boot_counts(value: Any, name: str) -> tuple[tuple[int, int], ...]:
    """Pairs (boot, number of samples produced in that boot), in rising order of boot."""
    pairs = []
    for item in items(value, name, 0, 256):
        pair = items(item, name, 2, 2)
        pairs.append((boot(pair[0], name), index(pair[1], name)))
    if any(a[0] >= b[0] for a, b in itertools.pairwise(pairs)):
        raise DecodeError("bad-field", f"{name}: boots not in rising order")
    return tuple(pairs)


def items(value: Any, name: str, low: int, high: int) -> list[Any]:
    if type(value) is not list or not low <= len(value) <= high:
        raise bad(value, name, f"no list of {low} to {high} items")
    return value


def bad(value: Any, name: str, complaint: str) -> DecodeError:
    """The error for a field that fails its check; absence is a reason of its own."""
    if value is None:
        return DecodeError("missing-field", f"{name} is missing")
    return DecodeError("bad-field", f"{name}: {complaint}")


def _as_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a message layout: CBOR key, attribute, check, what absence means, form on the wire."""

    key: int
    name: str
    check: Callable[[Any, str], Any]
    absent: Any = None
    pack: Callable[[Any], Any] = _as_is


def from_map(message: Mapping[Any, Any], layout: tuple[Field, ...]) -> dict[str, Any]:
    """The checked attributes of a message; null counts as absent."""
    values = {}
    for row in layout:
        value = message.get(row.key)
        values[row.name] = row.absent if value is None else row.check(value, row.name)
    return values


def to_cbor(value: object, layout: tuple[Field, ...]) -> bytes:
    """Encode the attributes of `value`, leaving out those that say nothing."""
    message: dict[int, Any] = {0: VERSION}
    for row in layout:
        attribute = getattr(value, row.name)
        if attribute != row.absent:
            message[row.key] = row.pack(attribute)
    return cbor2.dumps(message)


def require(values: Mapping[str, Any], names: tuple[str, ...], kind: str) -> None:
    """Say which field a message of this kind lacks."""
    for name in names:
        if values[name] in (None, (), ""):
            raise DecodeError("missing-field", f"{kind} needs {name}")
