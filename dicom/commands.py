"""Command sets of DIMSE (PS3.7 6.3, annex E): what a peer asks or answers, and what we do.

A command set is implicit VR little endian, whatever was negotiated, and has no sequences.
"""

import dataclasses
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dicom import uids
from dicom.pdus import ProtocolFault

COMMAND_BYTES_MAX: Final = 8192
C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP = 0x0001, 0x8001, 0x0030, 0x8030
C_FIND_RQ, C_GET_RQ, C_MOVE_RQ, N_EVENT_REPORT_RQ, N_ACTION_RQ = 0x0020, 0x0010, 0x0021, 0x0100, 0x0130
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000  # set in the command field of every response
NO_DATA_SET, DATA_SET = 0x0101, 0x0001
COMMENT_CHARS: Final = 64  # LO (PS3.5 6.2)

# Status (PS3.7 annex C, PS3.4 B.2.3, C.4).
SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_SOP_INSTANCE: Final = 0x0111
INVALID_SOP_INSTANCE: Final = 0x0117
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
UNRECOGNIZED_OPERATION: Final = 0x0211
OUT_OF_RESOURCES: Final = 0xA700
DATA_SET_DOES_NOT_MATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
PENDING, PENDING_WITHOUT_SOME_KEYS = 0xFF00, 0xFF01
CANCELLED: Final = 0xFE00
NO_SUCH_ACTION: Final = 0x0123
INVALID_ARGUMENT: Final = 0x0115
NO_SUCH_OBJECT: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119
NOT_AUTHORIZED: Final = 0x0124
DUPLICATE_TRANSACTION: Final = 0x0131  # of storage commitment (PS3.3 C.14.1.1)
CANNOT_PERFORM_SUBOPERATIONS: Final = 0xA702
DESTINATION_UNKNOWN: Final = 0xA801
SUBOPERATIONS_WITH_FAILURES: Final = 0xB000

_GROUP_LENGTH, _SOP_CLASS, _FIELD, _MESSAGE_ID = 0x0000, 0x0002, 0x0100, 0x0110
_RESPONDED_TO, _DATA_SET_TYPE, _STATUS, _COMMENT, _SOP_INSTANCE = 0x0120, 0x0800, 0x0900, 0x0902, 0x1000
_REQUESTED_CLASS, _REQUESTED_INSTANCE, _DESTINATION, _PRIORITY = 0x0003, 0x1001, 0x0600, 0x0700
_EVENT_TYPE, _ACTION_TYPE, _MEDIUM = 0x1002, 0x1008, 0
_REMAINING, _COMPLETED, _FAILED, _WARNINGS = 0x1020, 0x1021, 0x1022, 0x1023


@dataclass(frozen=True)
class Command:
    """What a peer asks for."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str = ""  # affected, or requested
    sop_instance_uid: str = ""
    _values: Mapping[int, bytes] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @property
    def destination(self) -> str:
        """The AE title a C-MOVE is to send to."""
        return self._values.get(_DESTINATION, b"").decode("ascii", "replace").strip(" \0")

    @property
    def status(self) -> int:
        """Of a response; processing failure if it says none."""
        value = self._values.get(_STATUS, b"")
        return int.from_bytes(value, "little") if len(value) == 2 else PROCESSING_FAILURE

    @property
    def action_type(self) -> int:
        """Of an N-ACTION; 0 if it names none."""
        return int.from_bytes(self._values.get(_ACTION_TYPE, b""), "little")


@dataclass(frozen=True)
class Counts:
    """How many sub-operations a C-GET or C-MOVE still has, and how the others ended."""

    remaining: int
    completed: int
    failed: int
    warned: int


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
        uids.uid_text(values.get(_SOP_CLASS) or values.get(_REQUESTED_CLASS, b"")),
        uids.uid_text(values.get(_SOP_INSTANCE) or values.get(_REQUESTED_INSTANCE, b"")),
        values,
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


def write_response(
    to: Command, status: int, comment: str = "", counts: Counts | None = None, has_data_set: bool = False
) -> bytes:
    """The answer to a request; the comment holds nothing of a patient. A data set follows, if it is said to."""
    body = _text(_SOP_CLASS, to.sop_class_uid, b"\0") if to.sop_class_uid else b""
    body += _short(_FIELD, to.field | RESPONSE) + _short(_RESPONDED_TO, to.message_id)
    body += _short(_DATA_SET_TYPE, DATA_SET if has_data_set else NO_DATA_SET) + _short(_STATUS, status)
    if comment:
        body += _text(_COMMENT, comment[:COMMENT_CHARS], b" ")
    if to.sop_instance_uid:
        body += _text(_SOP_INSTANCE, to.sop_instance_uid, b"\0")
    if to.field == N_ACTION_RQ:
        body += _short(_ACTION_TYPE, to.action_type)
    if counts is not None:
        if status in (PENDING, CANCELLED):  # in no other (PS3.7 9.3.3.2)
            body += _short(_REMAINING, counts.remaining)
        body += _short(_COMPLETED, counts.completed) + _short(_FAILED, counts.failed)
        body += _short(_WARNINGS, counts.warned)
    return _with_length(body)


def write_store(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """A C-STORE-RQ of medium priority, as a C-GET makes them; its data set follows."""
    return _with_length(
        _text(_SOP_CLASS, sop_class_uid, b"\0")
        + _short(_FIELD, C_STORE_RQ)
        + _short(_MESSAGE_ID, message_id)
        + _short(_PRIORITY, _MEDIUM)
        + _short(_DATA_SET_TYPE, DATA_SET)
        + _text(_SOP_INSTANCE, sop_instance_uid, b"\0")
    )


def write_event(message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type: int) -> bytes:
    """An N-EVENT-REPORT-RQ; its data set follows."""
    return _with_length(
        _text(_SOP_CLASS, sop_class_uid, b"\0")
        + _short(_FIELD, N_EVENT_REPORT_RQ)
        + _short(_MESSAGE_ID, message_id)
        + _short(_DATA_SET_TYPE, DATA_SET)
        + _text(_SOP_INSTANCE, sop_instance_uid, b"\0")
        + _short(_EVENT_TYPE, event_type)
    )


def _with_length(body: bytes) -> bytes:
    return _element(_GROUP_LENGTH, struct.pack("<I", len(body))) + body
