"""Huffman codes of SCP-ECG (EN 1064 clause 5.5 and annex C): tables of the file or the standard's default one."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord, unpack

MAX_CODES = 4096  # of all tables; the default one has 19


class Code(NamedTuple):
    """What a prefix means: a value plus `extra` bits of two's complement, or a change of table."""

    extra: int
    is_value: bool
    value: int


@dataclass(frozen=True)
class Table:
    """Codes by their prefix as a text of bits, and the lengths that occur, in order."""

    codes: dict[str, Code]
    lengths: tuple[int, ...]


def table(codes: dict[str, Code]) -> Table:
    return Table(codes, tuple(sorted({len(prefix) for prefix in codes})))


# Table C.1: 0 is "0"; n is n ones, a zero and the sign (1 if negative); then 8 and 16 plain bits.
DEFAULT = table(
    {"0": Code(0, True, 0)}
    | {"1" * n + "0" + sign: Code(0, True, -n if sign == "1" else n) for n in range(1, 9) for sign in "01"}
    | {"1" * 9 + "0": Code(8, True, 0), "1" * 10: Code(16, True, 0)}
)


def parse_tables(data: bytes, at: int, count: int) -> tuple[Table, ...]:
    """`count` tables: bits of the prefix and of the whole code, mode, value, prefix with its first bit lowest."""
    tables, total = [], 0
    for _ in range(count):
        (size,) = unpack("<H", data, at, "a Huffman table")
        total += size
        if size == 0 or total > MAX_CODES:
            raise InvalidRecord(f"a Huffman table of {size} codes", at, COPY_AGAIN)
        codes = {}
        for k in range(size):
            prefix, whole, mode, value, bits = unpack("<BBBhI", data, at + 2 + 9 * k, "a Huffman code")
            if (
                not 1 <= prefix <= 32
                or not 0 <= whole - prefix <= 16
                or (mode == 0 and not 1 <= value <= count)
            ):
                raise InvalidRecord("an impossible Huffman code", at + 2 + 9 * k, COPY_AGAIN)
            codes[f"{bits & ((1 << prefix) - 1):0{prefix}b}"[::-1]] = Code(whole - prefix, mode != 0, value)
        tables.append(table(codes))
        at += 2 + 9 * size
    if not tables:
        raise InvalidRecord("no Huffman table", at, COPY_AGAIN)
    return tuple(tables)


def decode_values(chunk: bytes, count: int, tables: tuple[Table, ...], at: int) -> NDArray[np.int64]:
    """`count` values from bits, the first bit of a byte highest; `at` is where the bytes lie in the file."""
    bits = f"{int.from_bytes(chunk, 'big'):0{8 * len(chunk)}b}" if chunk else ""
    values = np.zeros(count, np.int64)
    current, place, number = tables[0], 0, 0
    while number < count:
        for length in current.lengths:
            code = current.codes.get(bits[place : place + length])
            if code is not None:
                break
        else:
            cause = f"Huffman codes end after {number} of {count} samples"
            raise InvalidRecord(cause, at + min(place // 8, len(chunk)), COPY_AGAIN)
        place += length
        if not code.is_value:
            current = tables[code.value - 1]
            continue
        value = code.value
        if code.extra:
            word = bits[place : place + code.extra]
            if len(word) < code.extra:
                raise InvalidRecord("a Huffman code is cut", at + len(chunk), COPY_AGAIN)
            value += int(word, 2) - (1 << code.extra if word[0] == "1" else 0)
            place += code.extra
        values[number] = value
        number += 1
    return values
