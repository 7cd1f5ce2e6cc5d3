"""Frames over the web: of a file made to be costly no more than it holds, and of a copy only what is stored."""

import hashlib
from pathlib import Path

import numpy as np
from pydicom.encaps import encapsulate

from dicom.pixels import copying
from hub.core import ids
from hub.core.store import Store
from hub.imaging.index import extracting
from hub.imaging.index.retrieving import Stored
from tests import world
from tests.dicom import made_pixels
from tests.imaging import senders
from tests.imaging.conftest import Clinic
from tests.imaging.test_images import prepared, received

JPEG = "1.2.840.10008.1.2.4.50"


async def test_fragments_of_no_bytes_are_no_pieces(tmp_path: Path) -> None:
    """Hundreds of thousands of them cost eight bytes each in a file."""
    frame = b"\xff\xd8\xff" + b"x" * 103
    made = senders.slice_of("1.2", "1.2.7", 1, side=5)
    made.PixelData = encapsulate([frame], has_bot=False) + b"\xfe\xff\x00\xe0\0\0\0\0" * 1000
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    store = Store(tmp_path)
    file = await store.put(senders.as_file(made, JPEG), "application/dicom")
    one = Stored(
        ids.new(world.AT), ids.new(world.AT), "1.2", "1.2.7", "1.2.7.1", file.sha256, file.size_bytes, JPEG
    )
    (part,) = await extracting.frames(store, one, extracting.Shape(1, 400), [0])
    assert (len(part.pieces), part.size) == (1, len(frame))


async def test_a_copy_is_given_only_where_it_holds_what_is_stored(clinic: Clinic) -> None:
    """Of what was divided into steps, or became RGB or deeper, metadata would tell of other numbers."""
    every = [made for made in made_pixels.every() if made.values is not None]
    await received(clinic, *(made.file for made in every), own=False)
    await prepared(clinic)
    rows = await clinic.rows(
        "SELECT file_sha256, sop_uid, series_uid FROM dicom_instance JOIN dicom_series e ON e.id = dicom_series_id"
    )
    by_hash, given = {row["file_sha256"]: row for row in rows}, set()
    for made in every:
        row = by_hash[hashlib.sha256(made.file).hexdigest()]
        path = f"/dicom-web/studies/{made_pixels.STUDY}/series/{row['series_uid']}/instances/{row['sop_uid']}"
        headers = {"Accept": "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202"}
        async with await clinic.doctor.call("GET", f"{path}/frames/1", headers=headers) as answer:
            if answer.status == 200:
                given.add(made.name)
                assert made.values is not None
                assert np.array_equal(copying.decode(await answer.read()), made.values[0]), made.name
            else:
                assert answer.status == 406, made.name
    kept = {made.name for made in every} - given
    assert {"native-12-True-1", "native-16-True-2", "native-8-False-1", "rgb", "rle", "jpeg-2000"} <= given
    assert {"native-32-False-1", "float", "palette", "rgb-jpeg-2000", "high-bit", "one-bit"} <= kept
