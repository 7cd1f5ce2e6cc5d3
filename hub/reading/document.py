"""The document under a report's signature: everything a reader vouched for, in one JSON value.

It binds the samples (Merkle root), the analysis, the edits up to the last and the data completeness, or the images
(`image_cases`), to the reader's words. The paper is drawn from this document and the samples or images alone, so what
is printed is what was signed.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ecg.analysis import Analysis
from ecg.holter_facts import at_moment
from hub.core.actor import Actor
from hub.core.db import Connection, Row, one
from hub.core.fields import to_json
from hub.people.patients import age_years
from hub.reading.cases import finding_view, numbered_findings, read_request, recording_events
from hub.reading.signing import Signer, canonical
from hub.reading.timeline import Timeline, read_timeline
from hub.reading.words import LOCALES

if TYPE_CHECKING:
    from ecg.edits import Seen

FORMAT = "telehub-report/1"
PAPER_EVENTS = ("button", "sos", "diary")  # symptoms: each gets its strip


async def write_document(
    conn: Connection,
    actor: Actor,
    at: datetime,
    signer: Signer,
    task: Row,
    heading: Mapping[str, Any],
    content: Mapping[str, Any],
    parts: Mapping[str, Any],
) -> dict[str, Any]:
    """The document of a signature that is about to be made; plain JSON values only. `parts`: what was read."""
    patient = await one(conn, "SELECT * FROM patient WHERE id = %s", (task["patient_id"],))
    document = {
        "format": FORMAT,
        "report": heading,
        "study": {"kind": task["kind"]},
        "patient": {
            **{key: patient[key] for key in ("id", "name", "sex", "birth_date")},
            "age_years": age_years(patient["birth_date"], at),
        },
        "request": await read_request(conn, task["study_id"]),
        "reading_organisation": await _organisation(conn, task["organisation_id"]),
        "content": {
            **{key: content[key] for key in ("findings_text", "conclusion", "advice", "critical")},
            "full_disclosure": content.get("full_disclosure", False),
            "language": content.get("language", LOCALES[0]),
        },
        **parts,
        "withdrawn": None,
        **await signature_fields(conn, actor, at, signer),
    }
    return dict(json.loads(to_json(document)))


async def recording_parts(
    conn: Connection,
    task: Row,
    included: Sequence[int],
    analysis: Row,
    edits: Sequence[Row],
    seen: "Seen",
    completeness: Mapping[str, Any],
) -> dict[str, Any]:
    """What a report says of the recording it is about."""
    timeline = await read_timeline(conn, task["recording_id"])
    return {
        "recording": await _recording(conn, task["recording_id"], analysis["input_sha256"], timeline),
        "analysis": {
            **{key: analysis[key] for key in ("id", "version", "algorithm", "analysed_at")},
            "sha256": analysis_sha256(analysis),
            "summary": _figures(seen, timeline),
            "finding_counts": dict(Counter(finding.rule for finding in seen.analysis.findings)),
        },
        "edits": {"sequence": len(edits), "sha256": edits_sha256(edits)},
        "completeness": completeness,
        "findings": _included(analysis, seen.analysis, timeline, included),
        "events": [
            e | _meanwhile(e, seen.analysis, timeline)
            for e in await recording_events(conn, task["recording_id"])
            if e["kind"] in PAPER_EVENTS
        ],
    }


async def signature_fields(conn: Connection, actor: Actor, at: datetime, signer: Signer) -> dict[str, Any]:
    """Who signs, when, with what; part of the signed bytes."""
    account = await one(conn, "SELECT id, name FROM account WHERE id = %s", (actor.account_id,))
    return {
        "signer": {"id": str(account["id"]), "name": account["name"], "key_id": signer.key_id},
        "signature_statement": signer.statement,
        "signed_at": json.loads(to_json(at)),
    }


def _meanwhile(event: Row, seen: Analysis, timeline: Timeline) -> dict[str, Any]:
    """What the heart did while the patient noted something; nothing outside the recording."""
    place = timeline.event_index(event)
    return {} if place is None else at_moment(seen, place)


def analysis_sha256(analysis: Row) -> str:
    """One hash over an analysis as stored: its beats, and what was measured beside them."""
    return hashlib.sha256(bytes(analysis["packed"]) + bytes(analysis["measured"] or b"")).hexdigest()


def edits_sha256(edits: Sequence[Row]) -> str:
    """One hash over the edits in order: who, when, what."""
    listed = [[e["sequence"], str(e["account_id"]), e["at"].isoformat(), e["operation"]] for e in edits]
    return hashlib.sha256(canonical({"edits": listed})).hexdigest()


async def _organisation(conn: Connection, organisation_id: Any) -> Row:
    return await one(conn, "SELECT id, name, name_en FROM organisation WHERE id = %s", (organisation_id,))


async def _recording(
    conn: Connection, recording_id: Any, merkle_root: str, timeline: Timeline
) -> dict[str, Any]:
    recording = await one(
        conn,
        "SELECT r.id, coalesce(r.device_id, left(r.file_sha256, 12)) AS device_id,"
        " coalesce(d.name, r.source_name) AS device_name, r.fs_hz, r.leads, r.uv_per_lsb, r.paced"
        " FROM recording r LEFT JOIN device d ON d.id = r.device_id WHERE r.id = %s",
        (recording_id,),
    )
    worn = {"worn_from": timeline.instant(0), "worn_to": timeline.instant(timeline.length)}
    return {**recording, **worn, "merkle_root": merkle_root, "timeline": timeline.as_json()}


def _figures(seen: "Seen", timeline: Timeline) -> dict[str, Any]:
    from ecg import holter

    figures = holter.summary(seen.analysis, timeline.instant(0), seen.measured)
    return {key: value for key, value in figures.items() if key != "findings"}


def _included(
    analysis: Row, seen: Analysis, timeline: Timeline, numbers: Sequence[int]
) -> list[dict[str, Any]]:
    """The findings whose strips go on the paper, in the reader's order; one dismissed since is left out."""
    known = {number: finding for finding, number in numbered_findings(analysis, seen)}
    return [finding_view(known[n], n, timeline) for n in numbers if n in known]
