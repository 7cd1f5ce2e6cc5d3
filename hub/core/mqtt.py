"""MQTT 3.1.1 client session on a non-blocking socket that its owner polls.

Lean on purpose, since the tick reads every sample through it: no callbacks, no thread, no QoS 2, and a
received QoS 1 message is acknowledged only when its owner says so, which is after commit. One `Session` is
one connection: acknowledgements of an earlier one end with it. Clauses are of OASIS MQTT Version 3.1.1.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Literal

from hub.core import clock
from hub.core.mqtt_packets import (
    DISCONNECT,
    PINGREQ,
    REFUSALS,
    Connack,
    MalformedPacket,
    Message,
    Packet,
    Puback,
    Suback,
    Will,
    connect_bytes,
    parse,
    puback_bytes,
    publish_bytes,
    subscribe_bytes,
    unsubscribe_bytes,
)

__all__ = ["Message", "Session", "Will", "opened", "wait"]

MAX_UNSENT_BYTES = 4 << 20  # a broker that reads nothing for this long is given up
MAX_UNACKNOWLEDGED = 20_000  # own QoS 1 messages on their way; ids are 16 bits
READ_BYTES = 1 << 16  # per call of the kernel
POLL_BYTES = 1 << 20  # per poll

State = Literal["connecting", "handshaking", "waiting", "connected", "closed"]


class Session:
    """One connection. Nothing blocks: call `poll` when the socket is readable and once a second besides."""

    def __init__(
        self,
        sock: socket.socket,
        greeting: bytes,
        keepalive_s: int,
        tls: tuple[ssl.SSLContext, str] | None = None,
    ) -> None:
        self.state: State = "connecting"
        self.closed: str | None = None  # why, once it is
        self.session_present = False
        self.unacknowledged: set[int] = set()  # own QoS 1 messages without PUBACK
        self._sock, self._keepalive_s, self._tls = sock, keepalive_s, tls
        self._inbox: list[Message] = []  # read while opening, not handed out yet
        self._received, self._unsent = bytearray(), bytearray(greeting)
        self._subscribing: dict[int, tuple[str, ...]] = {}
        self._next_id = 0
        self._heard_s = self._spoke_s = clock.monotonic_s()
        self._pinged_s: float | None = None  # a ping nobody has answered yet

    @classmethod
    def connect(
        cls,
        host: str,
        port: int,
        client_id: str,
        username: str | None = None,
        password: str | None = None,
        clean: bool = True,
        keepalive_s: int = 30,
        will: Will | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> "Session":
        """Begin to connect; `state` is "connected" once a later `poll` has seen the CONNACK."""
        greeting = connect_bytes(client_id, username, password, clean, keepalive_s, will)
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        failure = sock.connect_ex((host, port))
        session = cls(sock, greeting, keepalive_s, (tls, host) if tls else None)
        if failure not in (0, errno.EINPROGRESS):
            session.close(f"connect: {os.strerror(failure)}")
        return session

    def fileno(self) -> int:
        """For select, epoll and add_reader; -1 once closed."""
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether to wait for the socket to become writable, too."""
        ready_to_send = self.state in ("waiting", "connected") and bool(self._unsent)
        return self.state == "connecting" or ready_to_send

    @property
    def subscribed(self) -> bool:
        """Whether the broker has confirmed every subscription."""
        return self.state == "connected" and not self._subscribing

    def poll(self, max_bytes: int = POLL_BYTES) -> list[Message]:
        """Read about `max_bytes` at most, answer what needs an answer; the messages, in order received."""
        self._advance()
        if self.state in ("waiting", "connected"):
            gone = self._read(max_bytes)
            self._take()  # a broker that refuses says why before it closes
            if gone is not None:
                self.close(gone)
            self._keep_alive()
            self.flush()
        messages, self._inbox = self._inbox, []
        return messages

    def subscribe(self, filters: Sequence[str], qos: int = 1) -> None:
        """Ask for topics; a refused one closes the session with the filter's name."""
        packet_id = self._new_id()
        self._subscribing[packet_id] = tuple(filters)
        self._send(subscribe_bytes(packet_id, filters, qos))

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Give topics up; what is on its way may still come."""
        self._send(unsubscribe_bytes(self._new_id(), filters))

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> bool:
        """Queue a message; False if it can't be taken now (closed, or too much is on its way)."""
        return not self.publish_all([(topic, payload)], qos, retain)

    def publish_all(
        self, messages: Sequence[tuple[str, bytes]], qos: int = 0, retain: bool = False
    ) -> Sequence[tuple[str, bytes]]:
        """Queue messages (topic, payload), in order; the last of them that can't be taken now."""
        room = max(0, MAX_UNACKNOWLEDGED - len(self.unacknowledged))
        if self.closed is not None or len(self._unsent) > MAX_UNSENT_BYTES // 2:
            room = 0
        taken = messages[:room]
        packet_ids = self._new_ids(len(taken)) if qos else [0] * len(taken)
        self._unsent += b"".join(
            [
                publish_bytes(topic, payload, qos, retain, packet_id)
                for (topic, payload), packet_id in zip(taken, packet_ids, strict=True)
            ]
        )
        return messages[room:]

    def ack(self, packet_ids: Iterable[int]) -> None:
        """Acknowledge received messages, in the order received."""
        self._send(puback_bytes(packet_ids))

    def flush(self) -> None:
        """Send what the socket takes now."""
        while self._unsent and self.closed is None and self.state in ("waiting", "connected"):
            try:
                sent = self._sock.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as failure:
                return self.close(f"send: {failure}")
            del self._unsent[:sent]
            self._spoke_s = clock.monotonic_s()
        if len(self._unsent) > MAX_UNSENT_BYTES:
            self.close("the broker does not read")

    def close(self, reason: str = "closed here") -> None:
        """Leave at once, without DISCONNECT: a will is published."""
        if self.closed is None:
            self.state, self.closed = "closed", reason
            self._sock.close()

    def disconnect(self) -> None:
        """Leave politely (3.14): no will."""
        if self.state == "connected":
            self._send(DISCONNECT)
            self.flush()
        self.close("disconnected")

    def _send(self, packet: bytes) -> None:
        if self.closed is None:
            self._unsent += packet

    def _new_id(self) -> int:
        while True:
            self._next_id = self._next_id % 65_535 + 1
            if self._next_id not in self.unacknowledged and self._next_id not in self._subscribing:
                return self._next_id

    def _new_ids(self, count: int) -> list[int]:
        """Of messages that will be acknowledged."""
        following = [(self._next_id + n) % 65_535 + 1 for n in range(count)]
        if self._subscribing or not self.unacknowledged.isdisjoint(following):
            following = []
            for _ in range(count):
                following.append(self._new_id())
                self.unacknowledged.add(following[-1])
        elif following:
            self._next_id = following[-1]
            self.unacknowledged.update(following)
        return following

    def _advance(self) -> None:
        """From TCP to TLS to CONNECT sent."""
        if self.state in ("connected", "closed"):
            return
        try:
            if self.state == "connecting":
                self._finish_tcp()
            if self.state == "handshaking":
                self._finish_tls()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as failure:
            return self.close(f"connect: {failure}")
        if clock.monotonic_s() - self._spoke_s > self._keepalive_s:
            self.close("no answer to CONNECT")

    def _finish_tcp(self) -> None:
        failure = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, os.strerror(failure))
        if not self._has_peer():
            return
        self.state = "handshaking"
        if self._tls is not None:
            context, host = self._tls
            self._sock = context.wrap_socket(self._sock, do_handshake_on_connect=False, server_hostname=host)

    def _has_peer(self) -> bool:
        try:
            self._sock.getpeername()
        except OSError:
            return False
        return True

    def _finish_tls(self) -> None:
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock.do_handshake()
        self.state = "waiting"
        self.flush()

    def _read(self, max_bytes: int) -> str | None:
        """Fill the buffer; why the connection is gone, if it is."""
        total, gone = 0, None
        while total < max_bytes:
            try:
                data = self._sock.recv(READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as failure:
                gone = f"receive: {failure}"
                break
            if not data:
                gone = "closed by the broker"
                break
            self._received += data
            total += len(data)
            if len(data) < READ_BYTES and self._tls is None:
                break  # nothing more there: asking would cost as much again
        if total:
            self._heard_s, self._pinged_s = clock.monotonic_s(), None
        return gone

    def _take(self) -> None:
        try:
            packets = parse(self._received)
        except MalformedPacket as failure:
            return self.close(f"malformed: {failure}")
        for packet in packets:
            if type(packet) is Message:
                self._inbox.append(packet)
            elif type(packet) is Puback:
                self.unacknowledged.discard(packet[0])
            else:
                self._handle(packet)

    def _handle(self, packet: Packet) -> None:
        match packet:
            case Connack(present, code):
                self.session_present = present
                if code:
                    return self.close(f"refused: {REFUSALS.get(code, str(code))}")
                self.state = "connected"
            case Suback(packet_id, codes):
                filters = self._subscribing.pop(packet_id, ())
                refused = [name for name, code in zip(filters, codes, strict=False) if code > 1]
                if refused or len(filters) != len(codes):
                    self.close(f"subscription refused: {', '.join(refused) or 'codes missing'}")

    def _keep_alive(self) -> None:
        """Both sides must hear each other within the keep-alive interval (3.1.2.10)."""
        now_s = clock.monotonic_s()
        if self._pinged_s is not None and now_s - self._pinged_s > self._keepalive_s:
            self.close("the broker is silent")
        elif self._pinged_s is None and now_s - min(self._heard_s, self._spoke_s) > self._keepalive_s / 2:
            self._send(PINGREQ)
            self._pinged_s = now_s


async def wait(session: Session, timeout_s: float) -> None:
    """Sleep until the session has something to do for `poll`, or the time is over."""
    if session.fileno() < 0:
        return
    loop, event, fd = asyncio.get_running_loop(), asyncio.Event(), session.fileno()
    loop.add_reader(fd, event.set)
    if session.wants_write:
        loop.add_writer(fd, event.set)
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(fd)
        loop.remove_writer(fd)


async def opened(session: Session, timeout_s: float = 10.0) -> Session:
    """Poll until connected and every subscription is confirmed; raises ConnectionError with the reason."""
    deadline_s = clock.monotonic_s() + timeout_s
    while not session.subscribed:
        if clock.monotonic_s() > deadline_s:
            session.close("no answer in time")
        if session.closed is not None:
            raise ConnectionError(session.closed)
        await wait(session, 0.5)
        session._inbox = session.poll()
    return session
