"""`python -m tests.load NAME`: one scenario in full; its table, and exit code 1 if a bound was missed."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from hub.core import clock
from tests.load import cluster, outage, takeover
from tests.load.figures import Figure, all_kept, show
from tests.load.ward import scratch

Scenario = Callable[[Path], Awaitable[list[Figure]]]
SCENARIOS: Final[Mapping[str, Scenario]] = {
    "takeover": takeover.run,
    "nats": cluster.run,
    "outage": outage.run,
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in SCENARIOS:
        raise SystemExit(f"python -m tests.load {'|'.join(SCENARIOS)}")
    begun_s = clock.monotonic_s()
    with scratch(name) as folder:
        figures = asyncio.run(_run(SCENARIOS[name], folder))
    show(f"{name}, {clock.monotonic_s() - begun_s:.0f} s", figures)
    if not all_kept(figures):
        raise SystemExit(1)


async def _run(scenario: Scenario, folder: Path) -> list[Figure]:
    return await scenario(folder)


if __name__ == "__main__":
    main()
