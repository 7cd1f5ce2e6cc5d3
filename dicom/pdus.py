"""Protocol data units of the upper layer (PS3.8 9.3): what an acceptor reads and writes.

Only the parts a receiver needs. Every length is checked against what is there; `ProtocolFault` names the reason an
A-ABORT gives (PS3.8 table 9-26).
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from dicom import uids

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
HEADER_BYTES: Final = 6  # type, reserved, length of what follows
PDV_HEADER_BYTES: Final = 6  # length, presentation context, message control
AE_TITLE_CHARS: Final = 16
FIXED_BYTES: Final = 68  # of an A-ASSOCIATE-RQ before its items
CONTEXTS_MAX: Final = 128  # odd numbers from 1 to 255 (PS3.8 9.3.2.2)
COMMAND_FLAG, LAST_FLAG = 1, 2  # of the message control header (PS3.8 E.2)

# Items and sub-items (PS3.8 9.3.2, annex D; PS3.7 annex D).
_APPLICATION, _CONTEXT_RQ, _CONTEXT_AC = 0x10, 0x20, 0x21
_ABSTRACT, _TRANSFER, _USER = 0x30, 0x40, 0x50
_MAX_LENGTH, _IMPLEMENTATION_CLASS, _ROLES, _IMPLEMENTATION_VERSION = 0x51, 0x52, 0x54, 0x55

# Reasons of an A-ABORT by the service provider (PS3.8 table 9-26).
NOT_SPECIFIED, UNRECOGNISED, UNEXPECTED = 0, 1, 2
UNRECOGNISED_PARAMETER, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 4, 5, 6
# Results of a presentation context (PS3.8 table 9-18).
ACCEPTED, NO_REASON, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 2, 3, 4


class ProtocolFault(ValueError):
    """The peer broke the protocol: abort with this reason."""

    def __init__(self, words: str, reason: int = INVALID_PARAMETER) -> None:
        super().__init__(words)
        self.reason = reason


@dataclass(frozen=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int  # 1 for good, 2 for now
    source: int  # 1 service user, 2 provider (ACSE), 3 provider (presentation)
    reason: int


CALLED_AE_UNKNOWN: Final = Rejection(1, 1, 7)
CALLING_AE_UNKNOWN: Final = Rejection(1, 1, 3)
CONTEXT_NAME_UNKNOWN: Final = Rejection(1, 1, 2)
VERSION_UNKNOWN: Final = Rejection(1, 2, 2)
TOO_MANY: Final = Rejection(2, 3, 2)  # local limit exceeded
CONGESTED: Final = Rejection(2, 3, 1)


@dataclass(frozen=True)
class Proposal:
    """A presentation context the peer asks for."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """An A-ASSOCIATE-RQ: who calls whom, and what it wants to send."""

    called: str
    calling: str
    application_context: str
    version: int
    proposals: tuple[Proposal, ...]
    max_pdu_bytes: int  # of the PDUs the peer takes; 0: any
    stored_to: frozenset[str] = field(default=frozenset(), compare=False)  # classes it would be the SCP of


@dataclass(frozen=True)
class Context:
    """The answer to a proposal; the transfer syntax counts only if it is accepted."""

    id: int
    result: int
    abstract_syntax: str
    transfer_syntax: str


def read_request(body: bytes) -> Request:
    """An A-ASSOCIATE-RQ without its header of six bytes."""
    if len(body) < FIXED_BYTES:
        raise ProtocolFault("an association request shorter than its fixed part")
    version, _, called, calling = struct.unpack_from(">HH16s16s", body)
    context, proposals, max_pdu, stored_to = "", [], 0, frozenset[str]()
    for kind, item in _items(body[FIXED_BYTES:]):
        if kind == _APPLICATION:
            context = uids.uid_text(item)
        elif kind == _CONTEXT_RQ:
            proposals.append(_read_proposal(item))
        elif kind == _USER:
            max_pdu, stored_to = _read_max_pdu(item), frozenset(_read_scp_roles(item))
    if not proposals or len(proposals) > CONTEXTS_MAX or len({p.id for p in proposals}) < len(proposals):
        raise ProtocolFault("presentation contexts missing, too many or named twice")
    return Request(_title(called), _title(calling), context, version, tuple(proposals), max_pdu, stored_to)


def _title(raw: bytes) -> str:
    """An AE title; leading and trailing spaces don't count (PS3.5 6.2)."""
    return raw.decode("ascii", "replace").strip(" \0")


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(body):
        if position + 4 > len(body):
            raise ProtocolFault("an item cut off")
        kind, length = struct.unpack_from(">BxH", body, position)
        position += 4
        if position + length > len(body):
            raise ProtocolFault("an item longer than its message")
        yield kind, body[position : position + length]
        position += length


def _read_proposal(item: bytes) -> Proposal:
    if len(item) < 4 or item[0] % 2 == 0:
        raise ProtocolFault("a presentation context without an odd number")
    abstract, transfers = "", []
    for kind, value in _items(item[4:]):
        if kind == _ABSTRACT:
            abstract = uids.uid_text(value)
        elif kind == _TRANSFER:
            transfers.append(uids.uid_text(value))
    return Proposal(item[0], abstract, tuple(transfers))


def _read_max_pdu(item: bytes) -> int:
    for kind, value in _items(item):
        if kind == _MAX_LENGTH and len(value) == 4:
            return int.from_bytes(value, "big")
    return 0


def _read_scp_roles(item: bytes) -> Iterator[str]:
    """The SOP classes of which the requestor would be the SCP (PS3.7 D.3.3.4)."""
    for kind, value in _items(item):
        length = int.from_bytes(value[:2], "big")
        if kind == _ROLES and len(value) == length + 4 and value[-1] == 1:
            yield uids.uid_text(value[2:-2])


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def write_acceptance(
    request: Request, contexts: Iterable[Context], max_pdu_bytes: int, stored_to: Iterable[str] = ()
) -> bytes:
    """The A-ASSOCIATE-AC; titles are sent back as they came (PS3.8 9.3.3).

    Of the classes `stored_to` the requestor is the SCP, and only that.
    """
    titles = f"{request.called:<16.16}{request.calling:<16.16}".encode("ascii", "replace")
    user = (
        _item(_MAX_LENGTH, struct.pack(">I", max_pdu_bytes))
        + _item(_IMPLEMENTATION_CLASS, uids.IMPLEMENTATION_CLASS_UID.encode())
        + b"".join(_item(_ROLES, struct.pack(">H", len(uid)) + uid.encode() + b"\0\1") for uid in stored_to)
        + _item(_IMPLEMENTATION_VERSION, uids.IMPLEMENTATION_VERSION_NAME.encode())
    )
    answers = b"".join(
        _item(
            _CONTEXT_AC,
            struct.pack(">BxBx", context.id, context.result)
            + _item(_TRANSFER, context.transfer_syntax.encode()),
        )
        for context in contexts
    )
    fixed = struct.pack(">HH", 1, 0) + titles + bytes(32)
    return _pdu(
        ASSOCIATE_AC,
        fixed + _item(_APPLICATION, uids.APPLICATION_CONTEXT.encode()) + answers + _item(_USER, user),
    )


def write_rejection(rejection: Rejection) -> bytes:
    """The A-ASSOCIATE-RJ."""
    return _pdu(ASSOCIATE_RJ, struct.pack(">xBBB", rejection.result, rejection.source, rejection.reason))


def write_release() -> bytes:
    """The A-RELEASE-RP."""
    return _pdu(RELEASE_RP, bytes(4))


def write_abort(reason: int) -> bytes:
    """An A-ABORT by the service provider."""
    return _pdu(ABORT, struct.pack(">xxBB", 2, reason))


def write_command(context_id: int, command: bytes, max_pdu_bytes: int) -> bytes:
    """A command set as P-DATA-TF, in pieces no longer than the peer takes."""
    return b"".join(_pieces(context_id, command, max_pdu_bytes, COMMAND_FLAG, LAST_FLAG))


def write_data_set(context_id: int, data: bytes, max_pdu_bytes: int, is_last: bool = True) -> bytes:
    """A data set, or the next part of one, the same way."""
    return b"".join(_pieces(context_id, data, max_pdu_bytes, 0, LAST_FLAG if is_last else 0))


def _pieces(context_id: int, data: bytes, max_pdu_bytes: int, kind: int, last: int) -> Iterator[bytes]:
    room = max(max_pdu_bytes - PDV_HEADER_BYTES, 1) if max_pdu_bytes else max(len(data), 1)
    for start in range(0, max(len(data), 1), room):
        piece = data[start : start + room]
        flags = kind | (last if start + room >= len(data) else 0)
        yield _pdu(P_DATA, struct.pack(">IBB", len(piece) + 2, context_id, flags) + piece)
