"""Handing a recording's live analyser from one owner of its shard to the next: saved states, and samples since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from hub.core import db
from hub.core.db import Connection
from hub.ingest.accounting import Key
from hub.ingest.analysis import Snapshot
from hub.ingest.bindings import Recording
from hub.ingest.samples import microseconds
from hub.ingest.signals import Signal
from hub.telemetry.blocks import Span, stored_pieces

REPLAYED_S: Final = 180  # a state is at most a minute old when its owner dies; older ones are not worth it


@dataclass(slots=True)
class Inheritance:
    """What a former owner of a shard left of some recordings."""

    snapshots: list[Snapshot] = field(default_factory=list)
    anchors_us: dict[Key, int] = field(default_factory=dict)
    missed: list[Signal] = field(default_factory=list)  # stored since the states were saved


async def read_inheritance(conn: Connection, recordings: Mapping[UUID, Recording]) -> Inheritance:
    """Saved states of these recordings and what was stored since.

    A state of a boot that has no row was saved while its first samples were still on their way to storage; they come
    again, and the analyser begins anew with them.
    """
    rows = await db.rows(
        conn,
        "SELECT s.recording_id, s.boot, s.next_sample, s.state, b.anchor_at FROM analyser_state s"
        " JOIN recording_boot b USING (recording_id, boot) WHERE s.recording_id = ANY(%s)",
        (list(recordings),),
    )
    left = Inheritance()
    for row in rows:
        one = Snapshot(row["recording_id"], row["boot"], row["next_sample"], row["state"])
        left.snapshots.append(one)
        left.anchors_us[one.recording_id, one.boot] = microseconds(row["anchor_at"])
        left.missed += await _since(conn, recordings[one.recording_id], one)
    return left


async def save(conn: Connection, at: datetime, snapshots: Iterable[Snapshot]) -> None:
    """Keep states for the next owner, all in one statement: each would cost a turn of the loop that reads. One that
    has come further is not replaced: a process that hung and lost its shards may still have an older one to save.
    """
    newest: dict[UUID, Snapshot] = {}
    for one in sorted(snapshots, key=lambda one: (one.boot, one.next_sample)):
        newest[one.recording_id] = one
    kept = list(newest.values())
    await db.run(
        conn,
        "INSERT INTO analyser_state (recording_id, boot, next_sample, state, saved_at)"
        " SELECT recording_id, boot, next_sample, state, %s"
        " FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bytea[])"
        " AS s (recording_id, boot, next_sample, state)"
        " ON CONFLICT (recording_id) DO UPDATE SET boot = excluded.boot,"
        " next_sample = excluded.next_sample, state = excluded.state, saved_at = excluded.saved_at"
        " WHERE (excluded.boot, excluded.next_sample) >= (analyser_state.boot, analyser_state.next_sample)",
        (
            at,
            [one.recording_id for one in kept],
            [one.boot for one in kept],
            [one.next_sample for one in kept],
            [one.state for one in kept],
        ),
    )


async def forget(conn: Connection, recording_ids: Iterable[UUID]) -> None:
    """Nobody takes up a recording that is over."""
    await conn.execute("DELETE FROM analyser_state WHERE recording_id = ANY(%s)", (list(recording_ids),))


async def _since(conn: Connection, recording: Recording, snapshot: Snapshot) -> list[Signal]:
    """What was stored of a recording after its state was saved, as far as that is worth replaying."""
    first = snapshot.next_sample
    span = Span(recording.id, snapshot.boot, first, first + REPLAYED_S * recording.fs_hz)
    return [
        Signal(recording, piece.boot, piece.first_sample, piece.electrodes_off, piece.samples)
        for piece in await stored_pieces(conn, [span], skip_damaged=True)
    ]


def replayed(snapshots: Sequence[Snapshot], signals: Iterable[Signal]) -> list[Signal]:
    """Those that continue their state without a gap; behind one the analyser begins anew anyway."""
    expected = {one.recording_id: one.next_sample for one in snapshots}
    continuing = []
    for signal in signals:
        if signal.first_sample == expected[signal.recording.id]:
            expected[signal.recording.id] = signal.end_sample
            continuing.append(signal)
    return continuing
