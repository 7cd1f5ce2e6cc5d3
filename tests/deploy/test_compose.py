"""The single-server production set can't be built here; what can drift from the code is compared with it."""

import re
from pathlib import Path

import pytest

from hub.core import broker
from hub.core.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
KNOWN = {setting.env for setting in SETTINGS}


@pytest.mark.parametrize("name", ["Dockerfile", "docker-compose.yml", "docs/operations.md"])
def test_every_environment_name_is_a_setting(name: str) -> None:
    named = set(re.findall(r"\bHUB_[A-Z_]+\b", (ROOT / name).read_text()))
    assert named and named <= KNOWN


def _limits(text: str) -> dict[str, str]:
    lines = (line.split(maxsplit=1) for line in text.splitlines() if not line.startswith("#"))
    pairs = {line[0]: line[1] for line in lines if len(line) == 2}
    places = (
        "user",
        "password_file",
        "acl_file",
        "persistence_location",
        "listener",
        "certfile",
        "keyfile",
        "tls_version",
    )
    return {key: value for key, value in pairs.items() if key not in places}


def test_the_brokers_limits_are_those_of_the_hubs_own() -> None:
    own = broker.CONFIGURATION.replace("{user}", "").replace("{tls}", "")
    assert _limits((ROOT / "deploy/mosquitto.conf").read_text()) == _limits(own)


def test_nothing_but_tls_is_published() -> None:
    published = re.findall(r'ports: \["(\d+):', (ROOT / "docker-compose.yml").read_text())
    assert sorted(published) == ["443", "8883"]
