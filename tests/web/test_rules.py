"""The editor of routing rules says only what the hub takes; identities are compared strictly: `web/check/rules.mjs`."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.reading import rules

WEB = Path(__file__).parents[2] / "web"
NODE = shutil.which("node")
CONDITIONS_LEAST = 800

pytestmark = pytest.mark.skipif(
    NODE is None or not WEB.joinpath("node_modules", "rolldown").exists(),
    reason="no Node or no front-end packages",
)


def node(*arguments: str) -> "subprocess.CompletedProcess[str]":
    assert NODE is not None
    return subprocess.run(
        [NODE, *arguments], cwd=WEB, capture_output=True, text=True, timeout=60, check=False
    )


def test_any_order_of_deeds_leaves_a_list_the_hub_takes() -> None:
    done = node("--test", "check/rules.mjs")
    assert done.returncode == 0, done.stdout[-4000:]


def test_every_condition_the_page_can_say_is_one_the_hub_can_use() -> None:
    """And it can say something about all that the hub can be asked."""
    said = json.loads(node("check/rows.mjs").stdout)
    assert set(said["keywords"]) == rules.KEYWORDS.keys()
    assert set(said["operators"]) == rules.OPERATORS.keys()
    conditions = [rules.Condition(**each) for each in said["conditions"]]
    assert len(conditions) > CONDITIONS_LEAST
    assert [each for each in conditions if rules.fault(each)] == []
    assert {each.keyword for each in conditions} == rules.KEYWORDS.keys()
