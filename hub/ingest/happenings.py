"""Events of a batch: kept with the recording they belong to, and what they say of its ledger accounted for.

`boot` tells the last count of the boot before, `end` the final count of each boot, `discard` and `end` what the
device no longer holds; all of it may come late, twice, or before the samples it speaks of.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from devices import sequencing
from devices.event import Event
from devices.sequencing import Ledger
from hub.core import db
from hub.core.db import Connection
from hub.ingest.accounting import MICROSECOND, Boot, Key
from hub.ingest.bindings import Device, Recording
from hub.ingest.decoding import Item
from hub.ingest.samples import locked, open_boots, save_boots

# Kinds that say something of the device itself; without a recording its state is all there is to keep.
OF_THE_DEVICE: Final = frozenset({"boot", "online", "offline", "battery", "command"})

_DETAIL_FIELDS: Final = (
    "previous_boot", "previous_count", "counts", "oldest", "electrodes_off", "battery_percent", "latitude_deg",
    "longitude_deg", "command_id", "detail",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Happening:
    """An event bound to a recording, if there is one."""

    item: Item
    device: Device
    recording: Recording | None
    event: Event

    @property
    def received_s(self) -> float:
        return self.item.received.received_s

    @property
    def id(self) -> str:
        """Unique among all devices."""
        return f"{self.device.id}/{self.event.id}"


Change = Callable[[Ledger], Ledger]


async def store_events(
    conn: Connection, at: datetime, happenings: Sequence[Happening]
) -> tuple[dict[Key, Boot], dict[Key, Boot], set[str]]:
    """Account for events and keep them; the boots they spoke of, the same as they were, the ids of what is new."""
    boots, before = await _account(conn, happenings)
    bound = {h.id: h for h in happenings if h.recording is not None}
    return boots, before, await _keep(conn, at, list(bound.values()))


async def _account(
    conn: Connection, happenings: Sequence[Happening]
) -> tuple[dict[Key, Boot], dict[Key, Boot]]:
    changes: dict[Key, list[Change]] = defaultdict(list)
    anchors_us: dict[Key, int] = {}
    for h in happenings:
        for key, change in _changes(h):
            changes[key].append(change)
            anchors_us.setdefault(key, round(h.received_s * MICROSECOND))
    if not changes:
        return {}, {}
    await open_boots(conn, anchors_us)
    before = await locked(conn, list(changes))
    boots = dict(before)
    for key, own in changes.items():
        for change in own:
            boots[key] = boots[key]._replace(ledger=change(boots[key].ledger))
    await save_boots(conn, list(before.values()), list(boots.values()))
    return boots, before


def _changes(h: Happening) -> list[tuple[Key, Change]]:
    """What an event says of the ledgers of its recording."""
    event, recording = h.event, h.recording
    if recording is None or event.recording is None:
        return []
    found: list[tuple[int, Change]] = []
    if event.kind == "boot" and event.boot is not None:
        found.append((event.boot, lambda ledger: ledger))  # there will be samples of it
        if event.previous_boot is not None and event.previous_count is not None:
            found.append((event.previous_boot, _finish(event.previous_count)))
    if event.kind == "end":
        found += [(boot, _finish(count)) for boot, count in event.counts]
    if event.kind in ("end", "discard"):
        found += [(boot, _declare(oldest)) for boot, oldest in event.oldest]
    return [((recording.id, boot), change) for boot, change in found]


def _finish(count: int) -> Change:
    return lambda ledger: sequencing.finish(ledger, count)


def _declare(oldest: int) -> Change:
    return lambda ledger: sequencing.declare(ledger, oldest)


async def _keep(conn: Connection, at: datetime, happenings: Sequence[Happening]) -> set[str]:
    if not happenings:
        return set()
    rows = [(h, h.recording) for h in happenings if h.recording is not None]
    found = await db.rows(
        conn,
        "INSERT INTO recording_event (id, recording_id, device_id, kind, at, boot, sample, detail, received_at)"
        " SELECT k.*, %s FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[],"
        "  %s::bigint[], %s::bigint[], %s::jsonb[]) AS k ON CONFLICT DO NOTHING RETURNING id",
        (
            at,
            [h.id for h, _ in rows],
            [recording.id for _, recording in rows],
            [h.device.id for h, _ in rows],
            [h.event.kind for h, _ in rows],
            [_instant(h) for h, _ in rows],
            [h.event.boot for h, _ in rows],
            [h.event.sample for h, _ in rows],
            [json.dumps(_detail(h.event)) for h, _ in rows],
        ),
    )
    return {row["id"] for row in found}


def _instant(h: Happening) -> datetime:
    """When it happened by the hub's clock: a copy says how old it is; a will can't and is as old as it looks."""
    event = h.event
    age_s = 0.0 if event.sent_time_s is None else event.sent_time_s - event.device_time_s
    return datetime.fromtimestamp(h.received_s - max(age_s, 0.0), UTC)


def _detail(event: Event) -> dict[str, Any]:
    values = {name: getattr(event, name) for name in _DETAIL_FIELDS}
    return {name: value for name, value in values.items() if value not in (None, (), "")}
