"""The figures of a Holter report on paper: rhythm, ectopy, hours, HRV, ST, templates; what is withheld says why."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ecg.rhythms import RULES
from ecg.templates import RATE_HZ
from hub.core.pdf import CONTENT_MM, GREY, INK, MARGIN_MM, WARNING, Column
from hub.reading.sheet import TREND_MIN, Sheet, longest, plain, rate, rate_at, share, short
from hub.reading.words import HRV_ROWS, TWELVE_ROWS

KIND_ROWS = (
    ("ventricular", "V"), ("supraventricular", "S"), ("fusion", "F"), ("normal", "N"), ("unclassified", "Q"),
)  # fmt: skip
HOUR_KINDS = "VS"
ST_TREND_MM = 24.0
RATE_SPAN_BPM, SDNN_SPAN_MS, ST_SPAN_UV = 20.0, 20.0, 200.0  # a trend shows at least so much
TEMPLATES_ACROSS = 4
TEMPLATE_MM = (CONTENT_MM / TEMPLATES_ACROSS, 27.0)  # width and height of one, with its caption
SHAPE_MM_S, SHAPE_MM_MV = 25.0, 5.0
SHAPE_GAP_MM = 1.5
UV_PER_MV = 1000.0


def rhythm(s: Sheet) -> None:
    """Beats, rates with their times, the longest interval, classes, what was found, critical values met."""
    figures = s.figures
    total, kinds = figures["beats_total"], figures["beats_by_class"]
    s.paper.heading(s.label("figures"))
    pairs = [
        ("beats_total", f"{total:,}"),
        ("mean_rate", rate(s, figures["mean_rate_bpm"])),
        ("lowest_rate", rate_at(s, figures["lowest_rate"])),
        ("highest_rate", rate_at(s, figures["highest_rate"])),
        ("longest_rr", longest(s, figures["longest_rr"])),
        *(
            (key, share(s, kinds.get(kind, 0), total))
            for key, kind in KIND_ROWS
            if kinds.get(kind) or kind in "NVS"
        ),
        ("fibrillation", _fibrillation(s)),
        ("found", _counts(s)),
    ]
    s.paper.fields([(s.label(key), value) for key, value in pairs], 1, 62)
    s.paper.text(s.word("eight_beats"), 7, GREY)
    for row in figures.get("critical_values", {}).get("met", []):
        pack = s.words_of(figures["critical_values"]["title"])
        s.paper.text(s.word("critical_met", row=s.words_of(row["words"]), pack=pack), 10, WARNING)


def _fibrillation(s: Sheet) -> str:
    told = s.figures["atrial_fibrillation"]
    if not told["episodes"]:
        return s.word("none_found")
    values = {
        "count": f"{told['episodes']:g}", "minutes": f"{told['total_s'] / 60:.1f}",
        "longest": f"{told['longest_s'] / 60:.1f}", "percent": f"{100 * told['burden_share']:.1f} %",
    }  # fmt: skip
    return s.word("fibrillation_line", **values)


def _counts(s: Sheet) -> str:
    counts = s.document["analysis"]["finding_counts"]
    known = [(rule, counts[rule]) for rule in RULES if rule in counts]
    texts = [f"{RULES[rule].words[s.locale]} {s.word('times', count=count)}" for rule, count in known]
    return ("；" if s.locale == "zh-CN" else "; ").join(texts) or s.word("none_found")


def ectopy(s: Sheet) -> None:
    """Ventricular and supraventricular beats: single, couplets, runs."""
    if "ectopy" not in s.figures:
        return
    s.paper.heading(s.label("ectopy"))
    names = ("single", "couplets", "runs", "longest_run", "fastest_run")
    columns = [
        Column("", 62), Column(s.label("beats"), 20, "right"),
        *(Column(s.label(name), 19.6, "right") for name in names),
    ]  # fmt: skip
    rows = [
        [s.label(key), *(str(told[name]) for name in ("beats", "single", "couplets", "runs", "longest_run_beats")),
         plain(told["fastest_run_bpm"])]
        for key, told in (("ventricular", s.figures["ectopy"]["V"]), ("supraventricular", s.figures["ectopy"]["S"]))
    ]  # fmt: skip
    s.paper.table(columns, rows, 8)
    s.paper.text(s.word("ectopy_note"), 7, GREY)


def rate_trend(s: Sheet) -> None:
    minutes = s.figures["rate_trend"]
    s.paper.heading(s.label("trend"))
    if len(minutes) < TREND_MIN:
        s.paper.text(s.word("too_short"), 9, GREY)
        return
    values = np.array([m["mean_rate_bpm"] or np.nan for m in minutes], float)
    s.trend(values, 1 / 60, s.word("bpm"), 40.0, RATE_SPAN_BPM)


def hours(s: Sheet) -> None:
    s.paper.heading(s.label("hourly"))
    columns = [
        Column(s.label("hour"), 34),
        *(Column(s.label(key), 21, "right") for key in ("beats", "mean", "lowest", "highest")),
        *(Column(kind, 13, "right") for kind in HOUR_KINDS),
        Column(s.label("longest_rr") + " s", 36, "right"),
    ]
    s.paper.table(columns, [_hour(s, row) for row in s.figures["hours"]], 8)


def _hour(s: Sheet, row: Mapping[str, Any]) -> list[str]:
    rates = [plain(row.get(key)) for key in ("mean_rate_bpm", "lowest_rate_bpm", "highest_rate_bpm")]
    return [
        s.time(row["at"], "%m-%d %H:%M"),
        str(row["beats"]),
        *rates,
        *(str(row["by_class"].get(kind, 0)) for kind in HOUR_KINDS),
        plain(row["longest_rr_s"]),
    ]


def _told(s: Sheet, name: str) -> Mapping[str, Any] | None:
    """The figures of a section, under its heading; None where there are none, or they are withheld with the reason."""
    told: Mapping[str, Any] | None = s.figures.get(name)
    if told is None:
        return None
    s.paper.heading(s.label(name))
    if told["withheld"]:
        s.paper.text(s.word("withheld", reason=s.words_of(told["withheld"]["words"])), 10)
        return None
    return told


def variability(s: Sheet) -> None:
    """HRV: the figures, or why they are withheld, and SDNN of each 5 min."""
    told = _told(s, "hrv")
    if told is None:
        return
    known = [(key, told["values"][key], unit) for key, unit in HRV_ROWS if told["values"][key] is not None]
    s.paper.fields([(s.label(key), f"{value:g} {unit}".rstrip()) for key, value, unit in known], 2, 52)
    if told["day_withheld"]:
        s.paper.text(s.word("day_withheld", reason=s.words_of(told["day_withheld"]["words"])), 9)
    percent = f"{100 * told['nn_share']:.0f} %"
    s.paper.text(s.word("hrv_note", percent=percent, stretches=told["stretches"]), 7, GREY)
    if sum(value is not None for value in told["trend_sdnn_ms"]) >= TREND_MIN:
        values = np.array(told["trend_sdnn_ms"], float)  # None becomes a hole
        s.paper.room(40)
        s.paper.text(s.word("hrv_trend"), 8, GREY)
        s.paper.space(2)
        s.trend(values, 1 / 12, "ms", 26.0, SDNN_SPAN_MS)


def st(s: Sheet) -> None:
    """ST by lead: reference, extremes with their times, episodes, trend; or why there is none."""
    told = _told(s, "st")
    if told is None:
        return
    if told["unverified"]:
        s.paper.text(s.words_of(told["unverified"]["words"]), 9, WARNING)
    columns = [
        Column(s.label("lead"), 24), Column(s.label("reference"), 34, "right"),
        Column(s.label("st_lowest"), 50, "right"), Column(s.label("st_highest"), 50, "right"),
        Column(s.label("episodes"), 22, "right"),
    ]  # fmt: skip
    rows = [
        [
            short(row["lead"]),
            _mv(row["reference_uv"]),
            _mv_at(s, row["lowest"]),
            _mv_at(s, row["highest"]),
            str(row["episodes"]),
        ]
        for row in told["leads"]
    ]
    s.paper.table(columns, rows, 8)
    _st_episodes(s, told)
    s.paper.text(s.word("st_note"), 7, GREY)
    for row in told["leads"]:
        values = np.array(row["trend_uv"], float)  # None becomes a hole
        if np.isfinite(values).sum() >= TREND_MIN:
            s.paper.room(ST_TREND_MM + 12)
            s.paper.text(f"ST {short(row['lead'])}", 8)
            s.trend(values, 1 / 60, "uV", ST_TREND_MM, ST_SPAN_UV)


def _st_episodes(s: Sheet, told: Mapping[str, Any]) -> None:
    if not told["episodes"]:
        s.paper.text(s.word("st_none"), 9)
        return
    columns = [
        Column(s.label("lead"), 24), Column(s.label("onset"), 44), Column(s.label("lasts"), 30, "right"),
        Column(s.label("change"), 40, "right"), Column(s.label("level"), 40, "right"),
    ]  # fmt: skip
    rows = [
        [short(e["lead"]), s.time(e["at"]), f"{e['length_s']:g} s", _mv(e["change_uv"]), _mv(e["level_uv"])]
        for e in told["episodes"]
    ]
    s.paper.space(2)
    s.paper.table(columns, rows, 8)
    if told["episodes_total"] > len(rows):
        s.paper.text(s.word("st_more", count=told["episodes_total"] - len(rows)), 8, GREY)


def _mv(uv: float | None) -> str:
    if uv is None:
        return "-"
    size = f"{uv / UV_PER_MV:+.2f}"
    return f"{size[1:] if float(size) == 0 else size} mV"


def _mv_at(s: Sheet, figure: Mapping[str, Any] | None) -> str:
    return "-" if figure is None else f"{_mv(figure['uv'])}  {s.time(figure['at'], '%m-%d %H:%M')}"


def templates(s: Sheet) -> None:
    """Each group of beats: its class, how many, its shape on the leads it was compared on."""
    rows = s.figures.get("templates")
    if not rows:
        return
    width_mm, height_mm = TEMPLATE_MM
    s.paper.room(height_mm + 24)
    s.paper.heading(s.label("templates"))
    leads = ", ".join(short(code) for code in s.figures["template_leads"])
    s.paper.text(
        s.word("templates_note", leads=leads, speed=f"{SHAPE_MM_S:g}", gain=f"{SHAPE_MM_MV:g}"), 7, GREY
    )
    for first in range(0, len(rows), TEMPLATES_ACROSS):
        s.paper.room(height_mm)
        for k, row in enumerate(rows[first : first + TEMPLATES_ACROSS]):
            _template(s, row, MARGIN_MM + k * width_mm, s.paper.y_mm)
        s.paper.space(height_mm)


def _template(s: Sheet, row: Mapping[str, Any], left_mm: float, top_mm: float) -> None:
    width_mm, height_mm = TEMPLATE_MM
    percent = 100 * row["beats"] / max(1, s.figures["beats_total"])
    mixed = f"  {s.word('mixed')}" if row["mixed"] else ""
    s.paper.write(left_mm, top_mm + 3.5, f"{row['beat_class']}  {row['beats']:,} ({percent:.1f} %){mixed}", 8)
    shapes = np.array(row["shape_uv"], float)
    step_mm = min((width_mm - 3) / max(1, len(shapes)), shapes.shape[1] / RATE_HZ * SHAPE_MM_S + SHAPE_GAP_MM)
    half_mm = (height_mm - 6) / 2
    for k, shape in enumerate(shapes):
        y_mm = np.clip(shape / UV_PER_MV * SHAPE_MM_MV, -half_mm, half_mm)
        x_mm = left_mm + k * step_mm + np.arange(len(shape)) / RATE_HZ * SHAPE_MM_S
        inside = x_mm < left_mm + (k + 1) * step_mm - SHAPE_GAP_MM
        s.paper.curve(x_mm[inside], (top_mm + 4.5 + half_mm - y_mm)[inside], 0.18, INK)


def twelve_lead(s: Sheet) -> None:
    """Statements on a 12-lead ECG with their evidence, and the values they rest on."""
    told = s.figures.get("twelve_lead")
    if told is None:
        return
    s.paper.heading(s.label("twelve_lead"))
    if not told["statements"]:
        s.paper.text(s.word("no_statement"), 10)
    for row in told["statements"]:
        s.paper.text(s.words_of(row["words"]), 10)
        s.paper.text("  ".join([s.words_of(row["evidence"]), " ".join(row["leads"])]), 8, GREY)
    for row in (told["critical_values"] or {}).get("met", []):
        pack = s.words_of(told["critical_values"]["title"])
        s.paper.text(s.word("critical_met", row=s.words_of(row["words"]), pack=pack), 10, WARNING)
    known = [(name, told["values"].get(name, {}).get("value"), unit) for name, unit in TWELVE_ROWS]
    pairs = [(s.label(name), f"{value:g} {unit}") for name, value, unit in known if value is not None]
    s.paper.space(1)
    s.paper.fields(pairs, 3, 34)


SECTIONS: Sequence[Any] = (twelve_lead, rhythm, ectopy, rate_trend, hours, variability, st, templates)
