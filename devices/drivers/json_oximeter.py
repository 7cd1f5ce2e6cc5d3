"""A plain fingertip pulse oximeter with a cellular module that publishes one flat JSON object a reading.

As such devices do: local time without a zone (China Standard Time), numbers that stand for "no reading"
(127 for saturation, 255 for pulse), no sequence, no resend. Golden packets: tests/devices/golden.

    {"sn": "PO21120077", "ts": "20261121081500", "spo2": 97, "pr": 72, "pi": 4.1, "bat": 80, "sos": 0}
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from devices import fields, vocabulary
from devices.drivers import Decoded
from devices.errors import DecodeError
from devices.event import Event
from devices.senml import Measurement

TOPICS: Final = ("vitals",)
MAX_BYTES: Final = 1024
_CHINA: Final = timezone(timedelta(hours=8))

# key in the object, quantity, number that means "no reading"
_READINGS: Final = (
    ("spo2", "MDC_PULS_OXIM_SAT_O2", 127),
    ("pr", "MDC_PULS_OXIM_PULS_RATE", 255),
    ("pi", "MDC_BLD_PERF_INDEX", 0),
    ("bat", "MDC_ATTR_VAL_BATT_CHARGE", None),
)


def decode(_topic_tail: str, payload: bytes, received_at_s: float) -> Decoded:
    """One reading: measurements for what the sensor saw, an event if the SOS key is down."""
    message = _read(payload)
    serial = fields.identifier(message.get("sn"), "sn")
    stamp = fields.identifier(message.get("ts"), "ts")
    device_time_s = _time_s(stamp)
    measurements = tuple(
        _measurement(code, message[key], device_time_s, serial)
        for key, code, no_reading in _READINGS
        if message.get(key) is not None and message[key] != no_reading
    )
    pressed = fields.whole(message.get("sos", 0), "sos", 0, 1)
    events = (Event(f"sos-{stamp}", "sos", device_time_s, device_time_s),) if pressed else ()
    if not measurements and not events:
        raise DecodeError("missing-field", "no reading in the object")
    return (), measurements, events


def _read(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_BYTES:
        raise DecodeError("oversize", f"payload of {len(payload)} bytes")
    try:
        message = json.loads(payload.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise DecodeError("not-json", "no well-formed JSON text") from error
    if type(message) is not dict or "sn" not in message:
        raise DecodeError("foreign-format", "not this oximeter's object")
    return message


def _time_s(stamp: str) -> float:
    try:
        local = datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=_CHINA)
    except ValueError as error:
        raise DecodeError("bad-field", "ts: no time") from error
    return fields.time_s(local.timestamp(), "ts")


def _measurement(code: str, value: Any, device_time_s: float, serial: str) -> Measurement:
    quantity = vocabulary.BY_CODE[code]
    number = fields.real(value, quantity.code, quantity.low, quantity.high)
    return Measurement(code, number, quantity.unit, device_time_s, serial)
