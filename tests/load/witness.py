"""A witness inside PostgreSQL: when each packet was committed, whatever becomes of its row later.

A trigger of the test's own notes every inserted packet with its transaction; PostgreSQL keeps the instants of commits
(`track_commit_timestamp`). So every acknowledgement a device got can be held against the instant at which its samples
were there for good, over crashes and compactions.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from hub.core.postgres import DATABASE, Cluster
from tests.nemesis.history import Key, of_kind

SCHEMA: Final = """
CREATE TABLE witness (
    number bigint GENERATED ALWAYS AS IDENTITY, recording_id uuid NOT NULL, boot bigint NOT NULL,
    first_sample bigint NOT NULL, end_sample bigint NOT NULL, xact xid NOT NULL DEFAULT pg_current_xact_id()::xid
);
CREATE FUNCTION witness_packets() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO witness (recording_id, boot, first_sample, end_sample)
    SELECT recording_id, boot, first_sample, first_sample + sample_count FROM fresh;
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER INSERT ON ecg_packet REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION witness_packets();
"""


@dataclass(frozen=True)
class Commit:
    """A packet that was stored."""

    at_s: float
    first: int
    end: int


def allow(cluster: Cluster) -> None:
    """Before the server starts: have it keep the instants of commits."""
    with (cluster.folder / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
        settings.write("track_commit_timestamp = on\n")


def superuser_dsn(cluster: Cluster) -> str:
    return psycopg.conninfo.make_conninfo(cluster.superuser_dsn, dbname=DATABASE)


async def install(dsn: str) -> None:
    """Once the schema is there, and before the first packet."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(SCHEMA)


async def commits(dsn: str) -> dict[Key, list[Commit]]:
    """All stored packets of each boot, in the order in which they were written."""
    found: dict[Key, list[Commit]] = defaultdict(list)
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        cursor = await conn.execute(
            "SELECT recording_id, boot, extract(epoch FROM pg_xact_commit_timestamp(xact))::float8, first_sample,"
            " end_sample FROM witness ORDER BY number"
        )
        async for recording_id, boot, at_s, first, end in cursor:
            found[recording_id, boot].append(Commit(at_s, first, end))
    return dict(found)


def early_acknowledgements(
    history: Sequence[Mapping[str, Any]], stored: Mapping[Key, Sequence[Commit]]
) -> tuple[int, list[str]]:
    """How many acknowledgements devices got, and those that covered samples not yet committed at that instant.

    An acknowledgement tells the first sample not committed, all below it are: stored, or given up by the device
    (`oldest`), which only happens in runs that mean it.
    """
    lines = {key: _covered(packets) for key, packets in stored.items()}
    told, early = 0, []
    for row in of_kind(history, "ack"):
        if row["recording"] is None or not row["next_sample"]:
            continue
        told += 1
        instants, ends = lines.get((UUID(row["recording"]), row["boot"]), ([], []))
        known = bisect_right(instants, row["at_s"] + 0.001)  # the history is written in milliseconds
        covered = ends[known - 1] if known else 0
        if covered < row["next_sample"]:
            early.append(f"{row['device']}: told {row['next_sample']}, committed {covered}, at {row['at_s']}")
    return told, early


def _covered(packets: Sequence[Commit]) -> tuple[list[float], list[int]]:
    """Instants of commits, and up to where the boot was stored without a hole from then on."""
    instants, ends = [], []
    waiting: dict[int, int] = {}  # first -> end, beyond a hole
    covered = 0
    for packet in sorted(packets, key=lambda one: one.at_s):
        waiting[packet.first] = packet.end
        while covered in waiting:
            covered = waiting.pop(covered)
        instants.append(packet.at_s)
        ends.append(covered)
    return instants, ends


def out_of_order(stored: Mapping[Key, Sequence[Commit]]) -> int:
    """Packets written after one of a higher index."""
    count = 0
    for packets in stored.values():
        highest = 0
        for packet in packets:
            count += packet.first < highest
            highest = max(highest, packet.end)
    return count
