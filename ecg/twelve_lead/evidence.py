"""The numbers of a statement in words: what, in which lead, with its unit; voltages in mV, as readers say them."""

import math
from collections.abc import Mapping

from ecg.twelve_lead.signals import STANDARD

UNITS: Mapping[str, tuple[float, str, str]] = {  # by the part of a name that carries it: factor, format, text
    "ms": (1.0, ".0f", " ms"), "uv": (0.001, ".2f", " mV"), "bpm": (1.0, ".0f", "/min"), "deg": (1.0, ".0f", "°"),
}  # fmt: skip
NAMES: Mapping[str, tuple[str, str]] = {
    "rate": ("心率", "rate"),
    "rr": ("RR", "RR"),
    "rr_change": ("RR 变化比", "change of RR"),
    "beats": ("心搏数", "beats"),
    "spikes": ("脉冲数", "spikes"),
    "bad_leads": ("不可用导联数", "leads not usable"),
    "p": ("P 波", "P"),
    "p_share": ("有 P 波心搏占比", "share of beats with P"),
    "p_down": ("下壁导联 P 波", "P of inferior leads"),
    "p_spread": ("P 波距离离散", "spread of P"),
    "p_likeness": ("P 波相似度", "likeness of P"),
    "pr": ("PR", "PR"),
    "qrs": ("QRS", "QRS"),
    "qt": ("QT", "QT"),
    "qtc": ("QTc", "QTc"),
    "slur": ("起始斜率比", "slope of the begin"),
    "axis": ("电轴", "axis"),
    "i_area": ("I 导联 QRS 净面积", "net QRS area of I"),
    "r": ("R", "R"),
    "r2": ("R'", "R'"),
    "r_peak": ("R 峰时间", "R peak time"),
    "q": ("Q", "Q"),
    "t": ("T", "T"),
    "st_j": ("J 点 ST", "ST at J"),
    "st_j80": ("J+80 ST", "ST at J+80"),
    "limb": ("肢体导联最大 QRS", "largest QRS of limb leads"),
    "chest": ("胸导联最大 QRS", "largest QRS of chest leads"),
    "sokolow_lyon": ("Sokolow-Lyon 电压", "Sokolow-Lyon voltage"),
    "cornell": ("Cornell 电压", "Cornell voltage"),
}


def known(numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers that were measured; one that was withheld is none."""
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def in_words(numbers: Mapping[str, float]) -> dict[str, str]:
    """All of them on one line, by language."""
    lines = [_phrase(name, value) for name, value in known(numbers).items()]
    return {"zh-CN": "，".join(zh for zh, _ in lines), "en": ", ".join(en for _, en in lines)}


def _phrase(name: str, value: float) -> tuple[str, str]:
    parts = name.split("_")
    units, leads = [p for p in parts if p in UNITS], [p for p in parts if p in STANDARD]
    stem = "_".join(p for p in parts if p not in units and p not in leads)
    if len(units) == 1:
        factor, form, text = UNITS[units[0]]
        shown = f"{value * factor:{form}}{text}"
    else:
        shown = f"{value:g}"
    zh, en = NAMES.get(stem, (stem, stem))
    places = "".join(f" {lead}" for lead in leads)
    return f"{zh}{places} {shown}".strip(), f"{en}{places} {shown}".strip()
