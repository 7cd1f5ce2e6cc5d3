"""Asking the hub for images: dcmtk and pynetdicom find, fetch and have sent what is theirs, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dicom.part10 import data_set_hash
from tests.imaging import asking, senders
from tests.imaging.asking import PATIENT_FIND, Asking, find, identifier, needs_dcmtk, told, tool
from tests.parts import Databases
from tests.world import AT


@pytest.fixture
async def hub(database: Databases, tmp_path: Path) -> AsyncIterator[Asking]:
    async with asking.asking(database, tmp_path / "hub", lambda: AT) as asked:
        yield asked


async def test_studies_are_found_by_every_kind_of_matching(hub: Asking) -> None:
    await hub.series("1.2.1", 2, PatientName="Wang^JianGuo=王^建国", PatientID="A1", StudyDate="20260301")
    await hub.series(
        "1.2.2", 1, PatientName="LI^NA=李^娜", PatientID="A2", StudyDate="20260302", Modality="DX"
    )
    await hub.put(
        senders.slice_of("1.2.3", "1.2.3.1", 0, 4, PatientID="A1"), hub.world.foreign.organisations["town"]
    )
    await hub.index()
    for asked, expected in (
        ({}, "12"),
        ({"PatientID": "A1"}, "1"),
        ({"PatientID": "A?"}, "12"),
        ({"PatientID": "B*"}, ""),
        ({"PatientName": "王*"}, "1"),
        ({"PatientName": "li^*"}, "2"),
        ({"StudyDate": "20260302"}, "2"),
        ({"StudyDate": "20260228-20260301"}, "1"),
        ({"StudyDate": "20260302-"}, "2"),
        ({"StudyInstanceUID": ["1.2.1", "1.2.2", "1.2.3"]}, "12"),
        ({"StudyInstanceUID": "1.2.3"}, ""),
        ({"StudyDate": "20260301-", "PatientID": "A1"}, "1"),
    ):
        status, found = await find(hub, identifier("STUDY", **({"StudyInstanceUID": ""} | asked)))
        assert (status, {one.StudyInstanceUID[-1] for one in found}) == (0, set(expected)), asked


async def test_levels_answer_with_what_is_asked_for(hub: Asking) -> None:
    uids = await hub.series("1.2.1", 3, PatientID="A1")
    await hub.series("1.2.2", 1, PatientID="A1")
    asked = identifier("PATIENT", PatientID="A1", PatientName="", NumberOfPatientRelatedStudies="")
    status, (patient,) = await find(hub, asked, PATIENT_FIND)
    assert status == 0 and told([patient], "PatientName", "NumberOfPatientRelatedStudies", "QueryRetrieveLevel") == [
        {"PatientName": "王^建国", "NumberOfPatientRelatedStudies": "2", "QueryRetrieveLevel": "PATIENT"}
    ]  # fmt: skip
    _, (series,) = await find(
        hub, identifier("SERIES", StudyInstanceUID="1.2.1", SeriesInstanceUID="", Modality="", StudyID="")
    )
    assert told([series], "SeriesInstanceUID", "Modality", "StudyID") == [
        {"SeriesInstanceUID": "1.2.1.1", "Modality": "CT", "StudyID": ""}
    ]
    _, images = await find(
        hub,
        identifier(
            "IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1", SOPInstanceUID="", Rows=None
        ),
    )
    assert {one.SOPInstanceUID for one in images} == set(uids) and {one.Rows for one in images} == {8}
    for level, model in (("PATIENT", asking.STUDY_FIND), ("NONE", asking.STUDY_FIND), (None, PATIENT_FIND)):
        assert await find(hub, identifier(level, PatientID=""), model) == (0xA900, [])


@needs_dcmtk
async def test_dcmtk_finds_gets_and_moves(hub: Asking, tmp_path: Path) -> None:
    uids = await hub.series("1.2.1", 3, PatientID="A1")
    said = await tool(
        "findscu", "-S", *hub.called, "-k", "0008,0052=STUDY", "-k", "0020,000D", "-k", "0010,0020=A1"
    )
    assert "1.2.1" in said
    (got := tmp_path / "got").mkdir()
    keys = ("-k", "0008,0052=STUDY", "-k", "0020,000D=1.2.1")
    await tool("getscu", "-S", *hub.called, *keys, "-od", str(got), "+B")
    (moved := tmp_path / "moved").mkdir()
    receiver = await asyncio.create_subprocess_exec(
        "storescp", "+B", "-od", str(moved), "-aet", asking.AE_TITLE, str(hub.node_port)
    )
    try:
        await senders.listening(hub.node_port)
        said = await tool("movescu", "-v", "-S", *hub.called, "-aem", asking.AE_TITLE, *keys)
    finally:
        receiver.kill()
        await receiver.wait()
    await hub.index()
    kept = {row["data_set_sha256"] for row in await hub.rows("SELECT data_set_sha256 FROM dicom_instance")}
    assert (
        {data_set_hash(path) for path in got.iterdir()} == kept == {data_set_hash(p) for p in moved.iterdir()}
    )
    assert len(kept) == len(uids)
