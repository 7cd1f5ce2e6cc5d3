"""One tick: sort out what came, and bring all of it into one transaction.

`sort_out` is pure; `store` is the transaction. A message is acknowledged to the broker only after `store` has
committed, and then wholly: each of its parts is stored or set aside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import compress
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from hub.core import db
from hub.core.db import Connection
from hub.ingest import happenings, measurements, record_pass, samples
from hub.ingest.accounting import LONGEST_BOOT_S, Boot, Key, at_us
from hub.ingest.bindings import Bindings, Device, Recording
from hub.ingest.days import Days
from hub.ingest.decoding import Item, Refusal, hub_failure
from hub.ingest.happenings import OF_THE_DEVICE, Happening
from hub.ingest.measurements import Reading, Vital
from hub.ingest.samples import Arrival, arrival_of
from hub.ingest.set_aside import SetAside, set_aside
from hub.ingest.steady import Run
from hub.telemetry import closing

BATTERY_CODE: Final = "MDC_ATTR_VAL_BATT_CHARGE"


class Placed(NamedTuple):
    """A run, and how much of a batch's items and arrivals came before it."""

    items_before: int
    arrivals_before: int
    run: Run


@dataclass(slots=True)
class Sorted:
    """A batch of messages by what has to be done with each part."""

    items: list[Item]
    arrivals: list[Arrival] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    refused: list[SetAside] = field(default_factory=list)
    runs: list[Placed] = field(default_factory=list)  # packets read in columns; not among the items

    @property
    def messages(self) -> int:
        """How many messages these are."""
        return len(self.items) + sum(len(one.run) for one in self.runs)

    def without(self, shards: Set[str]) -> "Sorted":
        """What came by the other shards' sessions."""

        def kept(item: Item) -> bool:
            return item.received.shard not in shards

        items, arrivals = [kept(item) for item in self.items], [kept(one.item) for one in self.arrivals]
        runs = []
        for items_before, arrivals_before, run in self.runs:
            own = np.array([source.device.shard not in shards for source in run.sources], np.bool_)
            if own.any():
                before = sum(items[:items_before]), sum(arrivals[:arrivals_before])
                runs.append(Placed(*before, run.only(own)))
        return Sorted(
            list(compress(self.items, items)),
            list(compress(self.arrivals, arrivals)),
            [one for one in self.readings if kept(one.item)],
            [one for one in self.happenings if kept(one.item)],
            [one for one in self.refused if kept(one.item)],
            runs,
        )

    def add(self, other: "Sorted") -> None:
        """Take in what came later."""
        items, arrivals = len(self.items), len(self.arrivals)
        self.runs += [
            Placed(items + one.items_before, arrivals + one.arrivals_before, one.run) for one in other.runs
        ]
        self.items += other.items
        self.arrivals += other.arrivals
        self.readings += other.readings
        self.happenings += other.happenings
        self.refused += other.refused

    def plain_items(self) -> list[Item]:
        """All messages on the ordinary way, in order of arrival."""
        items, done = list[Item](), 0
        for before, _, run in self.runs:
            items += self.items[done:before]
            items += map(run.item, range(len(run)))
            done = before
        return items + self.items[done:]

    def ordinary(self, stored: Sequence[NDArray[np.bool_]]) -> "Sorted":
        """Without its runs; what was not stored of them is among the arrivals."""
        if all(mask.all() for mask in stored):
            return replace(self, runs=[])
        return replace(self, arrivals=self.plain_arrivals([~mask for mask in stored]), runs=[])

    def plain_arrivals(self, chosen: Iterable[NDArray[np.bool_]]) -> list[Arrival]:
        """The arrivals and, in their places among them, the chosen packets of each run."""
        arrivals, done = list[Arrival](), 0
        for (_, before, run), own in zip(self.runs, chosen, strict=True):
            arrivals += self.arrivals[done:before]
            arrivals += [run.arrival(int(place)) for place in np.flatnonzero(own)]
            done = before
        return arrivals + self.arrivals[done:]


@dataclass(frozen=True, slots=True)
class Stored:
    """What one transaction has committed."""

    boots: Mapping[Key, Boot]
    before: Mapping[Key, Boot]  # the same, as they were
    with_duplicates: frozenset[Key]
    with_end: frozenset[Key]
    event_ids: tuple[tuple[Device, str], ...]
    started: tuple[UUID, ...]
    ended: tuple[UUID, ...]
    vitals: tuple[Vital, ...]
    refused: tuple[SetAside, ...]
    samples: int


def named_recordings(items: Iterable[Item]) -> set[bytes]:
    """Recordings that packets and events name."""
    named = {packet.recording for item in items for packet in item.packets}
    return named | {event.recording for item in items for event in item.events if event.recording is not None}


def sort_out(items: Sequence[Item], bindings: Bindings, offset_of_s: Callable[[str], float]) -> Sorted:
    """Bind every part of every message to what it belongs to; `offset_of_s` tells how far a device's clock is off."""
    batch = Sorted(list(items))
    for item in items:
        if item.refusal is not None or item.device is None:
            batch.refused.append(SetAside(item, item.refusal or Refusal("unknown-device")))
            continue
        try:
            _sort_packets(batch, item, item.device, bindings)
            _sort_events(batch, item, item.device, bindings)
            _sort_measurements(batch, item, item.device, offset_of_s)
        except Exception as failure:  # what was bound before it is stored all the same
            batch.refused.append(SetAside(item, hub_failure(failure)))
    return batch


def _sort_measurements(
    batch: Sorted, item: Item, device: Device, offset_of_s: Callable[[str], float]
) -> None:
    for place, measurement in enumerate(item.measurements):
        own_s = 0.0 if measurement.by_hub_clock else offset_of_s(device.id)
        batch.readings.append(Reading(item, device, measurement, own_s, place))
    for rejected in item.rejected:
        why = Refusal(rejected.reason, f"record {rejected.index}: {rejected.text}")
        batch.refused.append(SetAside(item, why))


def _sort_packets(batch: Sorted, item: Item, device: Device, bindings: Bindings) -> None:
    for packet in item.packets:
        recording = bindings.recording(packet.recording)
        refusal = _foreign(recording, device)
        if refusal is None and recording is not None:
            if at_us(0, packet.end_sample, packet.fs_hz) > LONGEST_BOOT_S * 1_000_000:
                refusal = Refusal("bad-time", "sample index beyond what a device makes in one run")
            elif not recording.fits(packet):
                refusal = Refusal("other-format", "rate, leads or scale differ from those of the recording")
            else:
                recording = bindings.fix_format(recording, packet)
                batch.arrivals.append(arrival_of(item, recording, packet))
        if refusal is not None:
            batch.refused.append(SetAside(item, refusal))


def _sort_events(batch: Sorted, item: Item, device: Device, bindings: Bindings) -> None:
    for event in item.events:
        name = event.recording or bindings.open_recordings.get(device.id)
        recording = bindings.recording(name) if name else None
        refusal = _foreign(recording, device) if event.recording else None
        if recording is None and refusal is None and event.kind not in OF_THE_DEVICE:
            refusal = Refusal("no-recording", f"{event.kind} while nothing is recorded")
        if refusal is not None:
            batch.refused.append(SetAside(item, refusal))
        own = None if refusal is not None else recording
        batch.happenings.append(Happening(item, device, own, event))


def _foreign(recording: Recording | None, device: Device) -> Refusal | None:
    """Whether this device may add to this recording."""
    if recording is None:
        return Refusal("unknown-recording", "no recording of this id was started")
    if recording.device_id != device.id:
        return Refusal("foreign-recording", "this recording belongs to another device")
    return None


async def store(
    conn: Connection, at: datetime, batch: Sorted, days: Days, known: Mapping[Key, Boot]
) -> Stored:
    """Bring a batch without runs into the database; to be called within one transaction. `known` are ledgers as
    remembered.
    """
    started = await _begin(conn, at, batch.arrivals)
    kept = await samples.store_samples(conn, batch.arrivals, days, known) if batch.arrivals else _NO_SAMPLES
    boots, before, _ = await happenings.store_events(conn, at, batch.happenings)
    vitals = await measurements.store_vitals(conn, at, batch.readings, days) if batch.readings else None
    refused = [
        *batch.refused,
        *(SetAside(item, _CONFLICT) for item in kept.conflicts),
        *(SetAside(item, _IMPLAUSIBLE) for item in kept.implausible),
        *(vitals.refused if vitals else ()),
    ]
    if refused:
        await set_aside(conn, at, refused)
    all_boots = kept.boots | boots
    before |= kept.before
    await record_pass.enqueue_due(conn, at, _recordings(batch), before, all_boots)
    ended = await _end(conn, at, batch.happenings, all_boots)
    with_end = {
        h.recording.id for h in batch.happenings if h.recording and h.event.kind in ("end", "discard")
    }
    return Stored(
        all_boots,
        before,
        kept.with_duplicates,
        frozenset(key for key in boots if key[0] in with_end),
        tuple((h.device, h.event.id) for h in batch.happenings),
        started,
        tuple(ended),
        vitals.vitals if vitals else (),
        tuple(refused),
        kept.samples,
    )


_NO_SAMPLES: Final = samples.Stored({}, {}, frozenset(), (), (), 0)
_CONFLICT: Final = Refusal("conflict", "other samples of the same indices are stored")
_IMPLAUSIBLE: Final = Refusal("bad-time", "sample index and the start of this boot don't fit together")


def _recordings(batch: Sorted) -> dict[UUID, Recording]:
    """The recordings a batch is about, as its packets fix them."""
    found = {h.recording.id: h.recording for h in batch.happenings if h.recording is not None}
    return found | {a.recording.id: a.recording for a in batch.arrivals}


async def _begin(conn: Connection, at: datetime, arrivals: Iterable[Arrival]) -> tuple[UUID, ...]:
    """The first samples of recordings: from now on rate, leads and scale are fixed."""
    first = {a.recording.id: a.packet for a in arrivals if not a.recording.started}
    if first:
        await db.run(
            conn,
            "WITH begun AS (UPDATE recording r SET started_at = %s, fs_hz = k.fs_hz,"
            "   leads = string_to_array(k.leads, ' '), uv_per_lsb = k.uv_per_lsb,"
            "   status = CASE r.status WHEN 'requested' THEN 'recording' ELSE r.status END"
            "  FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::float8[]) AS k (id, fs_hz, leads, uv_per_lsb)"
            "  WHERE r.id = k.id AND r.started_at IS NULL RETURNING r.id)"
            " SELECT pg_notify(%s, json_build_object('recording_id', id)::text) FROM begun",
            (
                at, list(first), [p.fs_hz for p in first.values()], [" ".join(p.leads) for p in first.values()],
                [p.uv_per_lsb for p in first.values()], closing.CHANNEL,
            ),
        )  # fmt: skip
    return tuple(first)


async def _end(
    conn: Connection, at: datetime, happened: Iterable[Happening], boots: Mapping[Key, Boot]
) -> list[UUID]:
    """Recordings that are complete now."""
    ending = {h.recording.id for h in happened if h.recording is not None and h.event.kind == "end"}
    if ending:
        await closing.end_seen(conn, at, list(ending))
    candidates = {key[0] for key, boot in boots.items() if boot.ledger.final is not None}
    return await closing.close_settled(conn, at, list(candidates)) if candidates else []
