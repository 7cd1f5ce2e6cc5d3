"""`make bench [ONLY=name]`: runs bench/NAME.py, each of which has `run() -> rows`, and keeps the figures.

A row is {name, value, unit, peer, peer_value, ratio}: every figure stands beside its peer's from the same run,
since machines differ. Rows are appended to bench/results.json and printed as a table.
"""

import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the hub's own processes have it
FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"
COLUMNS = ("name", "value", "unit", "peer", "peer_value", "ratio")


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def measure(name: str) -> list[Row]:
    rows: list[Row] = importlib.import_module(f"bench.{name}").run()
    return rows


def keep(rows: list[Row]) -> None:
    """Append with the instant and the machine, so that figures are compared like with like."""
    kept: list[Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    at = datetime.now(UTC).isoformat(timespec="seconds")
    where = {"at": at, "cpus": os.cpu_count(), "machine": platform.machine()}
    kept += [{**row, **where} for row in rows]
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def table(rows: list[Row]) -> str:
    lines = [COLUMNS, *(tuple(_cell(row.get(name)) for name in COLUMNS) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def main() -> None:
    wanted = [name.replace("-", "_") for name in sys.argv[1:]] or names()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        raise SystemExit(f"no such bench: {', '.join(unknown)}; there are {', '.join(names())}")
    rows = [row for name in wanted for row in measure(name)]
    keep(rows)
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()
