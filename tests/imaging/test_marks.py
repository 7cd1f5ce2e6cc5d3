"""What people mark on images is kept, seen by all who may look, and changed by its maker only."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from hub.imaging.pictures import marks
from tests import world
from tests.access import objects
from tests.imaging.conftest import Clinic


@pytest.fixture
async def images(clinic: Clinic) -> AsyncIterator[dict[str, UUID]]:
    """A study of one instance with many frames, of the clinic's patient."""
    case = objects.Case(clinic.two.own)
    case.ids["patient_id"] = clinic.patient_id
    async with await world.connect(clinic.databases.admin_dsn) as admin:
        study = await objects.make(admin, case, "dicom_study_id")
        instance = await objects.make(admin, case, "dicom_instance_id")
        await admin.execute(
            "UPDATE dicom_study SET patient_id = %s, resolved_by = 'person' WHERE id = %s",
            (clinic.patient_id, study),
        )
    yield {"study": UUID(str(study)), "instance": UUID(str(instance))}


def length(images: dict[str, UUID], **values: Any) -> dict[str, Any]:
    given = {
        "instance_id": str(images["instance"]),
        "frame": 1,
        "kind": "length",
        "points": [[1, 2], [3.5, 4]],
    }
    return given | values


async def test_a_mark_is_there_for_others_and_its_maker_moves_it(
    clinic: Clinic, images: dict[str, UUID]
) -> None:
    address, mark = f"/api/images/{images['study']}", uuid4()
    for points in ([[1, 2], [3.5, 4]], [[1, 2], [3.5, 4]], [[9, 9], [8, 8]]):
        await clinic.doctor.json("PUT", f"{address}/annotations/{mark}", length(images, points=points))
    other = clinic.served.as_(clinic.two.own, "village_doctor")
    (seen,) = (await other.json("GET", f"{address}/marks"))["annotations"]
    assert (seen["id"], seen["points"], seen["by"]["name"]) == (
        str(mark), [[9, 9], [8, 8]], "own.township-doctor",
    )  # fmt: skip
    await other.json("PUT", f"{address}/annotations/{mark}", length(images), status=403)
    await other.json("DELETE", f"{address}/annotations/{mark}", status=403)
    for _ in range(2):
        await clinic.doctor.json("DELETE", f"{address}/annotations/{mark}")
    assert (await other.json("GET", f"{address}/marks"))["annotations"] == []
    await clinic.doctor.json("PUT", f"{address}/annotations/{mark}", length(images))  # undone
    assert len((await other.json("GET", f"{address}/marks"))["annotations"]) == 1


async def test_key_images_keep_note_and_window(clinic: Clinic, images: dict[str, UUID]) -> None:
    address = f"/api/images/{images['study']}"
    key = f"{address}/key-images/{images['instance']}/7"
    await clinic.doctor.json("PUT", key, {"note": "结节", "window": {"center": -600, "width": 1500}})
    (seen,) = (await clinic.doctor.json("GET", f"{address}/marks"))["key_images"]
    assert (seen["frame"], seen["note"], seen["window"]) == (7, "结节", {"center": -600, "width": 1500})
    for _ in range(2):
        await clinic.doctor.json("DELETE", key)
    assert (await clinic.doctor.json("GET", f"{address}/marks"))["key_images"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "length", "points": [[1, 2]]},
        {"kind": "angle", "points": [[1, 2], [3, 4]]},
        {"points": "[[1,2],[3,4]]"},
        {"points": [[1, 2], [3, True]]},
        {"points": [[1, 2], [3, 1e300]]},
        {"points": [[1, 2], [3, 4, 5]]},
        {"kind": "heart"},
        {"frame": 0},
        {"frame": objects.FRAMES + 1},
        {"text": "x" * 501},
    ],
)
async def test_what_can_t_be_drawn_is_refused(
    clinic: Clinic, images: dict[str, UUID], wrong: dict[str, Any]
) -> None:
    address = f"/api/images/{images['study']}/annotations/{uuid4()}"
    await clinic.doctor.json("PUT", address, length(images, **wrong), status=400)


async def test_a_study_has_room_for_so_many_marks(
    clinic: Clinic, images: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "MARKS_MAX", 1)
    address = f"/api/images/{images['study']}/annotations"
    await clinic.doctor.json("PUT", f"{address}/{uuid4()}", length(images))
    await clinic.doctor.json("PUT", f"{address}/{uuid4()}", length(images), status=413)
