"""Modality worklist (PS3.4 annex K) of the open requests for images and 12-lead ECGs of a node's clinic and below it.

A request waits from when it was made until something comes for it: it stands on the worklist of each day until then,
on the first from the time it was made. It is for every machine of the clinic that makes what it asks for, so each is
told its own AE title. What a request does not say is left empty.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from dicom.fitting import fits
from dicom.identifiers import Document
from dicom.matching import Key
from hub.core import db
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.imaging.index.worklist_uids import study_uid_of
from hub.people import access, audit

REQUESTS_MAX: Final = 1000  # the newest; a clinic with more open ones should close some
ISSUER: Final = "TELEHUB"  # of the patient ids that are ours
_SEXES: Final = {"male": "M", "female": "F", "other": "O"}
_PRIORITIES: Final = {"stat": "STAT", "asap": "HIGH", "urgent": "HIGH", "routine": "ROUTINE"}  # PS3.3 C.4.11
_PACEMAKER: Final = "心脏起搏器 pacemaker"
_SH, _LO, _LT = 16, 64, 10240  # characters (PS3.5 6.2)


async def worklist(
    conn: Connection, actor: Actor, at: datetime, ae_title: str, keys: Sequence[Key]
) -> list[Document]:
    """What of the waiting requests fits the keys, the oldest first, as data sets; for the node that acts."""
    await access.require(conn, actor, at, "dicom.worklist")
    node = await db.one(
        conn,
        "SELECT organisation_id, worklist_modalities FROM dicom_node"
        " WHERE id = %s AND may_query AND disabled_at IS NULL",
        (UUID(actor.id),),
    )
    rows = await db.rows(
        conn,
        "SELECT * FROM hub_worklist(%s, %s, %s)",
        (node["organisation_id"], node["worklist_modalities"], REQUESTS_MAX),
    )
    steps = [step for row in reversed(rows) if fits(step := _step(row, at, ae_title), keys)]
    await audit.record(
        conn, actor, at, "dicom.worklist", "dicom-node", actor.id, organisation_id=node["organisation_id"],
        found=len(steps),
    )  # fmt: skip
    return steps


def _step(row: Row, at: datetime, ae_title: str) -> Document:
    zone = ZoneInfo(row["time_zone"])
    made, now = row["created_at"].astimezone(zone), at.astimezone(zone)
    is_of_today = made.date() >= now.date()
    words = " ".join(part for part in (row["modality"], row["body_part"]) if part)
    scheduled: Document = {
        "00080060": _said("CS", row["modality"]),
        "00400001": _said("AE", ae_title),
        "00400002": _said("DA", max(made, now).strftime("%Y%m%d")),
        "00400003": _said("TM", made.strftime("%H%M%S") if is_of_today else "000000"),
        "00400006": _said("PN"),
        "00400007": _said("LO", words, most=_LO),
        "00400009": _said("SH", row["accession"], most=_SH),
        "00400010": _said("SH"),
        "00400020": _said("CS", "SCHEDULED"),
    }
    return {
        "00080050": _said("SH", row["accession"], most=_SH),
        "00080090": _name(row["requester"]),
        "00081110": _said("SQ"),
        "00102000": _said("LO", _PACEMAKER if row["pacemaker"] else None),
        **_patient(row),
        "0020000D": _said("UI", study_uid_of(row["id"])),
        "00321032": _name(row["requester"]),
        "00321033": _said("LO", row["organisation"], most=_LO),
        "00321060": _said("LO", words, most=_LO),
        "00380010": _said("LO"),
        "00380300": _said("LO"),
        "00400100": {"vr": "SQ", "Value": [scheduled]},
        "00401001": _said("SH", row["accession"], most=_SH),
        "00401002": _said("LO", row["question"], most=_LO),
        "00401003": _said("SH", _PRIORITIES[row["priority"]]),
        "00401400": _said("LT", "\r\n".join(filter(None, (row["question"], row["symptoms"]))), most=_LT),
    }


def _patient(row: Row) -> Document:
    """The id the clinic's own machines know, if a person has told us; its issuer with it."""
    is_known = row["known_id"] is not None
    return {
        "00100010": _name(row["patient_name"]),
        "00100020": _said("LO", row["known_id"] if is_known else str(row["patient_id"])),
        "00100021": _said("LO", row["known_issuer"] if is_known else ISSUER),
        "00100030": _said("DA", row["birth_date"].strftime("%Y%m%d")),
        "00100040": _said("CS", _SEXES.get(row["sex"])),
    }


def _name(text: str) -> dict[str, Any]:
    """A person name. In Chinese as the ideographic group, and as the first, which is all that many machines show."""
    if not text.strip():
        return {"vr": "PN"}
    kept = text.strip()[:_LO].replace("\\", " ").replace("=", " ")
    return {"vr": "PN", "Value": [{"Alphabetic": kept} | ({} if kept.isascii() else {"Ideographic": kept})]}


def _said(vr: str, value: str | None = None, most: int = _LO) -> dict[str, Any]:
    """An element, empty if nothing is known. A backslash would be two values, but in a long text."""
    if not value:
        return {"vr": vr}
    kept = value if vr == "LT" else " ".join(value.replace("\\", " ").split())
    return {"vr": vr, "Value": [kept[:most].rstrip()]}
