"""Frames and long values of stored files, as they are stored: a bounded pass finds where they lie, nothing is decoded.

What is not little endian is turned; a deflated file is inflated in the sandbox.
"""

import asyncio
import json
import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np

from dicom import InvalidInstance, locating, part10, uids
from dicom.locating import Span, Value
from dicom.uids import Encoding
from hub.core import db, errors, sandbox
from hub.core.db import Connection, Row
from hub.core.store import Slice, Store
from hub.imaging.index.retrieving import Stored

Pieces = Sequence[bytes | Slice]

META_BYTES: Final = part10.META_BYTES_MAX + 4096
TIMEOUT_S: Final = 30.0
MEMORY_MB: Final = 1024
OCTETS: Final = "application/octet-stream"
FRAMES_MAX: Final = 1 << 24
_PIXELS: Final = (0x7FE0_0010, 0x7FE0_0008, 0x7FE0_0009)  # whole numbers; floats; doubles
_UNITS: Final = {"OW": 2, "US": 2, "SS": 2, "AT": 2, "OF": 4, "FL": 4, "OL": 4, "UL": 4, "SL": 4,
                 "OD": 8, "FD": 8, "OV": 8, "UV": 8, "SV": 8}  # fmt: skip
_SYNTAX: Final = "1.2.840.10008.1.2."
# Of frames, by transfer syntax (PS3.18 table 8.7.3-5).
_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "image/jpeg": ("4.50", "4.51", "4.57", "4.70"),
    "image/dicom-rle": ("5",),
    "image/jls": ("4.80", "4.81"),
    "image/jp2": ("4.90", "4.91"),
    "image/jpx": ("4.92", "4.93"),
    "image/jphc": ("4.201", "4.202", "4.203"),
    "image/jxl": ("4.110", "4.111", "4.112"),
    "video/mpeg2": ("4.100", "4.100.1", "4.101", "4.101.1"),
    "video/mp4": (
        "4.102",
        "4.102.1",
        "4.103",
        "4.103.1",
        "4.104",
        "4.104.1",
        "4.105",
        "4.105.1",
        "4.106",
        "4.106.1",
    ),
    "video/H265": ("4.107", "4.108"),
}
MEDIA_TYPES: Final = {_SYNTAX + tail: media_type for media_type, tails in _TYPES.items() for tail in tails}
HTJ2K: Final = "image/jphc"
HTJ2K_SYNTAXES: Final = (_SYNTAX + "4.202", _SYNTAX + "4.201")  # the serving copy: lossless, by resolution


@dataclass(frozen=True)
class Shape:
    """What says how pixels lie; `is_copied` if the serving copy holds the values that metadata describe."""

    frames: int
    bits_of_frame: int
    is_copied: bool = False


@dataclass(frozen=True)
class Part:
    """A frame or value; `transfer_syntax` of what it is made of."""

    pieces: Pieces
    transfer_syntax: str

    @property
    def size(self) -> int:
        return sum(piece.size if isinstance(piece, Slice) else len(piece) for piece in self.pieces)


def media_type(transfer_syntax: str) -> str:
    """Of frames as they are stored."""
    return MEDIA_TYPES.get(transfer_syntax, OCTETS)


def is_native(transfer_syntax: str) -> bool:
    """Whether frames lie one behind the other, not encapsulated."""
    return transfer_syntax in (uids.IMPLICIT_LITTLE, uids.EXPLICIT_LITTLE, uids.EXPLICIT_BIG, uids.DEFLATED)


async def shape(conn: Connection, instance_id: UUID) -> Shape:
    """From the index; `not_found` where there are no pixels, or the index knows nothing of them (yet)."""
    row = await db.maybe(conn, _SHAPE, (instance_id,))
    try:
        if row is None:
            raise ValueError("no document")
        rows, columns, bits = (int(row[name]) for name in ("rows", "columns", "bits"))
        frames, samples = int(row["frames"] or 1), int(row["samples"] or 1)
        if min(rows, columns, bits, frames, samples) < 1 or frames > FRAMES_MAX:
            raise ValueError("no pixels")
    except (TypeError, ValueError):
        raise errors.error("not_found") from None
    photometric = str(row["photometric"] or "")
    samples = 2 if photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") else samples  # PS3.3 C.7.6.3.1.2
    return Shape(frames, rows * columns * samples * bits, _is_copied(row, photometric))


def _is_copied(row: Row, photometric: str) -> bool:
    """Floats and deeper integers are copied in steps, other colours as RGB of 8 bits (`dicom.pixels.showing`)."""
    try:
        allocated, stored, high = (int(row[name]) for name in ("bits", "bits_stored", "high_bit"))
    except (TypeError, ValueError):
        return False
    if row["has_floats"] or high != stored - 1:
        return False
    if photometric == "RGB":
        return allocated == stored == 8
    return photometric in ("MONOCHROME1", "MONOCHROME2") and allocated in (8, 16)


_SHAPE: Final = """SELECT document #>> '{00280010,Value,0}' AS rows, document #>> '{00280011,Value,0}' AS columns,
    document #>> '{00280002,Value,0}' AS samples, document #>> '{00280100,Value,0}' AS bits,
    document #>> '{00280008,Value,0}' AS frames, document #>> '{00280004,Value,0}' AS photometric,
    document #>> '{00280101,Value,0}' AS bits_stored, document #>> '{00280102,Value,0}' AS high_bit,
    document ?| '{7FE00008,7FE00009}' AS has_floats
    FROM dicom_metadata WHERE dicom_instance_id = %s"""


async def copied_frames(
    conn: Connection, store: Store, one: Stored, shape: Shape, wanted: Sequence[int]
) -> list[Part] | None:
    """Frames (from 0) of the HTJ2K serving copy; None if there is none, or it holds other values than are stored."""
    if not shape.is_copied:
        return None
    row = await db.maybe(
        conn,
        """SELECT file_sha256, layout -> 'frames' AS frames FROM dicom_pixels
           WHERE dicom_instance_id = %s AND state = 'ready' AND media_type = 'image/jphc'""",
        (one.id,),
    )
    if row is None or max(wanted) >= len(row["frames"]):
        return None
    return [_copied(store, row, number) for number in wanted]


def _copied(store: Store, row: Row, number: int) -> Part:
    frame = row["frames"][number]
    return Part([Slice(store.path(row["file_sha256"]), frame["offset"], frame["length"])], HTJ2K_SYNTAXES[0])


async def frames(store: Store, one: Stored, shape: Shape, wanted: Sequence[int]) -> list[Part]:
    """Frames (from 0) as they are stored."""
    path, encoding = store.path(one.file_sha256), uids.TRANSFER_SYNTAXES[one.transfer_syntax]
    try:
        if encoding.is_deflated:
            for tag in _PIXELS:
                if (value := await _inflated(path, (tag,))) is not None:
                    return [Part([_cut(value, shape, number)], uids.EXPLICIT_LITTLE) for number in wanted]
            raise errors.error("not_found")
        return await asyncio.to_thread(_frames, path, one.transfer_syntax, encoding, shape, wanted)
    except InvalidInstance as fault:
        raise errors.error("not_acceptable", cause=fault.cause) from None


async def value(store: Store, one: Stored, path: Sequence[int]) -> Part | None:
    """A long value at a path of tags and items, little endian; None for encapsulated pixels, which are frames."""
    file, encoding = store.path(one.file_sha256), uids.TRANSFER_SYNTAXES[one.transfer_syntax]
    try:
        if encoding.is_deflated:
            inflated = await _inflated(file, path)
            if inflated is None:
                raise errors.error("not_found")
            return Part([inflated], uids.EXPLICIT_LITTLE)
        return await asyncio.to_thread(_value, file, one.transfer_syntax, encoding, path)
    except InvalidInstance as fault:
        raise errors.error("not_acceptable", cause=fault.cause) from None


async def _inflated(path: Path, place: Sequence[int]) -> bytes | None:
    asked = json.dumps({"path": str(path), "place": list(place)}).encode()
    try:
        said = await sandbox.run(
            "hub.imaging.index.looking_at_dicom:inflated_value", asked, TIMEOUT_S, MEMORY_MB
        )
    except sandbox.SandboxFailed as failure:
        raise InvalidInstance(f"a deflated data set: {failure.reason}") from None
    return said[1:] if said[:1] == b"\1" else None


@contextmanager
def _data_set(path: Path) -> Iterator[tuple[memoryview, int]]:
    """The bytes of a file's data set, and where in the file it begins."""
    with path.open("rb") as file:
        begins = part10.read_meta(file.read(META_BYTES)).data_set_at
        if path.stat().st_size <= begins:
            raise InvalidInstance("an empty data set")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as whole:
            with whole[begins:] as data:
                yield data, begins


def _frames(path: Path, syntax: str, encoding: Encoding, shape: Shape, wanted: Sequence[int]) -> list[Part]:
    with _data_set(path) as (data, begins):
        found = next((value for tag in _PIXELS if (value := locating.locate(data, encoding, (tag,)))), None)
        if found is None:
            raise errors.error("not_found")
        if found.size is None:
            spans = locating.frames(data, encoding, found, shape.frames, wanted)
            return [
                Part([Slice(path, begins + one.start, one.size) for one in each if one.size], syntax)
                for each in spans
            ]
        if shape.bits_of_frame % 8 or not encoding.is_little:
            turned = _little(bytes(data[found.start : found.start + found.size]), found.vr, encoding)
            return [Part([_cut(turned, shape, number)], uids.EXPLICIT_LITTLE) for number in wanted]
        spans = [[_span(found, shape, number)] for number in wanted]
        little = [[Slice(path, begins + one.start, one.size) for one in each] for each in spans]
        return [Part(each, uids.EXPLICIT_LITTLE) for each in little]


def _span(found: Value, shape: Shape, number: int) -> Span:
    size = shape.bits_of_frame // 8
    if found.size is None or (number + 1) * size > found.size:
        raise InvalidInstance("fewer pixels than are told")
    return Span(found.start + number * size, size)


def _cut(data: bytes, shape: Shape, number: int) -> bytes:
    """A frame of what lies one behind the other, by bits: those of one bit a pixel need not begin with a byte."""
    first, last = number * shape.bits_of_frame, (number + 1) * shape.bits_of_frame
    if last > 8 * len(data):
        raise InvalidInstance("fewer pixels than are told")
    if first % 8 == 0 and last % 8 == 0:
        return data[first // 8 : last // 8]
    bits = np.unpackbits(np.frombuffer(data[first // 8 : (last + 7) // 8], np.uint8), bitorder="little")
    return np.packbits(bits[first % 8 : first % 8 + last - first], bitorder="little").tobytes()


def _value(path: Path, syntax: str, encoding: Encoding, place: Sequence[int]) -> Part | None:
    with _data_set(path) as (data, begins):
        found = locating.locate(data, encoding, place)
        if found is None or (found.size is None and place[-1] != locating.PIXELS):
            raise errors.error("not_found")
        if found.size is None:
            return None
        if encoding.is_little:
            return Part([Slice(path, begins + found.start, found.size)], uids.EXPLICIT_LITTLE)
        turned = _little(bytes(data[found.start : found.start + found.size]), found.vr, encoding)
        return Part([turned], uids.EXPLICIT_LITTLE)


def _little(data: bytes, vr: str, encoding: Encoding) -> bytes:
    """In little endian, by the units of the VR (PS3.5 7.3); what has none is as it is."""
    unit = _UNITS.get(vr, 1)
    if encoding.is_little or unit == 1 or len(data) % unit:
        return data
    return np.frombuffer(data, f">u{unit}").astype(f"<u{unit}").tobytes()


def place_of(text: str) -> list[int]:
    """The path that metadata name: tags of eight hex digits, with numbers of items between them."""
    steps = text.split("/")
    try:
        if len(steps) > locating.PATH_MAX or len(steps) % 2 == 0:
            raise ValueError(text)
        return [_tag(step) if number % 2 == 0 else _item(step) for number, step in enumerate(steps)]
    except ValueError:
        raise errors.error("bad_field", field="bulkdata", expected="what metadata point to") from None


def _tag(step: str) -> int:
    if len(step) != 8:
        raise ValueError(step)
    return int(step, 16)


def _item(step: str) -> int:
    if not (step.isascii() and step.isdigit() and len(step) < 7):
        raise ValueError(step)
    return int(step)
