"""A 12-lead ECG gets its statements: from a file on the command line, and stored with the analysis of its study."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg import formats
from ecg.record import SHORT_TO_MDC
from ecg.synthetic import Segment
from ecg.twelve_lead import evidence
from ecg.twelve_lead.case import Request
from ecg.twelve_lead.signals import STANDARD
from hub.core import db, errors
from hub.core.jobs import enqueue
from hub.reading import cases, tasks
from hub.reading.read_ecg import as_text, read_file
from tests.ecg import twelve_leads as twelve
from tests.reading.test_path import run_jobs
from tests.reading.world import SEEDER, World, ended_recording

ROOT = Path(__file__).parents[2]
LEADS = tuple(SHORT_TO_MDC[name] for name in STANDARD)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of a slow heart, ST of V2 to V4 raised."""
    raised = twelve.added_after_qrs(
        twelve.heart(fs_hz=500, length_s=10, rate_bpm=50.0), dict.fromkeys(("V2", "V3", "V4"), 400.0)
    )
    path = tmp_path_factory.mktemp("twelve") / "made.edf"
    formats.write(raised, path)
    return path


def test_the_command_prints_statements_as_text_and_json(file: Path) -> None:
    command = [sys.executable, "-m", "hub.cli", "ecg", "read", str(file), "--sex", "male", "--age", "60"]
    env = {"PYTHONPATH": str(ROOT)}
    text = subprocess.run(command, env=env, capture_output=True, check=True).stdout.decode()
    told = json.loads(subprocess.run([*command, "--json"], env=env, capture_output=True, check=True).stdout)
    assert "未经医生阅读" in text and "ST 段抬高" in text.splitlines()[1] and "心动过缓" in text
    first = told["statements"][0]
    assert (first["name"], first["priority"]) == ("st-elevation", "stat") and {"V2", "V3"} <= set(
        first["leads"]
    )
    for statement in told["statements"]:
        assert statement["strip"][1] > statement["strip"][0] and set(statement["words"]) == {"zh-CN", "en"}
    assert told["values"]["rate_bpm"]["value"] == pytest.approx(50, abs=2)


def test_where_no_criterion_is_met_the_text_does_not_say_normal(file: Path) -> None:
    told = read_file(file, Request(60, "male")) | {"statements": []}
    assert "这不表示心电图正常" in as_text(told, "zh-CN")[1]
    assert "does not say that the ECG is normal" in as_text(told, "en")[1]


def test_fewer_leads_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "two.edf"
    whole = twelve.heart(fs_hz=250, length_s=10, rate_bpm=70.0)
    formats.write(twelve.Record(whole.leads[:2]), path)
    with pytest.raises(errors.BadInput) as caught:
        read_file(path, Request())
    assert "V1 to V6" in caught.value.detail["cause"]


@pytest.mark.parametrize(
    "name", ["muse_xml/guangxi_teaching_sinus_rhythm.xml", "scp/Example.scp", "dicom_ecg/anonymous_ecg.dcm"]
)
def test_real_files_of_any_format_get_numbers(name: str) -> None:
    path = Path(os.environ.get("TELEHUB_DATA", ROOT.parent / "shared/data")) / "formats" / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    values = read_file(path, Request())["values"]
    assert 30 < values["rate_bpm"]["value"] < 150 and 60 < values["qrs_ms"]["value"] < 200
    assert values["pr_ms"]["value"] is None or values["pr_ms"]["value"] < 300  # T is not taken for P


def test_every_number_of_a_statement_has_words_and_none_is_infinite() -> None:
    """Of all statements there are: a name without words would show as it stands in the code."""
    source = "".join(path.read_text() for path in (ROOT / "ecg" / "twelve_lead").glob("*_statements.py"))
    given = {
        name
        for part in source.split("Evidence(")[1:]
        for name in re.findall(r'"([a-z0-9_VI]+)":', part[:160])
    }
    assert len(given) > 15
    for name in given:
        for words in evidence.in_words({name: 1.0}).values():
            assert "_" not in words, name
    assert evidence.in_words({"st_j_uv_V2": 251.0, "r2_V1_uv": -np.inf}) == {
        "zh-CN": "J 点 ST V2 0.25 mV", "en": "ST at J V2 0.25 mV",
    }  # fmt: skip
    assert evidence.known({"qrs_ms": 130, "r2_V1_uv": -np.inf}) == {"qrs_ms": 130.0}


async def test_a_recording_of_twelve_leads_lifts_its_study_and_shows_why(agreed: World) -> None:
    recording = await ended_recording(agreed, (Segment("sinus", 30.0, 36.0),), seconds=30, leads=LEADS)
    async with agreed.transaction(SEEDER) as conn:
        await enqueue(conn, agreed.at, "recording.ended", str(recording), {"recording_id": str(recording)})
    await run_jobs(agreed)
    async with agreed.transaction(agreed.reader) as conn:
        (task,) = await tasks.list_tasks(conn, agreed.reader, agreed.at, "open")
        await tasks.claim_task(conn, agreed.reader, agreed.at, task["id"])
        case: dict[str, Any] = await cases.read_case(conn, agreed.reader, agreed.at, task["id"])
        stored = await db.one(conn, "SELECT summary FROM analysis")
    assert any("12 导联：显著心动过缓" in reason["zh-CN"] for reason in task["reasons"])
    assert task["priority"] in ("asap", "stat")
    shown = case["analysis"]["summary"]["twelve_lead"]
    assert shown == stored["summary"]["twelve_lead"]
    assert "marked-bradycardia" in {statement["name"] for statement in shown["statements"]}
