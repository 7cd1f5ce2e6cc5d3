"""Values of a foreign data set, taken with care: the type that was asked for, or nothing."""

import math
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset


def number(data_set: Dataset, keyword: str) -> float | None:
    """A finite number; the first, if there are several."""
    found = numbers(data_set, keyword)
    return found[0] if found else None


def numbers(data_set: Dataset, keyword: str, count: int | None = None) -> list[float]:
    """Finite numbers; none at all if one of them is no number, or there are not `count`."""
    try:
        value: Any = data_set.get(keyword)
        if value is None or value == "":
            return []
        many = value if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]
        found = [float(one) for one in many]
    except (TypeError, ValueError, OverflowError, AttributeError, NotImplementedError):
        return []
    if not all(math.isfinite(one) for one in found) or count not in (None, len(found)):
        return []
    return found


def word(data_set: Dataset, keyword: str, chars: int = 64) -> str:
    """Characters; the first value, if there are several."""
    found = words(data_set, keyword, chars)
    return found[0] if found else ""


def words(data_set: Dataset, keyword: str, chars: int = 64) -> list[str]:
    """Characters of each value, without zero characters, which PostgreSQL's JSON can't hold."""
    try:
        value: Any = data_set.get(keyword)
        if value is None:
            return []
        many = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
        return [str(one).replace("\0", "").strip()[:chars] for one in many]
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return []


def items(data_set: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence."""
    try:
        value: Any = data_set.get(keyword)
        found = list(value) if value is not None else []
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        found = []
    yield from (item for item in found if isinstance(item, Dataset))


def first(data_set: Dataset, *keywords: str) -> Dataset | None:
    """The first item of the sequence within the first item of the sequence ..."""
    here: Dataset | None = data_set
    for keyword in keywords:
        here = next(items(here, keyword), None) if here is not None else None
    return here
