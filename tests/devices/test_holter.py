"""The virtual Holter against a line that loses, repeats and reorders: nothing vanishes unaccounted."""

from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices import control, event, packet, sequencing
from devices.control import Ack, Command
from devices.event import Event
from devices.sequencing import Ledger
from devices.simulator import DeviceClock, Holter, Publish

FS_HZ = 50
LEADS = ("MDC_ECG_LEAD_I", "MDC_ECG_LEAD_V1")
RECORDING = bytes(range(16))
START_S = 1.8e9


def signal(first: int, count: int) -> NDArray[np.int16]:
    """Each sample tells its own place, so that a wrong one is seen."""
    index = np.arange(first, first + count)
    return np.stack([index, -index]).astype(np.int16)


def holter(buffer_s: float = 3600.0, clock: DeviceClock | None = None) -> Holter:
    return Holter(
        "h-1", signal, FS_HZ, LEADS, 2.5, rng=Random(1), buffer_s=buffer_s, clock=clock, backlog_per_s=50.0
    )


def start(at_s: float, recording: bytes = RECORDING) -> bytes:
    command = Command(
        f"start-{recording[0]}", "start", at_s + 60, recording, fs_hz=FS_HZ, leads=LEADS, sent_at_s=at_s
    )
    return control.encode_command(command)


def command(kind: control.CommandKind, at_s: float, **values: object) -> bytes:
    return control.encode_command(Command(f"{kind}-{at_s}", kind, at_s + 60, sent_at_s=at_s, **values))  # type: ignore[arg-type]


def events(published: list[Publish]) -> list[Event]:
    return [event.decode(p.payload) for p in published if p.topic_kind == "event"]


def packets(published: list[Publish]) -> list[packet.WaveformPacket]:
    return [packet.decode(p.payload) for p in published if p.topic_kind == "ecg"]


def recording_holter(clock: DeviceClock | None = None, buffer_s: float = 3600.0) -> Holter:
    device = holter(buffer_s, clock)
    device.connected(START_S)
    device.on_message("cmd", start(START_S), START_S)
    return device


def run(device: Holter, from_s: float, to_s: float, step_s: float = 0.1) -> list[Publish]:
    published = []
    for step in range(round((to_s - from_s) / step_s)):
        published += device.tick(from_s + (step + 1) * step_s)
    return published


@dataclass
class Hub:
    """What the ledger would know: commits what arrives, answers with acknowledgements."""

    ledgers: dict[tuple[bytes, int], Ledger] = field(default_factory=dict)
    samples: dict[tuple[bytes, int, int], tuple[int, ...]] = field(default_factory=dict)
    bodies: dict[tuple[bytes, int, int], bytes] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)

    def receive(self, published: Publish) -> None:
        if published.topic_kind == "event":
            self._receive_event(event.decode(published.payload))
            return
        got = packet.decode(published.payload)
        body = packet.body(got)
        assert published.payload == packet.frame(body, got.oldest, got.battery_percent)
        assert self.bodies.setdefault((got.recording, got.boot, got.sequence), body) == body
        key = (got.recording, got.boot)
        self.ledgers[key], _ = sequencing.receive(
            self.ledgers.get(key, Ledger()), got.first_sample, got.end_sample, got.oldest
        )
        for offset, column in enumerate(got.samples.T.tolist()):
            place = (*key, got.first_sample + offset)
            assert self.samples.setdefault(place, tuple(column)) == tuple(column)

    def _receive_event(self, got: Event) -> None:
        self.events[got.id] = got
        for boot, oldest in got.oldest:
            self._change(got.recording, boot, lambda ledger, n=oldest: sequencing.declare(ledger, n))
        for boot, count in got.counts:
            self._change(got.recording, boot, lambda ledger, n=count: sequencing.finish(ledger, n))
        if got.previous_boot is not None and got.previous_count is not None:
            count = got.previous_count
            self._change(got.recording, got.previous_boot, lambda ledger: sequencing.finish(ledger, count))

    def _change(self, recording: bytes | None, boot: int, change: object) -> None:
        assert recording is not None
        assert callable(change)
        self.ledgers[recording, boot] = change(self.ledgers.get((recording, boot), Ledger()))

    def acknowledgements(self) -> list[bytes]:
        acks = [
            Ack(recording, boot, sequencing.next_sample(ledger), sequencing.wanted(ledger))
            for (recording, boot), ledger in self.ledgers.items()
        ]
        return [control.encode_ack(ack) for ack in [*acks, Ack(None, 0, 0, events=tuple(self.events)[-256:])]]


def test_packets_of_one_second_follow_each_other() -> None:
    device = recording_holter()
    sent = packets(run(device, START_S, START_S + 5))
    assert [(p.first_sample, p.samples.shape[1]) for p in sent] == [(i * FS_HZ, FS_HZ) for i in range(5)]


def test_nothing_is_forgotten_before_it_is_acknowledged() -> None:
    device = recording_holter()
    run(device, START_S, START_S + 8)
    device.on_message("ack", control.encode_ack(Ack(RECORDING, 1, 3 * FS_HZ + 10)), START_S + 8)
    assert device.buffer.held_samples == 5 * FS_HZ


def test_an_acknowledgement_of_what_was_never_produced_is_not_believed() -> None:
    device = recording_holter()
    run(device, START_S, START_S + 3)
    device.on_message("ack", control.encode_ack(Ack(RECORDING, 1, 10**6)), START_S + 3)
    assert device.buffer.held_samples == 3 * FS_HZ


def test_unacknowledged_packets_are_sent_again() -> None:
    device = recording_holter()
    first = run(device, START_S, START_S + 1.5)
    again = [p for p in packets(run(device, START_S + 1.5, START_S + 15)) if p.first_sample == 0]
    assert len(packets(first)) == len(again) == 1


def test_a_wanted_range_is_sent_again_before_its_time() -> None:
    device = recording_holter()
    run(device, START_S, START_S + 6)
    ack = control.encode_ack(Ack(RECORDING, 1, FS_HZ, ((FS_HZ, FS_HZ + 1),)))
    run(device, START_S + 6, START_S + 7)
    sent = packets(device.on_message("ack", ack, START_S + 7))
    assert [p.first_sample for p in sent] == [FS_HZ]


def test_live_goes_before_backlog() -> None:
    device = recording_holter()
    device.disconnected(START_S)
    device.tick(START_S + 60)
    device.connected(START_S + 60.5)
    sent = packets(device.tick(START_S + 61))
    assert sent[0].first_sample == 60 * FS_HZ
    assert [p.first_sample for p in sent[1:]] == [i * FS_HZ for i in range(len(sent) - 1)]
    assert 1 < len(sent) <= 1 + 50


def test_slow_down_holds_backlog_but_not_live() -> None:
    device = recording_holter()
    device.disconnected(START_S)
    device.tick(START_S + 60)
    device.connected(START_S + 60)
    device.on_message("cmd", command("slow-down", START_S + 60, seconds=5.0), START_S + 60)
    firsts = [p.first_sample for p in packets(run(device, START_S + 60, START_S + 64))]
    assert firsts == [i * FS_HZ for i in range(60, 64)]


def test_watch_shortens_packets_for_its_time_only() -> None:
    device = recording_holter()
    device.on_message("cmd", command("watch", START_S, packet_ms=200, seconds=3.0), START_S)
    lengths = [p.samples.shape[1] for p in packets(run(device, START_S, START_S + 6))]
    assert lengths[:14] == [10] * 14
    assert lengths[-2:] == [50, 50]


def test_ask_sends_held_ranges_again() -> None:
    device = recording_holter()
    run(device, START_S, START_S + 5)
    asked = command("ask", START_S + 5, recording=RECORDING, boot=1, ranges=((60, 110),))
    published = device.on_message("cmd", asked, START_S + 5) + run(device, START_S + 5, START_S + 5.5)
    assert [p.first_sample for p in packets(published)] == [50, 100]


def test_a_repeated_command_is_obeyed_once_and_answered_alike() -> None:
    device = holter()
    device.connected(START_S)
    answers = [events(device.on_message("cmd", start(START_S), START_S + i)) for i in range(2)]
    assert [[(e.id, e.detail) for e in a if e.kind == "command"] for a in answers] == [[("1.3", "done")]] * 2


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (
            control.encode_command(Command("c", "start", START_S - 1, RECORDING, None, FS_HZ, LEADS)),
            "expired",
        ),
        (control.encode_command(Command("c", "stop", START_S + 9, RECORDING)), "refused"),
    ],
)
def test_a_command_that_can_not_be_obeyed_is_answered_so(payload: bytes, detail: str) -> None:
    device = holter()
    device.connected(START_S)
    (answer,) = events(device.on_message("cmd", payload, START_S))
    assert answer.detail.split(":")[0] == detail
    assert device.recording is None


def test_a_wrong_clock_does_not_expire_a_fresh_command() -> None:
    device = recording_holter(DeviceClock(error_s=7200.0, since_s=START_S))
    assert device.recording == RECORDING


@pytest.mark.parametrize("payload", [b"", b"\xa0", b"noise"])
def test_noise_from_the_hub_changes_nothing(payload: bytes) -> None:
    device = recording_holter()
    assert device.on_message("ack", payload, START_S) == device.on_message("cmd", payload, START_S) == []


def test_end_comes_after_the_backlog_and_until_it_is_committed() -> None:
    device = recording_holter()
    device.disconnected(START_S)
    device.tick(START_S + 100)
    device.connected(START_S + 100)
    stopped = device.on_message("cmd", command("stop", START_S + 100, recording=RECORDING), START_S + 100)
    published = stopped + run(device, START_S + 100, START_S + 104)
    place = next(
        i for i, p in enumerate(published) if p.topic_kind == "event" and events([p])[0].kind == "end"
    )
    assert len(packets(published[:place])) == len(packets(published)) == 100
    (end,) = events([published[place]])
    assert end.counts == ((1, 100 * FS_HZ),)
    again = events(run(device, START_S + 104, START_S + 150))
    assert end.id in [e.id for e in again]
    device.on_message("ack", control.encode_ack(Ack(None, 0, 0, events=(end.id,))), START_S + 150)
    assert end.id not in [e.id for e in events(run(device, START_S + 150, START_S + 1200, 1.0))]


def test_a_full_buffer_gives_up_the_oldest_and_says_so() -> None:
    device = recording_holter(buffer_s=10.0)
    device.disconnected(START_S)
    device.tick(START_S + 30)
    device.connected(START_S + 30)
    sent = packets(device.tick(START_S + 31))
    assert {p.oldest for p in sent} == {21 * FS_HZ}
    assert device.truth() == {(RECORDING, 1): (31 * FS_HZ, 21 * FS_HZ)}


def test_an_electrode_that_falls_off_marks_the_samples_from_then_on() -> None:
    device = recording_holter()
    published = run(device, START_S, START_S + 1.5) + device.set_electrodes_off(START_S + 1.5, 2)
    published += run(device, START_S + 1.5, START_S + 3)
    masks = {p.first_sample: p.electrodes_off for p in packets(published)}
    assert masks[0] == masks[50] == 0
    assert masks[75] == 2
    assert [(e.kind, e.sample) for e in events(published) if e.kind == "lead-off"] == [("lead-off", 75)]


def test_button_and_sos_carry_sample_and_place() -> None:
    device = recording_holter()
    run(device, START_S, START_S + 2)
    (button,) = [e for e in events(device.press_button(START_S + 2.5)) if e.kind == "button"]
    (sos,) = [e for e in events(device.press_sos(START_S + 3, 30.5, 104.0)) if e.kind == "sos"]
    assert button.sample == 125
    assert (sos.latitude_deg, sos.longitude_deg) == (30.5, 104.0)


def test_the_will_has_no_time_of_sending() -> None:
    will = events([recording_holter().will(START_S)])[0]
    assert (will.kind, will.sent_time_s) == ("offline", None)


def test_a_clock_that_is_wrong_and_drifts_shows_in_the_packets() -> None:
    device = recording_holter(DeviceClock(error_s=-300.0, drift_ppm=50.0, since_s=START_S))
    sent = packets(run(device, START_S, START_S + 4000, 1.0))
    assert abs(sent[0].device_time_s - (START_S - 300)) < 1e-3
    assert len(sent) >= 4000  # 50 ppm fast: a fifth of a second gained, none lost


steps = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.floats(0.1, 25.0)),
        st.tuples(st.sampled_from(["down", "up", "reboot", "lose-buffer", "button", "watch"]), st.just(0.0)),
        st.tuples(st.just("electrodes"), st.sampled_from([0.0, 1.0, 3.0])),
    ),
    max_size=14,
)


def act(device: Holter, step: str, value: float, now_s: float) -> list[Publish]:
    match step:
        case "down":
            return device.disconnected(now_s)
        case "up":
            return [] if device.is_connected else device.connected(now_s)
        case "reboot" | "lose-buffer":
            return device.reboot(now_s, "buffer" if step == "lose-buffer" else "nothing")
        case "button":
            return device.press_button(now_s)
        case "watch":
            return device.on_message("cmd", command("watch", now_s, packet_ms=200, seconds=5.0), now_s)
        case _:
            return device.set_electrodes_off(now_s, int(value))


def carry(hub: Hub, published: list[Publish], loss: float, rng: Random) -> None:
    """A line that loses, repeats and reorders what it carries."""
    carried = [p for p in published for _ in range(rng.choice([1, 1, 2])) if rng.random() >= loss]
    rng.shuffle(carried)
    for one in carried:
        hub.receive(one)


def answer(device: Holter, hub: Hub, loss: float, rng: Random, now_s: float) -> None:
    for ack in hub.acknowledgements():
        if device.is_connected and rng.random() >= loss:
            carry(hub, device.on_message("ack", ack, now_s), loss, rng)


@settings(max_examples=60)
@given(steps, st.floats(0, 0.7), st.floats(4.0, 60.0), st.integers(0, 2**32))
def test_every_sample_is_stored_or_declared_lost(
    schedule: list[tuple[str, float]], loss: float, buffer_s: float, seed: int
) -> None:
    rng, hub, now_s = Random(seed), Hub(), START_S
    device = recording_holter(DeviceClock(rng.uniform(-9, 9), rng.uniform(-80, 80), START_S), buffer_s)
    for step, value in [*schedule, ("up", 0.0)]:
        if step != "run":
            carry(hub, act(device, step, value, now_s), loss, rng)
        for _ in range(int(value) if step == "run" else 0):
            now_s += 1.0
            carry(hub, device.tick(now_s), loss, rng)
            answer(device, hub, loss, rng, now_s)
    carry(hub, device.on_message("cmd", command("stop", now_s, recording=RECORDING), now_s), 0.0, rng)
    while not (device.is_drained(RECORDING) and "end" in {e.kind for e in hub.events.values()}):
        now_s += 2.0
        assert now_s < START_S + 2000
        carry(hub, device.tick(now_s), 0.0, rng)
        answer(device, hub, 0.0, rng, now_s)
    truth = device.truth()
    assert {key: sequencing.produced(ledger) for key, ledger in hub.ledgers.items()} == {
        key: produced for key, (produced, _) in truth.items()
    }
    assert all(sequencing.settled(ledger) for ledger in hub.ledgers.values())
    for key, ledger in hub.ledgers.items():
        # What was given up because its acknowledgement was lost may be stored all the same.
        assert sequencing.total(sequencing.gaps(ledger)) <= truth[key][1]


def test_a_lost_buffer_is_declared_by_an_event_as_no_packet_can() -> None:
    device = recording_holter()
    device.disconnected(START_S)
    device.tick(START_S + 20)
    device.reboot(START_S + 20, "buffer")
    told = {e.kind: e for e in events(device.connected(START_S + 25))}
    assert told["discard"].oldest == ((1, 20 * FS_HZ),)
    assert (told["boot"].previous_boot, told["boot"].previous_count) == (1, 20 * FS_HZ)


def test_a_lost_count_is_said_to_be_unknown_and_is_not_in_end() -> None:
    device = recording_holter()
    run(device, START_S, START_S + 20)
    device.reboot(START_S + 20, "count")
    told = {e.kind: e for e in events(device.connected(START_S + 25))}
    assert (told["boot"].previous_boot, told["boot"].previous_count) == (1, None)
    published = device.on_message("cmd", command("stop", START_S + 30, recording=RECORDING), START_S + 30)
    (end,) = [e for e in events(published + run(device, START_S + 30, START_S + 32)) if e.kind == "end"]
    assert end.counts == ((2, 5 * 2 * FS_HZ),)


def test_after_a_reboot_the_recording_goes_on_from_index_zero_with_the_signal_of_its_time() -> None:
    device = recording_holter()
    run(device, START_S, START_S + 4)
    device.reboot(START_S + 10)
    device.connected(START_S + 10)
    first = packets(run(device, START_S + 10, START_S + 12))[0]
    assert (first.recording, first.boot, first.first_sample) == (RECORDING, 2, 0)
    assert first.samples[0, 0] == 10 * FS_HZ


def test_two_recordings_are_kept_apart() -> None:
    device = recording_holter()
    run(device, START_S, START_S + 4)
    device.on_message("cmd", command("stop", START_S + 4, recording=RECORDING), START_S + 4)
    device.on_message("cmd", start(START_S + 5, bytes([9]) * 16), START_S + 5)
    run(device, START_S + 5, START_S + 8)
    assert {key[0]: made for key, (made, _) in device.truth().items()} == {
        RECORDING: 4 * FS_HZ,
        bytes([9]) * 16: 3 * FS_HZ,
    }


def test_a_restarted_simulation_goes_on_with_the_recording_in_a_new_boot() -> None:
    device = Holter("h-1", signal, FS_HZ, LEADS, 2.5, rng=Random(1), boot=7)
    device.resume(RECORDING, START_S)
    (boot,) = [e for e in events(device.connected(START_S)) if e.kind == "boot"]
    (sent,) = packets(run(device, START_S, START_S + 1.5))
    assert (boot.recording, boot.boot, boot.previous_count) == (RECORDING, 7, None)
    assert (sent.recording, sent.boot, sent.first_sample) == (RECORDING, 7, 0)


def test_a_device_asked_for_another_rate_records_as_it_can() -> None:
    device = holter()
    device.connected(START_S)
    device.on_message(
        "cmd",
        control.encode_command(Command("c", "start", START_S + 9, RECORDING, None, 500, LEADS)),
        START_S,
    )
    sent = packets(device.tick(START_S + 2))
    assert {packet.fs_hz for packet in sent} == {FS_HZ}
