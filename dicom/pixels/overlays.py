"""Overlay planes (PS3.3 C.9.2), of their own or in bits of the pixels that these don't use (retired, PS3.5 8.1.2)."""

import base64
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom.pixels.codestreams import CODINGS
from dicom.pixels.frames import Pixels, native_frame

GROUPS: Final = range(0x6000, 0x6020, 2)
SIDE_MAX: Final = 8_192
_ROWS, _COLUMNS, _ORIGIN, _BITS, _POSITION, _LABEL, _DATA = 0x10, 0x11, 0x50, 0x100, 0x102, 0x1500, 0x3000


def of(pixels: Pixels) -> list[dict[str, Any]]:
    """The first frame of each overlay plane: bits packed in rows one after another, the lowest bit first."""
    found = []
    for group in GROUPS:
        try:
            plane = _plane(pixels, group)
        except (TypeError, ValueError, AttributeError, IndexError, NotImplementedError):
            continue  # an overlay that can't be read hides no image
        if plane is not None:
            found.append(plane)
    return found


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
    origin = _value(data_set, group, _ORIGIN)
    return {
        "rows": int(rows),
        "columns": int(columns),
        "origin": [int(one) for one in origin] if origin is not None and len(origin) == 2 else [1, 1],
        "bits": base64.b64encode(np.packbits(bits, bitorder="little").tobytes()).decode(),
        "label": str(_value(data_set, group, _LABEL) or "").replace("\0", "").strip()[:64],
    }


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
