"""Laws of the stream: no cut, no companion, no signal and no restart from bytes may change or break anything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ecg import snapshot, stream
from ecg.decision import Mind
from ecg.stream import Outcome, State, finish, new_state, step, step_in_place
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.strips import LEADS, batch, feed, told

RATES = (50, 128, 250, 360)


def heart(seed: int, fs_hz: int, seconds: int, leads: int) -> NDArray[np.int16]:
    script = (Segment("pvc", 9, 110), Segment("vt", 3, 180), Segment("asystole", 6), Segment("af", 20, 90))
    return Synthesiser(seed, fs_hz, LEADS[:leads], script).samples(0, seconds * fs_hz)


@st.composite
def signals(draw: st.DrawFn, fs_hz: int, leads: int, seconds: int) -> NDArray[np.int16]:
    """A heart, into which noise, rails, flat stretches, steps and spikes are thrown."""
    samples = heart(draw(st.integers(0, 50)), fs_hz, seconds, leads)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    for spoil in draw(st.lists(st.sampled_from(["noise", "rail", "flat", "step", "spike"]), max_size=4)):
        a = int(rng.integers(0, samples.shape[1]))
        b = min(samples.shape[1], a + int(rng.integers(1, 5 * fs_hz)))
        match spoil:
            case "noise":
                samples[:, a:b] = rng.integers(-32768, 32768, (leads, b - a))
            case "rail":
                samples[:, a:b] = 32767
            case "flat":
                samples[:, a:b] = 17
            case "step":
                samples[:, a:] = np.clip(samples[:, a:].astype(int) + 20000, -32768, 32767)
            case "spike":
                samples[:, a] = 30000
    return samples


@st.composite
def devices(draw: st.DrawFn) -> tuple[int, NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
    fs_hz, leads, seconds = draw(st.sampled_from(RATES)), draw(st.integers(1, 3)), draw(st.integers(1, 25))
    count = draw(st.integers(1, 3))
    samples = np.stack([draw(signals(fs_hz, leads, seconds)) for _ in range(count)])
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    masks = np.ones((2, *samples.shape), bool)
    for mask in masks:
        a, lead = int(rng.integers(0, samples.shape[2])), int(rng.integers(0, leads))
        if rng.random() < 0.5:
            mask[int(rng.integers(0, count)), lead, a : a + 3 * fs_hz] = False
    return fs_hz, samples, masks[0], masks[1]


@settings(max_examples=25, deadline=None)
@given(devices(), st.data())
def test_cuts_companions_and_saved_states_change_nothing(
    given_devices: tuple[int, NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]], data: st.DataObject
) -> None:
    fs_hz, samples, on, valid = given_devices
    cuts = data.draw(st.lists(st.integers(1, samples.shape[2]), max_size=12))
    saved, in_place = data.draw(st.booleans()), data.draw(st.booleans())
    together = feed(samples, fs_hz, cuts, on, valid, saved=saved, in_place=in_place)
    for k in range(len(samples)):
        (alone,) = feed(samples[k : k + 1], fs_hz, (), on[k : k + 1], valid[k : k + 1])
        assert together[k] == alone


@pytest.mark.parametrize("part", ["decide", "_look"])
def test_a_device_whose_analysis_fails_spoils_no_other(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it fails in what is done for all together, or alone."""
    samples = np.stack([heart(seed, 250, 12, 2) for seed in range(5)])
    whole = feed(samples, cuts=range(0, 3000, 250), in_place=True)
    states, outcomes = [new_state(250, LEADS[:2]) for _ in samples], [list[Outcome]() for _ in samples]
    real = getattr(stream, part)

    def failing(first: Mind | list[State], *rest: object) -> object:
        trackers = [first.tracker] if isinstance(first, Mind) else [one.tracker for one in first]
        if any(tracker.paced for tracker in trackers):  # a mark that no signal has
            raise RuntimeError
        return real(first, *rest)

    monkeypatch.setattr(stream, part, failing)
    failed = set[int]()
    for a in range(0, samples.shape[2], 250):
        together = batch(250, LEADS[:2], samples[:, :, a : a + 250], a)
        together.paced[2] = True
        for k, result in enumerate(step_in_place(states, together)):
            if isinstance(result, Exception):
                failed.add(k)
                states[k] = new_state(250, LEADS[:2])
                continue
            states[k], outcome = result
            outcomes[k].append(outcome)
    assert failed == {2}
    for k in (0, 1, 3, 4):
        assert told([*outcomes[k], finish(states[k])]) == whole[k]


@settings(max_examples=25, deadline=None)
@given(devices())
def test_any_signal_gives_an_answer_and_never_a_flood_of_beats(
    given_devices: tuple[int, NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]],
) -> None:
    fs_hz, samples, on, valid = given_devices
    for answer in feed(samples, fs_hz, (), on, valid):
        beats = np.array(answer.beats)
        assert (np.diff(beats) >= 0.1 * fs_hz).all()
        assert len(beats) <= 5.2 * samples.shape[2] / fs_hz + 1
        assert ((beats >= 0) & (beats < samples.shape[2])).all()
        assert len(answer.kinds) == len(beats) and set(answer.kinds) <= set(b"NVQ")


@settings(max_examples=15, deadline=None)
@given(devices())
def test_every_episode_begins_once_and_ends_once(
    given_devices: tuple[int, NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]],
) -> None:
    fs_hz, samples, on, valid = given_devices
    for answer in feed(samples, fs_hz, range(0, samples.shape[2], fs_hz), on, valid):
        running: set[tuple[str, int]] = set()
        for finding in answer.findings:
            if finding.phase == "onset":
                running.add(finding.key)
            else:
                running.remove(finding.key)
                assert finding.offset_sample is not None and finding.offset_sample >= finding.onset_sample
        assert not running


def test_devices_of_different_phase_share_a_batch() -> None:
    samples = np.stack([heart(seed, 250, 30, 2) for seed in (1, 2)])
    early, _ = step([new_state(250, LEADS[:2])], batch(250, LEADS[:2], samples[:1, :, :130], 0))
    late = new_state(250, LEADS[:2])
    shifted = np.stack([samples[0, :, 130:], samples[1, :, :-130]])
    both = batch(250, LEADS[:2], shifted, 0)
    both.first_sample[0] = 130
    states, outcomes = step([early[0], late], both)
    (alone,) = feed(samples[:1])
    assert [*outcomes[0].beats, *finish(states[0]).beats] == alone.beats


@settings(max_examples=15, deadline=None)
@given(seconds=st.integers(1, 40), size=st.sampled_from([50, 250, 500]))
def test_devices_that_began_whole_seconds_apart_share_a_batch(seconds: int, size: int) -> None:
    """Their half seconds fall together, but each has its own line of samples."""
    late_by = seconds * 250
    first = heart(1, 250, 60, 2)
    second = heart(2, 250, 60 - seconds, 2)
    early, begun = step([new_state(250, LEADS[:2])], batch(250, LEADS[:2], first[None, :, :late_by], 0))
    states, beats = [early[0], new_state(250, LEADS[:2])], [begun[0].beats.tolist(), list[int]()]
    for a in range(0, second.shape[1], size):
        both = batch(
            250, LEADS[:2], np.stack([first[:, late_by + a :][:, :size], second[:, a : a + size]]), 0
        )
        both.first_sample[:] = (late_by + a, a)
        states, outcomes = step(states, both)
        for own, outcome in zip(beats, outcomes, strict=True):
            own += outcome.beats.tolist()
    for own, state, samples in zip(beats, states, (first, second), strict=True):
        (alone,) = feed(samples[None])
        assert [*own, *finish(state).beats] == alone.beats


@pytest.mark.parametrize("fs_hz", [50, 100, 125, 128, 200, 250, 257, 360, 500, 1000, 2000])
def test_one_set_of_parameters_serves_every_rate(fs_hz: int) -> None:
    source = Synthesiser(7, fs_hz, LEADS, (Segment("sinus", 40, 75), Segment("pvc", 20, 75)))
    (answer,) = feed(source.samples(0, 60 * fs_hz)[None], fs_hz)
    true, _ = source.beats(0, 60 * fs_hz)
    apart = [min(abs(int(t) - b) for b in answer.beats) / fs_hz for t in true]
    assert sum(a > 0.03 for a in apart) <= 1 and len(answer.beats) <= len(true) + 1


def test_what_a_device_remembers_holds_nothing_of_its_companions() -> None:
    rng = np.random.default_rng(4)
    samples = np.stack([heart(seed, 250, 20, 2) for seed in range(6)])
    samples[:, 0] += rng.normal(0, 40, samples[:, 0].shape).astype(np.int16)
    states, summits = [new_state(250, LEADS[:2]) for _ in samples], []
    for a in range(0, samples.shape[2], 250):
        results = step_in_place(states, batch(250, LEADS[:2], samples[:, :, a : a + 250], a))
        states = [result[0] for result in results if not isinstance(result, Exception)]
        summits += [c for s in states for c in (*s.detector.spares, *s.detector.partials)]
    assert len(summits) > 3 and all(c.shifted.base is None and c.shape.base is None for c in summits)
    alone = stream.detached(states[0])
    arrays = {name: getattr(alone, name) for name in snapshot.ARRAYS}
    assert all(array.base is None for array in arrays.values())
    assert snapshot.pack(alone) == snapshot.pack(states[0])


def test_beats_are_told_within_a_second() -> None:
    samples = heart(3, 250, 9, 3)
    state, worst = new_state(250, LEADS), 0
    for a in range(0, samples.shape[1], 25):
        (state,), (outcome,) = step([state], batch(250, LEADS, samples[None, :, a : a + 25], a))
        if a > 3 * 250 and len(outcome.beats):
            worst = max(worst, a + 25 - int(outcome.beats[0]))
    assert 0 < worst <= 250


@pytest.mark.parametrize("spoil", ["burst", "step", "thousandfold", "flat"])
def test_a_disturbance_leaves_distant_beats_alone(spoil: str) -> None:
    clean = Synthesiser(5, 250, LEADS[:2], (Segment("pvc", 120, 75),)).samples(0, 120 * 250)
    spoilt, a, b = clean.astype(np.int64), 50 * 250, 55 * 250
    match spoil:
        case "burst":
            spoilt[:, a:b] += (4000 * np.sign(np.sin(np.arange(b - a) * 0.9))).astype(np.int64)
        case "step":
            spoilt[:, a:] -= 30000
        case "thousandfold":
            spoilt[:, a:b] *= 1000
        case "flat":
            spoilt[:, a:b] = 0
    answers = feed(np.stack([clean, np.clip(spoilt, -32768, 32767).astype(np.int16)]))
    far = [[s for s in answer.beats if s < a - 750 or s > b + 750] for answer in answers]
    assert len(far[0]) == len(far[1])
    assert max(abs(x - y) for x, y in zip(*far, strict=True)) <= 0.1 * 250  # R may be taken from another lead


def test_polarity_does_not_matter() -> None:
    clean = Synthesiser(5, 250, LEADS[:2], (Segment("pvc", 60, 75),)).samples(0, 60 * 250)
    upright, inverted = feed(np.stack([clean, -clean]))
    assert upright.beats == inverted.beats and upright.kinds == inverted.kinds


def test_white_noise_is_unreadable_within_5_s_and_gives_no_beats_then() -> None:
    noise = np.random.default_rng(1).normal(0, 60, (4, 2, 60 * 250)).astype(np.int16)
    for answer in feed(noise):
        (technical,) = answer.ended("unreadable-signal")
        assert technical.onset_sample <= 5 * 250 and all(beat <= 5 * 250 for beat in answer.beats)


@pytest.mark.parametrize("share", [0.15, 0.2, 0.4, 2.0])
def test_white_noise_after_tall_beats_is_unreadable_though_smaller_than_they_were(share: float) -> None:
    """Its standard deviation as a share of the beats' height: the memory of how tall they were is no excuse."""
    clean = heart(5, 250, 40, 2)
    height = np.ptp(clean[:, 10 * 250 :], axis=1, keepdims=True)
    noise = np.random.default_rng(2).normal(0, share * height, (2, 60 * 250))
    (answer,) = feed(np.concatenate([clean, noise.astype(np.int16)], axis=1)[None])
    (technical,) = answer.ended("unreadable-signal")
    assert technical.onset_sample <= 50 * 250
    assert all(beat <= 50 * 250 for beat in answer.beats)


def test_a_gap_needs_a_new_state() -> None:
    samples = heart(1, 250, 4, 1)[None]
    (state,), _ = step([new_state(250, LEADS[:1])], batch(250, LEADS[:1], samples, 1000))
    with pytest.raises(ValueError, match="does not continue"):
        step([state], batch(250, LEADS[:1], samples, 2001))


@given(st.binary(max_size=60))
def test_foreign_bytes_are_not_a_state(data: bytes) -> None:
    for bytes_given in (data, b"ECGS\x01\x00" + data):
        with pytest.raises(ValueError):
            snapshot.unpack(bytes_given)
