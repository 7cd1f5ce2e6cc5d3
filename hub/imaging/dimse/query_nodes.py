"""Who asks at the query port: a node with what it may do there, and the nodes it may have images sent to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from dicom import services
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection

_KNOWN: Final = "SELECT id, organisation_id, may_send, may_query FROM dicom_node WHERE disabled_at IS NULL"


@dataclass(frozen=True)
class Caller:
    """A node that may ask: for studies and worklists of its clinic, or whether what it sent is safe."""

    id: UUID
    organisation_id: UUID
    may_send: bool
    may_query: bool

    @property
    def actor(self) -> Actor:
        return Actor("node", str(self.id))

    @property
    def classes(self) -> frozenset[str]:
        """SOP classes it may use."""
        asked = services.QUERY_CLASSES if self.may_query else frozenset[str]()
        return asked | ({services.COMMITMENT} if self.may_send else frozenset[str]())


@dataclass(frozen=True)
class Destination:
    """Where a C-MOVE goes."""

    id: UUID
    ae_title: str
    address: str
    port: int


async def caller(
    conn: Connection, ae_title: str, address: str, certificate_sha256: str | None
) -> Caller | None:
    """By certificate where one was shown, else by title and address; None if it may do nothing here."""
    if certificate_sha256 is not None:
        query, known_by = f"{_KNOWN} AND certificate_sha256 = %s AND ae_title = %s", certificate_sha256
    else:
        query, known_by = f"{_KNOWN} AND address = %s::inet AND ae_title = %s", address
    row = await db.maybe(conn, query, (known_by, ae_title))
    if row is None or not (row["may_send"] or row["may_query"]):
        return None
    return Caller(row["id"], row["organisation_id"], row["may_send"], row["may_query"])


async def destination(conn: Connection, asks: Caller, ae_title: str) -> Destination | None:
    """A node of the asker's clinic with this title that may receive; itself first, then one at its address."""
    found: Sequence[db.Row] = await db.rows(
        conn,
        """SELECT n.id, n.ae_title, host(n.address) AS address, n.port FROM dicom_node n, dicom_node asks
           WHERE asks.id = %s AND n.organisation_id = asks.organisation_id AND n.ae_title = %s
             AND n.may_receive AND n.disabled_at IS NULL AND n.address IS NOT NULL AND n.port IS NOT NULL
           ORDER BY n.id = asks.id DESC, n.address = asks.address DESC, n.created_at LIMIT 1""",
        (asks.id, ae_title),
    )
    return Destination(**found[0]) if found else None
