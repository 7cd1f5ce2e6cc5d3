"""Query, retrieval, worklist and commitment SCP: one task per association that reads, one for what was asked.

Hardened like the storage SCP: nobody unknown is listened to, every length and number is bounded, who does nothing is
ended, and one node's many associations keep nobody else out. What is asked is answered by `query_services`.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from typing import Final, cast

from prometheus_client import Gauge

from dicom import commands, identifiers, pdus, services, uids
from dicom.association import (
    Aborted,
    Acceptor,
    CommandReceived,
    DataSetBytes,
    DataSetEnded,
    Event,
    Released,
)
from dicom.commands import Command, Counts
from dicom.pdus import Context, ProtocolFault, Rejection, Request
from hub.core import actor
from hub.core.errors import HubError
from hub.core.logging import failure_place, log
from hub.imaging.dimse import query_services
from hub.imaging.dimse.crowd import Crowd
from hub.imaging.dimse.query_nodes import Caller, caller
from hub.imaging.dimse.query_request import Asked, Hub
from hub.imaging.index import nodes

READ_BYTES: Final = 1 << 16
COMMITMENT_BYTES_MAX: Final = 8 << 20  # a request for some ten thousand instances
ARTIM_S: Final = 10.0  # PS3.8 9.1.5: for the first request, and for the peer to close
IDLE_S: Final = 60.0
SEND_S: Final = 30.0  # for a peer that takes nothing of what it asked for
ANSWER_S: Final = 60.0  # for a peer's answer to a sub-operation
QUICKACK: Final = 12  # TCP_QUICKACK of Linux
FINISH_S: Final = 3.0
ACTOR: Final = actor.job("query")
VERIFICATION_ONLY: Final = frozenset({uids.VERIFICATION})

ASSOCIATIONS = Gauge("hub_dicom_query_associations", "associations of the query port open")


class Server(Crowd["Association"]):
    """What all associations of this process share."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.settings.dimse_plain_addresses)
        self.hub = hub

    async def connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_plain: bool
    ) -> None:
        """The whole life of a connection."""
        one = Association(self, reader, writer, is_plain)
        if not self.admits(one.address, is_plain):
            return writer.transport.abort()
        self.open.add(one)
        ASSOCIATIONS.set(len(self.open))
        try:
            await one.run()
        finally:
            self.open.discard(one)
            ASSOCIATIONS.set(len(self.open))

    async def finish(self) -> None:
        """Let what was asked be answered, for a moment; then end every association."""
        working = [one.task for one in self.open if one.task is not None]
        if working:
            await asyncio.wait(working, timeout=FINISH_S)
        for one in list(self.open):
            one.drop()


class Association:
    """One connection, from its first byte to its end."""

    def __init__(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_plain: bool
    ) -> None:
        self.server, self._reader, self._writer, self._is_plain = server, reader, writer, is_plain
        self.address = str(writer.get_extra_info("peername")[0]).partition("%")[0]  # an IPv6 scope
        self.caller: Caller | None = None
        self.calling_ae = ""
        self.task: asyncio.Task[None] | None = None  # answering a request
        self.is_cancelled = False  # the request that is being answered
        self._acceptor = Acceptor()
        self._max_pdu = 0  # that the peer takes
        self._heard_s = asyncio.get_running_loop().time()
        self.is_over = False
        self._incoming: tuple[int, Command] | None = None
        self._data_set = bytearray()
        self._asked: dict[int, asyncio.Future[int]] = {}  # our own requests that wait for their status
        self._last_id = 0
        self._sending = asyncio.Lock()  # one message at a time
        self._later: set[asyncio.Task[None]] = set()  # what is still to be told of answered requests

    @property
    def contexts(self) -> Sequence[Context]:
        """What was accepted."""
        return list(self._acceptor.contexts.values())

    @property
    def who(self) -> str | None:
        return str(self.caller.id) if self.caller is not None else None

    async def run(self) -> None:
        """Read until the end."""
        try:
            while not self.is_over and (data := await self._reader.read(READ_BYTES)):
                self._heard_s = asyncio.get_running_loop().time()
                self._acknowledge_at_once()
                for event in self._acceptor.feed(memoryview(data)):
                    await self._on(event)
        except ProtocolFault as fault:
            log("dicom.refused", address=self.address, reason=fault.reason, fault=str(fault))
            self._abort(fault.reason)
        except OSError:  # the line; TimeoutError, too
            self.drop()
        except Exception as bug:  # one peer's odd request ends its own association
            log("dicom.bug", error=failure_place(bug))
            self.drop()
        finally:
            await self._end_task()
            self._writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._writer.wait_closed()

    async def _end_task(self) -> None:
        working = self._later if self.task is None else {self.task, *self._later}
        for task in working:
            task.cancel()
        if working:
            await asyncio.wait(working)

    def later(self, work: Coroutine[None, None, None]) -> None:
        """Do something after the request is answered, as long as the association lasts."""
        task = asyncio.get_running_loop().create_task(self._do_later(work))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _do_later(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except (HubError, OSError) as failure:
            log("dicom.not-told", address=self.address, error=failure_place(failure))
        except Exception as bug:
            log("dicom.bug", error=failure_place(bug))

    # what the peer says

    async def _on(self, event: Event) -> None:
        if isinstance(event, DataSetBytes):
            self._take(event.view)
        elif isinstance(event, CommandReceived):
            self._incoming = event.context_id, event.command
            if not event.command.has_data_set:
                self._complete()
        elif isinstance(event, DataSetEnded):
            self._complete()
        elif isinstance(event, Request):
            await self._decide(event)
        elif isinstance(event, Released):
            await self._end_task()
            await self._end(pdus.write_release())
        elif isinstance(event, Aborted):
            self.is_over = True

    def _take(self, view: memoryview) -> None:
        assert self._incoming is not None  # the acceptor has seen to the order
        is_large = self._incoming[1].field == commands.N_ACTION_RQ
        most = COMMITMENT_BYTES_MAX if is_large else identifiers.BYTES_MAX
        if len(self._data_set) + len(view) > most:
            raise ProtocolFault("an identifier without end", pdus.NOT_SPECIFIED)
        self._data_set += view

    def _complete(self) -> None:
        """A whole message."""
        assert self._incoming is not None and self.caller is not None  # nobody else is accepted
        (context_id, command), self._incoming = self._incoming, None
        context, data_set = self._acceptor.contexts[context_id], bytes(self._data_set)
        self._data_set.clear()
        if command.field == commands.C_CANCEL_RQ:
            self.is_cancelled = self.task is not None
        elif command.field & commands.RESPONSE:
            waiting = self._asked.pop(command.message_id, None)
            if waiting is None:
                raise ProtocolFault("an answer to nothing", pdus.UNEXPECTED)
            waiting.set_result(command.status)
        elif self.task is not None:
            raise ProtocolFault("a request before the last one was answered", pdus.UNEXPECTED)
        else:
            self.is_cancelled = False
            asked = Asked(self.server.hub, self.caller, self, context, command, data_set)
            self.task = asyncio.get_running_loop().create_task(self._answer(asked))

    async def _answer(self, asked: Asked) -> None:
        """Whatever happens, the peer is told a status, or the line ends."""
        try:
            await query_services.serve(asked)
        except HubError as failure:
            log("dicom.query-failed", address=self.address, code=failure.code)
            await self._respond_at_last(asked, commands.OUT_OF_RESOURCES, "not now; ask again later")
        except OSError:
            self.drop()
        except Exception as bug:  # told as a failure of ours; this process goes on for the others
            log("dicom.bug", error=failure_place(bug))
            await self._respond_at_last(asked, commands.PROCESSING_FAILURE, "")
        finally:
            self.task = None
            self._heard_s = asyncio.get_running_loop().time()

    async def _respond_at_last(self, asked: Asked, status: int, comment: str) -> None:
        try:
            await asked.respond(status, comment)
        except OSError:
            self.drop()

    # who may

    async def _decide(self, request: Request) -> None:
        """Accept the association or say why not; the node is looked up each time, so that a change holds at once."""
        try:
            rejection = await self._refused(request)
        except HubError:
            rejection = pdus.CONGESTED  # the database is away
        if rejection is not None or self.caller is None:
            rejection = rejection or pdus.CALLING_AE_UNKNOWN
            log("dicom.refused", address=self.address, source=rejection.source, reason=rejection.reason)
            return await self._end(pdus.write_rejection(rejection))
        allowed = VERIFICATION_ONLY | self.caller.classes
        stored_to = request.stored_to if self.caller.may_query else frozenset[str]()
        contexts = [services.negotiate(proposal, allowed, stored_to) for proposal in request.proposals]
        accepted = {one.id: one for one in contexts if one.result == pdus.ACCEPTED}
        self._max_pdu = request.max_pdu_bytes
        self._acceptor.accept(accepted)
        roles = sorted(stored_to & {one.abstract_syntax for one in accepted.values()})
        await self.send(pdus.write_acceptance(request, contexts, self._acceptor.max_pdu_bytes, roles))

    async def _refused(self, request: Request) -> Rejection | None:
        if not request.version & 1:
            return pdus.VERSION_UNKNOWN
        if request.application_context != uids.APPLICATION_CONTEXT:
            return pdus.CONTEXT_NAME_UNKNOWN
        if request.called != self.server.hub.settings.dimse_ae_title:
            return pdus.CALLED_AE_UNKNOWN
        if not request.calling.isprintable():  # what PostgreSQL can't be asked about, too
            return pdus.CALLING_AE_UNKNOWN
        async with self.server.hub.database.transaction(ACTOR, self.server.hub.clock()) as conn:
            found = await caller(conn, request.calling, self.address, self._certificate())
        if found is None:
            return pdus.CALLING_AE_UNKNOWN
        if not self.server.has_room_for(str(found.id)):
            return pdus.TOO_MANY
        self.caller, self.calling_ae = found, request.calling
        return None

    def _certificate(self) -> str | None:
        if self._is_plain:
            return None
        layer = self._writer.get_extra_info("ssl_object")
        shown = cast(ssl.SSLObject, layer).getpeercert(binary_form=True) if layer is not None else None
        return nodes.certificate_hash(shown or b"")

    # what we say

    async def send(self, data: bytes) -> None:
        """OSError if the peer has gone, or takes nothing for too long."""
        if self.is_over or self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(data)
        async with asyncio.timeout(SEND_S):
            await self._writer.drain()
        self._acknowledge_at_once()
        self._heard_s = asyncio.get_running_loop().time()

    def _acknowledge_at_once(self) -> None:
        """What the peer sends next: dcmtk holds the second half of an answer back until the first is acknowledged,
        which Linux else does 40 ms later. Sending ends this mode, so it is asked for again and again.
        """
        with contextlib.suppress(OSError):  # a line that has gone
            self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    async def respond(
        self, context: Context, to: Command, status: int, comment: str = "",
        counts: Counts | None = None, data_set: bytes | None = None,
    ) -> None:  # fmt: skip
        """Answer a request, with its data set if there is one."""
        has_data_set = data_set is not None
        written = commands.write_response(to, status, comment, counts, has_data_set)
        message = pdus.write_command(context.id, written, self._max_pdu)
        if data_set is not None:
            message += pdus.write_data_set(context.id, data_set, self._max_pdu)
        async with self._sending:
            await self.send(message)

    async def ask(
        self, context: Context, written: Callable[[int], bytes], data_set: AsyncIterable[tuple[bytes, bool]]
    ) -> int:
        """Send a request of ours, made by `written` for a message id; the status the peer answers.

        Its data set comes in parts, each with whether it is the last. OSError if no answer comes.
        """
        self._last_id = message_id = self._last_id % 0xFFFF + 1
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked[message_id] = answer
        try:
            async with self._sending:
                await self.send(pdus.write_command(context.id, written(message_id), self._max_pdu))
                async for part, is_last in data_set:
                    await self.send(pdus.write_data_set(context.id, part, self._max_pdu, is_last))
            async with asyncio.timeout(ANSWER_S):
                return await answer
        finally:
            self._asked.pop(message_id, None)

    async def _end(self, last_words: bytes) -> None:
        """Say the last thing, and give the peer the time to hear it and to close."""
        with contextlib.suppress(OSError):
            await self.send(last_words)
            self.is_over = True
            async with asyncio.timeout(ARTIM_S):
                while await self._reader.read(READ_BYTES):
                    pass

    def _abort(self, reason: int) -> None:
        if not self._writer.is_closing():
            self._writer.write(pdus.write_abort(reason))
        self.is_over = True

    # time

    def idle_s(self) -> float:
        """For how long it has done nothing."""
        return (
            0.0 if self.task is not None or self._asked else asyncio.get_running_loop().time() - self._heard_s
        )

    def end_if_idle(self) -> None:
        if self.idle_s() > (ARTIM_S if self.caller is None else IDLE_S):
            self.drop()

    def drop(self) -> None:
        """End it at once."""
        self._abort(pdus.NOT_SPECIFIED)
        self.server.open.discard(self)
        self._writer.transport.abort()
