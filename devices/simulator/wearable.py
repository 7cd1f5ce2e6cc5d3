"""A wrist or bedside wearable: vital signs as SenML packs, drifting over the day as a resting person's do.

Each quantity is a mean, a daily wave with its top in the late afternoon (body temperature and heart rate are
lowest before dawn), and a random walk that is pulled back to the mean (Ornstein-Uhlenbeck).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Final

from devices import senml, vocabulary
from devices.senml import Measurement
from devices.simulator.clock import DeviceClock
from devices.simulator.publish import Publish

PEAK_HOUR: Final = 17.0
MAX_WAITING_PACKS: Final = 2000


@dataclass(frozen=True, slots=True)
class Course:
    """How one quantity goes: unit as in the vocabulary, `sd` and `relaxation_s` of the random walk."""

    mean: float
    daily: float  # half the difference between afternoon and night
    sd: float
    relaxation_s: float
    every_s: float
    digits: int


COURSES: Final = {
    "MDC_ECG_HEART_RATE": Course(72, 8, 6, 300, 10, 0),
    "MDC_PULS_OXIM_SAT_O2": Course(96.5, 0.6, 0.8, 600, 10, 0),
    "MDC_RESP_RATE": Course(16, 1.5, 1.5, 300, 30, 0),
    "MDC_TEMP_BODY": Course(36.7, 0.35, 0.08, 3600, 300, 1),
    "MDC_PRESS_BLD_NONINV_SYS": Course(124, 9, 7, 1800, 1800, 0),
    "MDC_PRESS_BLD_NONINV_DIA": Course(78, 6, 4, 1800, 1800, 0),
    "MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD": Course(5.8, 0.5, 0.7, 3600, 14400, 1),
}
_SYSTOLIC, _DIASTOLIC = "MDC_PRESS_BLD_NONINV_SYS", "MDC_PRESS_BLD_NONINV_DIA"
_MEAN_PRESSURE: Final = "MDC_PRESS_BLD_NONINV_MEAN"


class Wearable:
    """One virtual wearable measuring `codes`; packs made while offline wait, the oldest give way."""

    def __init__(
        self,
        identity: str,
        *,
        rng: Random,
        codes: tuple[str, ...] = tuple(COURSES),
        clock: DeviceClock | None = None,
        utc_offset_h: float = 8.0,
    ) -> None:
        self.identity = identity
        self.codes = codes
        self.clock = clock or DeviceClock()
        self.utc_offset_h = utc_offset_h
        self.is_connected = False
        self.produced = 0  # measurements
        self.discarded = 0
        self._rng = rng
        self._person = {code: rng.gauss(0.0, COURSES[code].sd * 0.7) for code in codes}
        self._walk = {code: rng.gauss(0.0, COURSES[code].sd) for code in codes}
        # Devices are not in step with each other; blood pressure is one measurement with two values.
        self._due_at_s: dict[str, float] = {}
        self._waiting: deque[tuple[int, bytes]] = deque()

    def connected(self, now_s: float) -> list[Publish]:
        self.is_connected = True
        return self.tick(now_s)

    def disconnected(self, now_s: float) -> list[Publish]:
        self.is_connected = False
        return []

    def on_message(self, topic_kind: str, payload: bytes, now_s: float) -> list[Publish]:
        """A plain wearable takes no commands and knows no acknowledgement but the broker's."""
        return []

    def tick(self, now_s: float) -> list[Publish]:
        """Measure what is due; send it, and what has waited."""
        if not self._due_at_s:
            start = {COURSES[code].every_s: now_s + self._rng.uniform(0, 5) for code in self.codes}
            self._due_at_s = {code: start[COURSES[code].every_s] for code in self.codes}
        measured = self._measure(now_s)
        if measured:
            self.produced += len(measured)
            self._waiting.append((len(measured), senml.encode_cbor(measured)))
            if len(self._waiting) > MAX_WAITING_PACKS:
                self.discarded += self._waiting.popleft()[0]
        if not self.is_connected:
            return []
        sent = [Publish("vitals", pack) for _, pack in self._waiting]
        self._waiting.clear()
        return sent

    def _measure(self, now_s: float) -> list[Measurement]:
        due = [code for code in self.codes if self._due_at_s[code] <= now_s]
        device_time_s = self.clock.read_s(now_s)
        values = {code: self._value(code, now_s) for code in due}
        if _SYSTOLIC in values and _DIASTOLIC in values:
            values[_MEAN_PRESSURE] = round((values[_SYSTOLIC] + 2 * values[_DIASTOLIC]) / 3)
        return [
            Measurement(code, value, vocabulary.BY_CODE[code].unit, device_time_s, self.identity)
            for code, value in values.items()
        ]

    def _value(self, code: str, now_s: float) -> float:
        course, quantity = COURSES[code], vocabulary.BY_CODE[code]
        kept = math.exp(-course.every_s / course.relaxation_s)
        self._walk[code] = kept * self._walk[code] + self._rng.gauss(
            0, course.sd * math.sqrt(1 - kept * kept)
        )
        due_at_s = self._due_at_s[code] + course.every_s
        self._due_at_s[code] = due_at_s if due_at_s > now_s else now_s + course.every_s
        hour = (now_s / 3600 + self.utc_offset_h) % 24
        wave = course.daily * math.cos((hour - PEAK_HOUR) / 12 * math.pi)
        value = course.mean + self._person[code] + wave + self._walk[code]
        return round(min(max(value, quantity.low), quantity.high), course.digits)
