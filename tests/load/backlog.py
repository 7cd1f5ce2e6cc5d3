"""A Holter comes back after a day: three minutes on a line of 200 kbit/s, then on a good one, until all is stored."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hub.core import clock
from tests.load import outage, pages, server, ward
from tests.load.figures import Figure, percentile, say
from tests.load.pages import Heard
from tests.load.ward import TAPE_S, Ward
from tests.nemesis import installation
from tests.nemesis.fleet import Setup
from tests.nemesis.proxy import CLEAR, Condition
from tests.nemesis.tape import FS_HZ, Tape

THIN: Final = Condition(up_kbit_s=200.0, down_kbit_s=200.0, delay_s=0.05)
DELAY_S: Final = 3.0
FAST_PER_S: Final = 2_000.0  # packets of backlog a device sends at most; its line and the hub decide
DONE_WITHIN_S: Final = 840.0
GOES_ON_S: Final = 7_200.0  # what it records while it sends: its buffer must not overflow
OLDER_S: Final = 60.0  # than the newest sample when it came: what it recorded meanwhile
STATUS_S: Final = 6.0  # the page is told each two seconds
SETTLED_S: Final = 10.0  # the page opens and asks for short packets


@dataclass(frozen=True)
class Plan:
    """How long."""

    recorded_s: float = 86_400.0
    thin_s: float = 180.0
    seed: int = 20_260_105


SHORT: Final = Plan(recorded_s=900.0, thin_s=4.0)


async def run(folder: Path, plan: Plan) -> list[Figure]:
    async with server.running(folder / "pg") as postgres:
        async with (
            installation.installed(folder, {"HUB_DSN": postgres.dsn}) as hub,
            ward.populated(hub, 1) as (database, worn),
        ):
            wearers = ward.make_wearers(
                worn,
                recorded_s=plan.recorded_s,
                buffer_s=plan.recorded_s + GOES_ON_S,
                backlog_per_s=FAST_PER_S,
            )
            setup = Setup(wearers, hub.broker, Tape(plan.seed, TAPE_S), plan.seed, links=1, line=THIN)
            async with (
                ward.streaming(hub, postgres.superuser_dsn, setup, database, worn, folder) as watched,
                pages.broker_words(hub, [f"live/{worn[0].recording_id}"]) as words,
                pages.page(hub, worn[0].recording_id) as page,
            ):
                return await _measured(watched, words, page, plan)


async def _measured(watched: Ward, words: Heard, page: Heard, plan: Plan) -> list[Figure]:
    began_s = clock.now().timestamp()
    await asyncio.sleep(plan.thin_s)
    thin_done = await _stored_s(watched)
    say(f"  {thin_done:,.0f} s stored over the thin line")
    good_s = clock.now().timestamp()
    truths = await watched.fleet.truth()
    await watched.fleet.set_links(CLEAR)
    took_s = await outage.all_present(watched, truths, DONE_WITHIN_S)
    say(f"  all there after {took_s:.0f} s more")
    done_s = clock.now().timestamp()
    await asyncio.sleep(STATUS_S)
    produced_s = sum(one.produced for one in truths) / FS_HZ
    told = (word["backlog_s"] for _, word in page.words if word["type"] == "status")
    backlogs = [one for one in told if one is not None]
    truths, drained_s = await ward.end(watched)
    return [
        Figure("backlog", plan.recorded_s, "s of signal"),
        Figure("thin line (200 kbit/s)", plan.thin_s, "s"),
        *_delays("thin line", words, page, began_s, good_s),
        Figure("stored over the thin line", thin_done, "s of signal"),
        Figure("good line: until all was stored", took_s, "s", at_most=DONE_WITHIN_S),
        Figure("good line: rate", (produced_s - thin_done) / took_s, "s of signal per s"),
        *_delays("good line", words, page, good_s, done_s, bound=None),
        Figure("progress on the page: backlogs told", len(backlogs), at_least=2),
        Figure("progress on the page: most", max(backlogs), "s", at_most=plan.recorded_s + OLDER_S),
        Figure("progress on the page: last", backlogs[-1], "s", at_most=60.0),
        Figure("drained after the end", drained_s, "s"),
        *await ward.examined(watched, truths),
    ]


def _delays(
    when: str, words: Heard, page: Heard, since_s: float, until_s: float, bound: float | None = DELAY_S
) -> list[Figure]:
    """From the newest sample of a second to its word, at the broker and on the page."""
    return [
        Figure(
            f"{when}: delay of a second's result, {where}, p95", percentile(delays, 0.95), "s", at_most=bound
        )
        for where, heard in (("at the broker", words), ("on the page", page))
        for delays in [_delays_of(heard, since_s + SETTLED_S, until_s)]
    ] + [Figure(f"{when}: seconds told on the page", len(_delays_of(page, since_s + SETTLED_S, until_s)))]


def _delays_of(heard: Heard, since_s: float, until_s: float) -> list[float]:
    return [
        at_s - _told_at_s(word)
        for at_s, word in heard.words
        if since_s <= at_s < until_s and _is_second(word)
    ]


def _is_second(word: dict[str, Any]) -> bool:
    return "sample" in word and word.get("type", "second") == "second"


def _told_at_s(word: dict[str, Any]) -> float:
    return datetime.fromisoformat(word["at"]).timestamp()


async def _stored_s(watched: Ward) -> float:
    have = await ward.read_have(watched)
    return sum(end - first for ranges in have.values() for first, end in ranges) / FS_HZ
