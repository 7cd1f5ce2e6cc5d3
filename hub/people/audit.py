"""The audit: who did what to which object, written in the transaction of what it tells of (design section 6).

One sealer chains the rows: each second it takes the rows not yet sealed and writes a seal, the SHA-256 over
the seal before and those rows. A chain inside every transaction would serialise the hub. A row that commits
late has a lower id than rows already sealed, so a seal lists its ids. `verify` names the first broken seal.
Into the detail go ids, counts and words of tables, never a name or value of a patient; only the reason for
breaking the glass is text somebody wrote.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.people import access

SEAL_EVERY_S = 1.0
ROWS_PER_SEAL = 5_000
# How far below the newest sealed id a row may still commit late: far more than come while a statement runs.
LATE_IDS = 100_000
UNSEALED_FOR = timedelta(seconds=60)  # a row that stays unsealed longer did not come through the hub
GENESIS = "0" * 64
SEALER_LOCK = 0x68756273_65616C  # "hubseal"
SEALED = "id, at, actor_kind, actor_id, action, object_kind, object_id, organisation_id, patient_id, detail"

Detail = str | int | float | bool | None


async def record(
    conn: Connection,
    actor: Actor,
    at: datetime,
    action: str,
    object_kind: str,
    object_id: UUID | str,
    *,
    organisation_id: UUID | None = None,
    patient_id: UUID | None = None,
    **detail: Detail,
) -> None:
    """Write one row; the last line of every service that decides or shows a patient's data.

    A row about a patient belongs to the patient's organisation unless another is named.
    """
    await db.run(
        conn,
        """INSERT INTO audit
             (at, actor_kind, actor_id, action, object_kind, object_id, organisation_id, patient_id, detail)
           VALUES (%(at)s, %(kind)s, %(actor)s, %(action)s, %(object_kind)s, %(object_id)s,
             coalesce(%(organisation)s, (SELECT organisation_id FROM patient WHERE id = %(patient)s)),
             %(patient)s, %(detail)s)""",
        {
            "at": at,
            "kind": actor.kind,
            "actor": actor.id,
            "action": action,
            "object_kind": object_kind,
            "object_id": str(object_id),
            "organisation": organisation_id,
            "patient": patient_id,
            "detail": Jsonb(detail),
        },
    )


async def entries(
    conn: Connection, actor: Actor, at: datetime, *, before: int | None, limit: int
) -> dict[str, Any]:
    """The newest rows of the auditor's organisations below an id, and up to when everything is sealed.

    Rows of no organisation (signing in, the hub's own jobs) are for the auditor of a root of the tree.
    """
    await access.require(conn, actor, at, "audit.read")
    reached = await access.organisations(conn, actor, at, [access.AUDITOR])
    found = await db.rows(
        conn,
        """SELECT a.id, a.at, a.actor_kind, a.actor_id, p.name AS actor_name, a.action, a.object_kind,
                  a.object_id, a.organisation_id, a.patient_id, a.detail, s.sequence AS seal
           FROM audit a LEFT JOIN audit_sealed s ON s.audit_id = a.id
           LEFT JOIN account p ON a.actor_kind = 'person' AND p.id::text = a.actor_id
           WHERE (a.organisation_id = ANY(%(reached)s) OR a.organisation_id IS NULL AND EXISTS (
                    SELECT FROM organisation WHERE parent_id IS NULL AND id = ANY(%(reached)s)))
             AND (%(before)s::bigint IS NULL OR a.id < %(before)s)
           ORDER BY a.id DESC LIMIT %(limit)s""",
        {"reached": list(reached), "before": before, "limit": limit},
    )
    seal = await db.maybe(conn, "SELECT sealed_at FROM audit_seal ORDER BY sequence DESC LIMIT 1")
    return {"entries": found, "sealed_until": seal["sealed_at"] if seal else None}


async def seal(conn: Connection, at: datetime) -> int:
    """Seal the rows that are not yet; how many. Two sealers wait for each other."""
    await db.run(conn, "SELECT pg_advisory_xact_lock(%s)", (SEALER_LOCK,))
    unsealed = await db.rows(
        conn,
        f"""SELECT {SEALED} FROM audit a
           WHERE a.id > coalesce((SELECT max(audit_id) FROM audit_sealed), 0) - %s
             AND NOT EXISTS (SELECT FROM audit_sealed s WHERE s.audit_id = a.id)
           ORDER BY a.id LIMIT %s""",
        (LATE_IDS, ROWS_PER_SEAL),
    )
    if not unsealed:
        return 0
    last = await db.maybe(conn, "SELECT sequence, sha256 FROM audit_seal ORDER BY sequence DESC LIMIT 1")
    sequence = last["sequence"] + 1 if last else 1
    row_ids = [row["id"] for row in unsealed]
    await db.run(
        conn,
        "INSERT INTO audit_seal (sequence, audit_ids, sha256, sealed_at) VALUES (%s, %s, %s, %s)",
        (sequence, row_ids, _digest(last["sha256"] if last else GENESIS, unsealed), at),
    )
    await db.run(
        conn,
        "INSERT INTO audit_sealed (audit_id, sequence) SELECT unnest(%s::bigint[]), %s",
        (row_ids, sequence),
    )
    return len(unsealed)


async def verify(conn: Connection, at: datetime) -> str | None:
    """None if every seal fits its rows and no row stands outside; else what is broken first, in words."""
    before, expected = GENESIS, 1
    async with conn.cursor(name="seals") as seals:
        await seals.execute("SELECT sequence, audit_ids, sha256, sealed_at FROM audit_seal ORDER BY sequence")
        async for row in seals:
            if row["sequence"] != expected:
                return f"seal {expected} is missing"
            covered = await db.rows(
                conn, f"SELECT {SEALED} FROM audit WHERE id = ANY(%s) ORDER BY id", (row["audit_ids"],)
            )
            if len(covered) != len(row["audit_ids"]) or _digest(before, covered) != row["sha256"]:
                return f"seal {expected} of {row['sealed_at'].isoformat()} does not fit its rows"
            before, expected = row["sha256"], expected + 1
    stray = await db.maybe(
        conn,
        """SELECT id FROM audit a WHERE at < %s AND NOT EXISTS (
             SELECT FROM (SELECT unnest(audit_ids) AS id FROM audit_seal) sealed WHERE sealed.id = a.id)
           ORDER BY id LIMIT 1""",
        (at - UNSEALED_FOR,),
    )
    return f"row {stray['id']} stands outside every seal" if stray else None


def _digest(before: str, rows: list[db.Row]) -> str:
    digest = hashlib.sha256(before.encode())
    for row in rows:
        digest.update(_canonical(row))
    return digest.hexdigest()


def _canonical(row: db.Row) -> bytes:
    """One byte string per row, the same on every machine."""
    plain = {name: None if value is None else str(value) for name, value in row.items() if name != "detail"}
    plain["at"] = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps([plain, row["detail"]], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"
