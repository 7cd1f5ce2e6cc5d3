"""The one table of quantities: what may be measured, in which unit, and what a device can plausibly say.

Codes are reference identifiers and numbers of IEEE 11073-10101 (partition * 65536 + code; partition 1024 is
the private one), LOINC where it has the quantity, units in UCUM. The range is what instruments on the market
can show, not what is healthy: a value outside it is a broken device or a wrong unit and is set aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity. `also` lists other units devices use: (unit, factor, offset) to get to `unit`."""

    code: str
    mdc: int
    loinc: str | None
    unit: str  # UCUM
    name_zh: str
    name_en: str
    low: float
    high: float
    subject: Literal["patient", "equipment"] = "patient"
    also: tuple[tuple[str, float, float], ...] = ()


_PER_MINUTE: Final = (("beat/min", 1.0, 0.0), ("bpm", 1.0, 0.0), ("/s", 60.0, 0.0), ("Hz", 60.0, 0.0))
_CELSIUS: Final = (("K", 1.0, -273.15), ("[degF]", 5 / 9, -160 / 9))
_PRESSURE: Final = (("mmHg", 1.0, 0.0), ("kPa", 7.500617, 0.0))
_PERCENT: Final = (("%EL", 1.0, 0.0), ("/", 100.0, 0.0))

QUANTITIES: Final = (
    Quantity("MDC_ECG_HEART_RATE", 147842, "8867-4", "/min", "心率", "Heart rate", 10, 350, also=_PER_MINUTE),
    Quantity(
        "MDC_PULS_OXIM_PULS_RATE", 149530, "8889-8", "/min", "脉率", "Pulse rate", 10, 350,
        also=_PER_MINUTE,
    ),
    Quantity(
        "MDC_PULS_OXIM_SAT_O2", 150456, "2708-6", "%", "血氧饱和度", "Oxygen saturation", 20, 100,
        also=_PERCENT,
    ),
    Quantity("MDC_BLD_PERF_INDEX", 150488, "61006-3", "%", "灌注指数", "Perfusion index", 0, 30),
    Quantity(
        "MDC_RESP_RATE", 151562, "9279-1", "/min", "呼吸频率", "Respiratory rate", 0, 150,
        also=_PER_MINUTE,
    ),
    Quantity(
        "MDC_PRESS_BLD_NONINV_SYS", 150021, "8480-6", "mm[Hg]", "收缩压", "Systolic blood pressure", 30, 300,
        also=_PRESSURE,
    ),
    Quantity(
        "MDC_PRESS_BLD_NONINV_DIA", 150022, "8462-4", "mm[Hg]", "舒张压", "Diastolic blood pressure", 10, 220,
        also=_PRESSURE,
    ),
    Quantity(
        "MDC_PRESS_BLD_NONINV_MEAN", 150023, "8478-0", "mm[Hg]", "平均动脉压", "Mean blood pressure", 15, 250,
        also=_PRESSURE,
    ),
    Quantity("MDC_TEMP_BODY", 150364, "8310-5", "Cel", "体温", "Body temperature", 20, 46, also=_CELSIUS),
    Quantity(
        "MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD", 160184, "14743-9", "mmol/L", "血糖", "Blood glucose", 0.5, 40,
        also=(("mg/dL", 0.0555, 0.0),),
    ),
    Quantity(
        "MDC_MASS_BODY_ACTUAL", 188736, "29463-7", "kg", "体重", "Body weight", 0.3, 400,
        also=(("g", 0.001, 0.0),),
    ),
    Quantity(
        "MDC_LEN_BODY_ACTUAL", 188740, "8302-2", "cm", "身高", "Body height", 20, 260,
        also=(("m", 100.0, 0.0),),
    ),
    Quantity(
        "MDC_ATTR_VAL_BATT_CHARGE", 67996, None, "%", "电量", "Battery charge", 0, 100,
        subject="equipment", also=_PERCENT,
    ),
    Quantity(
        "TELEHUB_TEMP_STORAGE", 1024 * 65536 + 1, None, "Cel", "冷藏温度", "Storage temperature", -100, 80,
        subject="equipment", also=_CELSIUS,
    ),
)  # fmt: skip

BY_CODE: Final = {quantity.code: quantity for quantity in QUANTITIES}
BY_MDC: Final = {quantity.mdc: quantity for quantity in QUANTITIES}


def find(name: str) -> Quantity | None:
    """The quantity with this reference identifier or decimal MDC number."""
    if name.isascii() and name.isdigit() and len(name) < 12:
        return BY_MDC.get(int(name))
    return BY_CODE.get(name)


def to_unit(quantity: Quantity, value: float, unit: str) -> float | None:
    """`value` in the quantity's own unit, or None if it is no unit of this quantity."""
    if unit == quantity.unit:
        return value
    return next((value * factor + offset for other, factor, offset in quantity.also if other == unit), None)


def is_plausible(quantity: Quantity, value: float) -> bool:
    return quantity.low <= value <= quantity.high
