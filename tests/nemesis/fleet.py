"""Many real simulated Holters in one process, over real MQTT, each behind a link of the proxy that can be spoiled.

`playing` starts the process and hands out a `Fleet` to command it. Inside, one event loop carries the devices' sessions
and the proxy: a device is looked at when its socket has something and every `tick_s`, so 500 of them at a packet a
second cost a fraction of a core. The samples come from a shared tape. What every device is told goes to the history.
"""

import asyncio
import contextlib
import heapq
import json
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from devices import control, event
from devices.errors import DecodeError
from devices.simulator import Holter
from devices.simulator.buffer import Stretch
from devices.simulator.clock import DeviceClock
from devices.simulator.publish import Publish
from devices.simulator.window import Window
from hub.core import clock
from hub.core.mqtt import Session, Will
from tests.nemesis.history import Recorder, Truth, row_of, truth_of
from tests.nemesis.proxy import CLEAR, Condition, Link
from tests.nemesis.tape import FS_HZ, UV_PER_LSB, Tape

ROOT: Final = Path(__file__).parents[2]
LINE_LIMIT: Final = 1 << 26  # of an answer of the process
PACKET: Final = FS_HZ  # samples of one packet, of a second


@dataclass(frozen=True)
class Wearer:
    """A device of the fleet, and the recording it is busy with from the start (else it waits for `start`)."""

    device_id: str
    shard: str
    password: str
    recording: UUID | None = None
    recorded_s: float = 0.0  # so long before now it began: a backlog
    buffer_s: float = 86_400.0
    backlog_per_s: float = 20.0
    error_s: float = 0.0
    drift_ppm: float = 0.0
    boot: int = 1
    compress: bool = False

    @property
    def username(self) -> str:
        return f"{self.shard}/{self.device_id}"


@dataclass(frozen=True)
class Setup:
    """What a fleet is made of. `links`: how many lines the devices are spread over (0: no proxy, straight)."""

    wearers: tuple[Wearer, ...]
    broker: tuple[str, int]
    tape: Tape
    seed: int
    links: int
    tick_s: float = 0.25
    keepalive_s: int = 10
    reconnect_s: float = 1.0
    line: Condition = CLEAR  # how the lines are at first


# In the process of the fleet.


class Device:
    """A Holter and its connection, which it opens again whenever it is gone."""

    def __init__(self, number: int, setup: Setup, address: tuple[str, int], recorder: Recorder) -> None:
        self.number, self.wearer, self._setup, self._address = number, setup.wearers[number], setup, address
        self._recorder, self._rng = recorder, random.Random(f"{setup.seed}/{number}")
        self._loop = asyncio.get_running_loop()
        self._session: Session | None = None
        self._fd = -1
        self._is_announced = False
        self._window = Window()
        self._not_before_s = 0.0
        self.packets_sent = 0
        self._known_events: set[str] = set()
        self.stops_connecting = False
        self.holter = self._holter()

    def _holter(self) -> Holter:
        wearer, tape = self.wearer, self._setup.tape
        holter = Holter(
            wearer.device_id, tape.signal(self.number), tape.fs_hz, tape.leads, UV_PER_LSB, rng=self._rng,
            boot=wearer.boot, buffer_s=wearer.buffer_s, backlog_per_s=wearer.backlog_per_s,
            clock=DeviceClock(wearer.error_s, wearer.drift_ppm, clock.now().timestamp()), compress=wearer.compress,
        )  # fmt: skip
        if wearer.recording is not None:
            holter.resume(wearer.recording.bytes, clock.now().timestamp() - wearer.recorded_s)
        return holter

    def step(self) -> None:
        """Move on by what is due: connect, read, send."""
        now_s = clock.now().timestamp()
        if self._session is None and (clock.monotonic_s() < self._not_before_s or self.stops_connecting):
            self.holter.tick(now_s)
            return
        if self._session is None:
            self._connect(now_s)
        self._read(now_s)
        if self._session is None or self._session.closed is not None:
            return self._lost(now_s)
        if not self._is_announced:
            if self._session.subscribed:
                self._is_announced = True
                self._recorder.note(now_s, "link", device=self.wearer.device_id, is_up=True)
                self._send(self.holter.connected(now_s), now_s)
            return
        self.holter.room = self._window.room(len(self._session.unacknowledged), clock.monotonic_s())
        self._send(self.holter.tick(now_s), now_s)

    def close(self) -> None:
        """Leave politely."""
        if self._session is not None:
            self._forget_socket()
            self._session.disconnect()

    def cut(self) -> None:
        """Leave at once, as when the battery is taken out."""
        if self._session is not None:
            self._session.close("the line is gone")
            self._lost(clock.now().timestamp())

    def reboot(self, loses: str) -> None:
        self.cut()
        self.holter.reboot(clock.now().timestamp(), loses)  # type: ignore[arg-type]

    def step_clock(self, by_s: float) -> None:
        self.holter.step_clock(clock.now().timestamp(), by_s)

    def truth(self) -> list[Truth]:
        return [self._truth(stretch) for stretch in self.holter.buffer.stretches.values()]

    def _truth(self, of: Stretch) -> Truth:
        given_up = tuple((one.first, one.end, one.was_sent) for one in of.given_up)
        held = sum(cut.end - cut.first for cut in of.held)
        return Truth(
            self.number, self.wearer.device_id, UUID(bytes=of.recording), of.boot, of.begin, of.produced, given_up,
            held, of.knows_count,
        )  # fmt: skip

    def _connect(self, now_s: float) -> None:
        name, setup, last = self.wearer.username, self._setup, self.holter.will(now_s)
        self._session = Session.connect(
            *self._address, name, name, self.wearer.password, clean=False, keepalive_s=setup.keepalive_s,
            will=Will(f"ingest/{name}/{last.topic_kind}", last.payload),
        )  # fmt: skip
        self._session.subscribe([f"ack/{name}", f"cmd/{name}"])
        self._fd = self._session.fileno()
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self.step)

    def _read(self, now_s: float) -> None:
        assert self._session is not None
        for message in self._session.poll():
            self._session.ack([message.packet_id] if message.qos else [])
            kind = message.topic.partition("/")[0]
            if kind == "ack":
                self._note_ack(message.payload, now_s)
            self._send(self.holter.on_message(kind, message.payload, now_s), now_s)

    def _note_ack(self, payload: bytes, now_s: float) -> None:
        with contextlib.suppress(DecodeError):
            ack = control.decode_ack(payload)
            self._recorder.note(
                now_s, "ack", device=self.wearer.device_id, boot=ack.boot, next_sample=ack.next_sample,
                recording=None if ack.recording is None else str(UUID(bytes=ack.recording)), events=ack.events,
            )  # fmt: skip

    def _send(self, publishes: Sequence[Publish], now_s: float) -> None:
        if self._session is None or not self._is_announced:
            return
        for one in publishes:
            if one.topic_kind == "event":
                self._note_event(one.payload, now_s)
            topic = f"ingest/{self.wearer.username}/{one.topic_kind}"
            if self._session.publish(topic, one.payload, qos=1):
                self._window.sent(1, clock.monotonic_s())
                self.packets_sent += one.topic_kind == "ecg"
        self._session.flush()

    def _note_event(self, payload: bytes, now_s: float) -> None:
        sent = event.decode(payload)
        if sent.id not in self._known_events:
            self._known_events.add(sent.id)
            recording = None if sent.recording is None else str(UUID(bytes=sent.recording))
            self._recorder.note(
                now_s, "sent", device=self.wearer.device_id, id=sent.id, event=sent.kind, recording=recording
            )

    def _lost(self, now_s: float) -> None:
        self._forget_socket()
        if self._is_announced and self._session is not None:
            why = self._session.closed
            self._recorder.note(now_s, "link", device=self.wearer.device_id, is_up=False, why=why)
        self._session, self._is_announced, self._window = None, False, Window()
        pause_s = self._setup.reconnect_s * self._rng.uniform(0.5, 1.5)
        self._not_before_s = clock.monotonic_s() + pause_s
        self.holter.disconnected(now_s)

    def _forget_socket(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._fd = -1


Order = Mapping[str, Any]


class Troop:
    """All devices and links of the process, and what they are ordered to do."""

    def __init__(self, setup: Setup, links: Sequence[Link], recorder: Recorder) -> None:
        self.setup, self.links, self._recorder = setup, links, recorder
        self._flapping: dict[int, asyncio.Task[None]] = {}
        addresses = [link.address for link in links] or [setup.broker]
        self.devices = [
            Device(number, setup, addresses[number % len(addresses)], recorder)
            for number in range(len(setup.wearers))
        ]

    async def live(self) -> None:
        """Look at each device every `tick_s`, spread over time."""
        tick_s = self.setup.tick_s
        begun_s = clock.monotonic_s()
        due = [(begun_s + d.number * tick_s / len(self.devices), d.number) for d in self.devices]
        heapq.heapify(due)
        flush_at_s = begun_s
        while True:
            now_s = clock.monotonic_s()
            while due[0][0] <= now_s:
                at_s, number = due[0]
                heapq.heapreplace(due, (max(at_s + tick_s, now_s + tick_s / 2), number))
                self.devices[number].step()
            if now_s > flush_at_s:
                self._recorder.flush()
                flush_at_s = now_s + 1.0
            await asyncio.sleep(max(0.005, due[0][0] - clock.monotonic_s()))

    async def obey(self, order: Order) -> Any:
        """Do as told; the answer."""
        return await ORDERS[order["do"]](self, order)

    def _chosen(self, order: Order) -> list[Device]:
        wanted = order.get("devices")
        return self.devices if wanted is None else [self.devices[number] for number in wanted]

    def _chosen_links(self, order: Order) -> list[int]:
        wanted = order.get("links")
        return list(range(len(self.links))) if wanted is None else list(wanted)

    async def set_links(self, order: Order) -> None:
        for number in self._chosen_links(order):
            self.links[number].set(Condition(**order.get("condition", {})))

    async def cut_links(self, order: Order) -> None:
        for number in self._chosen_links(order):
            link = self.links[number]
            link.orphan() if order.get("orphan") else link.cut()

    async def flap(self, order: Order) -> None:
        """Links go up and down by themselves; without `up_s` they rest, clear."""
        for number in self._chosen_links(order):
            if number in self._flapping:
                self._flapping.pop(number).cancel()
                self.links[number].set(CLEAR)
            if order.get("up_s"):
                task = asyncio.create_task(self._flap(number, order["up_s"], order["down_s"]))
                self._flapping[number] = task

    async def _flap(self, number: int, up_s: float, down_s: float) -> None:
        rng, link = random.Random(f"{self.setup.seed}/flap/{number}"), self.links[number]
        while True:
            await asyncio.sleep(rng.expovariate(1 / up_s))
            how = rng.choice(BAD_LINES)
            self._recorder.note(clock.now().timestamp(), "flap", link=number, how=how)
            BAD_LINES_DO[how](link)
            await asyncio.sleep(rng.expovariate(1 / down_s))
            link.set(CLEAR)

    async def reboot(self, order: Order) -> None:
        for device in self._chosen(order):
            device.reboot(order.get("loses", "nothing"))

    async def step_clocks(self, order: Order) -> None:
        for device in self._chosen(order):
            device.step_clock(order["by_s"])

    async def connecting(self, order: Order) -> None:
        """Let devices connect, or keep them away from the network."""
        for device in self._chosen(order):
            device.stops_connecting = not order["allowed"]
            if device.stops_connecting:
                device.cut()

    async def truth(self, _: Order) -> list[dict[str, Any]]:
        self._recorder.flush()
        return [row_of(one) for device in self.devices for one in device.truth()]

    async def figures(self, _: Order) -> dict[str, Any]:
        """In short, for those who wait."""
        holters = [device.holter for device in self.devices]
        stretches = [one for holter in holters for one in holter.buffer.stretches.values()]
        return {
            "connected": sum(holter.is_connected for holter in holters),
            "recording": sum(holter.recording is not None for holter in holters),
            "over": sum(bool(holter.ended) for holter in holters),
            "produced": sum(one.produced for one in stretches),
            "discarded": sum(one.discarded for one in stretches),
            "packets_sent": sum(device.packets_sent for device in self.devices),
            "held": sum(holter.buffer.held_samples for holter in holters),
            "cpu_s": sum(os.times()[:2]),
        }


def _refuse_and(what: Callable[[Link], None], link: Link) -> None:
    what(link)
    link.set(Condition(refuses=True))


BAD_LINES_DO: Final[Mapping[str, Callable[[Link], None]]] = {
    "cut": lambda link: _refuse_and(Link.cut, link),
    "orphan": lambda link: _refuse_and(Link.orphan, link),
    "silent": lambda link: link.set(Condition(is_silent=True)),
    "slow": lambda link: link.set(Condition(delay_s=0.4, up_kbit_s=40.0, down_kbit_s=40.0)),
}
BAD_LINES: Final = tuple(BAD_LINES_DO)

ORDERS: Final[Mapping[str, Callable[[Troop, Order], Awaitable[Any]]]] = {
    "links": Troop.set_links,
    "cut": Troop.cut_links,
    "flap": Troop.flap,
    "reboot": Troop.reboot,
    "clock": Troop.step_clocks,
    "connecting": Troop.connecting,
    "truth": Troop.truth,
    "figures": Troop.figures,
}


async def run(setup: Setup, history: Path) -> None:
    """The process: live until standard input ends; orders are lines of JSON, each answered by one."""
    recorder, links = Recorder(history), [Link(setup.broker) for _ in range(setup.links)]
    for link in links:
        link.set(setup.line)
        await link.open()
    troop = Troop(setup, links, recorder)
    loop, orders = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    living, listening = asyncio.create_task(troop.live()), asyncio.create_task(_listen(troop, orders))
    await asyncio.wait({living, listening}, return_when=asyncio.FIRST_COMPLETED)
    for device in troop.devices:
        device.close()
    recorder.close()
    for task in (living, listening):
        if task.done():
            task.result()


async def _listen(troop: Troop, orders: asyncio.StreamReader) -> None:
    while line := await orders.readline():
        answer = await troop.obey(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


# In the test.


class Fleet:
    """The fleet's process, commanded."""

    def __init__(self, process: Process, history: Path) -> None:
        self.process, self.history = process, history
        self._turn = asyncio.Lock()

    async def order(self, do: str, **facts: Any) -> Any:
        """Have something done by the process (a row of ORDERS); its answer. Given, it is carried out whoever waits."""
        return await asyncio.shield(asyncio.ensure_future(self._order(do, facts)))

    async def _order(self, do: str, facts: Mapping[str, Any]) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        async with self._turn:
            self.process.stdin.write(json.dumps({"do": do, **facts}).encode() + b"\n")
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the fleet has ended")
        return json.loads(line)

    async def set_links(self, condition: Condition, links: Sequence[int] | None = None) -> None:
        await self.order("links", condition=asdict(condition), links=links)

    async def truth(self) -> list[Truth]:
        return [truth_of(row) for row in await self.order("truth")]

    async def figures(self) -> dict[str, Any]:
        return dict(await self.order("figures"))


@contextlib.asynccontextmanager
async def playing(setup: Setup, folder: Path) -> AsyncIterator[Fleet]:
    """The devices live on while the block runs; the history is `folder`/history.jsonl."""
    written, history = write_setup(setup, folder), folder / "history.jsonl"
    command = (sys.executable, "-m", "tests.nemesis.fleet", str(written), str(history))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, limit=LINE_LIMIT
    )
    fleet = Fleet(process, history)
    try:
        await fleet.figures()  # it is there
        yield fleet
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


def write_setup(setup: Setup, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "setup.json"
    path.write_text(json.dumps(asdict(setup), default=str))
    return path


def read_setup(path: Path) -> Setup:
    """The inverse of `write_setup`."""
    row = json.loads(path.read_text())
    wearers = tuple(
        Wearer(**{**one, "recording": UUID(one["recording"]) if one["recording"] else None})
        for one in row["wearers"]
    )
    tape = Tape(**{**row["tape"], "leads": tuple(row["tape"]["leads"])})
    line = Condition(**row["line"])
    return Setup(**{**row, "wearers": wearers, "tape": tape, "broker": tuple(row["broker"]), "line": line})


if __name__ == "__main__":
    asyncio.run(run(read_setup(Path(sys.argv[1])), Path(sys.argv[2])))
