"""The local authority: what it signs is trusted by who trusts it, for those names only."""

import asyncio
import ssl
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hub.core import tls


async def _greet(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    listening = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        writer.close()


@pytest.fixture
def made(tmp_path: Path) -> tls.Files:
    from hub.core import clock

    return tls.initialise(tmp_path / "tls", ["hub.local", "127.0.0.1"], clock.now())


@pytest.fixture
def server(made: tls.Files) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    return context


@pytest.mark.parametrize("name", ["hub.local", "127.0.0.1"])
async def test_who_trusts_the_authority_trusts_the_hub(
    made: tls.Files, server: ssl.SSLContext, name: str
) -> None:
    await _greet(server, ssl.create_default_context(cafile=str(made.authority)), name)


async def test_another_name_is_not_trusted(made: tls.Files, server: ssl.SSLContext) -> None:
    client = ssl.create_default_context(cafile=str(made.authority))
    with pytest.raises(ssl.SSLCertVerificationError):
        await _greet(server, client, "other.local")


def test_authority_stays_when_names_change(made: tls.Files, at: datetime) -> None:
    authority, certificate = made.authority.read_bytes(), made.certificate.read_bytes()
    again = tls.initialise(made.key.parent, ["new.local"], at)
    assert again.authority.read_bytes() == authority
    assert again.certificate.read_bytes() != certificate
    assert tls.expires_at(again.certificate) == at + tls.SERVER_VALID
    assert tls.SERVER_VALID <= timedelta(days=398)


def test_keys_are_for_nobody_else(made: tls.Files) -> None:
    for key in (made.key, made.authority_key):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
