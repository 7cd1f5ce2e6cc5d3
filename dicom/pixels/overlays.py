"""Overlay planes (PS3.3 C.9.2), of their own or in bits of the pixels that these don't use (retired, PS3.5 8.1.2).

No more than what lies on the image, and all together no more than a layout can carry: planes that are nearly empty
take next to nothing in a deflated file.
"""

import base64
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom.pixels.codestreams import CODINGS
from dicom.pixels.frames import Pixels, native_frame
from dicom.pixels.shape import Shape

GROUPS: Final = range(0x6000, 0x6020, 2)
SIDE_MAX: Final = 8_192
CHARS_MAX: Final = 4 << 20  # of base64, of all planes: one over a mammogram of 24 million pixels
_ROWS, _COLUMNS, _ORIGIN, _BITS, _POSITION, _LABEL, _DATA = 0x10, 0x11, 0x50, 0x100, 0x102, 0x1500, 0x3000


def of(pixels: Pixels) -> dict[str, Any]:
    """`overlays`: the first frame of each plane, bits packed in rows one after another, the lowest bit first.

    `overlays_left_out`, if it is there: how many were too much.
    """
    found: list[dict[str, Any]] = []
    left, left_out = CHARS_MAX, 0
    for group in GROUPS:
        try:
            plane = _plane(pixels, group)
        except (TypeError, ValueError, AttributeError, IndexError, NotImplementedError):
            continue  # an overlay that can't be read hides no image
        if plane is None:
            continue
        if len(plane["bits"]) > left:
            left_out += 1
            continue
        left -= len(plane["bits"])
        found.append(plane)
    return {"overlays": found, **({"overlays_left_out": left_out} if left_out else {})}


def _plane(pixels: Pixels, group: int) -> dict[str, Any] | None:
    data_set = pixels.data_set
    rows, columns = (_value(data_set, group, element) for element in (_ROWS, _COLUMNS))
    if rows is None or columns is None or not (0 < int(rows) <= SIDE_MAX and 0 < int(columns) <= SIDE_MAX):
        return None
    size = int(rows) * int(columns)
    data = _value(data_set, group, _DATA)
    if isinstance(data, bytes) and len(data) * 8 >= size:
        bits = np.unpackbits(np.frombuffer(_ordered(pixels, group, data), np.uint8), bitorder="little")[:size]
    elif (int(rows), int(columns)) == (pixels.shape.rows, pixels.shape.columns):
        embedded = _embedded(pixels, group)
        if embedded is None:
            return None
        bits = embedded
    else:
        return None
    told = _value(data_set, group, _ORIGIN)
    origin = [int(one) for one in told] if told is not None and len(told) == 2 else [1, 1]
    plane, origin = _on_image(bits.reshape(int(rows), int(columns)), origin, pixels.shape)
    if not plane.size:
        return None
    return {
        "rows": plane.shape[0],
        "columns": plane.shape[1],
        "origin": origin,
        "bits": base64.b64encode(np.packbits(plane.reshape(-1), bitorder="little").tobytes()).decode(),
        "label": str(_value(data_set, group, _LABEL) or "").replace("\0", "").strip()[:64],
    }


def _on_image(
    plane: NDArray[np.uint8], origin: list[int], shape: Shape
) -> tuple[NDArray[np.uint8], list[int]]:
    """What of a plane lies on the image, and where; the origin is counted from 1 (PS3.3 C.9.2.1.3)."""
    (row, column), (rows, columns) = origin, plane.shape
    up, left = max(0, 1 - row), max(0, 1 - column)
    down, right = min(rows, shape.rows - row + 1), min(columns, shape.columns - column + 1)
    return plane[up : max(up, down), left : max(left, right)], [row + up, column + left]


def _value(data_set: Dataset, group: int, element: int) -> Any:
    found = data_set.get((group, element))
    return None if found is None else found.value


def _ordered(pixels: Pixels, group: int, data: bytes) -> bytes:
    """Words of a big-endian data set, brought into the order of bytes."""
    if pixels.is_little or pixels.data_set[(group, _DATA)].VR != "OW":
        return data
    return np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()


def _embedded(pixels: Pixels, group: int) -> NDArray[np.uint8] | None:
    position = _value(pixels.data_set, group, _POSITION)
    allocated = _value(pixels.data_set, group, _BITS)
    shape = pixels.shape
    is_native = CODINGS.get(pixels.syntax) == "native" and pixels.length is not None
    if position is None or allocated != shape.bits_allocated or not is_native or shape.samples != 1:
        return None
    if shape.bits_allocated not in (8, 16) or not shape.high_bit < int(position) < shape.bits_allocated:
        return None
    order = "<" if pixels.is_little else ">"
    words = np.frombuffer(native_frame(pixels, 0), f"{order}u{shape.bits_allocated // 8}", shape.pixels)
    return (words >> int(position) & 1).astype(np.uint8)
