"""Bodies of several parts (RFC 2046 5.1, RFC 2387), as they stream in: chunks in, events out, bounded memory.

The bytes of a part are passed on as views of the chunk they came in; what is held between chunks is no longer than a
delimiter or a part's headers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

HEADERS_BYTES_MAX: Final = 8192
BOUNDARY_CHARS_MAX: Final = 70  # RFC 2046 5.1.1
HEADERS_MAX: Final = 32


class InvalidMultipart(ValueError):
    """The body is not what its content type says."""


@dataclass(frozen=True)
class PartBegun:
    """Headers by their names in small letters."""

    headers: Mapping[str, str]


@dataclass(frozen=True)
class PartBytes:
    view: memoryview


@dataclass(frozen=True)
class PartEnded:
    pass


Event = PartBegun | PartBytes | PartEnded
_State = Literal["preamble", "delimited", "headers", "body", "over"]
_PART_ENDED: Final = PartEnded()


class Reader:
    """Reads one body. `is_complete` says whether its last delimiter has come."""

    def __init__(self, boundary: str) -> None:
        if not 1 <= len(boundary) <= BOUNDARY_CHARS_MAX or not boundary.isascii():
            raise InvalidMultipart("a boundary of 1 to 70 ASCII characters is needed")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._state: _State = "preamble"
        self._held = bytearray(b"\r\n")  # the first delimiter may stand at the very beginning

    @property
    def is_complete(self) -> bool:
        return self._state == "over"

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """What this chunk brings; views are valid until the next call."""
        data = bytes(self._held) + chunk if self._held else chunk
        self._held.clear()
        view, position = memoryview(data), 0
        while position < len(data):
            if self._state == "body":
                found = data.find(self._delimiter, position)
                end = found if found >= 0 else self._safe_end(data, position)
                if end > position:
                    yield PartBytes(view[position:end])
                if found < 0:
                    position = end
                    break
                yield _PART_ENDED
                self._state, position = "delimited", found + len(self._delimiter)
            elif self._state == "preamble":
                found = data.find(self._delimiter, position)
                if found < 0:
                    position = self._safe_end(data, position)
                    break
                self._state, position = "delimited", found + len(self._delimiter)
            elif self._state == "delimited":
                after = self._after_delimiter(data, position)
                if after is None:
                    break
                position = after
            elif self._state == "headers":
                found = data.find(b"\r\n\r\n", position)
                if found < 0 or found - position > HEADERS_BYTES_MAX:
                    if len(data) - position > HEADERS_BYTES_MAX:
                        raise InvalidMultipart("the headers of a part are too long")
                    break
                yield PartBegun(_headers(data[position + 2 : found]))
                self._state, position = "body", found + 4
            else:
                return  # what follows the last delimiter says nothing
        self._held += view[position:]

    def _safe_end(self, data: bytes, position: int) -> int:
        """Up to where no delimiter can have begun."""
        tail = max(position, len(data) - len(self._delimiter) + 1)
        found = data.find(b"\r", tail)
        return len(data) if found < 0 else found

    def _after_delimiter(self, data: bytes, position: int) -> int | None:
        """Where the headers of the next part begin; None if more is needed to say."""
        end = data.find(b"\r\n", position)
        words = data[position : end if end >= 0 else len(data)]
        if words.startswith(b"--"):
            self._state = "over"
            return len(data)
        if end < 0:
            if len(words) > HEADERS_BYTES_MAX:
                raise InvalidMultipart("a delimiter without an end")
            return None
        if words.strip(b" \t"):
            raise InvalidMultipart("something behind a delimiter")
        self._state = "headers"
        return end  # with its line break, so that a part without headers is seen as one


def _headers(block: bytes) -> dict[str, str]:
    lines = block.decode("latin-1").split("\r\n")
    if len(lines) > HEADERS_MAX:
        raise InvalidMultipart("too many headers in a part")
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def parameters(content_type: str) -> tuple[str, dict[str, str]]:
    """A media type and its parameters (RFC 9110 8.3.1), both in small letters but for the values."""
    media_type, _, rest = content_type.partition(";")
    found: dict[str, str] = {}
    while rest.strip():
        name, _, rest = rest.partition("=")
        rest = rest.lstrip()
        if rest.startswith('"'):
            value, _, rest = rest[1:].partition('"')
            rest = rest.partition(";")[2]
        else:
            value, _, rest = rest.partition(";")
        found[name.strip(" ;").lower()] = value.strip()
    return media_type.strip().lower(), found
