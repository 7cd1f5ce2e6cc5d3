"""`hub ecg holter`: the paper of a file says what the analysis found, and that nobody has read it."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pypdf

from ecg.formats import wfdb
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser

ROOT = Path(__file__).parents[2]
LEADS = ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1")


def test_paper_and_figures_of_a_record_agree(tmp_path: Path) -> None:
    made = Synthesiser(5, 250, LEADS, (Segment("sinus", 240.0, 70.0),)).samples(0, 250 * 240)
    record = Record(tuple(Lead(c, 250.0, 5.0, 0, own) for c, own in zip(LEADS, made, strict=True)))
    wfdb.write(record, tmp_path / "made")
    command = (sys.executable, "-m", "hub.cli", "ecg", "holter", "made", "--pdf", "made.pdf", "--json")
    said = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    figures = json.loads(said.stdout)
    pages = pypdf.PdfReader(io.BytesIO((tmp_path / "made.pdf").read_bytes())).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert figures["beats_total"] > 200
    for words in (
        f"{figures['beats_total']:,}",
        f"{figures['mean_rate_bpm']:g}",
        "未经医生阅读",
        "时间从记录起点计",
    ):
        assert words in text
