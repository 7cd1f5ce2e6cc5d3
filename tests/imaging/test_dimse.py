"""Receiving over the network, from senders that are not ours: dcmtk and pynetdicom, and peers that mean harm."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom import _config as pynetdicom_config

from dicom import pdus, uids
from hub.core import tls
from hub.imaging.dimse import association as dimse
from hub.imaging.dimse import crowd, spares
from tests import parts, world
from tests.dicom import peer
from tests.imaging import senders
from tests.imaging.senders import AE_TITLE, Receiving
from tests.parts import Databases
from tests.world import World

needs_dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
STUDY, SERIES = "1.2.3", "1.2.3.4"
OFFERED = [(1, uids.VERIFICATION, [uids.IMPLICIT_LITTLE]), (3, peer.CT, [uids.EXPLICIT_LITTLE])]


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def two(database: Databases) -> World:
    return await world.build(database.admin_dsn)


@pytest.fixture
async def hub(database: Databases, two: World, tmp_path: Path) -> AsyncIterator[Receiving]:
    async with senders.receiving(database.app, two, tmp_path / "hub", now) as receiving:
        yield receiving


async def tool(*command: str | Path, succeeds: bool = True) -> str:
    """What a program of dcmtk says."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert (process.returncode == 0) is succeeds, said.decode()
    return said.decode()


def to(hub: Receiving, calling: str = AE_TITLE) -> list[str]:
    return ["-aet", calling, "-aec", "TELEHUB", "127.0.0.1", str(hub.port)]


def slices(folder: Path, count: int = 3, **values: Any) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [
        senders.write(senders.slice_of(STUDY, SERIES, number, **values), folder / f"{number}.dcm")
        for number in range(count)
    ]


async def pynetdicom_store(
    hub: Receiving, files: list[Path], syntax: str = uids.EXPLICIT_LITTLE, calling: str = AE_TITLE
) -> list[int]:
    """Statuses; a file's data set is sent as it stands in the file."""

    def send() -> list[int]:
        pynetdicom_config.STORE_SEND_CHUNKED_DATASET = True
        sender = AE(calling)
        sender.add_requested_context(senders.CT, syntax)
        association = sender.associate("127.0.0.1", hub.port, ae_title="TELEHUB")
        assert association.is_established
        try:
            return [int(association.send_c_store(path).Status) for path in files]
        finally:
            association.release()

    return await asyncio.to_thread(send)


def data_set(path: Path) -> bytes:
    return senders.data_set(path.read_bytes())


@needs_dcmtk
async def test_dcmtk_sends_and_every_byte_is_kept(hub: Receiving, tmp_path: Path) -> None:
    """The same sending to dcmtk's own receiver, which preserves bits, says what was on the wire."""
    files, kept, port = slices(tmp_path / "in", 5), tmp_path / "kept", parts.free_port()
    kept.mkdir()
    await tool("echoscu", *to(hub))
    await tool("storescu", *to(hub), *files)
    command = ("storescp", "+B", "-od", str(kept), str(port))
    theirs = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await senders.listening(port)
        await tool("storescu", "127.0.0.1", str(port), *files)
    finally:
        theirs.kill()
        await theirs.wait()
    rows = await hub.instances()
    ours = {data_set(hub.store.path(row["file_sha256"])) for row in rows}
    assert len(rows) == 5 and ours == {data_set(path) for path in kept.iterdir()}
    assert {row["sent_by"] for row in rows} == {f"node {hub.node_id}"}
    assert await hub.set_asides() == []


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, uids.EXPLICIT_LITTLE, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
async def test_any_syntax_is_kept_as_it_was_sent_and_can_be_read(
    hub: Receiving, tmp_path: Path, syntax: str
) -> None:
    path = senders.write(senders.slice_of(STUDY, SERIES, 1), tmp_path / "one.dcm", syntax)
    assert await pynetdicom_store(hub, [path], syntax) == [0]
    (row,) = await hub.instances()
    stored = hub.store.path(row["file_sha256"])
    assert data_set(stored) == data_set(path)
    assert pydicom.dcmread(stored).PixelData == pydicom.dcmread(path).PixelData
    assert (row["rows"], row["transfer_syntax"], row["number"]) == (64, syntax, 1)


async def test_the_same_again_changes_nothing_and_other_content_is_set_aside(
    hub: Receiving, tmp_path: Path
) -> None:
    (path,) = slices(tmp_path / "in", 1)
    (other,) = slices(tmp_path / "other", 1, seed=2)
    assert await pynetdicom_store(hub, [path, path]) == [0, 0]
    assert await pynetdicom_store(hub, [other, other, path]) == [0x0111, 0x0111, 0]
    (row,), (aside,) = await hub.instances(), await hub.set_asides()
    assert data_set(hub.store.path(row["file_sha256"])) == data_set(path)
    assert (aside["reason"], aside["times"]) == ("other-content", 2)
    assert data_set(hub.store.path(aside["sha256"])) == data_set(other)


async def test_what_is_no_instance_is_kept_aside_and_told(hub: Receiving, tmp_path: Path) -> None:
    nameless = tmp_path / "nameless.dcm"
    path = b"../../../etc/passwd "
    whole = senders.write(senders.slice_of("9" * len(path), SERIES, 1), tmp_path / "x.dcm").read_bytes()
    nameless.write_bytes(whole.replace(b"9" * len(path), path))
    hurt = tmp_path / "hurt.dcm"
    hurt.write_bytes(nameless.read_bytes().replace(b"SH", b"\0\0"))
    zero = tmp_path / "zero.dcm"
    zero.write_bytes(whole[:300] + whole[300:].replace(b"1.2.826", b"1.2.\x0026", 1))
    assert await pynetdicom_store(hub, [nameless, hurt, zero]) == [0xC000, 0xC000, 0xC000]
    assert [aside["reason"] for aside in await hub.set_asides()] == ["no-identity"] * 3
    assert await hub.instances() == []
    names = [path for path in hub.settings.data_dir.rglob("*") if path.is_file()]
    assert all(path.parent.parent == hub.settings.data_dir / "files" for path in names)


async def test_who_is_not_known_gets_no_association(hub: Receiving, two: World) -> None:
    async def result(calling: str, called: str = "TELEHUB") -> tuple[int, int, int] | None:
        answer = await said(hub, peer.request(OFFERED, calling, called))
        ((kind, body),) = peer.answers(answer)
        return None if kind == pdus.ASSOCIATE_AC else (body[1], body[2], body[3])

    assert await result(AE_TITLE) is None
    assert await result("STRANGER") == (1, 1, 3)
    assert await result("CT\0SCANNER") == await result("CT\x1b[31m") == (1, 1, 3)
    assert await result(AE_TITLE, "ORTHANC") == (1, 1, 7)
    await senders.node(two, "ELSEWHERE", address="192.0.2.7")
    assert await result("ELSEWHERE") == (1, 1, 3)
    async with await world.connect(two.admin_dsn) as admin:
        await admin.execute("UPDATE dicom_node SET disabled_at = %s", (world.AT,))
    assert await result(AE_TITLE) == (1, 1, 3)


async def said(hub: Receiving, *messages: bytes, wait_s: float = 0.3) -> bytes:
    """All that is answered until nothing more comes; the second message is sent after the first answer."""
    answer = b""
    async with senders.line(hub.port) as (reader, writer):
        with contextlib.suppress(ConnectionError, TimeoutError):
            for message in messages:
                writer.write(message)
                await writer.drain()
                async with asyncio.timeout(5):
                    answer += await reader.read(65536)
            while True:
                async with asyncio.timeout(wait_s):
                    if not (more := await reader.read(65536)):
                        break
                    answer += more
    return answer


@pytest.mark.parametrize(
    "faulty",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        peer.request(OFFERED) * 2,
        peer.values(3, b"x", False),
        peer.pdu(pdus.ASSOCIATE_RQ, b"", length=0xFFFF_FFFF),
    ],
)
async def test_who_breaks_the_protocol_is_cut_off(hub: Receiving, faulty: bytes) -> None:
    assert pdus.ABORT in {kind for kind, _ in peer.answers(await said(hub, faulty))}
    assert await said(hub, peer.request(OFFERED, AE_TITLE)) != b""


async def test_a_pdu_over_the_offered_size_is_not_read(hub: Receiving) -> None:
    begun = peer.values(3, peer.command(peer.STORE), True) + peer.pdu(
        pdus.P_DATA, bytes(100), length=64 << 20
    )
    answer = list(peer.answers(await said(hub, peer.request(OFFERED, AE_TITLE), begun)))
    assert [kind for kind, _ in answer] == [pdus.ASSOCIATE_AC, pdus.ABORT]


async def test_a_request_that_can_not_be_served_is_answered_and_the_association_goes_on(
    hub: Receiving,
) -> None:
    find = peer.values(3, peer.command(0x0020, data_set=True), True) + peer.values(3, b"x" * 100, False)
    wrong = peer.values(3, peer.command(peer.STORE, sop_class="1.2.840.10008.5.1.4.1.1.4"), True)
    wrong += peer.values(3, b"x", False)
    path = peer.values(3, peer.command(peer.STORE, sop_instance="../x"), True) + peer.values(3, b"x", False)
    echo = peer.values(1, peer.command(peer.ECHO, uids.VERIFICATION, data_set=False), True)
    answer = list(peer.answers(await said(hub, peer.request(OFFERED, AE_TITLE), find, wrong, path, echo)))
    statuses = [
        int.from_bytes(body[body.index(b"\0\0\0\x09\2\0\0\0") + 8 :][:2], "little") for _, body in answer[1:]
    ]
    assert statuses == [0x0211, 0x0122, 0x0117, 0]


async def test_idle_associations_lock_nobody_out(
    hub: Receiving, two: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty of one node that do nothing, and fifty connections that say nothing."""
    monkeypatch.setattr(crowd, "EVICTED_AFTER_S", 0.2)
    await senders.node(two, "OTHER")
    answers, (path,) = [], slices(tmp_path / "in", 1)
    async with contextlib.AsyncExitStack() as idle:
        for _ in range(50):
            reader, writer = await idle.enter_async_context(senders.line(hub.port))
            writer.write(peer.request(OFFERED, AE_TITLE))
            answers.append(next(peer.answers(await reader.read(65536)))[0])
        for _ in range(50):
            await idle.enter_async_context(senders.line(hub.port))
        assert answers.count(pdus.ASSOCIATE_AC) >= crowd.NODE_ASSOCIATIONS
        assert set(answers) <= {pdus.ASSOCIATE_AC, pdus.ASSOCIATE_RJ}
        await asyncio.sleep(0.3)  # of each sender's own, one that is idle gives way
        assert await pynetdicom_store(hub, [path], calling="OTHER") == [0]
        assert await pynetdicom_store(hub, [path]) == [0]


async def test_silence_ends_an_association(hub: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "WATCH_EVERY_S", 0.05)
    monkeypatch.setattr(dimse, "ARTIM_S", 0.2)
    monkeypatch.setattr(dimse, "IDLE_S", 0.4)
    await asyncio.sleep(1.1)  # the watch begins to look more often
    for message in (b"", peer.request(OFFERED, AE_TITLE)):
        async with senders.line(hub.port) as (reader, writer), asyncio.timeout(5):
            writer.write(message)
            with contextlib.suppress(ConnectionError):
                while await reader.read(65536):
                    pass


async def test_without_database_or_room_nothing_is_acknowledged(
    database: Databases, two: World, tmp_path: Path
) -> None:
    files = slices(tmp_path / "in", 2)
    async with senders.receiving(database.app, two, tmp_path / "hub", now, disk_floor_mb=1 << 40) as full:
        assert await pynetdicom_store(full, files) == [0xA700, 0xA700]
    async with await world.connect(two.admin_dsn) as admin:
        await admin.execute("DELETE FROM dicom_node")
        async with senders.receiving(database.app, two, tmp_path / "hub", now) as hub:
            await admin.execute("ALTER TABLE dicom_instance RENAME TO away")
            assert await pynetdicom_store(hub, files) == [0x0110, 0x0110]
            await admin.execute("ALTER TABLE away RENAME TO dicom_instance")
            assert await pynetdicom_store(hub, files) == [0, 0]
            async with admin.transaction():
                await admin.execute("LOCK TABLE stored_file")
                await admin.execute("SET LOCAL statement_timeout = 0")
                task = asyncio.create_task(pynetdicom_store(hub, slices(tmp_path / "more", 1, seed=3)))
                await asyncio.sleep(0.5)
                await admin.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                )
                assert await task == [0xA700]
            assert len(await hub.instances()) == 2
    assert not list((tmp_path / "hub" / "files" / "incoming").iterdir())


@needs_dcmtk
async def test_over_tls_a_node_is_known_by_its_certificate(
    database: Databases, two: World, tmp_path: Path
) -> None:
    files, ours = slices(tmp_path / "in", 2), tls.initialise(tmp_path / "tls", ["127.0.0.1"], now())
    certificate, key, known = senders.certificate(tmp_path, "modality")
    other_certificate, other_key, _ = senders.certificate(tmp_path, "stranger")
    await senders.node(two, "TLSNODE", address=None, certificate_sha256=known)
    port = parts.free_port()
    secure = {
        "dimse_port": 0, "dimse_tls_port": port, "tls_cert": ours.certificate, "tls_key": ours.key,
        "dimse_tls_clients": certificate,
    }  # fmt: skip
    async with senders.receiving(database.app, two, tmp_path / "hub", now, **secure) as made:
        hub = replace(made, port=port)
        own = ["+tls", key, certificate, "+cf", ours.authority]
        others = ["+tls", other_key, other_certificate, "+cf", ours.authority]
        await tool("storescu", *own, *to(hub, "TLSNODE"), *files)
        await tool("storescu", *own, *to(hub, AE_TITLE), *files, succeeds=False)
        await tool("storescu", *others, *to(hub, "TLSNODE"), *files, succeeds=False)
        await tool("storescu", "+tla", "-ic", *to(hub, "TLSNODE"), *files, succeeds=False)
        await tool("storescu", *to(hub, "TLSNODE"), *files, succeeds=False)
        assert len(await hub.instances()) == 2


async def test_a_data_set_without_end_costs_no_memory(
    hub: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimse, "INSTANCE_BYTES_MAX", 64 << 20)
    before = psutil.Process().memory_info().rss
    piece = peer.values(3, bytes(100_000), False, most=131_072)
    piece = piece[:11] + b"\0" + piece[12:]  # never the last
    async with senders.line(hub.port) as (reader, writer):
        writer.write(peer.request(OFFERED, AE_TITLE))
        await reader.read(65536)
        writer.write(peer.values(3, peer.command(peer.STORE), True))
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                writer.write(piece)
                await writer.drain()
    await asyncio.sleep(0.1)
    assert psutil.Process().memory_info().rss - before < 32 << 20
    left = (hub.settings.data_dir / "files" / "incoming").iterdir()
    assert [file.stat().st_size for file in left] <= [0] * spares.READY  # made ahead for others
