"""The only place that reads the clock; everyone else is handed an instant.

`HUB_CLOCK_OFFSET_S` shifts the wall clock of a whole installation, for fault tests that step time.
"""

import os
import time
from datetime import UTC, datetime, timedelta

_OFFSET = timedelta(seconds=float(os.environ.get("HUB_CLOCK_OFFSET_S", "0")))


def now() -> datetime:
    """The current instant, aware, UTC."""
    return datetime.now(UTC) + _OFFSET


def monotonic_s() -> float:
    """Seconds of a clock that never steps, for intervals only."""
    return time.monotonic()
