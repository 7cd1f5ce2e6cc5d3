"""Storing runs (`hub.ingest.steady`): one UPDATE of the ledgers and one COPY, laid out in columns.

The UPDATE holds only for rows that are as this process remembers them; what does not fit any more is told, and takes
the ordinary way in the same transaction.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from hub.core import db
from hub.core.columns import Instants, Int8s, Uuids
from hub.core.db import Connection
from hub.ingest.accounting import Boot, Key, at_us
from hub.ingest.bindings import Recording
from hub.ingest.days import DAY_US, Days
from hub.ingest.samples import copy_rows
from hub.ingest.steady import Rows, Run, Steady, follows
from hub.ingest.stretches import BEHIND_S, STRETCH_S
from hub.ingest.timeline import Heard

_EPOCH_2000_US: Final = 946_684_800 * 1_000_000


@dataclass(frozen=True, slots=True)
class Went:
    """What runs of one transaction have added: of each boot one entry, `last_s` is when its last packet came."""

    rows: Rows
    was_end: NDArray[np.int64]
    end: NDArray[np.int64]
    oldest: NDArray[np.int64]
    last_s: NDArray[np.float64]
    stored: list[Run] = field(default_factory=list)
    samples: int = 0  # of one lead

    def newest_with_news(self, steady: Steady) -> dict[Key, Heard]:
        """Of boots whose clocks told something, the newest of those packets."""
        return {
            steady.sources[run.rows[place]].key: run.heard(place)
            for run in self.stored
            for place in np.flatnonzero(run.has_news).tolist()
        }

    def become_complete(
        self, steady: Steady
    ) -> tuple[dict[UUID, Recording], dict[Key, Boot], dict[Key, Boot]]:
        """Boots of which a stretch may have become complete: their recordings, as they were, as they are."""
        fs_hz = steady.columns["fs_hz"][self.rows]
        number = [(end - BEHIND_S * fs_hz) // (STRETCH_S * fs_hz) for end in (self.was_end, self.end)]
        recordings: dict[UUID, Recording] = {}
        before: dict[Key, Boot] = {}
        after: dict[Key, Boot] = {}
        for n in np.flatnonzero(number[0] != number[1]):
            row = int(self.rows[n])
            source = steady.sources[row]
            was_oldest = int(steady.columns["oldest"][row])
            before[source.key] = steady.boot(row, int(self.was_end[n]), was_oldest)
            after[source.key] = steady.boot(row, int(self.end[n]), int(self.oldest[n]))
            recordings[source.recording.id] = source.recording
        return recordings, before, after


_NONE: Final = np.empty(0, np.int64)
NOTHING: Final = Went(_NONE, _NONE, _NONE, _NONE, np.empty(0))


async def store_runs(
    conn: Connection, steady: Steady, days: Days, runs: Sequence[Run], apart: Rows
) -> tuple[Went, list[NDArray[np.bool_]]]:
    """Store what goes on from what is stored, except the rows `apart`; also which packets of each run were stored."""
    if not runs or any(run.generation != steady.generation for run in runs):  # rows of a table that is gone
        return NOTHING, [np.zeros(len(run), np.bool_) for run in runs]
    rows = np.concatenate([run.rows for run in runs])
    first = np.concatenate([run.stack.first_sample for run in runs])
    end = np.concatenate([run.stack.end_sample for run in runs])
    oldest = np.concatenate([run.stack.oldest for run in runs])
    came_s = np.concatenate([run.received_s for run in runs])
    fits = follows(rows, first, end, steady.columns["stored_end"]) & steady.columns["is_whole"][rows]
    fits = ~np.isin(rows, np.concatenate([rows[~fits], apart]))
    went = _went(steady, rows, end, oldest, came_s, fits)
    outdated = await _advance(conn, steady, went)
    if len(outdated):
        fits &= ~np.isin(rows, outdated)
        went = _went(steady, rows, end, oldest, came_s, fits)
    masks = np.split(fits, np.cumsum([len(run) for run in runs])[:-1])
    stored = [
        run if mask.all() else run.only(mask) for run, mask in zip(runs, masks, strict=True) if mask.any()
    ]
    if stored:
        await _copy(conn, steady, days, stored)
    count = sum(len(run) * run.stack.mould.sample_count for run in stored)
    return Went(went.rows, went.was_end, went.end, went.oldest, went.last_s, stored, count), masks


def _went(
    steady: Steady,
    rows: Rows,
    end: NDArray[np.int64],
    oldest: NDArray[np.int64],
    came_s: NDArray[np.float64],
    fits: NDArray[np.bool_],
) -> Went:
    places = np.flatnonzero(fits)
    if not len(places):
        return NOTHING
    order = places[np.argsort(rows[places], kind="stable")]
    own = rows[order]
    begins = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
    last = order[np.append(begins[1:], len(order)) - 1]
    each, columns = own[begins], steady.columns
    held = np.maximum(columns["oldest"][each], np.maximum.reduceat(oldest[order], begins))
    return Went(each, columns["stored_end"][each], end[last], held, came_s[last])


async def _advance(conn: Connection, steady: Steady, went: Went) -> Rows:
    """Write the ledgers; the rows of the boots that are not what they were taken for."""
    if not len(went.rows):
        return _NONE
    own = steady.columns[went.rows]
    done = await db.one(
        conn,
        "WITH done AS (UPDATE recording_boot b SET produced_samples = k.until, oldest_sample = k.oldest,"
        "   have = b.have + int8multirange(int8range(k.was, k.until))"
        "  FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[],"
        "    %s::bigint[]) WITH ORDINALITY AS k (r, n, anchor, was, was_oldest, until, oldest, place)"
        "  WHERE b.recording_id = k.r AND b.boot = k.n AND b.anchor_at = k.anchor"
        "   AND b.produced_samples = k.was AND b.oldest_sample = k.was_oldest AND NOT b.final_known"
        "   AND upper(b.have) = k.was RETURNING k.place)"
        " SELECT CASE WHEN count(*) < %s THEN array_agg(place) END AS places, count(*) AS count FROM done",
        (
            Uuids(own["recording"]), Int8s(own["boot"]), Instants(own["anchor_us"]), Int8s(went.was_end),
            Int8s(own["oldest"]), Int8s(went.end), Int8s(went.oldest), len(went.rows),
        ),
    )  # fmt: skip
    if done["count"] == len(went.rows):
        return _NONE
    kept = np.array(done["places"] or [], np.int64) - 1
    return np.delete(went.rows, kept)


async def _copy(conn: Connection, steady: Steady, days: Days, runs: Sequence[Run]) -> None:
    parts: list[bytes] = []
    on_days: set[int] = set()
    for run in runs:
        own, stack = steady.columns[run.rows], run.stack
        at = at_us(own["anchor_us"], stack.first_sample, stack.mould.fs_hz)
        on_days |= set(np.unique(at // DAY_US).tolist())
        rows = np.empty(len(run), _copy_row(stack.mould.samples_end - stack.mould.samples_at))
        for name, value in _LENGTHS.items():
            rows[name] = value
        rows["recording_id"], rows["boot"], rows["first_sample"] = (
            own["recording"],
            own["boot"],
            stack.first_sample,
        )
        rows["at"], rows["sample_count"] = at - _EPOCH_2000_US, stack.mould.sample_count
        rows["electrodes_off"], rows["samples_size"] = stack.electrodes_off, stack.sample_bytes.shape[1]
        plain = rows.view(np.uint8).reshape(len(run), -1)
        plain[:, -stack.sample_bytes.shape[1] :] = stack.sample_bytes
        parts.append(plain.tobytes())
    await days.ensure(conn, on_days)
    await copy_rows(conn, parts)


# Seven columns, each with its length before it (COPY ... FORMAT binary), as `samples` lays them out.
_LENGTHS: Final = {
    "columns": 7, "recording_size": 16, "boot_size": 8, "first_size": 8, "at_size": 8, "count_size": 4, "off_size": 4,
}  # fmt: skip


@functools.lru_cache(256)
def _copy_row(sample_bytes: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("columns", ">i2"), ("recording_size", ">i4"), ("recording_id", "V16"), ("boot_size", ">i4"),
            ("boot", ">i8"), ("first_size", ">i4"), ("first_sample", ">i8"), ("at_size", ">i4"), ("at", ">i8"),
            ("count_size", ">i4"), ("sample_count", ">i4"), ("off_size", ">i4"), ("electrodes_off", ">i4"),
            ("samples_size", ">i4"),
            ("samples", f"V{sample_bytes}"),
        ]
    )  # fmt: skip
