"""How many pixels of which kind a data set tells of (PS3.3 C.7.6.3), bounded before any decoder runs."""

from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset

from dicom.pixels.faults import PixelFault

SIDE_MAX: Final = 65_535  # US (PS3.3 C.7.6.3.1)
FRAME_BYTES_MAX: Final = 128 << 20  # decoded; a mammogram has 40 MB
FRAMES_MAX: Final = 20_000
DECODED_BYTES_MAX: Final = 4 << 30
NATIVE_BITS: Final = (1, 8, 16, 32)
GREY: Final = frozenset(("MONOCHROME1", "MONOCHROME2"))
COLOUR: Final = frozenset(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"))
PALETTE: Final = "PALETTE COLOR"
FLOATS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True)
class Shape:
    """Of one frame, and how many of them; `is_float` for (double) float pixel data."""

    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    photometric: str
    is_planar: bool
    is_float: bool = False

    @property
    def pixels(self) -> int:
        return self.rows * self.columns

    @property
    def frame_bits(self) -> int:
        """Of a frame as it stands in native pixel data; 4:2:2 has half the chrominance (PS3.3 C.7.6.3.1.2)."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.pixels * samples * self.bits_allocated

    @property
    def decoded_bytes(self) -> int:
        """Of one frame, decoded; a bit takes a byte."""
        return self.pixels * self.samples * max(1, self.bits_allocated // 8)


def shape_of(data_set: Dataset, pixels_keyword: str) -> Shape:
    """What the data set tells; `PixelFault` if it is nothing that can be shown."""
    is_float = pixels_keyword in FLOATS
    bits = FLOATS.get(pixels_keyword) or whole(data_set, "BitsAllocated")
    bits_stored = bits if is_float else whole(data_set, "BitsStored", bits)
    shape = Shape(
        rows=whole(data_set, "Rows"),
        columns=whole(data_set, "Columns"),
        samples=whole(data_set, "SamplesPerPixel", 1),
        frames=whole(data_set, "NumberOfFrames", 1) or 1,
        bits_allocated=bits,
        bits_stored=bits_stored,
        high_bit=whole(data_set, "HighBit", bits_stored - 1),
        is_signed=not is_float and whole(data_set, "PixelRepresentation", 0) == 1,
        photometric=str(data_set.get("PhotometricInterpretation", "") or "").strip().upper(),
        is_planar=whole(data_set, "PlanarConfiguration", 0) == 1,
        is_float=is_float,
    )
    _require_sound(shape)
    return shape


def whole(data_set: Dataset, keyword: str, default: int | None = None) -> int:
    """A whole number of a data set; the first, if there are several, which some devices write."""
    value: Any = data_set.get(keyword)
    if value is None or value == "":
        if default is None:
            raise PixelFault("description", f"{keyword} is missing")
        return default
    try:
        return int(value[0] if isinstance(value, list | tuple) or hasattr(value, "__getitem__") else value)
    except (TypeError, ValueError, IndexError, OverflowError):
        raise PixelFault("description", f"{keyword} is no number") from None


def _require_sound(shape: Shape) -> None:
    if not (0 < shape.rows <= SIDE_MAX and 0 < shape.columns <= SIDE_MAX):
        raise PixelFault("size", f"{shape.rows} x {shape.columns}")
    bits = (*NATIVE_BITS, 64) if shape.is_float else NATIVE_BITS
    if shape.bits_allocated not in bits or not 0 < shape.bits_stored <= shape.bits_allocated:
        raise PixelFault("description", f"{shape.bits_stored} of {shape.bits_allocated} bits")
    if not shape.bits_stored - 1 <= shape.high_bit < shape.bits_allocated:
        raise PixelFault("description", f"high bit {shape.high_bit}")
    _require_kind(shape)
    if shape.frames < 1:
        raise PixelFault("description", f"{shape.frames} frames")
    if shape.frames > FRAMES_MAX or shape.decoded_bytes > FRAME_BYTES_MAX:
        raise PixelFault("too-large", f"{shape.frames} frames of {shape.rows} x {shape.columns}")
    if shape.frames * shape.decoded_bytes > DECODED_BYTES_MAX:
        raise PixelFault("too-large", f"{shape.frames} frames of {shape.decoded_bytes} bytes")


def _require_kind(shape: Shape) -> None:
    samples = 3 if shape.photometric in COLOUR else 1
    if shape.photometric not in GREY | COLOUR | {PALETTE}:
        raise PixelFault("kind", shape.photometric[:16] or "none")
    if shape.samples != samples:
        raise PixelFault("description", f"{shape.samples} samples of {shape.photometric}")
    if shape.photometric == PALETTE and shape.bits_allocated not in (8, 16):
        raise PixelFault("description", f"a palette of {shape.bits_allocated} bits")
    if samples == 3 and shape.bits_allocated == 1:
        raise PixelFault("description", "colours of one bit")
