"""C-GET and C-MOVE count what really happened: failures by name, cancels at once, destinations that are known only."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom import uids
from tests import world
from tests.imaging import asking, senders
from tests.imaging.asking import Asking, identifier
from tests.parts import Databases
from tests.world import AT

GET, MOVE = StudyRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelMove
COUNTS = ("Remaining", "Completed", "Failed", "Warning")
Said = tuple[int, dict[str, int], list[str]]


@pytest.fixture
async def hub(database: Databases, tmp_path: Path) -> AsyncIterator[Asking]:
    async with asking.asking(database, tmp_path / "hub", lambda: AT) as asked:
        yield asked


def said_of(status: Dataset, failed: Dataset | None) -> Said:
    """Status, counts that are told, UIDs that failed."""
    counts = {name: f"NumberOf{name}Suboperations" for name in COUNTS}
    told = {name: int(status[keyword].value) for name, keyword in counts.items() if keyword in status}
    listed = failed.get("FailedSOPInstanceUIDList", []) if failed is not None else []
    return int(status.Status), told, [listed] if isinstance(listed, str) else list(listed)


async def get(
    hub: Asking, asked: Dataset, answers: Sequence[int] = (0,), syntaxes: Sequence[str] = (uids.EXPLICIT_LITTLE,),
    cancel_after: int | None = None,
) -> tuple[list[Said], list[Dataset]]:  # fmt: skip
    """pynetdicom's C-GET, which answers the images it gets so, the last for ever; all responses."""
    got, left = list[Dataset](), list(answers)

    def keep(event: Any) -> int:
        got.append(event.dataset)
        return left.pop(0) if len(left) > 1 else left[0]

    def work() -> list[Said]:
        entity = AE(asking.AE_TITLE)
        entity.add_requested_context(GET)
        for syntax in syntaxes:
            entity.add_requested_context(CTImageStorage, syntax)
        association = entity.associate(
            "127.0.0.1", hub.port, ae_title="TELEHUB", evt_handlers=[(evt.EVT_C_STORE, keep)],
            ext_neg=[build_role(CTImageStorage, scp_role=True)],
        )  # fmt: skip
        assert association.is_established
        heard = []
        for status, failed in association.send_c_get(asked, GET, msg_id=9):
            heard.append(said_of(status, failed))
            if cancel_after is not None and len(heard) == cancel_after:
                association.send_c_cancel(9, query_model=GET)
        association.release()
        return heard

    return await asyncio.to_thread(work), got


async def move(
    hub: Asking, asked: Dataset, to: str = asking.AE_TITLE, model: str = MOVE, cancel_after: int | None = None
) -> list[Said]:
    """pynetdicom's C-MOVE; all responses."""

    def work() -> list[Said]:
        entity = AE(asking.AE_TITLE)
        entity.add_requested_context(model)
        association = entity.associate("127.0.0.1", hub.port, ae_title="TELEHUB")
        assert association.is_established
        heard = []
        for status, failed in association.send_c_move(asked, to, model, msg_id=9):
            heard.append(said_of(status, failed))
            if cancel_after is not None and len(heard) == cancel_after:
                association.send_c_cancel(9, query_model=model)
        association.release()
        return heard

    return await asyncio.to_thread(work)


@contextlib.contextmanager
def receiving(hub: Asking, *answers: int, wait_s: float = 0.0) -> Iterator[list[Any]]:
    """A node that answers so, one after another, the last for ever; and the requests it has heard."""
    heard, left = list[Any](), list(answers)

    def keep(event: Any) -> int:
        if wait_s:
            time.sleep(wait_s)  # in a thread of the library
        heard.append(event.request)
        return left.pop(0) if len(left) > 1 else left[0]

    entity = AE(asking.AE_TITLE)
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(
        ("127.0.0.1", hub.node_port), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    try:
        yield heard
    finally:
        server.shutdown()


def study(**more: Any) -> Dataset:
    return identifier("STUDY", **({"StudyInstanceUID": "1.2.1"} | more))


async def test_what_is_got_is_what_was_stored(hub: Asking) -> None:
    sent = await hub.series("1.2.1", 3)
    await hub.series("1.2.2", 2)
    heard, got = await get(hub, study())
    assert [one.SOPInstanceUID for one in got] == sent and got[0].PatientName == "王^建国"
    assert heard[-1] == (0x0000, {"Completed": 3, "Failed": 0, "Warning": 0}, [])
    assert heard[0] == (0xFF00, {"Remaining": 2, "Completed": 1, "Failed": 0, "Warning": 0}, [])
    one = identifier("IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1", SOPInstanceUID=sent[:2])
    heard, got = await get(hub, one)
    assert [one.SOPInstanceUID for one in got] == sent[:2] and heard[-1][0] == 0


async def test_a_warning_and_a_failure_are_counted_as_the_receiver_gave_them(hub: Asking) -> None:
    sent = await hub.series("1.2.1", 4)
    heard, _ = await get(hub, study(), answers=(0x0000, 0xB007, 0xC123, 0x0111))
    assert heard[-1] == (0xB000, {"Completed": 1, "Failed": 2, "Warning": 1}, sent[2:])
    heard, _ = await get(hub, study(), answers=(0xA700,))
    assert heard[-1] == (0xA702, {"Completed": 0, "Failed": 4, "Warning": 0}, sent)
    (row,) = await hub.rows(f"SELECT file_sha256 FROM dicom_instance WHERE sop_uid = '{sent[1]}'")
    hub.store.path(row["file_sha256"]).unlink()
    with receiving(hub, 0x0000, 0xC123, 0x0000):
        heard = await move(hub, study())
    assert heard[-1] == (0xB000, {"Completed": 2, "Failed": 2, "Warning": 0}, [sent[1], sent[2]])


async def test_a_cancel_ends_it_and_tells_what_is_left(hub: Asking) -> None:
    await hub.series("1.2.1", 30)
    heard, got = await get(hub, study(), cancel_after=2)
    status, counts, _ = heard[-1]
    assert status == 0xFE00 and counts["Completed"] == len(got) and counts["Remaining"] == 30 - len(got) > 0
    with receiving(hub, 0, wait_s=0.02) as received:
        heard = await move(hub, study(), cancel_after=2)
        status, counts, _ = heard[-1]
        assert (
            status == 0xFE00 and counts["Completed"] + counts["Remaining"] == 30 and counts["Remaining"] > 0
        )
        await asyncio.sleep(0.3)
        assert len(received) - counts["Completed"] in (0, 1)  # one may have been on its way
    status, _ = await asking.find(
        hub, identifier("IMAGE", StudyInstanceUID="1.2.1", SOPInstanceUID=""), cancel_after=1
    )
    assert status in (0xFE00, 0x0000)


async def test_a_move_names_who_asked_and_goes_to_nodes_of_the_clinic_only(hub: Asking) -> None:
    await hub.series("1.2.1", 1)
    with receiving(hub, 0) as received:
        assert (await move(hub, study()))[-1][0] == 0
    (request,) = received
    assert (
        request.MoveOriginatorApplicationEntityTitle == asking.AE_TITLE
        and request.MoveOriginatorMessageID == 9
    )
    for destination in ("NOBODY", "TELEHUB", "FOREIGN", ""):
        if destination == "FOREIGN":
            await _foreign_node(hub)
        if destination:
            assert (await move(hub, study(), destination))[-1][0] == 0xA801
    await hub.rows("UPDATE dicom_node SET may_receive = false RETURNING id")
    assert (await move(hub, study()))[-1][0] == 0xA801


async def _foreign_node(hub: Asking) -> None:
    async with await world.connect(hub.world.admin_dsn) as admin:
        await world.insert(
            admin, "dicom_node", id=world.uuid4(), organisation_id=hub.world.foreign.organisations["town"], name="x",
            ae_title="FOREIGN", created_at=AT, address="127.0.0.2", port=hub.node_port, may_receive=True,
        )  # fmt: skip


async def test_a_node_that_does_not_answer_makes_every_one_fail(hub: Asking) -> None:
    sent = await hub.series("1.2.1", 2)
    assert (await move(hub, study()))[-1] == (0xA702, {"Completed": 0, "Failed": 2, "Warning": 0}, sent)


async def test_nothing_is_retrieved_of_another_clinic_or_without_its_key(hub: Asking) -> None:
    await hub.put(senders.slice_of("1.2.1", "1.2.1.1", 0, 4), hub.world.foreign.organisations["town"])
    heard, got = await get(hub, study())
    assert heard == [(0x0000, {"Completed": 0, "Failed": 0, "Warning": 0}, [])] and not got
    for asked in (
        identifier("STUDY", PatientID="P1"),
        identifier("STUDY", StudyInstanceUID=""),
        identifier("SERIES", StudyInstanceUID="1.2.1"),
        identifier("PATIENT", PatientID="P1"),
        identifier("NOTHING", StudyInstanceUID="1.2.1"),
    ):
        heard, _ = await get(hub, asked)
        assert heard[-1][0] == 0xA900, asked
    await hub.series("1.2.7", 1, PatientID="P7")
    patient = identifier("PATIENT", PatientID="P7")
    with receiving(hub, 0) as received:
        heard = await move(hub, patient, model=PatientRootQueryRetrieveInformationModelMove)
    assert heard[-1][0] == 0 and len(received) == 1


@pytest.mark.parametrize("stored", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
async def test_images_go_in_the_uncompressed_syntax_that_was_accepted(hub: Asking, stored: str) -> None:
    made = senders.slice_of("1.2.1", "1.2.1.1", 0, 8)
    await hub.put(made, syntax=stored)
    for accepted in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        heard, (got,) = await get(hub, study(), syntaxes=(accepted,))
        assert heard[-1][0] == 0x0000
        assert (got.PixelData, got.PatientName, got.Rows) == (made.PixelData, made.PatientName, 8)
    heard, nothing = await get(hub, study(), syntaxes=(JPEGBaseline8Bit,))
    assert heard[-1] == (0xA702, {"Completed": 0, "Failed": 1, "Warning": 0}, [made.SOPInstanceUID])
    assert not nothing
