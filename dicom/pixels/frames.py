"""An instance's data set up to its pixels, and the bytes of each frame as they stand (PS3.5 8.2 and annex A.4).

Reads from a file, a frame at a time: what is held in memory is bounded by the frame, not by the file. Every length is
held against what is there before anything is read.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import BinaryIO, Final

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicom import part10, uids
from dicom.pixels.faults import PixelFault
from dicom.pixels.shape import Shape, shape_of

INFLATED_BYTES_MAX: Final = 256 << 20  # of a deflated data set
DEFERRED_BYTES: Final = 16 << 20  # of an element before the pixels that is not read
FRAGMENTS_MAX: Final = 1 << 20
UNDEFINED: Final = 0xFFFF_FFFF
_KEYWORDS: Final = {
    0x7FE0_0008: "FloatPixelData",
    0x7FE0_0009: "DoubleFloatPixelData",
    0x7FE0_0010: "PixelData",
}
_ITEM, _END = 0xFFFE_E000, 0xFFFE_E0DD
_LONG: Final = frozenset((b"OB", b"OW", b"UN", b"OF", b"OD", b"OL", b"OV"))
_END_OF_IMAGE: Final = b"\xff\xd9"  # JPEG, JPEG-LS, JPEG 2000 and HTJ2K alike


@dataclass(frozen=True)
class Pixels:
    """Where an instance's pixel data stand: `length` is None if they are encapsulated."""

    file: BinaryIO
    size: int
    data_set: Dataset
    syntax: str
    keyword: str  # "" if there are none
    vr: str
    at: int
    length: int | None
    is_little: bool

    @cached_property
    def shape(self) -> Shape:
        return shape_of(self.data_set, self.keyword)

    @cached_property
    def fragments(self) -> tuple[list[tuple[int, int]], list[int]]:
        """Of encapsulated pixel data: (position, length) of each fragment, and the basic offset table."""
        return _fragments(self.file, self.at, self.size)


def open_pixels(file: BinaryIO) -> Pixels:
    """Read the data set of a DICOM file up to its pixels; `InvalidInstance` if the file is none."""
    beginning = file.read(part10.META_BYTES_MAX + part10.PREAMBLE_BYTES + 4)
    meta = part10.read_meta(beginning)
    encoding = uids.TRANSFER_SYNTAXES.get(meta.transfer_syntax)
    if encoding is None:
        raise PixelFault("syntax", meta.transfer_syntax)
    file.seek(meta.data_set_at)
    if encoding.is_deflated:
        file = BytesIO(_inflated(file))
    start = file.tell()
    size = file.seek(0, 2)
    file.seek(start)
    data_set = read_dataset(
        file, not encoding.is_explicit, encoding.is_little, stop_when=_at_pixels, defer_size=DEFERRED_BYTES
    )
    found = _element(file, encoding.is_explicit, encoding.is_little)
    return Pixels(file, size, data_set, meta.transfer_syntax, *found, is_little=encoding.is_little)


def _at_pixels(tag: int, _vr: str | None, _length: int) -> bool:
    return tag >= 0x7FE0_0008


def _inflated(file: BinaryIO) -> bytes:
    """A deflated data set (PS3.5 annex A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(file.read(), INFLATED_BYTES_MAX + 1)
    except zlib.error as failure:
        raise PixelFault("damaged", "deflate") from failure
    if len(data) > INFLATED_BYTES_MAX:
        raise PixelFault("too-large", "deflated")
    return data


def _element(file: BinaryIO, is_explicit: bool, is_little: bool) -> tuple[str, str, int, int | None]:
    """Keyword, VR, position and length of the pixel data that begin here."""
    head = file.read(12)
    order = "<" if is_little else ">"
    if len(head) < 8:
        return "", "", 0, 0
    group, element = struct.unpack_from(f"{order}HH", head)
    keyword = _KEYWORDS.get(group << 16 | element, "")
    vr, at = "OW", file.tell() - len(head) + 8
    (length,) = struct.unpack_from(f"{order}I", head, 4)
    if (
        head[4:6] in _LONG and len(head) == 12
    ):  # also where implicit VR was announced and explicit was written
        vr, at = head[4:6].decode(), at + 4
        (length,) = struct.unpack_from(f"{order}I", head, 8)
    elif is_explicit and head[4:6].isalpha():
        raise PixelFault("description", "pixel data of another kind")
    return keyword, vr, at, None if length == UNDEFINED else length


def _fragments(file: BinaryIO, at: int, size: int) -> tuple[list[tuple[int, int]], list[int]]:
    found: list[tuple[int, int]] = []
    while at + 8 <= size:
        file.seek(at)
        group, element, length = struct.unpack("<HHI", file.read(8))
        tag, at = group << 16 | element, at + 8
        if tag == _END:
            break
        if tag != _ITEM:
            raise PixelFault("damaged", "fragments")
        if length > size - at:
            raise PixelFault("cut", "fragments")
        found.append((at, length))
        if len(found) > FRAGMENTS_MAX:
            raise PixelFault("too-large", "fragments")
        at += length
    if not found:
        raise PixelFault("cut", "no fragments")
    (table_at, table_length), *rest = found
    file.seek(table_at)
    table = file.read(min(table_length, FRAGMENTS_MAX * 4))
    return rest, list(struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4]))


def raw_frames(pixels: Pixels) -> Iterator[bytes]:
    """The bytes of each frame in turn, as they stand; of encapsulated pixel data a frame's fragments are joined."""
    if pixels.length is None:
        for fragments in _by_frame(pixels):
            yield b"".join(_read(pixels.file, at, length) for at, length in fragments)
    else:
        for number in range(pixels.shape.frames):
            yield native_frame(pixels, number)


def native_frame(pixels: Pixels, number: int) -> bytes:
    """The bytes that hold a native frame; frames of one bit a pixel begin within a byte (PS3.5 8.1.1)."""
    assert pixels.length is not None  # it is native
    bits = pixels.shape.frame_bits
    first, last = number * bits // 8, -(-(number + 1) * bits // 8)
    swapped = pixels.vr == "OW" and not pixels.is_little and pixels.shape.bits_allocated == 8
    if swapped:  # words of two pixels, their bytes in the order of the words (PS3.5 annex D)
        first, last = first // 2 * 2, -(-last // 2) * 2
    there = min(pixels.length, pixels.size - pixels.at)
    if last > there + (there % 2 if swapped else 0):
        raise PixelFault("cut", f"{there} bytes of {-(-pixels.shape.frames * bits // 8)}")
    data = _read(pixels.file, pixels.at + first, last - first)
    if swapped:
        words = bytearray(data)
        words[0::2], words[1::2] = data[1::2], data[0::2]
        begin = number * bits // 8 - first
        return bytes(words[begin : begin + bits // 8])
    return data


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    data = file.read(length)
    if len(data) != length:
        raise PixelFault("cut", "the file ends early")
    return data


def _by_frame(pixels: Pixels) -> Iterator[Sequence[tuple[int, int]]]:
    """Which fragments are whose, by the first that fits: one frame, one fragment each, a table, ends of codestreams."""
    fragments, table = pixels.fragments
    frames = pixels.shape.frames
    if frames == 1:
        yield fragments
    elif len(fragments) == frames:
        yield from ([one] for one in fragments)
    elif starts := _starts(pixels, fragments, table):
        for begin, end in zip(starts, [*starts[1:], len(fragments)], strict=True):
            yield fragments[begin:end]
    else:
        yield from _by_end(pixels, fragments)


def _starts(pixels: Pixels, fragments: Sequence[tuple[int, int]], table: Sequence[int]) -> list[int]:
    """The first fragment of each frame, by the extended or basic offset table (PS3.5 A.4); empty if neither fits."""
    extended = pixels.data_set.get("ExtendedOffsetTable")
    if isinstance(extended, bytes) and len(extended) == 8 * pixels.shape.frames:
        table = struct.unpack(f"<{pixels.shape.frames}Q", extended)
    first = fragments[0][0] - 8 if fragments else 0
    places = {at - 8 - first: number for number, (at, _) in enumerate(fragments)}
    starts = [places.get(offset, -1) for offset in table]
    fits = len(starts) == pixels.shape.frames and starts[0] == 0 and sorted(set(starts)) == starts
    return starts if fits else []


def _by_end(pixels: Pixels, fragments: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    """A frame ends with the fragment that ends a codestream; some pad it by a byte."""
    gathered: list[tuple[int, int]] = []
    count = 0
    for at, length in fragments:
        gathered.append((at, length))
        if length >= 2 and _END_OF_IMAGE in _read(pixels.file, at + max(0, length - 10), min(length, 10)):
            yield gathered
            count, gathered = count + 1, []
            if count == pixels.shape.frames:
                return
    raise PixelFault("cut", f"{count} frames of {pixels.shape.frames}")
