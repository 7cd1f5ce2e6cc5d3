"""What the fixtures of conftest.py hand out; here so that tests can name the types."""

import random
import socket
from asyncio.subprocess import Process
from dataclasses import dataclass

from hub.core import broker
from hub.core.db import Database
from hub.core.settings import Settings


@dataclass(frozen=True)
class Databases:
    """A fresh, migrated database, as the two roles see it."""

    app: Database
    ingest: Database
    admin_dsn: str


def free_port() -> int:
    """A free TCP port below the kernel's range for outgoing connections, which take any there."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass(frozen=True)
class Broker:
    """A running mosquitto with the hub's configuration."""

    settings: Settings
    process: Process

    @property
    def login(self) -> tuple[str, str]:
        """User name and password of the hub's own account."""
        return self.settings.mqtt_username, broker.hub_password(self.settings)

    def set_devices(self, passwords: dict[str, str]) -> None:
        """Make these `{shard}/{device}` accounts, with their passwords, the only ones of devices."""
        accounts = [broker.Account(name, broker.password_hash(word)) for name, word in passwords.items()]
        broker.write_accounts(self.settings, accounts)
        broker.reload(self.process)
