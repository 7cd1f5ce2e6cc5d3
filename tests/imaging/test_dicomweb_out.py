"""Searching and fetching over the web: an unmodified client, every kind of file, what is asked wrongly, and who may."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any, TypeVar

import imagecodecs
import numpy as np
import pydicom
import pytest
from aiohttp import ClientPayloadError
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom.encaps import encapsulate, encapsulate_extended

from dicom.multipart import PartBegun, PartBytes, Reader, parameters
from hub.core.actor import Actor
from hub.imaging.index import indexing, instances, nodes, querying
from tests import world
from tests.imaging import senders
from tests.imaging.conftest import Clinic

TOKEN = "of-one-who-asks"
STUDY = "1.2.3"
JPEG = "1.2.840.10008.1.2.4.50"
FRAMES = [b"\xff\xd8\xff" + bytes([n]) * (101 + 2 * n) for n in range(5)]
T = TypeVar("T")


async def _in_this_process(function: str, payload: bytes, *_: float) -> bytes:
    module, _, name = function.partition(":")
    made: bytes = getattr(import_module(module), name)(payload)
    return made


@dataclass
class Asking:
    """A clinic whose study of two series is stored and indexed, and a client that may query."""

    clinic: Clinic
    node: Actor
    files: dict[str, bytes]
    client: DICOMwebClient

    async def get(self, path: str, token: str = TOKEN, **headers: str) -> tuple[int, str, bytes]:
        sent = {"Authorization": f"Bearer {token}"} | {
            name.replace("_", "-"): v for name, v in headers.items()
        }
        url = f"{self.clinic.served.base}/dicom-web{path}"
        async with self.clinic.served.http.get(url, headers=sent) as response:
            return response.status, response.headers.get("Content-Type", ""), await response.read()

    async def parts(self, path: str, **headers: str) -> list[bytes]:
        status, kind, body = await self.get(path, **headers)
        assert status == 200, body[:200]
        return cut(kind, body)

    async def told(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await asyncio.to_thread(call, *args, **kwargs)

    async def store(self, *files: bytes) -> None:
        town = self.clinic.two.own.organisations["town"]
        for content in files:
            file = await self.clinic.store.put(content, instances.MEDIA_TYPE)
            sender = nodes.sender(self.node.id, town)
            outcome = await instances.store_file(
                self.clinic.databases.app, self.clinic.store, self.node, world.AT, sender, file
            )
            assert outcome.kind == "stored"
            self.files[outcome.sop_uid] = content
        await indexing.queue_waiting(self.clinic.context())
        await self.clinic.run_jobs()


def cut(content_type: str, body: bytes) -> list[bytes]:
    """The parts of a body, by the reader that takes in what is sent to the hub."""
    kind, values = parameters(content_type)
    assert kind == "multipart/related"
    reader, found = Reader(values["boundary"]), list[bytearray]()
    for event in reader.feed(body):
        if isinstance(event, PartBegun):
            found.append(bytearray())
        elif isinstance(event, PartBytes):
            found[-1] += event.view
    assert reader.is_complete
    return [bytes(part) for part in found]


@pytest.fixture
async def asking(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asking]:
    monkeypatch.setattr(indexing.sandbox, "run", _in_this_process)  # a process for each file takes its time
    values = {"address": "192.0.2.7", "may_query": True, "token_sha256": nodes.token_hash(TOKEN)}
    node = Actor("node", str(await senders.node(clinic.two, "ASKER", **values)))
    session = create_session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    made = Asking(clinic, node, {}, DICOMwebClient(f"{clinic.served.base}/dicom-web", session=session))
    await made.store(
        *(senders.as_file(senders.slice_of(STUDY, f"{STUDY}.{n // 3}", n, side=16)) for n in range(6))
    )
    yield made
    session.close()


async def test_dicomweb_client_searches_and_fetches_unmodified(asking: Asking) -> None:
    client, told = asking.client, asking.told
    (study,) = await told(
        client.search_for_studies, search_filters={"PatientName": "王*"}, fields=["StudyID"]
    )
    assert study["00201208"]["Value"] == [6] and study["00080061"]["Value"] == ["CT"]
    assert study["00081190"]["Value"][0].endswith(f"/dicom-web/studies/{STUDY}")
    assert len(await told(client.search_for_series, STUDY)) == 2
    assert len(await told(client.search_for_instances, STUDY, f"{STUDY}.1", limit=2)) == 2
    assert await told(client.search_for_studies, search_filters={"PatientID": "nobody"}) == []
    whole = await told(client.retrieve_study, STUDY)
    assert {one.SOPInstanceUID for one in whole} == set(asking.files)
    (series,) = {one.SeriesInstanceUID for one in await told(client.retrieve_series, STUDY, f"{STUDY}.1")}
    assert series == f"{STUDY}.1"
    metadata = await told(client.retrieve_study_metadata, STUDY)
    assert len(metadata) == 6
    for one in metadata:
        sop_uid = one["00080018"]["Value"][0]
        original = pydicom.dcmread(BytesIO(asking.files[sop_uid]))
        address = (STUDY, one["0020000E"]["Value"][0], sop_uid)
        assert (await told(client.retrieve_instance, *address)).PixelData == original.PixelData
        (frame,) = await told(client.retrieve_instance_frames, *address, [1])
        assert frame == original.PixelData
        # The client names the host without its port, and so is told an address without it.
        place = one["7FE00010"]["BulkDataURI"].partition("/dicom-web")[2]
        (bulk,) = await told(client.retrieve_bulkdata, client.base_url + place)
        assert bulk == original.PixelData
        assert one["00100010"]["Value"][0]["Alphabetic"] == str(original.PatientName)


async def test_files_come_byte_for_byte(asking: Asking) -> None:
    assert set(await asking.parts(f"/studies/{STUDY}")) == set(asking.files.values())
    for sop_uid, content in asking.files.items():
        path = await path_of(asking, sop_uid)
        kind = 'application/dicom; transfer-syntax="*"'
        assert await asking.get(path, Accept=kind) == (
            200,
            f"application/dicom; transfer-syntax={EXPLICIT}",
            content,
        )
        assert (await asking.get(path, Accept=f"application/dicom; transfer-syntax={JPEG}"))[0] == 406
    assert (await asking.get(f"/studies/{STUDY}", Accept="application/dicom"))[0] == 406


EXPLICIT = "1.2.840.10008.1.2.1"


async def path_of(asking: Asking, sop_uid: str) -> str:
    status, _, body = await asking.get(f"/instances?SOPInstanceUID={sop_uid}")
    assert status == 200
    (one,) = json.loads(body)
    return str(one["00081190"]["Value"][0]).partition("/dicom-web")[2]


def multi_frame(syntax: str, **values: Any) -> pydicom.Dataset:
    made = senders.slice_of(STUDY, f"{STUDY}.9", 1, side=5, **values)
    made.SOPInstanceUID = f"1.2.9.{abs(hash((syntax, str(values)))) % 10**9}"
    made.NumberOfFrames, made.SeriesNumber = 5, 9
    return made


async def test_frames_of_every_way_to_store_them(asking: Asking) -> None:
    """Native, big endian, deflated, one bit a pixel; encapsulated with and without tables, in pieces."""
    pixels = np.random.default_rng(3).integers(0, 4096, (5, 5, 5), np.uint16)
    native = [frame.astype("<u2").tobytes() for frame in pixels]
    bits = np.random.default_rng(4).integers(0, 2, (5, 25), np.uint8)
    packed = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    whole_bits = np.packbits(bits, bitorder="little").tobytes() + b"\0" * (len(np.packbits(bits)) % 2)
    stored: list[tuple[pydicom.Dataset, str, list[bytes]]] = []
    for syntax, order in (("1.2.840.10008.1.2", "<"), (EXPLICIT, "<"), ("1.2.840.10008.1.2.2", ">"),
                          ("1.2.840.10008.1.2.1.99", "<")):  # fmt: skip
        made = multi_frame(syntax)
        made.PixelData = pixels.astype(f"{order}u2").tobytes()
        stored.append((made, syntax, native))
    one_bit = multi_frame(EXPLICIT, BitsAllocated=1, BitsStored=1, HighBit=0)
    one_bit.PixelData = whole_bits
    stored.append((one_bit, EXPLICIT, packed))
    for name, content in (
        ("basic", encapsulate(FRAMES, fragments_per_frame=2)),
        ("none", encapsulate(FRAMES, fragments_per_frame=1, has_bot=False)),
        ("pieces", encapsulate(FRAMES, fragments_per_frame=3, has_bot=False)),
    ):
        made = multi_frame(JPEG, PatientComments=name)
        made.PixelData = content
        stored.append((made, JPEG, FRAMES))
    extended = multi_frame(JPEG, PatientComments="extended")
    extended.PixelData, extended.ExtendedOffsetTable, extended.ExtendedOffsetTableLengths = (
        encapsulate_extended(FRAMES)
    )
    stored.append((extended, JPEG, FRAMES))
    for made, _, _ in stored:
        made["PixelData"].VR = "OB" if made.BitsAllocated == 1 or made.get("PatientComments") else "OW"
        made["PixelData"].is_undefined_length = bool(made.get("PatientComments"))
    await asking.store(*(senders.as_file(made, syntax) for made, syntax, _ in stored))
    for made, syntax, frames in stored:
        path = await path_of(asking, made.SOPInstanceUID)
        for wanted in ((1, 2, 3, 4, 5), (4,), (5, 1, 3)):
            found = await asking.parts(f"{path}/frames/{','.join(map(str, wanted))}")
            expected = [frames[number - 1] for number in wanted]
            assert [part[: len(one)] for part, one in zip(found, expected, strict=True)] == expected, (
                syntax,
                wanted,
            )
            assert all(len(part) - len(one) in (0, 1) for part, one in zip(found, expected, strict=True))
        status, kind, body = await asking.get(
            f"{path}/frames/2", Accept="*/*;q=0.1, image/jpeg, application/octet-stream"
        )
        told = JPEG if syntax == JPEG else EXPLICIT
        assert (status, parameters(kind)[1]["transfer-syntax"], body[: len(frames[1])]) == (
            200,
            told,
            frames[1],
        )
        assert (await asking.get(f"{path}/frames/6"))[0] == 404
        assert (await asking.get(f"{path}/frames/1", Accept="image/jls"))[0] == 406
        octets = await asking.parts(
            f"{path}/frames/1", Accept='multipart/related; type="application/octet-stream"; transfer-syntax=*'
        )
        assert octets[0][: len(frames[0])] == frames[0]
        metadata = json.loads((await asking.get(f"{path}/metadata"))[2])
        found = await asking.parts(metadata[0]["7FE00010"]["BulkDataURI"].partition("/dicom-web")[2])
        assert b"".join(found)[: len(frames[0]) - 1] == frames[0][:-1]


async def test_long_values_are_where_metadata_say(asking: Asking) -> None:
    """Also within items of sequences, in every encoding."""
    made = senders.slice_of(STUDY, f"{STUDY}.8", 1, side=2)
    item, inner = senders.Dataset(), senders.Dataset()
    inner.EncapsulatedDocument = bytes(range(256)) * 20
    item.RedPaletteColorLookupTableData = np.arange(4000, dtype="<u2").tobytes()
    item.ScheduledProtocolCodeSequence = [senders.Dataset(), inner]
    made.RequestAttributesSequence = [senders.Dataset(), item]
    for number, syntax in enumerate((EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99")):
        made.SOPInstanceUID = f"1.2.8.{number}"
        await asking.store(senders.as_file(made, syntax))
        path = await path_of(asking, made.SOPInstanceUID)
        (document,) = json.loads((await asking.get(f"{path}/metadata"))[2])
        outer = document["00400275"]["Value"][1]
        for element, expected in (
            (outer["00281201"], np.arange(4000, dtype="<u2").tobytes()),
            (outer["00400008"]["Value"][1]["00420011"], bytes(range(256)) * 20),
        ):
            (found,) = await asking.parts(element["BulkDataURI"].partition("/dicom-web")[2])
            assert found == expected
    for wrong in (
        "bulkdata/x",
        "bulkdata/../..",
        "bulkdata/00091001/1",
        "bulkdata/" + "0/" * 50,
        "bulkdata/0009100%31/%00/00091010",
    ):
        assert (await asking.get(f"{path}/{wrong}"))[0] in (400, 404)
    assert (await asking.get(f"{path}/bulkdata/00400275/9/00281201"))[0] == 404


async def test_metadata_are_the_same_ready_made_and_put_together(asking: Asking) -> None:
    before = json.loads((await asking.get(f"/studies/{STUDY}/metadata"))[2])
    await asking.clinic.rows("SELECT 1")
    async with await world.connect(asking.clinic.two.admin_dsn) as admin:
        await admin.execute("UPDATE dicom_study SET is_open = false")
    await indexing.pack(asking.clinic.context())
    assert len(await asking.clinic.rows("SELECT FROM dicom_series_metadata")) == 2
    status, _, body = await asking.get(f"/studies/{STUDY}/metadata", Accept_Encoding="identity")
    assert (status, json.loads(body)) == (200, before)
    url = f"{asking.clinic.served.base}/dicom-web/studies/{STUDY}/metadata"
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    async with asking.clinic.served.http.get(url, headers=headers, auto_decompress=False) as response:  # type: ignore[call-arg]
        assert response.headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(await response.read())) == before
    await asking.store(senders.as_file(senders.slice_of(STUDY, f"{STUDY}.1", 77, side=4)))
    late = json.loads((await asking.get(f"/studies/{STUDY}/series/{STUDY}.1/metadata"))[2])
    assert len(late) == 4
    for path in (f"/studies/{STUDY}/metadata", f"/studies/{STUDY}/series/{STUDY}.0/metadata"):
        assert (await asking.get(path, Accept="application/dicom+xml"))[0] == 406


ANSWERS = [
    ("/studies?limit=x", 400), ("/studies?limit=-1", 400), ("/studies?offset=99999999999", 400),
    ("/studies?offset=100000", 204), ("/studies?limit=0", 204), ("/studies?Nonsense=1", 400),
    ("/studies?StudyDate=2026*", 400), ("/studies?StudyDate=20260101-", 200), ("/studies?Modality=CT", 400),
    ("/studies?includefield=all&limit=1", 200), ("/studies?includefield=StudyID,00100010", 200),
    ("/studies?includefield=" + "StudyID," * 501, 400), ("/studies?includefield=x", 400),
    ("/studies?" + "&".join(f"PatientID={n}" for n in range(201)), 400), ("/studies?fuzzymatching=true", 200),
    ("/studies?PatientName=a%00b", 400), ("/studies?PatientName=%ff", 204), ("/studies?PatientName=" + "x" * 257, 400),
    ("/studies?StudyInstanceUID=1.2.3,1.2.4", 200), ("/studies?StudyInstanceUID=..", 400),
    ("/studies/..%2f..%2fetc/series", 400), ("/studies/1.2.3.4.5.6/series", 404), ("/studies/9.9.9", 404),
    (f"/studies/{STUDY}/series/x/instances", 400), (f"/studies/{STUDY}/series/9.9", 404),
    (f"/studies/{STUDY}/series/9.9/instances", 404),
    (f"/studies/{STUDY}/series?Modality=MR", 204),
    (f"/studies/{'1' * 65}", 400), (f"/studies/{STUDY}/metadata?accept=application/dicom%2Bjson", 200),
    (f"/studies/{STUDY}/metadata?accept=text/html", 406), ("/series?SeriesInstanceUID=1.2.3.1", 200),
    ("/series?Modality=CT&PatientID=P1&NumberOfSeriesRelatedInstances=3", 200), ("/instances?Rows=16", 200),
    ("/instances?Rows=16&Columns=17", 204), ("/instances?00091001=x", 204),
    ("/series?RequestAttributesSequence.ScheduledProcedureStepID=1", 204),
    ("/series?RequestAttributesSequence=1", 400),
    ("/studies?InstanceAvailability=ONLINE&ModalitiesInStudy=CT,MR", 200),
]  # fmt: skip


async def test_what_is_asked_wrongly_is_answered_clearly(asking: Asking) -> None:
    for path, status in ANSWERS:
        found, _, body = await asking.get(path)
        assert found == status, (path, body[:300])
        if status in (400, 404, 406):
            assert set(json.loads(body)["error"]["message"]) == {"zh-CN", "en"}


async def test_odd_accepts_and_frames(asking: Asking) -> None:
    path = await path_of(asking, next(iter(asking.files)))
    for accept in ("", ",,;", "multipart/related", "a" * 5000, "*/*;q=0", "text/html", '"', "application/dicom;q=x",
                   'multipart/related; type="', "*/*;" * 2000):  # fmt: skip
        status, _, body = await asking.get(path, Accept=accept)
        assert status in (200, 406), body
        assert (await asking.get("/studies", Accept=accept))[0] in (200, 406)
    for frames in ("0", "-1", "x", "1,", "1," * 2000 + "1", "99999999999", "١", "1,1", "1,01"):
        assert (await asking.get(f"{path}/frames/{frames}"))[0] == 400
    assert (await asking.get(f"{path}/frames/2"))[0] == 404


async def test_a_warning_says_that_there_is_more_or_that_matching_is_literal(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(querying, "LIMIT_MAX", {"instance": 4, "study": 4, "series": 4})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for query, words in (
        ("", "additional"),
        ("?limit=3", None),
        ("?limit=6&fuzzymatching=true", "fuzzymatching"),
    ):
        url = f"{asking.clinic.served.base}/dicom-web/instances{query}"
        async with asking.clinic.served.http.get(url, headers=headers) as response:
            warning = response.headers.get("Warning", "")
            assert (words in warning) if words else not warning


async def test_who_may_ask(asking: Asking) -> None:
    two = asking.clinic.two
    paths = (f"/studies/{STUDY}", f"/studies/{STUDY}/metadata", "/studies", f"/studies/{STUDY}/series")
    await senders.node(two, "DEAF", address="192.0.2.8", token_sha256=nodes.token_hash("deaf"))
    async with await world.connect(two.admin_dsn) as admin:
        foreign = await senders.node(two, "FOREIGN", address="192.0.2.9", may_query=True,
                                     token_sha256=nodes.token_hash("foreign"))  # fmt: skip
        town = two.foreign.organisations["town"]
        await admin.execute("UPDATE dicom_node SET organisation_id = %s WHERE id = %s", (town, foreign))
    for path in paths:
        assert (await asking.get(path, token="guessed"))[0] == 401
        assert (await asking.get(path, token="deaf"))[0] == 403
        assert (await asking.get(path, token="foreign"))[0] in (204, 404)
        for tenant, role, fine in ((two.own, "township_doctor", True), (two.own, "reader", False),
                                   (two.foreign, "township_doctor", False)):  # fmt: skip
            person = asking.clinic.served.as_(tenant, role)
            async with await person.call("GET", f"/dicom-web{path}") as response:
                assert (response.status == 200) == fine
    audited = await asking.clinic.rows(
        "SELECT actor_kind FROM audit WHERE action IN ('dicom.query', 'dicom.retrieve')"
    )
    assert len(audited) == 6  # who was answered


async def test_a_file_that_is_shorter_than_it_was_cuts_the_line(asking: Asking) -> None:
    sop_uid = next(iter(asking.files))
    path = await path_of(asking, sop_uid)
    (row,) = await asking.clinic.rows(f"SELECT file_sha256 FROM dicom_instance WHERE sop_uid = '{sop_uid}'")
    stored = asking.clinic.store.path(row["file_sha256"])
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes()[:-100])
    with pytest.raises(ClientPayloadError):
        await asking.get(path)


async def test_the_htj2k_copy_is_given_where_it_is_asked_for(asking: Asking) -> None:
    sop_uid, content = next(iter(asking.files.items()))
    path, pixels = await path_of(asking, sop_uid), pydicom.dcmread(BytesIO(content)).pixel_array
    status, kind, body = await asking.get(f"{path}/frames/1", Accept="image/jphc")
    assert (status, kind) == (200, "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202")
    assert np.array_equal(imagecodecs.htj2k_decode(body), pixels)
    assert await asking.parts(f"{path}/frames/1", Accept='multipart/related; type="image/*"') == [body]
    assert (await asking.parts(f"{path}/frames/1"))[0] == pixels.tobytes()
    async with await world.connect(asking.clinic.two.admin_dsn) as admin:
        await admin.execute("DELETE FROM dicom_pixels")
    assert (await asking.get(f"{path}/frames/1", Accept="image/jphc"))[0] == 406
