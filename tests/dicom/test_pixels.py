"""Pixels written in every way: what comes out is what went in, exactly, and the layout says what a viewer must know."""

import base64
import json
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom.pixels import copying, overlays, rendering
from dicom.pixels.codestreams import coding_of
from dicom.pixels.decoding import stored_frame
from dicom.pixels.faults import CODES, PixelFault
from dicom.pixels.frames import Pixels, open_pixels, raw_frames
from tests.dicom import made_pixels
from tests.dicom.made_pixels import COLUMNS, ROWS

EVERY = {made.name: made for made in made_pixels.every()}


def copied(file: bytes) -> tuple[copying.Copy, list[bytes]]:
    frames: list[bytes] = []
    return copying.make(open_pixels(BytesIO(file)), frames.append), frames


def stored(pixels: Pixels) -> Any:
    coding = coding_of(pixels.syntax)
    return np.stack([stored_frame(pixels, coding, data, k)[0] for k, data in enumerate(raw_frames(pixels))])


@pytest.mark.parametrize("name", EVERY)
def test_values_come_out_as_they_went_in(name: str) -> None:
    made = EVERY[name]
    found = stored(open_pixels(BytesIO(made.file)))
    if made.values is not None:
        assert np.array_equal(found, made.values, equal_nan=made.values.dtype.kind == "f")
    copy, frames = copied(made.file)
    assert [frame["length"] for frame in copy.layout["frames"]] == [len(frame) for frame in frames]
    if copy.media_type == copying.HTJ2K:
        shown = np.stack([copying.decode(frame) for frame in frames])
        step, modality = copy.layout.get("step", 1.0), copy.layout["modality"]
        if copy.layout["photometric"] == "MONOCHROME2":
            values = rendering.modality_values(shown.astype(float), modality)
            known = np.isfinite(found)
            assert np.abs(values - found)[known].max() <= (0 if step == 1.0 else 0.51 * step)
        elif made.values is not None and made.values.ndim == 4:
            assert np.array_equal(shown, made.values)


def test_words_of_the_file_are_rendered_like_those_of_the_copy() -> None:
    """So that an uncompressed frame needs no decoder: in either order of bytes, whatever stands in unused bits."""
    compared = 0
    for made in EVERY.values():
        copy, frames = copied(made.file)
        native, layout = copy.native, copy.layout
        if native is None:
            continue
        compared += 1
        kind, size = f"{'<' if native['little'] else '>'}u{native['bits'] // 8}", ROWS * COLUMNS
        words = np.frombuffer(made.file, kind, size, native["at"]).astype(f"u{native['bits'] // 8}")
        held = rendering.Stored(native["bits"], native["bits_stored"], native["high_bit"], layout["signed"])
        window = rendering.Window(100.0, 700.0)
        plain = rendering.shown(words.reshape(ROWS, COLUMNS), layout, held, window)
        values = copying.decode(frames[0])
        assert np.array_equal(plain, rendering.shown(values, layout, rendering.stored_of(layout), window)), (
            made.name
        )
    assert compared >= 10


def test_each_prefix_of_a_copy_is_a_smaller_picture() -> None:
    values = np.add.outer(np.arange(256), np.arange(320)).astype(np.int16)
    data, cuts = copying.encode(values)
    assert cuts[-1] == len(data) and sorted(cuts) == cuts and len(cuts) == 6
    for level, cut in enumerate(reversed(cuts)):
        smaller = np.asarray(imagecodecs.htj2k_decode(data[:cut], skipres=level or None, resilient=True))
        rows, columns = smaller.shape
        assert (rows, columns) == (-(-256 >> level), -(-320 >> level))
        assert np.abs(smaller - values[:: 1 << level, :: 1 << level][:rows, :columns]).max() <= (1 << level)


def test_an_overlay_in_unused_bits_is_kept_apart_from_the_values() -> None:
    copy, _ = copied(EVERY["high-bit"].file)
    (plane,) = copy.layout["overlays"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(plane["bits"]), np.uint8), bitorder="little")
    assert np.array_equal(bits[: ROWS * COLUMNS].reshape(ROWS, COLUMNS)[:, 0], np.arange(ROWS) % 2 == 0)


def graphics(made: Any, planes: list[tuple[int, int, list[int]]]) -> list[Any]:
    """Overlay planes of chance put into a data set."""
    chance, bits = np.random.default_rng(5), []
    for number, (rows, columns, origin) in enumerate(planes):
        bits.append(chance.integers(0, 2, (rows, columns), np.uint8))
        data = np.packbits(bits[-1].reshape(-1), bitorder="little").tobytes()
        for element, vr, value in ((0x10, "US", rows), (0x11, "US", columns), (0x50, "SS", origin),
                                   (0x40, "CS", "G"), (0x100, "US", 1), (0x102, "US", 0),
                                   (0x3000, "OW", data + b"\0" * (len(data) % 2))):  # fmt: skip
            made.add_new((0x6000 + 2 * number, element), vr, value)
    return bits


def test_of_overlays_only_what_lies_on_the_image_is_kept() -> None:
    """As the image shows it, pixel by pixel; a plane that is nowhere on it is none."""
    values = made_pixels.grey(12, False)
    made = made_pixels.instance(1, values, 12)
    made.PixelData = values.tobytes()
    placed = [
        (ROWS, COLUMNS, [1, 1]),
        (90, 80, [-4, -9]),
        (9, 8, [30, 50]),
        (5, 5, [ROWS + 1, 1]),
        (5, 5, [1, -4]),
    ]
    bits = graphics(made, placed)
    layout = copied(made_pixels.senders.as_file(made))[0].layout
    assert len(layout["overlays"]) == 3 and "overlays_left_out" not in layout
    for plane, (rows, columns, (row, column)), drawn in zip(layout["overlays"], placed, bits, strict=False):
        expected = np.zeros((300, 300), np.uint8)
        expected[row + 99 : row + 99 + rows, column + 99 : column + 99 + columns] = drawn
        kept = np.unpackbits(np.frombuffer(base64.b64decode(plane["bits"]), np.uint8), bitorder="little")
        found = np.zeros((ROWS, COLUMNS), np.uint8)
        (top, left), size = plane["origin"], plane["rows"] * plane["columns"]
        part = kept[:size].reshape(plane["rows"], plane["columns"])
        found[top - 1 : top - 1 + plane["rows"], left - 1 : left - 1 + plane["columns"]] = part
        assert np.array_equal(found, expected[100 : 100 + ROWS, 100 : 100 + COLUMNS])


def test_a_small_file_makes_no_large_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen planes of zeros are 33 kB deflated; those beyond what a layout carries are counted."""
    values = np.zeros((1, 2048, 2048), np.uint8)
    made = made_pixels.instance(1, values, 8)
    made.PixelData = values.tobytes()
    made["PixelData"].VR = "OB"
    graphics(made, [(2048, 2048, [1, 1])] * 16)
    file = made_pixels.senders.as_file(made, "1.2.840.10008.1.2.1.99")
    layout = copied(file)[0].layout
    assert len(layout["overlays"]) + layout["overlays_left_out"] == 16 and layout["overlays_left_out"] > 0
    assert len(json.dumps(layout)) < overlays.CHARS_MAX + 10_000
    monkeypatch.setattr(copying, "LAYOUT_CHARS_MAX", 1 << 20)
    assert _fault(file).code == "too-large"


def test_spacing_that_differs_from_frame_to_frame_is_not_that_of_the_first() -> None:
    values = made_pixels.grey(12, False, 3)
    for spacings, expected in (((0.5, 0.5, 0.5), [0.5, 0.5]), ((0.5, 0.5, 0.7), None)):
        made = made_pixels.instance(1, values, 12)
        made.PixelData, made.PerFrameFunctionalGroupsSequence = values.tobytes(), []
        for spacing_mm in spacings:
            group, measures = Dataset(), Dataset()
            measures.PixelSpacing = [spacing_mm, spacing_mm]
            group.PixelMeasuresSequence = [measures]
            made.PerFrameFunctionalGroupsSequence.append(group)
        layout = copied(made_pixels.senders.as_file(made))[0].layout
        assert layout["spacing_mm"] == expected
        assert layout["spacing_source"] == (expected and "PixelSpacing")


def test_padding_down_to_zero_is_padding() -> None:
    """A limit of 0 is a limit."""
    values = np.full((1, ROWS, COLUMNS), 900, np.uint16)
    values[0, 0, :4] = (0, 3, 7, 500)
    made = made_pixels.instance(1, values, 12, PixelPaddingValue=7, PixelPaddingRangeLimit=0)
    made.PixelData = values.tobytes()
    layout = copied(made_pixels.senders.as_file(made))[0].layout
    assert (layout["padding"], layout["smallest"]) == ([0, 7], 500)


def test_values_that_are_no_number_are_padding_and_the_step_is_told() -> None:
    copy, frames = copied(EVERY["float"].file)
    assert copy.layout["padding"] == [0, 0] and copy.layout["step"] < 1e-6
    assert copying.decode(frames[0])[0, 0] == 0 and copy.layout["smallest"] == 1


def test_a_layout_says_what_the_data_set_says() -> None:
    made = made_pixels.instance(
        1, made_pixels.grey(12, False), 12,
        PixelSpacing=[0.5, 0.25], ImagePositionPatient=[1, 2, 3], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        WindowCenter=[40, 400], WindowWidth=[400, 0], WindowCenterWidthExplanation=["SOFT", "NONE"],
        RescaleSlope=2, RescaleIntercept=-1024, PixelPaddingValue=0, PatientOrientation=["L", "P"],
        LossyImageCompression="01", LossyImageCompressionRatio=8, BurnedInAnnotation="NO", Laterality="R",
    )  # fmt: skip
    made.PixelData = made_pixels.grey(12, False).tobytes()
    copy, _ = copied(made_pixels.senders.as_file(made))
    told = copy.layout
    assert (told["spacing_mm"], told["spacing_source"], told["spacing_note"]) == (
        [0.5, 0.25],
        "PixelSpacing",
        None,
    )
    assert told["windows"] == [{"center": 40.0, "width": 400.0, "label": "SOFT", "function": "LINEAR"}]
    assert told["modality"] == {"slope": 2.0, "intercept": -1024.0, "unit": "HU"}
    assert (told["position_mm"], told["orientation"]) == ([1, 2, 3], [1, 0, 0, 0, 1, 0])
    assert (told["padding"], told["patient_orientation"], told["laterality"]) == ([0, 0], ["L", "P"], "R")
    assert (told["lossy"], told["lossy_ratio"], told["burned_in"]) == (True, 8.0, False)
    assert told["smallest"] > 0


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ({"PixelSpacing": [0.2, 0.2]}, "PixelSpacing"),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, "ImagerPixelSpacing"),
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, "ImagerPixelSpacing"),
        ({"PixelSpacing": [0.18, 0.18], "ImagerPixelSpacing": [0.2, 0.2]}, "PixelSpacing"),
        (
            {
                "PixelSpacing": [0.2, 0.2],
                "ImagerPixelSpacing": [0.2, 0.2],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            "PixelSpacing",
        ),
    ],
)
def test_a_distance_at_the_detector_is_not_called_the_patient_s(told: dict[str, object], source: str) -> None:
    """PS3.3 10.7.1.3: equal values without a calibration are the detector's."""
    made = made_pixels.instance(1, made_pixels.grey(12, False), 12, **told)
    made.PixelData = made_pixels.grey(12, False).tobytes()
    copy, _ = copied(made_pixels.senders.as_file(made))
    assert copy.layout["spacing_source"] == source


def _fault(file: bytes) -> PixelFault:
    with pytest.raises(PixelFault) as caught:
        copied(file)
    assert caught.value.code in CODES
    return caught.value


def test_a_codestream_that_contradicts_its_data_set_meets_no_decoder() -> None:
    """Each codestream is sound in itself, and so large that a decoder would make much room for it."""
    whole = made_pixels.grey(8, False)[0]
    large = np.zeros((2000, 3000), np.uint8)
    for syntax, encode in (
        ("4.50", imagecodecs.jpeg8_encode),
        ("4.80", imagecodecs.jpegls_encode),
        ("4.201", imagecodecs.htj2k_encode),
        ("4.90", lambda one: imagecodecs.jpeg2k_encode(one, reversible=True, codecformat="j2k")),
    ):
        file = made_pixels.encapsulated(made_pixels.instance(1, whole[None], 8), [encode(large)], syntax)
        assert _fault(file).code == "differs", syntax


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Rows": 60_000, "Columns": 60_000}, "too-large"),
        ({"NumberOfFrames": 2_147_483_647}, "too-large"),
        ({"NumberOfFrames": -1}, "description"),
        ({"Rows": 0}, "size"),
        ({"BitsAllocated": 24}, "description"),
        ({"BitsStored": 17}, "description"),
        ({"HighBit": 3}, "description"),
        ({"SamplesPerPixel": 4}, "description"),
        ({"PhotometricInterpretation": "ARGB"}, "kind"),
        ({"NumberOfFrames": 3}, "cut"),
    ],
)
def test_what_a_data_set_tells_is_bounded(changes: dict[str, Any], code: str) -> None:
    values = made_pixels.grey(12, False)
    made = made_pixels.instance(1, values, 12)
    made.PixelData = values.tobytes()
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    assert _fault(made_pixels.senders.as_file(made)).code == code


def test_fragments_are_held_against_the_file() -> None:
    """No fragments, empty ones, one that says it has four gigabytes, none at the end."""
    file = EVERY["jpeg-2000"].file
    at = file.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12
    table = 8 + int.from_bytes(file[at + 4 : at + 8], "little")
    begin, end = file[: at + table], b"\xfe\xff\xdd\xe0\0\0\0\0"
    empty, endless = b"\xfe\xff\x00\xe0\0\0\0\0", b"\xfe\xff\x00\xe0\xfe\xff\xff\xff"
    for rest in (end, empty * 2 + end, endless, empty, b""):
        assert _fault(begin + rest).code in ("cut", "damaged"), rest
