"""A hub with a fleet of Holters on it, from the first sample to the drained end, and what is then true of it."""

import asyncio
import contextlib
import math
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from devices.fields import Range
from ecg import holter
from hub.core import clock, db, errors
from hub.core.db import Database
from hub.ingest import record_pass
from tests.load import witness
from tests.load.figures import Figure, exactly, say
from tests.nemesis import checkers, fleet, history, store, telling, town
from tests.nemesis.checkers import Broken
from tests.nemesis.fleet import Fleet, Setup, Wearer
from tests.nemesis.history import Key, Truth, acknowledged
from tests.nemesis.installation import Hub
from tests.nemesis.tape import Tape
from tests.nemesis.town import DESK, Worn

TAPE_S: Final = 600
BEGUN_WITHIN_S: Final = 300.0
LOOKED_WITHIN_S: Final = 240.0
DRAINED_WITHIN_S: Final = 180.0
SHOWN: Final = 10  # broken promises, of maybe thousands


@dataclass(frozen=True)
class Ward:
    """Who is measured."""

    hub: Hub
    database: Database
    witness_dsn: str
    worn: Sequence[Worn]
    wearers: Sequence[Wearer]
    tape: Tape
    fleet: Fleet

    @property
    def numbers(self) -> Mapping[UUID, int]:
        return {one.recording_id: one.number for one in self.worn}

    def history(self) -> list[dict[str, Any]]:
        return history.read(self.fleet.history)

    async def commits(self) -> dict[Key, list[witness.Commit]]:
        return await witness.commits(self.witness_dsn)


def make_wearers(worn: Sequence[Worn], **other: Any) -> tuple[Wearer, ...]:
    """Devices that are busy with their recordings from the start."""
    return tuple(town.wearer(one, recording=one.recording_id, **other) for one in worn)


def device_accounts(count: int) -> list[tuple[str, str]]:
    """User names and passwords of devices that are still to be made, for a broker that must know them before."""
    return [(f"{one.shard}/{one.device_id}", one.password) for one in town.make_worn(count)]


@contextlib.asynccontextmanager
async def populated(hub: Hub, count: int) -> AsyncIterator[tuple[Database, list[Worn]]]:
    """People, and so many of them with a Holter."""
    async with hub.database() as database:
        there = await town.found_town(database, clock.now())
        yield database, await town.wear(database, there, clock.now(), count)


@contextlib.asynccontextmanager
async def streaming(
    hub: Hub, witness_dsn: str, setup: Setup, database: Database, worn: Sequence[Worn], folder: Path
) -> AsyncIterator[Ward]:
    """The fleet plays; returns once every recording has begun."""
    async with fleet.playing(setup, folder / "fleet") as playing:
        ward = Ward(hub, database, witness_dsn, worn, setup.wearers, setup.tape, playing)
        took_s = await until(lambda: all_begun(ward), BEGUN_WITHIN_S, 1.0)
        say(f"  {len(worn)} recordings have begun after {took_s:.0f} s")
        yield ward


async def until(holds: Callable[[], Awaitable[bool]], within_s: float, every_s: float = 0.25) -> float:
    """Seconds until something holds; raises TimeoutError if it does not in time."""
    begun_s = clock.monotonic_s()
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - other processes are asked
            await asyncio.sleep(every_s)
    return clock.monotonic_s() - begun_s


async def all_begun(ward: Ward) -> bool:
    async with ward.database.transaction(DESK, clock.now()) as conn:
        row = await db.one(conn, "SELECT count(*) AS begun FROM recording WHERE status = 'recording'")
    return bool(row["begun"] == len(ward.worn))


async def end(ward: Ward, within_s: float = DRAINED_WITHIN_S) -> tuple[list[Truth], float]:
    """End all recordings and wait until everything is drained; what is then true, and the seconds it took."""
    for one in ward.worn:
        await _end_one(ward, one)

    waited_for = ""

    async def is_over() -> bool:
        nonlocal waited_for
        figures, open_ones = await ward.fleet.figures(), await town.not_ended(ward.database, clock.now())
        waited_for = f"not ended: {open_ones[:SHOWN]}; the devices: {figures}"
        return figures["over"] == len(ward.worn) and figures["held"] == 0 and not open_ones

    try:
        took_s = await until(is_over, within_s, 0.5)
    except TimeoutError:
        say(f"  not drained within {within_s:.0f} s; {waited_for}")
        took_s = math.inf
    return await ward.fleet.truth(), took_s


async def examined(ward: Ward, truths: Sequence[Truth]) -> list[Figure]:
    """Everything that must hold of every run in which no buffer was too small."""
    told = ward.history()  # first: what is told later may be committed later
    stored = await ward.commits()
    broken = await _broken(ward, truths, told)
    for one in broken[:SHOWN]:
        say(f"  broken: {one}")
    acknowledgements, early = witness.early_acknowledgements(told, stored)
    for words in early[:SHOWN]:
        say(f"  acknowledged too early: {words}")
    produced = sum(one.produced for one in truths)
    return [
        Figure("samples made (of one lead)", produced),
        Figure("acknowledgements given to devices", acknowledgements, at_least=1),
        exactly("of these before the commit", len(early)),
        exactly("samples lost", sum(one.discarded + one.held for one in truths) + _lost(broken)),
        exactly("broken promises (stored = made bit for bit, once, ledger exact)", len(broken)),
    ]


async def _end_one(ward: Ward, worn: Worn) -> None:
    """As the desk does, which asks again when it is told to."""
    while True:
        with contextlib.suppress(errors.Unavailable):
            return await town.end_all(ward.database, clock.now(), [worn])
        await asyncio.sleep(0.5)


async def findings_examined(ward: Ward, truths: Sequence[Truth]) -> list[Figure]:
    """The findings of record beside those of the same samples in one piece, which no fault has touched."""
    await until(lambda: _looked_again(ward), LOOKED_WITHIN_S, 1.0)
    expected_all, broken = 0, list[Broken]()
    async with await store.connect(ward.hub.admin_dsn) as admin:
        for truth in truths:
            expected = telling.undisturbed(
                ward.tape, truth.device, truth.produced, clock.now(), holter.streamed
            )  # as stretches are looked at again before there is a study
            found = await store.read_findings(admin, truth.recording)
            expected_all += len(expected)
            broken += telling.check_findings(truth.device_id, found, expected) if expected or found else []
    for one in broken[:SHOWN]:
        say(f"  broken: {one}")
    return [
        Figure("findings of an undisturbed run", expected_all, at_least=1),
        exactly("recordings whose findings of record differ from these", len(broken)),
    ]


async def _looked_again(ward: Ward) -> bool:
    """Whether the record pass has nothing left to do."""
    async with ward.database.transaction(DESK, clock.now()) as conn:
        row = await db.one(conn, "SELECT count(*) AS jobs FROM job WHERE kind = %s", (record_pass.JOB,))
    return bool(row["jobs"] == 0)


def _lost(broken: Sequence[Broken]) -> int:
    return sum(one.promise == "nothing is missing but what the device gave up" for one in broken)


async def _broken(ward: Ward, truths: Sequence[Truth], told: Sequence[Mapping[str, Any]]) -> list[Broken]:
    highest = acknowledged(told)
    broken = checkers.check_lossless(truths) + checkers.check_drained(truths)
    async with await store.connect(ward.hub.admin_dsn) as admin:
        for truth in truths:
            boot = await store.read_boot(admin, truth, highest.get(truth.key, 0))
            broken += checkers.check_boot(boot, ward.tape.signal(truth.device))[0]
        broken += checkers.check_events(told, await store.read_events(admin))
        broken += await store.check_set_aside(admin)
        broken += await store.check_ended(admin, [one.recording_id for one in ward.worn])
    return broken


async def read_have(ward: Ward) -> dict[Key, tuple[Range, ...]]:
    """What the ledgers say is stored."""
    async with ward.database.transaction(DESK, clock.now()) as conn:
        found = await db.rows(
            conn, "SELECT b.recording_id, b.boot, b.have FROM recording r CROSS JOIN recording_boots(r.id) b"
        )
    return {
        (row["recording_id"], row["boot"]): tuple((part.lower, part.upper) for part in row["have"])
        for row in found
    }


@contextlib.contextmanager
def scratch(name: str) -> Any:
    """A folder with a short path, for sockets have short names."""
    with tempfile.TemporaryDirectory(prefix=f"th-{name}-") as folder:
        yield Path(folder)
