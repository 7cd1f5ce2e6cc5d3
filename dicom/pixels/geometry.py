"""Where an image lies and how large its pixels are: spacing, position, orientation (PS3.3 C.7.6.2, 10.7, C.8.5.5)."""

from collections.abc import Sequence
from typing import Any, Final

from pydicom.dataset import Dataset

from dicom.pixels.values import first, items, number, numbers, word

CENTIMETRES: Final = 3  # PS3.3 C.8.5.5.1.15, physical units
TISSUE: Final = 1  # PS3.3 C.8.5.5.1.1, a region of two dimensions in space
REGIONS_MAX: Final = 64
_SPACINGS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


def frame_geometry(data_set: Dataset, shared: Dataset | None, group: Dataset | None) -> dict[str, Any]:
    """Position of the first pixel's centre and directions of row and column, in mm and cosines of the patient."""
    return {
        "position_mm": _grouped("PlanePositionSequence", "ImagePositionPatient", 3, data_set, shared, group),
        "orientation": _grouped(
            "PlaneOrientationSequence", "ImageOrientationPatient", 6, data_set, shared, group
        ),
    }


def _grouped(
    sequence: str, keyword: str, count: int, data_set: Dataset, shared: Dataset | None, group: Dataset | None
) -> list[float] | None:
    for place in (group, shared):
        item = first(place, sequence) if place is not None else None
        found = numbers(item, keyword, count) if item is not None else []
        if found:
            return found
    return numbers(data_set, keyword, count) or None


def spacing(data_set: Dataset, shared: Dataset | None, groups: Sequence[Dataset]) -> dict[str, Any]:
    """Distance of rows and of columns in mm, where it is from, and whether it was calibrated; of all frames, or null.

    Pixel spacing before that of the detector, which is larger than the patient by the magnification (PS3.3 10.7.1.3);
    ultrasound tells it for regions of the image.
    """
    regions = _regions(data_set)
    found: dict[str, Any] = {"spacing_mm": None, "spacing_source": None}
    measured, *others = [
        _grouped("PixelMeasuresSequence", "PixelSpacing", 2, data_set, shared, group)
        for group in (groups or (None,))
    ]
    are_alike = all(other == measured for other in others)
    for keyword in _SPACINGS if are_alike else ():
        pair = measured if keyword == "PixelSpacing" else numbers(data_set, keyword, 2)
        if pair and min(pair) > 0:
            found = {"spacing_mm": pair, "spacing_source": _source(data_set, keyword, pair)}
            break
    else:
        if (
            are_alike
            and regions
            and all(region["spacing_mm"] == regions[0]["spacing_mm"] for region in regions)
        ):
            found = {"spacing_mm": regions[0]["spacing_mm"], "spacing_source": "UltrasoundRegion"}
    return found | {
        "spacing_note": word(data_set, "PixelSpacingCalibrationType") or None,
        **({"regions": regions} if regions else {}),
    }


def _source(data_set: Dataset, keyword: str, pair: Sequence[float]) -> str:
    """Projection images that were not calibrated give the detector's spacing twice (PS3.3 10.7.1.3)."""
    is_detector = numbers(data_set, "ImagerPixelSpacing", 2) == list(pair)
    return (
        "ImagerPixelSpacing" if is_detector and not word(data_set, "PixelSpacingCalibrationType") else keyword
    )


def _regions(data_set: Dataset) -> Sequence[dict[str, Any]]:
    """Regions of tissue with their spacing; those of a spectrum or a curve have no distances."""
    found = []
    for item in list(items(data_set, "SequenceOfUltrasoundRegions"))[:REGIONS_MAX]:
        corners = [number(item, f"RegionLocation{corner}") for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        deltas = [number(item, f"PhysicalDelta{axis}") for axis in "YX"]
        units = [number(item, f"PhysicalUnits{axis}Direction") for axis in "XY"]
        if number(item, "RegionSpatialFormat") != TISSUE or units != [CENTIMETRES, CENTIMETRES]:
            continue
        known = [value for value in corners if value is not None]
        millimetres = [abs(delta) * 10.0 for delta in deltas if delta]
        if len(known) == 4 and len(millimetres) == 2:
            found.append(
                dict(zip(("x0", "y0", "x1", "y1"), known, strict=True)) | {"spacing_mm": millimetres}
            )
    return found
