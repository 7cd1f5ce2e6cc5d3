"""What the hub's processes take: memory (PSS, so that shared pages count once), files, CPU."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from hub.core import clock
from tests.nemesis.installation import Hub

MIB: Final = 1 << 20
NOT_OURS: Final = ("postgres", "mosquitto")


@dataclass(frozen=True)
class Weight:
    """One process at one instant."""

    at_s: float
    pid: int
    memory_bytes: int
    own_bytes: int
    files: int


@dataclass
class Scales:
    """Everything weighed so far: rounds of all processes by name."""

    rounds: list[Mapping[str, Weight]] = field(default_factory=list)

    def of(self, name: str) -> list[Weight]:
        return [weights[name] for weights in self.rounds if name in weights]

    def sums(self, since_s: float = 0.0, until_s: float = math.inf) -> list[int]:
        """Memory of the hub's own processes together, of each round between two instants (monotonic)."""
        return [
            sum(weight.memory_bytes for name, weight in weights.items() if name not in NOT_OURS)
            for weights in self.rounds
            if weights and all(since_s <= weight.at_s < until_s for weight in weights.values())
        ]

    def broker(self) -> list[int]:
        return [weight.memory_bytes for weight in self.of("mosquitto")]

    def names(self) -> list[str]:
        return sorted({name for weights in self.rounds for name in weights})


def weigh(found: Mapping[str, int]) -> dict[str, Weight]:
    """Processes by name and id; one that ended meanwhile is left out."""
    weights = {}
    for name, pid in found.items():
        with contextlib.suppress(OSError, ValueError):
            weights[name] = Weight(clock.monotonic_s(), pid, memory_bytes(pid), own_bytes(pid), files(pid))
    return weights


def memory_bytes(pid: int) -> int:
    """With its share of what it has in common with others."""
    return _of_rollup(pid, "Pss:")


def own_bytes(pid: int) -> int:
    """Without pages of programs and libraries: their share changes with whoever else runs on this machine, and the
    kernel takes and brings them as it likes.
    """
    return _of_rollup(pid, "Anonymous:")


def _of_rollup(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no memory")


def files(pid: int) -> int:
    """Open files and sockets."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def family_bytes(process: psutil.Process) -> int:
    """Memory of a server and all its backends."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(OSError, ValueError):
            total += memory_bytes(one.pid)
    return total


def processes(hub: Hub) -> Mapping[str, int]:
    """Names and ids: the supervisor and its children."""
    assert hub.process is not None
    return {"hub": hub.process.pid} | {name: child.pid for name, child in hub.children().items()}


@contextlib.asynccontextmanager
async def weighing(hub: Hub, every_s: float) -> AsyncIterator[Scales]:
    """Weigh all processes again and again while the block runs."""
    scales = Scales()

    async def keep_weighing() -> None:
        while True:
            scales.rounds.append(weigh(processes(hub)))
            await asyncio.sleep(every_s)

    task = asyncio.create_task(keep_weighing())
    try:
        yield scales
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
