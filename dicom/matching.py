"""Keys of a query (PS3.4 C.2.2.2, PS3.18 8.3.4): what is asked for, told as values; who holds the data evaluates it.

- A text without `*` and `?` matches a value that is equal; with them, any that fits; case counts, but not in names.
- A person name matches by any of its groups, or, if several are given (`=`), each by its own.
- Dates, times and instants match within a period, both ends included. A time that is not told to the second stands for
  all of its hour or minute, and so an instant.
- UIDs and code strings may be lists: one of them.
- What is empty or `*` matches everything, also what has no value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from dicom import levels, uids

VALUE_CHARS_MAX: Final = 256
VALUES_MAX: Final = 1000
DEPTH_MAX: Final = 4
GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")  # of a person name (PS3.5 6.2.1)


class InvalidKey(ValueError):
    """A key that can't be: which, and what was expected."""

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(f"{name}: {expected}")
        self.name, self.expected = name, expected


@dataclass(frozen=True)
class Anything:
    """Matches whatever is there, and where nothing is."""


@dataclass(frozen=True)
class OneOf:
    values: tuple[str, ...]


@dataclass(frozen=True)
class Like:
    """Texts of which at least one has `*` or `?` in it."""

    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Between:
    """By the order of characters; `last` is past all values that begin with what was asked for."""

    first: str | None
    last: str | None


@dataclass(frozen=True)
class Numbers:
    values: tuple[Decimal, ...]


@dataclass(frozen=True)
class Name:
    """A pattern for any group; or for each group its own, "" where none was given."""

    groups: tuple[str, ...]


Match = Anything | OneOf | Like | Between | Numbers | Name


@dataclass(frozen=True)
class Key:
    """Tags of eight hex digits, from the outermost sequence inwards."""

    path: tuple[str, ...]
    vr: str
    match: Match

    @property
    def tag(self) -> str:
        return self.path[0]


_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_PERIODS: Final = {  # a value, digits only from the front
    "DA": (re.compile(r"\d{8}"), "a date YYYYMMDD, or a range of them"),
    "TM": (re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"), "a time HHMMSS, or a range of them"),
    "DT": (re.compile(r"\d{4}(\d\d){0,5}(\.\d{1,6})?"), "an instant YYYYMMDDHHMMSS, or a range of them"),
}
_NUMBERS: Final = frozenset("DS FD FL IS SL SS SV UL US UV".split())
_TEXTS: Final = frozenset("AE AS CS LO LT SH ST UC UR UT".split())
_LISTS: Final = frozenset({"UI", "CS"})
_PAST: Final = "~"  # behind every digit and dot


def attribute(name: str) -> tuple[tuple[str, ...], str]:
    """Tags and VR of `PatientName`, `00100010`, or `RequestAttributesSequence.ScheduledProcedureStepID`."""
    steps = name.split(".")
    if len(steps) > DEPTH_MAX:
        raise InvalidKey(name, f"at most {DEPTH_MAX} attributes within one another")
    found = [_one_attribute(name, step) for step in steps]
    if any(vr != "SQ" for _, vr in found[:-1]):
        raise InvalidKey(name, "a sequence before the dot")
    return tuple(tag for tag, _ in found), found[-1][1]


def _one_attribute(name: str, step: str) -> tuple[str, str]:
    if step in levels.KNOWN:
        return levels.KNOWN[step]
    from pydicom import datadict  # 13 MB that a process need not hold that is asked for usual attributes only

    tag = int(step, 16) if _TAG.fullmatch(step) else datadict.tag_for_keyword(step) if step else None
    if tag is not None and tag >> 16 & 1:
        return f"{tag:08X}", "LO"  # private: what it is nobody knows here; text is what can be asked for
    try:
        if tag is None:
            raise KeyError(step)
        return f"{tag:08X}", datadict.dictionary_VR(tag)[:2]  # of "US or SS" the first
    except KeyError:
        raise InvalidKey(name, "a keyword or tag of DICOM") from None


def key(name: str, value: str) -> Key:
    """A key as an address tells it (PS3.18 8.3.4.1)."""
    path, vr = attribute(name)
    words = re.split(r"[,\\]", value) if vr in _LISTS else [value]
    return Key(path, vr, match(name, vr, words))


def keys_of(document: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[Key]:
    """The keys of an identifier, which is DICOM JSON; numbers may be text."""
    found: list[Key] = []
    for tag, element in document.items():
        here, vr, values = (*path, tag), element["vr"], element.get("Value", [])
        if len(here) > DEPTH_MAX:
            raise InvalidKey(tag, f"at most {DEPTH_MAX} attributes within one another")
        if vr == "SQ" and values:
            found += keys_of(values[0], here)
        elif vr == "PN":
            names = ["=".join(value.get(group, "") for group in GROUPS).rstrip("=") for value in values]
            found.append(Key(here, vr, match(tag, vr, names)))
        else:
            found.append(Key(here, vr, match(tag, vr, ["" if v is None else str(v) for v in values])))
    return found


def match(name: str, vr: str, values: Sequence[str]) -> Match:
    """What these values of a key match; `InvalidKey` if they can't be values of this VR."""
    words = [word.strip(" \0") for word in values if word.strip(" \0")]
    if not words or all(set(word) == {"*"} for word in words):
        return Anything()
    if len(words) > VALUES_MAX or any(len(word) > VALUE_CHARS_MAX or "\0" in word for word in words):
        raise InvalidKey(name, f"at most {VALUES_MAX} values of {VALUE_CHARS_MAX} characters")
    if vr == "UI":
        if not all(map(uids.is_valid_uid, words)):
            raise InvalidKey(name, "UIDs")
        return OneOf(tuple(words))
    if vr in _PERIODS or vr == "PN":
        if len(words) > 1:
            raise InvalidKey(name, "one value")
        return _name(name, words[0]) if vr == "PN" else _period(name, vr, words[0])
    if vr in _NUMBERS:
        return Numbers(tuple(_number(name, word) for word in words))
    if vr == "AT":
        return OneOf(tuple(word.upper() for word in words))
    if vr not in _TEXTS:
        raise InvalidKey(name, f"no value: {vr} can't be matched")
    return Like(tuple(words)) if any(map(has_wildcard, words)) else OneOf(tuple(words))


def has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text


def _number(name: str, word: str) -> Decimal:
    try:
        found = Decimal(word)
    except InvalidOperation:
        raise InvalidKey(name, "a number") from None
    if not found.is_finite() or abs(found.adjusted()) > 300:
        raise InvalidKey(name, "a number")
    return found


def _period(name: str, vr: str, word: str) -> Match:
    pattern, expected = _PERIODS[vr]
    ends = [end.replace(":", "") if vr == "TM" else end for end in word.split("-")]
    if len(ends) > 2 or not any(ends) or not all(pattern.fullmatch(end) for end in ends if end):
        raise InvalidKey(name, expected)
    if vr == "DA" and len(ends) == 1:
        return OneOf((ends[0],))
    first, last = _front(ends[0], vr), ends[-1]
    if first and last and last + _PAST < first:
        raise InvalidKey(name, expected)
    return Between(first or None, last + _PAST if last else None)


def _front(first: str, vr: str) -> str:
    """Without the zeros at its end that a value need not tell: 103000 is 1030."""
    if vr == "DA" or not first:
        return first
    whole, _, fraction = first.partition(".")
    if fraction.strip("0"):
        return first
    shortest = {"TM": 2, "DT": 8}[vr]
    while len(whole) > shortest and whole.endswith("00"):
        whole = whole[:-2]
    return whole


def _name(name: str, word: str) -> Match:
    groups = [group.rstrip("^ ") for group in word.split("=")]
    if len(groups) > len(GROUPS):
        raise InvalidKey(name, "a person name of at most three groups")
    if all(set(group) <= {"*"} for group in groups):
        return Anything()
    return Name(tuple("" if set(group) == {"*"} else group for group in groups))


def fold(text: str) -> str:
    """Without the difference of cases, character by character, so that a pattern folds as what it is to fit."""
    return "".join(map(_folded, text))


def _folded(character: str) -> str:
    small = character.upper().lower()
    return small if len(small) == 1 else character
