"""Frames decoded, one at a time, to the values they store: integers as the data set tells, or floats.

Codecs are those of imagecodecs (libjpeg-turbo, CharLS, OpenJPEG, OpenJPH). What reaches one of them has a header that
agrees with the data set (`codestreams`); what leaves it is held against the data set again.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicom.pixels.codestreams import SEGMENTS_MAX, Coding, Stream, coding_of, jpeg, require_agreement
from dicom.pixels.faults import PixelFault
from dicom.pixels.frames import Pixels, raw_frames
from dicom.pixels.shape import Shape

Array = NDArray[Any]
_CODEC_ERRORS: Final = (RuntimeError, ValueError, TypeError, OSError, MemoryError, NotImplementedError)


def stored_frames(pixels: Pixels) -> Iterator[Array]:
    """The stored values of each frame in turn; raises `PixelFault`."""
    coding = coding_of(pixels.syntax)
    for number, data in enumerate(raw_frames(pixels)):
        yield stored_frame(pixels, coding, data, number)[0]


def stored_frame(pixels: Pixels, coding: Coding, data: bytes, number: int) -> tuple[Array, Stream | None]:
    """The stored values of the frame of which these are the bytes, and its codestream's header, if it has one.

    (rows, columns) or (rows, columns, 3), colours as they were coded.

    Of integers the type is the smallest of 8, 16 and 32 bits that holds `bits_stored`, signed as told; bits above the
    high bit (overlays of old) are gone. Raises `PixelFault`.
    """
    shape = pixels.shape
    if coding == "native":
        return _native(data, shape, pixels.is_little, number), None
    if coding == "rle":
        return _values(_rle(data, shape), shape, None), None
    if coding == "deflate":
        return _native(_inflated(data, shape), shape, True, 0), None
    stream = require_agreement(coding, data, shape)
    try:
        decoded = _DECODERS[coding](data)
    except _CODEC_ERRORS as failure:
        raise PixelFault("damaged", f"{coding}: {type(failure).__name__}") from None
    if decoded.size != shape.pixels * shape.samples:
        raise PixelFault("differs", f"decoded to {decoded.shape}")
    return _values(decoded.reshape(_dimensions(shape)), shape, stream), stream


def _jpeg(data: bytes) -> Array:
    """Components as they are coded: a colour transform, if any, is undone by `colour`, which knows the data set."""
    as_it_is = imagecodecs.JPEG8.CS.RGB if jpeg(data).samples == 3 else None  # from RGB to RGB: no transform
    return np.asarray(imagecodecs.jpeg8_decode(data, colorspace=as_it_is, outcolorspace=as_it_is))


def _jpeg_2000(data: bytes) -> Array:
    """Also HTJ2K of strangers: OpenJPH as it is called here wraps values that loss has brought past the ends."""
    return np.asarray(imagecodecs.jpeg2k_decode(data, numthreads=1))


_DECODERS: Final[Mapping[Coding, Callable[[bytes], Array]]] = {
    "jpeg": _jpeg,
    "jpeg-ls": lambda data: np.asarray(imagecodecs.jpegls_decode(data)),
    "jpeg-2000": _jpeg_2000,
    "htj2k": _jpeg_2000,
}


def _dimensions(shape: Shape) -> tuple[int, ...]:
    return (shape.rows, shape.columns) if shape.samples == 1 else (shape.rows, shape.columns, shape.samples)


def _native(data: bytes, shape: Shape, is_little: bool, number: int) -> Array:
    if shape.bits_allocated == 1:
        skipped = (
            number * shape.pixels % 8 if len(data) * 8 != -(-shape.pixels // 8) * 8 or shape.pixels % 8 else 0
        )
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[skipped : skipped + shape.pixels].reshape(shape.rows, shape.columns)
    order, size = "<" if is_little else ">", shape.bits_allocated // 8
    if len(data) < shape.frame_bits // 8:
        raise PixelFault("cut", f"a frame of {len(data)} bytes")
    values = np.frombuffer(
        data, f"{order}{'f' if shape.is_float else 'u'}{size}", shape.frame_bits // 8 // size
    )
    if shape.photometric == "YBR_FULL_422" and shape.samples == 3:
        return _values(_upsampled(values, shape), shape, None)
    if shape.samples == 3 and shape.is_planar:
        values = np.moveaxis(values.reshape(3, shape.rows, shape.columns), 0, 2)
    return _values(values.reshape(_dimensions(shape)), shape, None)


def _upsampled(values: Array, shape: Shape) -> Array:
    """Y1 Y2 Cb Cr of two pixels each, the chrominance shared (PS3.3 C.7.6.3.1.2)."""
    if shape.pixels % 2:
        raise PixelFault("description", "an odd number of pixels in 4:2:2")
    pairs = values.reshape(-1, 4)
    full = np.empty((shape.pixels, 3), values.dtype)
    full[0::2, 0], full[1::2, 0] = pairs[:, 0], pairs[:, 1]
    full[:, 1:] = np.repeat(pairs[:, 2:], 2, axis=0)
    return full.reshape(shape.rows, shape.columns, 3)


def _rle(data: bytes, shape: Shape) -> Array:
    """PS3.5 annex G: a segment for each byte of each sample, the highest byte first."""
    depth = max(1, shape.bits_allocated // 8)
    count = shape.samples * depth
    if len(data) < 64:
        raise PixelFault("cut", "RLE header")
    segments, *offsets = struct.unpack_from("<16I", data)
    if segments != count or segments > SEGMENTS_MAX:
        raise PixelFault("differs", f"{segments} segments, {count} bytes a pixel")
    places = [*offsets[:count], len(data)]
    if places[0] < 64 or sorted(places) != places:
        raise PixelFault("damaged", "RLE offsets")
    size = -(-shape.pixels // 8) if shape.bits_allocated == 1 else shape.pixels
    planes = np.empty((count, size), np.uint8)
    for number in range(count):
        planes[number] = _unpacked(data[places[number] : places[number + 1]], size)
    if shape.bits_allocated == 1:
        return np.unpackbits(planes[0], bitorder="little")[: shape.pixels].reshape(shape.rows, shape.columns)
    words = np.moveaxis(planes.reshape(shape.samples, depth, size), 1, 2)
    values = np.ascontiguousarray(words).view(f">u{depth}").reshape(shape.samples, shape.rows, shape.columns)
    return values[0] if shape.samples == 1 else np.moveaxis(values, 0, 2)


def _unpacked(data: bytes, size: int) -> Array:
    """PackBits, to this many bytes (PS3.5 G.3.2)."""
    try:
        unpacked = imagecodecs.packbits_decode(data, out=size)
    except _CODEC_ERRORS:
        raise PixelFault("damaged", "RLE") from None
    if len(unpacked) < size:
        raise PixelFault("cut", "RLE")
    return np.frombuffer(unpacked, np.uint8, size)


def _inflated(data: bytes, shape: Shape) -> bytes:
    """A deflated frame (PS3.5 annex A.4.13), never more than it should be."""
    size = -(-shape.frame_bits // 8)
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)
    except zlib.error:
        raise PixelFault("damaged", "deflate") from None
    if len(inflated) < size:
        raise PixelFault("cut", "deflate")
    return inflated


def _values(values: Array, shape: Shape, stream: Stream | None) -> Array:
    """Stored values in their type: the bits above the high bit away, the sign extended."""
    if shape.is_float:
        return values.astype(np.float32 if shape.bits_allocated == 32 else np.float64)
    width = max(8, values.dtype.itemsize * 8)
    unsigned = values.astype(f"u{width // 8}", copy=False) if values.dtype.kind != "u" else values
    low = shape.high_bit + 1 - shape.bits_stored if stream is None else 0
    if low:
        unsigned = unsigned >> low
    spare = width - shape.bits_stored
    if shape.is_signed:
        signed = (unsigned.astype(f"u{width // 8}") << max(spare, 0)).view(f"i{width // 8}") >> max(spare, 0)
        return signed.astype(_type(shape.bits_stored, True))
    if spare > 0:
        unsigned = unsigned & ((1 << shape.bits_stored) - 1)
    return unsigned.astype(_type(shape.bits_stored, False))


def _type(bits: int, is_signed: bool) -> str:
    return f"{'i' if is_signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}"
