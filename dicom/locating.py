"""Where a value stands in a data set (PS3.5 clause 7), and where each frame of its pixels (annex A.4): no decoding.

Passes over foreign bytes in bounded steps, every length held against what is there; `InvalidInstance` ends them.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dicom.errors import InvalidInstance
from dicom.uids import Encoding

STEPS_MAX: Final = 200_000  # elements, items and fragments of one pass
DEPTH_MAX: Final = 64  # sequences of undefined length within one another
PATH_MAX: Final = 15
UNDEFINED: Final = 0xFFFF_FFFF
PIXELS: Final = 0x7FE0_0010
_OFFSETS, _LENGTHS = 0x7FE0_0001, 0x7FE0_0002  # extended offset table (PS3.3 C.7.6.3.1.8)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_SHORT: Final = frozenset(
    name.encode() for name in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
# By what a frame begins in JPEG, JPEG-LS, JPEG 2000 and HTJ2K, and JPEG XL: codestreams, and files of JP2 and JXL.
_BEGINNINGS: Final = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a", b"\0\0\0\x0cJXL ")


@dataclass(frozen=True)
class Value:
    """Where a value begins and how long it is; None: encapsulated pixels, of which the first item begins there."""

    start: int
    size: int | None
    vr: str  # "" in implicit VR


@dataclass(frozen=True)
class Span:
    start: int
    size: int


class _Pass:
    def __init__(self, data: bytes | memoryview, encoding: Encoding, position: int = 0) -> None:
        self.data, self.size, self.position, self.steps = data, len(data), position, 0
        order = "<" if encoding.is_little else ">"
        self._head, self._long = (
            struct.Struct(order + "HH").unpack_from,
            struct.Struct(order + "I").unpack_from,
        )
        self._short = struct.Struct(order + "H").unpack_from

    def element(self, is_explicit: bool) -> tuple[int, bytes, int]:
        """Tag, VR and length of what stands here; the position is then at its value."""
        self.steps += 1
        position = self.position
        if self.steps > STEPS_MAX or position + 8 > self.size:
            raise InvalidInstance("an element cut off, or too many of them", position)
        group, element = self._head(self.data, position)
        tag = group << 16 | element
        if not is_explicit or group == 0xFFFE:
            self.position = position + 8
            return tag, b"", self._long(self.data, position + 4)[0]
        vr = bytes(self.data[position + 4 : position + 6])
        if vr in _SHORT:
            self.position = position + 8
            return tag, vr, self._short(self.data, position + 6)[0]
        if position + 12 > self.size or not (vr.isalpha() and vr.isupper()):
            raise InvalidInstance(f"element {tag:08X} has no VR or no length", position)
        self.position = position + 12
        return tag, vr, self._long(self.data, position + 8)[0]

    def step_over(self, size: int) -> None:
        if size > self.size - self.position:
            raise InvalidInstance("an element is longer than the data set", self.position)
        self.position += size

    def skip(self, is_explicit: bool) -> None:
        """Over what has no length, up to behind its delimiter; UN holds implicit VR (PS3.5 6.2.2 note 2)."""
        open_ones = [is_explicit]
        while open_ones:
            tag, vr, size = self.element(open_ones[-1])
            if tag in (_ITEM_END, _SEQUENCE_END):
                open_ones.pop()
            elif size == UNDEFINED:
                open_ones.append(open_ones[-1] and vr != b"UN")
                if len(open_ones) > DEPTH_MAX:
                    raise InvalidInstance("sequences nested too deep", self.position)
            else:
                self.step_over(size)


def locate(data: bytes | memoryview, encoding: Encoding, path: Sequence[int]) -> Value | None:
    """The value at a path of tags with the numbers of items between them; None if it isn't there."""
    if not path or len(path) > PATH_MAX or len(path) % 2 == 0:
        return None
    passing, is_explicit, end = _Pass(data, encoding), encoding.is_explicit, len(data)
    for step in range(0, len(path), 2):
        found = _find(passing, is_explicit, path[step], end)
        if found is None or step + 1 == len(path):
            return found
        is_explicit = is_explicit and found.vr != "UN"
        limit = end if found.size is None else found.start + found.size
        within = _item(passing, is_explicit, path[step + 1], limit, found.size is None)
        if within is None:
            return None
        end = within
    return None


def _find(passing: _Pass, is_explicit: bool, wanted: int, end: int) -> Value | None:
    """An element between here and `end`; the position is then at its value."""
    while passing.position < end:
        tag, vr, size = passing.element(is_explicit)
        if tag in (_ITEM_END, _SEQUENCE_END):
            return None
        if tag == wanted:
            if size != UNDEFINED and size > passing.size - passing.position:
                raise InvalidInstance("the value is longer than the data set", passing.position)
            return Value(passing.position, None if size == UNDEFINED else size, vr.decode("ascii"))
        if size == UNDEFINED:
            passing.skip(is_explicit and vr != b"UN")
        else:
            passing.step_over(size)
    return None


def _item(passing: _Pass, is_explicit: bool, number: int, limit: int, is_open: bool) -> int | None:
    """Where an item of the sequence ends at the latest; the position is then at its first element."""
    for current in range(number + 1):
        if passing.position >= limit:
            return None
        tag, _, size = passing.element(is_explicit)
        if tag == _SEQUENCE_END and is_open:
            return None
        if tag != _ITEM:
            raise InvalidInstance("a sequence of something else than items", passing.position)
        if current == number:
            return limit if size == UNDEFINED else min(limit, passing.position + size)
        if size == UNDEFINED:
            passing.skip(is_explicit)
        else:
            passing.step_over(size)
    return None


def frames(
    data: bytes | memoryview, encoding: Encoding, first: Value, count: int, wanted: Sequence[int]
) -> list[list[Span]]:
    """Of encapsulated pixels with `count` frames the pieces of each wanted one (from 0), in their order.

    By the extended offset table, else the basic one, else by fragments: all of one frame's, one for each frame, or from
    one that begins a codestream to the next.
    """
    passing = _Pass(data, encoding, first.start)
    tag, _, size = passing.element(False)
    if tag != _ITEM or size == UNDEFINED or size > passing.size - passing.position:
        raise InvalidInstance("pixels without an offset table", first.start)
    table = bytes(data[passing.position : passing.position + size])
    passing.step_over(size)
    begins = passing.position
    if count == 1:
        pieces = list(_fragments(passing, None))
        return [pieces for _ in wanted]
    offsets = _extended(data, encoding, count) or _basic(table, encoding, count)
    if offsets is not None:
        return _by_table(data, encoding, begins, offsets, wanted)
    groups = _grouped(data, list(_fragments(passing, None)), count)
    return [groups[number] for number in wanted]


def _extended(data: bytes | memoryview, encoding: Encoding, count: int) -> list[int] | None:
    found = locate(data, encoding, (_OFFSETS,))
    if found is None or found.size != 8 * count:
        return None
    order = "<" if encoding.is_little else ">"
    return list(struct.unpack_from(f"{order}{count}Q", data, found.start))


def _basic(table: bytes, encoding: Encoding, count: int) -> list[int] | None:
    if len(table) != 4 * count:
        return None
    return list(struct.unpack(f"{'<' if encoding.is_little else '>'}{count}I", table))


def _by_table(
    data: bytes | memoryview, encoding: Encoding, begins: int, offsets: Sequence[int], wanted: Sequence[int]
) -> list[list[Span]]:
    """All together no more pieces than one pass may have: frames of a table that goes to and fro share fragments."""
    found: list[list[Span]] = []
    pieces = 0
    for number in wanted:
        found.append(_from(data, encoding, begins, offsets, number))
        pieces += len(found[-1])
        if pieces > STEPS_MAX:
            raise InvalidInstance("frames of too many pieces", begins)
    return found


def _from(
    data: bytes | memoryview, encoding: Encoding, begins: int, offsets: Sequence[int], number: int
) -> list[Span]:
    """The fragments from a frame's offset to the next one's."""
    start = begins + offsets[number]
    until = begins + offsets[number + 1] if number + 1 < len(offsets) else None
    if start >= len(data) or (until is not None and until <= start):
        raise InvalidInstance("an offset table that does not grow, or leads outside", begins)
    return list(_fragments(_Pass(data, encoding, start), until))


def _fragments(passing: _Pass, until: int | None) -> Iterator[Span]:
    while until is None or passing.position < until:
        if passing.position == passing.size and until is None:
            return  # the delimiter is missing; what is there counts
        tag, _, size = passing.element(False)
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM or size == UNDEFINED:
            raise InvalidInstance("something else than a fragment among pixels", passing.position)
        start = passing.position
        passing.step_over(size)
        yield Span(start, size)


def _grouped(data: bytes | memoryview, fragments: Sequence[Span], count: int) -> list[list[Span]]:
    if len(fragments) == count:
        return [[fragment] for fragment in fragments]
    groups: list[list[Span]] = []
    for fragment in fragments:
        if bytes(data[fragment.start : fragment.start + 12]).startswith(_BEGINNINGS):
            groups.append([])
        if not groups:
            raise InvalidInstance("a first fragment that begins no frame", fragment.start)
        groups[-1].append(fragment)
    if len(groups) != count:
        raise InvalidInstance(f"{len(groups)} frames where {count} are told")
    return groups
