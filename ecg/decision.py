"""The sequential part of the stream: one device, half second by half second, in plain numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg import detection, episodes, shapes
from ecg.conditioning import HOP, RATE_HZ
from ecg.fiducials import Candidate, Candidates
from ecg.findings import Finding
from ecg.fusion import GOOD, QUALITIES, UNREADABLE

NO_BEAT = -(2**62)
CUT_S = 0.05  # a QRS whose R lies nearer to an end of the stretch was cut: what is seen of it may be anything
SAME_BEAT_S = 0.1  # two summits whose R lies closer are one beat


@dataclass(slots=True)
class Mind:
    """What changes as decisions are taken; the stream hands in copies and keeps the result."""

    detector: detection.Detector
    shapes: shapes.Shapes
    tracker: episodes.Tracker
    last_beat: int


class Clock(NamedTuple):
    """Where the stretch lies on the recording and which half second comes next."""

    fs_hz: int
    origin: int
    hop: int
    paced: bool

    def sample(self, hop: int) -> int:
        return self.origin + hop * HOP * self.fs_hz // RATE_HZ


class Outcome(NamedTuple):
    """What became certain in this step, on the recording's sample index.

    beats: R extrema, ascending, each told once; beat_classes: one of N V Q per beat; quality: newest word per lead;
    quality_codes: uint8 [hop, lead] (index into fusion.QUALITIES) for the half seconds from quality_from on,
    decided_until: nothing before this sample will change any more.
    """

    beats: NDArray[np.int64]
    beat_classes: bytes
    rate_bpm: float | None
    quality: tuple[str, ...]
    findings: tuple[Finding, ...]
    quality_codes: NDArray[np.uint8]
    quality_from: int
    decided_until: int


_NO_BEATS = np.empty(0, np.int64)


@cache
def empty_outcome(leads: int) -> Outcome:
    """Not enough new samples to decide anything."""
    nothing = np.empty((0, leads), np.uint8)
    return Outcome(_NO_BEATS, b"", None, (QUALITIES[UNREADABLE],) * leads, (), nothing, -1, -1)


@cache
def _words(codes: bytes) -> tuple[str, ...]:
    return tuple(QUALITIES[code] for code in codes)


def joined(parts: Sequence[Outcome]) -> Outcome:
    """The outcomes of successive pieces as one."""
    told = [p for p in parts if p.quality_from >= 0]
    if not told:
        return parts[-1]
    last = told[-1]
    return Outcome(
        np.concatenate([p.beats for p in parts]),
        b"".join(p.beat_classes for p in parts),
        last.rate_bpm,
        last.quality,
        tuple(f for p in parts for f in p.findings),
        np.concatenate([p.quality_codes for p in told]),
        told[0].quality_from,
        last.decided_until,
    )


def decide(
    mind: Mind,
    clock: Clock,
    summits: Candidates,
    codes: NDArray[np.uint8],
    until: int | None,
) -> Outcome:
    """Take the next half seconds, whose quality codes [hop, lead] are; nothing from `until` on."""
    beats: list[int] = []
    kinds: list[str] = []
    told: list[Finding] = []
    hops, candidates = summits
    detector, tracker = mind.detector, mind.tracker
    (decided, leads), quality = codes.shape, codes.tobytes()
    row, now, cut = 0, clock.sample(clock.hop), CUT_S * clock.fs_hz
    for k in range(decided):
        lead_codes = quality[k * leads : k * leads + leads]
        start, now = now, clock.sample(clock.hop + k + 1)
        best = min(lead_codes)
        is_calm = best == GOOD and tracker.good_hops >= episodes.CALM_HOPS
        certain: list[Candidate] = []
        while row < len(hops) and hops[row] == k:
            certain += detection.offer(detector, candidates[row], best != GOOD, is_calm)
            row += 1
        if detector.spares:
            certain += detection.overdue(detector, (clock.hop + k + 1) * HOP, is_calm)
        for candidate in certain:
            sample = candidate.sample + clock.origin
            outside = candidate.sample < cut or (until is not None and sample >= until - cut)
            if outside or sample - mind.last_beat < SAME_BEAT_S * clock.fs_hz:
                continue
            rr_s = (sample - tracker.beats[-1]) / clock.fs_hz if tracker.beats else None
            kind, is_sure = shapes.classify(mind.shapes, candidate, rr_s, clock.paced)
            mind.last_beat = sample
            if kind != "N" and best != GOOD and not episodes.on_doubt(tracker, sample):
                continue
            kinds.append(kind)
            beats.append(sample)
            told += episodes.on_beat(tracker, sample, kind, is_sure)
        if until is not None and now > until:
            decided, now = k, start
            break
        told += episodes.on_hop(tracker, start, now, lead_codes)
        if best >= UNREADABLE:
            detection.forget_rhythm(detector)
    if not decided:
        return empty_outcome(codes.shape[1])
    return Outcome(
        np.array(beats, np.int64) if beats else _NO_BEATS,
        "".join(kinds).encode("ascii"),
        episodes.rate_bpm(mind.tracker, now),
        _words(quality[decided * leads - leads : decided * leads]),
        tuple(told),
        codes[:decided],
        clock.sample(clock.hop),
        now,
    )
