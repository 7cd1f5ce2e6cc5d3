"""Text of a data set as characters (PS3.5 6.1, PS3.3 C.12.1.1.2), for lists and search: never fails, never lies long.

The bytes themselves are kept as they came; what can't be read here is marked with U+FFFD.
"""

import warnings
from typing import Final

SHOWN_CHARS: Final = 324  # the longest person name: three components of 64 characters, five parts each

# Character sets that stand alone (PS3.3 C.12.1.1.2, tables C.12-2 and C.12-5), and GBK, which many say for GB18030.
# The default repertoire is ASCII; a sender that says so and yet sends more is read as Latin-1, as pydicom does.
_ALONE: Final = {
    "": "latin_1", "ISO_IR 6": "latin_1", "ISO_IR 13": "shift_jis", "ISO_IR 100": "latin_1", "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3", "ISO_IR 110": "iso8859_4", "ISO_IR 126": "iso8859_7", "ISO_IR 127": "iso8859_6",
    "ISO_IR 138": "iso8859_8", "ISO_IR 144": "iso8859_5", "ISO_IR 148": "iso8859_9", "ISO_IR 166": "tis_620",
    "ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk",
}  # fmt: skip
_TO_GB2312: Final = "\x1b$)A"  # pydicom 3.0 leaves this escape sequence in what it reads


def decode(value: bytes, specific_character_set: bytes = b"") -> str:
    """Characters without control characters and outer spaces, cut to what a list shows."""
    if value.isascii() and b"\x1b" not in value:
        return _printable(value.decode("ascii"))
    said = specific_character_set.decode("ascii", "replace").strip()
    if said in _ALONE and b"\x1b" not in value:
        return _printable(value.decode(_ALONE[said], "replace"))
    return _printable(_extended(value, [name.strip() for name in said.split("\\")]))


def _extended(value: bytes, names: list[str]) -> str:
    """Characters of several sets, between which escape sequences change (PS3.5 6.1.2.5)."""
    from pydicom import charset  # 13 MB that a process need not hold to which nobody sends such names

    if any(name not in charset.python_encoding for name in names):
        return _guessed(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what it replaces; the bytes are kept
        try:
            read = charset.decode_bytes(value, charset.convert_encodings(names), {ord("="), ord("^")})
            return read.replace(_TO_GB2312, "")
        except (LookupError, UnicodeError, ValueError):
            return _guessed(value)


def _guessed(value: bytes) -> str:
    """Where nothing, or nonsense, is said of the character set."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _printable(text: str) -> str:
    kept = "".join(c if c.isprintable() else "�" for c in text.strip(" \0\t\r\n"))
    return kept[:SHOWN_CHARS]
