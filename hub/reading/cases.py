"""The case a reader opens after claiming: patient, request, recording, analysis, ranked findings, events,
draft.

Opening needs the grant of the claim; it is audited as a look into the patient's record.
"""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from ecg import findings as ecg_findings
from ecg.analysis import CLASSES, Analysis
from ecg.rhythms import RULES
from hub.core import errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row, one, rows
from hub.people import access, audit
from hub.people.patients import age_years
from hub.reading import image_cases
from hub.reading.drafts import edited, newest_analysis, read_draft, read_edits
from hub.reading.tasks import read_task, task_view
from hub.reading.timeline import Timeline, read_timeline
from hub.telemetry import recordings

if TYPE_CHECKING:
    from ecg.edits import Seen

DEFAULT_ZONE = "Asia/Shanghai"  # of paper, where nobody asked; as accounts have it (migration 0002)
STRIP_S = 7.0  # what fits on paper at 25 mm/s, and what a finding opens
LEAD_IN_S = 2.0  # a strip shows what came before
PRIORITIES = ("high", "medium", "low", None)


async def read_case(conn: Connection, actor: Actor, at: datetime, task_id: UUID) -> dict[str, Any]:
    """Everything on the reading page, as it is at one moment."""
    task = await read_task(conn, task_id)
    await access.require(conn, actor, at, "report.write", organisation_id=task["organisation_id"])
    await access.require(conn, actor, at, "recording.read", patient_id=task["patient_id"])
    patient = await one(conn, "SELECT * FROM patient WHERE id = %s", (task["patient_id"],))
    parts = image_cases.case_parts if task["kind"] == "imaging" else _recording_parts
    case = {
        "task": task_view(task),
        "patient": {
            **{key: patient[key] for key in ("id", "name", "sex", "birth_date")},
            "age_years": age_years(patient["birth_date"], at),
        },
        "request": await read_request(conn, task["study_id"]),
        **await parts(conn, actor, at, task),
        "draft": await read_draft(conn, task_id),
        "reports": await _versions(conn, task["study_id"]),
    }
    await audit.record(
        conn, actor, at, "case.open", "task", task_id,
        organisation_id=task["organisation_id"], patient_id=task["patient_id"],
    )  # fmt: skip
    return case


async def images_of_task(conn: Connection, actor: Actor, at: datetime, task_id: UUID) -> str:
    """The hash over the images of an open case, for a page that asks whether any have come; no look into the record."""
    task = await read_task(conn, task_id)
    await access.require(conn, actor, at, "report.write", organisation_id=task["organisation_id"])
    await access.require(conn, actor, at, "images.read", patient_id=task["patient_id"])
    if task["dicom_study_id"] is None:
        raise errors.error("not_found")
    return await image_cases.images_sha256(conn, task["dicom_study_id"])


async def _recording_parts(conn: Connection, actor: Actor, at: datetime, task: Row) -> dict[str, Any]:
    """A recording, and what the newest analysis with its edits says of it."""
    analysis = await newest_analysis(conn, task["recording_id"])
    edits = await read_edits(conn, analysis["id"])
    seen = await edited(analysis, [edit["operation"] for edit in edits])
    timeline = await read_timeline(conn, task["recording_id"])
    return {
        "recording": await recordings.read_recording(conn, actor, at, task["recording_id"]),
        "analysis": await asyncio.to_thread(analysis_view, analysis, seen, timeline),
        "timeline": timeline.as_json(),
        "findings": [finding_view(f, i, timeline) for f, i in numbered_findings(analysis, seen.analysis)],
        "events": await recording_events(conn, task["recording_id"]),
        "edits": edits,
    }


async def read_beats(
    conn: Connection, actor: Actor, at: datetime, analysis_id: UUID, from_sample: int, to_sample: int
) -> list[list[Any]]:
    """Beats of a window with the edits applied: [index on the recording's line, class]."""
    analysis = await one(
        conn,
        "SELECT a.*, r.patient_id FROM analysis a JOIN recording r ON r.id = a.recording_id WHERE a.id = %s",
        (analysis_id,),
    )
    await access.require(conn, actor, at, "recording.read", patient_id=analysis["patient_id"])
    edits = await read_edits(conn, analysis_id)
    seen, _ = await edited(analysis, [edit["operation"] for edit in edits], beats_only=True)
    first, last = np.searchsorted(seen.sample, (from_sample, to_sample))
    return [
        [int(sample), CLASSES[kind]]
        for sample, kind in zip(seen.sample[first:last], seen.kind[first:last], strict=True)
    ]


def analysis_view(analysis: Row, seen: "Seen", timeline: Timeline) -> dict[str, Any]:
    """An analysis as the page shows it: the stored row, with the summary after the edits. Not on the loop."""
    from ecg import holter

    shown = ("id", "version", "algorithm", "analysed_at", "completeness")
    figures = holter.summary(seen.analysis, timeline.instant(0), seen.measured)
    return {
        **{key: analysis[key] for key in shown},
        "summary": {key: value for key, value in figures.items() if key != "findings"},
        "unmatched_edits": [holter.edit_to_dict(edit) for edit in seen.analysis.unmatched],
    }


def numbered_findings(analysis: Row, seen: Analysis) -> list[tuple[ecg_findings.Finding, int]]:
    """Findings in the order to read them, each with a number that no edit changes.

    The number is the place in the analysis as stored; those a reader inserted count on from there, in order.
    """
    from ecg.summary import ranked

    stored = Analysis.from_bytes(bytes(analysis["packed"])).findings
    numbers = {finding.key: number for number, finding in enumerate(stored)}
    inserted = [finding for finding in seen.findings if finding.key not in numbers]
    numbers |= {finding.key: len(stored) + number for number, finding in enumerate(inserted)}
    return [(finding, numbers[finding.key]) for finding in ranked(seen.findings)]


def finding_view(finding: ecg_findings.Finding, index: int, timeline: Timeline) -> dict[str, Any]:
    """One finding on the samples of its boot; `index` is its place in the analysis."""
    boot, onset = timeline.locate(finding.onset_sample)
    end = finding.offset_sample
    return {
        **ecg_findings.to_dict(finding),
        "finding_index": index,
        "name": dict(RULES[finding.rule].words) if finding.rule in RULES else None,
        "boot": boot,
        "onset_sample": onset,
        "offset_sample": None if end is None else onset + end - finding.onset_sample,
        "onset_at": timeline.instant(finding.onset_sample),
        "offset_at": None if end is None else timeline.instant(end),
        "strip": timeline.window(finding.onset_sample, LEAD_IN_S, STRIP_S),
    }


async def read_request(conn: Connection, study_id: UUID) -> Row:
    """What the clinic asked, and who; of images nobody asked to have read, only where they came from."""
    return await one(
        conn,
        "SELECT q.id, coalesce(q.question, '') AS question, coalesce(q.symptoms, '') AS symptoms,"
        " coalesce(q.drugs, '') AS drugs, coalesce(q.pacemaker, false) AS pacemaker,"
        " coalesce(q.priority, 'routine') AS priority, coalesce(q.created_at, s.created_at) AS created_at,"
        " coalesce(a.name, '') AS requester_name, coalesce(a.time_zone, %s) AS time_zone,"
        " o.id AS organisation_id, o.name AS organisation_name, o.name_en AS organisation_name_en"
        " FROM study s LEFT JOIN service_request q ON q.id = s.service_request_id"
        " LEFT JOIN account a ON a.id = q.requester_id"
        " JOIN organisation o ON o.id = coalesce(q.organisation_id, s.organisation_id)"
        " WHERE s.id = %s",
        (DEFAULT_ZONE, study_id),
    )


async def recording_events(conn: Connection, recording_id: UUID) -> list[Row]:
    """Button presses, diary and what else the device told, in order of time."""
    return await rows(
        conn,
        "SELECT id, kind, at, boot, sample, detail, device_id FROM recording_event WHERE recording_id = %s"
        " ORDER BY at, id",
        (recording_id,),
    )


async def _versions(conn: Connection, study_id: UUID) -> list[Row]:
    return await rows(
        conn,
        "SELECT f.id, f.version, f.status, f.signed_at, a.name AS signed_by_name FROM report f"
        " JOIN account a ON a.id = f.signed_by WHERE f.study_id = %s ORDER BY f.version",
        (study_id,),
    )
