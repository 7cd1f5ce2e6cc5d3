"""The paper of a report, drawn in the sandbox: A4, Chinese with English labels, ECG strips at true scale.

Contents follow what the Shandong guideline for remote dynamic ECG (DB37/T 4565-2022) expects of a report
(docs/holter.md says item by item). Every figure and word stands in the signed document; only the samples of the
strips come beside it.
"""

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import cbor2
import numpy as np

from ecg.rhythms import RULES
from hub.core.pdf import CONTENT_MM, GREY, WARNING, Frame, Paper, Strip, Trace
from hub.core.pdf_text import wrapped
from hub.reading import disclosure, paper_figures, paper_images
from hub.reading.sheet import MISSING, Sheet, rate, short
from hub.reading.words import LOCALES, WORDS, number, word

STRIP_LEAD_MM = 16.0  # at least; a taller lead gets a higher band
LABEL_MM = 34.0
CAPTION_PT, SCALE_MM = 8, 38.0  # of a strip, and the room of the scale that stands beside its caption
MINUTE = "%Y-%m-%d %H:%M"


def draw(payload: bytes) -> bytes:
    """CBOR of `paper_data.pack_report` in, PDF out."""
    given = cbor2.loads(payload)
    document, locale = given["document"], given["locale"]
    sheet = Sheet(
        Paper(_frame(document, locale, given["verification_code"])),
        document,
        locale,
        ZoneInfo(document["request"]["time_zone"]),
        given["strips"],
        given["verification_code"],
        given["events_left_out"],
    )
    for section in SECTIONS_OF[study_kind(document)]:
        section(sheet)
    if given.get("disclosure"):
        disclosure.pages(sheet, given["disclosure"])
    return sheet.paper.finish()


def study_kind(document: Mapping[str, Any]) -> str:
    """What was read; reports signed before there were several kinds are of Holters."""
    kind: str = document.get("study", {}).get("kind", "holter")
    return kind


def _frame(document: Mapping[str, Any], locale: str, code: str) -> Frame:
    centre, patient = document["reading_organisation"], document["patient"]
    name = centre["name"] if locale == "zh-CN" else centre["name_en"]
    return Frame(
        title=f"{name}  {word(TITLES[study_kind(document)], locale)}",
        right=f"{patient['name']}  {word(patient['sex'], locale)}  {code}",
        footer=(word("safety", locale), document["signature_statement"][locale]),
        page_words=WORDS["page"][LOCALES.index(locale)],
        banner=word("withdrawn_banner", locale) if document["withdrawn"] else "",
    )


def _patient(s: Sheet) -> None:
    patient, request = s.document["patient"], s.document["request"]
    clinic = request["organisation_name" if s.locale == "zh-CN" else "organisation_name_en"]
    blank = s.word("not_given")
    is_ecg = study_kind(s.document) != "imaging"
    pacemaker = [(s.label("pacemaker"), s.word("yes" if request["pacemaker"] else "no"))] if is_ecg else []
    s.paper.heading(s.label("patient"))
    s.paper.fields(
        [
            (s.label("name"), patient["name"]),
            (s.label("sex"), s.word(patient["sex"])),
            (s.label("birth_date"), patient["birth_date"]),
            (s.label("age"), f"{patient['age_years']} {s.word('years')}"),
            (s.label("clinic"), clinic),
            (s.label("requester"), request["requester_name"] or blank),
            (s.label("requested_at"), s.time(request["created_at"], MINUTE)),
            *pacemaker,
            (s.label("question"), request["question"] or blank),
            (s.label("symptoms"), request["symptoms"] or blank),
            (s.label("drugs"), request["drugs"] or blank),
        ],
        label_mm=LABEL_MM,
    )


def recorder(s: Sheet) -> None:
    """Device, leads, when it was worn, how much of it can be analysed."""
    recording, figures = s.document["recording"], s.figures
    verb = "recorded" if study_kind(s.document) == "ecg-12-lead" else "worn"
    s.paper.heading(s.label("recording"))
    s.paper.fields(
        [
            (s.label("device"), f"{recording['device_name']} ({recording['device_id']})"),
            (s.label("leads"), ", ".join(short(code) for code in recording["leads"])),
            (s.label(f"{verb}_from"), s.time(recording["worn_from"])),
            (s.label(f"{verb}_to"), s.time(recording["worn_to"])),
            (s.label("recorded"), _duration(s, figures["recorded_h"])),
            (s.label("analysable"), _duration(s, figures["analysable_h"])),
        ],
        label_mm=LABEL_MM,
    )


def _completeness(s: Sheet) -> None:
    s.paper.fields([(s.label("completeness"), completeness_line(s.document, s.locale))], 1, LABEL_MM + 10)
    s.paper.text(s.word("zone", zone=s.zone.key), 7, GREY)


def completeness_line(document: Mapping[str, Any], locale: str) -> str:
    """The ledger, exact: it says 100 % only if not one sample is missing, and never 0 % of a loss."""
    ledger = document["completeness"]
    whole = max(ledger["produced"], 1)
    shares = {
        name: -(-100_000 * ledger[name] // whole) for name in ("declared_lost", "waiting")
    }  # rounded up
    shares["stored"] = 100_000 * ledger["stored"] // whole
    values = {name: f"{ledger[name]:,}" for name in ("produced", "stored", "declared_lost", "waiting")}
    values |= {f"{name}_percent": f"{share / 1000:g} %" for name, share in shares.items()}
    texts = [word("completeness_line", locale, **values)]
    if ledger["waiting"]:
        texts.append(word("never_came", locale, **values))
    if ledger["end_not_known"]:
        texts.append(word("end_not_known", locale))
    return ("；" if locale == "zh-CN" else "; ").join(texts)


def _conclusion(s: Sheet) -> None:
    content, withdrawn = s.document["content"], s.document["withdrawn"]
    if withdrawn:
        s.paper.space(2)
        s.paper.text(
            f"{s.word('withdrawn_banner')}  {s.word('withdrawn_reason')}: {withdrawn['reason']}", 11, WARNING
        )
    if content["critical"]:
        s.paper.space(2)
        s.paper.text(s.word("critical"), 12, WARNING)
        s.paper.text(s.word("critical_told"), 10)
    for key, size_pt in (("conclusion", 12.0), ("findings_text", 10.0), ("advice", 10.0)):
        if content[key]:
            s.paper.heading(s.label(key))
            s.paper.text(content[key], size_pt)


def _signature(s: Sheet) -> None:
    report = s.document["report"]
    s.paper.heading(s.label("signature"))
    s.paper.fields(
        [
            (s.label("signed_by"), s.document["signer"]["name"]),
            (s.label("signed_at"), s.time(s.document["signed_at"])),
            (s.label("version"), f"{report['version']}  {s.word(report['status'])}"),
            (s.label("verification"), s.code),
        ],
        label_mm=LABEL_MM + 6,
    )
    for line in _images_bound(s) if study_kind(s.document) == "imaging" else _recording_bound(s):
        s.paper.text(line, 7, GREY)
    s.paper.text(f"{s.word('key')}: {s.document['signer']['key_id']}", 7, GREY)


def _recording_bound(s: Sheet) -> list[str]:
    """What the signature binds besides the words."""
    analysis = s.document["analysis"]
    edits = s.word("analysis_version", version=analysis["version"], edits=s.document["edits"]["sequence"])
    return [
        f"{s.word('algorithm')}: {analysis['algorithm']}  {edits}",
        f"{s.word('merkle')}: {s.document['recording']['merkle_root']}",
    ]


def _images_bound(s: Sheet) -> list[str]:
    images = s.document["images"]
    return [s.word("images_hash", count=images["instances"], sha256=images["sha256"])]


def _strips(s: Sheet) -> None:
    height_mm = STRIP_LEAD_MM * len(s.document["recording"]["leads"]) + 26
    for section, heading, caption in STRIP_SECTIONS:
        own = [strip for strip in s.strips if strip["section"] == section]
        if own:
            s.paper.room(height_mm)
            s.paper.heading(s.label(heading))
        for strip in own:
            _strip(s, strip, caption(s, strip["item"]))
    if s.events_left_out:
        s.paper.text(s.word("more_events", count=s.events_left_out), 9, GREY)


def _strip(s: Sheet, strip: Mapping[str, Any], caption: str) -> None:
    if strip["samples"] is None:
        s.paper.text(f"{caption}  {s.word('no_strip')}", 9, GREY)
        return
    recording = s.document["recording"]
    samples = np.frombuffer(strip["samples"], "<i2").reshape(len(recording["leads"]), strip["count"])
    traces = [
        Trace(short(code), samples[i], recording["uv_per_lsb"], samples[i] != MISSING)
        for i, code in enumerate(recording["leads"])
    ]
    start = s.time(strip["start_at"], "%H:%M:%S")
    marks = [] if strip["section"] == "whole" else [(strip["mark_s"], "^")]
    words = f"{caption}  ({s.word('strip_from', at=start)})"
    if len(wrapped(words, CAPTION_PT, CONTENT_MM - SCALE_MM)) > 1:  # would run into the scale beside it
        s.paper.room(STRIP_LEAD_MM * len(traces) + 20)
        s.paper.text(words, CAPTION_PT)
        words = ""
    s.paper.strip(Strip(traces, recording["fs_hz"], words, marks, STRIP_LEAD_MM))


def _finding_caption(s: Sheet, item: int) -> str:
    finding = s.document["findings"][item]
    name = finding["name"][s.locale] if finding["name"] else finding["rule"]
    evidence = [number(key, value, s.locale) for key, value in finding["numbers"].items()]
    return "  ".join([f"{item + 1}. {name}", s.time(finding["onset_at"]), *evidence])


def _extreme_caption(s: Sheet, item: str) -> str:
    figure = s.document["analysis"]["summary"][item]
    value = f"{figure['rr_s']:g} s" if "rr_s" in figure else rate(s, figure["bpm"])
    return f"{s.word(item)} {value}  {s.time(figure['at'])}"


def _event_caption(s: Sheet, item: int) -> str:
    event = s.document["events"][item]
    found = [RULES[rule].words[s.locale] for rule in event.get("rules", ()) if rule in RULES]
    parts = [s.word(event["kind"]), s.time(event["at"]), event["detail"].get("text", "")]
    if event.get("rate_bpm") is not None:
        parts.append(s.word("event_rate", value=rate(s, event["rate_bpm"])))
    return "  ".join([part for part in parts if part] + found)


def _whole_caption(s: Sheet, _item: str) -> str:
    return s.word("whole_strip")


STRIP_SECTIONS: tuple[tuple[str, str, Callable[[Sheet, Any], str]], ...] = (
    ("whole", "whole_strips", _whole_caption),
    ("finding", "finding_strips", _finding_caption),
    ("extreme", "extreme_strips", _extreme_caption),
    ("event", "event_strips", _event_caption),
)


def _duration(s: Sheet, hours: float) -> str:
    if hours * 60 < 1:
        return f"{hours * 3600:.0f} s"
    minutes = round(hours * 60)
    return f"{minutes // 60} {s.word('hours')} {minutes % 60} {s.word('minutes')}"


RECORD_SECTIONS = (*paper_figures.SECTIONS, _strips)
_HEAD = (_patient, recorder, _completeness, _conclusion, _signature)
TITLES = {"holter": "title", "ecg-12-lead": "title_twelve", "imaging": "title_imaging"}
SECTIONS_OF = {
    "holter": (*_HEAD, *RECORD_SECTIONS),
    "ecg-12-lead": (*_HEAD, paper_figures.twelve_lead, _strips),
    "imaging": (_patient, paper_images.study, _conclusion, _signature, paper_images.key_images),
}
