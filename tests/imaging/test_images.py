"""What a viewer gets: a study's images as they are prepared, their serving copies by ranges, earlier studies."""

from datetime import timedelta
from typing import Any

import numpy as np
import pydicom

from dicom.pixels import copying as pixel_copies
from hub.core.actor import job
from hub.imaging import indexing, instances
from hub.imaging.instances import Sender
from tests import world
from tests.imaging import senders
from tests.imaging.conftest import Clinic

LATER = world.AT + timedelta(minutes=5)
STUDY = "1.2.826.0.1.1"


async def received(clinic: Clinic, *files: bytes, own: bool = True) -> Any:
    """Store files as a node of the village would send them; the id of the study."""
    sender = Sender(clinic.two.own.organisations["village"], "node x")
    for data in files:
        file = await clinic.store.put(data, instances.MEDIA_TYPE)
        stored = await instances.store_file(
            clinic.databases.app, clinic.store, job("test"), world.AT, sender, file
        )
        assert stored.kind == "stored", stored
    study_id = stored.dicom_study_id
    if own:
        async with await world.connect(clinic.databases.admin_dsn) as admin:
            await admin.execute(
                "UPDATE dicom_study SET patient_id = %s, resolved_by = 'person' WHERE id = %s",
                (clinic.patient_id, study_id),
            )
    return study_id


async def prepared(clinic: Clinic) -> None:
    await indexing.queue_waiting(clinic.context(LATER))
    await clinic.run_jobs(LATER)
    await clinic.run_jobs(LATER)


def a_slice(number: int, z_mm: float, **values: Any) -> pydicom.Dataset:
    placed = {"ImagePositionPatient": [0, 0, z_mm], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    return senders.slice_of(STUDY, "1.2.826.0.1.2", number, **(placed | values))


async def manifest(clinic: Clinic, study_id: Any) -> dict[str, Any]:
    found: dict[str, Any] = await clinic.doctor.json("GET", f"/api/images/{study_id}")
    return found


async def test_a_study_is_listed_at_once_and_its_copies_are_the_pixels_that_were_sent(clinic: Clinic) -> None:
    slices = [a_slice(number, z_mm) for number, z_mm in ((1, 5.0), (2, -5.0), (3, 0.0))]
    study_id = await received(clinic, *(senders.as_file(one) for one in slices))
    before = await manifest(clinic, study_id)
    assert [one["state"] for one in before["series"][0]["instances"]] == ["waiting"] * 3
    assert before["study"]["ready"] == 0
    await prepared(clinic)
    found = await manifest(clinic, study_id)
    assert found["study"]["patient"]["name"] and found["study"]["ready"] == 3
    (series,) = found["series"]
    assert [one["number"] for one in series["instances"]] == [2, 3, 1]
    for one in series["instances"]:
        layout = series["common"] | one["pixels"]
        path = f"/api/images/instances/{one['id']}/pixels"
        async with await clinic.doctor.call("GET", path) as answer:
            data = await answer.read()
        (frame,) = layout["frames"]
        assert frame["cuts"][-1] == frame["length"] == len(data)
        sent = next(s for s in slices if s.InstanceNumber == one["number"])
        assert np.array_equal(pixel_copies.decode(data), sent.pixel_array)
        headers = {"Range": f"bytes=0-{frame['cuts'][0] - 1}"}
        async with await clinic.doctor.call("GET", path, headers=headers) as part:
            assert (part.status, await part.read()) == (206, data[: frame["cuts"][0]])
