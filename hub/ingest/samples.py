"""Samples and their ledger in PostgreSQL: lock the boots of a batch, compare, COPY what is new, update the account.

One set of statements for a whole batch, whatever the number of devices; the row lock on (recording, boot) makes two
processes that both believe to own a shard write one after the other.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from devices.packet import WaveformPacket
from devices.sequencing import Ledger, Ranges
from hub.core import db
from hub.core.db import Connection
from hub.ingest.accounting import (
    MICROSECOND,
    Account,
    Boot,
    Key,
    Piece,
    account,
    anchor_for,
    contradicted,
)
from hub.ingest.bindings import Recording
from hub.ingest.days import DAY_US, Days
from hub.ingest.decoding import Item
from hub.telemetry.blocks import Span, stored_pieces

_EPOCH_2000_US: Final = 946_684_800 * MICROSECOND
_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = struct.pack(">h", -1)
# Seven columns, each with its length before it (COPY ... FORMAT binary).
_COPY_ROW: Final = struct.Struct(">hi16siqiqiqiiiii")
_SINT16_LE: Final = np.dtype("<i2")


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A packet bound to its recording, and the message it came in."""

    item: Item
    recording: Recording
    packet: WaveformPacket

    @property
    def received_s(self) -> float:
        return self.item.received.received_s

    @property
    def key(self) -> Key:
        return self.recording.id, self.packet.boot


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the packets of a batch."""

    boots: dict[Key, Boot]
    before: dict[Key, Boot]  # the same boots as they were
    with_duplicates: frozenset[Key]
    conflicts: tuple[Item, ...]
    implausible: tuple[Item, ...]
    samples: int  # new ones, of one lead


def instant(us: int) -> datetime:
    """Microseconds of unix time as an aware instant."""
    seconds, rest = divmod(us, MICROSECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def microseconds(at: datetime) -> int:
    """The inverse of `instant`, exactly."""
    return int(at.timestamp()) * MICROSECOND + at.microsecond


async def store_samples(conn: Connection, arrivals: Sequence[Arrival], days: Days) -> Stored:
    """Store what is new of the packets and bring the ledger up to date."""
    grouped: dict[Key, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        grouped[arrival.key].append(arrival)
    boots = await lock_boots(conn, {key: own[0] for key, own in grouped.items()})
    accounts = {
        key: account(boots[key], [(a.item, a.packet, a.received_s) for a in own])
        for key, own in grouped.items()
    }
    conflicts = await _conflicts(conn, accounts)
    pieces = [piece for result in accounts.values() for piece in result.pieces]
    await days.ensure(conn, {piece.at_us // DAY_US for piece in pieces})
    await _copy(conn, pieces)
    await save_boots(conn, [result.boot for result in accounts.values()])
    return Stored(
        {key: result.boot for key, result in accounts.items()},
        boots,
        frozenset(key for key, result in accounts.items() if result.claims),
        tuple(conflicts),
        tuple(item for result in accounts.values() for item in result.implausible),
        sum(piece.end - piece.first for piece in pieces),
    )


async def lock_boots(conn: Connection, wanted: dict[Key, Arrival]) -> dict[Key, Boot]:
    """The boots of these packets, locked; those not known before begin here.

    An event may have named a boot before its first packet: it is the packet that fixes the time line.
    """
    anchors = {key: anchor_for(a.packet, a.received_s) for key, a in wanted.items()}
    boots = await locked(conn, list(wanted))
    missing = {key: anchor for key, anchor in anchors.items() if key not in boots}
    if missing:
        await open_boots(conn, missing)
        boots |= await locked(conn, list(missing))
    return {
        key: boot if boot.ledger.stored else replace(boot, anchor_us=anchors[key])
        for key, boot in boots.items()
    }


async def open_boots(conn: Connection, anchors_us: dict[Key, int]) -> None:
    """Begin the accounts of boots; nothing happens to those that are there."""
    keys = sorted(anchors_us)
    await conn.execute(
        "INSERT INTO recording_boot (recording_id, boot, anchor_at, produced_samples, oldest_sample, have)"
        " SELECT r, n, anchor, 0, 0, '{}' FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[])"
        "  AS k (r, n, anchor) ON CONFLICT DO NOTHING",
        ([key[0] for key in keys], [key[1] for key in keys], [instant(anchors_us[key]) for key in keys]),
    )


async def locked(conn: Connection, keys: Sequence[Key]) -> dict[Key, Boot]:
    """Those of the boots that are in the table, locked in one order."""
    found = await db.rows(
        conn,
        "SELECT b.recording_id, b.boot, b.anchor_at, b.produced_samples, b.oldest_sample, b.final_samples,"
        "  b.final_known, b.have::text AS have"
        " FROM unnest(%s::uuid[], %s::bigint[]) AS k (r, b) JOIN recording_boot b"
        "   ON b.recording_id = k.r AND b.boot = k.b"
        " ORDER BY b.recording_id, b.boot FOR UPDATE OF b",
        ([key[0] for key in keys], [key[1] for key in keys]),
    )
    return {(row["recording_id"], row["boot"]): boot_of(row) for row in found}


def boot_of(row: dict[str, Any]) -> Boot:
    """A row of `recording_boot` (with `have` as text)."""
    final = row["final_samples"] if row["final_known"] else None
    ledger = Ledger(ranges_of(row["have"]), row["oldest_sample"], row["produced_samples"], final)
    return Boot(row["recording_id"], row["boot"], microseconds(row["anchor_at"]), ledger)


def ranges_of(text: str) -> Ranges:
    """PostgreSQL's `{[0,250),[500,750)}`."""
    if text == "{}":
        return ()
    pairs = (part.split(",") for part in text[2:-2].split("),["))
    return tuple((int(low), int(high)) for low, high in pairs)


def text_of(ranges: Ranges) -> str:
    """The inverse of `ranges_of`."""
    return "{" + ",".join(f"[{first},{end})" for first, end in ranges) + "}"


async def save_boots(conn: Connection, boots: Iterable[Boot]) -> None:
    """Write the ledgers of locked boots."""
    rows = list(boots)
    await conn.execute(
        "UPDATE recording_boot b SET anchor_at = k.anchor, produced_samples = k.produced, oldest_sample = k.oldest,"
        "  final_samples = k.final, final_known = k.final IS NOT NULL, have = k.have::int8multirange"
        " FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[],"
        "  %s::text[]) AS k (r, n, anchor, produced, oldest, final, have)"
        " WHERE b.recording_id = k.r AND b.boot = k.n",
        (
            [boot.recording_id for boot in rows],
            [boot.boot for boot in rows],
            [instant(boot.anchor_us) for boot in rows],
            [boot.ledger.seen for boot in rows],
            [boot.ledger.oldest for boot in rows],
            [boot.ledger.final for boot in rows],
            [text_of(boot.ledger.stored) for boot in rows],
        ),
    )


async def _conflicts(conn: Connection, accounts: dict[Key, Account[Item]]) -> list[Item]:
    """Compare packets with what was stored before and with what came earlier in this batch."""
    claimed = {key: result for key, result in accounts.items() if result.claims}
    if not claimed:
        return []
    stored = await _stored_pieces(conn, claimed)
    return [
        item
        for key, result in claimed.items()
        for item in contradicted(result.claims, [*stored[key], *result.pieces])
    ]


async def _stored_pieces(conn: Connection, claimed: dict[Key, Account[Item]]) -> dict[Key, list[Piece]]:
    """What is stored under the claims: one index range for each boot."""
    found: dict[Key, list[Piece]] = {key: [] for key in claimed}
    spans = [_span(key, result) for key, result in claimed.items()]
    for piece in await stored_pieces(conn, spans, skip_damaged=True):
        key = piece.recording_id, piece.boot
        line_us = microseconds(piece.at)
        found[key].append(Piece(*key, piece.first_sample, line_us, piece.electrodes_off, piece.samples))
    return found


def _span(key: Key, result: Account[Item]) -> Span:
    ranges = [claim.ranges for claim in result.claims]
    return Span(*key, min(part[0][0] for part in ranges), max(part[-1][1] for part in ranges))


async def _copy(conn: Connection, pieces: Sequence[Piece]) -> None:
    """COPY in binary, rows laid out by hand: the cheapest way in by far."""
    if not pieces:
        return
    parts = [_COPY_HEAD]
    for piece in pieces:
        data = np.ascontiguousarray(piece.samples, _SINT16_LE).tobytes()
        parts += (
            _COPY_ROW.pack(
                7, 16, piece.recording_id.bytes, 8, piece.boot, 8, piece.first, 8, piece.at_us - _EPOCH_2000_US,
                4, piece.samples.shape[1], 4, piece.electrodes_off, len(data),
            ),
            data,
        )  # fmt: skip
    parts.append(_COPY_END)
    async with (
        conn.cursor() as cursor,
        cursor.copy(
            "COPY ecg_packet (recording_id, boot, first_sample, at, sample_count, electrodes_off, samples)"
            " FROM STDIN (FORMAT binary)"
        ) as copy,
    ):
        await copy.write(b"".join(parts))
