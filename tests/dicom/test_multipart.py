"""Bodies of several parts: every cut gives the same parts; what is none is said so; nothing is hoarded."""

import random

import pytest

from dicom import multipart
from dicom.multipart import InvalidMultipart, PartBegun, PartBytes, Reader

BOUNDARY = "b0"


def _body(parts: list[tuple[dict[str, str], bytes]], before: bytes = b"") -> bytes:
    body = before
    for number, (headers, content) in enumerate(parts):
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body += (b"\r\n" if number else b"") + f"--{BOUNDARY}\r\n{lines}\r\n".encode() + content
    return body + f"\r\n--{BOUNDARY}--\r\n".encode()


def _read(body: bytes, chance: random.Random) -> tuple[list[tuple[dict[str, str], bytes]], bool]:
    reader, found, position = Reader(BOUNDARY), list[tuple[dict[str, str], bytes]](), 0
    while position < len(body):
        size = chance.choice((1, 2, 3, 7, 50))
        for event in reader.feed(body[position : position + size]):
            if isinstance(event, PartBegun):
                found.append((dict(event.headers), b""))
            elif isinstance(event, PartBytes):
                found[-1] = found[-1][0], found[-1][1] + bytes(event.view)
        position += size
        assert len(reader._held) <= multipart.HEADERS_BYTES_MAX + 100
    return found, reader.is_complete


@pytest.mark.parametrize("seed", range(200))
def test_parts_do_not_depend_on_how_bytes_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    contents = [
        bytes(chance.choice(b"\r\n-b0x") for _ in range(chance.randrange(80)))
        for _ in range(chance.randrange(1, 5))
    ]
    contents = [b"" if b"--b0" in content else content for content in contents]
    parts = [({} if chance.random() < 0.3 else {"content-type": "a/b"}, content) for content in contents]
    assert _read(_body(parts, chance.choice((b"", b"said before\r\n"))), chance) == (parts, True)


def test_a_cut_body_is_not_complete() -> None:
    body = _body([({"a": "b"}, b"x" * 100)])
    for end in range(len(body) - 4):
        assert _read(body[:end], random.Random(end))[1] is False


@pytest.mark.parametrize("body", [b"--b0\r\n" + b"x: y\r\n" * 5000, b"--b0" + b" " * 9000, b"--b0 x\r\n\r\n"])
def test_what_is_no_body_of_parts_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidMultipart):
        list(Reader(BOUNDARY).feed(body))


def test_content_types() -> None:
    assert multipart.parameters('Multipart/Related; type="application/dicom"; boundary=ab=c') == (
        "multipart/related", {"type": "application/dicom", "boundary": "ab=c"},
    )  # fmt: skip
    with pytest.raises(InvalidMultipart):
        Reader("x" * 71)
