"""Storing over the web: an unmodified client, parts that are wrong, bodies that end early, DICOM JSON, and who may."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pydicom
import pytest
from aiohttp import ClientResponse
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session

from hub.core.store import Store
from hub.imaging.dicomweb import routes as dicomweb
from hub.imaging.dicomweb import stow
from hub.imaging.index import nodes
from tests import serving, world
from tests.imaging import senders
from tests.parts import Databases
from tests.serving import Serving
from tests.world import World

TOKEN = "of-a-node"
STUDY, SERIES = "1.2.3", "1.2.3.4"
FILES = 'multipart/related; type="application/dicom"; boundary=b0'
AS_JSON = 'multipart/related; type="application/dicom+json"; boundary=b0'


@pytest.fixture
async def two(database: Databases) -> World:
    two = await world.build(database.admin_dsn)
    await senders.node(two, token_sha256=nodes.token_hash(TOKEN))
    return two


@pytest.fixture
async def hub(database: Databases, two: World, tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving.serve(database.app, tmp_path, lambda: world.AT, dicomweb.ROUTES) as served:
        yield served


def body(*parts: bytes, headers: bytes = b"Content-Type: application/dicom") -> bytes:
    return b"".join(b"--b0\r\n" + headers + b"\r\n\r\n" + part + b"\r\n" for part in parts) + b"--b0--\r\n"


async def post(
    hub: Serving,
    content: Any,
    content_type: str = FILES,
    path: str = "/dicom-web/studies",
    token: str = TOKEN,
) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": content_type, "Authorization": f"Bearer {token}"}
    async with hub.http.post(hub.base + path, data=content, headers=headers) as response:
        return response.status, await read(response)


async def read(response: ClientResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(await response.text())
    return document


def failures(document: dict[str, Any]) -> list[int]:
    return [item["00081197"]["Value"][0] for item in document.get("00081198", {}).get("Value", [])]


def stored(document: dict[str, Any]) -> list[str]:
    return [item["00081155"]["Value"][0] for item in document.get("00081199", {}).get("Value", [])]


async def rows(two: World, query: str) -> list[dict[str, Any]]:
    async with await world.connect(two.admin_dsn) as admin:
        return await (await admin.execute(query)).fetchall()  # type: ignore[call-overload]


def slices(count: int, **values: Any) -> list[bytes]:
    return [senders.as_file(senders.slice_of(STUDY, SERIES, number, **values)) for number in range(count)]


async def test_dicomweb_client_stores_unmodified(hub: Serving, two: World, tmp_path: Path) -> None:
    files = slices(5)
    session = create_session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    client = DICOMwebClient(f"{hub.base}/dicom-web", session=session)
    for number, file in enumerate(files):
        (tmp_path / f"{number}.dcm").write_bytes(file)
    sent = [pydicom.dcmread(tmp_path / f"{number}.dcm") for number in range(5)]
    for _ in range(2):  # the second time changes nothing
        answer = await asyncio.to_thread(client.store_instances, sent)
        assert len(answer.ReferencedSOPSequence) == 5 and "FailedSOPSequence" not in answer
    session.close()
    found = await rows(two, "SELECT file_sha256, organisation_id FROM dicom_instance")
    store = Store(tmp_path / "files")
    kept = {senders.data_set(store.path(row["file_sha256"]).read_bytes()) for row in found}
    assert kept == {senders.data_set(file) for file in files}
    assert {row["organisation_id"] for row in found} == {two.own.organisations["town"]}


async def test_each_instance_has_its_own_result(hub: Serving, two: World, tmp_path: Path) -> None:
    good, again = slices(2), slices(1, seed=2)
    status, document = await post(hub, body(*good))
    assert (status, len(stored(document))) == (200, 2)
    assert (document["00081190"]["Value"][0]).endswith(f"/dicom-web/studies/{STUDY}")
    status, document = await post(hub, body(b"no DICOM at all", again[0], good[1], good[0][:200]))
    assert (status, failures(document), len(stored(document))) == (202, [0xC000, 0x0111, 0xC000], 1)
    status, document = await post(hub, body(good[0]), path="/dicom-web/studies/1.2.9")
    assert (status, failures(document)) == (409, [0xA900])
    asides = await rows(two, "SELECT reason, sha256, size_bytes FROM dicom_set_aside ORDER BY reason")
    assert [aside["reason"] for aside in asides] == ["class-differs", "no-file", "no-meta", "other-content"]
    for aside in asides:
        assert Store(tmp_path / "files").path(aside["sha256"]).stat().st_size == aside["size_bytes"]


async def test_a_file_alone_and_dicom_json(hub: Serving, two: World, tmp_path: Path) -> None:
    alone, told = slices(1)[0], senders.slice_of(STUDY, SERIES, 7)
    assert (await post(hub, alone, "application/dicom"))[0] == 200
    document = told.to_json_dict(1024, lambda element: "bulk/1")
    parts = (
        b"--b0\r\nContent-Type: application/dicom+json\r\n\r\n" + json.dumps([document, {"00100010": 7}]).encode(),
        b"\r\n--b0\r\nContent-Type: application/octet-stream\r\nContent-Location: bulk/1\r\n\r\n" + told.PixelData,
        b"\r\n--b0--",
    )  # fmt: skip
    status, answer = await post(hub, b"".join(parts), AS_JSON)
    assert (status, stored(answer), failures(answer)) == (202, [told.SOPInstanceUID], [0xC000])
    query = f"SELECT file_sha256 FROM dicom_instance WHERE sop_uid = '{told.SOPInstanceUID}'"
    (row,) = await rows(two, query)
    kept = pydicom.dcmread(Store(tmp_path / "files").path(row["file_sha256"]))
    assert kept.PixelData == told.PixelData and kept.PatientName == told.PatientName
    assert (await post(hub, body(b"{}", headers=b""), AS_JSON))[0] == 400
    assert (await post(hub, b"x", "text/html"))[0] == 415


async def test_a_body_that_ends_early_or_is_none_leaves_nothing(
    hub: Serving, two: World, tmp_path: Path
) -> None:
    whole = body(*slices(3))
    for content in (whole[: len(whole) // 2], whole[:-20], b"", b"--b0\r\n" + b"x" * 20_000, b"-" * 100_000):
        assert (await post(hub, content))[0] == 400
    assert (await post(hub, whole, FILES.replace("b0", '"' + "x" * 80 + '"')))[0] == 400

    async def cut() -> AsyncIterator[bytes]:
        yield whole[:5000]
        raise ConnectionAbortedError

    with pytest.raises(OSError):
        await post(hub, cut())
    head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    async with senders.line(int(hub.base.rpartition(":")[2])) as (_, writer):
        writer.write(f"{head}Content-Type: {FILES}\r\nContent-Length: 2000000000\r\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.2)
    assert await rows(two, "SELECT FROM dicom_instance") == []
    assert not list((tmp_path / "files" / "incoming").iterdir())
    assert (await post(hub, whole))[0] == 200


async def test_who_may_store(hub: Serving, two: World) -> None:
    whole = body(*slices(1))
    assert (await post(hub, whole, token="guessed"))[0] == 401
    doctor = {"Content-Type": FILES} | hub.as_(two.own, "township_doctor").headers
    for organisation, status in ((two.own, 200), (two.foreign, 403)):
        path = f"/dicom-web/studies?organisation_id={organisation.organisations['town']}"
        async with hub.http.post(hub.base + path, data=whole, headers=doctor) as response:
            assert response.status == status
    async with await world.connect(two.admin_dsn) as admin:
        await admin.execute("UPDATE dicom_node SET disabled_at = %s", (world.AT,))
    assert (await post(hub, whole))[0] == 401


async def test_memory_does_not_grow_with_the_body(
    hub: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "INSTANCE_BYTES_MAX", 100 << 20)

    async def endless(size: int) -> AsyncIterator[bytes]:
        yield b"--b0\r\n\r\n"
        for _ in range(size):
            yield bytes(1 << 20)

    before = psutil.Process().memory_info().rss
    assert (await post(hub, endless(60)))[0] == 400
    assert (await post(hub, endless(120)))[0] == 413
    assert psutil.Process().memory_info().rss - before < 32 << 20
