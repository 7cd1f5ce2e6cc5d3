"""Storage and verification SCP (PS3.4 annexes A and B): one asyncio protocol per association, bytes to the store.

What comes is written as it comes, from one buffer all associations share; the answer goes out, in one write, when
`storing` has it for good. An association that does nothing is ended; one sender's many keep nobody else out.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast

from prometheus_client import Counter, Gauge

from dicom import commands, part10, pdus, uids
from dicom.association import (
    Aborted,
    Acceptor,
    CommandReceived,
    DataSetBytes,
    DataSetEnded,
    Event,
    Released,
    negotiate,
)
from dicom.commands import Command
from dicom.header import Header, scan
from dicom.pdus import ProtocolFault, Rejection, Request
from hub.core import actor, disk
from hub.core.db import Database
from hub.core.errors import HubError
from hub.core.incoming import Incoming
from hub.core.logging import failure_place, log
from hub.core.settings import Settings
from hub.imaging.dimse.crowd import Crowd
from hub.imaging.dimse.storing import Arrived, Storing
from hub.imaging.index import nodes
from hub.imaging.index.instances import Sender
from hub.imaging.index.statuses import comment_of, status_of

BUFFER_BYTES: Final = 1 << 18
HEADER_BYTES: Final = 1 << 16  # that are scanned at once; a data set whose keys stand deeper is read again
INSTANCE_BYTES_MAX: Final = 2 << 30
ARTIM_S: Final = 10.0  # PS3.8 9.1.5: for the first request, and for the peer to close
IDLE_S: Final = 60.0  # an open association on which nothing comes
FINISH_S: Final = 3.0  # for what is being stored when the hub stops; below the supervisor's patience
ACTOR: Final = actor.job("dimse")

INSTANCES = Counter("hub_dicom_instances_total", "C-STORE requests answered", ["status"])
ASSOCIATIONS = Gauge("hub_dicom_associations", "associations open")


class Server(Crowd["Association"]):
    """What all associations of this process share."""

    def __init__(
        self, settings: Settings, database: Database, incoming: Callable[[], Incoming], way_in: Storing,
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        super().__init__(settings.dimse_plain_addresses)
        self.settings, self.database, self.incoming, self.storing = settings, database, incoming, way_in
        self.clock = clock
        self.buffer = memoryview(bytearray(BUFFER_BYTES))

    async def finish(self) -> None:
        """Answer what is being stored, then end every association."""
        working = [task for one in self.open for task in one.tasks]
        if working:
            await asyncio.wait(working, timeout=FINISH_S)
        for one in list(self.open):
            one.drop()


class Association(asyncio.BufferedProtocol):
    """One connection, from its first byte to its end."""

    def __init__(self, server: Server, is_plain: bool) -> None:
        self.server, self._is_plain = server, is_plain
        self.sender: Sender | None = None
        self.address = ""
        self._acceptor, self._transport = Acceptor(), cast(asyncio.Transport | None, None)
        self._max_pdu = 0  # that the peer takes
        self._heard_s = 0.0
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_over = False
        self._request: tuple[int, Command] | None = None  # being received or stored
        self._refusal: tuple[int, str] | None = None  # its answer is settled, its data set is only read away
        self._file: Incoming | None = None
        self._beginning = bytearray()
        self._data_set_at = 0
        self._answered = 0

    @property
    def who(self) -> str | None:
        return self.sender.name if self.sender is not None else None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # as create_server makes them
        self._heard_s = asyncio.get_running_loop().time()
        self.address = str(transport.get_extra_info("peername")[0]).partition("%")[0]  # an IPv6 scope
        if not self.server.admits(self.address, self._is_plain):
            self.is_over = True
            self._transport.abort()
            return
        self.server.open.add(self)
        ASSOCIATIONS.set(len(self.server.open))

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self.server.buffer

    def buffer_updated(self, count: int) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        try:
            for event in self._acceptor.feed(self.server.buffer[:count]):
                if self.is_over:
                    return
                self._on(event)
        except ProtocolFault as fault:
            log("dicom.refused", address=self.address, reason=fault.reason, fault=str(fault))
            self.abort(fault.reason)

    def connection_lost(self, _failure: Exception | None) -> None:
        self.is_over = True
        self.server.open.discard(self)
        ASSOCIATIONS.set(len(self.server.open))
        if self._file is not None:
            self._file.close()
        if self.sender is not None:
            log("dicom.association", sender=self.sender.name, instances=self._answered)

    # what the peer says

    def _on(self, event: Event) -> None:
        if isinstance(event, DataSetBytes):
            self._write(event.view)
        elif isinstance(event, DataSetEnded):
            self._start(self._store())
        elif isinstance(event, CommandReceived):
            self._on_command(event.context_id, event.command)
        elif isinstance(event, Request):
            self._start(self._decide(event))
        elif isinstance(event, Released):
            self._end(pdus.write_release())
        elif isinstance(event, Aborted):
            self._close()

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _decide(self, request: Request) -> None:
        """Accept the association or say why not; its node is looked up each time, so that a change holds at once."""
        try:
            rejection = await self._refused(request)
        except HubError:
            rejection = pdus.CONGESTED  # the database is away
        except Exception as bug:  # one peer's odd request ends its own association
            log("dicom.bug", error=failure_place(bug))
            return self.abort(pdus.NOT_SPECIFIED)
        if self.is_over:
            return
        if rejection is not None:
            log("dicom.refused", address=self.address, source=rejection.source, reason=rejection.reason)
            self._end(pdus.write_rejection(rejection))
            return
        contexts = [negotiate(proposal) for proposal in request.proposals]
        self._max_pdu = request.max_pdu_bytes
        self._acceptor.accept({one.id: one for one in contexts if one.result == pdus.ACCEPTED})
        self._send(pdus.write_acceptance(request, contexts, self._acceptor.max_pdu_bytes))

    async def _refused(self, request: Request) -> Rejection | None:
        if not request.version & 1:
            return pdus.VERSION_UNKNOWN
        if request.application_context != uids.APPLICATION_CONTEXT:
            return pdus.CONTEXT_NAME_UNKNOWN
        if request.called != self.server.settings.dimse_ae_title:
            return pdus.CALLED_AE_UNKNOWN
        if not request.calling.isprintable():  # what PostgreSQL can't be asked about, too
            return pdus.CALLING_AE_UNKNOWN
        async with self.server.database.transaction(ACTOR, self.server.clock()) as conn:
            sender = await nodes.caller(conn, request.calling, self.address, self._certificate())
        if sender is None:
            return pdus.CALLING_AE_UNKNOWN
        if not self.server.has_room_for(sender.name):
            return pdus.TOO_MANY
        self.sender = sender
        return None

    def _certificate(self) -> str | None:
        if self._is_plain or self._transport is None:
            return None
        layer = self._transport.get_extra_info("ssl_object")
        shown = layer.getpeercert(binary_form=True) if isinstance(layer, ssl.SSLObject) else None
        return nodes.certificate_hash(shown or b"")

    def _on_command(self, context_id: int, command: Command) -> None:
        if self._request is not None:
            raise ProtocolFault("a request before the last one was answered", pdus.UNEXPECTED)
        if command.field & commands.RESPONSE or command.field == commands.C_CANCEL_RQ:
            raise ProtocolFault("a message that a storage SCP does not expect", pdus.UNEXPECTED)
        self._request = context_id, command
        if command.field == commands.C_ECHO_RQ:
            self._refusal = (commands.SUCCESS, "")
        elif command.field != commands.C_STORE_RQ:
            self._refusal = (commands.UNRECOGNIZED_OPERATION, "")
        else:
            self._refusal = self._unstorable(context_id, command) or self._begin(context_id, command)
        if not command.has_data_set:
            assert self._refusal is not None  # only a request that is stored has a data set to wait for
            self._answer(*self._refusal)

    def _unstorable(self, context_id: int, command: Command) -> tuple[int, str] | None:
        if command.sop_class_uid != self._acceptor.contexts[context_id].abstract_syntax:
            return commands.SOP_CLASS_NOT_SUPPORTED, "another class than was negotiated"
        if not uids.is_valid_uid(command.sop_instance_uid):
            return commands.INVALID_SOP_INSTANCE, "the SOP instance UID is no UID"
        if not command.has_data_set:
            return commands.CANNOT_UNDERSTAND, "no data set"
        if disk.is_below_floor(self.server.settings):
            return commands.OUT_OF_RESOURCES, "no room on the disk"
        return None

    def _begin(self, context_id: int, command: Command) -> tuple[int, str] | None:
        """A new file with the meta group of what is announced; the data set follows."""
        syntax = self._acceptor.contexts[context_id].transfer_syntax
        meta = part10.write_meta(command.sop_class_uid, command.sop_instance_uid, syntax)
        self._data_set_at = len(meta)
        self._beginning.clear()
        try:
            self._file = self.server.incoming()
            self._file.write(meta)
        except OSError:
            return self._no_room()
        return None

    def _write(self, view: memoryview) -> None:
        if self._file is None:
            return
        if self._file.size_bytes + len(view) > INSTANCE_BYTES_MAX:
            raise ProtocolFault("a data set without end", pdus.NOT_SPECIFIED)
        if len(self._beginning) < HEADER_BYTES:
            self._beginning += view[: HEADER_BYTES - len(self._beginning)]
        try:
            self._file.write(view)
        except OSError:
            self._refusal = self._no_room()

    def _no_room(self) -> tuple[int, str]:
        if self._file is not None:
            self._file.close()
            self._file = None
        return commands.OUT_OF_RESOURCES, "no room on the disk"

    async def _store(self) -> None:
        """The data set is complete: an answer only when it is for good."""
        file, self._file = self._file, None
        if file is None:
            return self._answer(*(self._refusal or (commands.CANNOT_UNDERSTAND, "")))
        assert (
            self._request is not None and self.sender is not None
        )  # a data set follows a request of a known node
        context_id, command = self._request
        syntax = self._acceptor.contexts[context_id].transfer_syntax
        try:
            arrived = Arrived(
                self.sender, file, syntax, self._data_set_at, self._header(syntax, file),
                command.sop_class_uid, command.sop_instance_uid,
            )  # fmt: skip
            outcome = await self.server.storing.store(arrived)
            self._answer(status_of(outcome), comment_of(outcome))
        except (HubError, OSError):
            self._answer(commands.OUT_OF_RESOURCES, "not stored; send it again later")
        except Exception as bug:  # it is told as a failure of ours, and this process goes on for the others
            log("dicom.bug", error=failure_place(bug))
            self._answer(commands.PROCESSING_FAILURE, "not stored")
        finally:
            file.close()

    def _header(self, syntax: str, file: Incoming) -> Header:
        encoding = uids.TRANSFER_SYNTAXES[syntax]
        if encoding.is_deflated:
            return Header()
        return scan(memoryview(self._beginning), encoding, file.size_bytes - self._data_set_at)

    # what we say

    def _answer(self, status: int, comment: str = "") -> None:
        if self._request is None or self.is_over:
            return
        (context_id, command), self._request, self._refusal = self._request, None, None
        if command.field == commands.C_STORE_RQ:
            self._answered += 1
            INSTANCES.labels(f"{status:04X}").inc()
        response = commands.write_response(command, status, comment)
        self._send(pdus.write_command(context_id, response, self._max_pdu))

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self.is_over:
            self._transport.write(data)

    def _end(self, last_words: bytes) -> None:
        """Say the last thing; the peer closes, or `end_if_idle` does."""
        self._send(last_words)
        self.is_over = True

    def abort(self, reason: int) -> None:
        """Break off."""
        self._send(pdus.write_abort(reason))
        self._close()

    def _close(self) -> None:
        self.is_over = True
        if self._transport is not None:
            self._transport.close()

    # time

    def idle_s(self) -> float:
        """For how long it has done nothing; what is being stored is not idle."""
        return 0.0 if self.tasks else asyncio.get_running_loop().time() - self._heard_s

    def end_if_idle(self) -> None:
        is_open = self.sender is not None and not self.is_over
        if self.idle_s() > (IDLE_S if is_open else ARTIM_S):
            self.drop()

    def drop(self) -> None:
        """End it at once."""
        self.abort(pdus.NOT_SPECIFIED)
        self.server.open.discard(self)
        if self._transport is not None:
            self._transport.abort()
