"""Live analysis: the newest contiguous samples of each recording through `ecg.stream`, all devices at once. Pure.

It starts anew after a gap and looks at nothing twice: a resend, or a backlog that comes after newer samples, is the
record pass's business. What it finds does not wait for storage.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import chain
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ecg import snapshot, stream
from ecg.findings import Finding
from ecg.state import State
from hub.core.logging import failure_place, log
from hub.ingest.bindings import Recording
from hub.ingest.signals import Signal, Signals


@dataclass(frozen=True, slots=True)
class Live:
    """A finding of the live pass, as far as it is known now."""

    recording: Recording
    boot: int
    finding: Finding


class Second(NamedTuple):
    """What became certain of one recording since it was told last."""

    recording: Recording
    boot: int
    sample: int  # end of the newest sample
    rate_bpm: float | None
    beats: tuple[int, ...]
    quality: tuple[str, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of one recording's analyser, to be taken up by the shard's next owner."""

    recording_id: UUID
    boot: int
    next_sample: int
    state: bytes


@dataclass(slots=True)
class _Run:
    recording: Recording
    boot: int
    next_sample: int
    state: State
    told_sample: int
    saved_s: float
    saved_sample: int
    rate_bpm: float | None = None
    quality: tuple[str, ...] = ()
    beats: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    pass_number: int = 0  # of `LiveAnalysis.advance_together` in which it was met last


@dataclass(slots=True)
class _Chunk:
    """Samples that continue one run, under one electrode mask."""

    run: _Run
    first: int
    electrodes_off: int
    parts: list[NDArray[np.int16]]

    @property
    def samples(self) -> NDArray[np.int16]:
        return np.concatenate(self.parts, axis=1) if len(self.parts) > 1 else self.parts[0]


class _Group(NamedTuple):
    """What is stepped in one call: runs of one rate and set of leads, of each equally many samples."""

    runs: list[_Run]
    first_sample: list[int]
    electrodes_off: NDArray[np.int64]
    samples: NDArray[np.int16]  # [run, lead, sample]

    def only(self, places: list[int]) -> "_Group":
        return _Group(
            [self.runs[n] for n in places], [self.first_sample[n] for n in places], self.electrodes_off[places],
            self.samples[places],
        )  # fmt: skip


SAVED_AT_ONCE: Final = 40  # with a commit each half second 4,800 a minute
NEVER: Final = float("-inf")  # a run's first commit saves it, so that a new owner knows where it began
SAVE_EVERY_S: Final = 60.0  # of the clock, and of signal: a backlog brings hours of it in a minute


class LiveAnalysis:
    """The analysers of this process's recordings."""

    def __init__(self) -> None:
        self._runs: dict[UUID, _Run] = {}
        self._known: dict[UUID, str] = {}  # recordings that were looked up for a saved state; their shards
        self._touched: list[_Run] = []  # stepped since pages were told last
        self._pass_number = 0

    def unknown(self, recordings: Iterable[Recording]) -> dict[UUID, Recording]:
        """Recordings whose saved state should be looked for before they go on."""
        return {one.id: one for one in recordings if one.id not in self._known}

    @property
    def boots(self) -> list[tuple[UUID, int]]:
        """What is being analysed."""
        return [(recording_id, run.boot) for recording_id, run in self._runs.items()]

    def __contains__(self, recording_id: UUID) -> bool:
        return recording_id in self._runs

    def take_up(self, recordings: dict[UUID, Recording], saved: Iterable[Snapshot], now_s: float) -> None:
        """Go on from saved states; recordings without one begin with their next packet."""
        self._known |= {key: recording.shard for key, recording in recordings.items()}
        for one in saved:
            try:
                state = snapshot.unpack(one.state)
            except Exception as failure:  # saved by an earlier version, or damaged: begin anew
                log("analysis.restarted", recording=str(one.recording_id), failure=failure_place(failure))
                continue
            if state.origin + state.taken == one.next_sample:
                recording, sample = recordings[one.recording_id], one.next_sample
                self._runs[one.recording_id] = _Run(recording, one.boot, sample, state, sample, now_s, sample)

    def advance(self, signals: Sequence[Signal]) -> list[Live]:
        """Feed what is new and newest; findings that began, changed or ended."""
        found: list[Live] = []
        over: list[_Run] = []  # to be closed once their last samples have been looked at
        for chunks in _rounds(self._continuing(signals, over)):
            groups: dict[tuple[int, tuple[str, ...], int], list[_Chunk]] = defaultdict(list)
            for chunk in chunks:
                length = sum(part.shape[1] for part in chunk.parts)
                groups[chunk.run.state.fs_hz, chunk.run.state.leads, length].append(chunk)
            for group in groups.values():
                found += self._step_or_restart(_group(group))
        return found + [finding for run in over for finding in self._close(run)]

    def advance_together(self, columns: Iterable[Signals]) -> list[Live]:
        """As `advance`: nearly all of these go on where their analyser is, and are handed over as they lie."""
        self._pass_number += 1
        groups: dict[tuple[int, tuple[str, ...], int], list[_Group]] = defaultdict(list)
        rest: list[Signal] = []  # of a recording's signals the first, and all after it
        for signals in columns:
            group, others = self._going_on(signals)
            rest += [signals.row(place) for place in others]
            if group.runs:
                state = group.runs[0].state
                groups[state.fs_hz, state.leads, signals.samples.shape[2]].append(group)
        found = [live for alike in groups.values() for live in self._step_or_restart(_joined(alike))]
        return found + self.advance(rest)

    def _going_on(self, signals: Signals) -> tuple[_Group, list[int]]:
        """Those that go on where their analyser is, each recording's first; and the others' places."""
        runs, kept, others = list[_Run](), list[int](), list[int]()
        known, number, length = self._runs, self._pass_number, signals.samples.shape[2]
        kind: tuple[int, tuple[str, ...]] | None = None
        for place, (recording, boot, first) in enumerate(
            zip(signals.recordings, signals.boots, signals.first_sample, strict=True)
        ):
            run = known.get(recording.id)
            if run is not None:
                is_first, run.pass_number = run.pass_number != number, number
                now = run.state.fs_hz, run.state.leads
                kind = kind or now
                if is_first and run.next_sample == first and run.boot == boot and now == kind:
                    run.next_sample = first + length
                    runs.append(run)
                    kept.append(place)
                    continue
            others.append(place)
        group = _Group(runs, signals.first_sample, signals.electrodes_off, signals.samples)
        if not others:
            return group, others
        own = [signals.first_sample[place] for place in kept]
        return _Group(runs, own, signals.electrodes_off[kept], signals.samples[kept]), others

    def _step_or_restart(self, group: _Group) -> list[Live]:
        """Step a group: a run that fails begins anew, the rest and storing go on."""
        try:
            found, failed = _step(group)
        except Exception as failure:  # before any state was changed
            count = len(group.runs)
            if count > 1:
                return [live for k in range(count) for live in self._step_or_restart(group.only([k]))]
            found, failed = [], [(group.runs[0], failure)]
        self._touched += group.runs
        for run, why in failed:
            self._give_up(run, why)
        return found

    def _give_up(self, run: _Run, failure: Exception) -> None:
        if self._runs.get(run.recording.id) is run:
            del self._runs[run.recording.id]
        log("analysis.restarted", recording=str(run.recording.id), failure=failure_place(failure))

    def seconds(self) -> list[Second]:
        """What to tell pages: recordings that have a second of news, or a finding."""
        touched, self._touched = self._touched, []
        return [_told(run) for run in touched if _has_news(run) and self._runs.get(run.recording.id) is run]

    def finish(self, recording_ids: Iterable[UUID]) -> list[Live]:
        """These recordings are over: close what is open."""
        found: list[Live] = []
        for recording_id in recording_ids:
            self._known.pop(recording_id, None)
            run = self._runs.pop(recording_id, None)
            found += self._close(run) if run is not None else []
        return found

    def _close(self, run: _Run) -> list[Live]:
        """Its last findings; none from a state that is damaged."""
        try:
            return [Live(run.recording, run.boot, finding) for finding in stream.finish(run.state).findings]
        except Exception as failure:
            self._give_up(run, failure)
            return []

    def leave(self, shards: Set[str]) -> None:
        """Another process analyses these: what is remembered here grows old."""
        self._known = {key: shard for key, shard in self._known.items() if shard not in shards}
        self._runs = {key: run for key, run in self._runs.items() if run.recording.shard not in shards}

    def snapshots(self, now_s: float, leaving: Set[str] = frozenset()) -> list[Snapshot]:
        """States that are due to be saved, exactly as far as the findings told so far; all of shards that leave. Of
        thousands that began together some wait for the next transaction, the longest unsaved first: none may take long.
        """
        due = (
            run
            for run in self._runs.values()
            if _is_due(run, now_s, 0.0 if run.recording.shard in leaving else SAVE_EVERY_S)
        )
        chosen = due if leaving else nsmallest(SAVED_AT_ONCE, due, key=lambda run: run.saved_s)
        return [_snapshot(run) for run in chosen]

    def saved(self, snapshots: Iterable[Snapshot], now_s: float) -> None:
        """They are committed."""
        for one in snapshots:
            run = self._runs.get(one.recording_id)
            if run is not None and run.boot == one.boot:
                run.saved_s, run.saved_sample = now_s, one.next_sample

    def shift(self, by_s: float) -> None:
        """The clock by which states are saved was set."""
        for run in self._runs.values():
            run.saved_s += by_s

    def _continuing(self, signals: Sequence[Signal], over: list[_Run]) -> list[_Chunk]:
        """The chunks to analyse, in order for each recording; restarts happen here."""
        chunks: list[_Chunk] = []
        last: dict[UUID, _Chunk] = {}
        for signal in signals:
            recording_id = signal.recording.id
            was = last.get(recording_id)
            try:
                chunk = self._continue(signal, was, over)
            except Exception as failure:  # this is not analysed; it is stored, and the others go on
                log("analysis.restarted", recording=str(recording_id), failure=failure_place(failure))
                continue
            if chunk is not None and chunk is not was:
                last[recording_id] = chunk
                chunks.append(chunk)
        return chunks

    def _continue(self, signal: Signal, last: _Chunk | None, over: list[_Run]) -> _Chunk | None:
        """The chunk these samples went into: the recording's last, or another; None if they are old."""
        run = self._run_for(signal, over)
        if run is None:
            return None
        first, run.next_sample = run.next_sample, signal.end_sample
        if last is None or last.run is not run or last.electrodes_off != signal.electrodes_off:
            last = _Chunk(run, first, signal.electrodes_off, [])
        last.parts.append(signal.samples[:, first - signal.first_sample :])
        return last

    def _run_for(self, signal: Signal, over: list[_Run]) -> _Run | None:
        """The run this continues, a new one if it is newer than that, or None if it is older."""
        recording, boot, first, _, _ = signal
        run = self._runs.get(recording.id)
        if run is not None:
            if (boot, signal.end_sample) <= (run.boot, run.next_sample):
                return None
            if boot == run.boot and first <= run.next_sample:
                return run
        if not stream.FS_RANGE_HZ[0] <= recording.fs_hz <= stream.FS_RANGE_HZ[1]:
            return None
        if run is not None:
            over.append(run)
        state = stream.new_state(recording.fs_hz, recording.leads)
        self._runs[recording.id] = _Run(recording, boot, first, state, first, NEVER, first)
        return self._runs[recording.id]


def _rounds(chunks: Sequence[_Chunk]) -> list[list[_Chunk]]:
    """Chunks that can be analysed together: of each recording at most one, in order."""
    rounds: list[list[_Chunk]] = []
    depth: dict[UUID, int] = defaultdict(int)
    for chunk in chunks:
        place = depth[chunk.run.recording.id]
        depth[chunk.run.recording.id] += 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(chunk)
    return rounds


def _group(chunks: Sequence[_Chunk]) -> _Group:
    return _Group(
        [one.run for one in chunks],
        [one.first for one in chunks],
        np.array([one.electrodes_off for one in chunks], np.int64),
        np.stack([one.samples for one in chunks]),
    )


def _joined(groups: Sequence[_Group]) -> _Group:
    if len(groups) == 1:
        return groups[0]
    runs, first, off, samples = zip(*groups, strict=True)
    together = list(chain.from_iterable(runs)), list(chain.from_iterable(first))
    return _Group(*together, np.concatenate(off), np.concatenate(samples))


def _step(group: _Group) -> tuple[list[Live], list[tuple[_Run, Exception]]]:
    """One call of the analyser; and what failed of it."""
    runs, state = group.runs, group.runs[0].state
    leads, recordings = len(state.leads), [run.recording for run in group.runs]
    batch = stream.Batch(
        state.fs_hz,
        state.leads,
        group.samples,
        np.array([one.uv_per_lsb or 1.0 for one in recordings]),
        np.ones((len(runs), leads), np.bool_),
        group.electrodes_off[:, None] >> np.arange(leads) & 1 == 0,
        np.array(group.first_sample, np.int64),
        np.array([one.paced for one in recordings], np.bool_),
    )
    found, failed = list[Live](), list[tuple[_Run, Exception]]()
    for run, result in zip(runs, stream.step_in_place([run.state for run in runs], batch), strict=True):
        if isinstance(result, Exception):
            failed.append((run, result))
            continue
        run.state, outcome = result
        if outcome.decided_until >= 0:  # a short packet may decide nothing, which says nothing of the signal
            run.rate_bpm, run.quality = outcome.rate_bpm, outcome.quality
            run.beats += outcome.beats.tolist()
        if outcome.findings:
            run.findings += outcome.findings
            found += [Live(run.recording, run.boot, finding) for finding in outcome.findings]
    return found, failed


def _is_due(run: _Run, now_s: float, every_s: float) -> bool:
    if run.state.origin < 0:
        return False
    return now_s - run.saved_s >= every_s or run.next_sample - run.saved_sample >= every_s * run.state.fs_hz


def _snapshot(run: _Run) -> Snapshot:
    """As far as the state has come, which in the middle of a failed tick is less than was handed to it. Who sends no
    more holds nothing of the others from then on.
    """
    state = run.state = stream.detached(run.state)
    return Snapshot(run.recording.id, run.boot, state.origin + state.taken, snapshot.pack(state))


def _has_news(run: _Run) -> bool:
    return bool(run.findings) or run.next_sample - run.told_sample >= run.state.fs_hz


def _told(run: _Run) -> Second:
    second = Second(
        run.recording,
        run.boot,
        run.next_sample,
        run.rate_bpm,
        tuple(run.beats),
        run.quality,
        tuple(run.findings),
    )
    run.told_sample, run.beats, run.findings = run.next_sample, [], []
    return second
