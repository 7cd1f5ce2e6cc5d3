"""Colours as RGB of 8 bits a sample: from palettes, luminance and chrominance, deeper samples (PS3.3 C.7.6.3.1.2)."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom.pixels.codestreams import Stream
from dicom.pixels.faults import PixelFault
from dicom.pixels.shape import PALETTE, Shape

Array = NDArray[Any]
ENTRIES_MAX: Final = 65_536
# ITU-R BT.601 with the full range of 8 bits (PS3.3 C.7.6.3.1.2), inverted.
_FROM_YBR: Final = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
_NAMES: Final = ("Red", "Green", "Blue")


def is_transformed(shape: Shape, stream: Stream | None) -> bool:
    """Whether three samples are luminance and chrominance: the data set says so, or where it says RGB the codestream.

    Many a device writes RGB and encodes YCbCr: then JFIF or Adobe's marker says so (ISO 10918-5, T.872 6.5.3).
    """
    is_full = shape.photometric in ("YBR_FULL", "YBR_FULL_422")
    if shape.samples != 3 or stream is None or not stream.is_jpeg:
        return shape.samples == 3 and is_full
    if shape.photometric.startswith("YBR"):
        return stream.component_ids != b"RGB"
    is_cosine = stream.process != 3
    return is_cosine and (stream.transform == 1 or (stream.has_jfif and stream.transform is None))


def rgb_from_ybr(values: Array) -> Array:
    """(rows, columns, 3) uint8 of luminance and chrominance to RGB, rounded."""
    shifted = values.astype(np.float32)
    shifted[..., 1:] -= 128.0
    rgb = shifted @ _FROM_YBR.astype(np.float32).T
    rounded: Array = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return rounded


def eight_bits(values: Array, bits_stored: int) -> Array:
    """Samples of more than 8 bits by their highest 8, as a screen shows them."""
    if values.dtype.kind == "i":
        raise PixelFault("kind", "signed colours")
    if bits_stored <= 8:
        return values.astype(np.uint8) << (8 - bits_stored)
    return (values >> (bits_stored - 8)).astype(np.uint8)


def palette(data_set: Dataset) -> tuple[Array, int]:
    """The palette colour lookup tables as (entries, 3) uint8, and the stored value of the first entry.

    PS3.3 C.7.6.3.1.5 and C.7.9 (segmented). Tables of different first value or length are refused.
    """
    tables, firsts = [], set()
    for name in _NAMES:
        table, first = _table(data_set, name)
        tables.append(table)
        firsts.add(first)
    if len(firsts) != 1 or len({len(table) for table in tables}) != 1:
        raise PixelFault("kind", "palettes of different range")
    return np.stack(tables, axis=1), firsts.pop()


def rgb_from_palette(values: Array, table: Array, first: int) -> Array:
    """(rows, columns) of stored values to (rows, columns, 3) uint8; values beyond the ends take the ends."""
    return table[np.clip(values.astype(np.int64) - first, 0, len(table) - 1)]


def _table(data_set: Dataset, name: str) -> tuple[Array, int]:
    descriptor = data_set.get(f"{name}PaletteColorLookupTableDescriptor")
    if descriptor is None or len(descriptor) != 3:
        raise PixelFault("description", f"no {PALETTE.lower()} table")
    entries, first, bits = (int(value) for value in descriptor)
    entries = (entries & 0xFFFF) or ENTRIES_MAX
    if bits not in (8, 16):
        raise PixelFault("description", f"palette of {bits} bits")
    data = data_set.get(f"{name}PaletteColorLookupTableData")
    is_little = data_set.original_encoding[1] is not False
    if data is not None:
        return _entries(data, entries, bits, is_little), first
    segments = data_set.get(f"Segmented{name}PaletteColorLookupTableData")
    if segments is None:
        raise PixelFault("description", f"no {PALETTE.lower()} data")
    return _expanded(segments, entries, bits, is_little), first


def _entries(data: bytes, entries: int, bits: int, is_little: bool) -> Array:
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if is_little else ">u2")
    if bits == 16 and len(words) >= entries:
        return (words[:entries] >> 8).astype(np.uint8)
    if bits == 8 and len(data) >= 2 * entries:  # a word for each entry; the meaning byte is the low one
        return words[:entries].astype(np.uint8)
    if bits == 8 and len(data) >= entries:
        plain = data if is_little else words.astype("<u2").tobytes()
        return np.frombuffer(plain, np.uint8, entries).copy()
    raise PixelFault("cut", "palette")


def _expanded(data: bytes, entries: int, bits: int, is_little: bool) -> Array:
    """Discrete, linear and indirect segments (PS3.3 C.7.9.2)."""
    order = "<" if is_little else ">"
    words = np.frombuffer(data[: len(data) // (bits // 8) * (bits // 8)], f"{order}u{bits // 8}").tolist()
    made: list[int] = []
    steps = 0

    def run(position: int, end: int, segments: int) -> int:
        nonlocal steps
        while position + 1 < end and segments:
            steps += 1
            if len(made) > entries or steps > ENTRIES_MAX:
                raise PixelFault("damaged", "segmented palette")
            opcode, length = words[position], words[position + 1]
            if opcode == 0:
                made.extend(words[position + 2 : position + 2 + length])
                position += 2 + length
            elif opcode == 1 and made and position + 2 < end:
                made.extend(
                    np.rint(np.linspace(made[-1], words[position + 2], length + 1)[1:]).astype(int).tolist()
                )
                position += 3
            elif opcode == 2 and bits == 16 and position + 3 < end and segments == -1:
                run(words[position + 2] | words[position + 3] << 16, end, length)
                position += 4
            else:
                raise PixelFault("damaged", "segmented palette")
            segments -= segments > 0
        return position

    run(0, len(words), -1)
    if len(made) < entries:
        raise PixelFault("cut", "segmented palette")
    table = np.array(made[:entries], np.uint16)
    return (table >> 8 if bits == 16 else table).astype(np.uint8)
