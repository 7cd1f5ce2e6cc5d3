"""The demo's CT: a chest that nobody has, this year's and last year's, sent in as a workstation of the town does."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from dicom.phantom import Chest, Patient, files
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Database
from hub.core.store import Store
from hub.demo_district import Person
from hub.imaging.index import instances
from hub.imaging.index.instances import Sender
from hub.orders import requests
from hub.orders.requests import NewRequest

SLICES: Final = 40
NODULE_MM: Final = 16.0
QUESTION, SYMPTOMS = "体检发现右肺上叶结节，与去年对比", "偶有咳嗽"
SEX: Final = {"male": "M", "female": "F"}


async def send(
    database: Database,
    store: Store,
    operator: Actor,
    doctor: Actor,
    at: datetime,
    patient: UUID,
    person: Person,
) -> None:
    """A request with its CT, and the CT of a year ago; what becomes of them is the work of the jobs process."""
    now = Chest(
        uuid5(patient, "this year"),
        Patient(person.name, f"D{patient.hex[-6:].upper()}", person.born.strftime("%Y%m%d"), SEX[person.sex]),
        at - timedelta(minutes=20),
        SLICES,
        nodule_mm=NODULE_MM,
    )
    before = replace(
        now, key=uuid5(patient, "last year"), at=at - timedelta(days=364), nodule_mm=NODULE_MM / 2
    )
    for chest, asked in ((before, "补传去年的 CT，供对比"), (now, QUESTION)):
        async with database.transaction(doctor, at) as conn:
            new = NewRequest(
                patient,
                "imaging",
                asked,
                SYMPTOMS,
                modality="CT",
                body_part="CHEST",
                expected_instances=SLICES,
            )
            request = await requests.create_request(conn, doctor, at, new)
            accession = (
                await db.one(conn, "SELECT accession FROM service_request WHERE id = %s", (request,))
            )["accession"]
            clinic = (await db.one(conn, "SELECT organisation_id FROM patient WHERE id = %s", (patient,)))[
                "organisation_id"
            ]
        sender = Sender(clinic, f"person {doctor.id}", request)
        await _store(
            database,
            store,
            operator,
            at,
            sender,
            replace(chest, patient=replace(chest.patient, accession=accession or "")),
        )


async def _store(
    database: Database, store: Store, operator: Actor, at: datetime, sender: Sender, chest: Chest
) -> None:
    made = files(chest)
    while (content := await asyncio.to_thread(next, made, None)) is not None:
        file = await store.put(content, instances.MEDIA_TYPE)
        await instances.store_file(database, store, operator, at, sender, file)
