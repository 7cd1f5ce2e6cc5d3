"""Ingest: what a packet costs, whether thousands of devices lose nothing, and how far this machine can be driven.

Holters send packets of a second in real time to a real broker; the hub reads, decodes, stores, keeps the ledger and
acknowledges. The peer of the same run, in turns with the hub, is a bare paho subscriber that acknowledges the same
packets and does nothing else. CPU is user and system time, so that a busy machine spoils it little.
`BENCH_INGEST=0.1` shortens every phase for a trial.
"""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from pathlib import Path
from statistics import quantiles
from typing import Any

import paho.mqtt.client as paho
import psutil
from prometheus_client import Histogram

from bench._fleet import Fleet, drive
from bench._installation import Installation, now, running, wear_many
from devices.leads import CODE_BY_LEAD
from hub.core import broker
from hub.core.db import Database
from hub.ingest import metrics
from hub.ingest.worker import YOUNG_OBJECTS
from tests import monitoring, world
from tests.monitoring import FS_HZ, LEADS, Worn

SCALE = float(os.environ.get("BENCH_INGEST", "1"))
PER = 100_000
TWELVE_LEADS = tuple(CODE_BY_LEAD)[:12]
RATIO_S = 60  # whole minutes: clocks are looked at by the minute
BEGINNING_S = 30  # of a boot: until its devices hold as much, and count as far, as they do later
LOAD_S = 120
COST_S = 10
STEP_S = 8
BEGUN_S = 12  # that thousands begin within one second happens in no district
BEHIND_S = 2.5  # from the last packet sent until all is stored: more is falling behind
PEER = "bare paho subscriber, acknowledging only"
PEER_ROOT = "live/p"  # as long as the hub's, which does not listen there

Row = dict[str, Any]


@dataclass(frozen=True)
class Spent:
    """What a stretch of load cost; CPU in seconds."""

    packets: int
    wall_s: float
    hub_s: float
    peer_s: float
    broker_s: float
    database_s: float
    fleet_s: float
    late_s: float  # of the fleet behind its own plan
    drained_s: float  # from the last packet sent until all was stored
    lost: int  # packets
    commits_s: tuple[float, ...]

    def per(self, spent_s: float) -> float:
        return spent_s * PER / self.packets

    def core(self, spent_s: float) -> float:
        """Per cent of one core."""
        return 100 * spent_s / self.wall_s


def run(scale: float = SCALE) -> list[Row]:
    return asyncio.run(_run(scale))


async def _run(scale: float) -> list[Row]:
    rows: list[Row] = []
    for part in (_ratios, _loads, _costs, _limit):
        with tempfile.TemporaryDirectory(prefix="bench") as folder:
            async with running(Path(folder), 0) as installation:
                rows += await part(Bench(installation), scale)
    return rows


class Bench:
    """One installation with its hub, to be loaded again and again; every load is a boot of its own."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self._boot = 0

    async def wear(
        self, count: int, status: str = "requested", leads: tuple[str, ...] = LEADS, fs_hz: int = FS_HZ
    ) -> tuple[Worn, ...]:
        self._boot += 1
        return await wear_many(self.installation, f"holter-{self._boot}", count, fs_hz, leads, status)

    async def load(
        self,
        worn: Sequence[Worn],
        seconds: float,
        root: str = "ingest",
        leads: tuple[str, ...] = LEADS,
        fs_hz: int = FS_HZ,
        hub: "Child | None" = None,
        peer: "Child | None" = None,
        after_s: int = 0,
    ) -> Spent:
        """Drive and wait until everything is in the ledger: a new boot, or the last one goes on `after_s` seconds."""
        self._boot += not after_s
        whole_s, settings = max(2, round(seconds)), self.installation.settings
        topics = tuple(root + one.topic.removeprefix("ingest") for one in worn)
        fleet = Fleet(
            settings.broker_address, settings.mqtt_username, broker.hub_password(settings), topics,
            tuple(one.recording_id.bytes for one in worn), self._boot, fs_hz, leads, whole_s, after_s,
        )  # fmt: skip
        packets = len(worn) * whole_s
        async with _child(drive, fleet) as sender:
            await sender.is_ready()
            before, began_s = self._cpu(hub, peer, sender), time.monotonic()
            sender.go.set()
            late_s = await sender.told()
            sent_s, fleet_s = time.monotonic(), sender.cpu_s
            if peer is not None:
                await peer.told()
                stored = packets
            else:
                before_n = len(worn) * after_s
                stored = await self._stored((before_n + packets) * fs_hz) // fs_hz - before_n
            wall_s = time.monotonic() - began_s
            after = self._cpu(hub, peer, sender)
            spent = [b - a for a, b in zip(before, after, strict=True)]
        commits_s = tuple(await hub.asked()) if hub is not None else ()
        return Spent(
            packets, wall_s, spent[0], spent[1], spent[2], spent[3], fleet_s - before[4], late_s,
            time.monotonic() - sent_s, packets - stored, commits_s,
        )  # fmt: skip

    def _cpu(self, hub: "Child | None", peer: "Child | None", sender: "Child") -> list[float]:
        own = [child.cpu_s if child is not None else 0.0 for child in (hub, peer)]
        return [*own, self.installation.broker_cpu_s, self.installation.database_cpu_s, sender.cpu_s]

    async def _stored(self, wanted: int, patience_s: float = 60.0) -> int:
        """Samples of this boot in the ledger, once they are all there, or no more come."""
        query = (
            "SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint AS have FROM recording_boot, unnest(have) AS r"
            " WHERE boot = %s"
        )
        have, changed_s = -1, time.monotonic()
        async with await world.connect(self.installation.dsn) as admin:
            while have < wanted and time.monotonic() - changed_s < patience_s:
                row = await (await admin.execute(query, (self._boot,))).fetchone()
                if row is not None and row["have"] != have:
                    have, changed_s = row["have"], time.monotonic()
                await asyncio.sleep(0.1)
        return have


class Child:
    """A process measured from outside."""

    def __init__(self, context: SpawnContext, target: Any, *arguments: Any) -> None:
        self.ready, self.go, self.answers = context.Event(), context.Event(), context.Queue()
        self.process = context.Process(target=target, args=(*arguments, self.ready, self.go, self.answers))
        self.process.start()

    @property
    def cpu_s(self) -> float:
        assert self.process.pid is not None
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    async def is_ready(self) -> None:
        if not await asyncio.to_thread(self.ready.wait, 60):
            raise TimeoutError("a process of the bench does not begin")

    async def told(self) -> Any:
        return await asyncio.to_thread(self.answers.get, True, 300)

    async def asked(self) -> Any:
        self.go.set()
        return await self.told()


@contextlib.asynccontextmanager
async def _child(target: Any, *arguments: Any) -> AsyncIterator[Child]:
    child = Child(multiprocessing.get_context("spawn"), target, *arguments)
    try:
        yield child
    finally:
        child.process.terminate()
        await asyncio.to_thread(child.process.join, 20)


@contextlib.asynccontextmanager
async def _hub(installation: Installation) -> AsyncIterator[Child]:
    async with _child(_ingest, installation) as child:
        await child.is_ready()
        yield child


async def _peer(bench: Bench, worn: Sequence[Worn], seconds: float) -> Spent:
    packets = len(worn) * max(2, round(seconds))
    async with _child(_acknowledge_only, bench.installation, packets) as child:
        await child.is_ready()
        return await bench.load(worn, seconds, root=PEER_ROOT, peer=child)


async def _ratios(bench: Bench, scale: float) -> list[Row]:
    """Peer and hub in turns, 2,000 devices; then the hub with its live analysis."""
    count, seconds = _scaled(2_000, scale), RATIO_S * scale
    over, live = await bench.wear(count, "ended"), await bench.wear(count)
    peers, stored = [], []
    for _ in range(2):
        peers.append(await _peer(bench, over, seconds))
        async with _hub(bench.installation) as hub:
            stored.append(await _going_on(bench, over, seconds, hub))
    async with _hub(bench.installation) as hub:
        analysed = await _going_on(bench, live, seconds, hub)
    peer_s = sum(one.per(one.peer_s) for one in peers) / len(peers)
    hub_s = sum(one.per(one.hub_s) for one in stored) / len(stored)
    database_s = sum(one.per(one.database_s) for one in stored) / len(stored)
    unit = "CPU s / 100,000 packets"
    return [
        _row("ingest: hub, read to ack", hub_s, unit, PEER, peer_s),
        _row("ingest: live analysis on top", analysed.per(analysed.hub_s) - hub_s, unit, PEER, peer_s),
        _row("ingest: database", database_s, unit, PEER, peer_s),
    ]


async def _going_on(bench: Bench, worn: Sequence[Worn], seconds: float, hub: Child) -> Spent:
    """The load of devices that have been sending for a while: of a recording's day the first seconds are nothing."""
    await bench.load(worn, BEGINNING_S, hub=hub)
    return await bench.load(worn, seconds, hub=hub, after_s=BEGINNING_S)


async def _loads(bench: Bench, scale: float) -> list[Row]:
    """What is asked for: 2,000 Holters of three leads, then 500 of twelve at 500 Hz, with live analysis."""
    rows: list[Row] = []
    for count, leads, fs_hz in ((2_000, LEADS, FS_HZ), (500, TWELVE_LEADS, 500)):
        worn = await bench.wear(_scaled(count, scale), leads=leads, fs_hz=fs_hz)
        async with _hub(bench.installation) as hub:
            spent = await bench.load(worn, LOAD_S * scale, leads=leads, fs_hz=fs_hz, hub=hub)
        rows += _told(f"ingest: {len(worn):,} x {len(leads)} x {fs_hz} Hz", spent)
    return rows


def _told(name: str, spent: Spent) -> list[Row]:
    parts = {
        "hub": spent.hub_s, "broker": spent.broker_s, "database": spent.database_s, "fleet": spent.fleet_s,
    }  # fmt: skip
    return [
        _row(f"{name}, lost", spent.lost, f"of {spent.packets:,} packets"),
        _row(f"{name}, commit p50", 1000 * _percentile(spent.commits_s, 50), "ms"),
        _row(f"{name}, commit p99", 1000 * _percentile(spent.commits_s, 99), "ms", "allowed", 500.0),
        *(_row(f"{name}, {part}", spent.core(cpu_s), "% of a core") for part, cpu_s in parts.items()),
        _row(f"{name}, all stored after the last packet", spent.drained_s, "s"),
    ]


async def _costs(bench: Bench, scale: float) -> list[Row]:
    """Whether a packet costs the same however many devices send."""
    rows: list[Row] = []
    for count in (100, 1_000, 5_000):
        worn = await bench.wear(_scaled(count, scale), "ended")
        async with _hub(bench.installation) as hub:
            spent = await _going_on(bench, worn, COST_S * scale, hub)
        value = spent.per(spent.hub_s)
        rows.append(_row(f"ingest: hub, {len(worn):,} devices", value, "CPU s / 100,000 packets"))
    return rows


async def _limit(bench: Bench, scale: float) -> list[Row]:
    """More and more Holters with live analysis, until the hub falls behind; then who was busiest."""
    sustained, last = None, None
    async with _hub(bench.installation) as hub:
        for count in range(1_500, 12_001, 1_500):
            worn = await bench.wear(_scaled(count, scale))
            await bench.load(worn, BEGUN_S, hub=hub)
            last = await bench.load(worn, STEP_S * scale, hub=hub, after_s=BEGUN_S)
            if last.drained_s > BEHIND_S or last.late_s > BEHIND_S or last.lost:
                break
            sustained = last
    assert last is not None
    cores = {
        "hub": last.core(last.hub_s), "broker": last.core(last.broker_s), "database": last.core(last.database_s),
        "fleet": last.core(last.fleet_s),
    }  # fmt: skip
    busiest = max(cores, key=lambda name: cores[name])
    rate = sustained.packets / round(STEP_S * scale) if sustained else 0.0
    told = ", ".join(f"{name} {core:.0f} %" for name, core in cores.items())
    return [
        _row("ingest: highest sustained rate", rate, "packets/s"),
        _row(f"ingest: beyond it {busiest} is busiest ({told})", cores[busiest], "% of a core"),
    ]


def _scaled(count: int, scale: float) -> int:
    """Devices of a trial."""
    return max(20, round(count * min(1.0, 5 * scale)))


def _percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else 0.0


def _row(name: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None) -> Row:
    ratio = value / peer_value if peer_value else None
    return {
        "name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio,
    }  # fmt: skip


def _acknowledge_only(installation: Installation, messages: int, ready: Any, _go: Any, answers: Any) -> None:
    heard, settings = 0, installation.settings

    def on_message(_client: Any, _data: Any, _message: Any) -> None:
        nonlocal heard
        heard += 1
        if heard == messages:
            answers.put(heard)

    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="peer")
    client.username_pw_set(settings.mqtt_username, broker.hub_password(settings))
    client.on_message = on_message
    client.on_subscribe = lambda *_: ready.set()
    client.connect(*settings.broker_address)
    client.subscribe(f"{PEER_ROOT}/+/+/+", 1)
    client.loop_forever()


class _Commits:
    """Every time the histogram of commits is told, which goes on as it is; its buckets alone give no percentile."""

    def __init__(self, histogram: Histogram) -> None:
        self.times_s: list[float] = []
        self._observe = histogram.observe
        histogram.observe = self._note  # type: ignore[method-assign]

    def _note(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        self.times_s.append(amount)
        self._observe(amount, exemplar)


def _ingest(installation: Installation, ready: Any, go: Any, answers: Any) -> None:
    """The hub's ingest; asked by `go`, it tells its commits since it was asked last."""
    commits = _Commits(metrics.COMMIT_S)

    async def work() -> None:
        async with (
            Database(installation.dsn, "hub_ingest", 4) as database,
            monitoring.ingesting(installation.settings, database, now),
        ):
            ready.set()
            while True:
                while not await asyncio.to_thread(go.wait, 5):
                    pass
                go.clear()
                answers.put(commits.times_s)
                commits.times_s = []

    gc.set_threshold(YOUNG_OBJECTS)  # as `hub.ingest.worker.run`
    asyncio.run(work())
