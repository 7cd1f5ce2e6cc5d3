"""The shards' sessions at the broker: connected while their lock is held, polled together, acknowledged in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.core import broker, clock
from hub.core.mqtt import Session
from hub.core.settings import Settings
from hub.ingest.decoding import Received

RECONNECT_S: Final = 1.0
KEEPALIVE_S: Final = 30
POLL_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Receipt:
    """What to acknowledge once it is stored: ids of one connection, in the order received."""

    session: Session
    packet_ids: list[int]

    def acknowledge(self) -> None:
        """Tell the broker; ids of a connection that is gone mean nothing any more."""
        if self.session.closed is None:
            self.session.ack(self.packet_ids)
            self.session.flush()


@dataclass(slots=True)
class _Link:
    shard: str
    session: Session | None = None
    retry_s: float = 0.0
    attempts: int = 0  # each at the next node of the broker


class Links:
    """One session for each shard this process owns."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self._settings, self._secret = settings, secret
        self._password = broker.hub_password(settings)
        self._links = {number: _Link(f"{number:02x}") for number in range(settings.shards)}

    def own(self, shards: set[int], others_may_own: bool) -> None:
        """Connect those of ours that are not; leave the others' if somebody else may have them now."""
        for number, link in self._links.items():
            if number in shards:
                self._connect(link)
            elif others_may_own and link.session is not None:
                link.session.disconnect()
                link.session = None

    def poll(self, received_s: float) -> tuple[list[Received], list[Receipt]]:
        """Everything that has come."""
        received: list[Received] = []
        receipts: list[Receipt] = []
        for link in self._links.values():
            session = link.session
            if session is None:
                continue
            messages = session.poll(POLL_BYTES)
            if messages:
                received += [Received(link.shard, m.topic, m.payload, received_s) for m in messages]
                receipts.append(Receipt(session, [m.packet_id for m in messages if m.qos]))
        return received, receipts

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        """Retained, QoS 1, on the session of the topic's shard; those it could not take."""
        refused = []
        for topic, payload in messages:
            session = self._session_of(topic.split("/")[1])
            if session is None or not session.publish(topic, payload, qos=1, retain=True):
                refused.append((topic, payload))
        self.flush()
        return refused

    def publish_live(self, results: Sequence[tuple[str, str, str]]) -> None:
        """(shard, topic behind `live/`, JSON): QoS 0, for whoever looks."""
        for shard, topic, text in results:
            session = self._session_of(shard)
            if session is not None:
                session.publish(f"live/{topic}", text.encode())

    def flush(self) -> None:
        for link in self._links.values():
            if link.session is not None:
                link.session.flush()

    def reconnect(self) -> None:
        """Make the broker send again what was never acknowledged."""
        for link in self._links.values():
            if link.session is not None:
                link.session.disconnect()
                link.session, link.retry_s = None, 0.0

    def close(self) -> None:
        """Leave; the sessions stay at the broker and gather what comes meanwhile."""
        for link in self._links.values():
            if link.session is not None:
                link.session.disconnect()

    @property
    def subscribed(self) -> int:
        """How many shards are being read."""
        return sum(link.session is not None and link.session.subscribed for link in self._links.values())

    def _session_of(self, shard: str) -> Session | None:
        link = self._links.get(int(shard, 16))
        return link.session if link is not None else None

    def _connect(self, link: _Link) -> None:
        now_s = clock.monotonic_s()
        gone = link.session is None or link.session.closed is not None
        if not gone or now_s < link.retry_s:
            return
        nodes = self._settings.broker_addresses
        host, port = nodes[(int(link.shard, 16) + link.attempts) % len(nodes)]
        link.attempts += 1
        link.session = Session.connect(
            host, port, f"ingest-{link.shard}-{self._secret}", self._settings.mqtt_username, self._password,
            clean=False, keepalive_s=KEEPALIVE_S,
        )  # fmt: skip
        link.session.subscribe([f"ingest/{link.shard}/+/+"])
        link.retry_s = now_s + RECONNECT_S
