"""Measurements as SenML packs, JSON or CBOR (RFC 8428).

The name of a record is the device's name, a colon or slash, and the quantity's code from the vocabulary.
A bad record is reported and does not cost its good companions; an unreadable pack raises DecodeError.
Left out on purpose: sums, update times, boolean and data values, which no quantity here has; CBOR numbers
are integers or floats, not decimal fractions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cbor2

from devices import fields, vocabulary
from devices.errors import DecodeError, Reason

MAX_RECORDS: Final = 1000
SENML_VERSION: Final = 10
# RFC 8428 4.5.3: times below 2^28 are relative to now. But nothing is measured in the future: what is further ahead is
# a clock that began at 1970.
RELATIVE_UNTIL_S: Final = 60.0
BEYOND_RANGE: Final = ("LO", "HI")  # what a meter shows below and above its range

# RFC 8428 table 4: CBOR labels
_LABELS: Final[dict[Any, Any]] = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs", 0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb",
    5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
_CBOR_LABELS: Final[dict[Any, Any]] = {label: number for number, label in _LABELS.items()}
_NAME: Final = re.compile(
    r"(?:(?P<device>[A-Za-z0-9][A-Za-z0-9\-:./_]{0,126})[:/])?(?P<code>[A-Za-z0-9_]{1,64})"
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value in the vocabulary's unit; a reading beyond the meter's range has `text` LO or HI."""

    code: str
    value: float | None
    unit: str
    device_time_s: float
    device_name: str = ""
    text: str = ""
    by_hub_clock: bool = (
        False  # the pack gave a time relative to now, so the device's clock has no part in it
    )


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that was set aside: its place in the pack and why."""

    index: int
    reason: Reason
    text: str


def decode(payload: bytes, received_at_s: float) -> tuple[tuple[Measurement, ...], tuple[Rejected, ...]]:
    """Read one pack in either form; `received_at_s` (unix, hub's clock) anchors relative times."""
    measurements, rejected = [], []
    base: dict[str, Any] = {"bn": "", "bt": 0.0, "bu": None, "bv": 0.0}
    for index, record in enumerate(_records(payload)):
        try:
            _check_version(record)
            _rebase(base, record)
            if not _has_base_fields_only(record):
                measurements.append(_measurement(base, record, received_at_s))
        except _Unusable as error:
            raise DecodeError(error.reason, error.text) from error
        except DecodeError as error:
            rejected.append(Rejected(index, error.reason, error.text))
    return tuple(measurements), tuple(rejected)


def encode_json(measurements: Sequence[Measurement]) -> bytes:
    return json.dumps(_pack(measurements), ensure_ascii=True, separators=(",", ":")).encode()


def encode_cbor(measurements: Sequence[Measurement]) -> bytes:
    return cbor2.dumps([{_CBOR_LABELS[k]: v for k, v in record.items()} for record in _pack(measurements)])


class _Unusable(DecodeError):
    """RFC 8428 4.4: a version or an extension that must be understood spoils the whole pack."""


def _records(payload: bytes) -> list[dict[str, Any]]:
    is_json = payload.lstrip(b" \t\r\n")[:1] == b"["  # no CBOR array starts with this byte
    pack = _read_json(payload) if is_json else fields.read_cbor(payload)
    if type(pack) is not list or not all(type(record) is dict for record in pack):
        raise DecodeError("not-senml", "no list of records")
    if not 1 <= len(pack) <= MAX_RECORDS:
        raise DecodeError("oversize" if pack else "not-senml", f"a pack of {len(pack)} records")
    if is_json:
        return pack
    return [
        {_LABELS.get(key, key) if type(key) is int else key: record[key] for key in record} for record in pack
    ]


def _read_json(payload: bytes) -> Any:
    if len(payload) > fields.MAX_PAYLOAD_BYTES:
        raise DecodeError("oversize", f"payload of {len(payload)} bytes")
    try:
        return json.loads(payload.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DecodeError("not-json", "no well-formed JSON text") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _check_version(record: dict[str, Any]) -> None:
    version = record.get("bver", SENML_VERSION)
    if type(version) is not int or not 1 <= version <= SENML_VERSION:
        raise _Unusable("wrong-version", "a later version of SenML")
    if any(type(label) is str and label.endswith("_") for label in record):
        raise _Unusable("wrong-version", "an extension that must be understood, and is not")


def _rebase(base: dict[str, Any], record: dict[str, Any]) -> None:
    """Take over base fields. A bad one spoils the records that build on it, so it is kept to fail there."""
    for label in base.keys() & record.keys():
        base[label] = record[label]


def _has_base_fields_only(record: dict[str, Any]) -> bool:
    return all(label in ("bver", "bn", "bt", "bu", "bv") for label in record)


def _measurement(base: dict[str, Any], record: dict[str, Any], received_at_s: float) -> Measurement:
    device_name, quantity = _named(_string(base["bn"], "bn") + _string(record.get("n", ""), "n"))
    value, text = _value(base, record, quantity)
    time_s = _number(base["bt"], "bt") + _number(record.get("t", 0.0), "t")
    is_relative = time_s <= RELATIVE_UNTIL_S
    return Measurement(
        quantity.code,
        value,
        quantity.unit,
        fields.time_s(received_at_s + time_s if is_relative else time_s, "t"),
        device_name,
        text,
        is_relative,
    )


def _named(name: str) -> tuple[str, vocabulary.Quantity]:
    match = _NAME.fullmatch(name)
    quantity = vocabulary.find(match["code"]) if match else None
    if match is None or quantity is None:
        raise DecodeError("bad-field", "n: no known quantity")
    return match["device"] or "", quantity


def _value(
    base: dict[str, Any], record: dict[str, Any], quantity: vocabulary.Quantity
) -> tuple[float | None, str]:
    if sum(label in record for label in ("v", "vs", "vb", "vd")) != 1 or not record.keys() & {"v", "vs"}:
        raise DecodeError("missing-field", "not one value, number or text")
    if "vs" in record:
        text = _string(record["vs"], "vs").upper()
        if text not in BEYOND_RANGE:
            raise DecodeError("bad-field", "vs: neither LO nor HI")
        return None, text
    unit = _string(record.get("u", base["bu"]), "u")
    value = vocabulary.to_unit(quantity, _number(base["bv"], "bv") + _number(record["v"], "v"), unit)
    if value is None:
        raise DecodeError("bad-field", f"u: no unit of {quantity.code}")
    if not vocabulary.is_plausible(quantity, value):
        raise DecodeError("bad-field", f"v: beyond what measures {quantity.code}")
    return value, ""


def _string(value: Any, name: str) -> str:
    return fields.text(value, name)


def _number(value: Any, name: str) -> float:
    return fields.real(value, name, -1e15, 1e15)


def _pack(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Records with absolute times; a base name where all come from one device."""
    names = {measurement.device_name for measurement in measurements}
    base_name = f"{names.pop()}:" if len(names) == 1 and "" not in names else ""
    return [
        ({"bn": base_name} if index == 0 and base_name else {})
        | {"n": m.code if base_name or not m.device_name else f"{m.device_name}:{m.code}"}
        | ({"vs": m.text} if m.value is None else {"u": m.unit, "v": m.value})
        | {"t": m.device_time_s}
        for index, m in enumerate(measurements)
    ]
