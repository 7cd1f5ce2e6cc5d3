"""Half an hour of fifty Holters with people coming and going: memory, files, connections, sessions and tasks stay.

What fills once belongs to the warm-up: pools of connections and their buffers, which grow with the largest answer; the
second look at ten minutes of each recording and their compaction, once for what waited in the devices and once while
they record. Both come again each ten minutes, so about twice while it is measured. Alarms are seen to, as in a ward:
those open are on every board, and would grow with the hours even if the hub itself forgot all it may forget.
"""

import asyncio
import contextlib
import itertools
import math
import os
import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from aiohttp import ClientError, ClientSession
from scipy import stats

from hub.core import clock
from tests.load import pages, server, staff, ward, weights
from tests.load.figures import Figure, exactly
from tests.load.ward import TAPE_S, Ward
from tests.load.weights import MIB, NOT_OURS, Scales
from tests.nemesis import installation, store, telling
from tests.nemesis.fleet import Setup
from tests.nemesis.tape import Tape

GROWTH_PERCENT_H: Final = 2.0
BLOCK_S: Final = 60.0  # the least of so long is one point: what garbage does within it is no growth
CONFIDENCE: Final = 0.95
REST_S: Final = 10.0
HALVES: Final = 2
# So much waits in each device: two looks at ten minutes at once, the third (due with 1,860 s) before the measured time.
RECORDED_S: Final = 1_600.0


@dataclass(frozen=True)
class Plan:
    """How long, how many."""

    devices: int = 50
    soak_s: float = float(os.environ.get("SOAK_S", "1560"))
    warm_s: float = float(os.environ.get("SOAK_WARM_S", "420"))
    viewers: int = 6  # at a time, each for some seconds
    look_s: float = 20.0
    seed: int = 20_260_106


async def run(folder: Path, plan: Plan) -> list[Figure]:
    async with server.running(folder / "pg") as postgres:
        async with (
            installation.installed(folder, {"HUB_DSN": postgres.dsn}) as hub,
            ward.populated(hub, plan.devices) as (database, worn),
        ):
            wearers = ward.make_wearers(worn, recorded_s=RECORDED_S)
            setup = Setup(wearers, hub.broker, Tape(plan.seed, TAPE_S), plan.seed, links=0)
            async with (
                ward.streaming(hub, postgres.superuser_dsn, setup, database, worn, folder) as watched,
                weights.weighing(hub, 5.0) as scales,
                staff.tending(hub) as tended,
            ):
                return [*await _soak(watched, scales, plan), Figure("alarms seen to", tended[0], at_least=1)]


async def _soak(watched: Ward, scales: Scales, plan: Plan) -> list[Figure]:
    """Warm up, count at rest, soak with viewers, count at rest, once more."""
    async with _coming_and_going(watched, plan):
        await asyncio.sleep(plan.warm_s)
    counts, looks = [await _counted_at_rest(watched, scales)], 0
    since_s = clock.monotonic_s()
    for _ in range(HALVES):
        async with _coming_and_going(watched, plan) as seen:
            await asyncio.sleep(plan.soak_s / HALVES)
        counts.append(await _counted_at_rest(watched, scales))
        looks += seen[0]
    until_s = clock.monotonic_s()
    truths, drained_s = await ward.end(watched)
    return [
        Figure("devices", plan.devices),
        Figure("soak after warm-up", until_s - since_s, "s"),
        Figure("live pages opened and closed", looks, at_least=1),
        *growth(scales, since_s, until_s),
        *_leaks(counts),
        *_restarts(scales),
        Figure("drained after the end", drained_s, "s"),
        *await ward.examined(watched, truths),
    ]


@contextlib.asynccontextmanager
async def _coming_and_going(watched: Ward, plan: Plan) -> AsyncIterator[list[int]]:
    """Viewers open live pages and boards, stay a while, leave politely or not."""
    looks = [0]
    async with telling.session(watched.hub) as http:
        await telling.sign_in(http, "doctor")
        tasks = [
            asyncio.create_task(_viewer(watched, http, random.Random(f"{plan.seed}/{number}"), plan, looks))
            for number in range(plan.viewers)
        ]
        try:
            yield looks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _viewer(
    watched: Ward, http: ClientSession, rng: random.Random, plan: Plan, looks: list[int]
) -> None:
    while True:
        recording = rng.choice(watched.worn).recording_id
        path = "/api/board" if rng.random() < 0.3 else f"/api/recordings/{recording}/live"
        with contextlib.suppress(ClientError, TimeoutError):
            async with asyncio.timeout(rng.uniform(0.1, 2.0) * plan.look_s):
                async with http.ws_connect(path, headers={"Origin": watched.hub.base}) as socket:
                    looks[0] += 1
                    async for message in socket:
                        if isinstance(message.data, str):
                            await socket.send_json({"type": "ack", "sample": pages.ACK_SAMPLES})


async def _counted_at_rest(watched: Ward, scales: Scales) -> dict[str, int]:
    """What may leak, by name, while nobody looks: the least of some counts, since what comes and goes is not leaked."""
    await asyncio.sleep(REST_S)
    counts = [await _count(watched, scales) for _ in range(5)]
    return {name: min(count.get(name, 0) for count in counts) for name in counts[0]}


async def _count(watched: Ward, scales: Scales) -> dict[str, int]:
    await asyncio.sleep(1.0)
    async with telling.session(watched.hub) as http, http.get("/metrics") as answer:
        tasks = _tasks(await answer.text())
    files = {f"files of {name}": weight.files for name, weight in scales.rounds[-1].items()}
    return {
        "connections to PostgreSQL": await _connections(watched),
        "connections of the broker": await _broker_connections(watched),
        **tasks,
        **files,
    }


async def _connections(watched: Ward) -> int:
    async with await store.connect(watched.witness_dsn) as admin:
        cursor = await admin.execute(
            "SELECT count(*) AS rows FROM pg_stat_activity WHERE application_name LIKE 'hub_%'"
        )
        row = await cursor.fetchone()
    return int(str(row["rows"])) if row else 0


def _tasks(metrics: str) -> dict[str, int]:
    """Asyncio tasks of each process, as /metrics tells them."""
    found = re.findall(r'^hub_process_tasks\{process="([^"]+)"\} ([\d.e+]+)$', metrics, re.MULTILINE)
    return {f"tasks of {process}": int(float(count)) for process, count in found}


async def _broker_connections(watched: Ward) -> int:
    """Of devices and of the hub."""
    broker = watched.hub.children()["mosquitto"]
    return sum(one.status == "ESTABLISHED" for one in broker.net_connections("tcp"))


def growth(scales: Scales, since_s: float, until_s: float) -> list[Figure]:
    """Own memory of each process and of all: percent per hour, the median slope of all pairs of minutes (Theil, Sen),
    with its confidence: no two instants decide.
    """
    names = [name for name in scales.names() if name not in NOT_OURS]
    series = {name: [(w.at_s, w.own_bytes) for w in scales.of(name)] for name in names}
    rounds = [weights_ for weights_ in scales.rounds if set(names) <= set(weights_)]
    series["all together"] = [(row["hub"].at_s, sum(row[name].own_bytes for name in names)) for row in rounds]
    figures = []
    for name, points in series.items():
        inside = [(at_s, size) for at_s, size in points if since_s <= at_s < until_s]
        figures += _growth(name, inside, bound=GROWTH_PERCENT_H if name == "all together" else None)
    return figures


def _growth(name: str, points: Sequence[tuple[float, int]], bound: float | None) -> list[Figure]:
    minutes = _minutes(points)
    if len(minutes) < 4:
        return [Figure(f"memory of {name}: growth", math.nan, "%/h", at_most=bound)]
    at_h, sizes = np.array([at for at, _ in minutes]) / 3600, np.array([size for _, size in minutes])
    line = stats.theilslopes(sizes, at_h, CONFIDENCE)
    percent = 100 / float(np.median(sizes))
    slope, low, high = (float(one) * percent for one in (line.slope, line.low_slope, line.high_slope))
    undecided = bound is not None and high > bound
    return [
        Figure(f"memory of {name}", float(np.median(sizes)) / MIB, "MiB own"),
        Figure(
            f"memory of {name}: growth", slope, f"%/h, 95 % {low:.2f} to {high:.2f}", at_most=bound,
            undecided=undecided,
        ),
    ]  # fmt: skip


def _minutes(points: Sequence[tuple[float, int]]) -> list[tuple[float, float]]:
    """The least of each block."""
    blocks: dict[int, list[tuple[float, int]]] = {}
    for at_s, size in points:
        blocks.setdefault(int((at_s - points[0][0]) // BLOCK_S), []).append((at_s, size))
    return [
        (float(np.mean([at for at, _ in block])), float(min(size for _, size in block)))
        for block in blocks.values()
    ]


def _leaks(counts: Sequence[Mapping[str, int]]) -> list[Figure]:
    """A leak grows in each half; a pool that takes one more and keeps it grows once."""
    names = list(counts[0])
    halves = [
        [after.get(name, 0) - before[name] for before, after in itertools.pairwise(counts)] for name in names
    ]
    figures = [
        Figure(f"{name}: more in each half (at first {counts[0][name]})", min(more), at_most=0)
        for name, more in zip(names, halves, strict=True)
    ]
    told = sum(name.startswith("tasks of ") for name in names)
    return [*figures, Figure("processes that tell their tasks", told, at_least=1)]


def _restarts(scales: Scales) -> list[Figure]:
    return [
        exactly(f"restarts of {name}", len({weight.pid for weight in scales.of(name)}) - 1)
        for name in scales.names()
    ]
