"""Lead names and numbers of the formats as MDC codes.

The numbers of SCP-ECG (EN 1064 table "lead identification") are also those of MDC_ECG_LEAD_* (IEEE 11073-10101 A.7).
"""

import re
from collections.abc import Mapping

from ecg.record import ALIASES, MDC_TO_SHORT, Lead, lead_code

_NUMBERED: Mapping[int, str] = {
    **dict(enumerate("I II V1 V2 V3 V4 V5 V6 V7 V2R V3R V4R V5R V6R V7R X Y Z CC5 CM5 LA RA LL".split(), 1)),
    **dict(enumerate("fI fE fC fA fM fF fH".split(), 24)),
    **dict(enumerate("III AVR AVL AVF AVRneg V8 V9 V8R V9R D A J".split(), 61)),
    **dict(enumerate("A1 A2 A3 A4".split(), 75)),
}
BY_NUMBER: Mapping[int, str] = {number: f"MDC_ECG_LEAD_{name}" for number, name in _NUMBERED.items()}
NUMBER_OF: Mapping[str, int] = {code: number for number, code in BY_NUMBER.items()}

_OTHER_NAMES = {
    name.lower(): f"MDC_ECG_LEAD_{name}" for name in _NUMBERED.values() if name.lower() not in ALIASES
}
_CONFIG = re.compile(r"config-(\d{1,4})")


def identify(name: str, place: int) -> tuple[str, str]:
    """(MDC code, label): the label is kept only where no code says what the lead is."""
    code = lead_code(name, place)
    if not code.startswith("MDC_ECG_LEAD_CONFIG"):
        return code, ""
    bare = " ".join(word for word in name.lower().split() if word not in ("ecg", "ekg", "lead"))
    if known := ALIASES.get(bare) or _OTHER_NAMES.get(bare):
        return known, ""
    if numbered := _CONFIG.fullmatch(bare):
        return f"MDC_ECG_LEAD_CONFIG-{int(numbered[1])}", ""
    return code, name.strip()


def name_of(lead: Lead) -> str:
    """What a file is told to call the lead, so that `identify` gives its code again."""
    return lead.label or MDC_TO_SHORT.get(lead.code, lead.code.removeprefix("MDC_ECG_LEAD_"))
