"""The one table of rhythm rules: what begins an episode, what ends it, how urgent it is, and why.

To add a rule: a row here, its test in `ecg/rules/` (called from `ecg/episodes.py`), and a positive and a negative strip
in the tests. Live priorities follow IEC 60601-1-8 (high, medium); a finding without one only enters the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from ecg.findings import Priority

Words = Mapping[str, str]  # language -> text


@dataclass(frozen=True)
class Threshold:
    value: float
    unit: str
    source: Words


@dataclass(frozen=True)
class Rule:
    """onset, offset and urgency in field terms; thresholds by name; what is shown, per language.

    clears: what ends the episode besides its offset: "break" = no readable lead, "unreadable" = none for 10 s,
    "stream" = only the end of the stretch. note: WFDB rhythm annotation between onset and offset, "" = none.
    """

    name: str
    version: int
    kind: Literal["rhythm", "technical"]
    words: Words
    onset: Words
    offset: Words
    thresholds: Mapping[str, Threshold]
    priorities: Mapping[str, Priority]  # what makes it urgent -> how urgent; the last that holds wins
    clears: Literal["break", "unreadable", "stream"] = "break"
    note: str = ""
    rank: int = 0  # order of reading: what a reader must see first; the place in the table


def _w(zh: str, en: str) -> Words:
    return {"zh-CN": zh, "en": en}


def _t(value: float, unit: str, source: Words) -> Threshold:
    return Threshold(value, unit, source)


HOLTER = _w(
    "动态心电图判读惯例（ISHNE/HRS 2017 共识）", "Holter reading convention (ISHNE/HRS 2017 consensus)"
)
CRITICAL = _w(
    "已发布的心电危急值清单（浙江）", "published critical-value lists of ECG departments (Zhejiang)"
)
REMOTE = _w("远程心电危急值清单（山西试行版）", "critical-value list for remote ECG (Shanxi, trial edition)")
GUIDE = _w("AHA/ACC/HRS 2017 室性心律失常指南", "AHA/ACC/HRS 2017 guideline for ventricular arrhythmias")
BLOCK = _w("ACC/AHA/HRS 2018 缓慢性心律失常指南", "ACC/AHA/HRS 2018 guideline for bradycardia")
SVT = _w("ACC/AHA/HRS 2015 室上性心动过速指南", "ACC/AHA/HRS 2015 guideline for SVT")
AF = _w("ESC 2020 心房颤动指南", "ESC 2020 guideline for atrial fibrillation")
ALARM = _w(
    "本产品的实时报警策略（IEC 60601-1-8 优先级）",
    "live alarm policy of this product, IEC 60601-1-8 priorities",
)
TUNED = _w(
    "以公开数据库按记录交叉验证确定", "cross-validated by record on public databases, docs/models/rhythms.md"
)


_TABLE = (
    Rule(
        "ventricular-fibrillation", 1, "rhythm",
        _w("疑似心室颤动或扑动", "Ventricular fibrillation or flutter suspected"),
        _w("5 秒内各导联均无静息段，形似室颤、室扑，心搏不规则",
           "five seconds without rest between swings on every lead, beats not regular"),
        _w("心搏之间重新出现静息段", "there is rest between beats again"),
        {"onset_logit": _t(1.5, "logit", TUNED), "offset_logit": _t(0.0, "logit", TUNED),
         "half_seconds": _t(3, "half seconds", TUNED), "window_s": _t(5, "s", TUNED)},
        {"always": "high"}, "unreadable", "[",
    ),
    Rule(
        "asystole", 2, "rhythm", _w("心脏停搏", "Asystole"),
        _w("电极接触良好而各可读导联均无 QRS 波", "no QRS on any readable lead with electrodes on"),
        _w("出现下一个 QRS 波，或信号不再可读", "the next QRS, or the signal stops being readable"),
        {"quiet_s": _t(4.0, "s", ALARM)},
        {"always": "high"}, "break", "(ASYS",
    ),
    Rule(
        "ventricular-tachycardia", 1, "rhythm",
        _w("疑似室性心动过速（信号）", "Ventricular tachycardia suspected (by the signal)"),
        _w("5 秒内各导联均无静息段，心搏规则且快",
           "five seconds without rest between swings on every lead, beats fast and regular"),
        _w("心搏之间重新出现静息段", "there is rest between beats again"),
        {"rate_bpm": _t(100, "/min", GUIDE), "most_rate_bpm": _t(250, "/min", GUIDE),
         "regular_share": _t(0.66, "of the intervals", TUNED), "near_share": _t(0.15, "of the median RR", TUNED),
         "high_beats": _t(10, "beats", ALARM), "high_rate_bpm": _t(150, "/min", ALARM),
         "high_length_s": _t(30, "s", ALARM)},
        {"always": "medium", "10 or more beats at 150/min, or 30 s": "high"}, "unreadable", "(VT",
    ),
    Rule(
        "ventricular-run", 3, "rhythm", _w("疑似室性心动过速（连发）", "Ventricular run suspected"),
        _w("连续三个或以上室性心搏，最近五个的频率高于 100 次/分（疑似）",
           "three or more ventricular beats in a row above 100/min, by the newest five (suspicion)"),
        _w("第一个非室性心搏", "the first beat that is not ventricular"),
        {"beats": _t(3, "beats", GUIDE), "rate_bpm": _t(100, "/min", GUIDE),
         "medium_beats": _t(5, "beats", ALARM), "medium_rate_bpm": _t(100, "/min", ALARM),
         "high_beats": _t(10, "beats", ALARM), "high_rate_bpm": _t(150, "/min", ALARM),
         "high_length_s": _t(30, "s", ALARM)},
        {"5 or more beats above 100/min": "medium", "10 or more beats at 150/min, or 30 s": "high"}, "break", "(VT",
    ),
    Rule(
        "severe-bradycardia", 2, "rhythm", _w("严重心动过缓", "Severe bradycardia"),
        _w("10 秒平均心率低于 35 次/分", "mean rate over 10 s below 35/min"),
        _w("10 秒平均心率达到 40 次/分", "mean rate over 10 s of 40/min or more"),
        {"rate_bpm": _t(35, "/min", CRITICAL), "end_rate_bpm": _t(40, "/min", ALARM), "window_s": _t(10, "s", ALARM)},
        {"always": "high"},
    ),
    Rule(
        "pause", 2, "rhythm", _w("长 RR 间期（停搏）", "Pause"),
        _w("RR 间期 2.0 秒或以上，短于停搏", "RR interval of 2.0 s or more, shorter than asystole"),
        _w("其后的第一个心搏", "the beat that ends it"),
        {"rr_s": _t(2.0, "s", HOLTER), "notable_rr_s": _t(2.5, "s", HOLTER), "medium_rr_s": _t(3.0, "s", CRITICAL),
         "af_rr_s": _t(5.0, "s", CRITICAL)},
        {"3 s or more": "medium"},
    ),
    Rule(
        "av-block", 1, "rhythm", _w("疑似房室或窦房传导阻滞（心搏脱落）", "AV or SA block suspected (dropped beats)"),
        _w("规则心搏中出现约两倍的 RR 间期，一分钟内两次",
           "twice in a minute an RR interval of about two of the regular ones before it"),
        _w("一分钟内少于两次", "fewer than two in a minute"),
        {"dropped_beats": _t(2, "intervals", TUNED), "window_s": _t(60, "s", TUNED),
         "least_ratio": _t(1.75, "times RR", BLOCK),
         "most_ratio": _t(2.15, "times RR", BLOCK), "regular_share": _t(0.08, "of RR", TUNED)},
        {},
    ),
    Rule(
        "atrial-fibrillation", 1, "rhythm", _w("疑似心房颤动", "Atrial fibrillation suspected"),
        _w("正常心搏的 RR 间期绝对不齐（最近 48 个）",
           "RR intervals of normal beats without any order, over the last 48"),
        _w("间期重新有规律", "there is order again"),
        {"intervals": _t(48, "intervals", TUNED), "least_intervals": _t(12, "intervals", TUNED),
         "onset_logit": _t(1.5, "logit", TUNED), "offset_logit": _t(0.5, "logit", TUNED),
         "short_onset_logit": _t(0.6, "logit", TUNED), "short_offset_logit": _t(0.0, "logit", TUNED),
         "stale_s": _t(30, "s", TUNED),
         "alone_share": _t(0.2, "of the intervals", TUNED), "short_s": _t(60, "s", TUNED),
         "short_alone_share": _t(0.05, "of the intervals", TUNED),
         "episode_s": _t(30, "s", AF)},
        {}, "unreadable", "(AFIB",
    ),
    Rule(
        "atrial-flutter", 1, "rhythm", _w("疑似心房扑动（2:1 下传）", "Atrial flutter suspected (2:1)"),
        _w("心率 130–175 次/分，48 个间期几乎相等", "130 to 175/min, 48 intervals all but equal"),
        _w("频率改变或间期不再相等", "another rate, or intervals no longer equal"),
        {"rate_bpm": _t(130, "/min", SVT), "most_rate_bpm": _t(175, "/min", SVT), "spread": _t(0.01, "of RR", TUNED)},
        {}, "break", "(AFL",
    ),
    Rule(
        "supraventricular-run", 1, "rhythm", _w("疑似室上性心动过速（连发）", "Supraventricular run suspected"),
        _w("连续三个或以上房性或交界性早搏，频率高于 100 次/分",
           "three or more premature narrow beats in a row above 100/min"),
        _w("变慢或出现室性心搏", "it slows down, or a ventricular beat comes"),
        {"beats": _t(3, "beats", HOLTER), "rate_bpm": _t(100, "/min", SVT),
         "slower_share": _t(1.2, "times RR", TUNED),
         "medium_rate_bpm": _t(180, "/min", REMOTE), "medium_length_s": _t(30, "s", REMOTE)},
        {"180/min or more for 30 s": "medium"}, "break", "(SVTA",
    ),
    Rule(
        "tachycardia", 2, "rhythm", _w("心动过速", "Tachycardia"),
        _w("10 秒平均心率高于 120 次/分", "mean rate over 10 s above 120/min"),
        _w("10 秒平均心率低于 110 次/分", "mean rate over 10 s below 110/min"),
        {"rate_bpm": _t(120, "/min", HOLTER), "end_rate_bpm": _t(110, "/min", ALARM), "window_s": _t(10, "s", ALARM)},
        {},
    ),
    Rule(
        "bradycardia", 2, "rhythm", _w("心动过缓", "Bradycardia"),
        _w("10 秒平均心率低于 50 次/分", "mean rate over 10 s below 50/min"),
        _w("10 秒平均心率达到 55 次/分", "mean rate over 10 s of 55/min or more"),
        {"rate_bpm": _t(50, "/min", HOLTER), "end_rate_bpm": _t(55, "/min", ALARM), "window_s": _t(10, "s", ALARM)},
        {}, "break", "(SBR",
    ),
    Rule(
        "idioventricular-rhythm", 2, "rhythm", _w("疑似心室自主心律", "Idioventricular rhythm suspected"),
        _w("连续三个或以上室性心搏，频率不高于 100 次/分",
           "three or more ventricular beats in a row at 100/min or less"),
        _w("第一个非室性心搏", "the first beat that is not ventricular"),
        {"beats": _t(3, "beats", GUIDE), "rate_bpm": _t(100, "/min", GUIDE)},
        {}, "break", "(IVR",
    ),
    Rule(
        "ventricular-escape", 1, "rhythm", _w("室性逸搏", "Ventricular escape beat"),
        _w("RR 间期 1.5 秒或以上，由室性心搏结束", "an RR interval of 1.5 s or more that a ventricular beat ends"),
        _w("该心搏", "that beat"),
        {"rr_s": _t(1.5, "s", BLOCK)},
        {},
    ),
    Rule(
        "ventricular-couplet", 1, "rhythm", _w("室性早搏成对", "Ventricular couplet"),
        _w("两个室性心搏成对", "two ventricular beats in a row"), _w("其后的心搏", "the beat after them"),
        {"beats": _t(2, "beats", HOLTER)},
        {},
    ),
    Rule(
        "ventricular-bigeminy", 1, "rhythm", _w("室性早搏二联律", "Ventricular bigeminy"),
        _w("每两个心搏中有一个室性心搏，连续三次", "every second beat ventricular, three times in a row"),
        _w("规律中断", "the pattern breaks"),
        {"beats": _t(3, "beats", HOLTER)},
        {}, "break", "(B",
    ),
    Rule(
        "ventricular-trigeminy", 1, "rhythm", _w("室性早搏三联律", "Ventricular trigeminy"),
        _w("每三个心搏中有一个室性心搏，连续三次", "every third beat ventricular, three times in a row"),
        _w("规律中断", "the pattern breaks"),
        {"beats": _t(3, "beats", HOLTER)},
        {}, "break", "(T",
    ),
    Rule(
        "paced-rhythm", 1, "rhythm", _w("起搏心律", "Paced rhythm"),
        _w("申请单或设备标明起搏，连续起搏心搏；未标明时仅为疑似",
           "paced beats in a row if the request or the device tells of a pacemaker; else only suspected"),
        _w("不再有起搏心搏", "no paced beat any more"),
        {"beats": _t(8, "beats", TUNED), "near_share": _t(0.03, "of RR", TUNED)},
        {}, "break", "(P",
    ),
    Rule(
        "unreadable-signal", 2, "technical", _w("信号无法判读", "Signal cannot be read"),
        _w("电极在位而 10 秒内各导联均无法判读，或 8 秒内没有一个可确认的心搏，也不是停搏",
           "no lead can be read for 10 s although an electrode is on, or for 8 s no beat is certain nor asystole"),
        _w("任一导联恢复可读 2 秒且有可确认的心搏", "a lead can be read for 2 s and shows a beat for certain"),
        {"length_s": _t(10, "s", ALARM), "doubt_s": _t(8, "s", ALARM), "end_s": _t(2, "s", ALARM)},
        {"always": "medium"}, "stream",
    ),
    Rule(
        "electrode-off", 1, "technical", _w("电极脱落", "Electrode off"),
        _w("一个电极脱落 2 秒", "an electrode is off for 2 s"),
        _w("全部电极接触良好 2 秒", "all electrodes are on for 2 s"),
        {"length_s": _t(2, "s", ALARM), "end_s": _t(2, "s", ALARM)},
        {"no lead left": "medium"}, "stream",
    ),
)  # fmt: skip

RULES: Mapping[str, Rule] = {rule.name: replace(rule, rank=place) for place, rule in enumerate(_TABLE)}


@cache
def limit(rule: str, threshold: str) -> float:
    return RULES[rule].thresholds[threshold].value
