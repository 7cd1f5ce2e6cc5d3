"""Virtual devices on a real broker: the pure devices of `devices.simulator` get sockets, signals and a clock.

One process carries thousands: one loop polls all sessions and ticks all devices. A plan (JSON) lists the devices with
their passwords; what a device keeps in flash (its boot count and recording) is kept beside the plan.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.simulator.clock import DeviceClock
from devices.simulator.holter import Holter, Signal
from devices.simulator.publish import Publish
from devices.simulator.wearable import Wearable
from devices.simulator.window import Window
from ecg.formats import wfdb
from ecg.record import main_group
from ecg.synthetic import DAY, Segment, Synthesiser
from hub.core import clock
from hub.core.mqtt import Session, Will

STEP_S = 0.04
RECONNECT_S = 1.0
LEADS = ("MDC_ECG_LEAD_I", "MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1")
SUFFIXES = ("ack", "cmd")

# What the hearts of the plan do; a name of the plan, or the path of a WFDB record.
HEARTS: Mapping[str, Sequence[Segment]] = {
    "day": DAY,
    "sinus": (Segment("sinus", 600.0, 68.0),),
    "af": (Segment("af", 300.0, 92.0), Segment("sinus", 300.0, 74.0)),
    "ectopic": (Segment("pvc", 240.0, 76.0), Segment("vt", 3.5, 150.0), Segment("sinus", 120.0, 72.0)),
    "pauses": (
        Segment("sinus", 45.0, 58.0),
        Segment("sinus", 12.0, 50.0, pause_s=2.6),
        Segment("sinus", 60.0, 62.0),
    ),
    "noisy": (Segment("sinus", 90.0, 84.0), Segment("sinus", 25.0, 84.0, noise_uv=900.0, wander_uv=2500.0)),
}


@dataclass(frozen=True)
class Virtual:
    """A line of a plan. `heart` is a row of HEARTS or the path of a WFDB record; flaps: mean seconds up, down;
    reboots: mean seconds between them.
    """

    id: str
    shard: str
    password: str
    kind: Literal["holter", "wearable"] = "holter"
    heart: str = "day"
    seed: int = 0
    fs_hz: int = 250
    leads: tuple[str, ...] = LEADS
    buffer_s: float = 86_400.0
    error_s: float = 0.0
    flap_s: tuple[float, float] | None = None
    reboot_s: float | None = None

    @property
    def username(self) -> str:
        return f"{self.shard}/{self.id}"


def read_plan(path: Path) -> list[Virtual]:
    """The devices of a plan."""
    return [_virtual(row) for row in json.loads(path.read_text())]


def _virtual(row: Mapping[str, Any]) -> Virtual:
    fields = dict(row)
    for name in ("leads", "flap_s"):
        if fields.get(name) is not None:
            fields[name] = tuple(fields[name])
    return Virtual(**fields)


def record_signal(path: Path) -> tuple[Signal, int, tuple[str, ...], float]:
    """A WFDB record played round and round, its baseline at 0: signal, fs_hz, leads, uv_per_lsb."""
    leads = main_group(wfdb.read(path))
    samples: NDArray[np.int16] = np.stack([lead.samples - lead.offset for lead in leads]).astype(np.int16)
    length = samples.shape[1]

    def signal(first: int, count: int) -> NDArray[np.int16]:
        return samples.take(np.arange(first, first + count), axis=1, mode="wrap")

    fs_hz = round(leads[0].fs_hz)
    if length < fs_hz:
        raise ValueError(f"{path.name}: shorter than a second")
    return signal, fs_hz, tuple(lead.code for lead in leads), leads[0].uv_per_lsb


def heart_signal(virtual: Virtual) -> tuple[Signal, int, tuple[str, ...], float]:
    """What the electrodes of a device see: a synthetic heart, or a record."""
    if virtual.heart not in HEARTS:
        return record_signal(Path(virtual.heart))
    heart = Synthesiser(virtual.seed, virtual.fs_hz, virtual.leads, HEARTS[virtual.heart])
    return heart.samples, virtual.fs_hz, virtual.leads, heart.uv_per_lsb


def make_device(virtual: Virtual, boot: int) -> Holter | Wearable:
    """The pure device of a line of the plan."""
    rng = Random(f"{virtual.id}/{virtual.seed}")
    if virtual.kind == "wearable":
        return Wearable(virtual.id, rng=rng)
    signal, fs_hz, leads, uv_per_lsb = heart_signal(virtual)
    return Holter(
        virtual.id, signal, fs_hz, leads, uv_per_lsb, rng=rng, boot=boot, buffer_s=virtual.buffer_s,
        clock=DeviceClock(error_s=virtual.error_s),
    )  # fmt: skip


class Line:
    """A virtual device and its connection, which it opens again whenever it is gone."""

    def __init__(self, virtual: Virtual, device: Holter | Wearable, broker: tuple[str, int]) -> None:
        self.virtual, self.device, self._broker = virtual, device, broker
        self._session: Session | None = None
        self._announced = False
        self._window = Window()
        self._not_before_s = 0.0
        self._rng = Random(virtual.id)
        self._flap_at_s = self._next_flap(up=True, now_s=clock.monotonic_s())
        self._reboot_at_s = self._next_reboot(clock.monotonic_s())

    def step(self) -> None:
        """Move on by what has come and what is due."""
        now_s, since_s = clock.now().timestamp(), clock.monotonic_s()
        self._flap(since_s)
        self._reboot(now_s, since_s)
        if self._session is None:
            if since_s < self._not_before_s:
                return self._send(self.device.tick(now_s))
            self._session = self._connect(now_s)
        if isinstance(self.device, Holter):
            self.device.room = self._window.room(len(self._session.unacknowledged), since_s)
        for message in self._session.poll():
            self._session.ack([message.packet_id] if message.qos else [])
            self._send(self.device.on_message(message.topic.partition("/")[0], message.payload, now_s))
        if self._session.closed is not None:
            self._lost(now_s, since_s + RECONNECT_S)
        elif self._session.subscribed and not self._announced:
            self._announced = True
            self._send(self.device.connected(now_s))
        else:
            self._send(self.device.tick(now_s))

    def close(self) -> None:
        if self._session is not None:
            self._session.disconnect()

    def _connect(self, now_s: float) -> Session:
        host, port = self._broker
        name = self.virtual.username
        will = None
        if isinstance(self.device, Holter):
            last = self.device.will(now_s)
            will = Will(f"ingest/{name}/{last.topic_kind}", last.payload)
        session = Session.connect(host, port, name, name, self.virtual.password, clean=False, will=will)
        session.subscribe([f"{suffix}/{name}" for suffix in SUFFIXES])
        return session

    def _send(self, publishes: Sequence[Publish]) -> None:
        if self._session is None or not self._announced:
            return
        for one in publishes:
            if self._session.publish(f"ingest/{self.virtual.username}/{one.topic_kind}", one.payload, qos=1):
                self._window.sent(1, clock.monotonic_s())
        self._session.flush()

    def _lost(self, now_s: float, not_before_s: float) -> None:
        self._session, self._announced, self._not_before_s = None, False, not_before_s
        self._window = Window()
        self.device.disconnected(now_s)

    def _flap(self, since_s: float) -> None:
        """Cut the line when its time is up, as 4G in the hills does."""
        if since_s < self._flap_at_s:
            return
        down_s = self._next_flap(up=False, now_s=since_s)
        if self._session is not None:
            self._session.close("the line is gone")
            self._lost(clock.now().timestamp(), down_s)
        self._flap_at_s = self._next_flap(up=True, now_s=down_s)

    def _reboot(self, now_s: float, since_s: float) -> None:
        """Restart the device when its time is up; it is back on the line soon after."""
        if since_s < self._reboot_at_s or not isinstance(self.device, Holter):
            return
        if self._session is not None:
            self._session.close("the device restarts")
            self._lost(now_s, since_s + RECONNECT_S)
        self.device.reboot(now_s)
        self._reboot_at_s = self._next_reboot(since_s)

    def _next_reboot(self, now_s: float) -> float:
        every_s = self.virtual.reboot_s
        return float("inf") if every_s is None else now_s + self._rng.expovariate(1.0 / every_s)

    def _next_flap(self, up: bool, now_s: float) -> float:
        if self.virtual.flap_s is None:
            return float("inf")
        return now_s + self._rng.expovariate(1.0 / self.virtual.flap_s[0 if up else 1])


async def run(plan: Sequence[Virtual], broker: tuple[str, int], flash: Path, stop: asyncio.Event) -> None:
    """Play all devices of a plan until stopped; `flash` keeps what devices remember over restarts."""
    now = clock.now()
    remembered = _remembered(flash)
    lines = []
    for virtual in plan:
        device = make_device(virtual, boot=int(now.timestamp()))
        recording = remembered.get(virtual.id)
        if isinstance(device, Holter) and recording is not None:
            device.resume(bytes.fromhex(recording), now.timestamp())
        lines.append(Line(virtual, device, broker))
    while not stop.is_set():
        begun_s = clock.monotonic_s()
        for line in lines:
            line.step()
        remembered = _keep(flash, lines, remembered)
        await asyncio.sleep(max(0.0, STEP_S - (clock.monotonic_s() - begun_s)))
    for line in lines:
        line.close()


def _remembered(flash: Path) -> dict[str, str | None]:
    return dict(json.loads(flash.read_text())) if flash.exists() else {}


def _keep(flash: Path, lines: Sequence[Line], before: Mapping[str, str | None]) -> dict[str, str | None]:
    """Write down which recording each device is busy with, when that has changed."""
    holters = {line.virtual.id: line.device for line in lines if isinstance(line.device, Holter)}
    present = {name: h.recording.hex() if h.recording else None for name, h in holters.items()}
    if present != before:
        new = flash.with_suffix(".new")
        new.write_text(json.dumps(present))
        new.replace(flash)
    return present
