"""Findings of the live analysis and the alarms made of them, into the database."""

from collections.abc import Sequence
from datetime import datetime

import psycopg

from hub.alarms.findings import Found, store_findings
from hub.alarms.raising import raise_from_finding, source_key, with_alarm
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.core.logging import failure_place, log
from hub.ingest.bindings import Recording


async def store_found(
    conn: Connection, actor: Actor, at: datetime, found: Sequence[tuple[Recording, Found]]
) -> None:
    """Findings and their alarms; one that can't be stored holds up neither the others nor the samples."""
    try:
        async with conn.transaction():
            await store_findings(conn, at, [one for _, one in found])
            known = await with_alarm(conn, [source_key(recording.id, one) for recording, one in found])
            for recording, one in found:  # most findings only enter the list
                if one.finding.priority is not None or source_key(recording.id, one) in known:
                    await raise_from_finding(conn, actor, at, recording, one)
    except Exception as failure:
        if isinstance(failure, psycopg.Error) and db.why_away(failure):
            raise
        if len(found) == 1:
            return log("ingest.spared", recording=str(found[0][0].id), failure=failure_place(failure))
        for half in (found[: len(found) // 2], found[len(found) // 2 :]):
            await store_found(conn, actor, at, half)
