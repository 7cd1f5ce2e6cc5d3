"""`hub ecg ...`: the ECG engine on files."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.core.settings import Settings

Arguments = argparse.Namespace
Add = Callable[..., argparse.ArgumentParser]  # of hub.cli: a command with what it runs and its words
LANGUAGES = {"zh": "zh-CN", "en": "en"}


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


async def annotate(_settings: Settings, arguments: Arguments) -> None:
    from hub.reading.annotating import annotate_files

    _say(*map(str, await asyncio.to_thread(annotate_files, arguments.records, arguments.out)))


async def score(_settings: Settings, arguments: Arguments) -> None:
    from ecg.score import score_folder

    scored = await asyncio.to_thread(score_folder, arguments.folder)
    if arguments.json:
        return _say(json.dumps(scored, indent=1))
    _say(*(f"{name}: {json.dumps(scored[name])}" for name in ("gross", "average")))


async def holter_report(_settings: Settings, arguments: Arguments) -> None:
    from hub.reading.record_paper import report_record

    paper, figures = await asyncio.to_thread(
        report_record,
        arguments.record,
        LANGUAGES[arguments.language],
        paced=arguments.paced,
        full_disclosure=arguments.full_disclosure,
    )
    arguments.pdf.write_bytes(paper)
    _say(json.dumps(figures, indent=1) if arguments.json else str(arguments.pdf))


async def read_twelve_lead(_settings: Settings, arguments: Arguments) -> None:
    from ecg.twelve_lead.case import Request
    from hub.reading.read_ecg import as_text, read_file

    request = Request(arguments.age, arguments.sex, arguments.paced)
    told = await asyncio.to_thread(read_file, arguments.file, request)
    locale = LANGUAGES[arguments.language]
    _say(*([json.dumps(told, indent=1, ensure_ascii=False)] if arguments.json else as_text(told, locale)))


def add_commands(commands: Any, add: Add) -> None:
    """The group `ecg` of the command line."""
    ecg = commands.add_parser("ecg", help="the ECG engine on files").add_subparsers(
        required=True, metavar="COMMAND"
    )
    run = add(ecg, "annotate", annotate, "write WFDB annotations RECORD.hub")
    run.add_argument("records", type=Path, nargs="+", metavar="RECORD")
    run.add_argument("--out", type=Path, required=True, metavar="DIR")
    report = add(ecg, "holter", holter_report, "the Holter report of a recording, as the engine sees it")
    report.add_argument("record", type=Path, metavar="RECORD")
    report.add_argument("--pdf", type=Path, required=True, metavar="FILE")
    report.add_argument("--json", action="store_true", help="print the figures, too")
    report.add_argument("--language", choices=LANGUAGES, default="zh", help="of the paper")
    report.add_argument("--paced", action="store_true", help="the patient has a pacemaker")
    report.add_argument("--full-disclosure", action="store_true", help="with every minute of one lead")
    read = add(ecg, "read", read_twelve_lead, "statements on a 12-lead ECG, as the engine sees it")
    read.add_argument("file", type=Path, metavar="FILE")
    read.add_argument("--age", type=float, metavar="YEARS")
    read.add_argument("--sex", choices=("male", "female"))
    read.add_argument("--paced", action="store_true", help="the patient has a pacemaker")
    read.add_argument("--language", choices=LANGUAGES, default="zh")
    read.add_argument("--json", action="store_true")
    rate = add(ecg, "score", score, "EC57 scores of a folder of annotated records")
    rate.add_argument("folder", type=Path, metavar="DIR")
    rate.add_argument("--json", action="store_true")
