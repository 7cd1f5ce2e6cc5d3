"""Reading and watching: any second of a day-long recording by the hub's own service and on a reader's page, the whole
day at a glance, what the day takes on the disk, and a sample's way to a page.

Peers of the same run: the bare row of that second by its key, without access check, ledger and assembly; the same
overview from packets that are not compacted; the samples as 16-bit integers; and a bare MQTT subscriber on the device's
topic, to whom the broker brings what the page gets through the hub.
"""

import asyncio
import json
import random
import struct
import tempfile
import time
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from time import process_time
from typing import Any

import numpy as np

from bench import _reading_room as reading_room
from bench._installation import Installation, now, running
from bench._pages import browser, hub
from devices import packet
from ecg.synthetic import Segment, Synthesiser
from hub.alarms import live
from hub.core import actor, db, mqtt
from hub.core.db import Database
from hub.core.mqtt import Session
from hub.ingest.engine import Engine
from hub.telemetry import feed, overview, windows
from tests import monitoring, serving, world
from tests.monitoring import FS_HZ, LEADS, UV_PER_LSB, Worn, noise, send, waveform
from tests.telemetry.compacting import compact

DAY_S = 86_400
READS = 400
JUMPS = 100
OVERVIEWS = 30
CHUNK_S = 600
LIVE_S = 12
STEP = FS_HZ // 5  # packets of 200 ms, as under `watch`
DESK = actor.job("bench")

# From the key to the frame behind the one in which the strip was drawn; beside it, all that the strip asked for, asked
# again at once and kept nowhere. A place whose samples the page still has is drawn, but not counted.
JUMP = """async (seconds) => {
  const frame = () => new Promise(requestAnimationFrame);
  const strip = () => document.querySelector('canvas[data-testid="strip"]');
  const told = [], input = document.getElementById('jump-to');
  const start_ms = Number(document.querySelector('[role="slider"][aria-valuemin]').getAttribute('aria-valuemin'));
  for (const second of seconds) {
    const clock = new Date(start_ms + second * 1000);
    const parts = [clock.getHours(), clock.getMinutes(), clock.getSeconds()];
    input.value = parts.map((n) => String(n).padStart(2, '0')).join(':');
    input.dispatchEvent(new Event('input', { bubbles: true }));
    await frame();
    performance.clearResourceTimings();
    const before = strip().dataset.firstSample, began = performance.now();
    input.form.requestSubmit();
    while (strip().dataset.firstSample === before && performance.now() - began < 5000) await frame();
    await frame();
    const painted = performance.now() - began, first = Number(strip().dataset.firstSample);
    const asked = performance.getEntriesByType('resource').filter((one) => one.name.includes('/samples?'));
    const again = performance.now();
    await Promise.all(asked.map(async ({ name }) => (await fetch(name, { cache: 'no-store' })).arrayBuffer()));
    told.push([painted, asked.length > 0 ? performance.now() - again : null, first]);
  }
  return told;
}"""
# Whether new columns have come is told by the request; they are drawn within the next two frames.
ZOOM_OUT = """async (times) => {
  const frame = () => new Promise(requestAnimationFrame), told = [];
  const [closer, , whole] = document.querySelectorAll('.ecg-overview-tools button');
  const asked = () => performance.getEntriesByType('resource').filter((one) => one.name.includes('/overview?'));
  for (let n = 0; n < times; n++) {
    performance.clearResourceTimings();
    closer.click();
    while (asked().length < 1) await frame();
    performance.clearResourceTimings();
    const began = performance.now();
    whole.click();
    while (asked().length < 1) await frame();
    await frame();
    await frame();
    told.push([performance.now() - began, asked()[0].duration]);
  }
  return told;
}"""

Row = dict[str, Any]


def run(recorded_s: int = DAY_S) -> list[Row]:
    return asyncio.run(_run(recorded_s))


async def _run(recorded_s: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        async with running(Path(folder), 2) as installation:
            stored = await _stored(installation, installation.worn[0], recorded_s)
            reads = await _reads(installation, installation.worn[0], recorded_s)
            delays = await _delays(installation, installation.worn[1], Path(folder))
            jumps, overviews = await _jumps(installation, Path(folder), recorded_s)
    return [
        *stored,
        *_rows("window of 1 s of a compacted day", reads, "block by key"),
        *_rows("jump to any second, painted by the browser", jumps, "fetch of the same samples"),
        *_rows("overview of a day, painted by the browser", overviews, "fetch of it"),
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


async def _stored(installation: Installation, worn: Worn, recorded_s: int) -> list[Row]:
    """Store a day, look at it as a whole, compact it, look again."""
    async with Database(installation.dsn, "hub_ingest", 2) as database:
        await _send_day(Engine(database), worn, recorded_s)
    async with (
        Database(installation.dsn, "hub_app", 2) as app,
        await world.connect(installation.dsn) as admin,
    ):
        from_packets = await _overviews(app, worn, 3)
        begun_s = process_time() + installation.database_cpu_s
        await compact(app, now() + timedelta(days=2), worn.recording_id)
        compaction_s = process_time() + installation.database_cpu_s - begun_s
        from_blocks = await _overviews(app, worn, OVERVIEWS)
        row = await db.one(
            admin, "SELECT sum(pg_total_relation_size(inhrelid))::float8 / 1e6 AS mb FROM pg_inherits"
            " WHERE inhparent = 'ecg_block'::regclass",
        )  # fmt: skip
    raw_mb = len(LEADS) * recorded_s * FS_HZ * 2 / 1e6
    return [
        *_rows(
            "overview of a day", list(zip(from_blocks, cycle(from_packets), strict=False)), "from packets"
        ),
        *_with_peer("a day of 3 leads on disk, with keys", row["mb"], "MB", "int16", raw_mb),
        *_with_peer("CPU to compact a day, hub and database", compaction_s, "s", None, None),
    ]


def _with_peer(name: str, value: float, unit: str, peer: str | None, peer_value: float | None) -> list[Row]:
    ratio = value / peer_value if peer_value else None
    return [
        {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}
    ]


async def _send_day(engine: Engine, worn: Worn, recorded_s: int) -> None:
    """Ten minutes of a synthetic heart, again and again."""
    heart = Synthesiser(7, FS_HZ, LEADS, (Segment("sinus", float(CHUNK_S)),), UV_PER_LSB)
    signal, began = heart.samples(0, CHUNK_S * FS_HZ).astype(np.int16), now() - timedelta(seconds=recorded_s)
    for start in range(0, recorded_s, CHUNK_S):
        part = [
            waveform(worn, began, signal[:, k * FS_HZ : (k + 1) * FS_HZ], (start + k) * FS_HZ)
            for k in range(min(CHUNK_S, recorded_s - start))
        ]
        await send(engine, worn, part, now())


async def _overviews(app: Database, worn: Worn, times: int) -> list[float]:
    took_s = []
    for _ in range(times):
        began_s = time.perf_counter()
        async with app.transaction(DESK, now()) as conn:
            found = await overview.read_overview(conn, DESK, now(), worn.recording_id, None, None, 1500)
        found.to_bytes()
        took_s.append(time.perf_counter() - began_s)
    return took_s


async def _reads(installation: Installation, worn: Worn, recorded_s: int) -> list[tuple[float, float]]:
    """Random seconds of the day."""
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
            await db.one(
                admin, "SELECT payload FROM ecg_block WHERE recording_id = %s AND boot = 1 AND first_sample = %s",
                (worn.recording_id, second // 10 * 10 * FS_HZ),
            )  # fmt: skip
            pairs.append((own_s, time.perf_counter() - began_s))
    return pairs


async def _jumps(
    installation: Installation, folder: Path, recorded_s: int
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """A reader types times of day into the page of a day-long recording, and zooms out to all of it."""
    case = await reading_room.prepare(installation, folder, recorded_s)
    rng = random.Random(2)
    async with (
        hub(installation) as base,
        browser() as running_browser,
        reading_room.opened(running_browser, base, case) as page,
    ):
        await page.wait_for_selector('canvas[data-testid="overview"][data-ready]')
        wanted_s = [rng.randrange(1, recorded_s - 60) for _ in range(JUMPS)]
        jumps = await page.evaluate(JUMP, wanted_s)
        for second, (_, _, first) in zip(wanted_s, jumps, strict=True):
            assert abs(first - second * FS_HZ) <= FS_HZ, "the page shows another second"
        overviews = await page.evaluate(ZOOM_OUT, OVERVIEWS)
    fresh = [(own / 1000, bare / 1000) for own, bare, _ in jumps if bare is not None]
    return fresh, [(own / 1000, bare / 1000) for own, bare in overviews]


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
