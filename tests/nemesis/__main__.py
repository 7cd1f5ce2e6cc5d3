"""`python -m tests.nemesis`: one run in full, and its table; `--help` tells what can be chosen.

It exits with 1 if a promise was broken.
`--spoil` damages the store behind the hub's back before it is checked: it shows that the checks can fail.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.nemesis import run
from tests.nemesis.run import Plan
from tests.nemesis.spoiling import WAYS

FAULTS: Final = 200
FIRST_SEED: Final = 20_260_101


def main() -> None:
    asked = _arguments()
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # it tells of each database that is away
    with tempfile.TemporaryDirectory(prefix="nemesis-") as scratch:
        folder = asked.keep or Path(scratch)
        plan = Plan(asked.seed, asked.faults, asked.devices, ingest_processes=asked.ingest)
        outcome = asyncio.run(run.run(plan, folder, WAYS.get(asked.spoil)))
    sys.stdout.write(f"{run.table(outcome)}\n")
    if outcome.broken:
        raise SystemExit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.nemesis")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or FIRST_SEED))
    parser.add_argument("--faults", type=int, default=int(os.environ.get("FAULTS") or FAULTS))
    parser.add_argument("--devices", type=int, default=100, help="half of them with small buffers")
    parser.add_argument("--ingest", type=int, default=1, help="ingest processes that share the shards")
    parser.add_argument("--spoil", choices=sorted(WAYS))
    parser.add_argument(
        "--keep", type=Path, help="a folder for data, logs and history; else they are removed"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
