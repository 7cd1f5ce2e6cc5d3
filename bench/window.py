"""Reading and watching: any second of a day-long recording by the hub's own service, and a sample's way to a page.

Peers of the same run: the bare row of that second by its key, without access check, ledger and assembly; and a bare
MQTT subscriber on the device's topic, to whom the broker brings what the page gets through the hub.
"""

import asyncio
import json
import random
import struct
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np

from bench._installation import Installation, now, running
from devices import packet
from hub.alarms import live
from hub.core import actor, mqtt
from hub.core.db import Database
from hub.core.mqtt import Session
from hub.ingest.engine import Engine
from hub.telemetry import feed, windows
from tests import monitoring, serving, world
from tests.monitoring import FS_HZ, Worn, noise, send, waveform

DAY_S = 86_400
READS = 400
LIVE_S = 12
STEP = FS_HZ // 5  # packets of 200 ms, as under `watch`
DESK = actor.job("bench")

Row = dict[str, Any]


def run(recorded_s: int = DAY_S) -> list[Row]:
    return asyncio.run(_run(recorded_s))


async def _run(recorded_s: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        async with running(Path(folder), 2) as installation:
            reads = await _reads(installation, installation.worn[0], recorded_s)
            delays = await _delays(installation, installation.worn[1], Path(folder))
    return [
        *_rows("window of 1 s of a day", reads, "row by key"),
        *_rows("sample to page", delays, "bare subscriber"),
    ]


def _rows(name: str, pairs: list[tuple[float, float]], peer: str) -> list[Row]:
    """Own and peer's times in seconds -> p50 and p95 in milliseconds."""
    own, others = zip(*pairs, strict=True)
    found = []
    for percent in (50, 95):
        value, peer_value = (quantiles(times, n=100)[percent - 1] * 1000 for times in (own, others))
        found.append(
            {
                "name": f"{name}, p{percent}", "value": value, "unit": "ms", "peer": peer, "peer_value": peer_value,
                "ratio": value / peer_value,
            }
        )  # fmt: skip
    return found


async def _reads(installation: Installation, worn: Worn, recorded_s: int) -> list[tuple[float, float]]:
    """Store a day, then read random seconds of it."""
    signal, began, chunk_s = noise(600 * FS_HZ), now(), 600
    async with Database(installation.dsn, "hub_ingest", 2) as database:
        engine = Engine(database)
        for start in range(0, recorded_s, chunk_s):
            part = [
                waveform(worn, began, signal[:, k * FS_HZ : (k + 1) * FS_HZ], (start + k) * FS_HZ)
                for k in range(min(chunk_s, recorded_s - start))
            ]
            await send(engine, worn, part, now())
    rng, pairs = random.Random(1), []
    async with (
        Database(installation.dsn, "hub_app", 2) as app,
        await world.connect(installation.dsn) as admin,
    ):
        for _ in range(READS):
            second = rng.randrange(recorded_s)
            began_s = time.perf_counter()
            async with app.transaction(DESK, now()) as conn:
                window = await windows.read_window(
                    conn, DESK, now(), worn.recording_id, 1, second * FS_HZ + 17, FS_HZ
                )
            data = window.to_bytes()
            own_s = time.perf_counter() - began_s
            assert len(data) > 3 * 2 * FS_HZ
            began_s = time.perf_counter()
            query = (
                "SELECT samples FROM ecg_packet WHERE recording_id = %s AND boot = 1 AND first_sample = %s"
            )
            await (await admin.execute(query, (worn.recording_id, second * FS_HZ))).fetchone()
            pairs.append((own_s, time.perf_counter() - began_s))
    return pairs


async def _delays(installation: Installation, worn: Worn, folder: Path) -> list[tuple[float, float]]:
    """A device sends in real time; when does the page have a sample, when a bare subscriber?"""
    settings, recorded = installation.settings, {}
    async with (
        Database(installation.dsn, "hub_ingest", 4) as ingest,
        Database(installation.dsn, "hub_app", 4) as app,
        monitoring.ingesting(settings, ingest, now),
        feed.running(settings, now) as running_feed,
        serving.serve(
            app, folder, lambda: world.AT, live.ROUTES, [live.LISTENERS], {feed.FEED: running_feed}
        ) as served,
    ):
        client = served.as_(installation.town.own, "township_doctor")
        ws = await client.socket(f"/api/recordings/{worn.recording_id}/live")
        page, peer = dict[int, float](), dict[int, float]()
        bare = installation.session("bare")
        bare.subscribe([f"{worn.topic}/ecg"], qos=0)
        await mqtt.opened(bare)
        tasks = [asyncio.create_task(_read_page(ws, page)), asyncio.create_task(_read_bare(bare, peer))]
        recorded = await _send_live(installation, worn)
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
    return [(page[end] - sent_s, peer[end] - sent_s) for end, sent_s in recorded.items() if end in page]


async def _send_live(installation: Installation, worn: Worn) -> dict[int, float]:
    session = await mqtt.opened(installation.session("device"))
    signal, began, sent = noise(LIVE_S * FS_HZ), now(), {}
    for first in range(0, LIVE_S * FS_HZ, STEP):
        one = waveform(worn, began, np.ascontiguousarray(signal[:, first : first + STEP]), first)
        sent[first + STEP] = time.perf_counter()
        session.publish(f"{worn.topic}/ecg", packet.encode(one), qos=1)
        session.flush()
        await asyncio.sleep(0.2)
        session.poll()
    return sent


async def _read_page(ws: Any, ends: dict[int, float]) -> None:
    async for message in ws:
        if isinstance(message.data, bytes):
            _, _, count, _, first = struct.unpack_from("<BBHfQ", message.data)
            ends[first + count] = time.perf_counter()
            await ws.send_str(json.dumps({"type": "ack", "sample": first + count}))


async def _read_bare(session: Session, ends: dict[int, float]) -> None:
    while session.closed is None:
        for message in session.poll():
            ends[packet.decode(message.payload).end_sample] = time.perf_counter()
        await mqtt.wait(session, 1.0)
