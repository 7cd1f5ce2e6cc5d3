"""C-FIND of the index (PS3.4 C.4.1) and of the worklist (K.4.1).

Matching is that of QIDO-RS. An answer holds what was asked for, in the caller's character set if that can hold it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from dicom import commands, identifiers, matching, services
from dicom.identifiers import Document
from dicom.levels import Level as SearchLevel
from dicom.services import Level
from hub.core.errors import HubError
from hub.imaging.dimse import worklist
from hub.imaging.dimse.query_request import LEVEL, Asked, Refused, bound
from hub.imaging.index import querying

MATCHES_MAX: Final = 5000

_CHARACTER_SET, _RETRIEVE_AE = identifiers.CHARACTER_SET, "00080054"
_AVAILABILITY, _STUDIES, _SERIES, _INSTANCES = "00080056", "00201200", "00201202", "00201204"
_CONTROLS: Final = frozenset({LEVEL, _CHARACTER_SET, _RETRIEVE_AE, _AVAILABILITY, "00080001"})
_SEARCHED: Final[Mapping[Level, SearchLevel]] = {
    "PATIENT": "study", "STUDY": "study", "SERIES": "series", "IMAGE": "instance",
}  # fmt: skip


async def find(asked: Asked) -> None:
    """C-FIND: a pending response for each match, then the last one."""
    identifier = asked.identifier()
    character_set = identifier.get(_CHARACTER_SET, {}).get("Value", ())
    is_worklist = asked.command.sop_class_uid == services.WORKLIST_FIND
    try:
        found, is_all = await (_waiting(asked, identifier) if is_worklist else _stored(asked, identifier))
    except matching.InvalidKey as fault:
        raise Refused(commands.DATA_SET_DOES_NOT_MATCH, str(fault)) from None
    except HubError as failure:
        if failure.code != "bad_field":
            raise
        raise Refused(commands.DATA_SET_DOES_NOT_MATCH, "a key of a lower level") from None
    for document in found:
        if asked.line.is_cancelled:
            return await asked.respond(commands.CANCELLED)
        answer = answer_to(identifier, document)
        await asked.respond(commands.PENDING, document=answer, character_set=character_set)
    if not is_all:
        raise Refused(commands.OUT_OF_RESOURCES, f"more than {MATCHES_MAX}: ask for fewer")
    await asked.respond(commands.SUCCESS)


def answer_to(identifier: Document, found: Mapping[str, Mapping[str, object]]) -> Document:
    """Of what was found the attributes that were asked for, empty where it has none; of sequences the same."""
    answer: Document = {}
    for tag, key in identifier.items():
        if tag == _CHARACTER_SET:
            continue
        element = dict(found.get(tag, {"vr": key["vr"]}))
        wanted, items = key.get("Value", []), element.get("Value", [])
        if key["vr"] == "SQ" and wanted and wanted[0] and isinstance(items, list):
            element["Value"] = [answer_to(wanted[0], item) for item in items]
        answer[tag] = element
    return answer


async def _waiting(asked: Asked, identifier: Document) -> tuple[list[Document], bool]:
    keys = matching.keys_of({tag: key for tag, key in identifier.items() if tag not in _CONTROLS})
    hub, actor, at = asked.hub, asked.caller.actor, asked.hub.clock()
    async with hub.database.transaction(actor, at) as conn:
        await bound(conn)
        return await worklist.worklist(conn, actor, at, asked.line.calling_ae, keys), True


async def _stored(asked: Asked, identifier: Document) -> tuple[list[Document], bool]:
    """Matches of the index, and whether these are all."""
    level = asked.level(identifier)
    own = {_STUDIES, _SERIES, _INSTANCES} if level == "PATIENT" else set[str]()
    keys = matching.keys_of({t: key for t, key in identifier.items() if t not in _CONTROLS | own})
    hub, actor, at = asked.hub, asked.caller.actor, asked.hub.clock()
    more = identifier.keys() - _CONTROLS
    async with hub.database.transaction(actor, at) as conn:
        await bound(conn)
        rows = await querying.search(
            conn, actor, at, _SEARCHED[level], keys, MATCHES_MAX + 1, more=more | _counted(level)
        )
    documents: list[Document] = [row.document() for row in rows[:MATCHES_MAX]]
    if level == "PATIENT":
        documents = _patients(documents)
    told: Document = {
        LEVEL: {"vr": "CS", "Value": [level]},
        _RETRIEVE_AE: {"vr": "AE", "Value": [hub.settings.dimse_ae_title]},
        _AVAILABILITY: {"vr": "CS", "Value": ["ONLINE"]},
    }
    return [document | told for document in documents], len(rows) <= MATCHES_MAX


def _counted(level: Level) -> frozenset[str]:
    return frozenset({"00100021", "00201206", "00201208"}) if level == "PATIENT" else frozenset()


def _patients(studies: Sequence[Document]) -> list[Document]:
    """One of each patient id and issuer, as the newest study has it, with counts (PS3.4 table C.6-1)."""
    by_id: dict[tuple[str, str], list[Document]] = {}
    for study in studies:
        whose = (identifiers.first(study, "00100020"), identifiers.first(study, "00100021"))
        by_id.setdefault(whose, []).append(study)
    return [
        own[0]
        | {
            _STUDIES: {"vr": "IS", "Value": [len(own)]},
            _SERIES: {"vr": "IS", "Value": [_sum(own, "00201206")]},
            _INSTANCES: {"vr": "IS", "Value": [_sum(own, "00201208")]},
        }
        for own in by_id.values()
    ]


def _sum(studies: Sequence[Document], tag: str) -> int:
    return sum(int(text) for study in studies if (text := identifiers.first(study, tag)))
