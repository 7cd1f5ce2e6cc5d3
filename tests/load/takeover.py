"""Two ingest processes; one is killed, later one is stopped: the other takes its devices over, and nothing is lost."""

import asyncio
import itertools
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from hub.core import clock
from tests.load import server, ward
from tests.load.figures import Figure, exactly, say
from tests.load.ward import TAPE_S, Ward
from tests.load.witness import Commit, out_of_order
from tests.nemesis import installation
from tests.nemesis.fleet import Setup
from tests.nemesis.history import Key
from tests.nemesis.installation import Hub
from tests.nemesis.tape import Tape

TAKEOVER_S: Final = 10.0
PROCESSES: Final = 2
HURT_S: Final = 2.5


@dataclass(frozen=True)
class Plan:
    """How long, how many."""

    devices: int = 50
    calm_s: float = 40.0  # before the first fault, after it, after the second
    seed: int = 20_260_101


SHORT: Final = Plan(devices=6, calm_s=1.5)


async def run(folder: Path, plan: Plan) -> list[Figure]:
    async with server.running(folder / "pg") as postgres:
        settings = {"HUB_DSN": postgres.dsn, "HUB_INGEST_PROCESSES": str(PROCESSES)}
        async with (
            installation.installed(folder, settings) as hub,
            ward.populated(hub, plan.devices) as (database, worn),
        ):
            setup = Setup(ward.make_wearers(worn), hub.broker, Tape(plan.seed, TAPE_S), plan.seed, links=0)
            async with ward.streaming(hub, postgres.superuser_dsn, setup, database, worn, folder) as watched:
                killed_s, stopped_s = await _hurt(watched, plan)
                truths, drained_s = await ward.end(watched)
                commits = await watched.commits()
                return [
                    Figure("devices", plan.devices),
                    *takeover("killed (kill -9)", commits, killed_s, stopped_s),
                    *takeover("stopped (SIGSTOP)", commits, stopped_s, stopped_s + 3 * TAKEOVER_S),
                    exactly("packets stored out of order of index", out_of_order(commits)),
                    Figure("drained after the end", drained_s, "s"),
                    *await ward.examined(watched, truths),
                    *await ward.findings_examined(watched, truths),
                ]


async def _hurt(watched: Ward, plan: Plan) -> tuple[float, float]:
    """Kill one process, then stop the other; the instants."""
    await asyncio.sleep(plan.calm_s)
    killed_s = send_signal(watched.hub, "ingest-1", signal.SIGKILL)
    await asyncio.sleep(plan.calm_s)
    await _all_there(watched.hub)
    stopped_s = send_signal(watched.hub, "ingest-2", signal.SIGSTOP)
    await asyncio.sleep(plan.calm_s + TAKEOVER_S)
    return killed_s, stopped_s


def send_signal(hub: Hub, name: str, number: signal.Signals) -> float:
    """To a process of the hub; the instant."""
    process: psutil.Process = hub.children()[name]
    at_s = clock.now().timestamp()
    process.send_signal(number)
    say(f"  {number.name} to {name}")
    return at_s


async def _all_there(hub: Hub) -> None:
    async def both() -> bool:
        return {f"ingest-{number + 1}" for number in range(PROCESSES)} <= set(hub.children())

    await ward.until(both, 60.0)


def takeover(
    how: str, commits: Mapping[Key, Sequence[Commit]], since_s: float, until_s: float
) -> list[Figure]:
    """How long devices went without a commit after a fault."""
    gaps = longest_gaps(commits, since_s, min(until_s, since_s + 3 * TAKEOVER_S))
    hurt = [gap for gap in gaps if gap > HURT_S]
    return [
        Figure(f"{how}: devices without a commit for > {HURT_S} s", len(hurt)),
        Figure(f"{how}: longest time without a commit of any device", max(gaps), "s", at_most=TAKEOVER_S),
    ]


def longest_gaps(commits: Mapping[Key, Sequence[Commit]], since_s: float, until_s: float) -> list[float]:
    """Of each boot, the longest time between two commits, ended by `until` at last, that touches the time since."""
    found = []
    for packets in commits.values():
        instants = sorted({packet.at_s for packet in packets})
        pairs = [(a, min(b, until_s)) for a, b in itertools.pairwise(instants) if b > since_s and a < until_s]
        found.append(max((b - a for a, b in pairs), default=until_s - since_s))
    return found
