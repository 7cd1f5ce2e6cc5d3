"""The demo's 12-lead ECG: made, written to a file and sent in as a cart sends one."""

from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from ecg import formats
from ecg.record import SHORT_TO_MDC, Lead, Record
from ecg.synthetic import Segment, Synthesiser
from ecg.twelve_lead.signals import FROM_I_II, STANDARD
from hub.core.actor import Actor
from hub.core.db import Database
from hub.core.store import Store
from hub.demo_district import TWELVE_LEAD, Person
from hub.imaging.intake import uploads
from hub.orders import requests
from hub.orders.requests import NewRequest

FS_HZ, SECONDS, UV_PER_LSB = 500, 10, 2.5
FILE_NAME = "ecg.scp"


async def send(
    database: Database,
    store: Store,
    operator: Actor,
    doctor: Actor,
    at: datetime,
    patient: UUID,
    person: Person,
) -> None:
    """A request and its ECG; what becomes of it is the work of the jobs process, as ever."""
    async with database.transaction(doctor, at) as conn:
        new = NewRequest(patient, "ecg-12-lead", person.question, person.symptoms, person.drugs)
        request = await requests.create_request(conn, doctor, at, new)
    file = await store.put(_file(at - timedelta(minutes=4)), uploads.MEDIA_TYPE)
    async with database.transaction(operator, at) as conn:
        await uploads.take_pushed(conn, operator, at, doctor, request, FILE_NAME, file)


def _file(start_at: datetime) -> bytes:
    """SCP-ECG; the limb leads agree with Einthoven exactly."""
    codes = tuple(SHORT_TO_MDC[name] for name in STANDARD)
    script = (Segment(TWELVE_LEAD, float(SECONDS), 92.0, noise_uv=6.0),)
    rows = Synthesiser(97, FS_HZ, codes, script, UV_PER_LSB).samples(0, SECONDS * FS_HZ).astype(float)
    for name, (of_one, of_two) in FROM_I_II.items():
        rows[STANDARD.index(name)] = of_one * rows[0] + of_two * rows[1]
    leads = (
        Lead(code, float(FS_HZ), UV_PER_LSB, 0, np.rint(row).astype(np.int16))
        for code, row in zip(codes, rows, strict=True)
    )
    return formats.encode(Record(tuple(leads), start_at.replace(microsecond=0)), ".scp")
