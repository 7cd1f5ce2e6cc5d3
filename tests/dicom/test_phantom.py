"""The chest that nobody has is a sound CT, and its nodule is as large as it says."""

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from uuid import UUID

import numpy as np
import pydicom
import pytest

from dicom.phantom import FIELD_MM, NOISE_HU, SLICE_MM, Chest, Patient, files, hounsfield

CHEST = Chest(
    UUID(int=7),
    Patient("王^建国", "P1", "19500501", "M", "A1"),
    datetime(2026, 11, 21, tzinfo=UTC),
    slices=3,
    side=256,
)


def test_a_slice_holds_the_hounsfield_units_it_was_made_of() -> None:
    for number, file in enumerate(files(CHEST)):
        read = pydicom.dcmread(BytesIO(file))
        values = read.pixel_array.astype(np.int32) + int(read.RescaleIntercept)
        assert np.array_equal(values, hounsfield(CHEST, number))
        assert read.ImagePositionPatient[2] == -SLICE_MM * number


def test_only_the_nodule_differs() -> None:
    """Its volume within a voxel's shell of the ball's."""
    plain, grown = replace(CHEST, slices=30), replace(CHEST, slices=30, nodule_mm=30.0)
    changed = 0
    for number in range(30):
        before, after = hounsfield(plain, number), hounsfield(grown, number)
        changed += int(np.count_nonzero(np.abs(after - before) > 8 * NOISE_HU))
    volume = changed * (FIELD_MM / CHEST.side) ** 2 * SLICE_MM
    assert volume == pytest.approx(np.pi / 6 * 30.0**3, rel=0.15)


def test_the_same_study_is_the_same_bytes() -> None:
    assert list(files(CHEST)) == list(files(CHEST))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy of dicom3tools is not installed")
def test_a_validator_finds_it_sound(tmp_path: Path) -> None:
    file = tmp_path / "ct.dcm"
    file.write_bytes(next(files(CHEST)))
    said = subprocess.run(["dciodvfy", "-new", str(file)], capture_output=True, text=True, check=False)
    assert not [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
