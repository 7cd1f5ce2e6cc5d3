"""Settings: one table, typos refused, nothing open to the network without TLS."""

from dataclasses import replace
from pathlib import Path

import pytest

from hub.core import settings
from hub.core.settings import SETTINGS, Settings, SettingsError, load


def test_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text('http_port = 9000\nshards = 4\ntrusted_proxies = ["10.0.0.1", "10.0.0.2"]\n')
    loaded = load({"HUB_HTTP_PORT": "9001", "HOME": "/"}, file)
    assert (loaded.http_port, loaded.shards, loaded.locale) == (9001, 4, "zh-CN")
    assert loaded.trusted_proxies == ("10.0.0.1", "10.0.0.2")


def test_children_get_the_same_settings(tmp_path: Path) -> None:
    given = replace(
        Settings(), data_dir=tmp_path, dsn="host=/x dbname=y", trusted_proxies=("a", "b"), shards=3
    )
    assert load(given.environ()) == given


@pytest.mark.parametrize(
    "environ",
    [
        {"HUB_HTP_PORT": "1"},
        {"HUB_HTTP_PORT": "eighty"},
        {"HUB_SHARDS": "0"},
        {"HUB_INGEST_PROCESSES": "17"},
        {"HUB_LOCALE": "fr"},
        {"HUB_LOG_LEVEL": "loud"},
        {"HUB_MQTT_EXTERNAL": "broker"},
        {"HUB_MQTT_EXTERNAL": "one:1883,two"},
        {"HUB_TLS_CERT": "/x"},
        {"HUB_MQTT_HOST": "0.0.0.0"},
    ],
)
def test_unusable_is_refused_by_name(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(environ))):
        load(environ)


def test_every_node_of_a_broker_cluster_may_be_named() -> None:
    assert load({"HUB_MQTT_PORT": "1"}).broker_addresses == (("127.0.0.1", 1),)
    assert load({"HUB_MQTT_EXTERNAL": "a:1, b:2"}).broker_addresses == (("a", 1), ("b", 2))


@pytest.mark.parametrize("name", ["HUB_HTTP_HOST", "HUB_MQTT_DEVICES_HOST"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "telehub.example"])
def test_no_plain_port_beyond_this_machine(name: str, host: str) -> None:
    with pytest.raises(SettingsError, match="TLS"):
        load({name: host})
    load({name: host, "HUB_TRUSTED_PROXIES": "10.0.0.1"})
    load({name: host, "HUB_TLS_CERT": "/c", "HUB_TLS_KEY": "/k"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_known(host: str) -> None:
    assert settings.is_loopback(host)


def test_every_row_says_what_it_is_for() -> None:
    assert all(len(row.help) > 10 and row.env == f"HUB_{row.name.upper()}" for row in SETTINGS)
