"""The first data elements of a data set, for the index (PS3.5 clause 7): one pass, bounded, never recursing.

Reads up to the image's size, before any pixel. A sequence is stepped over, not read; every length is held against
what is there. What can't be read ends the pass and is told as `fault`; what was read before it stays.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dicom import text, uids
from dicom.errors import InvalidInstance
from dicom.uids import Encoding

STEPS_MAX: Final = (
    50_000  # elements and items of one pass; a large enhanced object has some hundred before its pixels
)
DEPTH_MAX: Final = 64  # sequences of undefined length within one another
INFLATED_BYTES_MAX: Final = 1 << 20  # of a deflated data set's beginning
VALUE_BYTES_MAX: Final = 1024  # of a value that is kept
UNDEFINED: Final = 0xFFFF_FFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_LAST: Final = 0x0028_0011

# VRs whose length is of two bytes (PS3.5 7.1.2); all others, also ones to come, have four.
_SHORT: Final = frozenset(
    name.encode() for name in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)

KEYS: Final[Mapping[int, str]] = {
    0x0008_0005: "SpecificCharacterSet",
    0x0008_0016: "SOPClassUID",
    0x0008_0018: "SOPInstanceUID",
    0x0008_0020: "StudyDate",
    0x0008_0030: "StudyTime",
    0x0008_0050: "AccessionNumber",
    0x0008_0060: "Modality",
    0x0008_0080: "InstitutionName",
    0x0008_1030: "StudyDescription",
    0x0008_103E: "SeriesDescription",
    0x0010_0010: "PatientName",
    0x0010_0020: "PatientID",
    0x0010_0021: "IssuerOfPatientID",
    0x0010_0030: "PatientBirthDate",
    0x0010_0040: "PatientSex",
    0x0018_0015: "BodyPartExamined",
    0x0020_000D: "StudyInstanceUID",
    0x0020_000E: "SeriesInstanceUID",
    0x0020_0010: "StudyID",
    0x0020_0011: "SeriesNumber",
    0x0020_0013: "InstanceNumber",
    0x0028_0008: "NumberOfFrames",
    0x0028_0010: "Rows",
    0x0028_0011: "Columns",
}
_NEEDED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_WHOLE_NUMBERS: Final = ("Rows", "Columns")  # US


@dataclass(frozen=True)
class Header:
    """Values by DICOM keyword. `is_cut`: the bytes ended before the pass did, more of them might tell more."""

    raw: Mapping[str, bytes] = field(default_factory=dict)
    is_little: bool = True
    is_cut: bool = False
    fault: str | None = None
    _uids: dict[str, str] = field(default_factory=dict, compare=False, repr=False)  # that were looked at

    def text(self, keyword: str) -> str:
        """A value as characters; "" if it is not there."""
        value = self.raw.get(keyword)
        return "" if value is None else text.decode(value, self.raw.get("SpecificCharacterSet", b""))

    def uid(self, keyword: str) -> str:
        """A UID; `InvalidInstance` if it is missing or none."""
        if keyword in self._uids:
            return self._uids[keyword]
        found = uids.uid_text(self.raw.get(keyword, b""))
        if not uids.is_valid_uid(found):
            raise InvalidInstance(f"{keyword} is {'not a UID' if found else 'missing'}")
        self._uids[keyword] = found
        return found

    def number(self, keyword: str) -> int | None:
        """A whole number (US or IS); None if it is not there or none."""
        value = self.raw.get(keyword, b"")
        if keyword in _WHOLE_NUMBERS:
            return int.from_bytes(value, "little" if self.is_little else "big") if len(value) == 2 else None
        words = value.strip(b" \0").split(b"\\")[0]
        digits = words.lstrip(b"+-")
        return int(words) if digits.isdigit() and len(words) <= 12 and len(words) - len(digits) <= 1 else None

    def require_identity(self) -> None:
        """Raise `InvalidInstance` unless the four UIDs are there that say what this is and where it belongs."""
        for keyword in _NEEDED:
            try:
                self.uid(keyword)
            except InvalidInstance as failure:
                raise InvalidInstance(failure.cause, mend=self.fault or "") from None


def scan(data: bytes | memoryview, encoding: Encoding, size: int | None = None) -> Header:
    """Read a data set's beginning; `size` is that of the whole data set, if `data` is only a part of it."""
    if encoding.is_deflated:
        raise InvalidInstance("a deflated data set is not scanned where it arrives")
    found: dict[str, bytes] = {}
    whole = len(data) if size is None else size
    is_cut, fault = False, None
    try:
        is_cut = _Pass(data, encoding, whole).read(found)
    except InvalidInstance as failure:
        fault = str(failure)
    return Header(found, encoding.is_little, is_cut, fault)


def scan_deflated(data: bytes | memoryview, encoding: Encoding) -> Header:
    """The same of a deflated data set (PS3.5 annex A.5), of which only the beginning is inflated."""
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, INFLATED_BYTES_MAX)
    except zlib.error as failure:
        return Header(fault=f"it can't be inflated: {failure}")
    return scan(inflated, encoding._replace(is_deflated=False), size=max(len(inflated), INFLATED_BYTES_MAX))


class _Pass:
    """One pass: the bytes, and how far it has come."""

    def __init__(self, data: bytes | memoryview, encoding: Encoding, whole: int) -> None:
        self.data, self.encoding, self.whole = data, encoding, whole
        self.here, self.position, self.steps = len(data), 0, 0
        order = "<" if encoding.is_little else ">"
        self._implicit = struct.Struct(order + "HHI").unpack_from
        self._explicit = struct.Struct(order + "HH2sH").unpack_from
        self._long = struct.Struct(order + "I").unpack_from

    def read(self, found: dict[str, bytes]) -> bool:
        """Keep the values of KEYS; whether the bytes at hand ended before the pass did."""
        is_explicit = self.encoding.is_explicit
        while self.position < self.whole:
            start = self.position
            if start + 12 > self.here and self.here < self.whole:
                return True
            tag, vr, length = self._element(is_explicit)
            if tag > _LAST:
                return False
            if length == UNDEFINED:
                if self._skip(is_explicit and vr != b"UN"):
                    return True
                continue
            end = self.position + length
            if end > self.whole:
                raise InvalidInstance(f"element {tag:08X} is longer than the data set", start)
            if end > self.here:
                return True
            keyword = KEYS.get(tag)
            if keyword is not None:
                found.setdefault(
                    keyword, bytes(self.data[self.position : min(end, self.position + VALUE_BYTES_MAX)])
                )
            self.position = end
        return False

    def _element(self, is_explicit: bool) -> tuple[int, bytes, int]:
        """Tag, VR and length of what stands here; the position is then at its value."""
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise InvalidInstance("too many elements and items before the image", self.position)
        position = self.position
        if position + 8 > self.here:
            raise InvalidInstance("an element cut off", position)
        if not is_explicit:
            group, element, length = self._implicit(self.data, position)
            self.position = position + 8
            return group << 16 | element, b"", length
        group, element, vr, length = self._explicit(self.data, position)
        if group == 0xFFFE:  # items and delimiters have no VR
            group, element, length = self._implicit(self.data, position)
            self.position = position + 8
            return group << 16 | element, b"", length
        self.position = position + 8
        if vr not in _SHORT:
            if not (vr.isalpha() and vr.isupper()):
                raise InvalidInstance(f"element {group:04X}{element:04X} has no VR", position)
            if position + 12 > self.here:
                raise InvalidInstance("an element cut off", position)
            (length,) = self._long(self.data, position + 8)
            self.position = position + 12
        return group << 16 | element, vr, length

    def _skip(self, is_explicit: bool) -> bool:
        """Step over a sequence of undefined length (or what it holds); whether the bytes at hand ended within it.

        UN of undefined length holds implicit VR little endian (PS3.5 6.2.2 note 2).
        """
        open_ones = [is_explicit]
        while open_ones:
            if self.position + 12 > self.here and self.here < self.whole:
                return True
            start = self.position
            tag, vr, length = self._element(open_ones[-1])
            if tag in (_ITEM_END, _SEQUENCE_END):
                open_ones.pop()
            elif length == UNDEFINED:
                open_ones.append(open_ones[-1] and vr != b"UN")
                if len(open_ones) > DEPTH_MAX:
                    raise InvalidInstance("sequences nested too deep", start)
            else:
                self.position += length
                if self.position > self.whole:
                    raise InvalidInstance(f"element {tag:08X} is longer than the data set", start)
                if self.position > self.here:
                    return True
        return False
