"""Searching the index of images, for QIDO-RS and C-FIND alike: matching keys in, DICOM JSON out, the newest first.

Who asks sees what row-level security lets them see: a node the studies of its clinic, a person those in reach.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from dicom.levels import Level
from dicom.matching import InvalidKey, Key
from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.imaging.index import conditions, summaries
from hub.people import access, audit

LIMIT_MAX: Final[Mapping[Level, int]] = {"study": 1000, "series": 2000, "instance": 5000}
OFFSET_MAX: Final = 10_000_000
ALL: Final = frozenset({"all"})
NOTHING_MORE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Found:
    """One match: its UIDs down to the level that was searched, and its attributes as text of DICOM JSON."""

    study_uid: str
    series_uid: str | None
    sop_uid: str | None
    text: str

    def document(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


_STUDY_ORDER: Final = 's.study_date COLLATE "C" DESC, s.study_time COLLATE "C" DESC, s.id DESC'
# What is read of each level, of which tables, in which order. `told` stands for what is not indexed yet.
_FROM: Final[Mapping[Level, str]] = {
    "study": "dicom_study s",
    "series": "dicom_study s JOIN dicom_series e ON e.dicom_study_id = s.id",
    "instance": """dicom_study s JOIN dicom_instance i ON i.dicom_study_id = s.id
        JOIN dicom_series e ON e.id = i.dicom_series_id LEFT JOIN dicom_metadata m ON m.dicom_instance_id = i.id""",
}
_ORDER_BY: Final[Mapping[Level, str]] = {
    "study": _STUDY_ORDER,
    "series": f"{_STUDY_ORDER}, e.number NULLS LAST, e.id",
    "instance": f"{_STUDY_ORDER}, e.number NULLS LAST, e.id, i.number NULLS LAST, i.id",
}
_OWN: Final = "(SELECT hub_node_organisation('query')) AS own"
_UIDS: Final = ("s.study_uid", "e.series_uid", "i.sop_uid")
_ALIASES: Final = ("s", "e", "i")
_LISTED: Final = ("s.listed", "e.listed", "m.listed")
_DOCUMENTS: Final = ("s.document", "e.document", "m.document")
_SOME: Final = "(SELECT jsonb_object_agg(key, value) FROM jsonb_each({}) WHERE key = ANY (%s))"


async def search(
    conn: Connection,
    actor: Actor,
    at: datetime,
    level: Level,
    keys: Sequence[Key],
    limit: int,
    offset: int = 0,
    more: Collection[str] = NOTHING_MORE,
) -> list[Found]:
    """What matches; with `more`, attributes (tags, or `ALL`) besides those that are always listed.

    Of a series its study's attributes are told, too, unless the study is a key, and so of an instance those of both.
    """
    await access.require(conn, actor, at, "dicom.query")
    try:
        where, parameters = conditions.of_keys(level, keys)
    except InvalidKey as fault:
        raise errors.error("bad_field", field=fault.name, expected=fault.expected) from None
    has_care = actor.kind == "person" and await _cares(conn)
    depth = conditions.ORDER.index(level)
    asked = {key.tag for key in keys}
    first = depth if depth and "0020000E" in asked else min(depth, 1) if "0020000D" in asked else 0
    rows = await db.rows(
        conn,
        f"""SELECT {_columns(depth, first, more)} FROM {_FROM[level]} WHERE {where} {_reach(actor, has_care, keys)}
            ORDER BY {_ORDER_BY[level]} LIMIT %s OFFSET %s""",
        [*([list(more)] * (depth + 1) if _are_some(more) else []), *parameters, limit, offset],
    )
    own = rows[0]["own"] if rows else await _own_organisation(conn)
    await audit.record(
        conn, actor, at, "dicom.query", "dicom-level", level, organisation_id=own, found=len(rows),
        keys=" ".join(sorted(asked))[:200],
    )  # fmt: skip
    return [_found(row, depth, first, more) for row in rows]


async def _own_organisation(conn: Connection) -> UUID | None:
    """Of the node that asks."""
    own: UUID | None = (await db.one(conn, f"SELECT {_OWN}"))["own"]
    return own


async def _cares(conn: Connection) -> bool:
    """Whether a person cares for any organisation; else they see only patients opened to them."""
    return bool((await db.one(conn, "SELECT EXISTS (SELECT hub_care_organisations()) AS cares"))["cares"])


def _reach(actor: Actor, has_care: bool, keys: Sequence[Key]) -> str:
    """Nothing that is not so anyway; so that indexes are used, which row-level security alone does not let be."""
    found = []
    if actor.kind == "node":
        found.append("AND s.organisation_id = (SELECT hub_node_organisation('query'))")
    elif actor.kind == "person" and not has_care:
        found.append("AND s.patient_id = ANY (ARRAY(SELECT hub_granted_patients()))")
    if any(key.tag == "00080018" for key in keys):
        found.append("AND i.organisation_id = ANY (ARRAY(SELECT id FROM organisation))")
    return " ".join(found)


def _columns(depth: int, first: int, more: Collection[str]) -> str:
    wanted = [_OWN, *(f"{_UIDS[n]} AS uid{n}" for n in range(depth + 1))]
    for n in range(first, depth + 1):
        wanted.append(f"{_LISTED[n]} AS listed{n}")
        missing = f"CASE WHEN {_LISTED[n]} IS NULL THEN to_jsonb({_ALIASES[n]}) - 'document' - 'listed' END"
        wanted.append(f"{missing} AS told{n}")
    if more:
        of_document = _SOME if _are_some(more) else "{}"
        wanted += [f"{of_document.format(_DOCUMENTS[n])} AS document{n}" for n in range(depth + 1)]
    return ", ".join(wanted)


def _are_some(more: Collection[str]) -> bool:
    """Whether attributes are named: only those are read then, not thousands of whole documents."""
    return bool(more) and more != ALL


def _found(row: Row, depth: int, first: int, more: Collection[str]) -> Found:
    uids = [row[f"uid{n}"] if n <= depth else None for n in range(3)]
    texts = [row[f"listed{n}"] or _provisional(row, n) for n in range(first, depth + 1)]
    text = texts[0] if len(texts) == 1 else _merged(texts)
    if more:
        text = _with_more(row, text, depth)
    return Found(str(uids[0]), uids[1], uids[2], text)


def _provisional(row: Row, n: int) -> str:
    """What the header told of it, until the job has made its document."""
    told: Mapping[str, Any] = row[f"told{n}"]
    document = (summaries.told_of_study, summaries.told_of_series, summaries.told_of_instance)[n](told)
    return json.dumps(document, ensure_ascii=False)


def _merged(texts: Sequence[str]) -> str:
    """One object of several; what two have is the later one's, which is of the lower level."""
    together: dict[str, Any] = {}
    for text in texts:
        together |= json.loads(text)
    return json.dumps(together, ensure_ascii=False)


def _with_more(row: Row, text: str, depth: int) -> str:
    """With what was read of the documents from the study's down to that of the level."""
    together: dict[str, Any] = {}
    for n in range(depth + 1):
        document = row[f"document{n}"] or {}
        together |= {tag: document[tag] for tag in sorted(document)}
    return json.dumps(together | json.loads(text), ensure_ascii=False)
