"""Small data sets of query, worklist and commitment (PS3.4 C.4, K, J): to DICOM JSON and back, bounded.

What comes is read by its lengths only, to a depth and a number of elements that no honest identifier reaches; what
goes out is written in the character set that was asked for, or in UTF-8 if that can't hold it.
"""

import re
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydicom import charset, datadict

from dicom import text, uids
from dicom.errors import InvalidInstance
from dicom.uids import Encoding

Document = dict[str, dict[str, Any]]
"""A data set as DICOM JSON (PS3.18 F): by tag of eight hex digits, `vr` and `Value`."""

BYTES_MAX: Final = 1 << 16  # of an identifier; one of storage commitment lists more
ELEMENTS_MAX: Final = 2000
DEPTH_MAX: Final = 8
CHARACTER_SET: Final = "00080005"
UTF_8: Final = "ISO_IR 192"

_UNDEFINED: Final = 0xFFFF_FFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_SHORT: Final = frozenset("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_CHARACTERS: Final = frozenset(
    "LO LT PC PN SH ST UC UT".split()
)  # of the specific character set (PS3.5 6.1.2.3)
_WHOLE: Final = frozenset("LT ST UT UR".split())  # a backslash in them is a backslash
_NUMBERS: Final = {
    "US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q",
}  # fmt: skip
_ZERO_PADDED: Final = frozenset({"UI", "OB", "UN"})
_DELIMITERS: Final = {ord(c) for c in "^=\\\r\n\t\f"}
_PART: Final = re.compile(r"([\^=\\\r\n\t\f])")
_GB2312, _TO_GB2312 = "iso_ir_58", b"\x1b$)A"  # PS3.3 table C.12-4
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")  # of a person name (PS3.5 6.2.1)


def read(data: bytes, encoding: Encoding, elements_max: int = ELEMENTS_MAX) -> Document:
    """A data set; `InvalidInstance` if it is none, or larger than it may be. All values are text, also numbers."""
    reader = _Reader(data, encoding, elements_max)
    document, _ = reader.data_set(0, len(data), 0, b"")
    return document


class _Reader:
    def __init__(self, data: bytes, encoding: Encoding, elements_left: int) -> None:
        self._data, self._explicit, self._left = data, encoding.is_explicit, elements_left

    def data_set(self, position: int, end: int, depth: int, character_set: bytes) -> tuple[Document, int]:
        """Up to `end`, or to the delimiter of an item of undefined length; and where what follows begins."""
        if depth > DEPTH_MAX:
            raise InvalidInstance("sequences too deep")
        found: Document = {}
        while position < end:
            tag, vr, length, position = self._element(position, end)
            if tag == _ITEM_END:
                return found, position
            if vr == "SQ" or length == _UNDEFINED:
                items, position = self._items(position, length, end, depth, character_set)
                found[f"{tag:08X}"] = {"vr": "SQ", "Value": items}
                continue
            raw, position = self._data[position : position + length], position + length
            if tag == 0x0008_0005:
                character_set = raw
            if tag & 0xFFFF:  # no group length
                found[f"{tag:08X}"] = _read_value(vr, raw, character_set)
        return found, position

    def _element(self, position: int, end: int) -> tuple[int, str, int, int]:
        """Tag, VR, length of the value and where it begins."""
        self._left -= 1
        if self._left < 0 or position + 8 > end:
            raise InvalidInstance("too many elements, or one cut off")
        group, element = struct.unpack_from("<HH", self._data, position)
        tag = group << 16 | element
        if group == 0xFFFE or not self._explicit:
            (length,) = struct.unpack_from("<I", self._data, position + 4)
            vr, position = _vr_of(tag), position + 8
        else:
            vr = self._data[position + 4 : position + 6].decode("latin-1")
            if vr in _SHORT:
                (length,) = struct.unpack_from("<H", self._data, position + 6)
                position += 8
            elif position + 12 > end or not vr.isalpha():
                raise InvalidInstance("an element without its VR or length")
            else:
                (length,) = struct.unpack_from("<I", self._data, position + 8)
                position += 12
        if length != _UNDEFINED and position + length > end:
            raise InvalidInstance("an element longer than its data set")
        return tag, vr, length, position

    def _items(
        self, position: int, length: int, end: int, depth: int, character_set: bytes
    ) -> tuple[list[Document], int]:
        items: list[Document] = []
        end = end if length == _UNDEFINED else position + length
        while position < end:
            tag, _, size, position = self._element(position, end)
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                return items, position
            if tag != _ITEM:
                raise InvalidInstance("a sequence of something else than items")
            until = end if size == _UNDEFINED else position + size
            item, position = self.data_set(position, until, depth + 1, character_set)
            items.append(item)
        if length == _UNDEFINED:
            raise InvalidInstance("a sequence without its end")
        return items, position


def _vr_of(tag: int) -> str:
    try:
        return datadict.dictionary_VR(tag)[:2]  # of "US or SS" the first
    except KeyError:
        return "UN"


def _read_value(vr: str, raw: bytes, character_set: bytes) -> dict[str, Any]:
    if vr in _NUMBERS:
        size = struct.calcsize(_NUMBERS[vr])
        found = [str(n) for (n,) in struct.iter_unpack("<" + _NUMBERS[vr], raw[: len(raw) // size * size])]
    elif vr == "AT":
        found = ["{:04X}{:04X}".format(*one) for one in struct.iter_unpack("<HH", raw[: len(raw) // 4 * 4])]
    elif vr in _CHARACTERS:
        found = [part.strip() for part in _parts(vr, text.decode(raw, character_set))]
    else:
        found = [part.strip(" \0") for part in _parts(vr, raw.decode("latin-1"))]
    if not any(found):
        return {"vr": vr}
    return {"vr": vr, "Value": [person_name(one) for one in found] if vr == "PN" else found}


def _parts(vr: str, value: str) -> list[str]:
    return [value] if vr in _WHOLE else value.split("\\")


def person_name(value: str) -> dict[str, str]:
    """A person name by its groups."""
    groups = value.split("=")[: len(_GROUPS)]
    return {name: group for name, group in zip(_GROUPS, groups, strict=False) if group}


def texts(document: Mapping[str, Mapping[str, Any]], tag: str) -> list[str]:
    """The values of an element as text; none if it is empty or not there. Person names with all their groups."""
    return [_text(one) for one in document.get(tag, {}).get("Value", ()) if one not in (None, "")]


def first(document: Mapping[str, Mapping[str, Any]], tag: str) -> str:
    """The first of these values, or ""."""
    return next(iter(texts(document, tag)), "")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "=".join(str(value.get(name, "")) for name in _GROUPS).rstrip("=")
    return str(value)


def write(document: Mapping[str, Mapping[str, Any]], encoding: Encoding, asked: Sequence[str] = ()) -> bytes:
    """A data set in the character set that was asked for (values of SpecificCharacterSet), or in UTF-8.

    Bulk data are left out; so are values that their VR can't hold.
    """
    character_set, codecs = _character_set(document, asked)
    given = {tag: element for tag, element in document.items() if tag != CHARACTER_SET}
    if character_set:
        given[CHARACTER_SET] = {"vr": "CS", "Value": list(character_set)}
    return _write_data_set(given, encoding, codecs)


def _character_set(
    document: Mapping[str, Mapping[str, Any]], asked: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """The terms for SpecificCharacterSet, and Python's names of the codecs."""
    spoken = [one for one in _spoken(document) if not one.isascii()]
    names = list(asked)
    if not spoken and (not names or names == [""]):
        return (), ("ascii",)
    if names and all(name in charset.python_encoding for name in names):
        codecs = charset.convert_encodings(names)
        if all(_encodes(one, codecs) for one in spoken):
            return names, codecs
    return (UTF_8,), ("utf-8",)


def _spoken(document: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Every text of a data set."""
    for element in document.values():
        for value in element.get("Value", ()):
            if element["vr"] == "SQ":
                yield from _spoken(value)
            elif element["vr"] in _CHARACTERS:
                yield _text(value)


def _encodes(value: str, codecs: Sequence[str]) -> bool:
    """Whether it comes back as it was: some codecs of Python take what a reader then understands otherwise."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydicom warns of what it replaces
        try:
            read = charset.decode_bytes(_encode(value, codecs), list(codecs), _DELIMITERS)
            return read.replace(_TO_GB2312.decode(), "") == value
        except (UserWarning, UnicodeError, LookupError, ValueError):
            return False


def _encode(value: str, codecs: Sequence[str]) -> bytes:
    """Each part by itself: behind a delimiter the first character set is in use again (PS3.5 6.1.2.5.3)."""
    return b"".join(_encode_part(part, codecs) for part in _PART.split(value))


def _encode_part(part: str, codecs: Sequence[str]) -> bytes:
    if part.isascii():
        return part.encode()
    if _GB2312 in codecs[1:]:  # pydicom 3.0 leaves the escape sequence out, and in what it reads in
        return _TO_GB2312 + part.encode(_GB2312)
    return charset.encode_string(part, list(codecs))


def _write_data_set(
    document: Mapping[str, Mapping[str, Any]], encoding: Encoding, codecs: Sequence[str]
) -> bytes:
    written = []
    for tag in sorted(document):
        element = document[tag]
        vr = str(element["vr"])
        if vr == "SQ":
            items = (_write_data_set(item, encoding, codecs) for item in element.get("Value", ()))
            value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
        elif "Value" in element or len(element) == 1:
            value = _write_value(vr, element.get("Value", ()), codecs)
        else:  # bulk data
            continue
        written.append(_element(int(tag, 16), vr, value, encoding))
    return b"".join(written)


def _element(tag: int, vr: str, value: bytes, encoding: Encoding) -> bytes:
    value += (b"\0" if vr in _ZERO_PADDED else b" ") * (len(value) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if not encoding.is_explicit:
        return head + struct.pack("<I", len(value)) + value
    if vr in _SHORT:
        if len(value) > 0xFFFF:
            value = b""
        return head + vr.encode() + struct.pack("<H", len(value)) + value
    return head + vr.encode() + struct.pack("<HI", 0, len(value)) + value


def _write_value(vr: str, values: Sequence[Any], codecs: Sequence[str]) -> bytes:
    try:
        if vr in _NUMBERS:
            kind = float if vr in ("FL", "FD") else int
            return b"".join(struct.pack("<" + _NUMBERS[vr], kind(value)) for value in values)
        if vr == "AT":
            return b"".join(struct.pack("<HH", int(value[:4], 16), int(value[4:], 16)) for value in values)
    except (ValueError, TypeError, struct.error):
        return b""
    parts = ["" if value is None else _text(value) for value in values]
    if vr in _CHARACTERS:
        return b"\\".join(_encode(part, codecs) for part in parts)
    return "\\".join(parts).encode("ascii", "replace")


def encoding_of(transfer_syntax: str) -> Encoding:
    """Of an identifier; little endian is all we negotiate for one."""
    return uids.TRANSFER_SYNTAXES[transfer_syntax]
