"""Ingest: the hub's CPU for 100,000 packets of a second (3 x 250 Hz), beside a bare paho client that only acknowledges.

Both read the same packets of the same broker in the same run. The hub reads, decodes, keeps the ledger, stores and
acknowledges; with analysis on top it is measured apart. The database's own CPU is told in a row of its own.
"""

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import psutil

from bench._installation import Installation, now, publish_all, running
from devices import packet
from ecg.synthetic import DAY, Synthesiser
from hub.core import broker
from hub.core.db import Database
from tests import monitoring, world
from tests.monitoring import FS_HZ, LEADS, waveform

DEVICES = 200
SECONDS = 150
PER = 100_000

Row = dict[str, Any]


def run(seconds: int = SECONDS) -> list[Row]:
    return asyncio.run(_run(seconds))


async def _run(seconds: int) -> list[Row]:
    peer_s, _, _ = await _measured(seconds, "requested", _acknowledge_only)
    storing_s, storing_wall_s, database_s = await _measured(seconds, "ended", _ingest)
    analysing_s, _, _ = await _measured(seconds, "requested", _ingest)
    peer = "bare paho subscriber, acknowledging only"
    return [
        _row("ingest: hub CPU, read to ack", storing_s, "s / 100,000 packets", peer, peer_s),
        _row("ingest: live analysis on top", analysing_s - storing_s, "s / 100,000 packets", peer, peer_s),
        _row("ingest: database CPU", database_s, "s / 100,000 packets", peer, peer_s),
        _row("ingest: stored and acknowledged", PER / storing_wall_s, "packets/s", None, None),
    ]


def _row(name: str, value: float, unit: str, peer: str | None, peer_value: float | None) -> Row:
    ratio = value / peer_value if peer_value else None
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "ratio": ratio,
    }


async def _measured(seconds: int, status: str, reader: Callable[..., None]) -> tuple[float, float, float]:
    """CPU of the reader, wall time and CPU of the database, each for 100,000 packets.

    Recordings that have ended are stored like any other but not analysed.
    """
    messages = DEVICES * seconds
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        async with running(Path(folder), DEVICES, status) as installation:
            spawn = multiprocessing.get_context("spawn")
            ready, done = spawn.Event(), spawn.Event()
            process = spawn.Process(target=reader, args=(installation, messages, ready, done))
            process.start()
            await asyncio.to_thread(ready.wait)
            assert process.pid is not None
            child = psutil.Process(process.pid)
            before, began_s, database_before = _cpu_s(child), time.monotonic(), _database_cpu_s(installation)
            await publish_all(installation.session("bench"), _messages(installation, seconds))
            await _until_done(installation, messages, done, reader is _ingest)
            spent = (
                _cpu_s(child) - before,
                time.monotonic() - began_s,
                _database_cpu_s(installation) - database_before,
            )
            done.set()
            await asyncio.to_thread(process.join, 20)
            return spent[0] * PER / messages, spent[1] * PER / messages, spent[2] * PER / messages


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _database_cpu_s(installation: Installation) -> float:
    """All processes of the installation's own server."""
    root = str(installation.settings.data_dir.parent)
    servers = [p for p in psutil.process_iter(["cmdline"]) if root in " ".join(p.info["cmdline"] or ())]
    family = {p.pid: p for s in servers if "postgres" in s.name() for p in (s, *s.children(recursive=True))}
    return sum(_cpu_s(p) for p in family.values())


def _messages(installation: Installation, seconds: int) -> Iterator[tuple[str, bytes]]:
    """All devices second by second; each plays its own place of a day's heart."""
    heart = Synthesiser(1, FS_HZ, LEADS, DAY)
    signal = heart.samples(0, (seconds + DEVICES) * FS_HZ)
    began = now()
    for second in range(seconds):
        for number, worn in enumerate(installation.worn):
            at = (number + second) * FS_HZ
            one = waveform(
                worn, began, np.ascontiguousarray(signal[:, at : at + FS_HZ]), second * FS_HZ,
                uv_per_lsb=heart.uv_per_lsb,
            )  # fmt: skip
            yield f"{worn.topic}/ecg", packet.encode(one)


async def _until_done(installation: Installation, messages: int, done: Event, stores: bool) -> None:
    """The peer says so itself; of the hub the ledger does."""
    if not stores:
        await asyncio.to_thread(done.wait)
        return
    async with await world.connect(installation.dsn) as admin:
        while True:
            cursor = await admin.execute(
                "SELECT coalesce(sum(produced_samples), 0) AS made FROM recording_boot"
            )
            row = await cursor.fetchone()
            if row is not None and row["made"] >= messages * FS_HZ:
                return
            await asyncio.sleep(0.5)


def _acknowledge_only(installation: Installation, messages: int, ready: Event, done: Event) -> None:
    heard, settings = 0, installation.settings

    def on_message(_client: Any, _data: Any, _message: Any) -> None:
        nonlocal heard
        heard += 1
        if heard == messages:
            done.set()

    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="peer")
    client.username_pw_set(settings.mqtt_username, broker.hub_password(settings))
    client.on_message = on_message
    client.on_subscribe = lambda *_: ready.set()
    client.connect(*settings.broker_address)
    client.subscribe("ingest/+/+/+", 1)
    client.loop_start()
    done.wait()
    time.sleep(1)  # let the parent read our CPU time
    client.disconnect()
    client.loop_stop()


def _ingest(installation: Installation, _messages: int, ready: Event, done: Event) -> None:
    async def work() -> None:
        async with (
            Database(installation.dsn, "hub_ingest", 4) as database,
            monitoring.ingesting(installation.settings, database, now),
        ):
            ready.set()
            await asyncio.to_thread(done.wait)

    asyncio.run(work())
