"""Every driver: its golden packets, each cut short, and any bytes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import DecodeError
from devices.drivers import DRIVERS
from devices.errors import REASONS

NOW = 1795220105.0


def golden(name: str) -> list[dict[str, object]]:
    path = Path(__file__).parent / "golden" / f"driver-{name}.json"
    packets: list[dict[str, object]] = json.loads(path.read_text())["packets"]
    return packets


CASES = [(name, example) for name in DRIVERS for example in golden(name)]


@pytest.mark.parametrize(("name", "example"), CASES)
def test_golden(name: str, example: dict[str, object]) -> None:
    packets, measurements, events = DRIVERS[name].decode(
        str(example["topic_tail"]), str(example["payload"]).encode(), NOW
    )
    assert packets == ()
    assert [[m.code, m.value, m.unit, m.device_time_s] for m in measurements] == example["measurements"]
    assert [[e.id, e.kind, e.device_time_s] for e in events] == example["events"]


@pytest.mark.parametrize(("name", "example"), CASES)
def test_a_golden_packet_cut_short_is_refused(name: str, example: dict[str, object]) -> None:
    payload = str(example["payload"]).encode()
    for length in range(len(payload)):
        with pytest.raises(DecodeError):
            DRIVERS[name].decode(str(example["topic_tail"]), payload[:length], NOW)


@pytest.mark.parametrize("name", DRIVERS)
@given(
    payload=st.binary(max_size=80)
    | st.dictionaries(
        st.sampled_from(["sn", "ts", "spo2", "pr", "pi", "bat", "sos"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=14)
        | st.just("20261121081500"),
    ).map(lambda d: json.dumps(d).encode())
)  # fmt: skip
def test_any_bytes_give_a_value_or_a_decode_error(name: str, payload: bytes) -> None:
    for topic in DRIVERS[name].topics:
        try:
            DRIVERS[name].decode(topic, payload, NOW)
        except DecodeError as error:
            assert error.reason in REASONS
