"""Whether a report still is what was signed: each thing it binds is computed anew and named if it changed."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ecg import integrity
from hub.core import errors
from hub.core.db import Connection, Row, maybe, one, rows
from hub.core.store import Store
from hub.reading.document import analysis_sha256, edits_sha256
from hub.reading.drafts import read_edits
from hub.reading.image_cases import hash_of
from hub.reading.reports import PAPER_MADE
from hub.reading.signing import Signer
from hub.reading.timeline import WHOLE_RECORD, read_record, read_timeline

Verdict = tuple[bool, str]


@dataclass(frozen=True)
class Evidence:
    """What the checks look at; `signed` is the document as the signed bytes say."""

    conn: Connection
    signer: Signer
    store: Store
    report: Row
    signed: Mapping[str, Any]


async def verify_report(conn: Connection, signer: Signer, store: Store, report_id: UUID) -> dict[str, Any]:
    """All checks of a report. Runs in the name of the hub, since a reader no longer sees the samples
    after signing; whoever asks must have been allowed to read the report (`reports.read_report`).
    """
    report = await one(conn, "SELECT * FROM report WHERE id = %s", (report_id,))
    evidence = Evidence(conn, signer, store, report, _document(bytes(report["signed_content"])))
    checks = []
    for name, check in CHECKS_OF_IMAGES if "images" in evidence.signed else CHECKS:
        ok, detail = await _verdict(check, evidence)
        checks.append({"name": name, "ok": ok, "detail": detail})
    return {"valid": all(check["ok"] for check in checks), "checks": checks}


def _document(signed: bytes) -> dict[str, Any]:
    try:
        value = json.loads(signed)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


async def _verdict(check: Callable[[Evidence], Awaitable[Verdict]], evidence: Evidence) -> Verdict:
    """A document so changed that a field is gone fails every check that needs the field."""
    try:
        return await check(evidence)
    except (KeyError, TypeError, ValueError):
        return False, "the signed bytes no longer hold what this check needs"


async def _signature(e: Evidence) -> Verdict:
    if e.report["signer_key_id"] != e.signer.key_id:
        return False, f"signed with another key: {e.report['signer_key_id']}"
    fits = e.signer.verify(bytes(e.report["signed_content"]), bytes(e.report["signature"]))
    return fits, "fits the signed bytes" if fits else "does not fit the signed bytes"


async def _content(e: Evidence) -> Verdict:
    """The columns that lists and pages use say the same as the signed bytes."""
    heading = e.signed["report"]
    pairs = (
        (e.report["content"], e.signed),
        (str(e.report["id"]), heading["id"]),
        (str(e.report["study_id"]), heading["study_id"]),
        (e.report["version"], heading["version"]),
        (e.report["status"], heading["status"]),
        (str(e.report["patient_id"]), e.signed["patient"]["id"]),
        (str(e.report["organisation_id"]), e.signed["reading_organisation"]["id"]),
        (str(e.report["signed_by"]), e.signed["signer"]["id"]),
        (e.report["signed_at"], datetime.fromisoformat(e.signed["signed_at"])),
    )
    same = all(column == signed for column, signed in pairs)
    return same, "columns equal the signed document" if same else "columns differ from the signed document"


async def _samples(e: Evidence) -> Verdict:
    """The Merkle root over the samples stored now."""
    recording = await one(
        e.conn, "SELECT * FROM recording WHERE id = %s", (UUID(e.signed["recording"]["id"]),)
    )
    async with WHOLE_RECORD:
        try:
            record = await read_record(e.conn, recording, await read_timeline(e.conn, recording["id"]))
        except errors.Unavailable as damage:
            return False, f"{damage.code}: {damage.detail}"
        root = (await asyncio.to_thread(integrity.record_root, record)).hex()
    same = root == e.signed["recording"]["merkle_root"]
    return same, f"Merkle root {root}" if same else f"Merkle root {root} is not the signed one"


async def _analysis(e: Evidence) -> Verdict:
    row = await one(
        e.conn, "SELECT packed, measured FROM analysis WHERE id = %s", (UUID(e.signed["analysis"]["id"]),)
    )
    same = analysis_sha256(row) == e.signed["analysis"]["sha256"]
    return same, "unchanged" if same else "the analysis was changed"


async def _edits(e: Evidence) -> Verdict:
    edits = await read_edits(e.conn, UUID(e.signed["analysis"]["id"]), up_to=e.signed["edits"]["sequence"])
    same = edits_sha256(edits) == e.signed["edits"]["sha256"]
    return same, f"{len(edits)} edits unchanged" if same else "the reader's edits were changed"


async def _paper(e: Evidence) -> Verdict:
    """The stored file still has the bytes whose hash the sealed audit keeps."""
    made = await maybe(
        e.conn,
        "SELECT detail ->> 'sha256' AS sha256 FROM audit WHERE patient_id = %s AND action = %s AND object_id = %s"
        " ORDER BY id LIMIT 1",
        (e.report["patient_id"], PAPER_MADE, str(e.report["id"])),
    )
    if made is None:
        return e.report["pdf_sha256"] is None, "not made yet"
    if made["sha256"] != e.report["pdf_sha256"]:
        return False, "another file stands in the place of the paper"
    same = await asyncio.to_thread(_file_fits, e.store, made["sha256"])
    return same, "file unchanged" if same else "file missing or changed"


def _file_fits(store: Store, sha256: str) -> bool:
    try:
        return hashlib.sha256(store.path(sha256).read_bytes()).hexdigest() == sha256
    except FileNotFoundError:
        return False


async def _images(e: Evidence) -> Verdict:
    """Every image that was read is there with the bytes that were read; others may have come since."""
    listed = e.signed["images"]["listed"]
    if hash_of(listed) != e.signed["images"]["sha256"]:
        return False, "the list of images is not the one whose hash was signed"
    now = {
        row["sop_uid"]: row["file_sha256"]
        for row in await rows(
            e.conn,
            "SELECT sop_uid, file_sha256 FROM dicom_instance WHERE dicom_study_id = %s",
            (UUID(e.signed["images"]["id"]),),
        )
    }
    bad = [
        uid
        for uid, sha256 in listed
        if now.get(uid) != sha256 or not await asyncio.to_thread(_file_fits, e.store, sha256)
    ]
    return (
        not bad,
        f"{len(bad)} of {len(listed)} images missing or changed"
        if bad
        else f"{len(listed)} images unchanged",
    )


Check = tuple[str, Callable[[Evidence], Awaitable[Verdict]]]
_SIGNED: tuple[Check, ...] = (("signature", _signature), ("content", _content))
CHECKS: tuple[Check, ...] = (
    *_SIGNED,
    ("samples", _samples),
    ("analysis", _analysis),
    ("edits", _edits),
    ("paper", _paper),
)
CHECKS_OF_IMAGES: tuple[Check, ...] = (*_SIGNED, ("images", _images), ("paper", _paper))
