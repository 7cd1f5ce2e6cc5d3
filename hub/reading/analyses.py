"""Analysing an ended recording: an immutable row per state of its samples (DESIGN.md sections 7 and 8).

The key is the algorithm and the Merkle root of the samples. Asked again without new samples, nothing happens;
late samples give version n+1, and the reader is told: an open task goes on with the newer analysis (the
signature refuses the older one), a signed study gets a new task.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from ecg import holter, integrity
from ecg.measured import to_bytes as pack_measured
from ecg.twelve_lead.case import Request
from hub.core import errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Database, Row, maybe, notify, one, run
from hub.people import audit
from hub.people.patients import age_years
from hub.reading.completeness import read_completeness
from hub.reading.drafts import carry_over_edits
from hub.reading.studies import ask_reader
from hub.reading.timeline import WHOLE_RECORD, Timeline, read_signal, read_timeline


async def analyse_study(db: Database, actor: Actor, at: datetime, study_id: UUID) -> None:
    """Read the samples, analyse them off the loop, store the analysis and route the study."""
    async with WHOLE_RECORD:
        async with db.transaction(actor, at) as conn:
            study = await one(conn, "SELECT * FROM study WHERE id = %s", (study_id,))
            recording = await one(conn, "SELECT * FROM recording WHERE id = %s", (study["recording_id"],))
            request = await _request(conn, at, study, recording["paced"])
            timeline = await read_timeline(conn, recording["id"])
            completeness = await read_completeness(conn, recording["id"])
            record, electrodes_on = await read_signal(conn, recording, timeline)
            if (await read_timeline(conn, recording["id"])).gaps != timeline.gaps:
                raise errors.error("conflict")  # samples came in between: the job tries again
        root = (await asyncio.to_thread(integrity.record_root, record)).hex()
        analysis = await asyncio.to_thread(
            holter.analyse, record, paced=recording["paced"], electrodes_on=electrodes_on
        )
        measured = await asyncio.to_thread(
            holter.measured, record, analysis, paced=recording["paced"], request=request
        )
        figures = await asyncio.to_thread(holter.summary, analysis, timeline.instant(0), measured)
    made = holter.Seen(analysis, measured)
    async with db.transaction(actor, at) as conn:
        await _store(conn, actor, at, study, timeline, root, made, figures, completeness)


async def _request(conn: Connection, at: datetime, study: Row, paced: bool) -> Request:
    """What limits of 12-lead statements depend on."""
    patient = await one(conn, "SELECT sex, birth_date FROM patient WHERE id = %s", (study["patient_id"],))
    sex = patient["sex"] if patient["sex"] in ("male", "female") else None
    return Request(age_years(patient["birth_date"], at), sex, paced)


async def _store(
    conn: Connection,
    actor: Actor,
    at: datetime,
    study: Row,
    timeline: Timeline,
    root: str,
    made: holter.Seen,
    figures: Mapping[str, Any],
    completeness: Mapping[str, Any],
) -> None:
    analysis, measured = made
    recording_id, algorithm = study["recording_id"], f"{analysis.algorithm}/{analysis.version}"
    await run(conn, "SELECT FROM study WHERE id = %s FOR UPDATE", (study["id"],))  # one writer per study
    stored = await maybe(
        conn,
        "INSERT INTO analysis (id, recording_id, version, algorithm, input_sha256, packed, measured, summary,"
        " completeness, analysed_at) SELECT %s, %s, coalesce(max(version), 0) + 1, %s, %s, %s, %s, %s::jsonb,"
        " %s::jsonb, %s"
        " FROM analysis WHERE recording_id = %s"
        " ON CONFLICT (recording_id, algorithm, input_sha256) DO NOTHING RETURNING id, version",
        (
            ids.new(at), recording_id, algorithm, root, analysis.to_bytes(),
            None if measured is None else pack_measured(measured),
            json.dumps(figures), json.dumps(completeness), at,
            recording_id,
        ),
    )  # fmt: skip
    if stored is None:
        return
    await carry_over_edits(conn, stored["id"], recording_id, stored["version"])
    await _store_findings(conn, at, recording_id, timeline, analysis)
    await audit.record(
        conn, actor, at, "analysis.create", "analysis", stored["id"],
        organisation_id=study["organisation_id"], patient_id=study["patient_id"], version=stored["version"],
    )  # fmt: skip
    await notify(conn, "hub_recording", recording_id=str(recording_id))
    await ask_reader(conn, actor, at, study["id"])


async def _store_findings(
    conn: Connection, at: datetime, recording_id: UUID, timeline: Timeline, analysis: holter.Analysis
) -> None:
    """The findings of record, on the samples of their boots, in place of those of an earlier analysis."""
    await run(conn, "DELETE FROM finding WHERE recording_id = %s AND pass = 'record'", (recording_id,))
    await run(conn, "UPDATE recording SET whole_findings_at = %s WHERE id = %s", (at, recording_id))
    for finding in analysis.findings:
        boot, onset = timeline.locate(finding.onset_sample)
        end = finding.offset_sample
        await run(
            conn,
            "INSERT INTO finding (recording_id, pass, rule, version, boot, onset_sample, offset_sample,"
            " onset_at, offset_at, priority, leads, numbers, quality, note, found_at) VALUES"
            " (%s, 'record', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                recording_id, finding.rule, finding.version, boot, onset,
                None if end is None else onset + end - finding.onset_sample,
                timeline.instant(finding.onset_sample), None if end is None else timeline.instant(end),
                finding.priority, list(finding.leads), json.dumps(dict(finding.numbers)), finding.quality,
                finding.note, at,
            ),
        )  # fmt: skip
