"""How to show an instance's serving copy: what a viewer has to know, as JSON (docs/protocol/http.md, Images)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset

from dicom.pixels import lookup, overlays
from dicom.pixels.frames import Pixels
from dicom.pixels.geometry import frame_geometry, spacing
from dicom.pixels.values import first, number, numbers, word, words

LOSSY: Final = (
    "4.50",
    "4.51",
    "4.81",
    "4.91",
    "4.93",
    "4.203",
)  # syntaxes that are not, or need not be, lossless
DEFAULT_UNITS: Final = {"CT": "HU"}
WINDOWS_MAX: Final = 16
FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")  # PS3.3 C.11.2.1.3


@dataclass(frozen=True)
class Shown:
    """The values of the serving copy: their kind and range; stored value of the original = value * step + offset."""

    photometric: str
    bits_stored: int
    is_signed: bool
    smallest: int
    largest: int
    step: float = 1.0
    offset: float = 0.0
    has_gaps: bool = False  # 0 is no value


def of(pixels: Pixels, frames: Sequence[Mapping[str, Any]], shown: Shown) -> dict[str, Any]:
    """The whole description; positions and transforms of single frames stand in the frames where they differ."""
    data_set, shape = pixels.data_set, pixels.shape
    shared = first(data_set, "SharedFunctionalGroupsSequence")
    groups = list(_groups(data_set, shape.frames))
    each = [_of_frame(data_set, shared, group, shown) for group in groups] or [
        _of_frame(data_set, shared, None, shown)
    ]
    described = [dict(frame) for frame in frames]
    for key in each[0]:
        if any(one[key] != each[0][key] for one in each):
            for frame, one in zip(described, each, strict=False):
                frame[key] = one[key]
    return {
        "rows": shape.rows,
        "columns": shape.columns,
        "samples": 3 if shown.photometric == "RGB" else 1,
        "bits_stored": shown.bits_stored,
        "signed": shown.is_signed,
        "photometric": shown.photometric,
        "frames": described,
        **each[0],
        **_lossy(data_set, pixels.syntax),
        **({"step": shown.step} if shown.step != 1.0 else {}),
        "voi_lut": lookup.table(first(data_set, "VOILUTSequence"), _is_signed_input(data_set, shown)),
        "smallest": shown.smallest,
        "largest": shown.largest,
        "padding": [0, 0] if shown.has_gaps else _padding(pixels, shown),
        **spacing(data_set, shared, groups),
        "frame_of_reference_uid": word(data_set, "FrameOfReferenceUID") or None,
        "frame_time_ms": _frame_time_ms(data_set),
        "aspect": _aspect(data_set),
        "laterality": (word(data_set, "ImageLaterality") or word(data_set, "Laterality"))[:1],
        "patient_orientation": _patient_orientation(data_set),
        **overlays.of(pixels),
        "burned_in": {"YES": True, "NO": False}.get(word(data_set, "BurnedInAnnotation").upper()),
    }


def _groups(data_set: Dataset, frames: int) -> Sequence[Dataset]:
    """The per-frame functional groups (PS3.3 C.7.6.16), if there is one for each frame."""
    found = data_set.get("PerFrameFunctionalGroupsSequence")
    return list(found) if found is not None and len(found) == frames else []


def _of_frame(
    data_set: Dataset, shared: Dataset | None, group: Dataset | None, shown: Shown
) -> dict[str, Any]:
    """What may differ from frame to frame."""
    return {
        "modality": _modality(data_set, shared, group, shown),
        "windows": _windows(data_set, shared, group),
        **frame_geometry(data_set, shared, group),
    }


def _modality(
    data_set: Dataset, shared: Dataset | None, group: Dataset | None, shown: Shown
) -> dict[str, Any]:
    """From the copy's values to those of the modality (PS3.3 C.11.1), with their unit."""
    sequence = first(data_set, "ModalityLUTSequence")
    found = lookup.table(sequence, shown.is_signed) if shown.step == 1.0 and not shown.offset else None
    if found is not None and sequence is not None:
        return {"lut": found, "unit": _unit(word(sequence, "ModalityLUTType"))}
    holder = _in_group("PixelValueTransformationSequence", "RescaleSlope", data_set, shared, group)
    slope, intercept = number(holder, "RescaleSlope"), number(holder, "RescaleIntercept")
    unit = word(holder, "RescaleType") or word(data_set, "Units")
    if slope is None or intercept is None:
        slope, intercept = number(data_set, "DoseGridScaling") or 1.0, 0.0
        unit = unit or word(data_set, "DoseUnits")
    elif not unit:
        unit = DEFAULT_UNITS.get(word(data_set, "Modality"), "")
    return {
        "slope": slope * shown.step,
        "intercept": intercept + slope * shown.offset,
        "unit": _unit(unit),
    }


def _unit(word: str) -> str:
    """Unspecified is no unit (PS3.3 C.11.1.1.2)."""
    return "" if word in ("US", "UNSPECIFIED") else word


def _in_group(
    sequence: str, keyword: str, data_set: Dataset, shared: Dataset | None, group: Dataset | None
) -> Dataset:
    """Where an attribute stands: in the frame's functional group, in the shared one, or in the data set itself."""
    for place in (group, shared):
        item = first(place, sequence) if place is not None else None
        if item is not None and keyword in item:
            return item
    return data_set


def _windows(data_set: Dataset, shared: Dataset | None, group: Dataset | None) -> list[dict[str, Any]]:
    """Windows of the device (PS3.3 C.11.2.1.2), those that are possible."""
    holder = _in_group("FrameVOILUTSequence", "WindowCenter", data_set, shared, group)
    centers, widths = numbers(holder, "WindowCenter"), numbers(holder, "WindowWidth")
    labels = words(holder, "WindowCenterWidthExplanation")
    function = word(holder, "VOILUTFunction").upper() or "LINEAR"
    function = function if function in FUNCTIONS else "LINEAR"
    narrowest = 1.0 if function == "LINEAR" else 0.0
    return [
        {
            "center": center,
            "width": width,
            "label": labels[i] if i < len(labels) else "",
            "function": function,
        }
        for i, (center, width) in enumerate(zip(centers[:WINDOWS_MAX], widths, strict=False))
        if width >= narrowest and width > 0
    ]


def _is_signed_input(data_set: Dataset, shown: Shown) -> bool:
    """Whether the VOI LUT's first value may be negative: so are the modality's values (PS3.3 C.11.2.1.1)."""
    return shown.is_signed or (number(data_set, "RescaleIntercept") or 0.0) < 0


def _lossy(data_set: Dataset, syntax: str) -> dict[str, Any]:
    """PS3.3 C.7.6.1.1.5: said by the data set; of a syntax that always loses, also if it is not said."""
    ratios = numbers(data_set, "LossyImageCompressionRatio")
    told = word(data_set, "LossyImageCompression") == "01" or bool(ratios)
    is_lossy = told or syntax.removeprefix("1.2.840.10008.1.2.") in ("4.50", "4.51", "4.81")
    return {"lossy": is_lossy, **({"lossy_ratio": ratios[-1]} if ratios and is_lossy else {})}


def _padding(pixels: Pixels, shown: Shown) -> list[int] | None:
    """The range of values that are no picture (PS3.3 C.7.5.1.1.2), as the copy stores them."""
    one = number(pixels.data_set, "PixelPaddingValue")
    if one is None or shown.photometric == "RGB" or shown.step != 1.0:
        return None
    other = number(pixels.data_set, "PixelPaddingRangeLimit")
    ends = [_wrapped(int(end - shown.offset), shown) for end in (one, one if other is None else other)]
    return sorted(ends)


def _wrapped(value: int, shown: Shown) -> int:
    """A value that was written as unsigned where the pixels are signed, or the other way about."""
    if shown.is_signed and value > 0x7FFF:
        return value - 0x1_0000
    return value + 0x1_0000 if not shown.is_signed and value < 0 else value


def _frame_time_ms(data_set: Dataset) -> float | None:
    time = number(data_set, "FrameTime") or next(
        (one for one in numbers(data_set, "FrameTimeVector") if one > 0), None
    )
    rate = number(data_set, "RecommendedDisplayFrameRate") or number(data_set, "CineRate")
    if time is None and rate is not None and rate > 0:
        time = 1000.0 / rate
    return time if time is not None and time > 0 else None


def _aspect(data_set: Dataset) -> list[float]:
    """Height and width of a pixel (PS3.3 C.7.6.3.1.7); of no meaning where a spacing is known."""
    found = numbers(data_set, "PixelAspectRatio", 2)
    return found if found and min(found) > 0 else [1, 1]


def _patient_orientation(data_set: Dataset) -> list[str] | None:
    found = words(data_set, "PatientOrientation", 3)
    return found if len(found) == 2 and all(found) else None
