"""The query ports: one without TLS for listed addresses, one with certificates of both sides."""

import asyncio
import contextlib
import ssl

from hub.core import tls
from hub.core.settings import Settings
from hub.imaging.dimse.crowd import CONNECTIONS
from hub.imaging.dimse.query_request import Hub
from hub.imaging.dimse.query_scp import ARTIM_S, READ_BYTES, Server


async def run(hub: Hub, stop: asyncio.Event) -> None:
    """Listen until told to stop; what is being answered then is answered, for a moment."""
    server = Server(hub)
    async with asyncio.TaskGroup() as tasks, contextlib.AsyncExitStack() as listening:
        watching = tasks.create_task(server.watch())
        ports = (
            (hub.settings.dimse_query_port, None),
            (hub.settings.dimse_query_tls_port, _tls(hub.settings)),
        )
        for port, layer in ports:
            if port:
                await listening.enter_async_context(await _listen(server, port, layer))
        await stop.wait()
        await server.finish()
        watching.cancel()


async def _listen(server: Server, port: int, layer: ssl.SSLContext | None) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.connected(reader, writer, is_plain=layer is None)

    return await asyncio.start_server(
        connected, server.hub.settings.dimse_host, port, limit=READ_BYTES, ssl=layer, backlog=CONNECTIONS,
        ssl_handshake_timeout=ARTIM_S if layer is not None else None,
    )  # fmt: skip


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.dimse_query_tls_port:
        return None
    assert (
        settings.tls_cert and settings.tls_key and settings.dimse_tls_clients
    )  # settings.check has seen to it
    return tls.mutual(settings.tls_cert, settings.tls_key, settings.dimse_tls_clients)
