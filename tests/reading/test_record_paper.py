"""`hub ecg holter`: the paper of a file says what the analysis found, and that nobody has read it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.formats import wfdb
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser
from hub.reading import disclosure
from hub.reading.record_paper import report_record
from hub.reading.sheet import MISSING

ROOT = Path(__file__).parents[2]
LEADS = ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WFDB record of four minutes."""
    folder = tmp_path_factory.mktemp("record")
    rows = Synthesiser(5, 250, LEADS, (Segment("sinus", 240.0, 70.0),)).samples(0, 250 * 240)
    record = Record(tuple(Lead(c, 250.0, 5.0, 0, own) for c, own in zip(LEADS, rows, strict=True)))
    wfdb.write(record, folder / "made")
    return folder


def drawn(made: Path, *options: str) -> tuple[dict[str, Any], list[str]]:
    """Figures, and the text of each page."""
    command = (
        sys.executable,
        "-m",
        "hub.cli",
        "ecg",
        "holter",
        "made",
        "--pdf",
        "made.pdf",
        "--json",
        *options,
    )
    said = subprocess.run(command, cwd=made, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    pages = pypdf.PdfReader(io.BytesIO((made / "made.pdf").read_bytes())).pages
    return json.loads(said.stdout), [page.extract_text() for page in pages]


def test_paper_and_figures_of_a_record_agree(made: Path) -> None:
    figures, pages = drawn(made)
    text = "\n".join(pages)
    assert figures["beats_total"] > 200
    for words in (
        f"{figures['beats_total']:,}",
        f"{figures['mean_rate_bpm']:g}",
        "未经医生阅读",
        "时间从记录起点计",
        "00:04:00",  # worn to, counted from the begin
        figures["hrv"]["withheld"]["words"]["zh-CN"],
        figures["st"]["unverified"]["words"]["zh-CN"],
    ):
        assert words in text
    assert "2000-01-01" not in text  # nobody told a date


def test_options_choose_language_pacing_and_all_minutes(made: Path) -> None:
    figures, pages = drawn(made, "--language", "en", "--paced", "--full-disclosure")
    assert figures["hrv"]["withheld"]["code"] == "paced" and "paced rhythm" in "".join(pages)
    assert "Full disclosure" in pages[-1] and not any("全览" in page for page in pages)


@given(st.integers(1, 130), st.integers(0, 2**32))
def test_full_disclosure_loses_no_extreme(seconds: int, seed: int) -> None:
    """Every sample lies inside what is drawn for its column, and what is missing is not drawn."""
    fs_hz, rng = 100, np.random.default_rng(seed)
    samples = rng.integers(-3000, 3000, seconds * fs_hz).astype(np.int16)
    samples[rng.random(len(samples)) < 0.01] = MISSING
    low, high = np.moveaxis(disclosure.envelope(samples, fs_hz), 2, 0)
    at = np.arange(len(samples))
    edges = np.arange(disclosure.COLUMNS + 1) * 60 * fs_hz // disclosure.COLUMNS
    column = np.searchsorted(edges, at % (60 * fs_hz), side="right") - 1
    minute, drawn_there = at // (60 * fs_hz), low[at // (60 * fs_hz), column] != MISSING
    seen = drawn_there & (samples != MISSING)
    assert (low[minute, column][seen] <= samples[seen]).all() and (
        high[minute, column][seen] >= samples[seen]
    ).all()
    assert not drawn_there[samples == MISSING].any()
    assert (low != MISSING).sum() <= len(set(zip(minute.tolist(), column.tolist(), strict=True)))


@pytest.mark.parametrize("name", ["101", "203", "102"])
def test_a_real_record_makes_a_whole_paper(name: str) -> None:
    """Of the tuning set: sinus rhythm, fibrillation with ventricular beats, pacing."""
    path = Path(os.environ.get("TELEHUB_DATA", ROOT.parent / "shared/data")) / "mitdb" / name
    if not path.with_suffix(".hea").is_file():
        pytest.skip(f"{path} is not here")
    paper, figures = report_record(path, "en", paced=name == "102")
    assert (figures["hrv"]["withheld"] is not None) == (name != "101")
    assert len(pypdf.PdfReader(io.BytesIO(paper)).pages) >= 3
    assert sum(row["beats"] for row in figures["templates"]) == figures["beats_total"]
