"""Very many Holters in one cheap process: packets cut beforehand, bytes patched, few connections, in real time.

What goes out is byte for byte what `devices.packet.encode` makes; only the work of making it is shared between the
devices of a second. Each sends once a second, all spread evenly over it.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from devices import packet
from devices.packet import WaveformPacket
from ecg.synthetic import DAY, Synthesiser
from hub.core.mqtt_packets import connect_bytes

CONNECTIONS: Final = 4
STEPS_PER_S: Final = 50
SIGNAL_S: Final = 90
HELD_S: Final = 5  # a device holds back so much, as acknowledgements come every 2 s
MOST_UNACKNOWLEDGED: Final = 60_000
_RECORDING: Final = b"sixteen bytes !!"
_PUBACK_BYTES: Final = 4


@dataclass(frozen=True)
class Fleet:
    """Who sends what; `topics` are without the last level, each with its recording."""

    address: tuple[str, int]
    username: str
    password: str
    topics: tuple[str, ...]
    recordings: tuple[bytes, ...]
    boot: int
    fs_hz: int
    leads: tuple[str, ...]
    seconds: int
    first_second: int = 0  # of the boot


def drive(fleet: Fleet, ready: Any, go: Any, told: Any) -> None:
    """As a process: prepare, wait for `go`, send in real time; puts the seconds it was late at worst in `told`."""
    links = [_Link(fleet, number) for number in range(CONNECTIONS)]
    messages = _Messages(fleet)
    ready.set()
    go.wait()
    began_s, late_s, count = time.monotonic(), 0.0, len(fleet.topics)
    for step in range(fleet.seconds * STEPS_PER_S):
        second, place = divmod(step, STEPS_PER_S)
        wait_s = began_s + step / STEPS_PER_S - time.monotonic()
        late_s = max(late_s, -wait_s)
        time.sleep(max(0.0, wait_s))
        mine = range(count * place // STEPS_PER_S, count * (place + 1) // STEPS_PER_S)
        for link in links:
            own = (n for n in mine if n % CONNECTIONS == link.number)
            link.send(messages.of(fleet.first_second + second, own, link))
    for link in links:
        link.finish()
    told.put(late_s)


class _Messages:
    """The PUBLISH packets of each second."""

    def __init__(self, fleet: Fleet) -> None:
        heart = Synthesiser(1, fleet.fs_hz, fleet.leads, DAY)
        signal = heart.samples(0, SIGNAL_S * fleet.fs_hz)
        self._chunks = [
            np.ascontiguousarray(signal[:, at : at + fleet.fs_hz], "<i2").tobytes()
            for at in range(0, signal.shape[1], fleet.fs_hz)
        ]
        self._fleet, self._heart, self._began_s = fleet, heart, time.time()
        named = [f"{topic}/ecg".encode() for topic in fleet.topics]
        self._topics = [len(topic).to_bytes(2, "big") + topic for topic in named]
        self._second, self._cut = -1, (b"", b"", b"")

    def of(self, second: int, numbers: Iterator[int], link: "_Link") -> Sequence[bytes]:
        if second != self._second:
            self._second, self._cut = second, self._template(second)
        head, middle, tail = self._cut
        parts: list[bytes] = []
        fixed = len(head) + 16 + len(middle) + len(self._chunks[0]) + len(tail) + 2
        for n in numbers:
            topic = self._topics[n]
            parts += (
                b"\x32", _length(len(topic) + fixed), topic, link.next_id(), head, self._fleet.recordings[n], middle,
                self._chunks[(n + second) % SIGNAL_S], tail,
            )  # fmt: skip
        return parts

    def _template(self, second: int) -> tuple[bytes, bytes, bytes]:
        """A packet of this second without its recording and samples."""
        fleet, first = self._fleet, second * self._fleet.fs_hz
        samples = np.frombuffer(self._chunks[0], "<i2").reshape(len(fleet.leads), -1)
        held, made_s = max(0, first - HELD_S * fleet.fs_hz), self._began_s + second - fleet.first_second - 1
        one = WaveformPacket(
            _RECORDING, fleet.boot, second, first, held, made_s, fleet.fs_hz, fleet.leads, self._heart.uv_per_lsb,
            samples, 0, 90,
        )  # fmt: skip
        encoded = packet.encode(one)
        head, _, rest = encoded.partition(_RECORDING)
        middle, _, tail = rest.partition(self._chunks[0])
        return head, middle, tail


class _Link:
    """One connection: writes what it is given, counts PUBACKs (the broker sends nothing else)."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.number, self._id, self._open, self._read = number, 0, 0, 0
        self._socket = socket.create_connection(fleet.address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = f"fleet-{number}-{fleet.boot}-{fleet.topics[0]}"
        self._socket.sendall(connect_bytes(name, fleet.username, fleet.password, True, 0, None))
        if self._socket.recv(4) != b"\x20\x02\0\0":
            raise ConnectionError("the broker refuses the fleet")

    def next_id(self) -> bytes:
        self._id = self._id % 65_535 + 1
        self._open += 1
        return self._id.to_bytes(2, "big")

    def send(self, parts: Sequence[bytes]) -> None:
        if parts:
            self._socket.sendall(b"".join(parts))
            self._take(socket.MSG_DONTWAIT)
            while self._open > MOST_UNACKNOWLEDGED:
                self._take(0)

    def finish(self) -> None:
        """Until all is the broker's."""
        while self._open > 0:
            self._take(0)
        self._socket.sendall(b"\xe0\0")
        self._socket.close()

    def _take(self, flags: int) -> None:
        try:
            self._read += len(self._socket.recv(1 << 16, flags))
        except BlockingIOError:
            return
        self._open -= self._read // _PUBACK_BYTES
        self._read %= _PUBACK_BYTES


def _length(count: int) -> bytes:
    """MQTT's remaining length."""
    octets = bytearray()
    while count > 127:
        octets.append(count & 0x7F | 0x80)
        count >>= 7
    octets.append(count)
    return bytes(octets)
