"""What a codestream's own header says of its image, read before a decoder sees it.

JPEG (ISO 10918-1 annex B), JPEG-LS (ISO 14495-1 annex C), JPEG 2000 and HTJ2K (ISO 15444-1 annex A, 15444-15), RLE
(PS3.5 annex G). A header that does not agree with the data set ends as a fault: the decoder would otherwise make room
for whatever it says.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from dicom.pixels.faults import PixelFault
from dicom.pixels.shape import Shape

Coding = Literal["native", "rle", "deflate", "jpeg", "jpeg-ls", "jpeg-2000", "htj2k"]
_UID: Final = "1.2.840.10008.1.2."
CODINGS: Final[Mapping[str, Coding]] = {
    "1.2.840.10008.1.2": "native",
    **dict.fromkeys((f"{_UID}1", f"{_UID}2", f"{_UID}1.99", f"{_UID}1.98"), "native"),
    f"{_UID}5": "rle",
    f"{_UID}8.1": "deflate",
    **dict.fromkeys((f"{_UID}4.50", f"{_UID}4.51", f"{_UID}4.57", f"{_UID}4.70"), "jpeg"),
    **dict.fromkeys((f"{_UID}4.80", f"{_UID}4.81"), "jpeg-ls"),
    **dict.fromkeys((f"{_UID}4.90", f"{_UID}4.91", f"{_UID}4.92", f"{_UID}4.93"), "jpeg-2000"),
    **dict.fromkeys((f"{_UID}4.201", f"{_UID}4.202", f"{_UID}4.203"), "htj2k"),
}
VIDEO: Final = tuple(f"{_UID}4.{number}" for number in range(100, 109))
TILES_MAX: Final = 4_096  # a tile costs the decoder memory whether or not it is there
COMPONENTS_MAX: Final = 4
SEGMENTS_MAX: Final = 15  # of RLE

_SOS, _EOI, _APP14, _APP0, _JPEG_LS = 0xDA, 0xD9, 0xEE, 0xE0, 0xF7
_FRAMES: Final = frozenset(
    (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7)
)
_ALONE: Final = frozenset((0x01, 0xFF, *range(0xD0, 0xD8)))  # markers without a segment


@dataclass(frozen=True)
class Stream:
    """What a header says. `process` is the JPEG SOF's low digits (0: baseline, 3: lossless), else 0."""

    rows: int
    columns: int
    samples: int
    bits: int
    is_signed: bool | None = None  # None: it does not say
    process: int = 0
    transform: int | None = None  # of Adobe's APP14: 0 none, 1 YCbCr
    has_jfif: bool = False
    component_ids: bytes = b""
    is_jpeg: bool = False
    tiles: int = 1


def coding_of(syntax: str) -> Coding:
    """How the frames of a transfer syntax are written; `PixelFault` if the hub can't read them."""
    if syntax.startswith(VIDEO):
        raise PixelFault("video", syntax)
    if syntax not in CODINGS:
        raise PixelFault("syntax", syntax)
    return CODINGS[syntax]


def require_agreement(coding: Coding, data: bytes, shape: Shape) -> Stream | None:
    """The header of a frame's codestream, after it was held against the data set; None if it has none."""
    read = _READERS.get(coding)
    if read is None:
        return None
    try:
        stream = read(data)
    except (struct.error, IndexError, OverflowError):
        raise PixelFault("cut", f"{coding} header") from None
    if (stream.rows, stream.columns, stream.samples) != (shape.rows, shape.columns, shape.samples):
        raise PixelFault(
            "differs",
            f"{stream.rows} x {stream.columns} x {stream.samples} in the codestream,"
            f" {shape.rows} x {shape.columns} x {shape.samples} in the data set",
        )
    if not 0 < stream.tiles <= TILES_MAX:
        raise PixelFault("too-large", f"{stream.tiles} tiles")
    if not 0 < stream.bits <= max(shape.bits_allocated, 8):
        raise PixelFault("differs", f"{stream.bits} bits in the codestream, {shape.bits_allocated} allocated")
    return stream


def jpeg(data: bytes) -> Stream:
    """The first frame header of a JPEG or JPEG-LS codestream."""
    if data[:2] != b"\xff\xd8":
        raise PixelFault("damaged", "no JPEG")
    position, transform, has_jfif = 2, None, False
    while True:
        while data[position] != 0xFF:  # what some encoders leave between segments
            position += 1
        marker = data[position + 1]
        if marker in _ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in (_SOS, _EOI):
            raise PixelFault("damaged", "no frame header")
        (length,) = struct.unpack_from(">H", data, position + 2)
        body = data[position + 4 : position + 2 + length]
        if marker == _APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            transform = body[11]
        elif marker == _APP0 and body[:5] == b"JFIF\0":
            has_jfif = True
        elif marker in _FRAMES:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", body)
            names = body[6 : 6 + 3 * samples : 3]
            is_jpeg = marker != _JPEG_LS
            return Stream(
                rows, columns, samples, bits, None, marker & 0xF, transform, has_jfif, names, is_jpeg
            )
        position += 2 + length


def jpeg_2000(data: bytes) -> Stream:
    """The SIZ segment of a JPEG 2000 or HTJ2K codestream, which some wrap in a JP2 file."""
    start = _in_jp2(data) if data[4:8] == b"jP  " else 0
    if data[start : start + 4] != b"\xff\x4f\xff\x51":
        raise PixelFault("damaged", "no JPEG 2000")
    x1, y1, x0, y0, tile_x, tile_y, tile_x0, tile_y0, samples = struct.unpack_from(">8IH", data, start + 8)
    if not (0 < samples <= COMPONENTS_MAX and x0 < x1 and y0 < y1 and tile_x and tile_y):
        raise PixelFault("differs", f"{samples} components from {x0},{y0} to {x1},{y1}")
    components = [struct.unpack_from(">BBB", data, start + 42 + 3 * number) for number in range(samples)]
    if len(set(components)) != 1 or components[0][1:] != (1, 1):
        raise PixelFault("kind", "components of different kind")
    depth, tiles = components[0][0], -(-(x1 - tile_x0) // tile_x) * -(-(y1 - tile_y0) // tile_y)
    return Stream(y1 - y0, x1 - x0, samples, (depth & 0x7F) + 1, depth >> 7 == 1, tiles=tiles)


def _in_jp2(data: bytes) -> int:
    """Where the codestream begins in a JP2 file (ISO 15444-1 annex I)."""
    position = 0
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"jp2c":
            return position + (16 if length == 1 else 8)
        if length < 8:
            raise PixelFault("damaged", "JP2 boxes")
        position += length


_READERS: Final[Mapping[Coding, Callable[[bytes], Stream]]] = {
    "jpeg": jpeg,
    "jpeg-ls": jpeg,
    "jpeg-2000": jpeg_2000,
    "htj2k": jpeg_2000,
}
