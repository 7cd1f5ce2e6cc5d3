"""The paper of a Holter report, drawn in the sandbox: A4, Chinese with English labels, strips at true scale.

Contents follow what the Shandong guideline for remote dynamic ECG (DB37/T 4565-2022) expects of a report:
basic data, analysable time, rates with their times, pauses, ectopy, hourly figures, trend, events with
strips, diagnosis, signer. Every figure and word stands in the signed document; only the samples of the
strips come beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import cbor2
import numpy as np

from ecg.record import MDC_TO_SHORT
from ecg.rhythms import RULES
from hub.core.pdf import GREY, WARNING, Column, Frame, Paper, Strip, Trace, Trend
from hub.reading.words import LOCALES, WORDS, label, number, word

MISSING = -32768
STRIP_LEAD_MM = 16.0  # at least; a taller lead gets a higher band
LABEL_MM = 34.0
MINUTE = "%Y-%m-%d %H:%M"
CLOCK_STEPS_H = (1 / 60, 1 / 12, 0.25, 1, 2, 4, 12, 24)  # between the times under a trend
TREND_MIN = 3  # minutes; fewer points draw no curve


@dataclass(frozen=True)
class Sheet:
    """What every section draws from."""

    paper: Paper
    document: Mapping[str, Any]
    locale: str
    zone: ZoneInfo
    strips: Sequence[Mapping[str, Any]]
    code: str
    events_left_out: int

    def word(self, key: str, **values: object) -> str:
        return word(key, self.locale, **values)

    def label(self, key: str) -> str:
        return label(key, self.locale)

    def time(self, iso: str, form: str = "%Y-%m-%d %H:%M:%S") -> str:
        return datetime.fromisoformat(iso).astimezone(self.zone).strftime(form)


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
    for section in SECTIONS:
        section(sheet)
    return sheet.paper.finish()


def _frame(document: Mapping[str, Any], locale: str, code: str) -> Frame:
    centre, patient = document["reading_organisation"], document["patient"]
    name = centre["name"] if locale == "zh-CN" else centre["name_en"]
    return Frame(
        title=f"{name}  {word('title', locale)}",
        right=f"{patient['name']}  {word(patient['sex'], locale)}  {code}",
        footer=(word("safety", locale), document["signature_statement"][locale]),
        page_words=WORDS["page"][LOCALES.index(locale)],
        banner=word("withdrawn_banner", locale) if document["withdrawn"] else "",
    )


def _patient(s: Sheet) -> None:
    patient, request = s.document["patient"], s.document["request"]
    clinic = request["organisation_name" if s.locale == "zh-CN" else "organisation_name_en"]
    blank = s.word("not_given")
    s.paper.heading(s.label("patient"))
    s.paper.fields(
        [
            (s.label("name"), patient["name"]),
            (s.label("sex"), s.word(patient["sex"])),
            (s.label("birth_date"), patient["birth_date"]),
            (s.label("age"), f"{patient['age_years']} {s.word('years')}"),
            (s.label("clinic"), clinic),
            (s.label("requester"), request["requester_name"]),
            (s.label("requested_at"), s.time(request["created_at"], MINUTE)),
            (s.label("pacemaker"), s.word("yes" if request["pacemaker"] else "no")),
            (s.label("question"), request["question"]),
            (s.label("symptoms"), request["symptoms"] or blank),
            (s.label("drugs"), request["drugs"] or blank),
        ],
        label_mm=LABEL_MM,
    )


def _recording(s: Sheet) -> None:
    recording, figures = s.document["recording"], s.document["analysis"]["summary"]
    s.paper.heading(s.label("recording"))
    s.paper.fields(
        [
            (s.label("device"), f"{recording['device_name']} ({recording['device_id']})"),
            (s.label("leads"), ", ".join(_short(code) for code in recording["leads"])),
            (s.label("worn_from"), s.time(recording["worn_from"])),
            (s.label("worn_to"), s.time(recording["worn_to"])),
            (s.label("recorded"), _duration(s, figures["recorded_h"])),
            (s.label("analysable"), _duration(s, figures["analysable_h"])),
        ],
        label_mm=LABEL_MM,
    )
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
    for key, size_pt in (("conclusion", 12.0), ("findings_text", 10.0), ("advice", 10.0)):
        if content[key]:
            s.paper.heading(s.label(key))
            s.paper.text(content[key], size_pt)


def _signature(s: Sheet) -> None:
    report, analysis = s.document["report"], s.document["analysis"]
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
    edits = s.word("analysis_version", version=analysis["version"], edits=s.document["edits"]["sequence"])
    s.paper.text(f"{s.word('algorithm')}: {analysis['algorithm']}  {edits}", 7, GREY)
    s.paper.text(f"{s.word('merkle')}: {s.document['recording']['merkle_root']}", 7, GREY)
    s.paper.text(f"{s.word('key')}: {s.document['signer']['key_id']}", 7, GREY)


KIND_ROWS = (
    ("ventricular", "V"), ("supraventricular", "S"), ("fusion", "F"), ("normal", "N"), ("unclassified", "Q"),
)  # fmt: skip


def _figures(s: Sheet) -> None:
    figures = s.document["analysis"]["summary"]
    total, kinds = figures["beats_total"], figures["beats_by_class"]
    s.paper.heading(s.label("figures"))
    pairs = [
        ("beats_total", f"{total:,}"),
        ("mean_rate", _rate(s, figures["mean_rate_bpm"])),
        ("lowest_rate", _rate_at(s, figures["lowest_rate"])),
        ("highest_rate", _rate_at(s, figures["highest_rate"])),
        ("longest_rr", _longest(s, figures["longest_rr"])),
        *(
            (key, _share(s, kinds.get(kind, 0), total))
            for key, kind in KIND_ROWS
            if kinds.get(kind) or kind in "NVS"
        ),
        ("found", _counts(s)),
    ]
    s.paper.fields([(s.label(key), value) for key, value in pairs], 1, 62)
    s.paper.text(s.word("eight_beats"), 7, GREY)


def _counts(s: Sheet) -> str:
    counts = s.document["analysis"]["finding_counts"]
    known = [(rule, counts[rule]) for rule in RULES if rule in counts]
    texts = [f"{RULES[rule].words[s.locale]} {s.word('times', count=count)}" for rule, count in known]
    return ("；" if s.locale == "zh-CN" else "; ").join(texts) or s.word("none_found")


def _trend(s: Sheet) -> None:
    minutes = s.document["analysis"]["summary"]["rate_trend"]
    s.paper.heading(s.label("trend"))
    if len(minutes) < TREND_MIN:
        s.paper.text(s.word("too_short"), 9, GREY)
        return
    values = np.array([m["mean_rate_bpm"] or np.nan for m in minutes], float)
    x_h = (np.arange(len(minutes)) + 0.5) / 60
    start = datetime.fromisoformat(s.document["recording"]["worn_from"]).astimezone(s.zone)
    clock = _clock_labels(start, float(x_h[0]), float(x_h[-1]))
    s.paper.trend(Trend(x_h, values, s.word("bpm"), clock))


def _clock_labels(start: datetime, first_h: float, last_h: float) -> list[tuple[float, str]]:
    """Round times of the clock under a trend, at most a dozen."""
    fits = [step for step in CLOCK_STEPS_H if (last_h - first_h) / step <= 12]
    step_h = fits[0] if fits else CLOCK_STEPS_H[-1]
    since_midnight_h = start.hour + start.minute / 60 + start.second / 3600
    offset_h = np.ceil((since_midnight_h + first_h) / step_h) * step_h - since_midnight_h
    places = np.arange(offset_h, last_h + 1e-9, step_h)
    return [(float(h), (start + timedelta(hours=float(h), seconds=0.5)).strftime("%H:%M")) for h in places]


def _hours(s: Sheet) -> None:
    s.paper.heading(s.label("hourly"))
    columns = [
        Column(s.label("hour"), 34),
        *(Column(s.label(key), 21, "right") for key in ("beats", "mean", "lowest", "highest")),
        *(Column(kind, 13, "right") for kind in "VS"),
        Column(s.label("longest_rr") + " s", 36, "right"),
    ]
    s.paper.table(columns, [_hour(s, row) for row in s.document["analysis"]["summary"]["hours"]], 8)


def _hour(s: Sheet, row: Mapping[str, Any]) -> list[str]:
    rates = [_plain(row.get(key)) for key in ("mean_rate_bpm", "lowest_rate_bpm", "highest_rate_bpm")]
    return [
        s.time(row["at"], "%m-%d %H:%M"),
        str(row["beats"]),
        *rates,
        *(str(row["by_class"].get(kind, 0)) for kind in "VS"),
        _plain(row["longest_rr_s"]),
    ]


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
        Trace(_short(code), samples[i], recording["uv_per_lsb"], samples[i] != MISSING)
        for i, code in enumerate(recording["leads"])
    ]
    start = s.time(strip["start_at"])
    words = f"{caption}  ({s.word('strip_from', at=start)})"
    s.paper.strip(Strip(traces, recording["fs_hz"], words, [(strip["mark_s"], "^")], STRIP_LEAD_MM))


def _finding_caption(s: Sheet, item: int) -> str:
    finding = s.document["findings"][item]
    name = finding["name"][s.locale] if finding["name"] else finding["rule"]
    evidence = [number(key, value, s.locale) for key, value in finding["numbers"].items()]
    return "  ".join([f"{item + 1}. {name}", s.time(finding["onset_at"]), *evidence])


def _extreme_caption(s: Sheet, item: str) -> str:
    figure = s.document["analysis"]["summary"][item]
    value = f"{figure['rr_s']:g} s" if "rr_s" in figure else _rate(s, figure["bpm"])
    return f"{s.word(item)} {value}  {s.time(figure['at'])}"


def _event_caption(s: Sheet, item: int) -> str:
    event = s.document["events"][item]
    return f"{s.word(event['kind'])}  {s.time(event['at'])}  {event['detail'].get('text', '')}".rstrip()


STRIP_SECTIONS: tuple[tuple[str, str, Callable[[Sheet, Any], str]], ...] = (
    ("finding", "finding_strips", _finding_caption),
    ("extreme", "extreme_strips", _extreme_caption),
    ("event", "event_strips", _event_caption),
)


def _short(code: str) -> str:
    return MDC_TO_SHORT.get(code, code.removeprefix("MDC_ECG_LEAD_"))


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _rate(s: Sheet, bpm: float | None) -> str:
    return "-" if bpm is None else f"{bpm:g} {s.word('bpm')}"


def _rate_at(s: Sheet, figure: Mapping[str, Any] | None) -> str:
    return s.word("times_at", value=_rate(s, figure["bpm"]), at=s.time(figure["at"])) if figure else "-"


def _longest(s: Sheet, figure: Mapping[str, Any] | None) -> str:
    return s.word("times_at", value=f"{figure['rr_s']:g} s", at=s.time(figure["at"])) if figure else "-"


def _share(s: Sheet, count: int, total: int) -> str:
    return s.word("percent_of_beats", count=f"{count:,}", percent=f"{100 * count / max(total, 1):.2f} %")


def _duration(s: Sheet, hours: float) -> str:
    minutes = round(hours * 60)
    return f"{minutes // 60} {s.word('hours')} {minutes % 60} {s.word('minutes')}"


RECORD_SECTIONS = (_figures, _trend, _hours, _strips)
SECTIONS = (_patient, _recording, _conclusion, _signature, *RECORD_SECTIONS)
