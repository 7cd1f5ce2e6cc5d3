"""What a restored backup shows of reading: samples are those that were analysed, reports those that were signed."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from ecg import integrity
from hub.core import db, secret
from hub.core.db import Connection, Row
from hub.core.errors import HubError
from hub.core.proofs import Fact, Proof, Restored, Verdict
from hub.reading import signing
from hub.reading.completeness import read_completeness
from hub.reading.signing import Signer
from hub.reading.timeline import WHOLE_RECORD, read_record, read_timeline
from hub.reading.verifying import verify_report


async def signed_reports(conn: Connection) -> Mapping[str, Any]:
    """How many there are, and one hash over all signatures."""
    return await db.one(
        conn,
        "SELECT count(*) AS signed, encode(sha256(coalesce(string_agg(signature, ''::bytea ORDER BY id), '')), 'hex')"
        " AS signatures FROM report",
    )


async def reports(restored: Restored) -> Verdict:
    """Everything a report binds, computed anew: signature, columns, samples, analysis, edits, paper."""
    found = await db.rows(
        restored.conn, "SELECT id FROM report ORDER BY signed_at DESC LIMIT %s", (restored.limit,)
    )
    if not found:
        return Verdict("none was signed yet")
    if not secret.exists(restored.data_dir, signing.KEY_NAME):
        return Verdict(f"{len(found)} reports", ("the key that signed them is missing",))
    signer = signing.local_signer(restored.data_dir)
    faults = [fault for report in found for fault in await _report_faults(restored, signer, report["id"])]
    return Verdict(f"{len(found)} reports are what was signed", (*faults,))


async def _report_faults(restored: Restored, signer: Signer, report_id: UUID) -> list[str]:
    try:
        told = await verify_report(restored.conn, signer, restored.store, report_id)
    except HubError as damage:
        return [f"report {report_id}: {damage.en} {damage.detail}"]
    return [f"report {report_id}: {c['name']}: {c['detail']}" for c in told["checks"] if not c["ok"]]


async def merkle_roots(restored: Restored) -> Verdict:
    """The samples of analysed recordings are those analysed, by the Merkle root kept with the analysis."""
    newest = await db.rows(
        restored.conn,
        "SELECT * FROM (SELECT DISTINCT ON (a.recording_id) a.recording_id, a.input_sha256, a.completeness,"
        " a.analysed_at FROM analysis a ORDER BY a.recording_id, a.version DESC) newest"
        " ORDER BY analysed_at DESC LIMIT %s",
        (restored.limit,),
    )
    faults, compared = [], 0
    for analysis in newest:
        if await _came_later(restored.conn, analysis):
            continue
        compared += 1
        try:
            root = await _root(restored.conn, analysis["recording_id"])
        except HubError as damage:
            faults.append(f"recording {analysis['recording_id']}: {damage.en} {damage.detail}")
            continue
        if root != analysis["input_sha256"]:
            faults.append(
                f"recording {analysis['recording_id']}: the samples are not those that were analysed"
            )
    return Verdict(f"the samples of {compared} recordings are those that were analysed", (*faults,))


async def _came_later(conn: Connection, analysis: Row) -> bool:
    """Samples stored since the analysis: the next one has not run yet, so there is no root to compare with."""
    now = await read_completeness(conn, analysis["recording_id"])
    return bool(now["stored"] != analysis["completeness"]["stored"])


async def _root(conn: Connection, recording_id: UUID) -> str:
    recording = await db.one(conn, "SELECT * FROM recording WHERE id = %s", (recording_id,))
    async with WHOLE_RECORD:
        record = await read_record(conn, recording, await read_timeline(conn, recording_id))
        return (await asyncio.to_thread(integrity.record_root, record)).hex()


FACTS: Final[Mapping[str, Fact]] = {"reports": signed_reports}
PROOFS: Final[Mapping[str, Proof]] = {"Merkle roots": merkle_roots, "report signatures": reports}
