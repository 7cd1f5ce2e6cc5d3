"""DICOM files (PS3.10 clause 7): the preamble and meta group in front of a data set, written and read.

What is written depends on the data set alone: the same one received twice makes the same file, whoever sent it.
"""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom import uids
from dicom.errors import InvalidInstance

PREAMBLE_BYTES: Final = 128
MAGIC: Final = b"DICM"
META_BYTES_MAX: Final = 65_536  # of the meta group; private information may be in it
_START: Final = PREAMBLE_BYTES + len(MAGIC)
_LONG: Final = frozenset((b"OB", b"OW", b"UN", b"SQ", b"UT", b"OF", b"OD", b"OL", b"OV", b"UC", b"UR"))
_SOP_CLASS, _SOP_INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010


@dataclass(frozen=True)
class Meta:
    """What a file says of its data set, and the byte at which that begins."""

    transfer_syntax: str
    sop_class_uid: str
    sop_instance_uid: str
    data_set_at: int


def write_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Preamble, prefix and meta group (PS3.10 7.1)."""
    group = _bytes(0x0001, b"OB", b"\0\1")
    for element, uid in (
        (_SOP_CLASS, sop_class_uid),
        (_SOP_INSTANCE, sop_instance_uid),
        (_SYNTAX, transfer_syntax),
        (0x0012, uids.IMPLEMENTATION_CLASS_UID),
    ):
        group += _short(element, b"UI", uid.encode("ascii"), b"\0")
    group += _short(0x0013, b"SH", uids.IMPLEMENTATION_VERSION_NAME.encode(), b" ")
    length = _short(0x0000, b"UL", struct.pack("<I", len(group)), b"")
    return bytes(PREAMBLE_BYTES) + MAGIC + length + group


def _short(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _bytes(element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sxxI", 2, element, vr, len(value)) + value


def is_file(beginning: bytes | bytearray | memoryview) -> bool:
    """Whether these first bytes are those of a DICOM file."""
    return bytes(beginning[PREAMBLE_BYTES:_START]) == MAGIC


def read_meta(beginning: bytes | bytearray | memoryview) -> Meta:
    """The meta group of a file, explicit VR little endian; its stated length is not relied on, some are wrong."""
    if not is_file(beginning):
        raise InvalidInstance("no DICOM file", mend="export it as a DICOM file with preamble and meta header")
    values: dict[int, bytes] = {}
    position = _START
    while position + 8 <= len(beginning):
        group, element, vr, length = struct.unpack_from("<HH2sH", beginning, position)
        if group != 2:
            break
        start = position + 8
        if vr in _LONG:
            if start + 4 > len(beginning):
                raise InvalidInstance("a meta header cut off", position)
            (length,) = struct.unpack_from("<I", beginning, start)
            start += 4
        if start + length > min(len(beginning), META_BYTES_MAX):
            raise InvalidInstance("an element of the meta header is too long", position)
        values[element] = bytes(beginning[start : start + length])
        position = start + length
    syntax, sop_class, sop_instance = (
        uids.uid_text(values.get(element, b"")) for element in (_SYNTAX, _SOP_CLASS, _SOP_INSTANCE)
    )
    if not uids.is_valid_uid(syntax):
        raise InvalidInstance("a meta header without a transfer syntax")
    return Meta(syntax, sop_class, sop_instance, position)


def data_set_hash(path: Path) -> str:
    """SHA-256 of a file's data set, the meta group left out: what two files of one instance have in common."""
    with path.open("rb") as file:
        file.seek(read_meta(file.read(_START + META_BYTES_MAX)).data_set_at)
        return hashlib.file_digest(file, "sha256").hexdigest()
