"""The virtual wearable: plausible values for a whole day, none lost but those it counts."""

from random import Random

import pytest

from devices import senml, vocabulary
from devices.senml import Measurement
from devices.simulator import DeviceClock, Publish, Wearable
from devices.simulator.wearable import COURSES, MAX_WAITING_PACKS

START_S = 1.8e9


def measurements(published: list[Publish]) -> list[Measurement]:
    found: list[Measurement] = []
    for one in published:
        good, rejected = senml.decode(one.payload, START_S)
        assert rejected == ()
        found += good
    return found


def a_day(device: Wearable, step_s: float = 10.0) -> list[Measurement]:
    published = device.connected(START_S)
    for step in range(1, round(86400 / step_s)):
        published += device.tick(START_S + step * step_s)
    return measurements(published)


@pytest.mark.parametrize("seed", range(3))
def test_a_day_of_values_stays_near_the_mean_and_moves(seed: int) -> None:
    found = a_day(Wearable("w", rng=Random(seed)))
    for code, course in COURSES.items():
        values = [m.value for m in found if m.code == code and m.value is not None]
        spread = course.daily + 6 * course.sd
        assert values
        assert all(abs(value - course.mean) < spread + 1 for value in values)
        assert len(set(values)) > 1


def test_mean_pressure_comes_with_the_other_two() -> None:
    found = a_day(
        Wearable("w", rng=Random(1), codes=("MDC_PRESS_BLD_NONINV_SYS", "MDC_PRESS_BLD_NONINV_DIA"))
    )
    by_time: dict[float, dict[str, float | None]] = {}
    for m in found:
        by_time.setdefault(m.device_time_s, {})[m.code[-3:]] = m.value
    assert all(set(v) == {"SYS", "DIA", "EAN"} and v["DIA"] < v["EAN"] < v["SYS"] for v in by_time.values())  # type: ignore[operator]


def test_what_was_measured_offline_arrives_after_reconnecting() -> None:
    device = Wearable("w", rng=Random(1), codes=("MDC_RESP_RATE",))
    for step in range(100):
        device.tick(START_S + 30 * step)
    found = measurements(device.connected(START_S + 3000))
    assert len(found) == device.produced > 90
    assert device.discarded == 0


def test_a_full_memory_gives_up_the_oldest_and_counts_it() -> None:
    device = Wearable("w", rng=Random(1), codes=("MDC_RESP_RATE",))
    for step in range(MAX_WAITING_PACKS + 50):
        device.tick(START_S + 40 * step)
    found = measurements(device.connected(START_S + 40 * (MAX_WAITING_PACKS + 50)))
    assert device.produced == device.discarded + len(found)
    assert device.discarded > 0


def test_times_are_those_of_its_own_clock() -> None:
    device = Wearable("w", rng=Random(1), clock=DeviceClock(error_s=120.0))
    found = measurements(device.connected(START_S) + device.tick(START_S + 20))
    assert {m.device_time_s for m in found} == {START_S + 140}


def test_every_course_is_a_known_quantity_within_its_range() -> None:
    for code, course in COURSES.items():
        assert vocabulary.is_plausible(vocabulary.BY_CODE[code], course.mean)
