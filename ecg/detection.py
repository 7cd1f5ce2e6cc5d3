"""Beat or not: adaptive thresholds over the summits of the fused curve, one device at a time.

After Hamilton and Tompkins 1986 (medians of eight peaks, search-back) with these deviations: heights are in units
of the leads' own levels, so the first beats need no learning; what is learnt is capped at twice and floored at half
of what is known, so one burst cannot poison it; and a T wave is told by height within 360 ms.
"""

from dataclasses import dataclass, field

from ecg.fiducials import SHAPE_SLACK, Candidate, kept

THRESHOLD = 0.20  # of the way from noise to signal; tuned on MIT-BIH DS1
BACK_THRESHOLD = 0.12  # of the same, when a beat is overdue
BACK_FLOOR = 0.15  # of the signal: an overdue beat is never smaller
NOTHING = (
    0.04  # of the signal: what a rest shows in which no summit was seen; half of what is remembered at all
)
STEADY = 4  # of eight intervals within REGULAR of the usual one: then a pause in a clean rest ends what began early
REGULAR = 0.15  # an overdue beat within this share of the usual RR from where it should be ...
REGULAR_FLOOR = 0.25  # ... of the signal is enough, whatever the noise: amplitudes drop within a beat
PARTIAL_EARLY = 0.7  # of the median RR: what comes earlier and only half of the leads show is no beat ...
ALIKE = 0.90  # ... unless it correlates so with one that was: a disturbance does not come twice alike
RR_NEEDED = 3  # intervals, before anything is called early
OVERDUE = 1.6  # median RR: then the best rejected summit is looked at again
WIDE_MS = 100.0  # muscle and electrode noise makes wide summits: they must stand out from the noise, ...
WIDER = 1.4  # than usual
WIDE_EARLY = 0.85  # of the median RR
WIDE_ABOVE_NOISE = 3.5
WIDE_BELOW = 0.65  # ... but no more than so much of the signal is asked of them
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
    rests: list[float] = field(default_factory=lambda: [0.1] * 8)  # as noise, but of beats without one too
    widths_ms: list[float] = field(default_factory=lambda: [0.0] * 8)
    rr_places: list[int] = field(default_factory=list)
    last_place: int = -1
    last_height: float = 0.0
    spares: list[Candidate] = field(default_factory=list)
    partials: list[Candidate] = field(
        default_factory=list
    )  # the newest beat that half of the leads do not show


def copied(d: Detector) -> Detector:
    return Detector(
        d.signal[:], d.noise[:], d.rests[:], d.widths_ms[:], d.rr_places[:], d.last_place, d.last_height,
        d.spares[:], d.partials[:],
    )  # fmt: skip


def forget_rhythm(d: Detector) -> None:
    """After an unreadable stretch nothing is overdue and no interval is known."""
    d.last_place = -1
    d.rr_places.clear()
    d.spares.clear()
    d.partials.clear()


def _take(d: Detector, c: Candidate, signal: float) -> None:
    if d.last_place >= 0:
        d.rr_places.append(c.place - d.last_place)
        del d.rr_places[:-8]
    d.last_place, d.last_height = c.place, c.height
    d.widths_ms.append(c.width_ms)
    del d.widths_ms[0]
    d.signal.append(min(max(c.height, LEARNT_FLOOR * signal), LEARNT_CAP * signal))
    del d.signal[0]
    if d.spares:
        d.spares = [s for s in d.spares if s.place > c.place]
    if c.is_partial:
        d.partials = [kept(c)]


def overdue(d: Detector, now_place: int, is_calm: bool) -> list[Candidate]:
    """Beats found by looking back, when none has come for 1.6 median RR; `is_calm`: a lead is good for a while."""
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
        is_steady = sum(abs(rr - usual) <= REGULAR * usual for rr in d.rr_places) >= STEADY
        if is_calm and is_steady and not best.is_partial and _is_wide(d, best):
            noise = min(
                noise, sorted(d.rests)[4]
            )  # a ventricular beat may be small on a lead, its rest is clean
        floor = max(noise + BACK_THRESHOLD * (signal - noise), BACK_FLOOR * signal)
        if abs(best.place - d.last_place - usual) <= REGULAR * usual:
            floor = min(floor, REGULAR_FLOOR * signal)
        if best.height < floor:
            break
        _take(d, best, signal)
        found.append(best)
    return found


def _is_known(d: Detector, c: Candidate) -> bool:
    """Whether it looks like the newest beat that was as partial, or like such a summit since the last beat: a ventricle
    that contracts early is seen on every lead as a rule, a disturbance of one electrode is not, and never comes alike.
    """
    for known in (*d.partials, *(s for s in d.spares if s.is_partial)):
        likeness = (c.shifted @ known.shifted[SHAPE_SLACK]).tolist()
        size = known.lengths[SHAPE_SLACK]
        if any(like >= ALIKE * size * own for like, own in zip(likeness, c.lengths, strict=True)):
            return True
    return False


def _is_wide(d: Detector, c: Candidate) -> bool:
    return c.width_ms > max(WIDE_MS, WIDER * sorted(d.widths_ms)[4])


def _is_early(d: Detector, c: Candidate, share: float) -> bool:
    """Whether it comes before that share of the median RR, as far as that is known."""
    if d.last_place < 0 or len(d.rr_places) < RR_NEEDED:
        return False
    return c.place - d.last_place < share * sorted(d.rr_places)[len(d.rr_places) // 2]


def offer(d: Detector, c: Candidate, is_noisy: bool, is_calm: bool) -> list[Candidate]:
    """The beats that become certain with this summit, oldest first; `is_noisy`: no lead is good now, `is_calm`: one is
    for some time.
    """
    found = overdue(d, c.place, is_calm)
    if c.is_partial and _is_early(d, c, PARTIAL_EARLY) and not (is_calm and _is_known(d, c)):
        if is_calm:
            _spare(d, c)  # a pause after it tells that it was a beat
        return found
    signal, noise = sorted(d.signal)[4], sorted(d.noise)[4]
    threshold = noise + THRESHOLD * (signal - noise)
    since = c.place - d.last_place if d.last_place >= 0 else c.place + T_WAVE_PLACES
    if is_noisy and _is_wide(d, c) and _is_early(d, c, WIDE_EARLY):
        threshold = max(threshold, min(WIDE_ABOVE_NOISE * noise, WIDE_BELOW * signal))
    if since < T_WAVE_PLACES:
        threshold = max(threshold, T_WAVE_BELOW * d.last_height)
    if c.height > threshold and since >= REFRACTORY_PLACES:
        if not d.spares:
            _learn_rest(d, NOTHING)
        _take(d, c, signal)
        found.append(c)
    elif since >= REFRACTORY_PLACES:
        d.noise.append(min(c.height, signal))
        del d.noise[0]
        _learn_rest(d, min(c.height, signal))
        _spare(d, c)
    return found


def _learn_rest(d: Detector, height: float) -> None:
    d.rests.append(height)
    del d.rests[0]


def _spare(d: Detector, c: Candidate) -> None:
    d.spares.append(kept(c))
    del d.spares[:-SPARES]
