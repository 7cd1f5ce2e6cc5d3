"""The serving copy of an instance: its frames one after another, as HTJ2K without loss, or as the JPEG they came as.

HTJ2K (ISO 15444-15) in resolution order (RPCL), a tile part for each resolution: each prefix of a frame that ends at a
tile part is the image at a smaller size. Baseline JPEG of 8 bits stays as it came: no bigger, and browsers decode it.
"""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicom import uids
from dicom.pixels import layout
from dicom.pixels.codestreams import Stream, coding_of
from dicom.pixels.colour import is_transformed
from dicom.pixels.decoding import stored_frame
from dicom.pixels.faults import PixelFault
from dicom.pixels.frames import Pixels, raw_frames
from dicom.pixels.shape import GREY
from dicom.pixels.showing import Showing

Array = NDArray[Any]
Write = Callable[[bytes], object]
HTJ2K: Final = "image/jphc"
JPEG: Final = "image/jpeg"
PLAIN: Final = (uids.IMPLICIT_LITTLE, uids.EXPLICIT_LITTLE, uids.EXPLICIT_BIG)  # not deflated
LAYOUT_CHARS_MAX: Final = 16 << 20  # 20,000 frames, each with a place of its own, take a third
_SOT, _EOC = 0xFF90, 0xFFD9
# Adobe's APP14 (T.872 6.5.3), transform 0: what a decoder must know of RGB where no marker tells.
_ADOBE: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


@dataclass(frozen=True)
class Copy:
    """The frames' media type, and how to show them, as `layout` has it."""

    media_type: str
    layout: dict[str, Any]
    native: dict[str, Any] | None = None  # where the frames lie in the file, if they are plain grey words


def make(pixels: Pixels, write: Write) -> Copy:
    """Decode each frame and hand its codestream on to `write`; `PixelFault` at the first that can't be decoded."""
    showing = Showing(pixels)
    coding = coding_of(pixels.syntax)
    as_it_came = pixels.syntax.endswith(".4.50") and pixels.shape.bits_stored == 8
    frames, at, media_type = [], 0, HTJ2K
    for number, data in enumerate(raw_frames(pixels)):
        values, stream = stored_frame(pixels, coding, data, number)
        picture = showing.show(values, stream)
        kept = _for_browsers(data, pixels, stream) if as_it_came and stream is not None else None
        if number == 0 and kept is not None:
            media_type = JPEG
        if (kept is None) != (media_type == HTJ2K):
            raise PixelFault("kind", "frames of different colour")
        encoded, cuts = (kept, [len(kept)]) if kept is not None else encode(picture)
        write(encoded)
        frames.append({"offset": at, "length": len(encoded), "cuts": cuts})
        at += len(encoded)
    if len(frames) != pixels.shape.frames:
        raise PixelFault("cut", f"{len(frames)} frames of {pixels.shape.frames}")
    described = layout.of(pixels, frames, showing.shown())
    if len(json.dumps(described)) > LAYOUT_CHARS_MAX:
        raise PixelFault("too-large", "what a viewer has to know of it")
    return Copy(media_type, described, _native(pixels))


def _native(pixels: Pixels) -> dict[str, Any] | None:
    """Where uncompressed grey words of 8 or 16 bits begin, and how they hold their values."""
    shape = pixels.shape
    is_plain = pixels.syntax in PLAIN and pixels.length is not None and shape.photometric in GREY
    is_in_words = shape.bits_allocated == 16 or pixels.is_little or pixels.vr != "OW"
    if not (is_plain and is_in_words) or shape.is_float or shape.bits_allocated not in (8, 16):
        return None
    return {
        "at": pixels.at,
        "bits": shape.bits_allocated,
        "bits_stored": shape.bits_stored,
        "high_bit": shape.high_bit,
        "little": pixels.is_little,
    }


def encode(picture: Array) -> tuple[bytes, list[int]]:
    """HTJ2K of (rows, columns) or (rows, columns, 3) integers; and its prefixes' lengths, the smallest size first."""
    try:
        data = bytes(
            imagecodecs.htj2k_encode(
                np.ascontiguousarray(picture), tlm=True, tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS
            )
        )
    except (RuntimeError, ValueError) as failure:
        raise PixelFault("too-large", type(failure).__name__) from None
    return data, cuts(data)


def decode(data: bytes) -> Array:
    """The pixels of a frame that `encode` made."""
    return np.asarray(imagecodecs.htj2k_decode(data))


def cuts(data: bytes) -> list[int]:
    """Where each tile part ends (SOT, ISO 15444-1 A.4.2); the last is the whole."""
    found, position = [], 2
    while position + 12 <= len(data):
        (marker,) = struct.unpack_from(">H", data, position)
        if marker == _SOT:
            (length,) = struct.unpack_from(">I", data, position + 6)
            position += length
            found.append(position)
        elif marker == _EOC:
            break
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            position += 2 + length
    return [*found[:-1], len(data)]


def _for_browsers(data: bytes, pixels: Pixels, stream: Stream) -> bytes | None:
    """The JPEG as every decoder takes it by its markers alone (JFIF, Adobe, component names); None if they mislead."""
    if stream.process not in (0, 1) or stream.bits != 8:
        return None
    if stream.samples == 1:
        return data
    meant = is_transformed(pixels.shape, stream)
    if stream.has_jfif:
        taken = True
    elif stream.transform is not None:
        taken = stream.transform != 0
    else:
        taken = stream.component_ids != b"RGB"
    if meant == taken:
        return data
    return None if stream.has_jfif or stream.transform is not None or meant else data[:2] + _ADOBE + data[2:]
