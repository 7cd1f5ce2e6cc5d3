"""The two districts of `tests/world.py` with the routes of intake served, and a request to send files for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hub.core import db, ids, jobs
from hub.core.actor import job
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.dicomweb import routes as dicomweb
from hub.imaging.dimse import worker as node_worker
from hub.imaging.index import indexing
from hub.imaging.intake import routes as imaging
from hub.imaging.intake import worker as imaging_worker
from hub.imaging.pictures import copying, image_routes, mark_routes, rendering
from hub.orders import routes as orders
from hub.reading import routes as reading
from hub.reading import worker as reading_worker
from tests import serving, world
from tests.parts import Databases
from tests.serving import Client, Serving

JOBS = {**imaging_worker.JOBS, **indexing.JOBS, **copying.JOBS, **node_worker.JOBS, **reading_worker.JOBS}


@dataclass
class Clinic:
    """A township that sends, a hospital that reads, both served."""

    databases: Databases
    served: Serving
    two: world.World
    data_dir: Path
    request_id: UUID
    patient_id: UUID

    @property
    def doctor(self) -> Client:
        return self.served.as_(self.two.own, "township_doctor")

    @property
    def reader(self) -> Client:
        return self.served.as_(self.two.own, "reader")

    @property
    def store(self) -> Store:
        return Store(self.data_dir / "files")

    def context(self, at: datetime = world.AT) -> jobs.Context:
        return jobs.Context(self.databases.app, self.store, Settings(data_dir=self.data_dir), at)

    async def run_jobs(self, at: datetime = world.AT, later: tuple[str, ...] = ()) -> None:
        """Everything that is due, as the jobs process does it; none may fail, or be left but those for later."""
        settings = Settings(data_dir=self.data_dir)
        hand = jobs.Worker(self.databases.app, self.store, settings, JOBS, lambda: at, "test")
        await jobs.run_due(hand)
        async with self.databases.app.transaction(job("test"), at) as conn:
            left = await db.rows(conn, "SELECT kind, error FROM job")
        assert [row for row in left if row["error"] is not None or row["kind"] not in later] == []

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with self.databases.app.transaction(job("test"), world.AT) as conn:
            return await db.rows(conn, query)


@pytest.fixture
async def clinic(database: Databases, tmp_path: Path) -> AsyncIterator[Clinic]:
    """A request for a 12-lead ECG, under an agreement with a reading centre and with the patient's consent."""
    two = await world.build(database.admin_dsn)
    admin = await world.connect(database.admin_dsn)
    own = two.own
    patient_id = await world.patient(admin, own)
    request_id = ids.new(world.AT)
    await world.insert(
        admin, "service_request", id=request_id, patient_id=patient_id, created_at=world.AT, kind="ecg-12-lead",
        organisation_id=own.organisations["village"], status="active", question="胸痛", priority="routine",
        requester_id=own.accounts["township_doctor"],
    )  # fmt: skip
    await world.insert(
        admin, "consent", id=ids.new(world.AT), patient_id=patient_id, kind="remote-reading", given_how="paper",
        given_by="x", recorded_by=own.accounts["township_doctor"], given_at=world.AT,
    )  # fmt: skip
    for kind in ("ecg-12-lead", "holter", "imaging"):
        await world.insert(
            admin, "agreement", id=ids.new(world.AT), from_organisation_id=own.organisations["town"],
            to_organisation_id=own.organisations["hospital"], study_kind=kind, valid_from=world.AT,
        )  # fmt: skip
    await admin.execute(
        "INSERT INTO routing_rule (id, position, name, conditions, to_organisation_id) VALUES (%s, 0, 'all', '[]', %s)",
        (ids.new(world.AT), own.organisations["hospital"]),
    )
    await admin.close()
    of_images = (*imaging.ROUTES, *dicomweb.ROUTES, *image_routes.ROUTES, *mark_routes.ROUTES)
    routes = [*of_images, *orders.ROUTES, *reading.ROUTES]
    async with (
        rendering.resident() as renderer,
        serving.serve(
            database.app, tmp_path, lambda: world.AT, routes, resources={image_routes.RENDERER: renderer}
        ) as served,
    ):
        yield Clinic(database, served, two, tmp_path, request_id, patient_id)
