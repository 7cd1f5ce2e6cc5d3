"""DICOM nodes: whose machine may send, known by its AE title and address, by its certificate, or by a token.

A node belongs to the clinic in whose name it sends. Certificates and tokens are kept as SHA-256 only.
"""

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.core import db, errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.imaging.index.instances import Sender
from hub.people import access, audit

TOKEN_BYTES: Final = 32
_AE_TITLE: Final = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 6.2: no backslash, no control characters
_MODALITY: Final = re.compile(r"[A-Z0-9_]{1,16}")  # CS (PS3.5 6.2)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHOWN: Final = """SELECT id, organisation_id, name, ae_title, host(address) AS address, certificate_sha256,
    token_sha256 IS NOT NULL AS has_token, may_send, may_receive, may_query, worklist_modalities, port,
    send_from_hour, send_until_hour, created_at, disabled_at FROM dicom_node"""


@dataclass(frozen=True)
class NewNode:
    """A machine as its clinic describes it; at least one of address, certificate and token makes it known."""

    organisation_id: UUID
    name: str
    ae_title: str
    address: str | None = None
    certificate_sha256: str | None = None
    with_token: bool = False
    may_send: bool = True
    may_receive: bool = False
    may_query: bool = False
    worklist_modalities: Sequence[str] | None = None  # what its worklist shows; None: whatever is asked for
    port: int | None = None  # where it listens, at its address
    send_from_hour: int | None = None  # UTC: it is sent to between these hours only
    send_until_hour: int | None = None


@dataclass(frozen=True)
class Made:
    """A new node; its token is told this once."""

    id: UUID
    token: str | None


def token_hash(token: str) -> str:
    """By which a token is known."""
    return hashlib.sha256(token.encode()).hexdigest()


def certificate_hash(der: bytes) -> str:
    """By which a certificate is known: SHA-256 of its DER bytes, as browsers show it."""
    return hashlib.sha256(der).hexdigest()


async def create_node(conn: Connection, actor: Actor, at: datetime, new: NewNode) -> Made:
    """Let a machine of a clinic send, or be sent to."""
    await access.require(conn, actor, at, "dicom-node.edit", organisation_id=new.organisation_id)
    _require_usable(new)
    token = secrets.token_urlsafe(TOKEN_BYTES) if new.with_token else None
    node_id = ids.new(at)
    await db.run(
        conn,
        """INSERT INTO dicom_node (id, organisation_id, name, ae_title, address, certificate_sha256, token_sha256,
             may_send, may_receive, may_query, worklist_modalities, port, send_from_hour, send_until_hour, created_by,
             created_at)
           VALUES (%(id)s, %(organisation_id)s, %(name)s, %(ae_title)s, %(address)s::inet, %(certificate_sha256)s,
             %(token)s, %(may_send)s, %(may_receive)s, %(may_query)s, %(worklist_modalities)s, %(port)s,
             %(send_from_hour)s, %(send_until_hour)s, %(by)s, %(at)s)""",
        vars(new)
        | {
            "id": node_id,
            "token": token_hash(token) if token else None,
            "by": actor.account_id if actor.kind == "person" else None,
            "at": at,
        },
    )
    await audit.record(
        conn, actor, at, "dicom-node.create", "dicom-node", node_id, organisation_id=new.organisation_id
    )
    return Made(node_id, token)


def _require_usable(new: NewNode) -> None:
    if not _AE_TITLE.fullmatch(new.ae_title) or new.ae_title != new.ae_title.strip():
        raise errors.error("bad_field", field="ae_title", expected="an AE title of 1 to 16 characters")
    if new.certificate_sha256 is not None and not _SHA256.fullmatch(new.certificate_sha256):
        raise errors.error("bad_field", field="certificate_sha256", expected="64 hex digits")
    if new.address is not None:
        try:
            ipaddress.ip_address(new.address)
        except ValueError:
            raise errors.error("bad_field", field="address", expected="an IP address") from None
    if new.may_receive and (new.address is None or new.port is None):
        raise errors.error("bad_field", field="port", expected="address and port of a node that receives")
    if not all(_MODALITY.fullmatch(one) for one in new.worklist_modalities or ()):
        raise errors.error("bad_field", field="worklist_modalities", expected="modalities like CT, DX")
    if (new.send_from_hour is None) != (new.send_until_hour is None):
        raise errors.error("bad_field", field="send_until_hour", expected="both hours, or none")
    if new.address is None and new.certificate_sha256 is None and not new.with_token:
        raise errors.error("bad_field", field="address", expected="an address, a certificate or a token")


async def disable_node(conn: Connection, actor: Actor, at: datetime, node_id: UUID) -> None:
    """It is not known any more; what it sent stays."""
    row = await db.one(conn, "SELECT organisation_id FROM dicom_node WHERE id = %s", (node_id,))
    await access.require(conn, actor, at, "dicom-node.edit", organisation_id=row["organisation_id"])
    await db.run(
        conn, "UPDATE dicom_node SET disabled_at = %s WHERE id = %s AND disabled_at IS NULL", (at, node_id)
    )
    await audit.record(
        conn, actor, at, "dicom-node.disable", "dicom-node", node_id, organisation_id=row["organisation_id"]
    )


async def nodes(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """Those of the actor's organisations."""
    await access.require(conn, actor, at, "dicom-node.read")
    reached = await access.organisations(conn, actor, at, (access.DEVICES, access.ADMIN))
    return await db.rows(
        conn, f"{_SHOWN} WHERE organisation_id = ANY(%s) ORDER BY name, id", (list(reached),)
    )


async def caller(
    conn: Connection, ae_title: str, address: str, certificate_sha256: str | None
) -> Sender | None:
    """Who calls, if that node may send: by certificate where one was shown, else by title and address."""
    row: dict[str, Any] | None
    if certificate_sha256 is not None:
        query = f"{_CALLER} AND certificate_sha256 = %s AND ae_title = %s"
        row = await db.maybe(conn, query, (certificate_sha256, ae_title))
    else:
        row = await db.maybe(conn, f"{_CALLER} AND address = %s::inet AND ae_title = %s", (address, ae_title))
    return None if row is None else sender(row["id"], row["organisation_id"])


_IN_USE: Final = (
    "SELECT id, organisation_id FROM dicom_node WHERE disabled_at IS NULL AND (may_send OR may_query)"
)
_CALLER: Final = "SELECT id, organisation_id FROM dicom_node WHERE disabled_at IS NULL AND may_send"


def sender(node_id: UUID, organisation_id: UUID) -> Sender:
    """A node as who sent something."""
    return Sender(organisation_id, f"node {node_id}")


async def authenticate(conn: Connection, token: str, _at: datetime) -> Actor | None:
    """The node that holds this token, as an actor."""
    row = await db.maybe(conn, f"{_IN_USE} AND token_sha256 = %s", (token_hash(token),))
    return None if row is None else Actor("node", str(row["id"]))


async def sender_of(
    conn: Connection, actor: Actor, at: datetime, organisation_id: UUID | None, care: Iterable[str]
) -> Sender:
    """In whose name an actor stores: a node's clinic, or that of a person, who names it if there are several."""
    if actor.kind == "node":
        row = await db.one(conn, f"{_CALLER} AND id = %s", (UUID(actor.id),))
        return sender(row["id"], row["organisation_id"])
    if organisation_id is None:
        held = await db.rows(
            conn,
            """SELECT DISTINCT organisation_id FROM role_assignment WHERE account_id = %s AND role = ANY(%s)
                 AND valid_from <= %s AND (valid_until IS NULL OR valid_until > %s)""",
            (actor.account_id, list(care), at, at),
        )
        if len(held) != 1:
            raise errors.error("bad_field", field="organisation_id", expected="the clinic that stores")
        organisation_id = UUID(str(held[0]["organisation_id"]))
    return Sender(organisation_id, f"person {actor.id}")
