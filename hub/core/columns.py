"""Whole columns as parameters for `unnest`: arrays of fixed width, laid out by numpy in PostgreSQL's binary form.

For statements with a row for each of thousands of devices; a list would be converted item by item.
"""

import struct
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

_EPOCH_2000_US: Final = 946_684_800_000_000
_HEAD: Final = struct.Struct(">iiIii")  # dimensions, has nulls, type of the items, length, lower bound


class Column:
    """An array as bytes; its class says of what."""

    oid = 0
    item_oid = 0
    width = 0

    def __init__(self, items: NDArray[np.void]) -> None:
        self.data = _HEAD.pack(1, 0, self.item_oid, len(items), 1) + items.tobytes() if len(items) else _EMPTY

    @classmethod
    def of(cls, values: object, form: str) -> NDArray[np.void]:
        """Items with their lengths before them."""
        plain = np.asarray(values)
        items = np.empty(plain.shape, [("length", ">i4"), ("value", form)])
        items["length"], items["value"] = cls.width, plain
        return items


_EMPTY: Final = struct.pack(">iiI", 0, 0, 20)


class Int8s(Column):
    """bigint[]"""

    oid, item_oid, width = 1016, 20, 8

    def __init__(self, values: Sequence[int] | NDArray[np.int64]) -> None:
        super().__init__(self.of(np.asarray(values, np.int64), ">i8"))


class Instants(Column):
    """timestamptz[] of microseconds since 1970."""

    oid, item_oid, width = 1185, 1184, 8

    def __init__(self, values_us: Sequence[int] | NDArray[np.int64]) -> None:
        super().__init__(self.of(np.asarray(values_us, np.int64) - _EPOCH_2000_US, ">i8"))


class Uuids(Column):
    """uuid[]"""

    oid, item_oid, width = 2951, 2950, 16

    def __init__(self, values: Sequence[UUID]) -> None:
        super().__init__(self.of(np.array([value.bytes for value in values], "V16"), "V16"))


def _register(column: type[Column]) -> None:
    def dump(_self: Dumper, value: Column) -> bytes:
        return value.data

    made = type(
        f"{column.__name__}Dumper", (Dumper,), {"oid": column.oid, "format": Format.BINARY, "dump": dump}
    )
    psycopg.adapters.register_dumper(column, made)


for _column in (Int8s, Instants, Uuids):
    _register(_column)
