"""The store-and-forward memory of a Holter: packets are kept until the hub says it has committed them.

Bounded in samples; when full, the oldest packet is given up, acknowledged or not. Packet boundaries are
fixed when a packet is cut, so a resend is the same bytes but for the two fields that are as of sending.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from devices.control import Ack
from devices.fields import MAX_RANGES, Range


@dataclass(slots=True, eq=False)
class Cut:
    """One packet as it was cut."""

    stretch: Stretch
    first: int
    end: int
    body: bytes
    due_at_s: float  # when to send it (again)
    queued_s: float = 0.0  # the time under which it stands in the queue
    was_sent: bool = False
    is_held: bool = True


@dataclass(slots=True)
class GivenUp:
    """Samples [first, end) given up; the hub may have stored them all the same if they were sent before."""

    first: int
    end: int
    was_sent: bool


@dataclass(slots=True, eq=False)
class Stretch:
    """One boot of one recording, with the truth about its samples."""

    recording: bytes
    boot: int
    begin: int = 0  # samples of the recording's signal before this boot
    produced: int = 0
    discarded: int = 0  # given up before an acknowledgement covered them
    given_up: list[GivenUp] = field(default_factory=list)  # the same as ranges, in order
    sequence: int = 0
    unsent: int = 0  # packets never sent so far
    knows_count: bool = True  # False once a reboot lost the counter
    held: deque[Cut] = field(default_factory=deque)
    flying: dict[int, Cut] = field(default_factory=dict)  # sent and held, by first sample

    @property
    def oldest(self) -> int:
        return self.held[0].first if self.held else self.produced


def _touches(cut: Cut, ranges: Sequence[Range]) -> bool:
    """Whether any of a packet's samples lie in one of the ranges, which are sorted and disjoint."""
    at = bisect_right(ranges, cut.first, key=lambda one: one[1])
    return at < len(ranges) and ranges[at][0] < cut.end


class Buffer:
    """All stretches of a device, and which packets are due to be sent."""

    def __init__(self, capacity_samples: int, retry_s: float) -> None:
        self.capacity_samples = capacity_samples
        self.retry_s = retry_s
        self.stretches: dict[tuple[bytes, int], Stretch] = {}
        self.held_samples = 0
        self._due: list[tuple[float, int, Cut]] = []
        self._pushes = 0

    def open(self, recording: bytes, boot: int) -> Stretch:
        return self.stretches.setdefault((recording, boot), Stretch(recording, boot))

    def put(self, cut: Cut) -> list[Stretch]:
        """Keep a packet; returns earlier stretches that had to give up their last one for it."""
        stretch = cut.stretch
        stretch.held.append(cut)
        stretch.produced = cut.end
        stretch.sequence += 1
        stretch.unsent += 1
        self.held_samples += cut.end - cut.first
        self._push(cut)
        emptied = []
        while self.held_samples > self.capacity_samples:
            fullest = next(s for s in self.stretches.values() if s.held)  # in order of age
            self._give_up(fullest)
            if not fullest.held and fullest is not stretch:
                emptied.append(fullest)
        return emptied

    def acknowledge(self, ack: Ack, now_s: float) -> None:
        """Forget what is committed; make due what the hub misses, unless it may be under way."""
        if ack.recording is None:
            return
        stretch = self.stretches.get((ack.recording, ack.boot))
        if stretch is None or ack.next_sample > stretch.produced:
            return  # not ours: forgetting samples on such word could lose them
        while stretch.held and stretch.held[0].end <= ack.next_sample:
            self._forget(stretch)
        # Sent within the last fifth of the retry time: the acknowledgement may have crossed it.
        self.make_due(stretch, ack.wanted, now_s, now_s + self.retry_s * 0.8)
        told_until = ack.wanted[-1][1] if len(ack.wanted) >= MAX_RANGES else stretch.produced
        for cut in stretch.flying.values():
            if now_s < cut.due_at_s and cut.end <= told_until and not _touches(cut, ack.wanted):
                cut.due_at_s = (
                    now_s + self.retry_s
                )  # there, or missed by name as soon as a later one is there

    def make_due(
        self,
        stretch: Stretch,
        ranges: tuple[Range, ...],
        now_s: float,
        unless_due_from_s: float = float("inf"),
    ) -> None:
        """Send again, now, the held packets that touch `ranges`."""
        for cut in stretch.flying.values():
            if _touches(cut, ranges) and now_s < cut.due_at_s < unless_due_from_s:
                cut.due_at_s = now_s
                self._push(cut)

    def lose_all(self) -> None:
        """The memory is gone, as after a reboot of a device that keeps it in RAM."""
        for stretch in self.stretches.values():
            while stretch.held:
                self._give_up(stretch)

    def take_due(self, now_s: float) -> Cut | None:
        """The packet longest due; the caller sends it and says so by `sent`."""
        while self._due and self._due[0][0] <= now_s:
            queued_s, _, cut = heapq.heappop(self._due)
            if not cut.is_held or cut.queued_s != queued_s:
                continue
            if cut.due_at_s <= now_s:
                return cut
            self._push(cut)
        return None

    def sent(self, cut: Cut, now_s: float) -> None:
        if not cut.was_sent:
            cut.was_sent = True
            cut.stretch.unsent -= 1
            cut.stretch.flying[cut.first] = cut
        cut.due_at_s = now_s + self.retry_s
        self._push(cut)

    def _push(self, cut: Cut) -> None:
        self._pushes += 1
        cut.queued_s = cut.due_at_s
        heapq.heappush(self._due, (cut.due_at_s, self._pushes, cut))

    def _forget(self, stretch: Stretch) -> Cut:
        cut = stretch.held.popleft()
        cut.is_held = False
        self.held_samples -= cut.end - cut.first
        if stretch.flying.pop(cut.first, None) is None:
            stretch.unsent -= 1
        return cut

    def _give_up(self, stretch: Stretch) -> None:
        cut = self._forget(stretch)
        stretch.discarded += cut.end - cut.first
        last = stretch.given_up[-1] if stretch.given_up else None
        if last is not None and (last.end, last.was_sent) == (cut.first, cut.was_sent):
            last.end = cut.end
        else:
            stretch.given_up.append(GivenUp(cut.first, cut.end, cut.was_sent))
