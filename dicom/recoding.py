"""A data set from implicit to explicit VR little endian and back (PS3.5 7.1, annex A): headers change, values do not.

For a peer that has accepted the other of the two. Sequences and items are written with undefined lengths, group lengths
are left out; everything else stays byte for byte.
"""

import struct
from collections.abc import Iterator
from typing import Final

from pydicom import datadict

from dicom.errors import InvalidInstance

ELEMENTS_MAX: Final = 1_000_000
DEPTH_MAX: Final = 64
_UNDEFINED: Final = 0xFFFF_FFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_SHORT: Final = frozenset(
    name.encode() for name in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_SHORT_BYTES_MAX: Final = 0xFFFF
_SIGNED_PIXELS: Final = 0x0028_0103  # PixelRepresentation, on which the VR "US or SS" depends


def recoded(data: memoryview, to_explicit: bool) -> Iterator[bytes | memoryview]:
    """The parts of the same data set in the other of the two; `InvalidInstance` where it can't be read."""
    return _Recoder(data, to_explicit).data_set(0, len(data), 0, not to_explicit)


class _Recoder:
    def __init__(self, data: memoryview, to_explicit: bool) -> None:
        self._data, self._to_explicit, self._left = data, to_explicit, ELEMENTS_MAX
        self._is_signed = False
        self._position = 0  # where the last data set or sequence ended

    def data_set(
        self, position: int, end: int, depth: int, is_explicit: bool
    ) -> Iterator[bytes | memoryview]:
        """Up to `end`, or behind the delimiter of an item of undefined length."""
        if depth > DEPTH_MAX:
            raise InvalidInstance("sequences too deep", position)
        while position < end:
            tag, vr, length, position = self._element(position, end, is_explicit)
            if tag == _ITEM_END:
                break
            if vr == b"SQ" or length == _UNDEFINED:
                yield self._head(tag, b"SQ", _UNDEFINED)
                yield from self._items(position, length, end, depth, is_explicit and vr != b"UN")
                yield self._head(_SEQUENCE_END, b"", 0)
                position = self._position
                continue
            value, position = self._data[position : position + length], position + length
            if tag == _SIGNED_PIXELS:
                self._is_signed = bytes(value[:1]) == b"\1"
            if tag & 0xFFFF:  # no group length
                yield self._head(tag, vr, length)
                yield value
        self._position = position

    def _items(
        self, position: int, length: int, end: int, depth: int, is_explicit: bool
    ) -> Iterator[bytes | memoryview]:
        end = end if length == _UNDEFINED else position + length
        while position < end:
            tag, _, size, position = self._element(position, end, is_explicit)
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                self._position = position
                return
            if tag != _ITEM:
                raise InvalidInstance("a sequence of something else than items", position)
            yield self._head(_ITEM, b"", _UNDEFINED)
            yield from self.data_set(
                position, end if size == _UNDEFINED else position + size, depth + 1, is_explicit
            )
            yield self._head(_ITEM_END, b"", 0)
            position = self._position
        if length == _UNDEFINED:
            raise InvalidInstance("a sequence without its end", position)
        self._position = position

    def _element(self, position: int, end: int, is_explicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, VR, length of the value and where it begins."""
        self._left -= 1
        if self._left < 0 or position + 8 > end:
            raise InvalidInstance("too many elements, or one cut off", position)
        group, element, length = struct.unpack_from("<HHI", self._data, position)
        tag = group << 16 | element
        if group == 0xFFFE:
            vr, position = b"", position + 8
        elif not is_explicit:
            vr, position = self._vr_of(tag), position + 8
        else:
            vr = bytes(self._data[position + 4 : position + 6])
            if vr in _SHORT:
                length, position = length >> 16, position + 8
            elif position + 12 > end or not vr.isalpha():
                raise InvalidInstance("an element without its VR or length", position)
            else:
                (length,) = struct.unpack_from("<I", self._data, position + 8)
                position += 12
        if length != _UNDEFINED and position + length > end:
            raise InvalidInstance("an element longer than its data set", position)
        return tag, vr, length, position

    def _vr_of(self, tag: int) -> bytes:
        """Of implicit data (PS3.5 A.1): of several that are possible the one that the values are in."""
        try:
            known = datadict.dictionary_VR(tag)
        except KeyError:
            return b"LO" if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF else b"UN"  # a private creator
        if known == "US or SS":
            return b"SS" if self._is_signed else b"US"
        return b"OW" if "OW" in known else known[:2].encode()

    def _head(self, tag: int, vr: bytes, length: int) -> bytes:
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if not self._to_explicit or not vr:
            return head + struct.pack("<I", length)
        if vr in _SHORT and length <= _SHORT_BYTES_MAX:
            return head + vr + struct.pack("<H", length)
        return head + (b"UN" if vr in _SHORT else vr) + struct.pack("<HI", 0, length)  # PS3.5 6.2.2
