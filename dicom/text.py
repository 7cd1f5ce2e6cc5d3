"""Text of a data set as characters (PS3.5 6.1, PS3.3 C.12.1.1.2), for lists and search: never fails, never lies long.

The bytes themselves are kept as they came; what can't be read here is marked with U+FFFD.
"""

import warnings
from typing import Final

from pydicom import charset

SHOWN_CHARS: Final = 324  # the longest person name: three components of 64 characters, five parts each


def decode(value: bytes, specific_character_set: bytes = b"") -> str:
    """Characters without control characters and outer spaces, cut to what a list shows."""
    if value.isascii() and b"\x1b" not in value:
        return _printable(value.decode("ascii"))
    names = [name.strip() for name in specific_character_set.decode("ascii", "replace").split("\\")]
    if any(name not in charset.python_encoding for name in names):
        return _printable(_guessed(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what it replaces; the bytes are kept
        try:
            text = charset.decode_bytes(value, charset.convert_encodings(names), {ord("="), ord("^")})
        except (LookupError, UnicodeError, ValueError):
            return _printable(_guessed(value))
    return _printable(text)


def _guessed(value: bytes) -> str:
    """Where nothing, or nonsense, is said of the character set."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _printable(text: str) -> str:
    kept = "".join(c if c.isprintable() else "�" for c in text.strip(" \0\t\r\n"))
    return kept[:SHOWN_CHARS]
