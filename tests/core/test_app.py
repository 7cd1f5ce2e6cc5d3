"""The composer: what the domains export fits together."""

import ast
from pathlib import Path

from hub import app
from hub.core import jobs, memory
from hub.core.settings import Settings

HUB = Path(app.__file__).parent


def enqueued_by_name() -> set[str]:
    """Kinds that stand as words in a call of `jobs.enqueue`."""
    calls = (
        node
        for path in HUB.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "jobs.enqueue"
    )
    words = (call.args[2] for call in calls if len(call.args) > 2)
    return {word.value for word in words if isinstance(word, ast.Constant)}


def test_every_kind_that_is_enqueued_has_a_handler() -> None:
    named = enqueued_by_name()
    assert named
    jobs.check(app.JOBS, {*named, *app.ENQUEUED})


def test_all_but_ingest_give_freed_memory_back() -> None:
    environs = {part.role: part.environ for part in app.plan(Settings()).parts}
    assert environs == {"jobs": memory.GIVES_BACK, "ingest": {}, "web": memory.GIVES_BACK}
