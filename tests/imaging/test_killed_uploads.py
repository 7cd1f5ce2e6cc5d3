"""A file gets through a line that is cut and a server that is killed, again and again, and little of it twice."""

import asyncio
import hashlib
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from uuid import UUID

from aiohttp import ClientError

from hub.core import clock
from tests import parts, world
from tests.imaging.conftest import Clinic
from tests.imaging.test_uploads import until
from tests.imaging.tus import Sending
from tests.serving import Client

ROOT = Path(__file__).parents[2]
CUTS = int(os.environ.get("TELEHUB_CUTS", "10"))
KILLED_OF = 5  # one cut in five is the death of the server
PIECE = 1 << 18
BYTES_PER_CUT = 900_000


class Web:
    """The web role as `hub serve` runs it, on a port that stays."""

    def __init__(self, clinic: Clinic) -> None:
        port = parts.free_port()
        self.base, self.process = f"http://127.0.0.1:{port}", None
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
            "HUB_DSN": clinic.databases.admin_dsn,
            "HUB_DATA_DIR": str(clinic.data_dir),
            "HUB_HTTP_PORT": str(port),
            "HUB_MQTT_PORT": str(parts.free_port()),
            "HUB_CLOCK_OFFSET_S": str((world.AT - clock.now()).total_seconds()),
            "PYTHONPATH": str(ROOT),
        }
        self.process: Process | None = None

    async def start(self) -> None:
        command = (sys.executable, "-m", "hub.cli", "serve", "--role", "web")
        self.process = await asyncio.create_subprocess_exec(*command, env=self.env, stdout=DEVNULL)

    def kill(self) -> None:
        assert self.process is not None and self.process.returncode is None  # nothing else has ended it
        self.process.send_signal(signal.SIGKILL)


async def answered(sending: Sending) -> int:
    """How far the file is, once somebody answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await sending.offset()
            except ClientError:
                await asyncio.sleep(0.05)


async def test_a_file_outlives_cuts_and_deaths(clinic: Clinic) -> None:
    chance, web = random.Random(int(os.environ.get("SEED", "1"))), Web(clinic)
    client = Client(clinic.served.http, web.base, clinic.doctor.headers)
    sending = Sending(client, chance.randbytes(CUTS * BYTES_PER_CUT + 12_345))
    await Sending(clinic.doctor, sending.data).create(clinic.request_id)
    (upload,) = (await clinic.doctor.json("GET", f"/api/uploads?request_id={clinic.request_id}"))["uploads"]
    sending.path = f"/api/uploads/{upload['id']}"
    partial, cuts, kills = clinic.store.partial(UUID(upload["id"])), 0, 0
    await web.start()
    try:
        while (offset := await answered(sending)) < len(sending.data):
            piece = sending.data[offset : offset + PIECE]
            if offset < (cuts + 1) * BYTES_PER_CUT * CUTS // (CUTS + 1) or cuts == CUTS:
                assert (await sending.send(offset, piece)).status == 204
                continue
            cuts += 1
            is_death = cuts % KILLED_OF == 0
            after = chance.randrange(1, len(piece))
            await sending.cut(offset, piece, after, partial.size, web.kill if is_death else lambda: None)
            if not is_death:
                await until(sending, offset + after)
                continue
            kills += 1
            await web.process.wait()
            await web.start()
    finally:
        if web.process is not None and web.process.returncode is None:
            web.kill()
            await web.process.wait()
    stored = clinic.store.path(hashlib.sha256(sending.data).hexdigest())
    assert await asyncio.to_thread(stored.read_bytes) == sending.data
    again = sending.sent_bytes - len(sending.data)
    sys.stdout.write(f"{cuts} cuts, {kills} deaths: {len(sending.data)} bytes, {again} sent again\n")
    assert cuts == CUTS and kills == CUTS // KILLED_OF and again <= 0.02 * len(sending.data) + PIECE
