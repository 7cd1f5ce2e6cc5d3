"""When to tell a device what is committed: at most every 2 s, at once when it waits for the answer.

An acknowledgement is a state, not a message: only the newest of each (recording, boot) is ever sent. The retained
one a device finds after an absence is that of the boot it sent last.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from typing import Final

from devices.control import Ack, encode_ack
from devices.fields import MAX_RANGES, Range

SWEEP_S: Final = 60.0
INTERVAL_S: Final = 2.0  # design section 3
URGENT_INTERVAL_S: Final = 0.1  # a storm of duplicates is answered, but not one by one

Key = tuple[bytes, int]  # recording, boot


@dataclass(slots=True)
class _Account:
    topic: str
    urgent: bool = False
    states: dict[Key, tuple[int, tuple[Range, ...]]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)


class AckBook:
    """What each device has still to be told; noted after commit only."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._told_s: dict[str, float] = {}
        self.waiting: set[str] = set()  # devices that will be told of their boots
        self._queue: list[tuple[float, str]] = []  # heap: when to look at a device that has news, or earlier
        self._swept_s = 0.0

    def note(
        self, shard: str, device_id: str, key: Key, next_sample: int, wanted: tuple[Range, ...], urgent: bool
    ) -> None:
        """A boot of a recording is committed below `next_sample`."""
        account = self._account(shard, device_id)
        is_first = not account.states and not account.events
        had = account.states.pop(key, None)  # the newest goes last
        account.states[key] = (next_sample, wanted)
        self.waiting.add(device_id)
        news_of_gap = bool(wanted) and (had is None or not had[1])
        self._await(device_id, account, is_first, urgent or news_of_gap)

    def note_event(self, shard: str, device_id: str, event_id: str, urgent: bool) -> None:
        account = self._account(shard, device_id)
        is_first = not account.states and not account.events
        account.events.append(event_id)
        self._await(device_id, account, is_first, urgent)

    def due(
        self, now_s: float, whole: Callable[[Key], int | None] = lambda _: None
    ) -> list[tuple[str, bytes]]:
        """Topics and payloads to publish now, retained, QoS 1; all there are at an infinite `now_s`. `whole` tells
        the next sample of a boot of which nothing is missing: it may have come further since it was noted.
        """
        messages: list[tuple[str, bytes]] = []
        while self._queue and self._queue[0][0] <= now_s:
            _, device_id = heappop(self._queue)
            account = self._accounts.get(device_id)
            if account is None or not (account.states or account.events):
                continue
            _catch_up(account, whole)
            messages += [(account.topic, encode_ack(ack)) for ack in _acks(account)]
            account.states, account.events = {}, []
            self.waiting.discard(device_id)
            account.urgent = False
            if now_s < inf:  # else the devices that stay with us would never be told again
                self._told_s[device_id] = now_s
        if SWEEP_S <= now_s - self._swept_s < inf:
            self._sweep(now_s)
        return messages

    def catch_up(self, whole: Callable[[Key], int | None]) -> None:
        """What waits to be told tells how far it has come by now."""
        for account in self._accounts.values():
            _catch_up(account, whole)

    def _await(self, device_id: str, account: _Account, is_first: bool, urgent: bool) -> None:
        """Look at it when its interval is over; a second time, earlier, if it becomes urgent while it waits."""
        if is_first or (urgent and not account.urgent):
            account.urgent |= urgent
            interval_s = URGENT_INTERVAL_S if account.urgent else INTERVAL_S
            heappush(self._queue, (self._told_s.get(device_id, 0.0) + interval_s, device_id))

    def due_s(self, device_ids: Iterable[str]) -> list[float]:
        """When devices may be told next."""
        return [self._told_s.get(name, 0.0) + INTERVAL_S for name in device_ids]

    def told(self, device_ids: Iterable[str], now_s: float) -> None:
        """They were told by others."""
        self._told_s.update(dict.fromkeys(device_ids, now_s))

    def _sweep(self, now_s: float) -> None:
        """Devices that fell silent need no memory."""
        self._swept_s = now_s
        self._accounts = {name: a for name, a in self._accounts.items() if a.states or a.events}
        self._told_s = {name: told_s for name, told_s in self._told_s.items() if now_s - told_s < INTERVAL_S}

    def leave(self, shards: Iterable[str]) -> None:
        """Another process tells the devices of these."""
        prefixes = tuple(f"ack/{shard}/" for shard in shards)
        self._accounts = {d: a for d, a in self._accounts.items() if not a.topic.startswith(prefixes)}
        self.waiting &= self._accounts.keys()

    def _account(self, shard: str, device_id: str) -> _Account:
        account = self._accounts.get(device_id)
        if account is None:
            account = self._accounts[device_id] = _Account(f"ack/{shard}/{device_id}")
        return account


def _catch_up(account: _Account, whole: Callable[[Key], int | None]) -> None:
    for key in account.states:
        next_sample = whole(key)
        if next_sample is not None:
            account.states[key] = next_sample, ()


def _acks(account: _Account) -> list[Ack]:
    """One for each boot; the events' ids ride on the first ones, 256 on each at most."""
    events = [tuple(account.events[at : at + MAX_RANGES]) for at in range(0, len(account.events), MAX_RANGES)]
    acks = [
        Ack(recording, boot, next_sample, wanted, events.pop(0) if events else ())
        for (recording, boot), (next_sample, wanted) in account.states.items()
    ]
    return [Ack(None, 0, 0, (), ids) for ids in events] + acks
