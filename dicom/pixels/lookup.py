"""Lookup tables of a data set, modality and VOI (PS3.3 C.11.1.1.1, C.11.2.1.1), as JSON."""

from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset

from dicom.pixels.values import numbers, word

ENTRIES_MAX: Final = 65_536


def table(item: Dataset | None, is_signed: bool) -> dict[str, Any] | None:
    """First input value, bits of an output value, and the entries; None if there is no sound table."""
    if item is None:
        return None
    descriptor = numbers(item, "LUTDescriptor", 3)
    if not descriptor:
        return None
    entries, first, bits = (int(value) for value in descriptor)
    entries = (entries & 0xFFFF) or ENTRIES_MAX
    first = first - 0x1_0000 if is_signed and first > 0x7FFF else first
    if not 8 <= bits <= 16:
        return None
    data = _entries(item, entries)
    if data is None:
        return None
    return {"first": first, "bits": bits, "data": data, "label": word(item, "LUTExplanation")}


def _entries(item: Dataset, entries: int) -> list[int] | None:
    data: Any = item.get("LUTData")
    if isinstance(data, bytes):
        is_little = item.original_encoding[1] is not False
        if len(data) >= 2 * entries:
            return [int(one) for one in np.frombuffer(data, "<u2" if is_little else ">u2", entries)]
        return list(data[:entries]) if len(data) >= entries else None
    found = numbers(item, "LUTData")
    if len(found) >= entries:
        return [int(one) & 0xFFFF for one in found[:entries]]
    return None
