"""What the paper of a report is drawn from: the signed document and the samples of its strips, as one
CBOR value.

The sandbox that draws has no database; everything it needs is in these bytes.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import cbor2

from ecg.record import main_group
from hub.core.db import Connection, Row, one
from hub.reading import disclosure
from hub.reading.cases import LEAD_IN_S, STRIP_S
from hub.reading.drafts import edited, read_edits
from hub.reading.paper import study_kind
from hub.reading.signing import verification_code
from hub.reading.timeline import WHOLE_RECORD, Timeline, read_record, read_samples, read_timeline
from hub.reading.words import LOCALES

EVENTS_MAX = 30  # strips of button and diary events; the paper says how many more there are
EXTREMES = ("lowest_rate", "highest_rate", "longest_rr")


async def signed_key_images(conn: Connection, report_id: UUID) -> tuple[list[dict[str, Any]], datetime]:
    """Of a report on images, of others there are none; and when it was signed."""
    report = await one(
        conn, "SELECT content -> 'key_images' AS chosen, signed_at FROM report WHERE id = %s", (report_id,)
    )
    return list(report["chosen"] or ()), report["signed_at"]


async def pack_report(
    conn: Connection,
    report_id: UUID,
    locale: str | None = None,
    pictures: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """The bytes `hub.reading.paper:draw` takes; in the language the reader chose unless one is given.

    `pictures`: of the key images, which are made outside a transaction (`paper_pictures`).
    """
    report = await one(conn, "SELECT study_id, signed_content FROM report WHERE id = %s", (report_id,))
    signed = bytes(report["signed_content"])
    document = json.loads(signed)
    given = {
        "document": document,
        "verification_code": verification_code(signed),
        "locale": locale or document["content"].get("language", LOCALES[0]),
    }
    if study_kind(document) == "imaging":
        return cbor2.dumps({**given, "strips": list(pictures), "events_left_out": 0})
    recording = await one(conn, "SELECT * FROM recording WHERE id = %s", (UUID(document["recording"]["id"]),))
    timeline = await read_timeline(conn, recording["id"])
    return cbor2.dumps(
        {
            **given,
            "strips": [
                await _strip(conn, recording, timeline, wanted) for wanted in _wanted(document, timeline)
            ],
            "events_left_out": max(0, len(document["events"]) - EVENTS_MAX),
            "disclosure": await _disclosure(conn, recording, timeline, document),
        }
    )


async def _disclosure(
    conn: Connection, recording: Row, timeline: Timeline, document: Mapping[str, Any]
) -> dict[str, Any] | None:
    """All minutes of one lead, if the reader asked for them."""
    if not document["content"].get("full_disclosure"):
        return None
    analysis = await one(conn, "SELECT * FROM analysis WHERE id = %s", (UUID(document["analysis"]["id"]),))
    edits = await read_edits(conn, analysis["id"], up_to=document["edits"]["sequence"])
    seen, _ = await edited(analysis, [edit["operation"] for edit in edits], beats_only=True)
    async with WHOLE_RECORD:
        record = await read_record(conn, recording, timeline)
        leads = [lead.samples for lead in main_group(record)]
        return await asyncio.to_thread(disclosure.of_analysis, leads, recording["uv_per_lsb"] or 1.0, seen)


def _wanted(document: Mapping[str, Any], timeline: Timeline) -> list[dict[str, Any]]:
    """Which strips, in the order of the paper: the moment's index on the line, and how far into the strip it lies."""
    figures, events = document["analysis"]["summary"], document["events"][:EVENTS_MAX]
    is_short = study_kind(document) == "ecg-12-lead"
    moments = [
        *((("whole", "", 0),) if is_short else ()),
        *(
            ("finding", i, timeline.index(f["boot"], f["onset_sample"]))
            for i, f in enumerate(document["findings"])
        ),
        *(
            ("extreme", name, figures[name]["sample"])
            for name in EXTREMES
            if figures[name] is not None and not is_short
        ),
        *(("event", i, timeline.event_index(event)) for i, event in enumerate(events)),
    ]
    return [{"section": section, "item": item, "index": index} for section, item, index in moments]


async def _strip(
    conn: Connection, recording: Row, timeline: Timeline, wanted: Mapping[str, Any]
) -> dict[str, Any]:
    about = {"section": wanted["section"], "item": wanted["item"]}
    if wanted["index"] is None:
        return {**about, "samples": None}
    lead_in_s = STRIP_S / 2 if wanted["section"] == "event" else LEAD_IN_S
    window = timeline.window(wanted["index"], lead_in_s, STRIP_S)
    samples = await read_samples(conn, recording, window["boot"], window["first_sample"], window["count"])
    first = timeline.index(window["boot"], window["first_sample"])
    return {
        **about,
        "samples": samples.astype("<i2").tobytes(),
        "count": window["count"],
        "start_at": timeline.instant(first).isoformat(),
        "mark_s": (wanted["index"] - first) / timeline.fs_hz,
    }
