"""A reader's edits of whole templates, through the service: stored, undone, carried over, signed."""

from typing import Any

import pytest

from ecg.synthetic import Segment
from hub.core import errors
from hub.core.fields import Fields
from hub.core.jobs import enqueue
from hub.reading import analyses, cases, drafts, tasks
from tests.reading.test_path import run_jobs
from tests.reading.test_reports import tamper
from tests.reading.world import SEEDER, World, ended_recording

SCRIPT = (Segment("pvc", 80.0, 75.0), Segment("vt", 6.0, 170.0), Segment("sinus", 34.0))


@pytest.fixture
async def case(agreed: World) -> dict[str, Any]:
    """A claimed Holter with ventricular beats."""
    recording = await ended_recording(agreed, SCRIPT, seconds=120)
    async with agreed.transaction(SEEDER) as conn:
        await enqueue(conn, agreed.at, "recording.ended", str(recording), {"recording_id": str(recording)})
    await run_jobs(agreed)
    async with agreed.transaction(agreed.reader) as conn:
        (task,) = await tasks.list_tasks(conn, agreed.reader, agreed.at, "open")
        await tasks.claim_task(conn, agreed.reader, agreed.at, task["id"])
    return await opened(agreed, task["id"])


async def opened(world: World, task_id: Any) -> dict[str, Any]:
    async with world.transaction(world.reader) as conn:
        return await cases.read_case(conn, world.reader, world.at, task_id)


async def edit(world: World, case: dict[str, Any], **operation: Any) -> dict[str, Any]:
    """As the page sends it."""
    async with world.transaction(world.reader) as conn:
        stored = drafts.usable_edit(Fields(operation))
        return await drafts.add_edit(conn, world.reader, world.at, case["analysis"]["id"], stored)


def of_class(summary: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [row for row in summary["templates"] if row["beat_class"] == kind]


async def test_relabelled_templates_change_figures_findings_and_beats_until_undone(
    agreed: World, case: dict[str, Any]
) -> None:
    before = case["analysis"]["summary"]
    rows = of_class(before, "V")
    assert rows and "ventricular-run" in {f["rule"] for f in case["findings"]}
    for row in rows:
        done = await edit(agreed, case, operation="relabel-template", sample=row["sample"], beat_class="N")
    assert done["summary"]["beats_by_class"]["V"] == 0 and done["sequence"] == len(rows)
    after = await opened(agreed, case["task"]["id"])
    assert "ventricular-run" not in {f["rule"] for f in after["findings"]}
    async with agreed.transaction(agreed.reader) as conn:
        beats = await cases.read_beats(conn, agreed.reader, agreed.at, case["analysis"]["id"], 0, 10**6)
    assert "V" not in {kind for _, kind in beats}
    for sequence in range(1, len(rows) + 1):
        await edit(agreed, case, operation="undo", sequence=sequence)
    again = await opened(agreed, case["task"]["id"])
    assert again["analysis"]["summary"] == before and again["findings"] == case["findings"]


async def test_a_merge_joins_two_and_what_names_nothing_is_refused(
    agreed: World, case: dict[str, Any]
) -> None:
    summary = case["analysis"]["summary"]
    source, target = of_class(summary, "V")[0], of_class(summary, "N")[0]
    done = await edit(
        agreed, case, operation="merge-templates", sample=source["sample"], into=target["sample"]
    )
    (joined,) = (row for row in done["summary"]["templates"] if row["template"] == target["template"])
    assert joined["beats"] == source["beats"] + target["beats"] and set(joined["by_class"]) == {"N"}
    for wrong in (
        {"operation": "relabel-template", "sample": 10**6, "beat_class": "N"},
        {"operation": "merge-templates", "sample": target["sample"], "into": target["sample"]},
        {"operation": "undo", "sequence": 7},
    ):
        with pytest.raises(errors.BadInput):
            await edit(agreed, case, **wrong)


async def test_an_edit_of_templates_goes_on_to_the_next_analysis(agreed: World, case: dict[str, Any]) -> None:
    """Named by a beat, so that it means the same beats when samples came late."""
    for row in of_class(case["analysis"]["summary"], "V"):
        await edit(agreed, case, operation="relabel-template", sample=row["sample"], beat_class="Q")
    await tamper(agreed, "UPDATE ecg_packet SET samples = set_byte(samples, 9, 1) WHERE first_sample = 500")
    await analyses.analyse_study(agreed.databases.app, SEEDER, agreed.at, case["task"]["study_id"])
    again = await opened(agreed, case["task"]["id"])
    assert again["analysis"]["version"] == 2 and again["analysis"]["unmatched_edits"] == []
    assert again["analysis"]["summary"]["beats_by_class"]["V"] == 0
