"""Published critical values (危急值) as data: regional packs that differ on purpose, and a dry run of them.

A centre chooses a pack and a clinician confirms it before use; an incomplete pack says so on its card. Rows hold
conditions on named facts; a fact that was not measured makes a row "not assessable", never "not met".
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Fact = float | bool
Outcome = Literal["met", "not met", "not assessable"]
Level = Literal["critical", "major"]  # 危急值, 重大阳性值提示
Setting = Literal["routine", "holter"]

# What a fact is: name -> unit and meaning. First-seen, pain and the like come from people, not from the signal.
FACTS: Mapping[str, str] = {
    "longest_rr_s": "s, longest RR interval",
    "longest_rr_af_s": "s, longest RR interval during atrial fibrillation",
    "longest_rr_not_af_s": "s, longest RR interval outside atrial fibrillation",
    "rr_3s_count": "RR intervals of 3.0 s or more outside atrial fibrillation",
    "rate_bpm": "/min, mean ventricular rate",
    "third_degree_av_block": "third-degree AV block",
    "first_seen": "the finding was not known before",
    "qtc_s": "s, corrected QT",
    "qt_clearly_prolonged": "QT clearly prolonged, as a reader sees it",
    "r_on_t_ectopy": "R-on-T ventricular premature beats",
    "vt_rate_bpm": "/min, rate of a ventricular tachycardia",
    "vt_length_s": "s, length of a ventricular tachycardia",
    "torsade_or_polymorphic_vt": "torsade or polymorphic ventricular tachycardia",
    "flutter_or_fibrillation": "ventricular flutter or fibrillation",
    "svt_rate_bpm": "/min, rate of a supraventricular tachycardia",
    "svt_length_s": "s, its length",
    "af_rate_bpm": "/min, mean ventricular rate in atrial fibrillation or flutter",
    "af_length_s": "s, length of the stretch at that rate",
    "pre_excited_af_shortest_rr_s": "s, shortest RR of atrial fibrillation with pre-excitation",
    "st_elevation_limb_v4_v6_uv": "uV, ST elevation in limb leads or V4 to V6",
    "st_elevation_v1_v3_uv": "uV, ST elevation in V1 to V3",
    "acute_pattern": "acute infarction pattern, aneurysm excluded by a reader",
    "after_old_infarction_with_pain": "raised again after an old infarction, with chest pain",
    "hyperkalaemia_pattern": "tall peaked T, wide QRS with sinoventricular conduction",
}

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "is": operator.eq,
}  # fmt: skip


@dataclass(frozen=True)
class Condition:
    fact: str
    relation: str
    value: Fact


@dataclass(frozen=True)
class Row:
    """any_of: alternatives, each a group of conditions that hold together."""

    name: str
    level: Level
    setting: Setting
    any_of: tuple[tuple[Condition, ...], ...]
    words: Mapping[str, str]


@dataclass(frozen=True)
class Pack:
    name: str
    version: int
    title: Mapping[str, str]
    source: str
    complete: bool
    note: str
    rows: tuple[Row, ...]


def _group(*conditions: tuple[str, str, Fact]) -> tuple[Condition, ...]:
    return tuple(Condition(*condition) for condition in conditions)


def _row(
    name: str,
    zh: str,
    en: str,
    *groups: tuple[Condition, ...],
    setting: Setting = "routine",
    level: Level = "critical",
) -> Row:
    return Row(name, level, setting, groups, {"zh-CN": zh, "en": en})


FIRST = ("first_seen", "is", True)
MALIGNANT = (
    _row(
        "torsade",
        "尖端扭转型、多形性室速",
        "Torsade or polymorphic VT",
        _group(("torsade_or_polymorphic_vt", "is", True)),
    ),
    _row(
        "vf",
        "心室扑动、心室颤动",
        "Ventricular flutter or fibrillation",
        _group(("flutter_or_fibrillation", "is", True)),
    ),
)
VT_30S = _row(
    "vt", "室速 ≥150 次/分且 ≥30 s", "VT at 150/min or more for 30 s or more",
    _group(("vt_rate_bpm", ">=", 150.0), ("vt_length_s", ">=", 30.0)),
)  # fmt: skip


def _infarction(v1_v3: str) -> Row:
    """The limb and lateral limit is common to the lists; that of V1 to V3 is "above" or "at least" 0.3 mV."""
    occasions = (FIRST, ("after_old_infarction_with_pain", "is", True))
    heights = (("st_elevation_limb_v4_v6_uv", ">=", 100.0), ("st_elevation_v1_v3_uv", v1_v3, 300.0))
    groups = [_group(("acute_pattern", "is", True), when, uv) for when in occasions for uv in heights]
    return _row(
        "infarction", "急性心肌梗死图形（首次，或陈旧梗死后再抬高）", "Acute infarction pattern", *groups
    )


def _pre_excited(relation: str) -> Row:
    return _row(
        "pre-excited-af", "房颤伴预激，最短 RR 250 ms 界", "AF with pre-excitation, shortest RR at 250 ms",
        _group(("pre_excited_af_shortest_rr_s", relation, 0.250)),
    )  # fmt: skip


def _holter(row: Row) -> Row:
    return Row(row.name, row.level, "holter", row.any_of, row.words)


def _pauses(*longest: tuple[Condition, ...]) -> tuple[Row, ...]:
    """Pauses of a day; in fibrillation only the first row counts."""
    often = _group(("rr_3s_count", ">=", 3.0))
    return (
        _row(
            "af-pause", "房颤 RR ≥5.0 s", "AF with RR of 5.0 s or more",
            _group(("longest_rr_af_s", ">=", 5.0)), setting="holter",
        ),
        _row("pauses", "长 RR 间期", "Long RR intervals", often, *longest, setting="holter"),
    )  # fmt: skip


_TRIAL = (
    _row("pause", "RR ≥3.0 s", "RR of 3.0 s or more", _group(("longest_rr_s", ">=", 3.0))),
    _row("slow", "平均心室率 <35 次/分", "Mean ventricular rate below 35/min", _group(("rate_bpm", "<", 35.0))),
    _row(
        "av-block", "三度房室传导阻滞首次出现，或平均心室率 <40 次/分",
        "Third-degree AV block, first seen or below 40/min",
        _group(("third_degree_av_block", "is", True), FIRST),
        _group(("third_degree_av_block", "is", True), ("rate_bpm", "<", 40.0)),
    ),
    _row(
        "long-qt", "QT 明显延长伴 R-on-T 室早", "QT clearly prolonged with R-on-T ectopy",
        _group(("qt_clearly_prolonged", "is", True), ("r_on_t_ectopy", "is", True)),
    ),
    VT_30S, *MALIGNANT,
    _row("svt", "室上速 ≥230 次/分", "SVT at 230/min or more", _group(("svt_rate_bpm", ">=", 230.0))),
    _row(
        "fast-af", "房颤、房扑平均心室率 ≥180 次/分", "AF or flutter at 180/min or more",
        _group(("af_rate_bpm", ">=", 180.0)),
    ),
    _pre_excited("<"), _infarction(">"), *_pauses(),
)  # fmt: skip

_FAST_200 = _row(
    "fast-atrial", "室上速、房颤、房扑平均心室率 ≥200 次/分", "SVT, AF or flutter at 200/min or more",
    _group(("svt_rate_bpm", ">=", 200.0)), _group(("af_rate_bpm", ">=", 200.0)),
)  # fmt: skip
_REVISED = (
    _row("pause", "RR ≥3.0 s", "RR of 3.0 s or more", _group(("longest_rr_s", ">=", 3.0))),
    _row("slow", "任何原因平均心室率 ≤35 次/分", "Mean rate of 35/min or less", _group(("rate_bpm", "<=", 35.0))),
    _row(
        "av-block", "三度房室传导阻滞首次出现", "Third-degree AV block first seen",
        _group(("third_degree_av_block", "is", True), FIRST),
    ),
    _row(
        "long-qt", "QTc ≥0.55 s 伴 R-on-T 室早", "QTc of 0.55 s or more with R-on-T ectopy",
        _group(("qtc_s", ">=", 0.55), ("r_on_t_ectopy", "is", True)),
    ),
    VT_30S, *MALIGNANT, _FAST_200, _pre_excited("<="), _infarction(">"),
    _row(
        "hyperkalaemia", "重度高钾图形", "Severe hyperkalaemia pattern", _group(("hyperkalaemia_pattern", "is", True))
    ),
    *_pauses(_group(("longest_rr_not_af_s", ">=", 4.0))),
    _row(
        "long-qt-vt", "QTc ≥0.55 s 伴室速", "QTc of 0.55 s or more with VT",
        _group(("qtc_s", ">=", 0.55), ("vt_rate_bpm", ">", 0.0)), setting="holter",
    ),
    *(_holter(row) for row in (VT_30S, *MALIGNANT, _FAST_200, _pre_excited("<="), _infarction(">"))),
)  # fmt: skip

_SHANXI = (
    _infarction(">="),
    _row("sustained-vt", "持续性室速", "Sustained VT", _group(("vt_length_s", ">=", 30.0))), *MALIGNANT,
    _row(
        "fast-svt", "室上速 ≥180 次/分且 ≥30 s", "SVT at 180/min or more for 30 s or more",
        _group(("svt_rate_bpm", ">=", 180.0), ("svt_length_s", ">=", 30.0)),
    ),
    _row(
        "fast-af", "房颤、房扑 ≥180 次/分且 ≥30 s", "AF or flutter at 180/min or more for 30 s or more",
        _group(("af_rate_bpm", ">=", 180.0), ("af_length_s", ">=", 30.0)),
    ),
    _pre_excited("<="),
)  # fmt: skip

_ZHEJIANG = "Zhejiang non-invasive ECG group, published critical-value list"
_TABLE = (
    Pack(
        "zhejiang-trial", 1, {"zh-CN": "浙江（试行版）", "en": "Zhejiang, trial edition"},
        f"{_ZHEJIANG}, trial edition", False, "the Holter part of the copy read was incomplete", _TRIAL,
    ),
    Pack(
        "zhejiang-revised", 1, {"zh-CN": "浙江（修订版）", "en": "Zhejiang, later edition"},
        f"{_ZHEJIANG}, later edition", True, "", _REVISED,
    ),
    Pack(
        "shanxi-trial", 1, {"zh-CN": "山西（试行版）", "en": "Shanxi, trial edition"},
        "Shanxi critical values for remote ECG, trial edition", False,
        "the copy read was incomplete; the list has a second level (重大阳性值提示) whose rows were not in it", _SHANXI,
    ),
)  # fmt: skip
PACKS: Mapping[str, Pack] = {pack.name: pack for pack in _TABLE}
HUB_PACK = (
    "zhejiang-revised"  # the one list that was read whole; a centre that confirmed none is shown this one
)


def assess(pack: Pack, setting: Setting, facts: Mapping[str, Fact]) -> tuple[tuple[Row, Outcome], ...]:
    """Each row of the pack for this setting with its outcome; `facts` hold only what was really determined."""
    return tuple((row, _outcome(row, facts)) for row in pack.rows if row.setting == setting)


def told(pack: Pack, outcomes: tuple[tuple[Row, Outcome], ...]) -> dict[str, object]:
    """As JSON: the pack and its rows that are met, and how many need a reader's eye to be decided."""
    met = [
        {"name": row.name, "level": row.level, "words": dict(row.words)}
        for row, out in outcomes
        if out == "met"
    ]
    open_ = sum(out == "not assessable" for _, out in outcomes)
    return {"pack": pack.name, "version": pack.version, "title": dict(pack.title), "met": met, "open": open_}


def _outcome(row: Row, facts: Mapping[str, Fact]) -> Outcome:
    """Met if one group holds whole; else not assessable if an unknown fact could still make one hold."""
    groups = [[_holds(condition, facts) for condition in group] for group in row.any_of]
    if any(all(held is True for held in group) for group in groups):
        return "met"
    open_ = any(all(held is not False for held in group) for group in groups)
    return "not assessable" if open_ else "not met"


def _holds(condition: Condition, facts: Mapping[str, Fact]) -> bool | None:
    if condition.fact not in facts:
        return None
    return OPERATORS[condition.relation](facts[condition.fact], condition.value)
