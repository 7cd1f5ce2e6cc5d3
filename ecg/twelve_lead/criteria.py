"""The one table of 12-lead statements: criterion in words, thresholds with unit and source, priority, both languages.

To add a statement: a row here, its test in `ecg/twelve_lead/statements.py`, and a positive and a negative case in the
tests. Priorities are the reading queue's (FHIR Task). A statement is a hint for the order of reading; what is not
stated is not thereby excluded, and nothing here ever says that an ECG is normal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Priority = Literal["stat", "asap", "urgent", "routine"]


@dataclass(frozen=True)
class Threshold:
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Criterion:
    """criterion: all of it in words; priority as stated alone; rank: order among equals; words: language -> text."""

    name: str
    version: int
    group: Literal[
        "technical", "pacing", "rate", "rhythm", "axis", "conduction", "voltage", "ischaemia", "qt"
    ]
    criterion: str
    thresholds: Mapping[str, Threshold]
    priority: Priority
    words: Mapping[str, str]


def _t(value: float, unit: str, source: str) -> Threshold:
    return Threshold(value, unit, source)


CONDUCTION = "AHA/ACCF/HRS 2009 part III (conduction)"
QT = "AHA/ACCF/HRS 2009 part IV (ST, T, QT)"
HYPERTROPHY = "AHA/ACCF/HRS 2009 part V (hypertrophy)"
INFARCTION = "Fourth Universal Definition of Myocardial Infarction 2018"
BRADYCARDIA = "ACC/AHA/HRS 2018 bradycardia"
CLINIC = "clinical convention"
REVERSAL = "Batchvarov 2007, Europace 9:1081 (lead misplacement)"
TUNED = "tuned on LUDB, even records"

_TABLE = (
    Criterion(
        "not-measurable", 1, "technical", "no 12-lead measurement can be made; the reason is given", {}, "urgent",
        {"zh-CN": "信号无法测量", "en": "Signal cannot be measured"},
    ),
    Criterion(
        "limb-leads-contradict", 1, "technical",
        "II differs from I + III, or an augmented lead from what I and II give",
        {"share": _t(0.2, "of the limb leads' size", TUNED)}, "routine",
        {"zh-CN": "肢体导联相互矛盾（比例或电极有误）", "en": "Limb leads contradict each other (scale or electrodes)"},
    ),
    Criterion(
        "arm-leads-reversed", 1, "technical",
        "net QRS of I and, if seen, its P are negative, QRS of aVR is positive, QRS of V6 is positive",
        {"i_area_uv_ms": _t(-3000, "uV ms", TUNED)}, "urgent",
        {"zh-CN": "疑似左右手电极接反", "en": "Arm electrodes reversed, suspected"},
    ),
    Criterion(
        "leg-arm-leads-reversed", 1, "technical", "one of I, II, III is almost flat while the other two are not",
        {"flat_uv": _t(100, "uV", REVERSAL), "other_uv": _t(400, "uV", TUNED)}, "urgent",
        {"zh-CN": "疑似手足电极接反", "en": "Arm and leg electrodes reversed, suspected"},
    ),
    Criterion(
        "paced", 1, "pacing", "the recorder's pace marks or the request say so", {}, "routine",
        {"zh-CN": "起搏心电图", "en": "Paced"},
    ),
    Criterion(
        "pacing-suspected", 1, "pacing", "narrow spikes on all leads at most of the beats, without a recorder's mark",
        {"share": _t(0.5, "spikes per beat", TUNED)}, "routine",
        {"zh-CN": "疑似起搏信号", "en": "Pacing suspected"},
    ),
    Criterion(
        "bradycardia", 1, "rate", "mean ventricular rate below 60/min (ACC/AHA/HRS 2018 counts from 50/min)",
        {"rate_bpm": _t(60, "/min", CLINIC)}, "routine", {"zh-CN": "心动过缓", "en": "Bradycardia"},
    ),
    Criterion(
        "marked-bradycardia", 1, "rate", "mean ventricular rate below 40/min", {"rate_bpm": _t(40, "/min", CLINIC)},
        "asap", {"zh-CN": "显著心动过缓", "en": "Marked bradycardia"},
    ),
    Criterion(
        "tachycardia", 1, "rate", "mean ventricular rate above 100/min", {"rate_bpm": _t(100, "/min", CLINIC)},
        "routine", {"zh-CN": "心动过速", "en": "Tachycardia"},
    ),
    Criterion(
        "marked-tachycardia", 1, "rate", "mean ventricular rate above 150/min", {"rate_bpm": _t(150, "/min", CLINIC)},
        "stat", {"zh-CN": "显著心动过速", "en": "Marked tachycardia"},
    ),
    Criterion(
        "long-rr", 1, "rhythm", "an RR interval of 2.0 s or more", {"rr_ms": _t(2000, "ms", CLINIC)}, "urgent",
        {"zh-CN": "长 RR 间期", "en": "Long RR interval"},
    ),
    Criterion(
        "sinus-rhythm", 1, "rhythm",
        "one P wave before the beats at one distance, upright in II or aVF and not upright in aVR", {}, "routine",
        {"zh-CN": "窦性 P 波", "en": "Sinus P waves"},
    ),
    Criterion(
        "atrial-fibrillation", 1, "rhythm", "RR intervals differ from their neighbours, and no P wave is shared",
        {"change": _t(0.06, "median change over mean RR", TUNED), "intervals": _t(5, "intervals", TUNED)},
        "urgent",
        {"zh-CN": "疑似心房颤动", "en": "Atrial fibrillation suspected"},
    ),
    Criterion(
        "ventricular-ectopy", 1, "rhythm", "beats of another shape classed as ventricular", {}, "routine",
        {"zh-CN": "室性早搏", "en": "Ventricular ectopic beats"},
    ),
    Criterion(
        "premature-beats", 1, "rhythm", "beats not classed as ventricular come early, without fibrillation",
        {"early": _t(0.8, "of the median RR", CLINIC)}, "routine",
        {"zh-CN": "早搏（室上性可能）", "en": "Premature beats (supraventricular likely)"},
    ),
    Criterion(
        "av-dissociation", 1, "rhythm",
        "regular slow beats, and P waves that are alike but at no one distance (third-degree AV block suspected)",
        {"rate_bpm": _t(60, "/min", CLINIC), "change": _t(0.08, "median change over mean RR", TUNED)}, "stat",
        {"zh-CN": "房室分离（疑似三度房室传导阻滞）", "en": "AV dissociation (third-degree AV block suspected)"},
    ),
    Criterion(
        "first-degree-av-block", 1, "conduction", "PR above 200 ms", {"pr_ms": _t(200, "ms", BRADYCARDIA)}, "routine",
        {"zh-CN": "一度房室传导阻滞", "en": "First-degree AV block"},
    ),
    Criterion(
        "pre-excitation", 1, "conduction", "PR below 120 ms, QRS above 110 ms and a slurred begin of QRS",
        {
            "pr_ms": _t(120, "ms", CONDUCTION), "qrs_ms": _t(110, "ms", "WHO/ISFC 1985 (adults)"),
            "slur": _t(0.5, "of the steepest slope, in the first 40 ms; half of LUDB reaches 0.73", TUNED),
        },
        "urgent", {"zh-CN": "疑似心室预激", "en": "Ventricular pre-excitation suspected"},
    ),
    Criterion(
        "left-axis", 1, "axis", "frontal QRS axis from -30 to -90 degrees",
        {"from_deg": _t(-90, "deg", CONDUCTION), "to_deg": _t(-30, "deg", CONDUCTION)}, "routine",
        {"zh-CN": "电轴左偏", "en": "Left axis deviation"},
    ),
    Criterion(
        "right-axis", 1, "axis", "frontal QRS axis from 90 to 180 degrees, age 16 or more (or not told)",
        {"from_deg": _t(90, "deg", CONDUCTION), "age_years": _t(16, "years", CONDUCTION)}, "routine",
        {"zh-CN": "电轴右偏", "en": "Right axis deviation"},
    ),
    Criterion(
        "extreme-axis", 1, "axis", "frontal QRS axis from -90 to -180 degrees", {"to_deg": _t(-90, "deg", CONDUCTION)},
        "routine", {"zh-CN": "电轴极度偏移", "en": "Extreme axis deviation"},
    ),
    Criterion(
        "right-bundle-branch-block", 1, "conduction",
        "QRS of 120 ms or more, R' or a late broad R in V1 or V2, S in I and V6",
        {"qrs_ms": _t(120, "ms", CONDUCTION), "r_peak_ms": _t(50, "ms", CONDUCTION), "s_uv": _t(100, "uV", TUNED),
         "r2_uv": _t(80, "uV", TUNED)},
        "routine", {"zh-CN": "完全性右束支传导阻滞", "en": "Right bundle branch block"},
    ),
    Criterion(
        "incomplete-right-bundle-branch-block", 1, "conduction",
        "QRS from 100 to 119 ms, R' in V1 or V2, S in I and V6",
        {"qrs_ms": _t(100, "ms", "110 ms in " + CONDUCTION + ", 100 ms in Chinese and Russian practice")},
        "routine", {"zh-CN": "不完全性右束支传导阻滞", "en": "Incomplete right bundle branch block"},
    ),
    Criterion(
        "left-bundle-branch-block", 1, "conduction",
        "QRS of 120 ms or more, V1 mainly negative, no Q and a late R in V5 or V6, I mainly positive",
        {"qrs_ms": _t(120, "ms", CONDUCTION), "r_peak_ms": _t(60, "ms", CONDUCTION)}, "urgent",
        {"zh-CN": "完全性左束支传导阻滞", "en": "Left bundle branch block"},
    ),
    Criterion(
        "wide-qrs", 1, "conduction", "QRS of 120 ms or more without the picture of a bundle branch block or pacing",
        {"qrs_ms": _t(120, "ms", CONDUCTION)}, "routine",
        {"zh-CN": "QRS 增宽（室内传导延迟）", "en": "Wide QRS (intraventricular conduction delay)"},
    ),
    Criterion(
        "left-anterior-fascicular-block", 1, "conduction", "axis -45 to -90, R in aVL, rS in III, QRS below 120 ms",
        {"to_deg": _t(-45, "deg", CONDUCTION), "qrs_ms": _t(120, "ms", CONDUCTION)}, "routine",
        {"zh-CN": "左前分支传导阻滞", "en": "Left anterior fascicular block"},
    ),
    Criterion(
        "left-ventricular-voltage", 1, "voltage", "Sokolow-Lyon or Cornell voltage, age 18 or more (or not told)",
        {
            "sokolow_lyon_uv": _t(3500, "uV", "Sokolow and Lyon 1949"),
            "cornell_men_uv": _t(2800, "uV", "Casale 1985"), "cornell_women_uv": _t(2000, "uV", "Casale 1985"),
            "age_years": _t(18, "years", HYPERTROPHY),
        },
        "routine", {"zh-CN": "左心室高电压", "en": "Left ventricular high voltage"},
    ),
    Criterion(
        "right-ventricular-voltage", 1, "voltage", "R of V1 is tall and exceeds its S, and the axis lies at 90 or more",
        {"r_v1_uv": _t(700, "uV", HYPERTROPHY), "axis_deg": _t(90, "deg", HYPERTROPHY)}, "routine",
        {"zh-CN": "右心室高电压", "en": "Right ventricular high voltage"},
    ),
    Criterion(
        "low-voltage", 1, "voltage", "QRS below 500 uV in every limb lead and below 1000 uV in every chest lead",
        {"limb_uv": _t(500, "uV", CLINIC), "chest_uv": _t(1000, "uV", CLINIC)}, "routine",
        {"zh-CN": "低电压", "en": "Low voltage"},
    ),
    Criterion(
        "st-elevation", 1, "ischaemia",
        "ST at J raised in two neighbouring leads, with nothing that raises ST by itself",
        {
            "other_uv": _t(100, "uV", INFARCTION), "v2v3_men_from_40_uv": _t(200, "uV", INFARCTION),
            "v2v3_men_below_40_uv": _t(250, "uV", INFARCTION), "v2v3_women_uv": _t(150, "uV", INFARCTION),
        },
        "stat", {"zh-CN": "ST 段抬高", "en": "ST elevation pattern"},
    ),
    Criterion(
        "st-elevation-explained", 1, "ischaemia",
        "st-elevation beside what raises ST by itself: wide QRS, pacing, pre-excitation, high left voltage", {},
        "asap",
        {"zh-CN": "ST 段抬高（伴宽 QRS、起搏或高电压）", "en": "ST elevation beside wide QRS, pacing or voltage"},
    ),
    Criterion(
        "st-depression", 1, "ischaemia", "ST at J and J+80 lowered in two neighbouring leads, not rising",
        {"st_uv": _t(-50, "uV", INFARCTION)}, "asap", {"zh-CN": "ST 段压低", "en": "ST depression"},
    ),
    Criterion(
        "t-inversion", 1, "ischaemia", "T inverted by 100 uV or more in two neighbouring leads with a leading R",
        {"t_uv": _t(-100, "uV", INFARCTION)}, "routine", {"zh-CN": "T 波倒置", "en": "T inversion"},
    ),
    Criterion(
        "q-waves", 1, "ischaemia", "Q of 30 ms or more and 100 uV or more, or QS, in two neighbouring leads",
        {"q_ms": _t(30, "ms", INFARCTION), "q_uv": _t(100, "uV", INFARCTION)}, "routine",
        {"zh-CN": "异常 Q 波", "en": "Abnormal Q waves"},
    ),
    Criterion(
        "long-qt", 1, "qt", "QTc of 450 ms (men), 460 ms (women or not told) or more; Fridericia outside 60 to 100/min",
        {"men_ms": _t(450, "ms", QT), "women_ms": _t(460, "ms", QT)}, "routine",
        {"zh-CN": "QT 间期延长", "en": "Long QT"},
    ),
    Criterion(
        "very-long-qt", 1, "qt", "QTc of 500 ms or more with QRS below 120 ms, or of 550 ms or more",
        {
            "qtc_ms": _t(500, "ms", "AHA/ACCF 2010, prevention of torsade de pointes"),
            "wide_qtc_ms": _t(550, "ms", "the same, allowing for a wide QRS"), "qrs_ms": _t(120, "ms", CONDUCTION),
        },
        "asap", {"zh-CN": "QT 间期显著延长", "en": "Very long QT"},
    ),
    Criterion(
        "short-qt", 1, "qt", "QTc of 330 ms or less", {"qtc_ms": _t(330, "ms", "HRS/EHRA/APHRS 2013")}, "urgent",
        {"zh-CN": "QT 间期缩短", "en": "Short QT"},
    ),
)  # fmt: skip

CRITERIA: Mapping[str, Criterion] = {row.name: row for row in _TABLE}
PRIORITIES: tuple[Priority, ...] = ("stat", "asap", "urgent", "routine")


@cache
def limit(name: str, threshold: str) -> float:
    return CRITERIA[name].thresholds[threshold].value
