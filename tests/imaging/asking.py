"""A hub's query port on a real database, and people who ask it: dcmtk, pynetdicom, and bytes of our own."""

import asyncio
import contextlib
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from hub.core import jobs
from hub.core.actor import job
from hub.core.db import Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.dimse import query_listening
from hub.imaging.dimse.query_request import Hub
from hub.imaging.index import indexing, instances
from hub.imaging.index.instances import Sender
from tests import parts, world
from tests.imaging import senders
from tests.parts import Databases
from tests.world import AT, World

needs_dcmtk = pytest.mark.skipif(shutil.which("findscu") is None, reason="dcmtk is not installed")
AE_TITLE = "STATION"
STUDY_FIND, PATIENT_FIND = (
    StudyRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelFind,
)
WORKLIST = ModalityWorklistInformationFind
FOUND = (0xFF00, 0xFF01)


@dataclass(frozen=True)
class Asking:
    """A query port, and the node that may ask it and have images sent to it."""

    port: int
    settings: Settings
    store: Store
    world: World
    database: Database
    node_id: UUID
    node_port: int

    @property
    def town(self) -> UUID:
        return self.world.own.organisations["town"]

    async def put(self, made: Dataset, organisation_id: UUID | None = None, syntax: str = "") -> None:
        """An instance, stored and in the index as its header tells it."""
        file = await self.store.put(
            senders.as_file(made, syntax or pydicom.uid.ExplicitVRLittleEndian), instances.MEDIA_TYPE
        )
        sender = Sender(organisation_id or self.town, "node test")
        outcome = await instances.store_file(self.database, self.store, job("test"), AT, sender, file)
        assert outcome.kind == "stored", outcome

    async def series(self, study: str, count: int = 3, **values: Any) -> list[str]:
        """So many slices of a study; their UIDs."""
        made = [senders.slice_of(study, f"{study}.1", number, side=8, **values) for number in range(count)]
        for one in made:
            await self.put(one)
        return [str(one.SOPInstanceUID) for one in made]

    async def index(self) -> None:
        """As the job does, in the sandbox."""
        context = jobs.Context(self.database, self.store, self.settings, AT)
        for row in await self.rows(
            "SELECT DISTINCT dicom_series_id AS id FROM dicom_instance WHERE indexed_at IS NULL"
        ):
            await indexing.index(context, {"series_id": str(row["id"])})

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with await world.connect(self.world.admin_dsn) as admin:
            return await (await admin.execute(query)).fetchall()

    @property
    def called(self) -> list[str]:
        return ["-aet", AE_TITLE, "-aec", "TELEHUB", "127.0.0.1", str(self.port)]


@contextlib.asynccontextmanager
async def asking(
    databases: Databases, data_dir: Path, clock: Callable[[], datetime], **values: Any
) -> AsyncIterator[Asking]:
    """A query port in this process, in two districts."""
    two = await world.build(databases.admin_dsn)
    port, node_port = parts.free_port(), parts.free_port()
    settings = Settings(
        data_dir=data_dir,
        **({"dimse_query_port": port, "dimse_plain_addresses": ("127.0.0.1",)} | values),
    )
    senders.make(data_dir)
    store, stop = Store(data_dir / "files"), asyncio.Event()
    node_id = await senders.node(two, AE_TITLE, may_query=True, may_receive=True, port=node_port)
    hub = Hub(settings, databases.app, store, clock)
    task = asyncio.create_task(query_listening.run(hub, stop))
    try:
        await senders.listening(settings.dimse_query_port or settings.dimse_query_tls_port)
        yield Asking(port, settings, store, two, databases.app, node_id, node_port)
    finally:
        stop.set()
        await task


async def tool(*command: str | Path, succeeds: bool = True) -> str:
    """What a program of dcmtk says."""
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    assert (process.returncode == 0) is succeeds, said.decode(errors="replace")
    return said.decode(errors="replace")


def identifier(level: str | None = "STUDY", **values: Any) -> Dataset:
    """What is asked; an empty value asks for the attribute to be told."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    if level is not None:
        made.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


async def find(
    hub: Asking, asked: Dataset, model: str = STUDY_FIND, ae_title: str = AE_TITLE, cancel_after: int | None = None
) -> tuple[int, list[Dataset]]:  # fmt: skip
    """Final status and matches of pynetdicom's C-FIND."""

    def ask() -> tuple[int, list[Dataset]]:
        entity = AE(ae_title)
        entity.add_requested_context(model)
        association = entity.associate("127.0.0.1", hub.port, ae_title="TELEHUB")
        assert association.is_established
        found: list[Dataset] = []
        status = -1
        try:
            for said, match in association.send_c_find(asked, model, msg_id=5):
                status = int(said.Status)
                if status in FOUND:
                    found.append(match)
                if cancel_after is not None and len(found) == cancel_after:
                    association.send_c_cancel(5, query_model=model)
            return status, found
        finally:
            association.release()

    return await asyncio.to_thread(ask)


async def request(hub: Asking, **values: Any) -> UUID:
    """A clinic's request for images of a resident of the village."""
    made, own = uuid4(), hub.world.own
    async with await world.connect(hub.world.admin_dsn) as admin:
        patient = values.pop("patient_id", None) or await world.patient(admin, own)
        row = {
            "id": made, "patient_id": patient, "created_at": AT, "kind": "imaging", "modality": "CT",
            "body_part": "CHEST", "organisation_id": own.organisations["village"], "status": "active",
            "question": "咳嗽两周", "priority": "routine", "requester_id": own.accounts["township_doctor"],
        }  # fmt: skip
        await world.insert(admin, "service_request", **(row | values))
    return made


def told(matches: Iterable[Dataset], *keywords: str) -> list[Mapping[str, str]]:
    """Of each match these attributes as text."""
    return [{keyword: str(getattr(one, keyword, "")) for keyword in keywords} for one in matches]
