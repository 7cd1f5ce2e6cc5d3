"""The shards' sessions at a broker of several nodes."""

import asyncio
import socket
from pathlib import Path

import pytest

from hub.core import clock
from hub.core.settings import Settings
from hub.ingest.links import Links
from tests import parts


async def test_a_node_that_is_down_keeps_nobody_from_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = parts.free_port()
    with socket.create_server(("127.0.0.1", parts.free_port())) as up:
        up.setblocking(False)
        settings = Settings(
            data_dir=tmp_path, mqtt_external=f"127.0.0.1:{down},127.0.0.1:{up.getsockname()[1]}"
        )
        links = Links(settings, "secret")
        monkeypatch.setattr(clock, "monotonic_s", lambda: 100.0)  # no time passes
        async with asyncio.timeout(60):
            while True:
                links.own(frozenset({0}), others_may_own=False, known=frozenset())
                links.poll(0.0, room_to_drain=True)
                try:
                    up.accept()[0].close()
                    break
                except BlockingIOError:
                    await asyncio.sleep(0)
        links.close()
