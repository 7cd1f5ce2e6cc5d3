"""Logs: JSON lines of known actions; no words of an exception, no argument of a library."""

import json
import logging as standard

import pytest

from hub.core import logging
from hub.core.logging import failure_place, log


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_its_ids(capsys: pytest.CaptureFixture[str]) -> None:
    log("job.failed", kind="reading.pdf", job=7)
    [line] = lines(capsys)
    assert (line["action"], line["kind"], line["job"], line["level"]) == (
        "job.failed",
        "reading.pdf",
        7,
        "warning",
    )


def test_unknown_action_is_a_bug() -> None:
    with pytest.raises(KeyError):
        log("something.else")


def test_exception_is_told_by_place_not_by_words() -> None:
    try:
        raise ValueError("Zhang San, 110101199003078515")
    except ValueError as failure:
        told = failure_place(failure)
    assert told.startswith("ValueError at test_logging.py:")
    assert "Zhang" not in told


def test_library_line_keeps_its_template_only(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging._Library(standard.WARNING)
    record = standard.LogRecord("aiohttp", 30, "x.py", 1, "error for %s", ("Zhang San",), None)
    handler.handle(record)
    [line] = lines(capsys)
    assert line["template"] == "error for %s"
    assert "Zhang" not in json.dumps(line)
