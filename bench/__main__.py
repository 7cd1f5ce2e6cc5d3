"""`make bench [ONLY=name]`: runs bench/NAME.py, each of which has `run() -> list[Row]`, and keeps the figures.

Every figure stands beside its peer's from the same run, since machines differ. Results are appended to
bench/results.json and printed as a table.
"""

import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.rows import Row

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"
NOT_BENCHES = {"__init__", "__main__", "rows"}


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_BENCHES)


def measure(name: str) -> list[Row]:
    rows: list[Row] = importlib.import_module(f"bench.{name}").run()
    return rows


def keep(rows: list[Row]) -> None:
    """Append with the instant and the machine, so that figures are compared like with like."""
    kept: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    at = datetime.now(UTC).isoformat(timespec="seconds")
    where = {"at": at, "cpus": os.cpu_count(), "machine": platform.machine()}
    kept += [{**row.as_json(), **where} for row in rows]
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def table(rows: list[Row]) -> str:
    head = ("name", "value", "unit", "peer", "peer value", "ratio")
    lines = [head, *(row.as_cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def main() -> None:
    wanted = sys.argv[1:] or names()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        raise SystemExit(f"no such bench: {', '.join(unknown)}; there are {', '.join(names())}")
    rows = [row for name in wanted for row in measure(name)]
    keep(rows)
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()
