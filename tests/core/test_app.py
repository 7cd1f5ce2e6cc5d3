"""The composer: what the domains export fits together."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from hub import app, background
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
    jobs.check(background.JOBS, {*named, *background.ENQUEUED})


def test_all_but_ingest_give_freed_memory_back() -> None:
    environs = {part.role: part.environ for part in app.plan(Settings()).parts}
    assert environs == {"jobs": memory.GIVES_BACK, "ingest": {}, "web": memory.GIVES_BACK}


# What a process that answers pages, or takes images in, has no use for until somebody asks for it: the engine's and the
# decoders' libraries. Each costs 10 to 50 MB, for as long as the process lives.
HEAVY = {
    "scipy", "pydicom", "pynetdicom", "dicomanonymizer", "reportlab", "PIL", "imagecodecs", "matplotlib", "wfdb",
    "pyedflib", "requests", "pandas", "openjpeg", "pylibjpeg",
}  # fmt: skip
COMPOSED = {"web": "hub.app", "dimse": "hub.receiver"}


@pytest.mark.parametrize("role", COMPOSED)
def test_a_process_of_the_edge_starts_without_the_heavy_libraries(role: str) -> None:
    program = f"import json, sys, hub.cli, {COMPOSED[role]}; print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=HUB.parent)
    loaded = {name.partition(".")[0] for name in json.loads(said.stdout)}
    assert "hub" in loaded
    assert loaded & HEAVY == set()
