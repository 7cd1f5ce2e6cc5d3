"""`make prove ONLY=ecg`: the engine's figures on all reference records against the floors in `floors.json`.

Prints a table; ends with 1 if a figure misses its floor, or if the records are not there to be scored.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bench import disturbances, ecg, noise, rhythms

FLOORS: dict[str, dict[str, float]] = json.loads((Path(__file__).parent / "floors.json").read_text())["proof"]


def main() -> int:
    rows: dict[str, Any] = {
        row["name"]: row["value"]
        for part in (ecg.accuracy, noise.run, disturbances.run, rhythms.run)
        for row in part()
    }
    missed = 0
    for name, bounds in FLOORS.items():
        found = [value for told, value in rows.items() if told.startswith(name)]
        kept = bool(found) and all(
            bounds.get("least", value) <= value <= bounds.get("most", value) for value in found
        )
        missed += not kept
        wanted = ", ".join(f"at {bound} {value:g}" for bound, value in bounds.items())
        values = ", ".join(f"{value:.3f}" for value in found) or "not measured"
        sys.stdout.write(f"{'kept  ' if kept else 'MISSED'}  {name}: {values} ({wanted})\n")
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
