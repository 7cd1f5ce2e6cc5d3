"""A peer that says what a test wants it to: requests of the upper layer and of DIMSE as bytes (PS3.8 9.3, PS3.7 E)."""

import struct
from collections.abc import Iterator, Sequence

from dicom import pdus, uids

STORE, ECHO = 0x0001, 0x0030
CT = "1.2.840.10008.5.1.4.1.1.2"


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def request(
    proposals: Sequence[tuple[int, str, Sequence[str]]], calling: str = "PEER", called: str = "TELEHUB"
) -> bytes:
    """An A-ASSOCIATE-RQ."""
    fixed = struct.pack(">HH16s16s32x", 1, 0, f"{called:<16}".encode(), f"{calling:<16}".encode())
    contexts = b"".join(
        item(
            0x20,
            struct.pack(">Bxxx", number)
            + item(0x30, abstract.encode())
            + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes),
        )
        for number, abstract, syntaxes in proposals
    )
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    return pdu(pdus.ASSOCIATE_RQ, fixed + item(0x10, uids.APPLICATION_CONTEXT.encode()) + contexts + user)


def _element(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def command(field: int, sop_class: str = CT, sop_instance: str = "1.2.3.4.5", data_set: bool = True) -> bytes:
    """A command set without its group length, which nobody needs."""
    return (
        _element(0x0002, sop_class.encode())
        + _element(0x0100, struct.pack("<H", field))
        + _element(0x0110, struct.pack("<H", 7))
        + _element(0x0700, b"\0\0")
        + _element(0x0800, struct.pack("<H", 0x0001 if data_set else 0x0101))
        + (_element(0x1000, sop_instance.encode()) if field == STORE else b"")
    )


def values(context: int, data: bytes, is_command: bool, most: int = 16384) -> bytes:
    """P-DATA-TFs of one message part, a presentation data value each."""
    pieces = [data[start : start + most - 6] for start in range(0, len(data), most - 6)] or [b""]
    return b"".join(
        pdu(
            pdus.P_DATA,
            struct.pack(">IBB", len(piece) + 2, context, is_command | (2 if number == len(pieces) - 1 else 0)) + piece,
        )
        for number, piece in enumerate(pieces)
    )  # fmt: skip


def store(context: int, data_set: bytes, sop_instance: str = "1.2.3.4.5", most: int = 16384) -> bytes:
    """A C-STORE-RQ with its data set."""
    asked = command(STORE, sop_instance=sop_instance)
    return values(context, asked, True) + values(context, data_set, False, most)


def answers(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The PDUs of what was answered: type and body."""
    position = 0
    while position < len(data):
        kind, length = struct.unpack_from(">BxI", data, position)
        yield kind, data[position + 6 : position + 6 + length]
        position += 6 + length
