"""One association as its acceptor sees it (PS3.8 9.2): bytes in, events out; nothing but receiving.

Bytes of a data set are passed on as views of what was handed in, valid until the next call: nothing is copied,
joined or decoded. What is held between calls is bounded: a header, an association request, a command set.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from dicom import commands, pdus, uids
from dicom.commands import Command
from dicom.pdus import Context, Proposal, ProtocolFault, Request

MAX_PDU_BYTES: Final = 131_072  # what we offer: dcmtk sends no larger ones
REQUEST_BYTES_MAX: Final = 262_144  # an A-ASSOCIATE-RQ with 128 contexts of 30 transfer syntaxes
CONTROL_BYTES: Final = 4  # of a release or an abort


@dataclass(frozen=True)
class Released:
    """The peer has said all it wanted; answer with `pdus.write_release`."""


@dataclass(frozen=True)
class Aborted:
    """The peer has gone."""

    reason: int


@dataclass(frozen=True)
class CommandReceived:
    """A whole command; if it has a data set, its bytes follow."""

    context_id: int
    command: Command


@dataclass(frozen=True)
class DataSetBytes:
    """Some bytes of the data set, in order."""

    view: memoryview


@dataclass(frozen=True)
class DataSetEnded:
    """The data set is complete."""


Event = Request | CommandReceived | DataSetBytes | DataSetEnded | Released | Aborted
_State = Literal["requested", "deciding", "open", "over"]
_DATA_SET_ENDED: Final = DataSetEnded()


class Acceptor:
    """Reads what a peer sends; the caller decides, and writes the answers."""

    def __init__(self, max_pdu_bytes: int = MAX_PDU_BYTES) -> None:
        self.max_pdu_bytes = max_pdu_bytes
        self.contexts: Mapping[int, Context] = {}
        self._state: _State = "requested"
        self._held = bytearray()  # of a header, a request or a control PDU that is not complete
        self._needed = pdus.HEADER_BYTES
        self._body_of: int | None = None  # kind of the PDU whose body is being held
        self._pdu_left = 0  # of a P-DATA-TF
        self._fragment_left = 0
        self._fragment_flags = 0
        self._context_id = 0
        self._command = bytearray()
        self._data_set_on: int | None = None  # the context whose data set is awaited

    def accept(self, contexts: Mapping[int, Context]) -> None:
        """The association is accepted with these contexts."""
        if self._state != "deciding":
            raise RuntimeError(f"nothing to accept while {self._state}")
        self.contexts, self._state = contexts, "open"

    def feed(self, data: memoryview) -> Iterator[Event]:
        """What these bytes say; raises `ProtocolFault` where the peer broke the protocol."""
        position, size = 0, len(data)
        while position < size and self._state != "over":
            if self._fragment_left:
                taken = min(self._fragment_left, size - position)
                self._fragment_left -= taken
                yield from self._fragment(data[position : position + taken])
            else:
                taken = min(self._needed - len(self._held), size - position)
                self._held += data[position : position + taken]
                if len(self._held) == self._needed:
                    held = bytes(self._held)
                    self._held.clear()
                    yield from self._complete(held)
            position += taken

    def _complete(self, held: bytes) -> Iterator[Event]:
        """A header or a small PDU has come in whole."""
        if self._pdu_left:
            yield from self._begin_fragment(held)
        elif self._body_of is None:
            self._begin_pdu(held[0], int.from_bytes(held[2:6], "big"))
        else:
            kind, self._body_of, self._needed = self._body_of, None, pdus.HEADER_BYTES
            yield self._control(kind, held)

    def _begin_pdu(self, kind: int, length: int) -> None:
        if kind == pdus.P_DATA:
            self._require("open", "data outside an association")
            if not pdus.PDV_HEADER_BYTES <= length <= self.max_pdu_bytes:
                raise ProtocolFault(f"a P-DATA-TF of {length} bytes")
            self._pdu_left, self._needed = length, pdus.PDV_HEADER_BYTES
            return
        if kind == pdus.ASSOCIATE_RQ:
            self._require("requested", "a second association request")
            within = pdus.FIXED_BYTES <= length <= REQUEST_BYTES_MAX
        elif kind in (pdus.RELEASE_RQ, pdus.ABORT):
            within = length == CONTROL_BYTES
        else:
            raise ProtocolFault(f"a PDU of type {kind}", pdus.UNRECOGNISED if kind > 7 else pdus.UNEXPECTED)
        if not within:
            raise ProtocolFault(f"a PDU of type {kind} and {length} bytes")
        self._body_of, self._needed = kind, length

    def _require(self, state: _State, words: str) -> None:
        if self._state != state:
            raise ProtocolFault(words, pdus.UNEXPECTED)

    def _control(self, kind: int, body: bytes) -> Event:
        if kind == pdus.ASSOCIATE_RQ:
            self._state = "deciding"
            return pdus.read_request(body)
        if kind == pdus.ABORT:
            self._state = "over"
            return Aborted(body[3])
        self._require("open", "a release outside an association")
        if self._data_set_on is not None or self._command:
            raise ProtocolFault("a release within a message", pdus.UNEXPECTED)
        self._state = "over"
        return Released()

    def _begin_fragment(self, header: bytes) -> Iterator[Event]:
        length, self._context_id, flags = int.from_bytes(header[:4], "big"), header[4], header[5]
        if length < 2 or length + 4 > self._pdu_left:
            raise ProtocolFault("a presentation data value longer than its PDU")
        if self._context_id not in self.contexts:
            raise ProtocolFault("a presentation context that was not accepted", pdus.UNEXPECTED_PARAMETER)
        is_command = bool(flags & pdus.COMMAND_FLAG)
        if is_command == (self._data_set_on is not None) or self._data_set_on not in (None, self._context_id):
            raise ProtocolFault("command and data set out of order", pdus.UNEXPECTED)
        self._pdu_left -= length + 4
        self._fragment_left, self._fragment_flags = length - 2, flags
        if 0 < self._pdu_left < pdus.PDV_HEADER_BYTES:
            raise ProtocolFault("bytes left over in a P-DATA-TF")
        self._needed = pdus.PDV_HEADER_BYTES if self._pdu_left else pdus.HEADER_BYTES
        if not self._fragment_left:
            yield from self._end_fragment()

    def _fragment(self, view: memoryview) -> Iterator[Event]:
        if self._fragment_flags & pdus.COMMAND_FLAG:
            if len(self._command) + len(view) > commands.COMMAND_BYTES_MAX:
                raise ProtocolFault("a command too long")
            self._command += view
        else:
            yield DataSetBytes(view)
        if not self._fragment_left:
            yield from self._end_fragment()

    def _end_fragment(self) -> Iterator[Event]:
        if not self._fragment_flags & pdus.LAST_FLAG:
            return
        if not self._fragment_flags & pdus.COMMAND_FLAG:
            self._data_set_on = None
            yield _DATA_SET_ENDED
            return
        command = commands.read_command(bytes(self._command))
        self._command.clear()
        self._data_set_on = self._context_id if command.has_data_set else None
        yield CommandReceived(self._context_id, command)


def negotiate(proposal: Proposal) -> Context:
    """What a storage SCP answers to a presentation context: the first syntax of the peer's that it can keep."""
    kept = [name for name in proposal.transfer_syntaxes if name in uids.TRANSFER_SYNTAXES]
    if proposal.abstract_syntax == uids.VERIFICATION:
        kept = [name for name in kept if name in (uids.IMPLICIT_LITTLE, uids.EXPLICIT_LITTLE)]
    elif not uids.is_storage_class(proposal.abstract_syntax):
        return Context(proposal.id, pdus.NO_ABSTRACT_SYNTAX, proposal.abstract_syntax, uids.IMPLICIT_LITTLE)
    if not kept:
        return Context(proposal.id, pdus.NO_TRANSFER_SYNTAX, proposal.abstract_syntax, uids.IMPLICIT_LITTLE)
    return Context(proposal.id, pdus.ACCEPTED, proposal.abstract_syntax, kept[0])
