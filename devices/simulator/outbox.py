"""Events of a virtual device: kept, and sent again ever less often, until the hub names them committed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from devices import event
from devices.event import Event
from devices.simulator.publish import Publish

MAX_EVENTS: Final = 256
FIRST_RETRY_S: Final = 30.0
MAX_RETRY_S: Final = 960.0


@dataclass(slots=True)
class _Pending:
    event: Event
    due_at_s: float
    retry_s: float = FIRST_RETRY_S


class Outbox:
    """Unacknowledged events in order; when full the oldest is given up."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._due_at_s = 0.0
        self._count = 0

    def next_id(self, boot: int) -> str:
        """Unique for the device as long as boots are."""
        self._count += 1
        return f"{boot}.{self._count}"

    def put(self, new: Event, now_s: float) -> None:
        self._pending[new.id] = _Pending(new, now_s)
        self._due_at_s = min(self._due_at_s, now_s)
        if len(self._pending) > MAX_EVENTS:
            del self._pending[next(iter(self._pending))]

    def acknowledge(self, ids: tuple[str, ...]) -> None:
        for event_id in ids:
            self._pending.pop(event_id, None)

    def will(self, offline: Event) -> Publish:
        return Publish("event", event.encode(offline))

    def due(self, now_s: float, device_time_s: float) -> list[Publish]:
        """What to send now; each copy carries the device's clock at its own sending."""
        if not self._pending or now_s < self._due_at_s:
            return []
        sent = []
        for pending in self._pending.values():
            if pending.due_at_s <= now_s:
                pending.due_at_s = now_s + pending.retry_s
                pending.retry_s = min(2 * pending.retry_s, MAX_RETRY_S)
                sent.append(Publish("event", event.encode(replace(pending.event, sent_time_s=device_time_s))))
        self._due_at_s = min(pending.due_at_s for pending in self._pending.values())
        return sent
