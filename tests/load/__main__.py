"""`python -m tests.load NAME [short]`: one scenario; its table, and exit code 1 if a bound was missed.

The short ones are for `make test`: few devices, a few seconds, and no time, memory or rate is judged.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from hub.core import clock
from tests.load import backlog, cluster, disk, outage, soak, takeover
from tests.load.figures import Figure, all_kept, show
from tests.load.ward import scratch


class Scenario(NamedTuple):
    run: Callable[[Path, Any], Awaitable[list[Figure]]]
    full: Any
    short: Any = None


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "takeover": Scenario(takeover.run, takeover.Plan(), takeover.SHORT),
    "nats": Scenario(cluster.run, cluster.Plan(), cluster.SHORT),
    "outage": Scenario(outage.run, outage.Plan(), outage.SHORT),
    "disk": Scenario(disk.run, disk.Plan(), disk.SHORT),
    "backlog": Scenario(backlog.run, backlog.Plan(), backlog.SHORT),
    "soak": Scenario(soak.run, soak.Plan()),
}


async def _run(scenario: Scenario, plan: Any, folder: Path) -> list[Figure]:
    return await scenario.run(folder, plan)


def main() -> None:
    name, length = [*sys.argv[1:], "", ""][:2]
    if name not in SCENARIOS or length not in ("", "short"):
        raise SystemExit(f"python -m tests.load {'|'.join(SCENARIOS)} [short]")
    scenario, begun_s = SCENARIOS[name], clock.monotonic_s()
    plan = scenario.short if length else scenario.full
    with scratch(name) as folder:
        figures = asyncio.run(_run(scenario, plan, folder))
    show(f"{name} {length}, {clock.monotonic_s() - begun_s:.0f} s", figures)
    if not all_kept(figures, judges_measures=not length):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
