"""ECG leads as the nomenclature of IEEE 11073-10101 names them.

On the wire a lead is its 32-bit context-free code (partition 2, base 256: 2 * 65536 + 256 + lead number),
in values it is its reference identifier. The lead numbers are those of SCP-ECG and of DICOM CID 3001.
"""

from __future__ import annotations

from typing import Final

_BASE: Final = 2 * 65536 + 256

_NUMBERS: Final = {
    "UNSPEC": 0, "I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8, "V7": 9, "V2R": 10,
    "V3R": 11, "V4R": 12, "V5R": 13, "V6R": 14, "V7R": 15, "X": 16, "Y": 17, "Z": 18, "CC5": 19, "CM5": 20,
    "LA": 21, "RA": 22, "LL": 23, "FI": 24, "FE": 25, "FC": 26, "FA": 27, "FM": 28, "FF": 29, "FH": 30,
    "III": 61, "AVR": 62, "AVL": 63, "AVF": 64, "AVRneg": 65, "V8": 66, "V9": 67, "V8R": 68, "V9R": 69,
    "D": 70, "A": 71, "J": 72, "MCL": 91, "MCL1": 92, "MCL2": 93, "MCL3": 94, "MCL4": 95, "MCL5": 96,
    "MCL6": 97, "CC": 98, "CC1": 99, "CC2": 100, "CC3": 101, "CC4": 102, "CC6": 103, "CC7": 104, "CM": 105,
    "CM1": 106, "CM2": 107, "CM3": 108, "CM4": 109, "CM6": 110, "CM7": 121, "ES": 131, "AS": 132, "AI": 133,
}  # fmt: skip

LEAD_BY_CODE: Final = {_BASE + number: f"MDC_ECG_LEAD_{name}" for name, number in _NUMBERS.items()}
CODE_BY_LEAD: Final = {lead: code for code, lead in LEAD_BY_CODE.items()}
