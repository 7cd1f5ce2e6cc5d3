"""Acknowledgements, commands and events: round trips, foreign bytes, what each kind needs."""

from collections.abc import Callable

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import DecodeError, control, event, fields
from devices.control import Ack, Command
from devices.errors import REASONS
from devices.event import Event
from devices.leads import CODE_BY_LEAD

DECODERS: dict[str, Callable[[bytes], object]] = {
    "ack": control.decode_ack,
    "command": control.decode_command,
    "event": event.decode,
}

ids = st.from_regex(r"\A[!-~]{1,64}\Z")
recordings = st.binary(min_size=16, max_size=16)
boots = st.integers(0, 2**31 - 1)
indices = st.integers(0, 2**62)
times = st.floats(0, 4e9)
ranges = st.lists(
    st.tuples(indices, indices).filter(lambda r: r[0] != r[1]).map(lambda r: (min(r), max(r))), max_size=5
).map(tuple)
pairs = st.dictionaries(boots, indices, max_size=5).map(lambda d: tuple(sorted(d.items())))
leads = st.lists(st.sampled_from(sorted(CODE_BY_LEAD)), min_size=1, max_size=12, unique=True).map(tuple)

acks = st.builds(Ack, st.none() | recordings, boots, indices, ranges, st.lists(ids, max_size=4).map(tuple))

commands = st.builds(
    Command,
    id=ids,
    kind=st.sampled_from(control.KINDS),
    expires_at_s=times,
    recording=recordings,
    boot=boots,
    fs_hz=st.integers(1, 32000),
    leads=leads,
    ranges=ranges.filter(bool),
    packet_ms=st.integers(40, 10000),
    seconds=st.floats(0, 86400),
    sent_at_s=st.none() | times,
)

events = st.builds(
    Event,
    id=ids,
    kind=st.sampled_from(event.KINDS),
    device_time_s=times,
    sent_time_s=st.none() | times,
    recording=recordings,
    boot=boots,
    previous_boot=st.none() | boots,
    previous_count=st.none() | indices,
    counts=pairs,
    oldest=pairs.filter(bool),
    sample=st.none() | indices,
    electrodes_off=st.integers(0, 0xFFFF),
    battery_percent=st.integers(0, 100),
    latitude_deg=st.floats(-90, 90),
    longitude_deg=st.floats(-180, 180),
    command_id=ids,
    detail=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=256).filter(
        str.isprintable
    ),
)


@given(acks)
def test_an_acknowledgement_comes_back(sent: Ack) -> None:
    assert control.decode_ack(control.encode_ack(sent)) == sent


@given(recordings, boots, st.integers(1, 2**62) | st.integers(0, 62).map(lambda n: 2**n))
def test_progress_in_short_is_what_the_layout_gives(recording: bytes, boot: int, next_sample: int) -> None:
    short = control.encode_progress(control.progress_head(recording, boot), next_sample)
    assert short == fields.to_cbor(Ack(recording, boot, next_sample), control.ACK_LAYOUT)


@given(commands)
def test_a_command_comes_back(sent: Command) -> None:
    assert control.decode_command(control.encode_command(sent)) == sent


@given(events)
def test_an_event_comes_back(sent: Event) -> None:
    assert event.decode(event.encode(sent)) == sent


@pytest.mark.parametrize("kind", DECODERS)
@given(payload=st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_decode_error(kind: str, payload: bytes) -> None:
    try:
        DECODERS[kind](payload)
    except DecodeError as error:
        assert error.reason in REASONS


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9)
    | st.binary(max_size=17),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers(0, 9), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.parametrize("kind", DECODERS)
@given(message=st.dictionaries(st.integers(1, 18), anything, max_size=6))
def test_any_fields_give_a_value_or_a_decode_error(kind: str, message: dict[int, object]) -> None:
    try:
        DECODERS[kind](cbor2.dumps({0: 1, 1: "id", 2: "online", 3: 1.0} | message))
    except DecodeError as error:
        assert error.reason in REASONS


@pytest.mark.parametrize("decode", [control.decode_command, event.decode])
def test_an_unknown_kind_has_its_own_reason(decode: Callable[[bytes], object]) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(cbor2.dumps({0: 1, 1: "x", 2: "self-destruct", 3: 1.0}))
    assert caught.value.reason == "unknown-kind"


@pytest.mark.parametrize(("kind", "needed"), [(k, n) for k, names in control.REQUIRED.items() for n in names])
def test_a_command_says_which_field_it_lacks(kind: str, needed: str) -> None:
    full = {
        "recording": bytes(16),
        "boot": 1,
        "fs_hz": 250,
        "leads": ("MDC_ECG_LEAD_I",),
        "ranges": ((0, 1),),
    }
    full |= {"packet_ms": 200, "seconds": 1.0}
    del full[needed]
    with pytest.raises(DecodeError) as caught:
        control.decode_command(control.encode_command(Command("x", kind, 1.0, **full)))  # type: ignore[arg-type]
    assert (caught.value.reason, needed in caught.value.text) == ("missing-field", True)


@pytest.mark.parametrize(("kind", "needed"), [(k, n) for k, names in event.REQUIRED.items() for n in names])
def test_an_event_says_which_field_it_lacks(kind: str, needed: str) -> None:
    full = {"recording": bytes(16), "boot": 1, "electrodes_off": 0, "battery_percent": 1, "oldest": ((0, 1),)}
    full |= {"latitude_deg": 1.0, "longitude_deg": 1.0, "command_id": "c", "detail": "done"}
    del full[needed]
    with pytest.raises(DecodeError) as caught:
        event.decode(event.encode(Event("x", kind, 1.0, **full)))  # type: ignore[arg-type]
    assert (caught.value.reason, needed in caught.value.text) == ("missing-field", True)
