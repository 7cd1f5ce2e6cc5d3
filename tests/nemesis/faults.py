"""What the nemesis does: kinds of faults, each struck at a hub and a fleet, and the seeded order in which they come."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from hub.core import clock
from tests.nemesis.fleet import Fleet
from tests.nemesis.history import Recorder
from tests.nemesis.installation import Hub, send
from tests.nemesis.proxy import CLEAR, Condition

NEVER_REBOOTED: Final = (
    1  # devices with the lowest numbers, whose findings are compared with those of one whole signal
)


@dataclass
class Arena:
    """Whom faults are struck at."""

    hub: Hub
    fleet: Fleet
    devices: int
    recorder: Recorder
    healing: set["asyncio.Task[None]"] = field(default_factory=set)

    def later(self, seconds: float, heal: Callable[[], Awaitable[None]]) -> None:
        """Mend something after a while; meanwhile other faults come."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            await heal()

        self.healing.add(asyncio.create_task(wait()))

    async def healed(self) -> None:
        """Everything that was to be mended is."""
        while self.healing:
            done, self.healing = await asyncio.wait(self.healing)
            for task in done:
                task.result()

    def one_of(self, rng: Random, name: str) -> str:
        """One of the hub's processes of a name that are there now."""
        return rng.choice(sorted(n for n in self.hub.children() if n.startswith(name)) or [name])

    def some(self, rng: Random, share: float) -> list[int]:
        """Numbers of devices (and of their links)."""
        return sorted(rng.sample(range(self.devices), max(1, round(share * self.devices))))


Strike = Callable[[Arena, Random], Awaitable[str]]


def _killed(name: str) -> Strike:
    """kill -9 of one of the hub's processes of that name (with a number behind it, if there are several)."""

    async def strike(arena: Arena, rng: Random) -> str:
        chosen = arena.one_of(rng, name)
        return f"{chosen}: {send(arena.hub.family(chosen)[:1], signal.SIGKILL)} killed"

    return strike


async def _kill_backend(arena: Arena, rng: Random) -> str:
    """kill -9 of one of PostgreSQL's processes: the server throws all out and recovers."""
    backends = arena.hub.family("postgres")[1:]
    return f"{send([rng.choice(backends)] if backends else [], signal.SIGKILL)} of {len(backends)} killed"


async def _kill_hub(arena: Arena, _: Random) -> str:
    """kill -9 of the supervisor; what it kept alive learns of it by itself."""
    await arena.hub.kill()
    return "killed"


async def _kill_all(arena: Arena, _: Random) -> str:
    """kill -9 of everything at once, as when the power fails."""
    everything = [one for name in arena.hub.children() for one in arena.hub.family(name)]
    await arena.hub.kill()
    return f"{1 + send(everything, signal.SIGKILL)} killed"


def _stopped(name: str, low_s: float, high_s: float) -> Strike:
    """SIGSTOP of a process and all that it started, SIGCONT after a while."""

    async def strike(arena: Arena, rng: Random) -> str:
        chosen, seconds = arena.one_of(rng, name), rng.uniform(low_s, high_s)
        family = arena.hub.family(chosen)

        async def go_on() -> None:
            send(family, signal.SIGCONT)

        arena.later(seconds, go_on)
        return f"{chosen}: {send(family, signal.SIGSTOP)} stopped for {seconds:.1f} s"

    return strike


async def _stop_hub(arena: Arena, rng: Random) -> str:
    seconds = rng.uniform(1.0, 4.0)
    process = arena.hub.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    process.send_signal(signal.SIGCONT)
    return f"stopped for {seconds:.1f} s"


async def _cut_links(arena: Arena, rng: Random) -> str:
    orphan = rng.random() < 0.5
    await arena.fleet.order("cut", orphan=orphan)
    return f"all cut{' at the near end' if orphan else ''}"


def _spoilt(condition: Condition, share: float) -> Strike:
    """Some links are bad for a while."""

    async def strike(arena: Arena, rng: Random) -> str:
        links, seconds = arena.some(rng, share), rng.uniform(2.0, 6.0)
        await arena.fleet.set_links(condition, links)

        async def clear() -> None:
            await arena.fleet.set_links(CLEAR, links)

        arena.later(seconds, clear)
        return f"{len(links)} links for {seconds:.1f} s"

    return strike


async def _step_clocks(arena: Arena, rng: Random) -> str:
    by_s = rng.choice((-1.0, 1.0)) * rng.choice((0.7, 90.0, 3_600.0, 86_400.0, 400 * 86_400.0))
    devices = arena.some(rng, 0.1)
    await arena.fleet.order("clock", devices=devices, by_s=by_s)
    return f"{len(devices)} devices by {by_s:+.1f} s"


async def _reboot(arena: Arena, rng: Random) -> str:
    devices = [number for number in arena.some(rng, 0.06) if number >= NEVER_REBOOTED]
    await arena.fleet.order("reboot", devices=devices)
    return f"{len(devices)} devices"


# kind: how often beside the others, what is done
KINDS: Final[Mapping[str, tuple[int, Strike]]] = {
    "kill ingest": (5, _killed("ingest")),
    "kill broker": (4, _killed("mosquitto")),
    "kill postgres": (4, _killed("postgres")),
    "kill backend": (4, _kill_backend),
    "kill hub": (4, _kill_hub),
    "kill all": (3, _kill_all),
    "kill jobs": (1, _killed("jobs")),
    "kill web": (1, _killed("web")),
    "stop ingest": (3, _stopped("ingest", 1.0, 7.0)),
    "stop broker": (2, _stopped("mosquitto", 1.0, 6.0)),
    "stop postgres": (3, _stopped("postgres", 1.0, 6.0)),
    "stop hub": (1, _stop_hub),
    "cut links": (2, _cut_links),
    "silent links": (2, _spoilt(Condition(is_silent=True), 0.5)),
    "slow links": (1, _spoilt(Condition(delay_s=0.5, up_kbit_s=30.0, down_kbit_s=30.0), 0.5)),
    "clock step": (2, _step_clocks),
    "reboot devices": (2, _reboot),
}
KILLS: Final = ("kill ingest", "kill broker", "kill postgres", "kill backend", "kill hub", "kill all")


def order_of(seed: int, count: int) -> Sequence[str]:
    """Kinds in the order they come: each of KILLS in every six if only so few are asked for, else by their weights."""
    rng = Random(f"{seed}/order")
    if count <= len(KILLS):
        return rng.sample(KILLS, count)
    return rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()], k=count)


async def strike(arena: Arena, kind: str, rng: Random) -> str:
    """Do it and write it down."""
    detail = await KINDS[kind][1](arena, rng)
    arena.recorder.note(clock.now().timestamp(), "fault", fault=kind, detail=detail)
    arena.recorder.flush()
    return detail
