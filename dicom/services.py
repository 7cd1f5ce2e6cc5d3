"""Query, retrieval, worklist and storage commitment (PS3.4 annexes C, J and K): classes, levels, and negotiation."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

from dicom import pdus, uids
from dicom.pdus import Context, Proposal

Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]

_ROOT: Final = "1.2.840.10008.5.1.4.1.2."
PATIENT_FIND, PATIENT_MOVE, PATIENT_GET = (f"{_ROOT}1.{number}" for number in (1, 2, 3))
STUDY_FIND, STUDY_MOVE, STUDY_GET = (f"{_ROOT}2.{number}" for number in (1, 2, 3))
WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"
COMMITMENT: Final = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE: Final = "1.2.840.10008.1.20.1.1"  # the well-known one (PS3.4 J.3.5)

PATIENT_ROOT: Final = frozenset({PATIENT_FIND, PATIENT_MOVE, PATIENT_GET})
STUDY_ROOT: Final = frozenset({STUDY_FIND, STUDY_MOVE, STUDY_GET})
QUERY_CLASSES: Final = PATIENT_ROOT | STUDY_ROOT | {WORKLIST_FIND}

# By level of the hierarchy, its unique key (PS3.4 C.6.1.1, C.6.2.1).
UNIQUE_KEYS: Final[Mapping[Level, str]] = {
    "PATIENT": "00100020",
    "STUDY": "0020000D",
    "SERIES": "0020000E",
    "IMAGE": "00080018",
}

_IDENTIFIER_SYNTAXES: Final[Sequence[str]] = (uids.EXPLICIT_LITTLE, uids.IMPLICIT_LITTLE)


def level_of(text: str, sop_class_uid: str) -> Level | None:
    """A query or retrieve level of this class's information model; None if it has no such level."""
    for level in UNIQUE_KEYS:
        if level == text and (level != "PATIENT" or sop_class_uid in PATIENT_ROOT):
            return level
    return None


def negotiate(proposal: Proposal, allowed: Collection[str], stored_to: Collection[str]) -> Context:
    """What a query SCP answers to a presentation context of a peer that may use these classes.

    Storage only in the other direction, to a requestor that would be the SCP (C-GET). One context has one syntax: the
    uncompressed explicit one if it is among them, since most of what is stored is in it.
    """
    asked, offered = proposal.abstract_syntax, proposal.transfer_syntaxes
    is_storage = asked in stored_to and uids.is_storage_class(asked)
    if asked not in allowed and not is_storage:
        return Context(proposal.id, pdus.NO_ABSTRACT_SYNTAX, asked, uids.IMPLICIT_LITTLE)
    known = [name for name in _IDENTIFIER_SYNTAXES if name in offered]
    if is_storage:
        known += [name for name in offered if name in uids.TRANSFER_SYNTAXES and name not in known]
    if not known:
        return Context(proposal.id, pdus.NO_TRANSFER_SYNTAX, asked, uids.IMPLICIT_LITTLE)
    return Context(proposal.id, pdus.ACCEPTED, asked, known[0])
