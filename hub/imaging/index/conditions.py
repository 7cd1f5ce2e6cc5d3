"""Matching keys as conditions of SQL, over the documents and columns of the index.

What is often asked for has columns with indexes; every other attribute is looked up in the DICOM JSON of its level.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from dicom import levels, matching
from dicom.levels import Level
from dicom.matching import GROUPS, Anything, Between, InvalidKey, Key, Like, Name, Numbers, OneOf

Parts = tuple[str, list[Any]]  # SQL, and its parameters in their order

ORDER: Final[tuple[Level, ...]] = ("study", "series", "instance")
# Where an attribute has a column: `s` is dicom_study, `e` dicom_series, `i` dicom_instance, `m` dicom_metadata.
_COLUMNS: Final[Mapping[str, str]] = {
    "00080020": "s.study_date",
    "00080030": "s.study_time",
    "00080050": "s.accession",
    "00100020": "s.sent_patient_id",
    "0020000D": "s.study_uid",
    "0020000E": "e.series_uid",
    "00080018": "i.sop_uid",
    "00080016": "i.sop_class_uid",
    "00080056": "'ONLINE'::text",  # everything the index knows can be fetched at once
}
_UIDS: Final = frozenset({"0020000D", "0020000E", "00080018", "00080016"})
_OF_ANY_LEVEL: Final = frozenset({"00080056"})
_NO_KEY: Final = frozenset({"00080005"})  # of the query's own text
_DOCUMENTS: Final[Mapping[Level, str]] = {
    "study": "s.document",
    "series": "e.document",
    "instance": "m.document",
}
_PATIENT_NAME: Final = "00100010"
_NAME_COLUMNS: Final = ("s.name_alphabetic", "s.name_ideographic", "s.name_phonetic")
_LAST_CHARACTER: Final = "\U0010ffff"
_TAG: Final = re.compile(r"[0-9A-F]{8}")


def level_of(tag: str) -> Level:
    """Whose attribute it is; what is neither the study's nor the series' is looked for in instances."""
    if tag in levels.STUDY_TAGS:
        return "study"
    return "series" if tag in levels.SERIES_TAGS else "instance"


def of_keys(level: Level, keys: Iterable[Key]) -> Parts:
    """All keys hold; `InvalidKey` for one of a lower level than is searched."""
    found: list[Parts] = []
    asked = sorted(
        (key for key in keys if not isinstance(key.match, Anything) and key.tag not in _NO_KEY),
        key=lambda key: key.path,
    )
    for tag, group in groupby(asked, key=lambda key: key.tag):
        if tag not in _OF_ANY_LEVEL and ORDER.index(level_of(tag)) > ORDER.index(level):
            raise InvalidKey(tag, f"an attribute of the level {level} or above it")
        same = list(group)
        if tag == _PATIENT_NAME:
            found += [_of_name(key) for key in same]
        elif tag in _COLUMNS:
            found += [_of_column(key, _COLUMNS[tag]) for key in same]
        else:
            found.append(_of_document(_DOCUMENTS[level_of(tag)], same, 0))
    return _all(found)


def _all(parts: Sequence[Parts]) -> Parts:
    return " AND ".join(["true", *(sql for sql, _ in parts)]), [
        value for _, values in parts for value in values
    ]


def _of_column(key: Key, column: str) -> Parts:
    """A text that is not null; empty is no value."""
    said, match = column if key.tag in _UIDS else f'{column} COLLATE "C"', key.match
    if isinstance(match, OneOf):
        sql, values = _one_of(said, match.values)
        return (f"{sql} AND {column} <> ''", values) if key.tag == "00080050" else (sql, values)
    if isinstance(match, Like):
        return f"{said} LIKE ANY (%s) AND {column} <> ''", [_likes(match)]
    assert isinstance(match, Between)  # the columns are texts, dates, times and UIDs
    sql, values = _between(said, match)
    return f"{sql} AND {column} <> ''", values


def _one_of(said: str, values: Sequence[str]) -> Parts:
    if len(values) == 1:  # an order that an index has is used only if one value is certain
        return f"{said} = %s", [values[0]]
    return f"{said} = ANY (%s)", [list(values)]


def _between(said: str, match: Between) -> Parts:
    conditions = [(">=", match.first), ("<=", match.last)]
    asked = [(sign, end) for sign, end in conditions if end is not None]
    return " AND ".join(f"{said} {sign} %s" for sign, _ in asked), [end for _, end in asked]


def _likes(match: Like) -> list[str]:
    return [_like(pattern) for pattern in match.patterns]


def _like(pattern: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
    return escaped.replace("*", "%").replace("?", "_")


def _of_name(key: Key) -> Parts:
    """The patient's name, by folded columns; the range that its beginning spans is for the index."""
    match = key.match
    assert isinstance(match, Name)
    if len(match.groups) == 1:
        parts = [_of_group(column, match.groups[0]) for column in _NAME_COLUMNS]
        return "(" + " OR ".join(sql for sql, _ in parts) + ")", [
            one for _, values in parts for one in values
        ]
    return _all([_of_group(c, g) for c, g in zip(_NAME_COLUMNS, match.groups, strict=False) if g])


def _of_group(column: str, pattern: str) -> Parts:
    folded, said = matching.fold(pattern), f'{column} COLLATE "C"'
    if not matching.has_wildcard(folded):
        return f"{said} = %s", [folded]
    front = re.split(r"[*?]", folded, maxsplit=1)[0]
    values = [front, front + _LAST_CHARACTER, _like(folded)]
    return f"({said} >= %s AND {said} <= %s AND {column} LIKE %s AND {column} <> '')", values


def _of_document(document: str, keys: Sequence[Key], depth: int) -> Parts:
    """Keys of one attribute: a sequence if their path goes on, in one item of which all of them hold."""
    tag = keys[0].path[depth]
    if not _TAG.fullmatch(tag):
        raise InvalidKey(tag, "a tag of eight hex digits")
    values = f"({document} #> '{{{tag},Value}}')"
    if len(keys[0].path) == depth + 1:
        return _all([_of_values(values, key) for key in keys])
    item = f"item{depth}"
    groups = groupby(keys, key=lambda key: key.path[depth + 1])
    inside, parameters = _all([_of_document(f"{item}.v", list(group), depth + 1) for _, group in groups])
    return f"EXISTS (SELECT FROM jsonb_array_elements{values} AS {item}(v) WHERE {inside})", parameters


def _of_values(values: str, key: Key) -> Parts:
    match, texts = key.match, f"SELECT FROM jsonb_array_elements_text{values} AS value(word) WHERE"
    if isinstance(match, OneOf):
        return f"{values} ?| %s", [list(match.values)]
    if isinstance(match, Numbers):
        sql = f"EXISTS (SELECT FROM jsonb_array_elements{values} AS value(v) WHERE v = ANY (%s::jsonb[]))"
        return sql, [[str(number) for number in match.values]]
    if isinstance(match, Like):
        return f"EXISTS ({texts} word LIKE ANY (%s) AND word <> '')", [_likes(match)]
    if isinstance(match, Between):
        sql, parameters = _between('word COLLATE "C"', match)
        return f"EXISTS ({texts} {sql})", parameters
    assert isinstance(match, Name)
    return _of_names(values, match)


def _of_names(values: str, match: Name) -> Parts:
    """A name within a document, by regular expressions that spell both cases: folding depends on the database."""
    names = f"SELECT FROM jsonb_array_elements{values} AS value(name)"
    if len(match.groups) == 1:
        each = (
            "jsonb_each_text(CASE jsonb_typeof(name) WHEN 'object' THEN name ELSE '{}' END) AS g(kind, word)"
        )
        return f"EXISTS ({names}, {each} WHERE word ~ %s AND word <> '')", [_expression(match.groups[0])]
    asked = [(kind, group) for kind, group in zip(GROUPS, match.groups, strict=False) if group]
    conditions = " AND ".join(f"name ->> '{kind}' ~ %s AND name ->> '{kind}' <> ''" for kind, _ in asked)
    return f"EXISTS ({names} WHERE {conditions})", [_expression(group) for _, group in asked]


def _expression(pattern: str) -> str:
    return "^" + "".join(map(_spelled, pattern)) + "[ ^]*$"


def _spelled(character: str) -> str:
    if character in "*?":
        return ".*" if character == "*" else "."
    folded = matching.fold(character)
    cases = {character, folded, folded.upper(), character.upper(), character.lower()}
    same = sorted(case for case in cases if len(case) == 1 and matching.fold(case) == folded)
    return (
        "(?:"
        + "|".join(f"\\u{ord(one):04x}" if ord(one) < 0x1_0000 else f"\\U{ord(one):08x}" for one in same)
        + ")"
    )
