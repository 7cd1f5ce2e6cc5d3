"""Measuring and marking on images: the properties in `web/check/tools.mjs`; figures on real images are numpy's."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
DATA = Path(os.environ.get("TELEHUB_DATA", ROOT.parent / "shared" / "data")) / "dicom"
NODE = shutil.which("node")
# A CT with padding, signed MR, unsigned MR.
FILES = ("pydicom/test_files/CT_small.dcm", "pydicom/test_files/MR_small.dcm", "mr-series/MR09.dcm")
REGIONS = 40

pytestmark = pytest.mark.skipif(
    NODE is None or not WEB.joinpath("node_modules", "rolldown").exists(),
    reason="no Node or no front-end packages",
)


def node(*arguments: str, told: str = "") -> str:
    assert NODE is not None
    done = subprocess.run(
        [NODE, *arguments], cwd=WEB, input=told, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_places_lengths_regions_and_marks_have_their_properties() -> None:
    node("--test", "check/tools.mjs")


@pytest.mark.parametrize("name", FILES)
def test_figures_on_real_images_are_those_of_numpy(name: str) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {name}")
    image = pydicom.dcmread(path)
    image.PixelSpacing = [image.PixelSpacing[0], image.PixelSpacing[1] * 1.5]  # a sharper test: no squares
    values = image.pixel_array
    rng = np.random.default_rng(1)
    extent = np.array(values.shape[::-1])
    corners = rng.uniform(-0.1, 1.1, (REGIONS, 2, 2)) * extent
    kinds = ["ellipse" if number % 3 else "rectangle" for number in range(REGIONS)]
    regions = [{"kind": kind, "corners": each.tolist()} for kind, each in zip(kinds, corners, strict=True)]
    told = {"layout": layout_of(image), "values": values.ravel().tolist(), "regions": regions}
    said = json.loads(node("check/measured.mjs", told=json.dumps(told | {"lines": corners.tolist()})))

    real = apply_modality_lut(values, image).astype(float)
    row_mm, column_mm = (float(part) for part in image.PixelSpacing)
    steps = (corners[:, 1] - corners[:, 0]) * (column_mm, row_mm)
    assert [each["value"] for each in said["lengths"]] == pytest.approx(np.linalg.norm(steps, axis=1))
    shares = [np.pi / 4 if kind == "ellipse" else 1 for kind in kinds]
    assert [each["value"] for each in said["areas"]] == pytest.approx(np.abs(steps.prod(axis=1)) * shares)
    for kind, region, own in zip(kinds, corners, said["statistics"], strict=True):
        inside = real[mask(kind, region, values.shape) & (values != image.get("PixelPaddingValue"))]
        assert (own or {"count": 0})["count"] == inside.size
        if own:
            figures = (inside.mean(), inside.std(), inside.min(), inside.max())
            assert [own[each] for each in ("mean", "sd", "min", "max")] == pytest.approx(figures)


def layout_of(image: Dataset) -> dict[str, Any]:
    padding = image.get("PixelPaddingValue")
    slope, intercept = float(image.get("RescaleSlope", 1)), float(image.get("RescaleIntercept", 0))
    return {
        "rows": image.Rows,
        "columns": image.Columns,
        "samples": 1,
        "frames": [{}],
        "modality": {"slope": slope, "intercept": intercept, "unit": ""},
        "padding": None if padding is None else [padding, padding],
        "spacing_mm": [float(part) for part in image.PixelSpacing],
        "spacing_source": "PixelSpacing",
        "aspect": [1, 1],
    }


def mask(kind: str, corners: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels [row, column] whose centres lie in the region."""
    centre, half = corners.mean(axis=0), np.abs(corners[1] - corners[0]) / 2
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    off = (columns - centre[0]) / half[0], (rows - centre[1]) / half[1]
    reach: NDArray[np.float64] = np.hypot(*off) if kind == "ellipse" else np.maximum(*np.abs(off))
    return reach <= 1
