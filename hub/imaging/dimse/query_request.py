"""A request at the query port, on its way to who answers it."""

from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from prometheus_client import Counter

from dicom import commands, identifiers, services
from dicom.commands import Command, Counts
from dicom.errors import InvalidInstance
from dicom.identifiers import Document
from dicom.pdus import Context
from dicom.services import Level
from hub.core import db
from hub.core.db import Connection, Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.dimse.query_nodes import Caller

QUERY_TIMEOUT_MS: Final = 10_000
LEVEL: Final = "00080052"
ANSWERS = Counter("hub_dicom_queries_total", "requests answered at the query port", ["operation", "status"])


class Refused(Exception):
    """A request that can't be answered as it is: the status, and words for its sender."""

    def __init__(self, status: int, words: str = "") -> None:
        super().__init__(words)
        self.status, self.words = status, words


@dataclass(frozen=True)
class Hub:
    """What requests are answered with."""

    settings: Settings
    database: Database
    store: Store
    clock: Callable[[], datetime]


class Line(Protocol):
    """The association a request came on, as those who answer see it."""

    calling_ae: str
    is_cancelled: bool

    @property
    def contexts(self) -> Sequence[Context]: ...

    async def respond(
        self, context: Context, to: Command, status: int, comment: str = "",
        counts: Counts | None = None, data_set: bytes | None = None,
    ) -> None: ...  # fmt: skip

    async def ask(
        self, context: Context, written: Callable[[int], bytes], data_set: AsyncIterable[tuple[bytes, bool]]
    ) -> int: ...

    def later(self, work: Coroutine[None, None, None]) -> None: ...


@dataclass(frozen=True)
class Asked:
    """A request, who asks, and where the answer goes."""

    hub: Hub
    caller: Caller
    line: Line
    context: Context
    command: Command
    data_set: bytes

    def identifier(self, elements_max: int = identifiers.ELEMENTS_MAX) -> Document:
        """Its data set; `Refused` if it is none."""
        try:
            syntax = identifiers.encoding_of(self.context.transfer_syntax)
            return identifiers.read(self.data_set, syntax, elements_max)
        except InvalidInstance as fault:
            raise Refused(commands.DATA_SET_DOES_NOT_MATCH, str(fault)) from None

    def level(self, identifier: Document) -> Level:
        """The level that is asked for, of the information model of its class."""
        level = services.level_of(identifiers.first(identifier, LEVEL), self.command.sop_class_uid)
        if level is None:
            raise Refused(commands.DATA_SET_DOES_NOT_MATCH, "no level of this information model")
        return level

    async def respond(
        self, status: int, words: str = "", counts: Counts | None = None, document: Document | None = None,
        character_set: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Answer it, once or, while pending, again and again."""
        data_set = None
        if document is not None:
            syntax = identifiers.encoding_of(self.context.transfer_syntax)
            data_set = identifiers.write(document, syntax, character_set)
        if status != commands.PENDING:
            ANSWERS.labels(f"{self.command.field:04X}", f"{status:04X}").inc()
        await self.line.respond(self.context, self.command, status, words, counts, data_set)


async def bound(conn: Connection) -> None:
    """No query of a peer may take longer; then it is told to ask for less, or later."""
    await db.run(conn, "SELECT set_config('statement_timeout', %s, true)", (str(QUERY_TIMEOUT_MS),))
