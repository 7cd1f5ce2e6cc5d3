"""Studies go on to other nodes over a real C-STORE: bit for bit, once, with the node's own status, and come to rest."""

import asyncio
import contextlib
import io
import shutil
import zipfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom.part10 import data_set_hash
from hub.core import db, errors
from hub.core.actor import job
from hub.imaging.dimse import forwarding
from hub.imaging.dimse.forwarding import next_opening
from hub.imaging.index import indexing, nodes
from hub.reading import forwarding as rules
from tests import parts, world
from tests.imaging.conftest import Clinic
from tests.imaging.test_sent_images import CT
from tests.imaging.tus import Sending

LATER = world.AT + timedelta(minutes=5)
MODALITY = {"keyword": "modalities", "operator": "contains", "value": "CT"}


@contextlib.asynccontextmanager
async def storescp(folder: Path) -> AsyncIterator[int]:
    """dcmtk's receiver; what it gets lies in the folder."""
    port, program = parts.free_port(), shutil.which("storescp")
    if program is None:
        pytest.skip("dcmtk is not installed")
    process = await asyncio.create_subprocess_exec(
        program, "-od", str(folder), "+B", "+xa", "-aet", "ARCHIVE", str(port), stdout=DEVNULL, stderr=DEVNULL
    )
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.02)
    writer.close()
    try:
        yield port
    finally:
        process.terminate()
        await process.wait()


@contextlib.contextmanager
def answering(*statuses: int) -> Iterator[int]:
    """A node that answers so, one after another, the last for ever."""
    left, port = list(statuses), parts.free_port()
    entity = AE(ae_title="ARCHIVE")
    entity.supported_contexts = AllStoragePresentationContexts
    handlers = [(evt.EVT_C_STORE, lambda _event: left.pop(0) if len(left) > 1 else left[0])]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield port
    finally:
        server.shutdown()


async def archive(clinic: Clinic, port: int, *conditions: dict[str, str]) -> UUID:
    """A node that receives what the conditions name."""
    operator, town = job("test"), clinic.two.own.organisations["town"]
    async with clinic.databases.app.transaction(operator, world.AT) as conn:
        new = nodes.NewNode(
            town, "archive", "ARCHIVE", "127.0.0.1", may_send=True, may_receive=True, port=port
        )
        made = await nodes.create_node(conn, operator, world.AT, new)
        rule = {"name": "x", "conditions": list(conditions), "to_node_id": made.id, "enabled": True}
        await rules.replace_rules(conn, operator, world.AT, [rule])
    return made.id


async def images(clinic: Clinic, count: int = 2) -> None:
    """A complete study of so many images."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for number in range(count):
            one, out = pydicom.dcmread(io.BytesIO(CT)), io.BytesIO()
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            one.InstanceNumber = number
            one.save_as(out)
            zipped.writestr(f"I{number}", out.getvalue())
    await Sending(clinic.doctor, packed.getvalue(), "all.zip").whole(clinic.request_id)
    await clinic.run_jobs()
    await indexing.queue_waiting(clinic.context(LATER))
    await clinic.run_jobs(LATER)
    await indexing.complete(clinic.context(LATER))


async def told(clinic: Clinic) -> dict[str, object]:
    (one,) = (await clinic.doctor.json("GET", "/api/dicom/forwards"))["forwards"]
    return {name: one[name] for name in ("state", "status", "fault", "instances", "answered")}


async def test_a_study_that_matches_goes_on_bit_for_bit_and_once(clinic: Clinic, tmp_path: Path) -> None:
    (folder := tmp_path / "archive").mkdir()
    async with storescp(folder) as port:
        node = await archive(clinic, port, MODALITY)
        await images(clinic)
        await clinic.run_jobs(LATER)
        sent = {data_set_hash(path) for path in folder.iterdir()}
        kept = await clinic.rows("SELECT data_set_sha256 FROM dicom_instance")
        assert sent == {row["data_set_sha256"] for row in kept} and len(sent) == 2
        assert await told(clinic) == {
            "state": "sent",
            "status": None,
            "fault": None,
            "instances": 2,
            "answered": 2,
        }
        for path in folder.iterdir():
            path.unlink()
        async with clinic.databases.app.transaction(job("test"), LATER) as conn:
            study = await db.one(conn, "SELECT id FROM dicom_study")
            await forwarding.queue(conn, LATER, study["id"], node)
        await clinic.run_jobs(LATER)
        assert not list(folder.iterdir())


async def test_what_a_node_sent_does_not_go_back_to_it_nor_what_no_rule_names(clinic: Clinic) -> None:
    with answering(0x0000) as port:
        node = await archive(clinic, port, MODALITY | {"value": "US"})
        await images(clinic, 1)
        await clinic.run_jobs(LATER)
        assert not await clinic.rows("SELECT FROM dicom_forward")
        await clinic.rows(f"UPDATE dicom_instance SET sent_by = 'node {node}' RETURNING id")
        async with clinic.databases.app.transaction(job("test"), LATER) as conn:
            study = await db.one(conn, "SELECT id FROM dicom_study")
            await forwarding.queue(conn, LATER, study["id"], node)
        await clinic.run_jobs(LATER)
        assert (await told(clinic))["answered"] == 0 and (await told(clinic))["state"] == "sent"


async def test_a_refusal_keeps_its_status_and_may_be_sent_again(clinic: Clinic) -> None:
    with answering(0xC123, 0xB007, 0x0000) as port:
        await archive(clinic, port)
        await images(clinic)
        await clinic.run_jobs(LATER)
        assert await told(clinic) == {
            "state": "refused", "status": 0xC123, "fault": None, "instances": 2, "answered": 2,
        }  # fmt: skip
        (one,) = (await clinic.doctor.json("GET", "/api/dicom/forwards"))["forwards"]
        await clinic.doctor.json("POST", f"/api/dicom/forwards/{one['id']}/send")
        await clinic.run_jobs(LATER)
        assert (await told(clinic))["state"] == "sent"


async def test_a_node_that_is_away_or_full_is_tried_again_until_it_takes_all(clinic: Clinic) -> None:
    await archive(clinic, parts.free_port())
    await images(clinic)
    with pytest.raises(AssertionError, match="ConnectionError"):
        await clinic.run_jobs(LATER)
    assert (await told(clinic))["fault"] == "not reached" and (await told(clinic))["state"] == "waiting"
    with answering(0x0000, 0xA700, 0x0000) as port:
        await clinic.rows(f"UPDATE dicom_node SET port = {port} RETURNING id")
        with pytest.raises(AssertionError, match="ConnectionError"):
            await clinic.run_jobs(LATER + timedelta(hours=1))
        assert (await told(clinic)) == {
            "state": "waiting", "status": 0xA700, "fault": None, "instances": 2, "answered": 1,
        }  # fmt: skip
        await clinic.run_jobs(LATER + timedelta(hours=2))
        assert (await told(clinic))["state"] == "sent"


async def test_a_node_that_is_switched_off_refuses_at_once_and_says_why(clinic: Clinic) -> None:
    with answering(0x0000) as port:
        node = await archive(clinic, port)
        manager = clinic.served.as_(clinic.two.own, "device_manager")
        await manager.json("POST", f"/api/dicom/nodes/{node}/disable")
        await images(clinic)
        await clinic.run_jobs(LATER)
        assert await told(clinic) == {
            "state": "refused", "status": None, "fault": "node disabled", "instances": 2, "answered": 0,
        }  # fmt: skip
        await clinic.rows(f"UPDATE dicom_node SET disabled_at = NULL WHERE id = '{node}' RETURNING id")
        (one,) = (await clinic.doctor.json("GET", "/api/dicom/forwards?state=refused"))["forwards"]
        assert one["fault_words"] == forwarding.FAULTS["node disabled"]
        await clinic.doctor.json("POST", f"/api/dicom/forwards/{one['id']}/send")
        await clinic.run_jobs(LATER)
        assert (await told(clinic))["state"] == "sent" and (await told(clinic))["fault"] is None


async def test_who_runs_the_node_sees_what_goes_to_it_and_gives_it_up(clinic: Clinic) -> None:
    """Counts and statuses, but nothing of the study; nobody of another district does."""
    await archive(clinic, parts.free_port())
    await images(clinic)
    with pytest.raises(AssertionError, match="ConnectionError"):
        await clinic.run_jobs(LATER)
    manager = clinic.served.as_(clinic.two.own, "device_manager")
    (one,) = (await manager.json("GET", "/api/dicom/forwards?state=waiting,refused"))["forwards"]
    assert (one["instances"], one["answered"], one["fault"]) == (2, 0, "not reached")
    assert not (await manager.json("GET", "/api/dicom/forwards?state=sent"))["forwards"]
    foreign = clinic.served.as_(clinic.two.foreign, "device_manager")
    assert not (await foreign.json("GET", "/api/dicom/forwards"))["forwards"]
    await foreign.json("POST", f"/api/dicom/forwards/{one['id']}/give-up", status=404)
    await manager.json("POST", f"/api/dicom/forwards/{one['id']}/give-up")
    with answering(0x0000) as port:
        await clinic.rows(f"UPDATE dicom_node SET port = {port} RETURNING id")
        await clinic.run_jobs(LATER + timedelta(hours=1))
        assert (await told(clinic))["state"] == "given-up" and (await told(clinic))["answered"] == 0
        await manager.json("POST", f"/api/dicom/forwards/{one['id']}/send")
        await clinic.run_jobs(LATER + timedelta(hours=1))
        assert (await told(clinic))["state"] == "sent"
    await manager.json("POST", f"/api/dicom/forwards/{one['id']}/give-up", status=409)


async def test_what_is_given_up_while_it_is_sent_stays_so_with_the_nodes_answers(clinic: Clinic) -> None:
    with answering(0x0000) as port:
        node = await archive(clinic, port)
        await images(clinic)
        async with clinic.databases.app.transaction(job("test"), LATER) as conn:
            study = await db.one(conn, "SELECT id FROM dicom_study")
            await forwarding.queue(conn, LATER, study["id"], node)
            one = await db.one(conn, "SELECT id FROM dicom_forward")
            due = await forwarding.waiting(conn, LATER, one["id"])
        assert due is not None and len(due.instances) == 2
        await clinic.doctor.json("POST", f"/api/dicom/forwards/{one['id']}/give-up")
        async with clinic.databases.app.transaction(job("test"), LATER) as conn:
            said = [(instance.id, 0x0000) for instance in due.instances]
            await forwarding.answered(conn, LATER, one["id"], said, None)
        assert (await told(clinic))["state"] == "given-up" and (await told(clinic))["answered"] == 2
        await clinic.doctor.json("POST", f"/api/dicom/forwards/{one['id']}/send")
        await clinic.run_jobs(LATER)
        assert (await told(clinic))["state"] == "sent"


async def test_pages_of_forwards_hold_each_once_though_many_are_queued_at_once(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "LISTED", 2)
    await images(clinic, 1)
    async with await world.connect(clinic.databases.admin_dsn) as admin:
        for number in range(5):
            node, at = uuid4(), LATER + timedelta(seconds=number // 4)
            of_node = {"organisation_id": clinic.two.own.organisations["town"], "created_at": LATER}
            await world.insert(admin, "dicom_node", id=node, name="x", ae_title=f"N{number}", **of_node)
            await admin.execute(
                "INSERT INTO dicom_forward (id, dicom_study_id, dicom_node_id, state, queued_at)"
                " SELECT %s, id, %s, 'sent', %s FROM dicom_study",
                (uuid4(), node, at),
            )
    listed, page = [], "/api/dicom/forwards"
    for size in (2, 2, 1):
        said = await clinic.doctor.json("GET", page)
        assert len(said["forwards"]) == size
        listed += said["forwards"]
        page = f"/api/dicom/forwards?{urlencode({'before': said['next']})}"
    assert said["next"] is None and len({one["id"] for one in listed}) == 5
    assert [one["queued_at"] for one in listed] == sorted((one["queued_at"] for one in listed), reverse=True)
    for wrong in ("2026-01-01", "x_y", f"9999-12-31T23:59:59-14:00_{uuid4()}"):
        page = f"/api/dicom/forwards?{urlencode({'before': wrong})}"
        await clinic.doctor.json("GET", page, status=400)


@given(
    st.integers(0, 365 * 24 * 60).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.integers(0, 23),
    st.integers(0, 23),
)
def test_hours_of_a_node(at: datetime, begin: int, end: int) -> None:
    opening = next_opening(at, begin, end)
    is_open = begin == end or (begin <= at.hour < end if begin < end else at.hour >= begin or at.hour < end)
    assert (opening is None) == is_open
    if opening is not None:
        assert at < opening <= at + timedelta(days=1) and opening.hour == begin


async def test_who_is_sent_to_must_say_where(clinic: Clinic) -> None:
    operator, town = job("test"), clinic.two.own.organisations["town"]
    async with clinic.databases.app.transaction(operator, world.AT) as conn:
        with pytest.raises(errors.BadInput):
            await nodes.create_node(
                conn, operator, world.AT, nodes.NewNode(town, "x", "X", "127.0.0.1", may_receive=True)
            )
