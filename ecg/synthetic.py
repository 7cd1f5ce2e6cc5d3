"""A seeded heart and recorder: ECG whose true beats are known, for the simulator, the demo and the tests.

Each beat is a sum of Gaussian waves, each with a direction in the body (a small dipole model after McSharry et al.
2003); leads are projections of it. A script of segments says what the heart does; it repeats for ever. Any window
can be asked for, in any order and any cut, and is always the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Segment:
    """`rhythm` is a row of RHYTHMS; pause_s lengthens the middle interval; off names leads without contact."""

    rhythm: str = "sinus"
    length_s: float = 60.0
    rate_bpm: float = 70.0
    pause_s: float = 0.0
    noise_uv: float = 8.0
    wander_uv: float = 60.0
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rhythm:
    """How intervals vary (share of the mean) and which beats come: chance of V, P waves, fibrillation."""

    spread: float
    sways: float  # respiratory share
    ventricular: float  # chance that a beat is ventricular
    p_wave: bool
    atrial_uv: float = 0.0  # fibrillatory waves of the atria
    fibrillation_uv: float = 0.0  # of the ventricles
    beats: bool = True


RHYTHMS: Mapping[str, Rhythm] = {
    "sinus": Rhythm(0.015, 0.03, 0.0, True),
    "af": Rhythm(0.22, 0.0, 0.0, False, atrial_uv=25.0),
    "pvc": Rhythm(0.015, 0.03, 0.12, True),
    "vt": Rhythm(0.01, 0.0, 1.0, False),
    "asystole": Rhythm(0.0, 0.0, 0.0, False, beats=False),
    "vf": Rhythm(0.0, 0.0, 0.0, False, fibrillation_uv=450.0, beats=False),
}

# wave: (delay s, width s, direction * size uV: left, down, front); the delay of T stretches with the root of RR
Wave = tuple[float, float, tuple[float, float, float]]
NORMAL_WAVES: tuple[Wave, ...] = (
    (-0.030, 0.009, (-90.0, -40.0, 120.0)),
    (0.000, 0.0105, (800.0, 950.0, 150.0)),
    (0.028, 0.010, (-150.0, -190.0, -420.0)),
)
P_WAVE: Wave = (-0.165, 0.022, (70.0, 120.0, 30.0))
T_WAVE: Wave = (0.280, 0.048, (180.0, 190.0, 120.0))
VENTRICULAR_WAVES: tuple[Wave, ...] = (
    (-0.055, 0.026, (-200.0, 250.0, 250.0)),
    (0.000, 0.034, (-900.0, 700.0, 800.0)),
    (0.075, 0.030, (200.0, -350.0, -250.0)),
)
VENTRICULAR_T: Wave = (0.300, 0.060, (330.0, -260.0, -300.0))

_HALF = 0.866
DIRECTIONS: Mapping[str, tuple[float, float, float]] = {
    "MDC_ECG_LEAD_I": (1.0, 0.0, 0.0),
    "MDC_ECG_LEAD_II": (0.5, _HALF, 0.0),
    "MDC_ECG_LEAD_III": (-0.5, _HALF, 0.0),
    "MDC_ECG_LEAD_AVR": (-0.75, -0.433, 0.0),
    "MDC_ECG_LEAD_AVL": (0.75, -0.433, 0.0),
    "MDC_ECG_LEAD_AVF": (0.0, _HALF, 0.0),
    "MDC_ECG_LEAD_V1": (-0.45, 0.1, 0.9),
    "MDC_ECG_LEAD_V2": (-0.1, 0.1, 1.3),
    "MDC_ECG_LEAD_V3": (0.4, 0.2, 1.2),
    "MDC_ECG_LEAD_V4": (0.8, 0.3, 0.8),
    "MDC_ECG_LEAD_V5": (1.0, 0.3, 0.3),
    "MDC_ECG_LEAD_V6": (1.0, 0.3, -0.1),
}
OTHER_DIRECTION = (0.7, 0.6, 0.3)
REACH_S = 0.9  # no wave of a beat lies further from it
DAY = (
    Segment("sinus", 180.0), Segment("pvc", 90.0), Segment("sinus", 60.0, 48.0), Segment("af", 120.0, 95.0),
    Segment("sinus", 40.0, pause_s=2.6), Segment("vt", 4.0, 170.0), Segment("sinus", 120.0, 80.0),
    Segment("sinus", 20.0, noise_uv=350.0), Segment("sinus", 90.0, 130.0),
)  # fmt: skip


@dataclass(frozen=True)
class Beats:
    """Seconds from the segment's start, class, interval before."""

    at_s: Real
    kinds: str
    rr_s: Real


class Synthesiser:
    """A heart and a recorder, fixed by their seed; lead order as given. Holds no time: windows may be asked at will."""

    def __init__(
        self,
        seed: int,
        fs_hz: int,
        leads: Sequence[str],
        script: Sequence[Segment] = DAY,
        uv_per_lsb: float = 5.0,
    ) -> None:
        self.seed, self.fs_hz, self.leads = seed, fs_hz, tuple(leads)
        self.script, self.uv_per_lsb = tuple(script), uv_per_lsb
        self._ends_s = np.cumsum([s.length_s for s in self.script])
        self._directions = np.array([DIRECTIONS.get(code, OTHER_DIRECTION) for code in self.leads]).T
        self._second = lru_cache(maxsize=4)(self._make_second)
        self._segment_beats = lru_cache(maxsize=8)(self._make_beats)

    def samples(self, first: int, count: int) -> NDArray[np.int16]:
        """int16 [lead, count], the same whatever window is asked for."""
        seconds = range(first // self.fs_hz, (first + count - 1) // self.fs_hz + 1) if count else range(0)
        if not seconds:
            return np.zeros((len(self.leads), 0), np.int16)
        joined = np.concatenate([self._second(k) for k in seconds], axis=1)
        start = first - seconds[0] * self.fs_hz
        return joined[:, start : start + count].copy()

    def electrodes_on(self, first: int, count: int) -> NDArray[np.bool_]:
        """bool [lead, count]: contact of each lead at each sample."""
        out = np.ones((len(self.leads), count), bool)
        for number, start_s, segment in self._segments(first / self.fs_hz, (first + count) / self.fs_hz):
            del number
            a = max(0, int(np.ceil(start_s * self.fs_hz)) - first)
            b = max(0, int(np.ceil((start_s + segment.length_s) * self.fs_hz)) - first)
            for k, code in enumerate(self.leads):
                if code in segment.off:
                    out[k, a:b] = False
        return out

    def beats(self, first: int, count: int) -> tuple[NDArray[np.int64], str]:
        """True R samples in the window and their classes, N or V."""
        samples, kinds = list[int](), list[str]()
        for number, start_s, _ in self._segments(first / self.fs_hz, (first + count) / self.fs_hz):
            own = self._segment_beats(number)
            for at_s, kind in zip(own.at_s, own.kinds, strict=True):
                sample = round((start_s + float(at_s)) * self.fs_hz)
                if first <= sample < first + count:
                    samples.append(sample)
                    kinds.append(kind)
        return np.array(samples, np.int64), "".join(kinds)

    def _segments(self, from_s: float, to_s: float) -> list[tuple[int, float, Segment]]:
        """(number, start, segment) of those that touch the window; numbers go on through the repeats."""
        cycle_s, many = float(self._ends_s[-1]), len(self.script)
        turn = max(0, int(from_s // cycle_s))
        place = int(np.searchsorted(self._ends_s, from_s - turn * cycle_s, side="right"))
        number, out = turn * many + place, list[tuple[int, float, Segment]]()
        while True:
            turn, place = divmod(number, many)
            segment = self.script[place]
            start_s = turn * cycle_s + float(self._ends_s[place]) - segment.length_s
            if start_s >= to_s:
                return out
            out.append((number, start_s, segment))
            number += 1

    def _make_beats(self, number: int) -> Beats:
        segment = self.script[number % len(self.script)]
        rhythm, rng = RHYTHMS[segment.rhythm], np.random.default_rng([self.seed, 1, number])
        mean_s = 60.0 / segment.rate_bpm
        if not rhythm.beats:
            return Beats(np.zeros(0), "", np.zeros(0))
        free_s = segment.length_s - max(0.0, segment.pause_s - mean_s)
        count = max(1, round(free_s / mean_s))
        rr = 1.0 + rhythm.spread * rng.standard_normal(count)
        rr += rhythm.sways * np.sin(2 * np.pi * 0.25 * mean_s * np.arange(count) + rng.uniform(0, 6.28))
        rr = np.clip(rr, 0.5, 1.9)
        kinds = _kinds(rng, rhythm, count)
        if rhythm.ventricular < 1:
            early = np.array([kind == "V" for kind in kinds])
            rr[early] *= 0.62
            rr[1:][early[:-1]] *= 1.38
        rr *= free_s / rr.sum()
        if segment.pause_s:
            rr[count // 2] = segment.pause_s
        return Beats(np.cumsum(rr) - rr[0] * 0.5, kinds, rr)

    def _make_second(self, second: int) -> NDArray[np.int16]:
        """One whole second: the unit in which everything is made, so that cuts cannot matter."""
        t = (np.arange(self.fs_hz) + second * self.fs_hz) / self.fs_hz
        dipole = np.zeros((self.fs_hz, 3))
        for number, start_s, segment in self._segments(second - REACH_S, second + 1 + REACH_S):
            beats, rhythm = self._segment_beats(number), RHYTHMS[segment.rhythm]
            for at_s, kind, rr_s in zip(beats.at_s, beats.kinds, beats.rr_s, strict=True):
                since = t - (start_s + float(at_s))
                if since[-1] > -REACH_S and since[0] < REACH_S:
                    _add_beat(dipole, since, kind, float(rr_s), rhythm.p_wave)
        return self._recorded(dipole @ self._directions, t, second)

    def _recorded(self, uv: Real, t: Real, second: int) -> NDArray[np.int16]:
        rng = np.random.default_rng([self.seed, 2, second])
        noise = rng.standard_normal(uv.shape)
        shown = np.zeros_like(uv)
        for _, start_s, segment in self._segments(second, second + 1):
            inside = ((t >= start_s) & (t < start_s + segment.length_s))[:, None]
            rhythm, place = RHYTHMS[segment.rhythm], np.arange(len(self.leads)) + self.seed % 7
            wander = segment.wander_uv * np.sin(2 * np.pi * 0.21 * t[:, None] + place)
            atria = rhythm.atrial_uv * np.sin(
                2 * np.pi * 6.3 * t[:, None] + 1.5 * np.sin(4.1 * t[:, None]) + place
            )
            beat = 2 * np.pi * 5.1 * t[:, None] + 2.2 * np.sin(2.9 * t[:, None])
            chaos = rhythm.fibrillation_uv * np.sin(beat + place) * (1 + 0.4 * np.sin(1.7 * t[:, None]))
            here = uv + wander + atria + chaos + segment.noise_uv * noise
            for k, code in enumerate(self.leads):
                if code in segment.off:
                    here[:, k] = 0.0
            shown += inside * here
        return np.clip(np.rint(shown / self.uv_per_lsb), -32000, 32000).astype(np.int16).T.copy()


def _kinds(rng: np.random.Generator, rhythm: Rhythm, count: int) -> str:
    """Classes of the segment's beats; single ectopy never comes twice in a row."""
    if rhythm.ventricular >= 1:
        return "V" * count
    kinds = ["N"] * count
    for k in range(3, count):
        if kinds[k - 1] == "N" and rng.random() < rhythm.ventricular:
            kinds[k] = "V"
    return "".join(kinds)


def _add_beat(dipole: Real, since: Real, kind: str, rr_s: float, p_wave: bool) -> None:
    delay_s, width_s, size = VENTRICULAR_T if kind == "V" else T_WAVE
    stretch = min(1.15, max(0.6, rr_s**0.5))
    waves = VENTRICULAR_WAVES if kind == "V" else NORMAL_WAVES + ((P_WAVE,) if p_wave else ())
    for delay, width, direction in (*waves, (delay_s * stretch, width_s * stretch, size)):
        bump = np.exp(-0.5 * ((since - delay) / width) ** 2)
        dipole += bump[:, None] * np.array(direction)
