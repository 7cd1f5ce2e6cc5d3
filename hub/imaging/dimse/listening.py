"""The DICOM ports: one without TLS for listed addresses, one with certificates of both sides."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from datetime import datetime

from hub.core.db import Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.dimse import storing
from hub.imaging.dimse.association import Association, Server
from hub.imaging.dimse.crowd import CONNECTIONS
from hub.imaging.dimse.spares import Spares


async def run(
    settings: Settings, database: Database, store: Store, clock: Callable[[], datetime], stop: asyncio.Event
) -> None:
    """Listen until told to stop; what is being stored then is stored."""
    spares = Spares(store.incoming)
    async with (
        contextlib.aclosing(spares),
        storing.running(database, store, clock) as way_in,
        asyncio.TaskGroup() as tasks,
    ):
        server = Server(settings, database, spares.take, way_in, clock)
        watching = tasks.create_task(server.watch())
        async with contextlib.AsyncExitStack() as listening:
            for port, layer in (
                (settings.dimse_port, None),
                (settings.dimse_tls_port, _tls(settings)),
            ):
                if port:
                    await listening.enter_async_context(await _listen(server, port, layer))
            await stop.wait()
        await server.finish()
        watching.cancel()


async def _listen(server: Server, port: int, layer: ssl.SSLContext | None) -> asyncio.Server:
    def made() -> Association:
        return Association(server, is_plain=layer is None)

    return await asyncio.get_running_loop().create_server(
        made, server.settings.dimse_host, port, ssl=layer, backlog=CONNECTIONS
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.dimse_tls_port:
        return None
    assert (
        settings.tls_cert and settings.tls_key and settings.dimse_tls_clients
    )  # settings.check has seen to it
    from hub.core import tls  # 9 MB that a receiver without TLS has no use for

    return tls.mutual(settings.tls_cert, settings.tls_key, settings.dimse_tls_clients)
