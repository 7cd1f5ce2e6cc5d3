"""Beat or not: adaptive thresholds over the summits of the fused curve, one device at a time.

After Hamilton and Tompkins 1986 (medians of eight peaks, search-back) with these deviations: heights are in units
of the leads' own levels, so the first beats need no learning; what is learnt is capped at twice and floored at half
of what is known, so one burst cannot poison it; and a T wave is told by height within 360 ms.
"""

from dataclasses import dataclass, field

from ecg.fiducials import Candidate

THRESHOLD = 0.20  # of the way from noise to signal; tuned on MIT-BIH DS1
BACK_THRESHOLD = 0.12  # of the same, when a beat is overdue
BACK_FLOOR = 0.15  # of the signal: an overdue beat is never smaller
OVERDUE = 1.6  # median RR: then the best rejected summit is looked at again
T_WAVE_PLACES = 46  # 360 ms
T_WAVE_BELOW = 0.55  # of the last beat's height
REFRACTORY_PLACES = 26  # 203 ms
LEARNT_CAP = 2.0
LEARNT_FLOOR = 0.5
SPARES = 8  # rejected summits remembered for search-back


@dataclass(slots=True)
class Detector:
    """Heights of the last eight beats and of the last eight rejected summits, and the summits held in reserve."""

    signal: list[float] = field(default_factory=lambda: [1.0] * 8)
    noise: list[float] = field(default_factory=lambda: [0.1] * 8)
    rr_places: list[int] = field(default_factory=list)
    last_place: int = -1
    last_height: float = 0.0
    spares: list[Candidate] = field(default_factory=list)


def copied(d: Detector) -> Detector:
    return Detector(d.signal[:], d.noise[:], d.rr_places[:], d.last_place, d.last_height, d.spares[:])


def forget_rhythm(d: Detector) -> None:
    """After an unreadable stretch nothing is overdue and no interval is known."""
    d.last_place = -1
    d.rr_places.clear()
    d.spares.clear()


def _take(d: Detector, c: Candidate, signal: float) -> None:
    if d.last_place >= 0:
        d.rr_places.append(c.place - d.last_place)
        del d.rr_places[:-8]
    d.last_place, d.last_height = c.place, c.height
    d.signal.append(min(max(c.height, LEARNT_FLOOR * signal), LEARNT_CAP * signal))
    del d.signal[0]
    if d.spares:
        d.spares = [s for s in d.spares if s.place > c.place]


def overdue(d: Detector, now_place: int) -> list[Candidate]:
    """Beats found by looking back, when none has come for 1.6 median intervals."""
    found: list[Candidate] = []
    if not d.spares or d.last_place < 0 or not d.rr_places:
        return found
    usual = sorted(d.rr_places)[len(d.rr_places) // 2]
    while d.spares and now_place - d.last_place > OVERDUE * usual:
        late = [s for s in d.spares if s.place - d.last_place > T_WAVE_PLACES]
        if not late:
            break
        best = max(late, key=lambda s: s.height)
        signal, noise = sorted(d.signal)[4], sorted(d.noise)[4]
        if best.height < max(noise + BACK_THRESHOLD * (signal - noise), BACK_FLOOR * signal):
            break
        _take(d, best, signal)
        found.append(best)
    return found


def offer(d: Detector, c: Candidate) -> list[Candidate]:
    """The beats that become certain with this summit, oldest first."""
    found = overdue(d, c.place)
    signal, noise = sorted(d.signal)[4], sorted(d.noise)[4]
    threshold = noise + THRESHOLD * (signal - noise)
    since = c.place - d.last_place if d.last_place >= 0 else c.place + T_WAVE_PLACES
    if since < T_WAVE_PLACES:
        threshold = max(threshold, T_WAVE_BELOW * d.last_height)
    if c.height > threshold and since >= REFRACTORY_PLACES:
        _take(d, c, signal)
        found.append(c)
    elif since >= REFRACTORY_PLACES:
        d.noise.append(min(c.height, signal))
        del d.noise[0]
        d.spares.append(c)
        del d.spares[:-SPARES]
    return found
