"""The shards' sessions at the broker: connected while their lock is held, polled together, acknowledged in order.

A session whose messages were read and *forgotten* (storage was away or too slow) goes on being read, for seeing; but
nothing more of it is stored before it connects anew and the broker sends again what nobody acknowledged.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final

from hub.core import broker, clock
from hub.core.mqtt import Session
from hub.core.settings import Settings
from hub.ingest.decoding import Received

RECONNECT_S: Final = 1.0
KEEPALIVE_S: Final = 30
POLL_BYTES: Final = 1 << 20
DRAIN_BYTES: Final = (
    1 << 18
)  # of a session that has much to catch up with, so that the others are not kept waiting
SETTLES_S: Final = 0.5  # after connecting, until what waited at the broker begins to come
DRAINED_MESSAGES: Final = 50  # of one poll: fewer are news, not a backlog
MAX_IDS: Final = 65_535  # unacknowledged messages of one session; the broker sends no more (MQTT 2.3.1)

_new = tuple.__new__  # of a NamedTuple, without the call of its own __new__


@dataclass(slots=True, eq=False)
class _Link:
    shard: str
    session: Session | None = None
    attempts: int = 0  # each at the next node of the broker
    round_s: float = 0.0  # when a round of all nodes began
    tried: int = 0  # nodes of this round
    connected_s: float = 0.0
    unacknowledged: int = 0  # messages of this connection
    forgotten: bool = False
    draining: bool = True
    stopped: bool = False  # about to be given up: nothing more is read

    @property
    def is_open(self) -> bool:
        return self.session is not None and self.session.closed is None

    def may_try(self, now_s: float, nodes: int) -> bool:
        """Each node once a second: to find one down must not keep us from the next."""
        if now_s - self.round_s >= RECONNECT_S:
            self.round_s, self.tried = now_s, 0
        if self.tried == nodes:
            return False
        self.tried += 1
        return True


@dataclass(frozen=True, slots=True)
class Receipt:
    """What to acknowledge once it is stored: ids of one connection, in the order received."""

    link: _Link
    session: Session
    packet_ids: list[int]

    @property
    def shard(self) -> str:
        return self.link.shard

    def acknowledge(self) -> None:
        """Tell the broker; ids of a connection that is gone mean nothing any more."""
        if self.session.closed is None:
            self.session.ack(self.packet_ids)
            self.session.flush()
            if self.link.session is self.session:
                self.link.unacknowledged -= len(self.packet_ids)


class Links:
    """One session for each shard this process owns."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self._settings, self._secret = settings, secret
        self._password = broker.hub_password(settings)
        self._links = {number: _Link(f"{number:02x}") for number in range(settings.shards)}
        self._by_shard = {link.shard: link for link in self._links.values()}

    def own(self, shards: Set[int], others_may_own: bool, known: Set[int]) -> frozenset[int]:
        """Connect those of ours that are not; leave the others' if somebody else may have them now.

        Returns those of the `known` that somebody else may have read meanwhile: what we remember of them is old.
        """
        lost = set()
        for number, link in self._links.items():
            if number in shards:
                if number not in known:
                    link.stopped = False
                self._connect(link)
            elif others_may_own or (link.session is not None and not link.is_open):
                self._leave(link)
                lost.add(number)
        return frozenset(lost & known)

    def poll(self, received_s: float, room_to_drain: bool) -> tuple[list[Received], list[Receipt]]:
        """Everything that has come; without room, what waited at the broker stays there for now."""
        received: list[Received] = []
        receipts: list[Receipt] = []
        now_s = clock.monotonic_s()
        for link in self._links.values():
            session = link.session
            if session is None or link.stopped or (link.draining and not room_to_drain):
                continue
            messages = session.poll(DRAIN_BYTES if link.draining else POLL_BYTES)
            if link.draining and session.subscribed and now_s - link.connected_s > SETTLES_S:
                link.draining = len(messages) > DRAINED_MESSAGES
            if messages:
                shard = link.shard
                received += [
                    _new(Received, (shard, topic, payload, received_s, -packet_id if dup else packet_id))
                    for topic, payload, _, packet_id, _, dup in messages
                ]
                ids = [packet_id for _, _, qos, packet_id, _, _ in messages if qos]
                link.unacknowledged += len(ids)
                receipts.append(Receipt(link, session, ids))
        return received, receipts

    def forget(self, receipts: Iterable[Receipt]) -> None:
        """These are not acknowledged, ever; their sessions have to connect anew before they store again."""
        for receipt in receipts:
            if receipt.link.session is receipt.session:
                receipt.link.forgotten = True

    def forgotten(self) -> frozenset[str]:
        """Shards that are seen, but not stored."""
        return frozenset(link.shard for link in self._links.values() if link.forgotten)

    def renew_one(self, held: Set[int]) -> str | None:
        """Connect the session anew that waits for most; its shard, if there was one."""
        waiting = [link for n, link in self._links.items() if n in held and link.forgotten and link.is_open]
        if not waiting:
            return None
        link = max(waiting, key=lambda one: one.unacknowledged)
        self._leave(link)
        self._connect(link)
        return link.shard

    def stop(self, shards: Iterable[int]) -> None:
        """Read nothing more of these; they can still be acknowledged and published on."""
        for number in shards:
            self._links[number].stopped = True

    def leave(self, shards: Iterable[int]) -> None:
        """Disconnect; the sessions stay at the broker and gather what comes meanwhile."""
        for number in shards:
            self._leave(self._links[number])

    @property
    def unacknowledged_max(self) -> int:
        """Of the session with most messages on our hands."""
        return max((link.unacknowledged for link in self._links.values()), default=0)

    @property
    def is_draining(self) -> bool:
        """Whether some session still brings what had waited at the broker."""
        return any(link.draining and link.is_open for link in self._links.values())

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Retained, QoS 1, on the session of the topic's shard; what it can't take, its device asks for again."""
        by_shard = defaultdict[str, list[tuple[str, bytes]]](list)
        for message in messages:
            by_shard[message[0].split("/", 2)[1]].append(message)
        for shard, own in by_shard.items():
            session = self._session_of(shard)
            if session is not None:
                session.publish_all(own, qos=1, retain=True)
        self.flush()

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

    def publish_word(self, topic: str, text: str) -> None:
        """QoS 0, on whichever session is open."""
        session = next((link.session for link in self._links.values() if link.is_open), None)
        if session is not None:
            session.publish(topic, text.encode())
            session.flush()

    def command(self, shard: str, device_id: str, payload: bytes) -> bool:
        """Tell a device something, QoS 1; whether the session took it."""
        session = self._session_of(shard)
        return session is not None and session.publish(f"cmd/{shard}/{device_id}", payload, qos=1)

    def close(self) -> None:
        """Leave all."""
        self.leave(self._links)

    @property
    def subscribed(self) -> int:
        """How many shards are being read."""
        return sum(link.session is not None and link.session.subscribed for link in self._links.values())

    def _session_of(self, shard: str) -> Session | None:
        link = self._by_shard.get(shard)
        return link.session if link is not None else None

    def _connect(self, link: _Link) -> None:
        now_s = clock.monotonic_s()
        nodes = self._settings.broker_addresses
        if link.is_open or link.stopped or not link.may_try(now_s, len(nodes)):
            return
        host, port = nodes[(int(link.shard, 16) + link.attempts) % len(nodes)]
        link.attempts += 1
        link.session = Session.connect(
            host, port, f"ingest-{link.shard}-{self._secret}", self._settings.mqtt_username, self._password,
            clean=False, keepalive_s=KEEPALIVE_S,
        )  # fmt: skip
        link.session.subscribe([f"ingest/{link.shard}/+/+"])
        link.connected_s = now_s
        link.unacknowledged, link.forgotten, link.draining = 0, False, True

    def _leave(self, link: _Link) -> None:
        if link.session is not None:
            link.session.disconnect()
        link.session, link.tried = None, 0
        link.unacknowledged, link.forgotten = 0, False
