"""Round trip to another archive: what it was sent and sends on to us is what it was sent."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from aiohttp import ClientSession

from tests import parts, world
from tests.imaging import senders
from tests.parts import Databases

PROGRAM = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:" + os.environ.get("PATH", ""))
pytestmark = pytest.mark.skipif(
    PROGRAM is None or shutil.which("storescu") is None, reason="Orthanc or dcmtk is not installed"
)


@contextlib.asynccontextmanager
async def orthanc(folder: Path, ours: int) -> AsyncIterator[tuple[int, str]]:
    """Debian's Orthanc, which calls us AE title TELEHUB; its DICOM port and its pages."""
    senders.make(folder)
    dicom, pages = parts.free_port(), parts.free_port()
    settings = {
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "DicomAet": "ORTHANC", "DicomPort": dicom,
        "HttpPort": pages, "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [],
        "DicomAlwaysAllowStore": True, "DicomModalities": {"hub": ["TELEHUB", "127.0.0.1", ours]},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    assert PROGRAM is not None
    process: Process = await asyncio.create_subprocess_exec(
        PROGRAM, str(folder / "orthanc.json"), stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        await senders.listening(dicom)
        await senders.listening(pages)
        yield dicom, f"http://127.0.0.1:{pages}"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def test_there_and_back_again_is_equal(database: Databases, tmp_path: Path) -> None:
    two, folder = await world.build(database.admin_dsn), tmp_path / "in"
    senders.make(folder)
    files = [senders.write(senders.slice_of("1.2.3", "1.2.3.4", n), folder / f"{n}.dcm") for n in range(5)]
    async with senders.receiving(database.app, two, tmp_path / "hub", lambda: datetime.now(UTC)) as hub:
        await senders.node(two, "ORTHANC")
        async with orthanc(tmp_path / "orthanc", hub.port) as (port, pages), ClientSession() as http:
            sending = ("storescu", "+sd", "127.0.0.1", str(port), str(folder))
            assert await (await asyncio.create_subprocess_exec(*sending)).wait() == 0
            async with http.get(f"{pages}/studies") as response:
                studies = await response.json()
            for _ in range(2):  # sent on twice is stored once
                async with http.post(f"{pages}/modalities/hub/store", json=studies) as response:
                    assert response.status == 200, await response.text()
        kept = [pydicom.dcmread(hub.store.path(row["file_sha256"])) for row in await hub.instances()]
    assert await hub.set_asides() == []
    sent = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, files)}
    assert len(kept) == 5 and all(one == sent[one.SOPInstanceUID] for one in kept)
