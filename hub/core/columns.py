"""Whole columns as parameters for `unnest`: arrays in PostgreSQL's binary form, laid out by numpy or one join.

For statements with a row for each of thousands of devices; a list would be converted item by item.
"""

import struct
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import ArrayLike, NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

_EPOCH_2000_US: Final = 946_684_800_000_000
_HEAD: Final = struct.Struct(">iiIii")  # dimensions, has nulls, type of the items, length, lower bound


class Column:
    """An array as bytes; its class says of what."""

    oid = 0
    item_oid = 0

    def __init__(self, count: int, items: bytes) -> None:
        self.data = _HEAD.pack(1, 0, self.item_oid, count, 1) + items


def _fixed(values: ArrayLike, form: str) -> bytes:
    """Items of one width, each with its length before it."""
    plain = np.asarray(values)
    items = np.empty(plain.shape, [("length", ">i4"), ("value", form)])
    items["length"], items["value"] = np.dtype(form).itemsize, plain
    return items.tobytes()


class Int8s(Column):
    """bigint[]"""

    oid, item_oid = 1016, 20

    def __init__(self, values: Sequence[int] | NDArray[np.int64]) -> None:
        super().__init__(len(values), _fixed(np.asarray(values, np.int64), ">i8"))


class Floats(Column):
    """float8[]; None becomes NaN."""

    oid, item_oid = 1022, 701

    def __init__(self, values: Sequence[float | None] | NDArray[np.float64]) -> None:
        super().__init__(len(values), _fixed(np.asarray(values, np.float64), ">f8"))


class Instants(Column):
    """timestamptz[] of microseconds since 1970."""

    oid, item_oid = 1185, 1184

    def __init__(self, values_us: Sequence[int] | NDArray[np.int64]) -> None:
        super().__init__(len(values_us), _fixed(np.asarray(values_us, np.int64) - _EPOCH_2000_US, ">i8"))


class Uuids(Column):
    """uuid[]; of UUIDs, or of their octets as an array of V16."""

    oid, item_oid = 2951, 2950

    def __init__(self, values: Sequence[UUID] | NDArray[np.void]) -> None:
        plain = values if isinstance(values, np.ndarray) else uuid_octets(values)
        super().__init__(len(values), _fixed(plain, "V16"))


def uuid_octets(values: Sequence[UUID]) -> NDArray[np.void]:
    """As an array of V16."""
    return np.frombuffer(b"".join([value.bytes for value in values]), "V16")


class Texts(Column):
    """text[]"""

    oid, item_oid = 1009, 25

    def __init__(self, values: Sequence[str]) -> None:
        self._hold([text_item(value) for value in values])

    @classmethod
    def of_items(cls, items: Sequence[bytes]) -> "Texts":
        """Of texts that `text_item` made before."""
        made = cls.__new__(cls)
        made._hold(items)
        return made

    def _hold(self, items: Sequence[bytes]) -> None:
        super().__init__(len(items), b"".join(items))


def text_item(value: str) -> bytes:
    """A text with its length before it."""
    item = value.encode()
    return len(item).to_bytes(4, "big") + item


def _register(column: type[Column]) -> None:
    def dump(_self: Dumper, value: Column) -> bytes:
        return value.data

    made = type(
        f"{column.__name__}Dumper", (Dumper,), {"oid": column.oid, "format": Format.BINARY, "dump": dump}
    )
    psycopg.adapters.register_dumper(column, made)


for _column in (Int8s, Floats, Instants, Uuids, Texts):
    _register(_column)
