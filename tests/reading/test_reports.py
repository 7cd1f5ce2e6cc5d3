"""Reports: what is signed is what was seen, never changes, and tells what was changed."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg import holter
from ecg.analysis import OPERATIONS
from ecg.synthetic import Segment, Synthesiser
from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.fields import Fields
from hub.core.store import Store
from hub.ingest.engine import Engine
from hub.reading import analyses, drafts, reports, routing, studies, tasks
from hub.reading.signing import canonical, local_signer
from hub.reading.verifying import verify_report
from tests.monitoring import Worn, send, waveform
from tests.reading.world import FS_HZ, LEADS, SEEDER, UV_PER_LSB, World, ended_recording, later

CONTENT = {
    "findings_text": "窦性心律，长 RR 间期 1 次",
    "conclusion": "窦性停搏，最长 3.4 秒",
    "advice": "建议心内科就诊",
    "included_findings": [0],
    "critical": False,
}


@pytest.fixture
async def case(agreed: World) -> dict[str, Any]:
    """A task claimed by the reader, with an analysis and a draft."""
    return await claimed(agreed, await ended_recording(agreed))


async def claimed(agreed: World, recording: UUID) -> dict[str, Any]:
    async with agreed.transaction(SEEDER) as conn:
        study = await studies.make_study(conn, SEEDER, agreed.at, recording)
    assert study is not None
    await analyses.analyse_study(agreed.databases.app, SEEDER, agreed.at, study)
    async with agreed.transaction(SEEDER) as conn:
        task = await db.one(conn, "SELECT id FROM task WHERE study_id = %s", (study,))
        analysis = await drafts.newest_analysis(conn, recording)
    async with agreed.transaction(agreed.reader) as conn:
        await tasks.claim_task(conn, agreed.reader, agreed.at, task["id"])
        await drafts.save_draft(conn, agreed.reader, agreed.at, task["id"], CONTENT, 0)
    return {"task": task["id"], "study": study, "analysis": analysis["id"], "recording": recording}


async def sign(world: World, case: Mapping[str, Any], actor: Actor | None = None, **other: Any) -> db.Row:
    seen = {"revision": 1, "analysis_id": case["analysis"], "edit_sequence": 0} | other
    actor = actor or world.reader
    async with world.transaction(actor) as conn:
        signer = local_signer(world.data_dir)
        return await reports.sign_report(conn, actor, world.at, signer, case["task"], **seen)


async def verify(world: World, report: db.Row) -> dict[str, bool]:
    async with world.transaction(SEEDER) as conn:
        signer, store = local_signer(world.data_dir), Store(world.data_dir / "store")
        found = await verify_report(conn, signer, store, report["id"])
    assert found["valid"] == all(check["ok"] for check in found["checks"])
    return {check["name"]: check["ok"] for check in found["checks"]}


async def tamper(world: World, statement: str, *parameters: object) -> None:
    """Change rows behind the hub's back, as somebody with the database's password could."""
    async with await psycopg.AsyncConnection.connect(world.databases.admin_dsn, autocommit=True) as conn:
        await conn.execute("SELECT set_config('hub.actor_kind', 'job', false)")
        done = await conn.execute(statement, parameters)
    assert done.rowcount > 0


async def test_a_signed_report_verifies_and_closes_its_task(agreed: World, case: dict[str, Any]) -> None:
    report = await sign(agreed, case)
    assert all((await verify(agreed, report)).values())
    async with agreed.transaction(SEEDER) as conn:
        task = await db.one(conn, "SELECT status, claimed_by FROM task WHERE id = %s", (case["task"],))
        request = await db.one(conn, "SELECT status FROM service_request")
    assert (task["status"], task["claimed_by"], request["status"]) == ("completed", None, "completed")


async def test_after_signing_the_reader_keeps_the_report_but_not_the_patient(
    agreed: World, case: dict[str, Any]
) -> None:
    report = await sign(agreed, case)
    async with agreed.transaction(agreed.reader) as conn:
        assert (await reports.read_report(conn, agreed.reader, agreed.at, report["id"]))["version"] == 1
        assert await db.rows(conn, "SELECT FROM patient") == []


@pytest.mark.parametrize(
    ("stale", "code"),
    [
        ({"revision": 0}, "draft_stale"),
        ({"edit_sequence": 1}, "analysis_stale"),
        ({"analysis_id": UUID(int=1)}, "analysis_stale"),
    ],
)
async def test_what_the_reader_did_not_see_is_not_signed(
    agreed: World, case: dict[str, Any], stale: dict[str, Any], code: str
) -> None:
    with pytest.raises(errors.Conflict) as refused:
        await sign(agreed, case, **stale)
    assert refused.value.code == code


async def test_an_edit_made_meanwhile_refuses_the_signature(agreed: World, case: dict[str, Any]) -> None:
    async with agreed.transaction(agreed.reader) as conn:
        edit = drafts.usable_edit(Fields({"operation": "note", "text": "伪差"}))
        await drafts.add_edit(conn, agreed.reader, agreed.at, case["analysis"], edit)
    with pytest.raises(errors.Conflict):
        await sign(agreed, case)
    assert (await verify(agreed, await sign(agreed, case, edit_sequence=1)))["edits"]


async def test_only_the_claimer_signs(agreed: World, case: dict[str, Any]) -> None:
    with pytest.raises(errors.Conflict) as refused:
        await sign(agreed, case, agreed.colleague)
    assert refused.value.code == "task_not_yours"


async def test_signing_needs_the_password_again(agreed: World, case: dict[str, Any]) -> None:
    await tamper(agreed, "UPDATE session SET stepped_up_at = stepped_up_at - interval '16 minutes'")
    with pytest.raises(errors.NotAuthenticated) as refused:
        await sign(agreed, case)
    assert refused.value.code == "step_up_needed"


async def test_a_stale_draft_is_refused(agreed: World, case: dict[str, Any]) -> None:
    for revision in (0, 2):
        async with agreed.transaction(agreed.reader) as conn:
            with pytest.raises(errors.Conflict) as refused:
                await drafts.save_draft(conn, agreed.reader, agreed.at, case["task"], CONTENT, revision)
        assert refused.value.code == "draft_stale"


async def test_an_edit_that_matches_nothing_is_refused(agreed: World, case: dict[str, Any]) -> None:
    edit = drafts.usable_edit(Fields({"operation": "delete", "sample": 10**9}))
    async with agreed.transaction(agreed.reader) as conn:
        with pytest.raises(errors.BadInput):
            await drafts.add_edit(conn, agreed.reader, agreed.at, case["analysis"], edit)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
EDIT_FIELDS = st.sampled_from(
    ["sample", "beat_class", "rule", "finding", "text", "onset_sample", "numbers", "note"]
)


@given(st.sampled_from([*OPERATIONS, "guess"]), st.dictionaries(EDIT_FIELDS, JSON))
def test_any_edit_is_usable_or_refused(operation: str, sent: dict[str, Any]) -> None:
    """What passes is of the ECG package's own form, and storable as it is."""
    try:
        edit = drafts.usable_edit(Fields({"operation": operation, **sent}))
    except errors.BadInput:
        return
    assert holter.edit_to_dict(holter.edit_from_dict(json.loads(canonical(edit)))) == edit


@pytest.mark.parametrize(
    ("named", "statement"),
    [
        ("signature", "UPDATE report SET signed_content = set_byte(signed_content, 40, 33)"),
        ("signature", "UPDATE report SET signature = set_byte(signature, 5, get_byte(signature, 5) # 1)"),
        ("content", "UPDATE report SET content = jsonb_set(content, '{content,conclusion}', '\"正常\"')"),
        ("samples", "UPDATE ecg_packet SET samples = set_byte(samples, 9, get_byte(samples, 9) # 1)"
                    " WHERE first_sample = 1000"),
        ("samples", "UPDATE recording_boot SET have = have - '{[1000,1250)}'::int8multirange"),
        ("samples", "UPDATE recording SET uv_per_lsb = 10"),
        ("analysis", "UPDATE analysis SET packed = set_byte(packed, 99, get_byte(packed, 99) # 1)"),
        ("edits", "INSERT INTO analysis_edit SELECT id, 0, (SELECT id FROM account LIMIT 1), analysed_at, '{}'"
                  " FROM analysis"),
    ],
)  # fmt: skip
async def test_a_change_is_named(agreed: World, case: dict[str, Any], named: str, statement: str) -> None:
    report = await sign(agreed, case)
    await tamper(agreed, statement)
    checks = await verify(agreed, report)
    assert not checks[named]
    if "signed_content" not in statement:  # that no longer is a document, so nothing else can be compared
        assert [name for name, ok in checks.items() if not ok] == [named]


async def test_another_paper_in_the_place_of_the_first_is_named(agreed: World, case: dict[str, Any]) -> None:
    report = await sign(agreed, case)
    store = Store(agreed.data_dir / "store")
    first, other = [await store.put(paper, "application/pdf") for paper in (b"first", b"other")]
    for paper in (first, other):  # a job that runs twice
        async with agreed.transaction(SEEDER) as conn:
            await reports.store_pdf(conn, SEEDER, agreed.at, report["id"], paper)
    assert (await verify(agreed, report))["paper"]
    await tamper(agreed, "UPDATE report SET pdf_sha256 = %s", other.sha256)
    checks = await verify(agreed, report)
    assert [name for name, ok in checks.items() if not ok] == ["paper"]


async def test_a_signed_report_cannot_be_changed_by_the_hub(agreed: World, case: dict[str, Any]) -> None:
    report = await sign(agreed, case)
    for column in ("content", "status", "signature", "signed_content"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with agreed.transaction(SEEDER) as conn:
                await db.run(conn, f"UPDATE report SET {column} = {column} WHERE id = %s", (report["id"],))


async def test_late_samples_make_a_new_version_and_refuse_the_old_one(
    agreed: World, case: dict[str, Any]
) -> None:
    await tamper(agreed, "UPDATE ecg_packet SET samples = set_byte(samples, 9, 1) WHERE first_sample = 500")
    await analyses.analyse_study(agreed.databases.app, SEEDER, agreed.at, case["study"])
    await analyses.analyse_study(agreed.databases.app, SEEDER, agreed.at, case["study"])
    async with agreed.transaction(SEEDER) as conn:
        versions = await db.rows(conn, "SELECT version FROM analysis ORDER BY version")
    assert [row["version"] for row in versions] == [1, 2]
    with pytest.raises(errors.Conflict) as refused:
        await sign(agreed, case)
    assert refused.value.code == "analysis_stale"


async def test_samples_that_come_after_the_analysis_queue_another(
    agreed: World, case: dict[str, Any]
) -> None:
    async with agreed.transaction(SEEDER) as conn:
        assert await studies.queue_late(conn, agreed.at) == 0
    await tamper(agreed, "UPDATE recording_boot SET have = have - '{[1000,1250)}'::int8multirange")
    async with agreed.transaction(SEEDER) as conn:
        assert await studies.queue_late(conn, agreed.at) == 1
        late = await db.rows(conn, "SELECT run_at FROM job WHERE unique_key LIKE '%%:late'")
    assert [job["run_at"] - agreed.at for job in late] == [studies.LATE_PAUSE]


async def test_nothing_is_signed_while_samples_are_stored_that_nobody_analysed(agreed: World) -> None:
    """The rest was discarded and read with a gap; then the device sends it after all."""
    case = await claimed(agreed, await ended_recording(agreed, lost=(5000, 7500)))
    engine, begun_at = Engine(agreed.databases.ingest), agreed.at - timedelta(seconds=60)
    async with agreed.transaction(SEEDER) as conn:
        row = await db.one(
            conn, "SELECT device_id, patient_id FROM recording WHERE id = %s", (case["recording"],)
        )
    worn = Worn(row["device_id"], "00", "", row["patient_id"], case["recording"])
    heart = Synthesiser(7, FS_HZ, LEADS, (Segment("sinus", 60.0),), UV_PER_LSB)
    form = {"leads": LEADS, "uv_per_lsb": UV_PER_LSB}
    late = waveform(worn, begun_at, heart.samples(5000, 2500), first=5000, **form)
    assert (await send(engine, worn, [late], agreed.at)).samples == 2500
    with pytest.raises(errors.Conflict) as refused:
        await sign(agreed, case)
    assert refused.value.code == "analysis_stale"
    async with agreed.transaction(SEEDER) as conn:
        assert await studies.queue_late(conn, agreed.at) == 1
    await analyses.analyse_study(agreed.databases.app, SEEDER, agreed.at, case["study"])
    async with agreed.transaction(SEEDER) as conn:
        newest = await drafts.newest_analysis(conn, case["recording"])
        assert await studies.queue_late(conn, agreed.at) == 0
    report = await sign(agreed, case, analysis_id=newest["id"])
    completeness = report["content"]["completeness"]
    assert (newest["version"], completeness["stored"], completeness["lost"]) == (2, 15_000, 0)


async def test_late_samples_after_the_report_ask_for_a_new_reading(
    agreed: World, case: dict[str, Any]
) -> None:
    await sign(agreed, case)
    await tamper(agreed, "UPDATE ecg_packet SET samples = set_byte(samples, 9, 1) WHERE first_sample = 500")
    await analyses.analyse_study(agreed.databases.app, SEEDER, agreed.at, case["study"])
    async with agreed.transaction(agreed.reader) as conn:
        (task,) = await tasks.list_tasks(conn, agreed.reader, agreed.at, "open")
    assert task["reasons"][0] == studies.LATE_WORDS


async def test_withdrawal_is_a_version_of_its_own(agreed: World, case: dict[str, Any]) -> None:
    report = await sign(agreed, case)
    async with agreed.transaction(agreed.senior) as conn:
        signer = local_signer(agreed.data_dir)
        gone = await reports.withdraw_report(conn, agreed.senior, agreed.at, signer, report["id"], "病人弄错")
    assert (gone["version"], gone["status"]) == (2, "entered-in-error")
    assert gone["content"]["withdrawn"]["reason"] == "病人弄错"
    assert all((await verify(agreed, gone)).values()) and all((await verify(agreed, report)).values())
    async with agreed.transaction(agreed.doctor) as conn:
        (line,) = await studies.list_studies(conn, agreed.doctor, agreed.at)
    assert line["state"]["word"] == "withdrawn"


async def test_a_colleague_may_not_withdraw(agreed: World, case: dict[str, Any]) -> None:
    report = await sign(agreed, case)
    async with agreed.transaction(agreed.colleague) as conn:
        with pytest.raises(errors.NotAllowed):
            signer = local_signer(agreed.data_dir)
            await reports.withdraw_report(conn, agreed.colleague, agreed.at, signer, report["id"], "x")


async def test_a_lease_that_ran_out_signs_nothing(agreed: World, case: dict[str, Any]) -> None:
    with pytest.raises(errors.Conflict):
        await sign(later(agreed, minutes=6), case)


async def test_the_analysis_finds_the_pause_and_writes_it_down(agreed: World, case: dict[str, Any]) -> None:
    async with agreed.transaction(SEEDER) as conn:
        found = await db.rows(
            conn, "SELECT rule, boot, onset_at, priority FROM finding WHERE pass = 'record'"
        )
        task = await routing.route_study(conn, SEEDER, agreed.at, case["study"])
    pause = next(row for row in found if row["rule"] == "pause")
    assert pause["boot"] == 1 and agreed.at - timedelta(seconds=25) < pause["onset_at"] < agreed.at
    assert any("停搏" in reason["zh-CN"] for reason in task["reasons"])


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_canonical_form_does_not_depend_on_order(document: dict[str, Any]) -> None:
    assert canonical(document) == canonical(dict(reversed(document.items())))
