"""A patient with a device and a running recording, and packets of that device: what tests of telemetry start from."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from devices.packet import WaveformPacket, encode
from hub.core import broker
from hub.core.db import Database
from hub.core.settings import Settings
from hub.ingest.decoding import Received
from hub.ingest.engine import ACTOR, Engine
from hub.ingest.links import Links
from hub.ingest.locks import ShardLocks, session_secret
from hub.ingest.tick import Stored
from hub.ingest.worker import Worker
from hub.telemetry.blocks import Span, stored_pieces
from tests import world
from tests.world import Tenant

LEADS = ("MDC_ECG_LEAD_I", "MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1")
FS_HZ = 250
UV_PER_LSB = 2.5


@dataclass(frozen=True)
class Worn:
    """A device on a patient."""

    device_id: str
    shard: str
    password: str
    patient_id: UUID
    recording_id: UUID

    @property
    def topic(self) -> str:
        return f"ingest/{self.shard}/{self.device_id}"

    @property
    def username(self) -> str:
        return f"{self.shard}/{self.device_id}"


async def wear(
    admin: world.Admin,
    tenant: Tenant,
    at: datetime,
    device_id: str,
    shard: str = "00",
    status: str = "requested",
) -> Worn:
    """Provision a device, give it to a new patient and ask for a recording."""
    worn = Worn(device_id, shard, f"password of {device_id}", await world.patient(admin, tenant), uuid4())
    town = tenant.organisations["town"]
    await world.insert(
        admin, "device", id=device_id, shard=shard, kind="holter", name=device_id, organisation_id=town,
        password_hash=broker.password_hash(worn.password), created_at=at,
    )  # fmt: skip
    await world.insert(
        admin, "recording", id=worn.recording_id, patient_id=worn.patient_id, organisation_id=town,
        device_id=device_id, status=status, fs_hz=FS_HZ, leads=list(LEADS), requested_at=at,
    )  # fmt: skip
    await admin.execute(
        "INSERT INTO device_pairing (id, device_number, patient_id, during)"
        " SELECT %s, number, %s, tstzrange(%s, NULL) FROM device WHERE id = %s",
        (uuid4(), worn.patient_id, at, device_id),
    )
    return worn


def noise(count: int, seed: int = 1, leads: int = len(LEADS)) -> NDArray[np.int16]:
    """Samples that no two stretches have in common."""
    return np.random.default_rng(seed).integers(-20_000, 20_000, (leads, count), np.int16)


def waveform(
    worn: Worn, at: datetime, samples: NDArray[np.int16], first: int = 0, **other: Any
) -> WaveformPacket:
    """A packet of samples[:, first:first + n] of a boot that began at `at`."""
    fields: dict[str, Any] = {
        "recording": worn.recording_id.bytes,
        "boot": 1,
        "sequence": first,
        "first_sample": first,
        "oldest": 0,
        "device_time_s": at.timestamp() + first / FS_HZ,
        "fs_hz": FS_HZ,
        "leads": LEADS,
        "uv_per_lsb": UV_PER_LSB,
        "samples": samples,
        "electrodes_off": 0,
        "battery_percent": 90,
    }
    return WaveformPacket(**(fields | other))


def cut(
    worn: Worn, at: datetime, samples: NDArray[np.int16], bounds: Iterable[int], **other: Any
) -> list[WaveformPacket]:
    """The samples in packets that end at `bounds`."""
    packets, first = [], 0
    for end in bounds:
        packets.append(waveform(worn, at, samples[:, first:end], first, **other))
        first = end
    return packets


def message(worn: Worn, kind: str, payload: bytes, at: datetime) -> Received:
    return Received(worn.shard, f"{worn.topic}/{kind}", payload, at.timestamp())


async def ingest(engine: Engine, messages: list[Received], at: datetime) -> Stored:
    """One whole pass: read and store."""
    batch, complete = await engine.take(messages, at, may_load=True)
    assert complete
    return await engine.commit(batch, at)


async def send(engine: Engine, worn: Worn, packets: Iterable[WaveformPacket], at: datetime) -> Stored:
    return await ingest(engine, [message(worn, "ecg", encode(p), at) for p in packets], at)


async def stored_samples(dsn: str, recording_id: UUID, boot: int = 1) -> dict[int, NDArray[np.int16]]:
    """What the tables hold, past every policy: first sample -> samples."""
    async with await world.connect(dsn) as admin:
        pieces = await stored_pieces(admin, [Span(recording_id, boot, 0, 2**40)])
    return {piece.first_sample: piece.samples for piece in pieces}


async def stored_signal(dsn: str, recording_id: UUID, boot: int = 1) -> NDArray[np.int16]:
    """The stored samples joined; fails if they overlap or have a hole."""
    pieces = await stored_samples(dsn, recording_id, boot)
    end = 0
    for first, samples in pieces.items():
        assert first == end
        end = first + samples.shape[1]
    return np.concatenate(list(pieces.values()), axis=1)


@contextlib.asynccontextmanager
async def ingesting(
    settings: Settings, database: Database, now: Callable[[], datetime]
) -> AsyncIterator[Worker]:
    """The ingest process beside the test, reading all shards."""
    async with database.transaction(ACTOR, now()) as conn:
        links = Links(settings, await session_secret(conn))
    worker = Worker(database, links, ShardLocks(database, settings.shards), now, settings)
    stop, reading = asyncio.Event(), asyncio.Event()

    def beat() -> None:
        if links.subscribed == settings.shards:
            reading.set()

    task = asyncio.create_task(worker.run(stop, beat))
    await reading.wait()
    try:
        yield worker
    finally:
        stop.set()
        await task
