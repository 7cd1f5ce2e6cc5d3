"""Who asks amiss, or in bad faith: odd identifiers, floods of idle connections, other clinics, cut lines, lies."""

import asyncio
import os
import random
import struct
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom import commands, identifiers, pdus, services, uids
from dicom.errors import InvalidInstance
from hub.core import tls
from hub.imaging.dimse import crowd
from tests.dicom import peer
from tests.imaging import asking, senders
from tests.imaging.asking import Asking, find, identifier, needs_dcmtk, tool
from tests.parts import Databases
from tests.world import AT

CUTS = int(os.environ.get("TELEHUB_IDENTIFIERS", "50"))
ROOT = Path(__file__).parents[2]
FIND = commands.C_FIND_RQ
OFFERED = [(1, services.STUDY_FIND, [uids.EXPLICIT_LITTLE]), (3, services.STUDY_FIND, [uids.IMPLICIT_LITTLE])]
LAST = (pdus.ASSOCIATE_RJ, pdus.RELEASE_RP, pdus.ABORT)
RELEASE = peer.pdu(pdus.RELEASE_RQ, bytes(4))


@pytest.fixture
async def hub(database: Databases, tmp_path: Path) -> AsyncIterator[Asking]:
    async with asking.asking(database, tmp_path / "hub", lambda: AT) as asked:
        yield asked


def written(asked: Dataset, is_implicit: bool = False) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, is_implicit
    write_dataset(out, asked)
    return out.getvalue()


def asks(data_set: bytes, context: int = 1) -> bytes:
    command = peer.command(FIND, services.STUDY_FIND)
    return peer.values(context, command, True) + peer.values(context, data_set, False)


async def conversation(hub: Asking, *said: bytes, calling: str = asking.AE_TITLE) -> list[tuple[int, bytes]]:
    """What the hub answers until it has said its last; released when it has answered what was asked."""
    async with senders.line(hub.port) as (reader, writer):
        writer.write(peer.request(OFFERED, calling))
        await writer.drain()
        for part in said:
            writer.write(part)
        await writer.drain()
        async with asyncio.timeout(20):
            heard = []
            async for kind, body in _heard(reader):
                heard.append((kind, body))
                if _is_final(kind, body) or not said:
                    writer.write(RELEASE)
            return heard


def _is_final(kind: int, body: bytes) -> bool:
    is_command = kind == pdus.P_DATA and body[5] & pdus.COMMAND_FLAG
    return bool(is_command and commands.read_command(body[6:]).status != commands.PENDING)


async def _heard(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    while True:
        try:
            head = await reader.readexactly(pdus.HEADER_BYTES)
            yield head[0], await reader.readexactly(int.from_bytes(head[2:], "big"))
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        if head[0] in LAST:
            return


def mutant(whole: bytes, chance: random.Random) -> bytes:
    """Cut, with bytes changed, doubled or lied about."""
    made = bytearray(whole)
    for _ in range(chance.randrange(1, 6)):
        kind, at = chance.randrange(4), chance.randrange(len(made) + 1)
        if kind == 0:
            del made[at:]
        elif kind == 1 and made:
            made[at % len(made)] = chance.randrange(256)
        elif kind == 2:
            made[at:at] = chance.randbytes(chance.randrange(20))
        else:
            made[at : at + 4] = struct.pack("<I", chance.choice((0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 8, 0)))
    return bytes(made)


def seeds() -> list[tuple[bytes, bool]]:
    asked = identifier("STUDY", PatientName="王^建国", StudyDate="20260101-", StudyInstanceUID=["1.2", "1.3"])
    item = Dataset()
    item.Modality, item.ScheduledStationAETitle = "CT", ""
    asked.ScheduledProcedureStepSequence = [item, item]
    return [(written(asked, is_implicit), is_implicit) for is_implicit in (False, True)]


async def test_odd_identifiers_are_answered_and_the_hub_goes_on(
    hub: Asking, request: pytest.FixtureRequest
) -> None:
    """Cut, changed, lied about: a status each, or an abort; and the next is served as before."""
    await hub.series("1.2.1", 1, PatientID="A1")
    chance = random.Random(request.config.getoption("randomly_seed", 1))
    statuses: dict[int, int] = {}
    for number in range(CUTS):
        whole, is_implicit = seeds()[number % 2]
        heard = await conversation(hub, asks(mutant(whole, chance), 3 if is_implicit else 1))
        assert heard[0][0] == pdus.ASSOCIATE_AC
        for kind, body in heard[1:]:
            assert kind in (pdus.P_DATA, pdus.RELEASE_RP, pdus.ABORT)
            if kind == pdus.P_DATA and body[5] & pdus.COMMAND_FLAG:
                status = commands.read_command(body[6:]).status
                statuses[status] = statuses.get(status, 0) + 1
    assert not statuses.keys() - {0x0000, 0xFF00, 0xA900, 0xA700} and 0xA900 in statuses
    status, found = await find(hub, identifier("STUDY", StudyInstanceUID="", PatientID="A1"))
    assert status == 0 and len(found) == 1


@pytest.mark.parametrize("seed", range(20))
def test_what_is_read_of_any_bytes_is_bounded(seed: int) -> None:
    chance = random.Random(seed)
    for number in range(CUTS):
        whole, is_implicit = seeds()[number % 2]
        syntax = uids.IMPLICIT_LITTLE if is_implicit else uids.EXPLICIT_LITTLE
        try:
            found = identifiers.read(mutant(whole, chance), identifiers.encoding_of(syntax))
        except InvalidInstance:
            continue
        again = identifiers.write(found, identifiers.encoding_of(syntax))
        assert len(again) < 4 * len(whole) + 1000
    deep = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 1000
    with pytest.raises(InvalidInstance):
        identifiers.read(deep, identifiers.encoding_of(uids.EXPLICIT_LITTLE))


async def test_fifty_idle_associations_lock_nobody_out(hub: Asking) -> None:
    """As many silent connections, too, and half a request each."""
    lines = []
    try:
        for number in range(150):
            reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
            lines.append(writer)
            if number < 50:
                writer.write(peer.request(OFFERED, asking.AE_TITLE))
                await writer.drain()
                async with asyncio.timeout(10):
                    assert (await reader.readexactly(1))[0] in (pdus.ASSOCIATE_AC, pdus.ASSOCIATE_RJ)
            elif number % 2:
                writer.write(peer.request(OFFERED, asking.AE_TITLE)[:60])
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(crowd.EVICTED_AFTER_S)
        status, _ = await find(hub, identifier("STUDY", StudyInstanceUID=""))
        assert status == 0 and asyncio.get_running_loop().time() - began < crowd.EVICTED_AFTER_S + 5
    finally:
        for writer in lines:
            writer.transport.abort()


async def test_an_identifier_without_end_and_a_pdu_too_long_end_the_association(hub: Asking) -> None:
    endless = asks(b"\x08\x00\x05\x00CS\x00\x00" * (identifiers.BYTES_MAX // 8 + 1))
    giant = peer.pdu(pdus.P_DATA, b"", length=64 << 20)
    twice = asks(seeds()[0][0]) * 2
    before = psutil.Process().memory_info().rss
    for said in (endless, giant, twice, peer.values(1, peer.command(0x8020, data_set=False), True)):
        heard = await conversation(hub, said)
        assert heard[-1][0] == pdus.ABORT, said[:20]
    assert psutil.Process().memory_info().rss - before < 32 << 20


async def test_who_is_not_known_or_may_not_is_turned_away(hub: Asking) -> None:
    assert [kind for kind, _ in await conversation(hub, calling="STRANGER")] == [pdus.ASSOCIATE_RJ]
    await hub.rows("UPDATE dicom_node SET may_query = false, may_send = true RETURNING id")
    ((kind, body), *_) = await conversation(hub)
    results = [body[at + 6] for at in range(len(body)) if body[at : at + 2] == b"\x21\x00" and at > 68]
    assert kind == pdus.ASSOCIATE_AC and pdus.NO_ABSTRACT_SYNTAX in results and 0 not in results[:2]
    await hub.rows("UPDATE dicom_node SET may_send = false RETURNING id")
    assert [kind for kind, _ in await conversation(hub)] == [pdus.ASSOCIATE_RJ]


async def test_a_query_that_takes_too_long_is_given_up(hub: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.imaging.dimse import query_find, query_request

    await hub.series("1.2.1", 3)

    async def slow(conn, *_rest, **_more):  # type: ignore[no-untyped-def]
        await conn.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(query_request, "QUERY_TIMEOUT_MS", 50)
    with monkeypatch.context() as patched:
        patched.setattr(query_find.querying, "search", slow)
        assert await find(hub, identifier("STUDY", StudyInstanceUID="")) == (0xA700, [])
    monkeypatch.setattr(query_find, "MATCHES_MAX", 2)
    await hub.series("1.2.2", 1)
    await hub.series("1.2.4", 1)
    status, found = await find(hub, identifier("STUDY", StudyInstanceUID=""))
    assert status == 0xA700 and len(found) == 2


@needs_dcmtk
async def test_over_tls_a_node_is_known_by_its_certificate(database: Databases, tmp_path: Path) -> None:
    server = tls.initialise(tmp_path / "tls", ["localhost", "127.0.0.1"], AT)
    shown, secret, known_by = senders.certificate(tmp_path, "station")
    other, other_secret, _ = senders.certificate(tmp_path, "other")
    both = tmp_path / "clients.pem"
    both.write_bytes(shown.read_bytes() + other.read_bytes())
    async with asking.asking(
        database,
        tmp_path / "hub",
        lambda: AT,
        dimse_query_port=0,
        dimse_query_tls_port=asking.parts.free_port(),
        tls_cert=server.certificate,
        tls_key=server.key,
        dimse_tls_clients=both,
    ) as hub:
        await hub.rows(f"UPDATE dicom_node SET certificate_sha256 = '{known_by}' RETURNING id")
        called = replace(hub, port=hub.settings.dimse_query_tls_port).called
        keys = ("-S", "-k", "0008,0052=STUDY", "-k", "0020,000D")
        trust = ("+cf", server.authority)
        await tool("findscu", "+tls", secret, shown, *trust, *called, *keys)
        await tool("findscu", "+tls", other_secret, other, *trust, *called, *keys, succeeds=False)
        await tool("findscu", *called, *keys, succeeds=False)


@needs_dcmtk
async def test_the_process_of_its_own_serves_and_ends_when_told(hub: Asking) -> None:
    """`hub serve --role query`, small and without the engine; its answer is that of the port in this process."""
    await hub.series("1.2.1", 1, PatientID="A1")
    port = asking.parts.free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
        "HUB_DSN": hub.world.admin_dsn,
        "HUB_DATA_DIR": str(hub.settings.data_dir),
        "HUB_DIMSE_QUERY_PORT": str(port),
        "HUB_DIMSE_PLAIN_ADDRESSES": "127.0.0.1",
    }
    command = (sys.executable, "-m", "hub.cli", "serve", "--role", "query")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, stderr=DEVNULL)
    try:
        await senders.listening(port)
        own = replace(hub, port=port)
        await tool("echoscu", *own.called)
        status, (one,) = await find(own, identifier("STUDY", StudyInstanceUID="", PatientID="A1"))
        assert status == 0 and one.StudyInstanceUID == "1.2.1"
        assert psutil.Process(process.pid).memory_info().rss < 110 << 20
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
