"""Every file of the real collection: decoded as pydicom and its codecs have it, or refused for a reviewed reason."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from dicom import InvalidInstance
from dicom.pixels import copying, rendering
from dicom.pixels.codestreams import coding_of
from dicom.pixels.decoding import stored_frame
from dicom.pixels.faults import PixelFault
from dicom.pixels.frames import Pixels, open_pixels, raw_frames
from dicom.pixels.shape import GREY, PALETTE
from dicom.pixels.showing import Showing

FOLDER = Path(os.environ.get("TELEHUB_DATA", "../shared/data")) / "dicom"
# Reviewed: each of these can't be shown, and why. All others of the collection are.
REFUSED = {
    "pydicom/test_files/JPEG2000-embedded-sequence-delimiter.dcm": "differs",
    "pydicom/test_files/MR_truncated.dcm": "cut",
    "pydicom/test_files/nested_priv_SQ.dcm": "description",
}
# pydicom and its codecs can't decode these, or swap the bytes of a palette; another file holds the same pixels.
TWINS = {
    "pydicom/test_files/JPEG-lossy.dcm": "pydicom/test_files/JPGExtended.dcm",
    "pydicom/test_files/badVR.dcm": "pydicom/test_files/rtdose_expb_1frame.dcm",
    "pydicom-data/OBXXXX1A_expb.dcm": "pydicom-data/OBXXXX1A.dcm",
    "pydicom-data/OBXXXX1A_expb_2frame.dcm": "pydicom-data/OBXXXX1A_2frame.dcm",
    "pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm": "pydicom-data/emri_small.dcm",
    "pydicom-data/liver_deflate.dcm": "pydicom-data/liver.dcm",
    "pydicom-data/liver_nonbyte_aligned_deflate.dcm": "pydicom-data/liver_nonbyte_aligned.dcm",
    "pydicom-data/liver_nonbyte_aligned_rle.dcm": "pydicom-data/liver_nonbyte_aligned.dcm",
    "pydicom-data/liver_rle.dcm": "pydicom-data/liver.dcm",
}
LOSSY_JPEG = (".4.50", ".4.51")
JPEG_STEP = 1  # decoders of the cosine transform may differ by one (ISO 10918-2)
COLOUR_STEP = 3  # and by this after chrominance is brought to RGB


pytestmark = [
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="the collection of real DICOM files is not here (TELEHUB_DATA)"
    ),
    pytest.mark.filterwarnings("ignore"),  # of pydicom, about files that are broken on purpose
]


@cache
def files() -> tuple[Path, ...]:
    return tuple(sorted(path for path in FOLDER.rglob("*") if path.is_file()))


def _opened() -> Iterator[tuple[str, Pixels]]:
    """Those that are DICOM files with pixels; what lacks the preamble, which the hub takes in from nobody, gets one."""
    for path in files():
        data = path.read_bytes()
        if data[:4] == b"\x02\x00\x00\x00" or data[:4] == b"\x02\x00\x10\x00":
            data = bytes(128) + b"DICM" + data
        try:
            pixels = open_pixels(BytesIO(data))
        except InvalidInstance:
            continue
        if pixels.keyword:
            yield path.relative_to(FOLDER).as_posix(), pixels


@dataclass(frozen=True)
class Decoded:
    """A file's stored values, what is shown of them, and its serving copy."""

    pixels: Pixels
    stored: list[Any]
    pictures: list[Any]
    copy: copying.Copy
    frames: list[bytes]


def _decoded(pixels: Pixels) -> Decoded:
    made: list[bytes] = []
    copy = copying.make(pixels, made.append)
    showing, coding = Showing(pixels), coding_of(pixels.syntax)
    read = [stored_frame(pixels, coding, data, number) for number, data in enumerate(raw_frames(pixels))]
    pictures = [showing.show(values, stream) for values, stream in read]
    return Decoded(pixels, [values for values, _ in read], pictures, copy, made)


def test_every_file_is_decoded_as_pydicom_has_it_or_refused_for_a_reviewed_reason() -> None:
    refused, wrong, compared = {}, [], 0
    for name, pixels in _opened():
        try:
            mine = _decoded(pixels)
        except PixelFault as fault:
            refused[name] = fault.code
            continue
        compared += 1
        theirs = pydicom.dcmread(FOLDER / TWINS.get(name, name), force=True)
        wrong += [f"{name}: {fault}" for fault in (*_faults_of_copy(mine), *_differences(mine, theirs))]
    assert not wrong, "\n".join(wrong)
    assert refused == REFUSED
    assert compared >= 220


def _faults_of_copy(mine: Decoded) -> Iterator[str]:
    """The serving copy, decoded again, is what is shown, exactly; a JPEG that is kept decodes as it did."""
    for number, (picture, data) in enumerate(zip(mine.pictures, mine.frames, strict=True)):
        if mine.copy.media_type == copying.JPEG:
            if np.abs(imagecodecs.jpeg8_decode(data).astype(int) - picture).max() > COLOUR_STEP:
                yield f"frame {number} is shown otherwise by a browser"
        elif not np.array_equal(copying.decode(data), picture):
            yield f"frame {number} of the copy differs"
    layout = mine.copy.layout
    if layout["photometric"] != "RGB":
        values = np.stack(mine.pictures)
        if layout["padding"] is not None:
            low, high = layout["padding"]
            values = values[(values < low) | (values > high)]
        if values.size and (layout["smallest"], layout["largest"]) != (values.min(), values.max()):
            yield "its range is another"


def _differences(mine: Decoded, data_set: pydicom.Dataset) -> Iterator[str]:
    """Against pydicom: stored values, then what a screen shows of them."""
    pixels = mine.pixels
    is_lossy = pixels.syntax.endswith(LOSSY_JPEG)
    values = np.stack(mine.stored) if len(mine.stored) > 1 else mine.stored[0]
    raw = pixel_array(data_set, raw=True)
    if values.shape != raw.shape:
        yield f"shape {values.shape}, not {raw.shape}"
    elif np.abs(values.astype(float) - raw).max() > (JPEG_STEP if is_lossy else 0):
        yield "stored values differ"
    elif pixels.shape.photometric in GREY:
        yield from _rendered_otherwise(mine, data_set)
    elif pixels.shape.photometric == PALETTE:
        lut = apply_color_lut(raw, data_set)
        rgb = lut >> 8 if lut.dtype == np.uint16 else lut
        if not np.array_equal(np.stack(mine.pictures).reshape(rgb.shape), rgb):
            yield "colours of the palette differ"
    else:
        rgb = pixel_array(data_set) >> max(0, pixels.shape.bits_stored - 8)
        if np.abs(np.stack(mine.pictures).reshape(rgb.shape).astype(int) - rgb).max() > (
            COLOUR_STEP if is_lossy else 0
        ):
            yield "colours differ"


def _rendered_otherwise(mine: Decoded, data_set: pydicom.Dataset) -> Iterator[str]:
    """What is rendered of the copy's first frame, against pydicom's transforms of the values."""
    layout = rendering.of_frame(mine.copy.layout, 0)
    shown = rendering.shown(mine.pictures[0], layout, rendering.stored_of(layout), None)
    expected = _eight_bits(data_set, mine.stored[0], layout)
    allowed = 0 if layout.get("step", 1.0) == 1.0 else 1
    if np.abs(shown.astype(int) - expected).max() > allowed:
        yield f"rendered otherwise by {np.abs(shown.astype(int) - expected).max()}"


def _eight_bits(data_set: pydicom.Dataset, values: Any, layout: dict[str, Any]) -> Any:
    """pydicom's modality and VOI transforms, their output range brought to 8 bits and rounded half up."""
    data_set = _flat(data_set)
    modality = apply_modality_lut(values, data_set)
    voi = apply_voi_lut(modality, data_set).astype(float)
    if "VOILUTSequence" in data_set:
        low, high = 0.0, float((1 << data_set.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    elif data_set.get("WindowCenter") not in (None, "") and data_set.get("WindowWidth") not in (None, ""):
        low, high = _output_range(data_set)
    else:
        ends = rendering.modality_values(
            np.array([layout["smallest"], layout["largest"]]), layout["modality"]
        )
        voi = voi * (data_set.get("DoseGridScaling") or 1.0)
        low, high = float(ends.min()), float(ends.max())
    share = np.clip((voi - low) / (high - low if high > low else 1.0), 0, 1)
    shown = np.floor(np.round(share * 255, 9) + 0.5).astype(int)
    return 255 - shown if data_set.PhotometricInterpretation == "MONOCHROME1" else shown


def _output_range(data_set: pydicom.Dataset) -> tuple[float, float]:
    """Of pydicom's windowing: that of the modality's values."""
    if "ModalityLUTSequence" in data_set:
        return 0.0, float((1 << data_set.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
    half = 1 << (data_set.BitsStored - 1)
    low, high = (-half, half - 1) if data_set.PixelRepresentation else (0, 2 * half - 1)
    if data_set.get("RescaleSlope") is not None:
        slope, intercept = float(data_set.RescaleSlope), float(data_set.RescaleIntercept)
        return low * slope + intercept, high * slope + intercept
    return float(low), float(high)


def _flat(data_set: pydicom.Dataset) -> pydicom.Dataset:
    """With what the functional groups of the first frame say of its values, which pydicom does not look for."""
    made = pydicom.Dataset(data_set)
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for name in ("FrameVOILUTSequence", "PixelValueTransformationSequence"):
            for item in (data_set[groups][0].get(name) or []) if groups in data_set else []:
                made.update(item)
    if "BitsStored" not in made:  # floats: any range of the output will do
        made.BitsStored, made.PixelRepresentation = 16, 0
    return made
