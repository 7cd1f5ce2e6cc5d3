"""Why a figure of a long recording is withheld: a code with its number, and the words in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass

WORDS: Mapping[str, tuple[str, str]] = {
    "paced": ("起搏心律", "paced rhythm"),
    "fibrillation": (
        "{number:.0%} 的时间疑似心房颤动或扑动",
        "atrial fibrillation suspected during {number:.0%} of the time",
    ),
    "no-stretch": ("没有 5 分钟可读的 NN 间期", "no 5 min of readable NN intervals"),
    "few-nn": ("仅 {number:.0%} 的间期为 NN 间期", "only {number:.0%} of the intervals are NN"),
    "few-hours": (
        "可分析 {number:.1f} 小时，需要 18 小时",
        "{number:.1f} analysable hours, 18 are needed",
    ),
    "high-pass": (
        "记录器高通滤波 {number:g} Hz 高于允许值（0.05 Hz；线性相位 0.67 Hz）",
        "the recorder's high-pass filter of {number:g} Hz is above 0.05 Hz (0.67 Hz if its phase is linear)",
    ),
    "high-pass-untold": (
        "记录器未说明高通滤波，ST 未经核实",
        "the recorder's high-pass filter is not told: ST is unverified",
    ),
    "no-qrs": ("未能确定 QRS 起止", "the limits of QRS are not known"),
    "no-level": ("没有可测量 ST 的清晰窦性心搏", "no clear beats of class N on which ST could be measured"),
    "not-measured": ("该分析版本未测量", "not measured by this version of the analysis"),
}


@dataclass(frozen=True)
class Reason:
    """code: a key of WORDS; number: what stands in its text, in the unit written there."""

    code: str
    number: float = 0.0

    def __str__(self) -> str:
        return WORDS[self.code][1].format(number=self.number)

    def as_json(self) -> dict[str, object]:
        """The code, its number and its words by language."""
        zh, en = (text.format(number=self.number) for text in WORDS[self.code])
        return {"code": self.code, "number": round(self.number, 4), "words": {"zh-CN": zh, "en": en}}
