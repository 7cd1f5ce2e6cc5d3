"""Never silence: whatever disturbs the signal, a rhythm that has stopped or gone wrong is told within seconds."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from ecg import episodes
from ecg.fusion import GOOD, NOISY, OFF, UNREADABLE
from ecg.stream import new_state, step
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.strips import LEADS, UV_PER_LSB, batch, feed

FS_HZ, BEFORE_S, AFTER_S, DEVICES = 250, 30, 30, 6
BOUND_S = 12.0  # 8 s without a certain beat, and what a disturbance that resembles the beats may add
Noise = Callable[[np.random.Generator], NDArray[np.float64]]
SHAPE = (3, AFTER_S * FS_HZ)


def white(rms_uv: float) -> Noise:
    return lambda rng: rng.normal(0, rms_uv, SHAPE)


def band(low_hz: float, high_hz: float, rms_uv: float) -> Noise:
    """Muscle, or an electrode that moves."""

    def made(rng: np.random.Generator) -> NDArray[np.float64]:
        sos = butter(2, [low_hz, high_hz], "band", fs=FS_HZ, output="sos")
        noise = sosfilt(sos, rng.normal(0, 1, (3, SHAPE[1] + 1000)))[:, 1000:]
        return np.asarray(noise / noise.std() * rms_uv)

    return made


def told_at(
    rhythm: Segment, noise: Noise, leads: int, mark: Callable[[str, str | None], bool]
) -> NDArray[np.float64]:
    """[device] the longest time in seconds without an alarm for which `mark(rule, priority)` holds, since the heart of
    each device went from sinus rhythm to `rhythm` and the noise began.
    """
    rows = []
    for seed in range(DEVICES):
        heart = Synthesiser(seed + 1, FS_HZ, LEADS[:leads], (Segment("sinus", BEFORE_S, 70), rhythm))
        row = heart.samples(0, (BEFORE_S + AFTER_S) * FS_HZ).astype(np.float64)
        row[:, BEFORE_S * FS_HZ :] += noise(np.random.default_rng(seed))[:leads] / UV_PER_LSB
        rows.append(np.clip(np.rint(row), -32000, 32000).astype(np.int16))
    samples = np.stack(rows)
    states = [new_state(FS_HZ, LEADS[:leads])] * DEVICES
    running: list[set[tuple[str, int]]] = [set() for _ in rows]
    last, longest = np.full(DEVICES, float(BEFORE_S)), np.zeros(DEVICES)
    for first in range(0, samples.shape[2], FS_HZ // 2):
        piece = samples[:, :, first : first + FS_HZ // 2]
        states, outcomes = step(states, batch(FS_HZ, LEADS[:leads], piece, first))
        now_s = first / FS_HZ + 0.5
        for k, outcome in enumerate(outcomes):
            for f in outcome.findings:
                running[k].discard(f.key)
                if f.phase == "onset" and mark(f.rule, f.priority):
                    running[k].add(f.key)
            if running[k] or now_s <= BEFORE_S:
                last[k] = now_s
            longest[k] = max(longest[k], now_s - last[k])
    return longest


NOISES = {
    "white": white(250), "muscle": band(5, 30, 200), "strong muscle": band(5, 30, 300),
}  # fmt: skip


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize(
    "rhythm", [Segment("asystole", AFTER_S), Segment("vt", AFTER_S, 150)], ids=["asystole", "vt"]
)
@pytest.mark.parametrize("leads", [1, 2])
def test_no_noise_hides_a_heart_that_stopped_or_races(name: str, rhythm: Segment, leads: int) -> None:
    longest = told_at(rhythm, NOISES[name], leads, lambda rule, priority: priority is not None)
    assert longest.max() <= BOUND_S and np.median(longest) <= 9.0


def test_fast_beats_of_the_ventricles_in_noise_are_an_alarm_about_the_rhythm() -> None:
    """Where they can still be told from noise, a technical alarm is not enough."""
    told = told_at(
        Segment("vt", AFTER_S, 180), white(160), 3, lambda rule, _: rule.startswith("ventricular-")
    )
    assert np.median(told) <= 10.0


def test_beats_that_show_in_noise_raise_no_technical_alarm() -> None:
    """A patient who moves: what resembles the beats before is certain."""
    heart = Synthesiser(
        3, FS_HZ, LEADS[:2], (Segment("sinus", 30, 75), Segment("sinus", 60, 75, noise_uv=200))
    )
    samples = np.stack([heart.samples(0, 90 * FS_HZ)])
    (answer,) = feed(samples)
    assert NOISY in {min(row) for row in answer.quality} and len(answer.beats) >= 105
    assert not answer.ended("unreadable-signal") and not answer.ended("asystole")


def hops(tracker: episodes.Tracker, codes: list[int], doubted_every: int) -> dict[str, float]:
    """Rule -> seconds until it was told, while the leads have these qualities in turn and doubtful summits come."""
    told: dict[str, float] = {}
    for hop in range(80):
        start, now = hop * 125, hop * 125 + 125
        if hop % doubted_every == 0:
            episodes.on_doubt(tracker, start)
        for f in episodes.on_hop(tracker, start, now, [codes[hop % len(codes)]]):
            told.setdefault(f.rule, now / FS_HZ)
    return told


@pytest.mark.parametrize("doubted_every", [3, 5, 7, 100])
@pytest.mark.parametrize(
    "codes", [[NOISY], [NOISY, UNREADABLE], [UNREADABLE] * 5 + [NOISY], [GOOD, UNREADABLE]]
)
def test_neither_doubtful_summits_nor_changing_quality_hold_an_alarm_back(
    codes: list[int], doubted_every: int
) -> None:
    told = hops(episodes.Tracker(FS_HZ, LEADS[:1]), codes, doubted_every)
    assert (
        min(told["unreadable-signal"] if "unreadable-signal" in told else 99.0, told.get("asystole", 99.0))
        <= 8.0
    )


def test_summits_that_come_like_a_tachycardia_are_believed_others_are_not() -> None:
    tracker = episodes.Tracker(FS_HZ, LEADS[:1])
    assert [episodes.on_doubt(tracker, 100 * k) for k in range(8)] == [False] * 6 + [True] * 2
    rng = np.random.default_rng(1)
    at = np.cumsum(rng.uniform(0.25, 1.2, 200) * FS_HZ).astype(int).tolist()
    tracker = episodes.Tracker(FS_HZ, LEADS[:1])
    assert sum(episodes.on_doubt(tracker, sample) for sample in at) <= 6


def test_without_an_electrode_there_is_no_doubt() -> None:
    told = hops(episodes.Tracker(FS_HZ, LEADS[:1]), [OFF], 100)
    assert set(told) == {"electrode-off"}


def ectopic(
    seed: int, rhythm: Segment, hidden: int | None, leads: tuple[str, ...]
) -> tuple[float, list[str]]:
    """Share of the ventricular beats that are told, and alarms, where one lead hardly shows them (a tenth)."""
    heart = Synthesiser(seed, FS_HZ, leads, (Segment("sinus", 25, 75), rhythm, Segment("sinus", 10, 75)))
    count = (35 + round(rhythm.length_s)) * FS_HZ
    row = heart.samples(0, count).astype(np.float64)
    at, kinds = heart.beats(0, count)
    own = [int(sample) for sample, kind in zip(at, kinds, strict=True) if kind == "V"]
    if hidden is not None:
        level = np.convolve(row[hidden], np.ones(FS_HZ // 2) / (FS_HZ // 2), "same")
        share = np.ones(count)
        for sample in own:
            share[sample - 40 : sample + 110] = 0.1
        row[hidden] = level + (row[hidden] - level) * share
    _, (outcome,) = step(
        [new_state(FS_HZ, leads)], batch(FS_HZ, leads, np.rint(row).astype(np.int16)[None], 0)
    )
    beats = outcome.beats
    found = sum(bool(np.abs(beats - sample).min() <= 0.15 * FS_HZ) for sample in own)
    return found / len(own), [f.rule for f in outcome.findings if f.priority is not None]


@pytest.mark.parametrize("lead", LEADS)
def test_early_beats_of_the_ventricles_are_seen_on_a_single_clean_lead(lead: str) -> None:
    """Even where they are a fifth as steep as the beats around them: the rest is clean, and a pause follows."""
    shares = [ectopic(seed, Segment("pvc", 90, 75), None, (lead,))[0] for seed in (1, 2, 3)]
    assert np.mean(shares) >= 0.9


@pytest.mark.parametrize("hidden", [0, 1])
def test_an_early_beat_that_one_of_two_leads_hardly_shows_is_told(hidden: int) -> None:
    shares = [ectopic(seed, Segment("pvc", 90, 75), hidden, LEADS[:2])[0] for seed in (1, 2, 3)]
    assert np.mean(shares) >= 0.9


def test_a_tachycardia_that_one_of_two_leads_hardly_shows_is_an_alarm() -> None:
    alarms = [ectopic(seed, Segment("vt", 10, 160), 0, LEADS[:2])[1] for seed in (1, 2, 3)]
    assert all("ventricular-run" in rules for rules in alarms)
