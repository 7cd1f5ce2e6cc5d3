"""The one table of rhythm rules: what begins an episode, what ends it, how urgent it is, and why.

To add a rule: a row here, its test in `ecg/episodes.py`, and a positive and a negative strip in the tests.
Live priorities follow IEC 60601-1-8 (high, medium); a finding without one only enters the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ecg.findings import Priority


@dataclass(frozen=True)
class Threshold:
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Rule:
    """onset, offset and urgency in field terms; thresholds by name; name and advice per language."""

    name: str
    version: int
    kind: Literal["rhythm", "technical"]
    onset: str
    offset: str
    thresholds: Mapping[str, Threshold]
    priorities: Mapping[str, Priority]  # what makes it urgent -> how urgent; the last that holds wins
    words: Mapping[str, str]  # language -> name as shown
    rank: int  # order of reading: what a reader must see first


def _t(value: float, unit: str, source: str) -> Threshold:
    return Threshold(value, unit, source)


HOLTER = "Holter reading convention (ISHNE/HRS 2017 consensus)"
CRITICAL = "published critical-value lists of ECG departments (Zhejiang)"
ALARM = "live alarm policy of this product, IEC 60601-1-8 priorities"
TUNED = "tuned on MIT-BIH DS1"

_TABLE = (
    Rule(
        "asystole", 1, "rhythm",
        "no QRS on any readable lead with electrodes on",
        "the next QRS, or the signal stops being readable",
        {"quiet_s": _t(4.0, "s", ALARM)},
        {"always": "high"},
        {"zh-CN": "心脏停搏", "en": "Asystole"}, 0,
    ),
    Rule(
        "ventricular-run", 1, "rhythm",
        "three or more wide or premature foreign beats in a row (suspicion)",
        "the first beat that is not one",
        {
            "beats": _t(3, "beats", HOLTER),
            "medium_beats": _t(5, "beats", ALARM), "medium_rate_bpm": _t(100, "/min", ALARM),
            "high_beats": _t(10, "beats", ALARM), "high_rate_bpm": _t(150, "/min", ALARM),
            "high_length_s": _t(30, "s", ALARM),
        },
        {"5 or more beats above 100/min": "medium", "10 or more beats at 150/min, or 30 s": "high"},
        {"zh-CN": "疑似室性心动过速（连发）", "en": "Ventricular run suspected"}, 1,
    ),
    Rule(
        "severe-bradycardia", 1, "rhythm",
        "mean rate over 10 s below 35/min", "mean rate over 10 s of 40/min or more",
        {"rate_bpm": _t(35, "/min", CRITICAL), "end_rate_bpm": _t(40, "/min", ALARM), "window_s": _t(10, "s", ALARM)},
        {"always": "high"},
        {"zh-CN": "严重心动过缓", "en": "Severe bradycardia"}, 2,
    ),
    Rule(
        "pause", 1, "rhythm",
        "RR interval of 2.0 s or more, shorter than asystole", "the beat that ends it",
        {"rr_s": _t(2.0, "s", HOLTER), "medium_rr_s": _t(3.0, "s", CRITICAL)},
        {"3 s or more": "medium"},
        {"zh-CN": "长 RR 间期（停搏）", "en": "Pause"}, 3,
    ),
    Rule(
        "irregular-rhythm", 1, "rhythm",
        "32 successive RR intervals of which most differ from their neighbour (atrial fibrillation suspected)",
        "fewer than a third differ",
        {
            "intervals": _t(32, "intervals", TUNED), "change_share": _t(0.09, "of the mean RR", TUNED),
            "onset_share": _t(0.55, "of the intervals", TUNED), "offset_share": _t(0.35, "of the intervals", TUNED),
        },
        {},
        {"zh-CN": "节律不齐（疑似心房颤动）", "en": "Irregular rhythm (atrial fibrillation suspected)"}, 4,
    ),
    Rule(
        "tachycardia", 1, "rhythm",
        "mean rate over 10 s above 120/min", "mean rate over 10 s below 110/min",
        {"rate_bpm": _t(120, "/min", HOLTER), "end_rate_bpm": _t(110, "/min", ALARM), "window_s": _t(10, "s", ALARM)},
        {},
        {"zh-CN": "心动过速", "en": "Tachycardia"}, 5,
    ),
    Rule(
        "bradycardia", 1, "rhythm",
        "mean rate over 10 s below 50/min", "mean rate over 10 s of 55/min or more",
        {"rate_bpm": _t(50, "/min", HOLTER), "end_rate_bpm": _t(55, "/min", ALARM), "window_s": _t(10, "s", ALARM)},
        {},
        {"zh-CN": "心动过缓", "en": "Bradycardia"}, 6,
    ),
    Rule(
        "unreadable-signal", 1, "technical",
        "no lead can be read for 10 s although an electrode is on", "a lead can be read for 2 s",
        {"length_s": _t(10, "s", ALARM), "end_s": _t(2, "s", ALARM)},
        {"always": "medium"},
        {"zh-CN": "信号无法判读", "en": "Signal cannot be read"}, 7,
    ),
    Rule(
        "electrode-off", 1, "technical",
        "an electrode is off for 2 s", "all electrodes are on for 2 s",
        {"length_s": _t(2, "s", ALARM), "end_s": _t(2, "s", ALARM)},
        {"no lead left": "medium"},
        {"zh-CN": "电极脱落", "en": "Electrode off"}, 8,
    ),
)  # fmt: skip

RULES: Mapping[str, Rule] = {rule.name: rule for rule in _TABLE}


@cache
def limit(rule: str, threshold: str) -> float:
    return RULES[rule].thresholds[threshold].value
