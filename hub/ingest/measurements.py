"""Vitals of a batch: each measured value to the patient or thing its device was paired with at that time.

`received = stored + set aside`: a value no pairing covers, or that contradicts one of the same time, is set aside
with its message. The key (device, code, time as the device told it) makes a second delivery a no-op.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from devices.senml import Measurement
from hub.core import db
from hub.core.db import Connection
from hub.ingest.bindings import Device
from hub.ingest.days import DAY_S, Days
from hub.ingest.decoding import Item, Refusal
from hub.ingest.set_aside import SetAside

PAST = timedelta(days=60)
FUTURE = timedelta(days=2)
WILD = timedelta(days=1)  # a clock that is off by more is not believed at all


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One value of one message; `offset_s` (hub minus device clock) is applied to find the pairing only."""

    item: Item
    device: Device
    measurement: Measurement
    offset_s: float
    place: int = 0  # in its pack
    given_at: datetime | None = None  # where the device's own word can't be kept as the key

    @property
    def told_at(self) -> datetime:
        return datetime.fromtimestamp(self.measurement.device_time_s, UTC)

    @property
    def at(self) -> datetime:
        return self.told_at if self.given_at is None else self.given_at

    @property
    def hub_at(self) -> datetime:
        """By the hub's clock."""
        return self.at + timedelta(seconds=self.offset_s)

    @property
    def told(self) -> str:
        """The device's word as a name. A time relative to its arrival is named by its delivery, which a broker that
        sends again repeats."""
        received, measurement = self.item.received, self.measurement
        if not measurement.by_hub_clock:
            return repr(measurement.device_time_s)
        sha256 = hashlib.sha256(received.payload).hexdigest()[:16]
        delivery = abs(received.delivery) or received.received_s
        return f"~{sha256}:{delivery}:{self.place}"

    @property
    def key(self) -> tuple[str, str, datetime]:
        return self.device.id, self.measurement.code, self.at


@dataclass(frozen=True, slots=True)
class Vital:
    """A stored value, for live pages."""

    patient_id: UUID
    shard: str
    device_id: str
    code: str
    at: datetime
    value: float | None
    text_value: str | None
    unit: str


@dataclass(frozen=True, slots=True)
class StoredVitals:
    vitals: tuple[Vital, ...]
    refused: tuple[SetAside, ...]


def tells_of_the_clock(measurement: Measurement, received_s: float) -> bool:
    """Whether a value's time says how far its device's clock is off: one of the future or of another season does,
    an old one may just be late.
    """
    age_s = received_s - measurement.device_time_s
    return not measurement.by_hub_clock and (age_s < 0 or age_s > PAST.total_seconds())


async def store_vitals(
    conn: Connection, at: datetime, readings: Sequence[Reading], days: Days
) -> StoredVitals:
    """Store what has a subject; say what has none."""
    readings = await _keyed(conn, at, readings)
    in_time = [reading for reading in readings if _is_in_time(reading.at, at)]
    refused = [SetAside(r.item, _BAD_TIME) for r in readings if not _is_in_time(r.at, at)]
    subjects = await _subjects(conn, in_time)
    rows: dict[tuple[str, str, datetime], tuple[Reading, Any, Any]] = {}
    for reading, subject in zip(in_time, subjects, strict=True):
        if subject is None:
            refused.append(SetAside(reading.item, _NO_PAIRING))
        elif reading.key not in rows:
            rows[reading.key] = (reading, *subject)
        elif _value(rows[reading.key][0]) != _value(reading):
            refused.append(SetAside(reading.item, _CONTRADICTION))
    await days.ensure(conn, {int(row[0].at.timestamp()) // DAY_S for row in rows.values()})
    stored = await _insert(conn, at, list(rows.values()))
    refused += await _contradictions(conn, [row[0] for key, row in rows.items() if key not in stored])
    return StoredVitals(
        tuple(_vital(*rows[key][:2]) for key in stored if rows[key][1] is not None), tuple(refused)
    )


def _is_in_time(instant: datetime, at: datetime) -> bool:
    return at - PAST <= instant <= at + FUTURE


def _keeps_its_word(reading: Reading, at: datetime) -> bool:
    """Whether the device's time can stand as it is told: a time, of this season, off by a day at most."""
    is_near = abs(reading.offset_s) <= WILD.total_seconds()
    return not reading.measurement.by_hub_clock and is_near and _is_in_time(reading.told_at, at)


async def _keyed(conn: Connection, at: datetime, readings: Sequence[Reading]) -> list[Reading]:
    """The readings, those without a usable time of their own at the instant they were given when they came first."""
    odd = [r for r in readings if not _keeps_its_word(r, at) and _is_in_time(r.hub_at, at)]
    if not odd:
        return list(readings)
    # Of one delivery number the newest message counts, unless it is the old one again.
    rows = {(r.device.id, r.measurement.code, r.told): r for r in odd}
    found = await db.rows(
        conn,
        "INSERT INTO vital_told AS v (device_id, code, told, at)"
        " SELECT d, c, t, coalesce((SELECT o.at FROM vital o WHERE o.device_id = d AND o.code = c AND o.at = own), a)"
        " FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) AS k (d, c, t, a, own)"
        " ON CONFLICT (device_id, code, told) DO UPDATE"
        "  SET at = CASE WHEN v.told = ANY(%s) THEN excluded.at ELSE v.at END"
        " RETURNING device_id, code, told, at",
        (
            *(list(column) for column in zip(*rows, strict=True)),
            [r.hub_at for r in rows.values()],
            [r.told_at for r in rows.values()],
            [r.told for r in rows.values() if r.measurement.by_hub_clock and r.item.received.delivery > 0],
        ),
    )
    given = {(row["device_id"], row["code"], row["told"]): row["at"] for row in found}
    keyed = []
    for r in readings:
        given_at = (
            given.get((r.device.id, r.measurement.code, r.told)) if not _keeps_its_word(r, at) else None
        )
        keyed.append(r if given_at is None else replace(r, given_at=given_at, offset_s=0.0))
    return keyed


_BAD_TIME = Refusal("bad-time", "measured too long ago, or in the future")
_NO_PAIRING = Refusal("no-pairing", "measured while the device was not paired")
_CONTRADICTION = Refusal("conflict", "another value of the same time is stored")


def _value(reading: Reading) -> tuple[float | None, str]:
    return reading.measurement.value, reading.measurement.text


async def _subjects(
    conn: Connection, readings: Sequence[Reading]
) -> list[tuple[UUID | None, str | None] | None]:
    """(patient, equipment) of each value by the pairing that covers it."""
    if not readings:
        return []
    found = await db.rows(
        conn,
        "SELECT k.place, p.patient_id, p.equipment"
        " FROM unnest(%s::bigint[], %s::timestamptz[]) WITH ORDINALITY AS k (number, at, place)"
        " JOIN device_pairing p ON p.device_number = k.number AND p.during @> k.at",
        (
            [r.device.number for r in readings],
            [r.hub_at for r in readings],
        ),
    )
    by_place = {row["place"]: (row["patient_id"], row["equipment"]) for row in found}
    return [by_place.get(place) for place in range(1, len(readings) + 1)]


async def _insert(
    conn: Connection, at: datetime, rows: Sequence[tuple[Reading, UUID | None, str | None]]
) -> set[tuple[str, str, datetime]]:
    if not rows:
        return set()
    found = await db.rows(
        conn,
        "INSERT INTO vital (device_id, patient_id, equipment, code, at, value, text_value, unit, offset_s, received_at)"
        " SELECT k.*, %s FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[],"
        "  %s::float8[], %s::text[], %s::text[], %s::float8[]) AS k"
        " ON CONFLICT DO NOTHING RETURNING device_id, code, at",
        (
            at,
            [r.device.id for r, _, _ in rows],
            [patient_id for _, patient_id, _ in rows],
            [equipment for _, _, equipment in rows],
            [r.measurement.code for r, _, _ in rows],
            [r.at for r, _, _ in rows],
            [r.measurement.value for r, _, _ in rows],
            [r.measurement.text or None for r, _, _ in rows],
            [r.measurement.unit for r, _, _ in rows],
            [r.offset_s for r, _, _ in rows],
        ),
    )
    return {(row["device_id"], row["code"], row["at"]) for row in found}


async def _contradictions(conn: Connection, known: Sequence[Reading]) -> list[SetAside]:
    """Of values that were there already, those that say something else."""
    if not known:
        return []
    found = await db.rows(
        conn,
        "SELECT v.device_id, v.code, v.at, v.value, coalesce(v.text_value, '') AS text_value FROM vital v"
        " JOIN unnest(%s::text[], %s::text[], %s::timestamptz[]) AS k (device_id, code, at)"
        "  USING (device_id, code, at)",
        ([r.device.id for r in known], [r.measurement.code for r in known], [r.at for r in known]),
    )
    values = {(row["device_id"], row["code"], row["at"]): (row["value"], row["text_value"]) for row in found}
    return [SetAside(r.item, _CONTRADICTION) for r in known if values.get(r.key) != _value(r)]


def _vital(reading: Reading, patient_id: UUID) -> Vital:
    m = reading.measurement
    return Vital(
        patient_id,
        reading.device.shard,
        reading.device.id,
        m.code,
        reading.hub_at,
        m.value,
        m.text or None,
        m.unit,
    )
