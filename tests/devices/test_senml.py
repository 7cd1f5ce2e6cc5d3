"""SenML packs: round trips, good records beside bad ones, foreign bytes."""

import json

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import DecodeError, senml, vocabulary
from devices.errors import REASONS
from devices.senml import Measurement

NOW = 1.8e9


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    quantity = draw(st.sampled_from(vocabulary.QUANTITIES))
    is_beyond = draw(st.booleans())
    return Measurement(
        quantity.code,
        None if is_beyond else draw(st.floats(quantity.low, quantity.high)),
        quantity.unit,
        draw(st.floats(2.0**28, 4e9)),
        draw(st.sampled_from(["", "bp-7", "urn:dev:mac:0024befffe804ff1"])),
        draw(st.sampled_from(senml.BEYOND_RANGE)) if is_beyond else "",
    )


@pytest.mark.parametrize("encode", [senml.encode_json, senml.encode_cbor])
@given(sent=st.lists(measurements(), min_size=1, max_size=6))
def test_round_trip(encode: object, sent: list[Measurement]) -> None:
    assert callable(encode)
    assert senml.decode(encode(sent), NOW) == (tuple(sent), ())


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda b: b"[" + b))
def test_any_bytes_give_a_pack_or_a_decode_error(payload: bytes) -> None:
    try:
        senml.decode(payload, NOW)
    except DecodeError as error:
        assert error.reason in REASONS


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.none(), max_size=1)
)
labels = ["bver", "bn", "bt", "bu", "bv", "n", "u", "v", "vs", "vb", "vd", "t", "s", "ut", "x", "x_"]


@pytest.mark.parametrize("dump", [json.dumps, cbor2.dumps])
@given(pack=st.lists(st.dictionaries(st.sampled_from(labels), values, max_size=5), max_size=5))
def test_a_good_record_survives_any_companions_but_bases(dump: object, pack: list[dict[str, object]]) -> None:
    assert callable(dump)
    good = {"bn": "", "bt": 0, "bu": "/min", "bv": 0, "n": "MDC_RESP_RATE", "v": 16, "t": NOW}
    payload = dump([*pack, good])
    try:
        found, rejected = senml.decode(payload.encode() if isinstance(payload, str) else payload, NOW)
    except DecodeError as error:
        assert error.reason in ("wrong-version", "not-json", "not-cbor")
    else:
        assert found[-1] == Measurement("MDC_RESP_RATE", 16.0, "/min", NOW)
        assert len(found) + len(rejected) <= len(pack) + 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"n": "MDC_UNHEARD_OF", "v": 1, "u": "/min"}, "bad-field"),
        ({"n": "MDC_RESP_RATE", "v": 900, "u": "/min"}, "bad-field"),
        ({"n": "MDC_RESP_RATE", "v": 16, "u": "kg"}, "bad-field"),
        ({"n": "MDC_RESP_RATE", "v": 16}, "missing-field"),
        ({"n": "MDC_RESP_RATE", "u": "/min"}, "missing-field"),
        ({"n": "MDC_RESP_RATE", "v": 16, "vs": "LO"}, "missing-field"),
        ({"n": "MDC_RESP_RATE", "vb": True}, "missing-field"),
        ({"n": "MDC_RESP_RATE", "vs": "soon"}, "bad-field"),
        ({"n": "MDC_RESP_RATE", "v": True, "u": "/min"}, "bad-field"),
        ({"n": "MDC_RESP_RATE", "v": 16, "u": "/min", "t": 1e12}, "bad-field"),
        ({"n": "\ud800", "v": 16, "u": "/min"}, "bad-field"),
    ],
)
def test_a_bad_record_is_reported_and_its_companion_kept(record: dict[str, object], reason: str) -> None:
    pack = [record, {"n": "MDC_TEMP_BODY", "v": 37, "u": "Cel"}]
    found, rejected = senml.decode(json.dumps(pack).encode(), NOW)
    assert [m.code for m in found] == ["MDC_TEMP_BODY"]
    assert [(r.index, r.reason) for r in rejected] == [(0, reason)]


def test_a_bad_base_spoils_what_builds_on_it_until_a_good_one() -> None:
    temperature = {"n": "MDC_TEMP_BODY", "v": 37, "u": "Cel"}
    pack = [temperature | {"bt": "noon"}, temperature, temperature | {"bt": NOW}]
    found, rejected = senml.decode(json.dumps(pack).encode(), NOW)
    assert ([r.index for r in rejected], len(found)) == ([0, 1], 1)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[]", "not-senml"),
        (b"[1]", "not-senml"),
        (b"\xa0", "not-senml"),
        (b"[NaN]", "not-json"),
        (b"[" * 60000, "not-json"),
        (b"[" + b" " * 65536, "oversize"),
        (b"[" + b"{}," * 1000 + b"{}]", "oversize"),
        (b'[{"bver":11}]', "wrong-version"),
        (b'[{"n":"MDC_RESP_RATE","v":1,"new_":1}]', "wrong-version"),
    ],
)
def test_a_pack_that_can_not_be_read_has_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        senml.decode(payload, NOW)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("code", "value", "unit", "expected"),
    [
        ("MDC_TEMP_BODY", 98.6, "[degF]", 37.0),
        ("MDC_TEMP_BODY", 310.15, "K", 37.0),
        ("MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD", 100, "mg/dL", 5.55),
        ("MDC_PRESS_BLD_NONINV_SYS", 16, "kPa", 120.0),
        ("MDC_PULS_OXIM_SAT_O2", 0.97, "/", 97.0),
    ],
)
def test_other_units_are_converted(code: str, value: float, unit: str, expected: float) -> None:
    (found,), _ = senml.decode(json.dumps([{"n": code, "v": value, "u": unit}]).encode(), NOW)
    assert found.value is not None
    assert abs(found.value - expected) < 0.02
