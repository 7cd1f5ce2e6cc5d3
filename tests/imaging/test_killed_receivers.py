"""`kill -9` while images come in, by C-STORE and by STOW-RS: every acknowledged instance is on disk and in the index.

Once here; `make prove ONLY=dicom` does it fifty times (TELEHUB_KILLS).
"""

import asyncio
import contextlib
import hashlib
import os
import random
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from dicom import pdus, uids
from hub.core.store import Store
from hub.imaging.index import nodes
from tests import parts, world
from tests.dicom import peer
from tests.imaging import senders
from tests.imaging.senders import AE_TITLE
from tests.parts import Databases
from tests.world import World

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("TELEHUB_KILLS", "1"))
SEED = int(os.environ.get("SEED", "1"))
TOKEN = "of-a-node"
OFFERED = [(3, peer.CT, [uids.EXPLICIT_LITTLE])]

Told = Callable[[str], None]
Send = Callable[[int, int, Told], Awaitable[None]]


def _instance(study: int, number: int) -> tuple[str, bytes]:
    one = senders.slice_of(f"1.2.{study}", f"1.2.{study}.1", number, side=128)
    one.SOPInstanceUID = f"1.2.{study}.1.{number}"
    return one.SOPInstanceUID, senders.as_file(one)


async def c_store(port: int, study: int, told: Told) -> None:
    """One after the other over one association, until the line breaks."""
    async with senders.line(port) as (reader, writer):
        writer.write(peer.request(OFFERED, AE_TITLE))
        answer = await reader.readexactly(pdus.HEADER_BYTES)
        assert answer[0] == pdus.ASSOCIATE_AC
        await reader.readexactly(int.from_bytes(answer[2:], "big"))
        for number in range(10_000):
            uid, file = _instance(study, number)
            writer.write(peer.store(3, senders.data_set(file), uid))
            header = await reader.readexactly(pdus.HEADER_BYTES)
            body = await reader.readexactly(int.from_bytes(header[2:], "big"))
            assert header[0] == pdus.P_DATA and b"\0\0\0\x09\2\0\0\0\0\0" in body  # status 0000
            told(uid)


async def stow(port: int, study: int, told: Told) -> None:
    """Two instances with each call, until the line breaks."""
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=b0',
    }
    async with ClientSession(headers=headers) as http:
        for number in range(0, 10_000, 2):
            pair = [_instance(study, number), _instance(study, number + 1)]
            body = b"".join(b"--b0\r\n\r\n" + file + b"\r\n" for _, file in pair) + b"--b0--"
            async with http.post(f"http://127.0.0.1:{port}/dicom-web/studies", data=body) as response:
                assert response.status == 200
                await response.read()
            for uid, _ in pair:
                told(uid)


@contextlib.asynccontextmanager
async def _running(role: str, dsn: str, data_dir: Path, port: int) -> AsyncIterator[Process]:
    setting = "HUB_DIMSE_PORT" if role == "dimse" else "HUB_HTTP_PORT"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    environ |= {
        "HUB_DSN": dsn, "HUB_DATA_DIR": str(data_dir), setting: str(port), "HUB_DISK_FLOOR_MB": "1",
        "HUB_DIMSE_PLAIN_ADDRESSES": "127.0.0.1", "HUB_MQTT_PASSWORD": "none", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = (sys.executable, "-m", "hub.cli", "serve", "--role", role)
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=DEVNULL, stderr=DEVNULL)
    try:
        await senders.listening(port)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("role, send", [("dimse", c_store), ("web", stow)])
async def test_what_was_acknowledged_is_there(
    database: Databases, tmp_path: Path, role: str, send: Send
) -> None:
    two: World = await world.build(database.admin_dsn)
    await senders.node(two, token_sha256=nodes.token_hash(TOKEN))
    data_dir, chance = tmp_path / "hub", random.Random(SEED)
    senders.make(data_dir)
    acknowledged: list[str] = []
    for study in range(KILLS):
        before, port, begun = len(acknowledged), parts.free_port(), asyncio.Event()

        def told(uid: str, begun: asyncio.Event = begun, enough: int = before + 3) -> None:
            acknowledged.append(uid)
            if len(acknowledged) >= enough:
                begun.set()

        async with _running(role, database.admin_dsn, data_dir, port) as process:
            sending = asyncio.create_task(send(port, study, told))
            async with asyncio.timeout(60):
                await begun.wait()
            await asyncio.sleep(chance.random() * 0.2)
            process.kill()
            with contextlib.suppress(OSError, ClientError, EOFError):
                await sending
    async with await world.connect(two.admin_dsn) as admin:
        rows = await (await admin.execute("SELECT sop_uid, file_sha256 FROM dicom_instance")).fetchall()
    there, store = {row["sop_uid"]: row["file_sha256"] for row in rows}, Store(data_dir / "files")
    assert set(acknowledged) <= there.keys()
    for uid in acknowledged:
        with store.open(there[uid]) as file:
            content = file.read()
        study, number = int(uid.split(".")[2]), int(uid.split(".")[4])
        assert hashlib.sha256(content).hexdigest() == there[uid]
        assert senders.data_set(content) == senders.data_set(_instance(study, number)[1])
    sys.stdout.write(f"{role}: {KILLS} kills, {len(acknowledged)} acknowledged, {len(there)} in the index\n")
