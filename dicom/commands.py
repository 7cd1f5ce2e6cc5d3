"""Command sets of DIMSE (PS3.7 6.3, annex E): the two requests a storage SCP hears, and its answers.

A command set is implicit VR little endian, whatever was negotiated, and has no sequences.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dicom import uids
from dicom.pdus import ProtocolFault

COMMAND_BYTES_MAX: Final = 8192
C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP = 0x0001, 0x8001, 0x0030, 0x8030
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000  # set in the command field of every response
NO_DATA_SET: Final = 0x0101
COMMENT_CHARS: Final = 64  # LO (PS3.5 6.2)

# Status (PS3.7 annex C, PS3.4 B.2.3).
SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_SOP_INSTANCE: Final = 0x0111
INVALID_SOP_INSTANCE: Final = 0x0117
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
UNRECOGNIZED_OPERATION: Final = 0x0211
OUT_OF_RESOURCES: Final = 0xA700
DATA_SET_DOES_NOT_MATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000

_GROUP_LENGTH, _SOP_CLASS, _FIELD, _MESSAGE_ID = 0x0000, 0x0002, 0x0100, 0x0110
_RESPONDED_TO, _DATA_SET_TYPE, _STATUS, _COMMENT, _SOP_INSTANCE = 0x0120, 0x0800, 0x0900, 0x0902, 0x1000


@dataclass(frozen=True)
class Command:
    """What a peer asks for."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


def read_command(data: bytes) -> Command:
    """A complete command set."""
    values = dict(_elements(data))
    try:
        field, data_set = (_number(values[element]) for element in (_FIELD, _DATA_SET_TYPE))
        message_id = _number(values[_MESSAGE_ID]) if _MESSAGE_ID in values else _number(values[_RESPONDED_TO])
    except KeyError as missing:
        raise ProtocolFault(f"a command without element (0000,{missing.args[0]:04X})") from None
    return Command(
        field,
        message_id,
        data_set != NO_DATA_SET,
        uids.uid_text(values.get(_SOP_CLASS, b"")),
        uids.uid_text(values.get(_SOP_INSTANCE, b"")),
    )


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            raise ProtocolFault("a command element cut off")
        group, element, length = struct.unpack_from("<HHI", data, position)
        position += 8
        if group != 0 or position + length > len(data):
            raise ProtocolFault("a command element of another group, or longer than the command")
        yield element, data[position : position + length]
        position += length


def _number(value: bytes) -> int:
    if len(value) != 2:
        raise ProtocolFault("a number of a command is not of two bytes")
    return int.from_bytes(value, "little")


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value


def _short(element: int, number: int) -> bytes:
    return _element(element, struct.pack("<H", number))


def _text(element: int, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return _element(element, value + padding * (len(value) % 2))


def write_response(to: Command, status: int, comment: str = "") -> bytes:
    """The answer to a request, without a data set; the comment holds nothing of a patient."""
    body = _text(_SOP_CLASS, to.sop_class_uid, b"\0") if to.sop_class_uid else b""
    body += _short(_FIELD, to.field | RESPONSE) + _short(_RESPONDED_TO, to.message_id)
    body += _short(_DATA_SET_TYPE, NO_DATA_SET) + _short(_STATUS, status)
    if comment:
        body += _text(_COMMENT, comment[:COMMENT_CHARS], b" ")
    if to.sop_instance_uid:
        body += _text(_SOP_INSTANCE, to.sop_instance_uid, b"\0")
    return _element(_GROUP_LENGTH, struct.pack("<I", len(body))) + body
