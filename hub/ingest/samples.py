"""Samples and their ledger in PostgreSQL: account for a batch, lock and update the ledgers, compare, COPY what is new.

One set of statements for a whole batch, whatever the number of devices. The process remembers the ledgers it wrote
last (`hub.ingest.steady`); an update takes the row lock and holds only if the row still is what was remembered. Where
it is not (another process believes to own the shard, a person closed the recording) the row is read under its lock and
the account is made anew. So the table stays the authority, and two processes write one after the other.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np

from devices.packet import WaveformPacket
from devices.sequencing import Ledger, Ranges
from hub.core import db
from hub.core.columns import Column, Instants, Int8s, Texts, Uuids
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


class Arrival(NamedTuple):
    """A packet bound to its recording, and the message it came in."""

    item: Item
    recording: Recording
    packet: WaveformPacket
    key: Key
    received_s: float


def arrival_of(item: Item, recording: Recording, packet: WaveformPacket) -> Arrival:
    return Arrival(item, recording, packet, (recording.id, packet.boot), item.received.received_s)


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


async def store_samples(
    conn: Connection, arrivals: Sequence[Arrival], days: Days, known: Mapping[Key, Boot]
) -> Stored:
    """Store what is new of the packets and bring the ledger up to date; `known` is what the rows are taken for."""
    grouped: dict[Key, list[Arrival]] = {}
    for arrival in arrivals:
        grouped.setdefault(arrival.key, []).append(arrival)
    before: dict[Key, Boot] = {}
    accounts: dict[Key, Account[Item]] = {}
    todo = sorted(grouped.items(), key=lambda one: (one[0][0].int, one[0][1]))  # rows are locked in one order
    while todo:
        unknown = {key: own[0] for key, own in todo if key not in known}
        found = await lock_boots(conn, unknown) if unknown else {}
        boots = [found.get(key) or known[key] for key, _ in todo]
        results = [_account(boot, own) for boot, (_, own) in zip(boots, todo, strict=True)]
        outdated = await _replace_boots(conn, boots, [result.boot for result in results])
        for (key, _), boot, result in zip(todo, boots, results, strict=True):
            before[key], accounts[key] = boot, result
        todo, known = [todo[place] for place in outdated], {}
    conflicts = await _conflicts(conn, accounts)
    pieces = [piece for result in accounts.values() for piece in result.pieces]
    await days.ensure(conn, {piece.at_us // DAY_US for piece in pieces})
    await _copy(conn, pieces)
    return Stored(
        {key: result.boot for key, result in accounts.items()},
        before,
        frozenset(key for key, result in accounts.items() if result.claims),
        tuple(conflicts),
        tuple(item for result in accounts.values() for item in result.implausible),
        sum(piece.end - piece.first for piece in pieces),
    )


def _account(boot: Boot, arrivals: Sequence[Arrival]) -> Account[Item]:
    """An event may have named a boot before its first packet: it is the packet that fixes the time line."""
    if not boot.ledger.stored:
        boot = boot._replace(anchor_us=anchor_for(arrivals[0].packet, arrivals[0].received_s))
    return account(boot, [(a.item, a.packet, a.received_s) for a in arrivals])


async def lock_boots(conn: Connection, wanted: dict[Key, Arrival]) -> dict[Key, Boot]:
    """The boots of these packets, locked; those not known before begin here."""
    anchors = {key: anchor_for(a.packet, a.received_s) for key, a in wanted.items()}
    boots = await locked(conn, list(wanted))
    missing = {key: anchor for key, anchor in anchors.items() if key not in boots}
    if missing:
        await open_boots(conn, missing)
        boots |= await locked(conn, list(missing))
    return boots


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


async def save_boots(conn: Connection, before: Sequence[Boot], boots: Sequence[Boot]) -> None:
    """Write the ledgers of locked boots: as they were, as they are now."""
    await _replace_boots(conn, before, boots)


async def _replace_boots(conn: Connection, before: Sequence[Boot], boots: Sequence[Boot]) -> list[int]:
    """Write ledgers where the row is what it was taken for; the places in `boots` of those where it is not.

    A row that another transaction holds is waited for, and compared as that one leaves it.
    """
    row = await db.one(
        conn,
        "WITH done AS (UPDATE recording_boot b SET anchor_at = k.anchor, produced_samples = k.produced,"
        "   oldest_sample = k.oldest, final_samples = nullif(k.final, -1), final_known = k.final >= 0,"
        "   have = k.have::int8multirange"
        "  FROM unnest(%s::uuid[], %s::bigint[],"
        "    %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],"
        "    %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[]) WITH ORDINALITY"
        "   AS k (r, n, was_anchor, was_produced, was_oldest, was_final, was_have,"
        "    anchor, produced, oldest, final, have, place)"
        "  WHERE b.recording_id = k.r AND b.boot = k.n AND b.anchor_at = k.was_anchor"
        "   AND b.produced_samples = k.was_produced AND b.oldest_sample = k.was_oldest"
        "   AND coalesce(CASE WHEN b.final_known THEN b.final_samples END, -1) = k.was_final"
        "   AND b.have = k.was_have::int8multirange RETURNING k.place)"
        " SELECT coalesce(array_agg(place), '{}') AS places FROM done",
        (
            Uuids([boot.recording_id for boot in boots]), Int8s([boot.boot for boot in boots]), *_columns(before),
            *_columns(boots),
        ),
    )  # fmt: skip
    if len(row["places"]) == len(boots):
        return []
    return sorted(set(range(len(boots))) - {place - 1 for place in row["places"]})


def _columns(boots: Sequence[Boot]) -> tuple[Column, ...]:
    """Anchor, samples seen, oldest, final count or -1, what is stored."""
    ledgers = [boot.ledger for boot in boots]
    return (
        Instants([boot.anchor_us for boot in boots]),
        Int8s([ledger.seen for ledger in ledgers]),
        Int8s([ledger.oldest for ledger in ledgers]),
        Int8s([-1 if ledger.final is None else ledger.final for ledger in ledgers]),
        Texts([text_of(ledger.stored) for ledger in ledgers]),
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
    parts: list[bytes] = []
    for recording_id, boot, first, at_us, electrodes_off, samples in pieces:
        parts += (
            _COPY_ROW.pack(
                7, 16, recording_id.bytes, 8, boot, 8, first, 8, at_us - _EPOCH_2000_US, 4, samples.shape[1],
                4, electrodes_off, samples.nbytes,
            ),
            samples.astype(_SINT16_LE, "C", copy=False).tobytes(),
        )  # fmt: skip
    await copy_rows(conn, parts)


async def copy_rows(conn: Connection, parts: Sequence[bytes]) -> None:
    """Rows of `ecg_packet` as COPY takes them in binary."""
    async with (
        conn.cursor() as cursor,
        cursor.copy(
            "COPY ecg_packet (recording_id, boot, first_sample, at, sample_count, electrodes_off, samples)"
            " FROM STDIN (FORMAT binary)"
        ) as copy,
    ):
        await copy.write(b"".join([_COPY_HEAD, *parts, _COPY_END]))
