"""What the fixtures of conftest.py hand out; here so that tests can name the types."""

import random
import socket
from dataclasses import dataclass

from hub.core.db import Database


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
