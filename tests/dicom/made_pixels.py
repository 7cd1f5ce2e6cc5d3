"""Instances of every way to write pixels, made here, with the values that must come out of them."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.imaging import senders

Array = NDArray[Any]
ROWS, COLUMNS = 37, 53  # odd on purpose
UID = "1.2.840.10008.1.2."
STUDY, SERIES = "1.2.826.0.2.1", "1.2.826.0.2.2"


@dataclass(frozen=True)
class Made:
    """A file, and its stored values; None where loss is allowed."""

    name: str
    file: bytes
    values: Array | None


def grey(bits: int, is_signed: bool, frames: int = 1, seed: int = 7) -> Array:
    """Frames of a slope with noise that uses all bits."""
    chance = np.random.default_rng(seed)
    low, high = (-(1 << bits - 1), 1 << bits - 1) if is_signed else (0, 1 << bits)
    slope = np.linspace(low, high - 1, COLUMNS)[None, None, :] + chance.normal(0, 9, (frames, ROWS, COLUMNS))
    width = 8 if bits <= 8 else 16 if bits <= 16 else 32
    return np.clip(slope, low, high - 1).astype(f"{'i' if is_signed else 'u'}{width // 8}")


def instance(number: int, values: Array, bits: int, photometric: str = "MONOCHROME2", **more: Any) -> Dataset:
    """A data set around (frames, rows, columns[, 3]) values, their bytes yet to come."""
    made = senders.slice_of(STUDY, SERIES, number, side=2)
    made.Rows, made.Columns = values.shape[1:3]
    made.SamplesPerPixel, made.PhotometricInterpretation = (3 if values.ndim == 4 else 1), photometric
    made.BitsAllocated, made.BitsStored, made.HighBit = values.dtype.itemsize * 8, bits, bits - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    if values.ndim == 4:
        made.PlanarConfiguration = 0
    if len(values) > 1:
        made.NumberOfFrames = len(values)
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def _native(number: int, values: Array, bits: int, syntax: str = "1", **more: Any) -> bytes:
    made = instance(number, values, bits, **more)
    order = ">" if syntax == "2" else "<"
    made.PixelData = values.astype(values.dtype.newbyteorder(order)).tobytes()
    if len(made.PixelData) % 2:
        made.PixelData += b"\0"
    made["PixelData"].VR = "OB" if values.dtype.itemsize == 1 else "OW"
    return senders.as_file(made, UID + syntax)


def encapsulated(made: Dataset, frames: list[bytes], syntax: str) -> bytes:
    made.PixelData = encapsulate(frames)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    if syntax == "8.1":  # which pydicom does not know yet
        return senders.as_file(made, UID + "4.70").replace(f"{UID}4.70".encode(), f"{UID}8.1\0".encode(), 1)
    return senders.as_file(made, UID + syntax)


def _coded(syntax: str, encode: Callable[[Array], bytes], bits: int, is_signed: bool, frames: int = 2) -> Any:
    def make(number: int) -> tuple[bytes, Array]:
        values = grey(bits, is_signed, frames)
        return encapsulated(instance(number, values, bits), [encode(one) for one in values], syntax), values

    return make


def _rle(values: Array) -> bytes:
    depth = values.dtype.itemsize
    planes = [
        (values.view(f"u{depth}") >> 8 * place & 0xFF).astype(np.uint8) for place in reversed(range(depth))
    ]
    segments = [imagecodecs.packbits_encode(plane) for plane in planes]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = np.zeros(16, "<u4")
    offsets[0] = depth
    offsets[1 : depth + 1] = 64 + np.cumsum([0, *map(len, segments[:-1])])
    return offsets.tobytes() + b"".join(segments)


def _deflated(values: Array) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(values.tobytes()) + packer.flush()


CODED: dict[str, Any] = {
    "rle": _coded("5", _rle, 12, True),
    "deflated-frames": _coded("8.1", _deflated, 16, False),
    "jpeg-lossless": _coded(
        "4.70", lambda one: imagecodecs.jpeg8_encode(one, lossless=True, predictor=1), 8, False
    ),
    "jpeg-ls": _coded("4.80", imagecodecs.jpegls_encode, 12, False),
    "jpeg-2000": _coded(
        "4.90", lambda one: imagecodecs.jpeg2k_encode(one, reversible=True, codecformat="j2k"), 16, True
    ),
    "htj2k": _coded("4.201", imagecodecs.htj2k_encode, 16, True),
}
LOSSY: dict[str, Any] = {
    "jpeg": _coded("4.50", lambda one: imagecodecs.jpeg8_encode(one, level=95), 8, False, 1),
    "jpeg-extended": _coded(
        "4.51", lambda one: imagecodecs.jpeg8_encode(one, level=95, bitspersample=12), 12, False, 1
    ),
    "jpeg-ls-near": _coded("4.81", lambda one: imagecodecs.jpegls_encode(one, level=2), 8, False),
    "jpeg-2000-lossy": _coded(
        "4.91", lambda one: imagecodecs.jpeg2k_encode(one, level=40, codecformat="j2k"), 8, False
    ),
}


def every() -> Iterator[Made]:
    """All of them, small."""
    number = 0
    for bits, is_signed in ((8, False), (8, True), (12, False), (12, True), (16, True), (32, False)):
        for syntax in ("1", "2", "1.99"):
            number += 1
            values = grey(bits, is_signed, 1 + number % 2)
            yield Made(f"native-{bits}-{is_signed}-{syntax}", _native(number, values, bits, syntax), values)
    for name, make in {**CODED, **LOSSY}.items():
        number += 1
        file, values = make(number)
        yield Made(name, file, values if name in CODED else None)
    yield from _colours(number)
    yield from _odd_bits(number + 10)


def _colours(number: int) -> Iterator[Made]:
    rgb = np.stack([grey(8, False, 2, seed) for seed in (1, 2, 3)], axis=3)
    yield Made("rgb", _native(number + 1, rgb, 8, photometric="RGB"), rgb)
    planar = instance(number + 2, rgb, 8, "RGB", PlanarConfiguration=1)
    planar.PixelData = np.moveaxis(rgb, 3, 1).tobytes()
    planar["PixelData"].VR = "OB"
    yield Made("rgb-planar", senders.as_file(planar), rgb)
    yield Made("rgb-jpeg-2000", encapsulated(
        instance(number + 3, rgb, 8, "YBR_RCT"),
        [imagecodecs.jpeg2k_encode(one, reversible=True, codecformat="j2k") for one in rgb], "4.90",
    ), rgb)  # fmt: skip
    values = grey(8, False)
    lut = {
        f"{name}PaletteColorLookupTable{part}": value
        for name, top in (("Red", 255), ("Green", 128), ("Blue", 1))
        for part, value in (
            ("Descriptor", [256, 0, 16]),
            ("Data", np.linspace(0, top << 8, 256).astype("<u2").tobytes()),
        )
    }
    yield Made("palette", _native(number + 4, values, 8, photometric="PALETTE COLOR", **lut), values)


def _odd_bits(number: int) -> Iterator[Made]:
    """Values that do not begin at the lowest bit, and an overlay in the bits above them."""
    values = grey(10, True)
    made = instance(number, values, 10, HighBit=11)
    words = (values.view("u2") & 0x3FF) << 2
    words[:, ::2] |= 0x8000
    words[:, :, ::3] |= 0x3
    made.PixelData = words.tobytes()
    made["PixelData"].VR = "OW"
    for element, vr, value in ((0x10, "US", ROWS), (0x11, "US", COLUMNS), (0x50, "SS", [1, 1]), (0x100, "US", 16),
                               (0x102, "US", 15), (0x40, "CS", "G")):  # fmt: skip
        made.add_new((0x6000, element), vr, value)
    yield Made("high-bit", senders.as_file(made), values)
    bits = grey(8, False, 3) > 100
    one = instance(number + 1, bits.astype(np.uint8), 1, BitsAllocated=1, BitsStored=1, HighBit=0)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    one.PixelData = packed + b"\0" * (len(packed) % 2)
    one["PixelData"].VR = "OB"
    yield Made("one-bit", senders.as_file(one), bits.astype(np.uint8))
    floats = instance(number + 2, grey(16, False), 16)
    values = np.random.default_rng(3).normal(0, 1e-3, (1, ROWS, COLUMNS)).astype("<f4")
    values[0, 0, 0] = np.nan
    del floats.PixelData, floats.BitsStored, floats.HighBit, floats.PixelRepresentation
    floats.BitsAllocated, floats.FloatPixelData = 32, values.tobytes()
    yield Made("float", senders.as_file(floats), values)
