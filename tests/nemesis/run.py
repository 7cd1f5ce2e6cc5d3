"""One run: a hub, Holters on flapping lines, faults in a seeded order, the drain, and whether every promise was kept.

Half of the devices have buffers larger than any outage: nothing may be missing of them. The other half have small ones
and are kept off the network for longer than these hold, now and then: the gaps must be what they gave up.
"""

import asyncio
import contextlib
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from hub.core import clock, errors
from hub.core.db import Database
from hub.telemetry import compaction
from tests.ingest.test_from_the_broker import until
from tests.nemesis import fleet as fleets
from tests.nemesis import history as histories
from tests.nemesis import store, telling, town
from tests.nemesis.checkers import (
    Broken,
    Figures,
    check_boot,
    check_drained,
    check_events,
    check_lossless,
    check_told,
)
from tests.nemesis.faults import Arena, order_of, strike
from tests.nemesis.fleet import Fleet, Setup
from tests.nemesis.history import Recorder, Truth
from tests.nemesis.installation import Hub, installed
from tests.nemesis.proxy import CLEAR
from tests.nemesis.tape import Tape
from tests.nemesis.town import Worn

LARGE_S: Final = 86_400.0
DRAINED_WITHIN_S: Final = 300.0  # guards only: a loaded machine may take its time
COMPACT_EVERY_S: Final = 2.0


@dataclass(frozen=True)
class Plan:
    """What a run is. `devices`: half of them with large buffers, half with `small_s`."""

    seed: int
    faults: int
    devices: int = 100
    small_s: float = 30.0
    pause_s: tuple[float, float] = (0.3, 3.0)  # between faults
    flap_s: tuple[float, float] = (20.0, 3.0)  # lines up, down
    blackout_every_s: float = 60.0  # some small ones are off the network for longer than they can hold
    ingest_processes: int = 1

    @property
    def lossless(self) -> range:
        return range(self.devices // 2)

    @property
    def lossy(self) -> range:
        return range(self.devices // 2, self.devices)

    @property
    def told(self) -> tuple[int, int]:
        """Devices whose recordings are looked at in the browser and read to the signed paper: one of each half."""
        return 0, self.devices - 1


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    struck: list[tuple[str, str]] = field(default_factory=list)
    hub_starts_s: list[float] = field(default_factory=list)
    failed_starts: list[str] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    figures: dict[tuple[str, int], Figures] = field(default_factory=dict)  # device, boot
    lines_lost: int = 0
    packets_sent: int = 0
    acknowledgements: int = 0
    blocks: int = 0
    findings: int = 0
    streamed_s: float = 0.0
    drained_s: float = 0.0
    broken: list[Broken] = field(default_factory=list)

    def of_devices(self, numbers: Sequence[int]) -> list[Figures]:
        wanted = {truth.device_id for truth in self.truths if truth.device in numbers}
        return [figures for (device, _), figures in self.figures.items() if device in wanted]


Tamper = Callable[[store.Admin, Plan], Awaitable[str]]  # spoils the store before it is checked


async def run(plan: Plan, folder: Path, tamper: Tamper | None = None) -> Outcome:
    """The whole run; `folder` keeps the hub's data, its logs and the history."""
    outcome = Outcome(plan)
    settings = {"HUB_INGEST_PROCESSES": str(plan.ingest_processes)}
    async with installed(folder, settings) as hub, hub.database() as database:
        there = await town.found_town(database, clock.now())
        worn = await town.wear(database, there, clock.now(), plan.devices, plan.told)
        setup = Setup(
            tuple(
                town.wearer(one, buffer_s=LARGE_S if one.number in plan.lossless else plan.small_s)
                for one in worn
            ),
            hub.broker, Tape(plan.seed), plan.seed, links=plan.devices,
        )  # fmt: skip
        async with fleets.playing(setup, folder / "fleet") as fleet:
            await town.start_all(database, clock.now(), worn)
            await until(lambda: _all_record(fleet, plan), DRAINED_WITHIN_S)
            begun_s = clock.monotonic_s()
            await _torment(plan, outcome, hub, database, fleet, worn, folder)
            outcome.streamed_s = clock.monotonic_s() - begun_s
            begun_s = clock.monotonic_s()
            await _drain(hub, database, fleet, worn)
            outcome.drained_s = clock.monotonic_s() - begun_s
            outcome.truths = await fleet.truth()
            outcome.packets_sent = (await fleet.figures())["packets_sent"]
        outcome.hub_starts_s, outcome.failed_starts = hub.start_s, hub.failed_starts
        await _judge(outcome, setup, hub, database, worn, histories.read(fleet.history), tamper)
    return outcome


async def _all_record(fleet: Fleet, plan: Plan) -> bool:
    return bool((await fleet.figures())["recording"] == plan.devices)


# Faults


async def _torment(
    plan: Plan,
    outcome: Outcome,
    hub: Hub,
    database: Database,
    fleet: Fleet,
    worn: Sequence[Worn],
    folder: Path,
) -> None:
    recorder = Recorder(folder / "faults.jsonl")
    arena = Arena(hub, fleet, plan.devices, recorder)
    await fleet.order("flap", up_s=plan.flap_s[0], down_s=plan.flap_s[1])
    beside = [
        asyncio.create_task(_keep_compacting(database, worn)),
        asyncio.create_task(_keep_blacking_out(plan, fleet)),
    ]
    for number, kind in enumerate(order_of(plan.seed, plan.faults)):
        rng = Random(f"{plan.seed}/{number}")
        outcome.struck.append((kind, await strike(arena, kind, rng)))
        if not hub.is_running:
            await hub.start()
        await asyncio.sleep(rng.uniform(*plan.pause_s))
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    for task in beside:
        if not task.cancelled():
            task.result()
    await arena.healed()
    await fleet.order("connecting", allowed=True)
    await fleet.order("flap")
    await fleet.set_links(CLEAR)
    recorder.close()


async def _keep_compacting(database: Database, worn: Sequence[Worn]) -> None:
    """Packets become blocks all the time, as if they were old, so that the late ones reopen them."""
    rng = Random(worn[0].device_id)
    while True:
        for one in rng.sample(list(worn), min(8, len(worn))):
            with contextlib.suppress(errors.Unavailable):
                await _compact(database, one)
        await asyncio.sleep(COMPACT_EVERY_S)


async def _compact(database: Database, worn: Worn) -> None:
    at = clock.now() + compaction.HOT_FOR + timedelta(seconds=1)
    async with database.transaction(town.DESK, at) as conn:
        boots = await compaction.boots_of(conn, worn.recording_id)
    for boot in boots:
        position: int | None = 0
        while position is not None:
            async with database.transaction(town.DESK, at) as conn:
                position = await compaction.compact_next(conn, at, worn.recording_id, boot, position)


async def _keep_blacking_out(plan: Plan, fleet: Fleet) -> None:
    """Some of the small ones lose the network for longer than they can hold."""
    rng = Random(f"{plan.seed}/blackout")
    away_s = 1.4 * plan.small_s + 2.0
    while True:
        devices = sorted(rng.sample(plan.lossy, max(1, len(plan.lossy) // 4)))
        await fleet.order("connecting", devices=devices, allowed=False)
        await asyncio.sleep(away_s)
        await fleet.order("connecting", devices=devices, allowed=True)
        await asyncio.sleep(max(0.0, plan.blackout_every_s - away_s))


# The end


async def _drain(hub: Hub, database: Database, fleet: Fleet, worn: Sequence[Worn]) -> None:
    """No more faults: all recordings are ended, and what devices hold comes in."""
    await until(lambda: _try(town.end_all, database, worn), DRAINED_WITHIN_S)
    await until(lambda: _all_ended(database), DRAINED_WITHIN_S)

    async def is_empty() -> bool:
        return bool((await fleet.figures())["held"] == 0)

    with contextlib.suppress(TimeoutError):  # the checker says who holds what
        await until(is_empty, 30.0)


async def _try(
    what: Callable[[Database, Any, Sequence[Worn]], Awaitable[None]], database: Database, worn: Sequence[Worn]
) -> bool:
    """Once more, until the hub can."""
    try:
        await what(database, clock.now(), worn)
    except (errors.Unavailable, errors.Conflict):  # away, or the first sample is not stored yet
        return False
    return True


async def _all_ended(database: Database) -> bool:
    try:
        return not await town.not_ended(database, clock.now())
    except errors.Unavailable:
        return False


async def _judge(
    outcome: Outcome,
    setup: Setup,
    hub: Hub,
    database: Database,
    worn: Sequence[Worn],
    history: Sequence[dict[str, Any]],
    tamper: Tamper | None,
) -> None:
    plan = outcome.plan
    async with await store.connect(hub.admin_dsn) as admin:
        if tamper is not None:
            outcome.struck.append(("the store was spoilt on purpose", await tamper(admin, plan)))
        await _check_samples(outcome, setup, admin, history)
        outcome.broken += check_events(history, await store.read_events(admin))
        outcome.broken += await store.check_set_aside(admin)
        outcome.broken += await store.check_ended(admin, [one.recording_id for one in worn])
        outcome.blocks = await store.count_blocks(admin)
        await _check_told(outcome, hub, database, worn)
        await _check_findings(outcome, setup, admin, worn[plan.told[0]])
    outcome.broken += check_drained(outcome.truths)
    outcome.broken += check_lossless(t for t in outcome.truths if t.device in plan.lossless)
    outcome.acknowledgements = sum(1 for _ in histories.of_kind(history, "ack"))
    outcome.lines_lost = sum(not row["is_up"] for row in histories.of_kind(history, "link"))


async def _check_samples(
    outcome: Outcome, setup: Setup, admin: store.Admin, history: Sequence[dict[str, Any]]
) -> None:
    acknowledged = histories.acknowledged(history)
    for truth in outcome.truths:
        boot = await store.read_boot(admin, truth, acknowledged.get(truth.key, 0))
        broken, figures = check_boot(boot, setup.tape.signal(truth.device))
        outcome.broken += broken
        outcome.figures[truth.device_id, truth.boot] = figures
    strange = await store.read_boots(admin) - {truth.key for truth in outcome.truths}
    outcome.broken += [
        Broken("only what was produced is stored", str(key), "no such boot") for key in strange
    ]


async def _check_told(outcome: Outcome, hub: Hub, database: Database, worn: Sequence[Worn]) -> None:
    plan = outcome.plan
    truly = {one.device_id: _summed(outcome, one) for one in worn}
    shown = [worn[number] for number in plan.told]
    truly_shown = {one.device_id: truly[one.device_id] for one in shown}
    expected = telling.totals(list(truly.values()))
    async with telling.session(hub) as http:
        await telling.sign_in(http, "doctor")
        page, paper, metric = await asyncio.gather(
            telling.by_page(hub, shown),
            telling.by_paper(hub, database, http, shown),
            telling.by_metric(http, expected),
        )
        outcome.broken += check_told("the API", await telling.by_api(http, worn), truly)
        outcome.broken += await _check_windows(http, outcome, shown)
    outcome.broken += check_told("the live page", page, truly_shown)
    outcome.broken += check_told("the paper", paper, truly_shown)
    if metric != expected:
        outcome.broken.append(Broken("the metric tells the ledger", "hub", f"says {metric}, is {expected}"))


def _summed(outcome: Outcome, worn: Worn) -> Figures:
    own = [figures for (device, _), figures in outcome.figures.items() if device == worn.device_id]
    parts = ((one.produced, one.stored, one.lost, one.given_up) for one in own)
    return Figures(*(sum(part) for part in zip(*parts, strict=True)))


async def _check_windows(http: Any, outcome: Outcome, worn: Sequence[Worn]) -> list[Broken]:
    """What pages read is what was produced, wherever it is stored."""
    broken, tape = [], Tape(outcome.plan.seed)
    for one in worn:
        for truth in (t for t in outcome.truths if t.device == one.number and t.produced):
            seen = await telling.windows(http, truth.recording, truth.boot, truth.produced)
            wrong = (seen != tape.signal(truth.device)(truth.begin, truth.produced)).any(axis=0)
            lost = outcome.figures[truth.device_id, truth.boot].lost
            if int(np.count_nonzero(wrong)) != lost:
                words = f"{np.count_nonzero(wrong)} samples differ, {lost} are lost"
                broken.append(Broken("pages read what was produced", truth.device_id, words))
    return broken


async def _check_findings(outcome: Outcome, setup: Setup, admin: store.Admin, worn: Worn) -> None:
    """Of the recording that lost nothing and was read to the end."""
    produced = outcome.figures[worn.device_id, 1].produced
    expected = telling.undisturbed(setup.tape, worn.number, produced, clock.now())
    outcome.findings = len(expected)
    found = await store.read_findings(admin, worn.recording_id)
    outcome.broken += telling.check_findings(worn.device_id, found, expected)


# The table


def table(outcome: Outcome) -> str:
    """What happened, in a few lines; first what was broken."""
    plan, struck = outcome.plan, Counter(kind for kind, _ in outcome.struck)
    starts = outcome.hub_starts_s[1:]
    lines = [
        f"nemesis: seed {plan.seed}, {plan.devices} devices, {plan.ingest_processes} ingest processes,"
        f" {plan.faults} faults in {outcome.streamed_s:.0f} s,"
        f" drained in {outcome.drained_s:.1f} s",
        "  faults        " + ", ".join(f"{kind} {times}" for kind, times in sorted(struck.items())),
        f"  hub           started again {len(starts)} times"
        + (
            f", ready after {statistics.median(starts):.1f} s (median), {max(starts):.1f} s (longest)"
            if starts
            else ""
        )
        + (f", {len(outcome.failed_starts)} starts failed" if outcome.failed_starts else ""),
        f"  lines         lost {outcome.lines_lost} times; {outcome.acknowledgements} acknowledgements,"
        f" {_sent_again(outcome)} packets sent again and answered; {outcome.blocks} blocks;"
        f" {outcome.findings} findings",
        *(_half(outcome, name, numbers) for name, numbers in _halves(plan)),
        f"  promises      {'all kept' if not outcome.broken else f'{len(outcome.broken)} BROKEN'}",
        *(f"    {one}" for one in outcome.broken[:40]),
    ]
    return "\n".join(lines)


def _halves(plan: Plan) -> list[tuple[str, Sequence[int]]]:
    return [("large buffers", plan.lossless), (f"{plan.small_s:g}-s buffers", plan.lossy)]


def _half(outcome: Outcome, name: str, numbers: Sequence[int]) -> str:
    own = outcome.of_devices(numbers)
    produced, stored, lost, given_up = (
        sum(getattr(one, field) for one in own) for field in ("produced", "stored", "lost", "given_up")
    )
    return (
        f"  {name:<13} {produced:,} samples produced, {stored:,} stored, {lost:,} in declared gaps;"
        f" devices gave up {given_up:,}"
    )


def _sent_again(outcome: Outcome) -> int:
    """Packets sent more than once; those given up before they were ever sent were not sent at all."""
    cut = sum(-(-truth.produced // fleets.PACKET) for truth in outcome.truths)
    never = sum(
        -(-(end - first) // fleets.PACKET)
        for t in outcome.truths
        for first, end, sent in t.given_up
        if not sent
    )
    return outcome.packets_sent - (cut - never)
