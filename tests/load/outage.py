"""PostgreSQL stops answering, and later is gone, for minutes under 500 devices: nothing unsaved is acknowledged, people
are told at once, the hub does not grow, and soon after the end everything is there."""

import asyncio
import contextlib
import math
import os
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.core import clock, errors
from tests.load import pages, server, ward, weights
from tests.load.figures import Figure, exactly, say
from tests.load.pages import Heard
from tests.load.ward import TAPE_S, Ward
from tests.load.weights import MIB, Scales
from tests.nemesis import installation
from tests.nemesis.fleet import Setup
from tests.nemesis.history import Truth, of_kind
from tests.nemesis.tape import Tape

ALARM_S: Final = 10.0
GROWTH_MIB: Final = 300.0
PRESENT_S: Final = 60.0
PRESENT_WITHIN_S: Final = 600.0
UNDER_WAY_S: Final = (
    3.0  # an acknowledgement of what was committed just before the stop may come so much later
)


@dataclass(frozen=True)
class Plan:
    """How long, how many."""

    devices: int = 500
    outage_s: float = float(os.environ.get("OUTAGE_S", "300"))
    calm_s: float = 30.0
    seed: int = 20_260_103


SHORT: Final = Plan(devices=8, outage_s=5.0, calm_s=2.0)


Step = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """What is watched during the outages."""

    watched: Ward
    words: Heard
    page: Heard
    scales: Scales
    calm_s: float
    outage_s: float


async def run(folder: Path, plan: Plan) -> list[Figure]:
    async with server.running(folder / "pg") as postgres:
        async with (
            installation.installed(folder, {"HUB_DSN": postgres.dsn}) as hub,
            ward.populated(hub, plan.devices) as (database, worn),
        ):
            setup = Setup(
                ward.make_wearers(worn), hub.broker, Tape(plan.seed, TAPE_S, calm=True), plan.seed, links=0
            )
            async with ward.streaming(hub, postgres.superuser_dsn, setup, database, worn, folder) as watched:
                figures = [Figure("devices", plan.devices), Figure("each outage", plan.outage_s, "s")]
                async with watching(watched, plan.calm_s, plan.outage_s) as scene:
                    figures += await trouble(scene, "stopped (SIGSTOP)", postgres.pause, postgres.resume)
                    figures += await trouble(scene, "gone (kill -9)", postgres.kill, postgres.start)
                truths, drained_s = await ward.end(watched)
                figures.append(Figure("drained after the end", drained_s, "s"))
                return figures + await ward.examined(watched, truths)


@contextlib.asynccontextmanager
async def watching(watched: Ward, calm_s: float, outage_s: float) -> AsyncIterator[Scene]:
    """Listen, look and weigh while the block runs."""
    async with (
        pages.broker_words(watched.hub, ["live/hub/ingest/+"]) as words,
        pages.page(watched.hub, watched.worn[0].recording_id) as page,
        weights.weighing(watched.hub, 1.0) as scales,
    ):
        yield Scene(watched, words, page, scales, calm_s, outage_s)


async def trouble(scene: Scene, how: str, begin: Step, finish: Step) -> list[Figure]:
    """Some calm, the trouble, its end; what could be seen of it."""
    await asyncio.sleep(scene.calm_s)
    calm_s, stopped_s = clock.monotonic_s() - scene.calm_s, clock.now().timestamp()
    say(f"  {how}")
    await begin()
    begun_s = clock.now().timestamp()
    await asyncio.sleep(scene.outage_s)
    during = await scene.watched.fleet.truth()
    back_s = clock.now().timestamp()
    await finish()
    say("  over")
    present_s = await all_present(scene.watched, during, PRESENT_WITHIN_S)
    given = acknowledged_between(scene.watched, begun_s + UNDER_WAY_S, back_s)
    return [
        Figure(f"{how}: first word of an ingest process", scene.words.first_s(stopped_s, pages.is_trouble), "s",
               at_most=ALARM_S),
        Figure(f"{how}: first word on an open live page", scene.page.first_s(stopped_s, _is_banner), "s",
               at_most=ALARM_S),
        Figure(f"{how}: seconds of signal on the live page meanwhile", _seconds_shown(scene.page, stopped_s, back_s)),
        exactly(f"{how}: acknowledgements during the outage", given),
        *grown(how, scene.scales, calm_s, calm_s + scene.calm_s),
        Figure(f"{how}: all present after the end", present_s, "s", at_most=PRESENT_S),
    ]  # fmt: skip


def _is_banner(word: dict[str, object]) -> bool:
    return word["type"] == "storing" and pages.is_trouble(word)


def _seconds_shown(page: Heard, since_s: float, until_s: float) -> int:
    return sum(since_s <= at_s < until_s and word["type"] == "second" for at_s, word in page.words)


def acknowledged_between(watched: Ward, since_s: float, until_s: float) -> int:
    """Acknowledgements of samples that devices got between two instants, of those that told them anything new."""
    newest: dict[object, int] = {}
    given = 0
    for row in of_kind(watched.history(), "ack"):
        key, told = (row["recording"], row["boot"]), row["next_sample"]
        given += since_s <= row["at_s"] < until_s and told > newest.get(key, 0)
        newest[key] = max(told, newest.get(key, 0))
    return given


def grown(how: str, scales: Scales, calm_s: float, until_s: float) -> list[Figure]:
    """The hub's processes and the broker, against what they took before."""
    before = scales.sums(calm_s, until_s) or [0]
    peak = max(scales.sums(until_s), default=0)
    broker_before = [w.memory_bytes for w in scales.of("mosquitto") if calm_s <= w.at_s < until_s] or [0]
    broker_peak = max((w.memory_bytes for w in scales.of("mosquitto") if w.at_s >= until_s), default=0)
    growth_mib = (peak - statistics.median(before)) / MIB
    return [
        Figure(f"{how}: hub processes before", statistics.median(before) / MIB, "MiB PSS"),
        Figure(f"{how}: hub processes together, growth", growth_mib, "MiB PSS", at_most=GROWTH_MIB),
        Figure(
            f"{how}: the broker's growth", (broker_peak - statistics.median(broker_before)) / MIB, "MiB PSS"
        ),
    ]


async def all_present(watched: Ward, truths: Sequence[Truth], within_s: float) -> float:
    """Seconds until everything made so far is stored; infinite if it is not in time."""

    async def are_there() -> bool:
        try:
            have = await ward.read_have(watched)
        except errors.Unavailable:  # not back yet
            return False
        return all(_has(have.get(one.key, ()), one.produced) for one in truths)

    try:
        return await ward.until(are_there, within_s, 1.0)
    except TimeoutError:
        return math.inf


def _has(have: Sequence[tuple[int, int]], produced: int) -> bool:
    return produced == 0 or (len(have) > 0 and have[0][0] == 0 and have[0][1] >= produced)
