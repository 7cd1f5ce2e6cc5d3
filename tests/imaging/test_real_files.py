"""Every DICOM file there is (TELEHUB_DATA), by STOW-RS and by C-STORE: kept bit for bit, and an instance unless it is
on a reviewed list that says why not."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from dicom import InvalidInstance, commands, part10, pdus, uids
from dicom.header import scan, scan_deflated
from hub.core.store import Store
from hub.imaging.dicomweb import routes as dicomweb
from hub.imaging.index import nodes
from tests import parts, serving, world
from tests.dicom import peer
from tests.imaging import senders
from tests.imaging.test_stow import TOKEN, body, failures, post, rows, stored
from tests.parts import Databases

DATA = Path(os.environ.get("TELEHUB_DATA", Path(__file__).parents[3] / "shared" / "data")) / "dicom"
GROUP = 20
NO_FILE = "no DICOM file: no preamble and meta header"
NO_STUDY = "says of no study"
NO_CLASS = "a piece of a data set, made to test a parser: no SOP class"
MEDIA = "a directory of a medium, not an instance to be stored"
# Names of files that may be set aside, and why.
REVIEWED = {
    **dict.fromkeys(
        ("FileInfo.txt", "ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "README.txt", "README", "crayons.icc",
         "no_meta.dcm", "rtplan.dump", "rtstruct.dcm", "rtstruct.dump", "test1.json", "test_PN.json", "zipMR.gz",
         "JLSL_RGB_ILV0.dcm", "JLSL_RGB_ILV1.dcm", "JLSL_RGB_ILV2.dcm", "JLSN_RGB_ILV0.dcm", "OT-PAL-8-face.dcm"),
        NO_FILE,
    ),
    **dict.fromkeys(
        ("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "SC_rgb_jls_lossy_line.dcm",
         "SC_rgb_jls_lossy_sample.dcm", "HTJ2KLossless_08_RGB.dcm", "HTJ2K_08_RGB.dcm", "JLSL_08_07_0_1F.dcm",
         "JLSL_16_15_1_1F.dcm"),
        NO_STUDY,
    ),
    **dict.fromkeys(
        ("chrSQEncoding.dcm", "chrSQEncoding1.dcm", "UN_sequence.dcm", "empty_charset_LEI.dcm", "nested_priv_SQ.dcm",
         "no_meta_group_length.dcm", "priv_SQ.dcm"),
        NO_CLASS,
    ),
    **dict.fromkeys(
        ("DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-empty.dcm", "DICOMDIR-implicit", "DICOMDIR-nooffset",
         "DICOMDIR-nopatient", "DICOMDIR-reordered"),
        MEDIA,
    ),
    "SC_rgb_jpeg.dcm": "implicit VR in a file that says explicit",
    "meta_missing_tsyntax.dcm": "no transfer syntax",
    "bad_sequence.dcm": "its SOP instance UID is none",
}  # fmt: skip

needs_data = pytest.mark.skipif(not DATA.exists(), reason="TELEHUB_DATA")


def files() -> list[Path]:
    return sorted(path for path in DATA.rglob("*") if path.is_file())


@needs_data
async def test_by_stow_every_file_is_kept_and_indexed_or_on_the_list(
    database: Databases, tmp_path: Path
) -> None:
    two = await world.build(database.admin_dsn)
    await senders.node(two, token_sha256=nodes.token_hash(TOKEN))
    store, told = Store(tmp_path / "files"), Counter[str]()
    async with serving.serve(database.app, tmp_path, lambda: world.AT, dicomweb.ROUTES) as hub:
        everything = files()
        for first in range(0, len(everything), GROUP):
            group = everything[first : first + GROUP]
            status, document = await post(hub, BytesIO(body(*(path.read_bytes() for path in group))))
            assert status in (200, 202, 409)
            assert len(stored(document)) + len(failures(document)) == len(group)
            told.update(instances=len(stored(document)), aside=len(failures(document)))
    asides = await rows(two, "SELECT sha256, reason, sop_uid FROM dicom_set_aside")
    reasons = {row["sha256"]: row["reason"] for row in asides}
    sys.stdout.write(f"{len(everything)} files: {dict(told)}, {dict(Counter(reasons.values()))}\n")
    assert told["instances"] > 150
    for path in everything:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert store.path(digest).stat().st_size == path.stat().st_size, path.name
        # One instance in several transfer syntaxes, as test files come: the first is it, the others have its UID.
        if reasons.get(digest, "other-content") != "other-content":
            assert path.name in REVIEWED, (path.name, reasons[digest])


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _sent(line: Line, context: int, meta: part10.Meta, data_set: bytes) -> int:
    """The status of a C-STORE of these very bytes."""
    reader, writer = line
    asked = peer.command(peer.STORE, meta.sop_class_uid, meta.sop_instance_uid)
    writer.write(peer.values(context, asked, True) + peer.values(context, data_set, False, 131_072))
    kind, answer = await _pdu(reader)
    assert kind == pdus.P_DATA
    return int.from_bytes(answer[answer.index(b"\0\0\0\x09\2\0\0\0") + 8 :][:2], "little")


def _sendable() -> list[tuple[str, part10.Meta, bytes]]:
    """Name, what it is, and data set of each file that says so; of some the meta group says something else."""
    found = []
    for path in files():
        data = path.read_bytes()
        with contextlib.suppress(InvalidInstance):
            meta = part10.read_meta(data)
            data_set, encoding = data[meta.data_set_at :], uids.TRANSFER_SYNTAXES.get(meta.transfer_syntax)
            if encoding is None:
                continue
            header = (scan_deflated if encoding.is_deflated else scan)(data_set, encoding)
            sop_class, sop_instance = (
                uids.uid_text(header.raw.get(keyword, told.encode()))
                for keyword, told in (
                    ("SOPClassUID", meta.sop_class_uid),
                    ("SOPInstanceUID", meta.sop_instance_uid),
                )
            )
            meta = replace(meta, sop_class_uid=sop_class, sop_instance_uid=sop_instance)
            if uids.is_storage_class(sop_class) and uids.is_valid_uid(sop_instance):
                found.append((path.name, meta, data_set))
    return found


async def _pdu(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    header = await reader.readexactly(pdus.HEADER_BYTES)
    return header[0], await reader.readexactly(int.from_bytes(header[2:], "big"))


@needs_data
async def test_by_c_store_every_data_set_is_kept_bit_for_bit(database: Databases, tmp_path: Path) -> None:
    two = await world.build(database.admin_dsn)
    statuses, wrong, sending = Counter[int](), list[tuple[str, str]](), _sendable()
    pairs = sorted({(meta.sop_class_uid, meta.transfer_syntax) for _, meta, _ in sending})
    contexts = {pair: 2 * number + 1 for number, pair in enumerate(pairs)}
    async with senders.receiving(database.app, two, tmp_path / "hub", lambda: datetime.now(UTC)) as hub:
        async with senders.line(hub.port) as line:
            offered = [(number, sop_class, [syntax]) for (sop_class, syntax), number in contexts.items()]
            line[1].write(peer.request(offered, senders.AE_TITLE))
            assert (await _pdu(line[0]))[0] == pdus.ASSOCIATE_AC
            for name, meta, data_set in sending:
                context = contexts[meta.sop_class_uid, meta.transfer_syntax]
                status = await _sent(line, context, meta, data_set)
                statuses[status] += 1
                group = part10.write_meta(meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax)
                digest = hashlib.sha256(group + data_set).hexdigest()
                is_taken = status in (commands.SUCCESS, commands.DUPLICATE_SOP_INSTANCE)
                if not hub.store.path(digest).exists() or not (is_taken or name in REVIEWED):
                    wrong.append((name, hex(status)))
        kept = await hub.instances()
    sys.stdout.write(f"{statuses.total()} sent: {statuses}, {len(kept)} instances\n")
    assert wrong == []
    assert statuses[commands.SUCCESS] > 150 and len(kept) <= statuses[commands.SUCCESS]


@needs_data
@pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
async def test_what_dcmtk_sends_of_a_series_is_what_its_own_receiver_keeps(
    database: Databases, tmp_path: Path
) -> None:
    two, kept, port = await world.build(database.admin_dsn), tmp_path / "kept", parts.free_port()
    senders.make(kept)
    command = ("storescp", "+B", "-od", str(kept), str(port))
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    theirs = await asyncio.create_subprocess_exec(*command, **quiet)
    try:
        await senders.listening(port)
        async with senders.receiving(database.app, two, tmp_path / "hub", lambda: datetime.now(UTC)) as hub:
            for to in (
                ["127.0.0.1", str(port)],
                ["-aet", senders.AE_TITLE, "-aec", "TELEHUB", "127.0.0.1", str(hub.port)],
            ):
                sending = ["storescu", "+sd", *to, str(DATA / "mr-series")]
                assert await (await asyncio.create_subprocess_exec(*sending, **quiet)).wait() == 0
            ours = {
                senders.data_set(hub.store.path(row["file_sha256"]).read_bytes())
                for row in await hub.instances()
            }
    finally:
        theirs.kill()
        await theirs.wait()
    assert len(ours) == 16
    assert ours == {senders.data_set(path.read_bytes()) for path in kept.iterdir()}
