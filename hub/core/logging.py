"""Logs as JSON lines on stderr: what happened (a closed list), to which ids. Never a name, never a value.

Exceptions are logged by type and place, libraries by their message template: arguments may hold patient data.
"""

import contextlib
import json
import logging
import os
import sys
import traceback
from typing import Final

from hub.core import clock

# action -> level. `docs/operations.md` lists them; an action that isn't here is a bug.
ACTIONS: Final[dict[str, str]] = {
    "analysis.restarted": "error",
    "block.damaged": "error",
    "ingest.spared": "error",
    "ingest.memory": "error",
    "ingest.storing": "warning",
    "disk.reserve": "warning",
    "hub.started": "info",
    "hub.stopping": "info",
    "hub.stopped": "info",
    "hub.failed": "error",
    "child.started": "info",
    "child.ready": "info",
    "child.ended": "warning",
    "child.failed": "error",
    "child.silent": "error",
    "clock.stepped": "warning",
    "child.stopped": "info",
    "migration.applied": "info",
    "broker.reloaded": "info",
    "store.swept": "warning",
    "backup.failed": "error",
    "job.failed": "warning",
    "job.database-away": "warning",
    "timer.failed": "error",
    "http.bug": "error",
    "dicom.bug": "error",
    "dicom.association": "info",
    "dicom.refused": "warning",
    "dicom.query-failed": "warning",
    "dicom.move": "warning",
    "dicom.not-told": "warning",
    "library": "warning",
}
_LEVELS: Final[dict[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Value = str | int | float | bool | None


class _State:
    process = "hub"
    threshold = 20


def log(action: str, **ids: Value) -> None:
    """Write one line; `ids` are ids, counts and durations only."""
    level = ACTIONS[action]
    if _LEVELS[level] < _State.threshold:
        return
    line: dict[str, Value] = {"at": clock.now().isoformat(timespec="milliseconds"), "level": level}
    line |= {"action": action, "process": _State.process, "pid": os.getpid()}
    with contextlib.suppress(OSError):  # the log's disk is full: that must not stop what is being logged
        sys.stderr.write(json.dumps(line | ids) + "\n")
        sys.stderr.flush()


def process_name() -> str:
    """What this process is called: `hub`, `web`, `ingest-1`."""
    return _State.process


def failure_place(failure: BaseException) -> str:
    """Type, code and place of an exception, without its words."""
    frames = traceback.extract_tb(failure.__traceback__)
    inner = next((f for f in reversed(frames) if "site-packages" not in f.filename), None)
    code = getattr(failure, "code", None) or getattr(failure, "sqlstate", None)
    place = f" at {os.path.basename(inner.filename)}:{inner.lineno} {inner.name}" if inner else ""
    return type(failure).__name__ + (f" {code}" if code else "") + place


class _Library(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = failure_place(record.exc_info[1]) if record.exc_info and record.exc_info[1] else None
        log("library", logger=record.name, template=str(record.msg)[:200], error=error)


def configure(process: str, level: str) -> None:
    """Once per process, at its start."""
    _State.process, _State.threshold = process, _LEVELS[level]
    root = logging.getLogger()
    root.handlers[:] = [_Library(logging.WARNING)]
    root.setLevel(logging.WARNING)
