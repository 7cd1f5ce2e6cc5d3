"""Whether a data set at hand fits the keys of a query (PS3.4 C.2.2.2), for what is not asked of the database."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from dicom import matching
from dicom.matching import GROUPS, Anything, Between, Key, Like, Name, Numbers, OneOf


def fits(document: Mapping[str, Any], keys: Iterable[Key]) -> bool:
    """Whether it fits all of them; several keys of one sequence by one of its items (PS3.4 C.2.2.2.6)."""
    apart: dict[str, list[Key]] = {}
    for key in keys:
        if len(key.path) > 1:
            apart.setdefault(key.path[0], []).append(Key(key.path[1:], key.vr, key.match))
        elif not _holds(key, document.get(key.tag, {}).get("Value", ())):
            return False
    return all(_an_item_fits(document.get(tag, {}), inner) for tag, inner in apart.items())


def _an_item_fits(sequence: Mapping[str, Any], keys: Sequence[Key]) -> bool:
    return any(fits(item, keys) for item in sequence.get("Value") or [{}])


def _holds(key: Key, values: Sequence[Any]) -> bool:
    match = key.match
    if isinstance(match, Anything):
        return True
    if isinstance(match, Name):
        return any(_name_fits(match, value) for value in values)
    return any(_fits(match, str(value)) for value in values)


def _fits(match: OneOf | Like | Between | Numbers, value: str) -> bool:
    if isinstance(match, OneOf):
        return value in match.values
    if isinstance(match, Like):
        return any(_is_like(pattern, value) for pattern in match.patterns)
    if isinstance(match, Between):
        return (match.first is None or match.first <= value) and (match.last is None or value <= match.last)
    try:
        return Decimal(value) in match.values
    except InvalidOperation:
        return False


def _name_fits(match: Name, value: Any) -> bool:
    groups = [_bare(str(value.get(group, ""))) for group in GROUPS]
    wanted = [matching.fold(group) for group in match.groups]
    if len(wanted) == 1:
        return any(_is_like(wanted[0], group) for group in groups if group)
    return all(_is_like(want, group) for want, group in zip(wanted, groups, strict=False) if want)


def _bare(group: str) -> str:
    return matching.fold(group.rstrip("^ "))


def _is_like(pattern: str, value: str) -> bool:
    """By `*` and `?` only; never slow, whatever the pattern."""
    parts = list(_parts(pattern))
    head = parts.pop(0)
    if not parts:
        return len(head) == len(value) and _at(head, value, 0)
    tail = parts.pop()
    if len(head) + len(tail) > len(value) or not _at(head, value, 0):
        return False
    position, end = len(head), len(value) - len(tail)
    for part in parts:
        position = next((at for at in range(position, end - len(part) + 1) if _at(part, value, at)), -1)
        if position < 0:
            return False
        position += len(part)
    return position <= end and _at(tail, value, end)


def _parts(pattern: str) -> Iterator[str]:
    yield from re.sub(r"\*+", "*", pattern).split("*")


def _at(part: str, value: str, position: int) -> bool:
    """Whether it stands there; `?` is any character."""
    found = value[position : position + len(part)]
    return len(found) == len(part) and all(want in ("?", is_) for want, is_ in zip(part, found, strict=True))
