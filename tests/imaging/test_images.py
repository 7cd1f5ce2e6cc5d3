"""What a viewer gets: a study's images as they are prepared, their serving copies by ranges, earlier studies."""

import gzip
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from dicom import phantom, uids
from dicom.pixels import copying as pixel_copies
from hub.core.actor import job
from hub.imaging.index import indexing, instances
from hub.imaging.index.instances import Sender
from hub.imaging.pictures import images
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


async def prepared(clinic: Clinic, at: datetime = LATER) -> None:
    await indexing.queue_waiting(clinic.context(at))
    await clinic.run_jobs(at)
    await clinic.run_jobs(at)


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
    assert [one["number"] for one in series["instances"]] == [
        1,
        3,
        2,
    ]  # along the normal, from the end numbered first
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
    await _lost_and_made_again(clinic, path, data)


async def _lost_and_made_again(clinic: Clinic, path: str, data: bytes) -> None:
    """As after a restore from before the newest files: when the index is made anew, so are the copies."""
    later = LATER + timedelta(minutes=5)
    for row in await clinic.rows("SELECT file_sha256 FROM dicom_pixels"):
        clinic.store.remove(row["file_sha256"])
    async with await world.connect(clinic.databases.admin_dsn) as admin:
        await admin.execute("UPDATE dicom_instance SET indexed_at = NULL")
    await prepared(clinic, later)
    async with await clinic.doctor.call("GET", path) as answer:
        assert await answer.read() == data


async def test_a_frame_is_rendered_as_the_window_says(clinic: Clinic) -> None:
    sent = a_slice(1, 0.0, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=40, WindowWidth=400)
    study_id = await received(clinic, senders.as_file(sent))
    await prepared(clinic)
    path = f"/dicom-web/studies/{STUDY}/series/{sent.SeriesInstanceUID}/instances/{sent.SOPInstanceUID}"
    for query, window in (("", (40, 400, "LINEAR")), ("?window=-200,3000,sigmoid", (-200, 3000, "SIGMOID"))):
        async with await clinic.doctor.call(
            "GET", f"{path}/frames/1/rendered{query}", headers={"Accept": "image/png"}
        ) as answer:
            assert (answer.status, answer.content_type) == (200, "image/png"), await answer.text()
            shown = imagecodecs.png_decode(await answer.read())
        sent.WindowCenter, sent.WindowWidth, sent.VOILUTFunction = window
        assert np.array_equal(shown, as_pydicom_shows(sent)), query
    (series,) = (await manifest(clinic, study_id))["series"]
    thumbnail = f"/api/images/instances/{series['instances'][0]['id']}/frames/1/thumbnail?edge=32"
    async with await clinic.doctor.call("GET", thumbnail) as answer:
        assert imagecodecs.jpeg8_decode(await answer.read()).shape == (32, 32)
    for refused, status in (("?window=1,0,linear", 400), ("?accept=image/gif", 406), ("?viewport=0,1", 400)):
        async with await clinic.doctor.call("GET", f"{path}/rendered{refused}") as answer:
            assert answer.status == status, refused


def as_pydicom_shows(data_set: pydicom.Dataset) -> Any:
    """The referee: its modality and VOI transforms, their output range brought to 8 bits, rounded half up."""
    values = apply_voi_lut(apply_modality_lut(data_set.pixel_array, data_set), data_set)
    slope, intercept = float(data_set.RescaleSlope), float(data_set.RescaleIntercept)
    half = 1 << (data_set.BitsStored - 1)
    low, high = -half * slope + intercept, (half - 1) * slope + intercept
    return np.floor(np.round((values - low) / (high - low) * 255, 9) + 0.5).astype(np.uint8)


async def test_what_is_no_image_says_what_it_is(clinic: Clinic) -> None:
    """A report as PDF, an ECG that became a recording, an image that can't be shown."""
    paper = a_slice(1, 0.0, SOPClassUID=images.PDF_CLASS, EncapsulatedDocument=b"%PDF-1.4 reports")
    heart = a_slice(2, 0.0, SOPClassUID=sorted(uids.ECG_CLASSES)[0])
    for one in (paper, heart):
        del one.PixelData, one.Rows, one.Columns
    damaged = a_slice(3, 0.0, Rows=4000)
    study_id = await received(clinic, *map(senders.as_file, (paper, heart, damaged)))
    await prepared(clinic)
    (series,) = (await manifest(clinic, study_id))["series"]
    by_number = {one["number"]: one for one in series["instances"]}
    assert [(by_number[k]["kind"], by_number[k]["state"]) for k in (1, 2, 3)] == [
        ("document", "none"), ("ecg", "none"), ("image", "failed"),
    ]  # fmt: skip
    assert set(by_number[3]["fault"]) == {"zh-CN", "en"}
    path = f"/api/images/instances/{by_number[1]['id']}"
    async with await clinic.doctor.call("GET", f"{path}/document") as answer:
        assert (answer.content_type, await answer.read()) == ("application/pdf", b"%PDF-1.4 reports")
    for refused in (f"{path}/pixels", f"/api/images/instances/{by_number[3]['id']}/pixels"):
        await clinic.doctor.json("GET", refused, status=404)
    for number in (1, 3):
        await clinic.doctor.json(
            "GET", f"/api/images/instances/{by_number[number]['id']}/frames/1/thumbnail", status=406
        )


async def test_a_series_is_described_in_few_bytes_and_priors_are_listed(clinic: Clinic) -> None:
    """Of a CT no more than 75 bytes an image go over the line: 15 kB for two hundred."""
    patient = phantom.Patient("X^Y", "P", "19500101", "F")
    chests = [
        phantom.Chest(UUID(int=k), patient, world.AT + timedelta(days=k), slices, 64)
        for k, slices in ((1, 2), (2, 60))
    ]
    earlier, later = [await received(clinic, *phantom.files(chest)) for chest in chests]
    await prepared(clinic)
    headers = {"Accept-Encoding": "gzip"}
    async with clinic.doctor.http.get(
        f"{clinic.doctor.base}/api/images/{later}",
        headers=clinic.doctor.headers | headers,
        auto_decompress=False,
    ) as answer:
        packed = await answer.read()
    told = json.loads(gzip.decompress(packed))
    (series,) = told["series"]
    assert len(series["instances"]) == told["study"]["ready"] == 60
    assert len(packed) < 60 * 75 + 1_500
    heights = [(series["common"] | one["pixels"])["position_mm"][2] for one in series["instances"]]
    assert heights in (sorted(heights), sorted(heights, reverse=True))
    (prior,) = (await clinic.doctor.json("GET", f"/api/images/{later}/priors"))["priors"]
    assert (prior["id"], prior["instances"], prior["modalities"]) == (str(earlier), 2, ["CT"])
    stranger = clinic.served.as_(clinic.two.foreign, "township_doctor")
    await stranger.json("GET", f"/api/images/{later}", status=404)
    await stranger.json("GET", f"/api/images/instances/{series['instances'][0]['id']}/pixels", status=404)


async def test_the_answer_for_a_study_is_bounded_and_says_what_it_leaves_out(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overlays first; then whole images, which are said to be too large."""
    study_id = await received(clinic, *(senders.as_file(a_slice(n, n * 5.0)) for n in range(1, 7)))
    await prepared(clinic)
    async with await world.connect(clinic.databases.admin_dsn) as admin:
        await admin.execute(
            """UPDATE dicom_pixels SET layout = layout || jsonb_build_object('overlays',
                 jsonb_build_array(jsonb_build_object('bits', repeat('A', 4000))))"""
        )
    monkeypatch.setattr(images, "OVERLAY_CHARS_MAX", 10_000)
    (series,) = (await manifest(clinic, study_id))["series"]
    layouts = [series["common"] | one["pixels"] for one in series["instances"]]
    assert [len(one["overlays"]) for one in layouts] == [1, 1, 0, 0, 0, 0]
    assert [one.get("overlays_left_out") for one in layouts] == [None, None, 1, 1, 1, 1]
    monkeypatch.setattr(images, "LAYOUT_CHARS_MAX", int(3.5 * len(json.dumps(layouts[2]))))
    (series,) = (await manifest(clinic, study_id))["series"]
    states = [(one["state"], one["pixels"] is None, bool(one["fault"])) for one in series["instances"]]
    assert states == [("ready", False, False)] * 3 + [("failed", True, True)] * 3
